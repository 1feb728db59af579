"""`TimedModule`: a Lightning module with a clock and a schedule. Knows nothing of networks, losses and files."""

import time
from collections.abc import Callable
from typing import Any, TypeVar

import torch
from pytorch_lightning import LightningModule
from pytorch_lightning.utilities.exceptions import SIGTERMException

from fastnst.base.errors import TrainingError
from fastnst.training.data import TOGETHER, Draw, PhotoBatch, PhotoDataModule
from fastnst.training.schedule import Clock, Schedule

T = TypeVar("T")
LOG_EVERY = 10  # steps; Lightning takes a millisecond for each number
WRITING_SECONDS = 0.5  # the last checkpoint, the file and its preview


class TimedModule(LightningModule):
    """Ends a run when its clock says so, in all processes at once; a resumed run goes on with the time that is left.

    Args:
        clock: Progress of the run.
        schedule: Learning rate and crop size. A parameter group of the optimiser may have `times`, its learning rate
            in those of the schedule.
        margin: Pixels on each side of a training photo that are no part of the crop.
    """

    def __init__(self, clock: Clock, schedule: Schedule, *, margin: int = 0) -> None:
        super().__init__()
        self.clock, self.schedule, self.margin = clock, schedule, margin
        self.progress = 0.0
        self.stop_asked = False  # of this process, by a signal; looked at where there are several
        self.skipped: set[str] = set()  # names of unreadable photos
        self._kept: dict[tuple[Draw, ...], Any] = {}
        self._logged: tuple[int, float] | None = None  # step and time
        self._evaluation_started = 0.0

    def on_train_batch_start(self, batch: PhotoBatch, batch_idx: int) -> None:
        """Set the learning rate of this step."""
        step = self.global_step
        self.skipped.update(batch.skipped)
        rate = self.schedule.learning_rate_at(self.progress, step)
        for group in self.trainer.optimizers[0].param_groups:
            group["lr"] = rate * group.get("times", 1.0)
        if step % LOG_EVERY == 0:
            now = time.perf_counter()
            crop_size = float(batch.photos.shape[-1] - 2 * self.margin)
            state = {"progress": self.progress, "learning_rate": rate, "crop_size": crop_size}
            if self._logged:
                images = (step - self._logged[0]) * batch.photos_of_step
                state["images_per_second"] = images / (now - self._logged[1])
            self._logged = (step, now)
            self.log_dict(state)

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Stop before gradients that are not finite reach the weights."""
        norm = torch.nn.utils.get_total_norm([p.grad for p in self.parameters() if p.grad is not None])
        if self.global_step % LOG_EVERY == 0:
            self.log("gradient_norm", norm)
        if not norm.isfinite():
            raise TrainingError(f"a gradient is no number at step {self.global_step}; try a lower --learning-rate")

    def once(self, draws: tuple[Draw, ...], compute: Callable[[], T]) -> T:
        """What `compute` returns for these crops, kept for when they come again; for at most `TOGETHER` photos."""
        if draws in self._kept:
            kept: T = self._kept[draws]
            return kept
        result = compute()
        if draws:
            self._kept[draws] = result
            if len(self._kept) > max(1, TOGETHER // len(draws)):
                del self._kept[next(iter(self._kept))]  # the oldest
        return result

    def finish(self, photos: PhotoDataModule) -> bool:
        """Change the weights after the last step, if a training ends so; returns whether it did."""
        return False

    def on_train_start(self) -> None:
        """End at once a run that was stopped after its last step."""
        self._agree()

    def on_train_batch_end(self, outputs: Any, batch: PhotoBatch, batch_idx: int) -> None:
        """End the run if its time is over."""
        self._agree()

    def _agree(self) -> None:
        """Take over the progress of the first process; end the run if that says so or any process was told to stop."""
        step, stopped = self.global_step, 0.0
        self.progress, over = self.clock.progress(step), float(self.clock.is_over(step))
        if self.trainer.world_size > 1:
            said = (self.progress, over) if self.trainer.is_global_zero else (0.0, 0.0)
            sums = torch.tensor([*said, self.stop_asked], dtype=torch.float64, device=self.device)
            self.progress, over, stopped = self.trainer.strategy.reduce(sums, reduce_op="sum").tolist()
        if stopped:
            raise SIGTERMException
        if over:
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
