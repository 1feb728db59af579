"""`TimedModule`: a Lightning module whose clock ends its run. Knows nothing of networks, losses and files."""

import time
from typing import Any

from pytorch_lightning import LightningModule

from fastnst.training.data import PhotoBatch
from fastnst.training.schedule import Clock

LOG_EVERY = 10  # steps; Lightning takes a millisecond for each number
WRITING_SECONDS = 0.5  # the last checkpoint, the file and its preview


class TimedModule(LightningModule):
    """Ends a run when its clock says so, on every device at once; a resumed run goes on with the time that is left.

    Args:
        clock: Progress of the run.
    """

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.clock = clock
        self._evaluation_started = 0.0

    def on_train_start(self) -> None:
        """End at once a run that was stopped after its last step."""
        self._stop_if_over()

    def on_train_batch_end(self, outputs: Any, batch: PhotoBatch, batch_idx: int) -> None:
        """End the run if its time is over."""
        self._stop_if_over()

    def _stop_if_over(self) -> None:
        if self.trainer.strategy.broadcast(self.clock.is_over(self.global_step)):
            self.trainer.should_stop = True

    def on_validation_batch_start(self, batch: PhotoBatch, batch_idx: int, dataloader_idx: int = 0) -> None:
        """Start the timer."""
        self._evaluation_started = time.perf_counter()

    def on_validation_batch_end(self, outputs: Any, batch: PhotoBatch, batch_idx: int, dataloader_idx: int = 0) -> None:
        """Reserve the time for the last evaluation and for writing the file."""
        if batch_idx == 0:
            seconds = time.perf_counter() - self._evaluation_started
            self.clock.reserve = seconds * int(self.trainer.num_val_batches[0]) + WRITING_SECONDS

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Save the time spent, so that a budget continues where it stopped."""
        checkpoint["spent_seconds"] = self.clock.spent()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restore what `on_save_checkpoint` saved."""
        self.clock.spent_before = checkpoint["spent_seconds"]
