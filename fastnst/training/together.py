"""`Together`: Lightning's data-parallel strategy, and a watch over the processes that it starts.

Knows nothing of networks, photos and files.
"""

import os
import sys
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from pytorch_lightning.strategies import DDPStrategy
from pytorch_lightning.strategies.launchers.subprocess_script import _SubprocessScriptLauncher
from torch.distributed import DistError

from fastnst.base.commands import BAD_USAGE

PATIENCE = timedelta(minutes=10)  # the longest that a process waits for another one
LOOKS_EVERY, GRACE = 1.0, 20.0  # seconds; the second one for a process to end by itself after another has
STARTER = "FASTNST_STARTER"  # the environment variable with the number of the process that started this one
LOST = "another process of this training has ended"


class Together(DDPStrategy):
    """DDP whose processes end within half a minute after one of them was killed, and say so.

    Every parameter has a gradient at every step, so none is looked for (`find_unused_parameters`). What the losses keep
    never changes, and the statistics of photos change alike in all, so neither is sent (`broadcast_buffers`).
    """

    def __init__(self) -> None:
        super().__init__(timeout=PATIENCE, broadcast_buffers=False, gradient_as_bucket_view=True)

    def _configure_launcher(self) -> None:
        assert self.cluster_environment is not None
        self._launcher = _Launcher(self.cluster_environment, self.num_processes, self.num_nodes)


def is_lost_connection(error: Exception) -> bool:
    """Whether an error of torch says that another process cannot be reached; gloo's have no class of their own."""
    return isinstance(error, DistError) or (isinstance(error, RuntimeError) and "gloo" in str(error))


class _Launcher(_SubprocessScriptLauncher):
    """Lightning's, whose own watch kills the first process when another has failed, before it can say so."""

    def launch(self, function: Callable[..., Any], *args: Any, trainer: Any = None, **kwargs: Any) -> Any:
        """Start the other processes of this machine, unless torchrun or SLURM did, and call the function."""
        if os.environ.get(STARTER) == str(os.getppid()):
            _watch(lambda: os.environ[STARTER] != str(os.getppid()))
        elif not self.cluster_environment.creates_processes_externally:
            os.environ[STARTER] = str(os.getpid())
            self._call_children_scripts()  # from here on Lightning takes them for started by somebody else
            _watch(lambda: any(process.poll() for process in self.procs))
        return super().launch(function, *args, trainer=trainer, **kwargs)


def _watch(gone: Callable[[], bool]) -> None:
    """End this process some time after another one is gone: it may wait for that one where no exception reaches it."""

    def look() -> None:
        while not gone():
            time.sleep(LOOKS_EVERY)
        time.sleep(GRACE)
        print(f"fastnst: {LOST}; --resume goes on from the last checkpoint", file=sys.stderr, flush=True)
        os._exit(BAD_USAGE)

    threading.Thread(target=look, daemon=True).start()
