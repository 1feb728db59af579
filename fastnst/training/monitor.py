"""Progress bar, previews, checkpoints and an orderly stop of a run.

Lightning callbacks; none of them changes a number.
"""

import io
import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.plugins.io import TorchCheckpointIO
from pytorch_lightning.utilities.exceptions import SIGTERMException
from torch import Tensor

from fastnst.base.files import write_whole
from fastnst.base.progress import progress_bar
from fastnst.images.formats import ImageError
from fastnst.images.write import save_image
from fastnst.training.events import Events

log = logging.getLogger("fastnst")


class ProgressBar(Callback):
    """One line with the loss, images per second and the time left, on stderr."""

    def __init__(self) -> None:
        self._bar = progress_bar()
        self._task = self._bar.add_task("training", total=1.0, state="")

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Show the progress bar."""
        self._bar.start()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Update the progress bar."""
        speed = float(trainer.callback_metrics.get("images_per_second", 0.0))
        state = f"step {trainer.global_step}  loss {float(outputs['loss']):.3f}  {speed:.1f} images/s"
        progress: Any = pl_module.progress
        self._bar.update(self._task, completed=progress, state=state)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Remove the progress bar, however the run ended."""
        self._bar.stop()


class Previews(Callback):
    """Stylized validation photos at intervals, in TensorBoard and as `preview.png` in the run's folder."""

    def __init__(self, photos: Tensor, *, every: int, folder: Path) -> None:
        self._photos = photos[:4]  # (B, 3, H, W)
        self._every = every
        self._folder = folder

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Write a preview, if it is time."""
        if trainer.global_step % self._every == 0 and trainer.is_global_zero:
            self.paint(trainer, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the last preview."""
        if trainer.is_global_zero:
            self.paint(trainer, pl_module)

    def paint(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write a sheet of the rows."""
        rows = self.rows(pl_module, self._photos.to(pl_module.device))
        sheet = torch.cat([torch.cat(list(row), 2) for row in rows], 1)[None]  # (1, 3, rows * H, B * W)
        try:
            save_image(sheet, self._folder / "preview.png")
        except (ImageError, OSError) as error:
            log.warning("%s; the training goes on without it", error)
        if isinstance(trainer.logger, Events):
            trainer.logger.add_picture("preview", sheet[0], trainer.global_step)

    def rows(self, module: LightningModule, photos: Tensor) -> list[Tensor]:
        """The rows of the sheet, each `(B, 3, H, W)`: the photos, and below them each style."""
        network: Any = module.network
        return [photos, *network.in_every_style(photos)]


class Checkpoints(ModelCheckpoint):
    """Checkpoints at intervals. One that cannot be written does not end the training: the next one is tried in time."""

    def on_train_batch_end(self, trainer: Trainer, *words: Any) -> None:
        """Save, if it is time."""
        try:
            super().on_train_batch_end(trainer, *words)
        except OSError as error:
            log.error("%s; the training goes on, and saves again later", error)
            trainer.strategy.barrier()  # at which the other processes wait


class GracefulStop(Callback):
    """A checkpoint when a signal ends the run, and at the end of every run, so that nothing is lost.

    Lightning raises `SIGTERMException` at the end of the step after SIGTERM; `ctrl_c_as_sigterm` makes Ctrl-C do the
    same. Where there are several processes, Lightning would broadcast from within the signal handler, amid whatever the
    others send; there the handler only sets `stop_asked`, on which a `TimedModule` agrees after every step.
    """

    def __init__(self, checkpoint: Path) -> None:
        self._checkpoint = checkpoint

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take SIGTERM over from Lightning, which gives it back at the end."""
        module: Any = pl_module

        def handle(*_: object) -> None:
            module.stop_asked = True

        if trainer.world_size > 1 and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handle)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save the final weights, in case the style file cannot be written; that is tried in any case."""
        try:
            trainer.save_checkpoint(self._checkpoint)
        except OSError as error:
            log.error("%s; the training is over, and its result is written next", error)
            trainer.strategy.barrier()  # at which the other processes wait

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Save a run that a signal stopped; after any other error the last good checkpoint stays as it is."""
        if isinstance(exception, SIGTERMException):
            trainer.save_checkpoint(self._checkpoint)


@contextmanager
def ctrl_c_as_sigterm() -> Iterator[None]:
    """Let Ctrl-C end the run after the current step; before the first step it interrupts at once."""

    def handle(*_: object) -> None:
        if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:  # Lightning does not listen yet
            raise KeyboardInterrupt
        signal.raise_signal(signal.SIGTERM)

    if threading.current_thread() is not threading.main_thread():  # only there can signals be handled
        yield
        return
    previous = signal.signal(signal.SIGINT, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)


class WholeCheckpoints(TorchCheckpointIO):
    """Checkpoints that are written beside the last one and renamed.

    Lightning writes into the system's temporary folder: on another file system, its last step copies over the only
    checkpoint.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write the file, completely or not at all."""
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        write_whole(Path(path), buffer.getvalue())
