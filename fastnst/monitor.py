"""What a run shows while it goes on: a progress bar, previews of held-out photos, and a stop that loses nothing.

Lightning callbacks; none of them changes a number.
"""

import signal
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.loggers import TensorBoardLogger
from pytorch_lightning.utilities.exceptions import SIGTERMException
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch import Tensor

from fastnst.images import save_image


class ProgressBar(Callback):
    """One line with the loss, images per second and the time left, on stderr."""

    def __init__(self) -> None:
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}%"),
            TextColumn("{task.fields[state]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(elapsed_when_finished=False),
            console=Console(stderr=True),
            transient=True,
        )
        self._task = self._bar.add_task("training", total=1.0, state="")

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Show the bar."""
        self._bar.start()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Move the bar."""
        metrics = trainer.callback_metrics
        speed = metrics.get("images_per_second", torch.tensor(0.0))
        state = f"step {trainer.global_step}  loss {metrics['train/total']:.3f}  {speed:.1f} images/s"
        self._bar.update(self._task, completed=float(metrics["progress"]), state=state)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Take the bar away, however the run ended."""
        self._bar.stop()


class Previews(Callback):
    """Paints the same held-out photos every so many steps, into TensorBoard and `preview.png` in the run's folder."""

    def __init__(self, photos: Tensor, *, every: int, folder: Path) -> None:
        self._photos = photos[:4]  # (B, 3, H, W)
        self._every = every
        self._folder = folder

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Paint, if it is time."""
        if trainer.global_step % self._every == 0 and trainer.is_global_zero:
            self.paint(trainer, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Paint the result."""
        if trainer.is_global_zero:
            self.paint(trainer, pl_module)

    @torch.no_grad()
    def paint(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Photos above, stylized images below, styles in turn."""
        network: Any = pl_module.network
        photos = self._photos.to(pl_module.device)
        style = torch.eye(network.num_styles, device=pl_module.device)
        style = style[torch.arange(len(photos), device=pl_module.device) % network.num_styles]
        stylized = network(photos, style)
        sheet = torch.cat([torch.cat(list(photos), 2), torch.cat(list(stylized), 2)], 1)[None]  # (1, 3, 2H, B*W)
        save_image(sheet, self._folder / "preview.png")
        if isinstance(trainer.logger, TensorBoardLogger):
            trainer.logger.experiment.add_image("preview", sheet[0].cpu(), trainer.global_step)


class GracefulStop(Callback):
    """Ctrl-C and SIGTERM end the run after the step at hand and save it, so that nothing is lost.

    Lightning turns SIGTERM into a `SIGTERMException` at the end of the step; Ctrl-C takes the same way here.
    """

    def __init__(self, checkpoint: Path) -> None:
        self._checkpoint = checkpoint
        self._previous: Any = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Turn Ctrl-C into SIGTERM."""
        self._previous = signal.signal(signal.SIGINT, lambda *_: signal.raise_signal(signal.SIGTERM))

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Save what a signal stopped; after any other error the last good checkpoint stays as it is."""
        if isinstance(exception, SIGTERMException):
            trainer.save_checkpoint(self._checkpoint)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Give Ctrl-C back."""
        if self._previous is not None:
            signal.signal(signal.SIGINT, self._previous)
            self._previous = None
