"""Lock on a run's name: of two trainings of one name, the second is refused when it starts.

The lock file names its process. It no longer counts when that process has died, by SIGKILL or with its machine.
"""

import json
import os
import platform
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
from filelock import FileLock

from fastnst.base.errors import TrainingError, told_of
from fastnst.base.files import make_folder, write_json
from fastnst.training.processes import is_first_process

CLAIM, LOCK = "claim.json", ".lock"
CLOCK_SET = 60.0  # seconds


def check_unclaimed(folder: Path) -> None:
    """Refuse the folder of a run that another training is at.

    Raises:
        TrainingError: A training that is alive holds it.
    """
    holder = _living(folder / CLAIM)
    if is_first_process() and holder and holder != str(os.getpid()):
        raise _in_use(folder, holder)


def _in_use(folder: Path, holder: str) -> TrainingError:
    return TrainingError(f"{folder} is in use by process {holder}: wait for it, or choose another --name")


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Lock the folder of a run for this process; makes the folder.

    This is no lock of the operating system: processes that decode photos inherit such a lock, and would hold it for
    seconds after a training was killed, when it should be resumed.

    Raises:
        TrainingError: A running training holds it.
    """
    made = [each for each in (folder, *folder.parents) if not each.exists()]
    claim = folder / CLAIM
    try:
        with told_of(folder):
            make_folder(folder)
        with FileLock(folder / LOCK):  # held while the claim is read and written
            if holder := _living(claim):
                raise _in_use(folder, holder)
            write_json(claim, _this_process())
        try:
            yield
        finally:
            with suppress(OSError):  # a disk that went away; a claim of a dead process counts no more
                claim.unlink(missing_ok=True)
    finally:
        _leave_nothing(folder, made)


def _leave_nothing(folder: Path, made: Sequence[Path]) -> None:
    """Remove the folder of a training that was refused, or that could not begin, and those that were made for it."""
    with suppress(OSError):
        if set(folder.iterdir()) <= {folder / LOCK}:
            (folder / LOCK).unlink(missing_ok=True)
            for each in dict.fromkeys((folder, folder.parent, *made)):  # also an empty `runs/`
                each.rmdir()


def _this_process() -> dict[str, Any]:
    return {"host": platform.node(), "pid": os.getpid(), "started": psutil.Process().create_time()}


def _living(claim: Path) -> str | None:
    """The process that holds a claim, if it is alive; one on another machine (a shared folder) is assumed to be."""
    try:
        said = json.loads(claim.read_text())
        host, pid, started = str(said["host"]), int(said["pid"]), float(said["started"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if host != platform.node():
        return f"{pid} of {host} (if that is gone, remove {claim})"
    try:
        # Numbers of processes are used again, so the time of its start counts too; a clock that was set moves that.
        same = abs(psutil.Process(pid).create_time() - started) < CLOCK_SET
    except (psutil.Error, ValueError):
        return None
    return str(pid) if same else None
