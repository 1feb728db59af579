"""`BaseTrainer`: the Lightning module that trains a network for all paintings at once. Knows nothing of files."""

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from fastnst.networks.network import TransformationNetwork, within
from fastnst.perception.calm import calm_loss
from fastnst.perception.perceptual_loss import PerceptualLoss
from fastnst.training.data import PhotoBatch
from fastnst.training.pooled import shared_layers, weighed
from fastnst.training.schedule import Clock, Schedule
from fastnst.training.style_trainer import BORDER_EVERY, BORDER_WEIGHT, border_loss, make_optimizer
from fastnst.training.timed_module import LOG_EVERY, TimedModule
from fastnst.universal.predictor import StylePredictor, paint

# Learning rate of the predictor in that of the norms: a scale is a sum of 100 numbers, and so moves by as many steps.
PREDICTOR_RATE = 0.05


class Paintings(Protocol):
    """What the trainer needs of paintings: those to train on have numbers from 0, those held out come after them."""

    num_training: int
    num_held_out: int

    def statistics(self, numbers: list[int]) -> Tensor:
        """For the predictor, `(B, 736)`."""

    def style_targets(self, numbers: list[int]) -> Mapping[str, Tensor]:
        """For the loss, `(B, C, C)` by layer."""

    def detail(self, numbers: list[int]) -> Tensor:
        """Their own fine detail, `(B,)`."""


class BaseTrainer(TimedModule):
    """Trains a transformation network together with a predictor of its norms: photos meet paintings by chance.

    Args:
        network: The network to train, of one style: that of a painting whose prediction is zero.
        predictor: The predictor to train; its encoder stays as it is.
        perceptual_loss: The loss; its own style is not used.
        paintings: Statistics and targets.
        schedule: Learning rate and crop size.
        clock: Progress of the run; ends it.
        seed: Decides which photo meets which painting.
        style_per_photo: How much of the style each photo has to have by itself. Below 1, all photos of a step meet one
            painting and have the rest of its style together; see `PooledStatistics`.
        calm: What as much fine detail as in the painting costs in calm places; see `Calm`.
        margin: Pixels on each side of a training photo that the network sees and the losses do not.
    """

    def __init__(
        self,
        network: TransformationNetwork,
        predictor: StylePredictor,
        perceptual_loss: PerceptualLoss,
        paintings: Paintings,
        *,
        schedule: Schedule,
        clock: Clock,
        seed: int = 0,
        margin: int = 0,
        style_per_photo: float = 1.0,
        calm: float = 0.0,
    ) -> None:
        super().__init__(clock, schedule, margin=margin)
        self.network, self.predictor, self.perceptual_loss = network, predictor, perceptual_loss
        self.paintings, self.seed = paintings, seed
        self.style_per_photo, self.calm = style_per_photo, calm
        self.strict_loading = False  # the loss network is not in the checkpoint

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:  # type: ignore[override]
        """The weights without those of the loss network."""
        state = super().state_dict(*args, **kwargs)
        return {name: value for name, value in state.items() if not name.startswith("perceptual_loss.")}

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """As in `fastnst train`, and Adam for the predictor."""
        optimizer = make_optimizer(self.network, learning_rate=self.schedule.learning_rate)
        trained = [each for each in self.predictor.parameters() if each.requires_grad]
        optimizer.add_param_group({"params": trained, "muon": False, "times": PREDICTOR_RATE})
        return optimizer

    def training_step(self, batch: PhotoBatch, batch_idx: int) -> Tensor:
        """Loss of one batch, each photo in the style of a painting drawn for it, or all in that of one."""
        photos, count = batch.photos, len(batch.photos)
        first = self.global_step * batch.photos_of_step + batch.first
        together = self.style_per_photo < 1
        drawn = np.random.default_rng([self.seed, first]).integers(
            self.paintings.num_training, size=1 if together else count
        )
        styles: list[int] = drawn.tolist() * (count if together else 1)
        numbers = self.predicted(styles)
        stylized = paint(self.network, photos, numbers, margin=self.margin)
        photos = within(photos, self.margin)
        targets = self.once(batch.draws, lambda: self.perceptual_loss.content_targets(photos))
        style_targets, one_hot = self._style_targets(styles), torch.eye(count, device=self.device)
        if together:
            shared = shared_layers(style_targets)

            def mixed(layer: str, found: Tensor, _: Tensor) -> Tensor:
                mean = found.mean(0, keepdim=True).expand_as(found)
                return torch.lerp(mean, found, self.style_per_photo) if layer in shared else found

            each = self.perceptual_loss(stylized, targets, one_hot, style_targets=style_targets, mixed=mixed)
            each = weighed(each, self.perceptual_loss.style_weight, self.style_per_photo)
        else:
            each = self.perceptual_loss(stylized, targets, one_hot, style_targets=style_targets)
        if self.calm:
            with torch.autocast(self.device.type, enabled=False):
                detail = self.paintings.detail(styles).to(self.device)
                calm = self.calm * calm_loss(stylized.float(), photos.float(), detail)
            each = each._replace(total=each.total + calm)
        losses = each.mean()
        if self.global_step % LOG_EVERY == 0:
            self.log_dict({f"train/{name}": value.detach() for name, value in losses._asdict().items()})
        loss: Tensor = losses.total
        if self.margin and self.global_step % BORDER_EVERY == 0:
            border = border_loss(paint(self.network, photos, numbers), stylized, self.margin)
            loss = loss + BORDER_WEIGHT * border.mean()
        return loss

    def predicted(self, styles: list[int]) -> Tensor:
        """The predictor's numbers for paintings, in float32."""
        with torch.autocast(self.device.type, enabled=False):
            numbers: Tensor = self.predictor(self.paintings.statistics(styles).to(self.device))
            return numbers

    def _style_targets(self, styles: list[int]) -> dict[str, Tensor]:
        return {layer: matrix.to(self.device) for layer, matrix in self.paintings.style_targets(styles).items()}

    def validation_step(self, batch: PhotoBatch, batch_idx: int) -> None:
        """Losses of validation photos, each in the style of a held-out painting, in float32."""
        count = len(batch.photos)
        places = range(batch_idx * count, batch_idx * count + count)
        held_out = [self.paintings.num_training + place % self.paintings.num_held_out for place in places]
        with torch.autocast(self.device.type, enabled=False):
            numbers = self.predicted(held_out)
            each = self.perceptual_loss(
                paint(self.network, batch.photos, numbers),
                self.perceptual_loss.content_targets(batch.photos),
                torch.eye(count, device=self.device),
                style_targets=self._style_targets(held_out),
            )
        for name, value in each.mean()._asdict().items():
            self.log(f"held_out/{name}", value, batch_size=count, sync_dist=True)
