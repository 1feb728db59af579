"""`StyleTrainer`: the Lightning module, with training step, validation step and checkpoint. Knows nothing of files."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from fastnst.base.errors import TrainingError
from fastnst.networks.network import ConvNorm, TransformationNetwork, UpsampleConvNorm, within
from fastnst.perception.calm import Calm
from fastnst.perception.perceptual_loss import Losses, PerceptualLoss
from fastnst.training.balance import Balance
from fastnst.training.data import Draw, PhotoBatch
from fastnst.training.muon import Muon
from fastnst.training.pooled import PooledStatistics
from fastnst.training.schedule import Clock, Schedule
from fastnst.training.timed_module import LOG_EVERY, TimedModule

DIVERGED = 4.0  # times the loss of the first steps
BORDER_WEIGHT, BORDER_EVERY = 10.0, 4  # rounds of all styles


def border_loss(alone: Tensor, surrounded: Tensor, width: int) -> Tensor:
    """Mean squared difference between a stylized crop's outermost pixels and the same place with more photo around it.

    Args:
        alone: `(B, 3, H, W)`, the stylized crop.
        surrounded: `(B, 3, H, W)`, the same place cut out of a larger stylized crop; gets no gradient.
        width: Width of the border in pixels.

    Returns:
        `(B,)`.
    """
    squares = (alone.float() - surrounded.detach().float()).square()
    inner = within(squares, width)
    pixels = squares[0].numel() - inner[0].numel()
    return (squares.flatten(1).sum(1) - inner.flatten(1).sum(1)) / pixels


def laid_out(network: TransformationNetwork, device: torch.device, *, bfloat16: bool) -> TransformationNetwork:
    """The network itself, its filters in the memory layout in which it trains fastest.

    On a CPU in bfloat16 that is channels last: 0.82 of a step. In float32 the gradient of the filters takes two to four
    times as long so (records/LOG.md). On GPUs nothing was measured.
    """
    last = bfloat16 and device.type == "cpu"
    return network.to(memory_format=torch.channels_last if last else torch.contiguous_format)


def make_optimizer(
    network: TransformationNetwork, *, learning_rate: float, name: str = "muon"
) -> torch.optim.Optimizer:
    """Muon for the filters that a norm follows and Adam for the rest, or with `adam` Adam for all."""
    if name == "adam":
        return torch.optim.Adam(network.parameters(), lr=learning_rate)
    # Differs from Johnson et al. (2016), section 4.1, who train with Adam alone: after the same 180 s the objective was
    # 1.143 with Muon and 1.223 with Adam (records/LOG.md).
    layers = [layer for layer in network.modules() if isinstance(layer, ConvNorm | UpsampleConvNorm)]
    convs = [layer.conv for layer in layers]
    convs += [layer.skip for layer in layers if isinstance(layer, UpsampleConvNorm) and layer.skip is not None]
    filters = {id(conv.weight): conv.weight for conv in convs}
    others = [parameter for parameter in network.parameters() if id(parameter) not in filters]
    return Muon(filters.values(), others, lr=learning_rate)


class StyleTrainer(TimedModule):
    """Trains a transformation network to minimise a perceptual loss.

    Args:
        network: The network to train; a checkpoint holds it and the optimiser.
        perceptual_loss: The loss, with as many styles as the network.
        schedule: Learning rate and crop size.
        clock: Progress of the run; ends it.
        balance: Finds the style weight, unless the losses keep theirs.
        optimizer: See `make_optimizer`.
        margin: Pixels on each side of a training photo that the network sees and the losses do not.
        style_per_photo: How far each training photo has to match the style by itself, from 0 to 1; see
            `PooledStatistics`.
        calm: Keeps strokes out of calm places of training photos.
    """

    # Differs from Johnson et al. (2016), whose losses see all of the picture. A network that knows where they end gives
    # the border up for the style, a strip or a frame on every photo: strokes in few places cost the content least, and
    # the border is a place that all photos have. What it paints there it learns from itself: the same as it would with
    # more of the photo to see (records/LOG.md).

    def __init__(
        self,
        network: TransformationNetwork,
        perceptual_loss: PerceptualLoss,
        *,
        schedule: Schedule,
        clock: Clock,
        balance: Balance | None = None,
        optimizer: str = "muon",
        margin: int = 0,
        style_per_photo: float = 1.0,
        calm: Calm | None = None,
    ) -> None:
        super().__init__(clock, schedule, margin=margin)
        self.network = network
        self.perceptual_loss = perceptual_loss
        self.pooled: PooledStatistics | None = None
        if style_per_photo < 1:
            self.pooled = PooledStatistics(perceptual_loss.styles, style_per_photo)
        self.balance, self.calm = balance, calm
        self.optimizer_name = optimizer
        self.began_at: dict[str, Any] | None = None  # the style file of a warm start, for the records
        self.strict_loading = False  # the loss network is not in the checkpoint
        self._first_losses: list[float] = []
        self._recent_loss = 0.0

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:  # type: ignore[override]
        """The weights without those of the loss network."""
        state = super().state_dict(*args, **kwargs)
        return {name: value for name, value in state.items() if not name.startswith("perceptual_loss.")}

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """See `make_optimizer`; its learning rate follows the schedule."""
        return make_optimizer(self.network, learning_rate=self.schedule.learning_rate, name=self.optimizer_name)

    def training_step(self, batch: PhotoBatch, batch_idx: int) -> dict[str, Tensor]:
        """Loss of one batch, whose photos take the styles in turn, with the style and style loss of all photos.

        Several processes share the photos of a step. What is logged and decided is of all of them.
        """
        count = batch.photos_of_step
        styles = (torch.arange(count, device=self.device) + self.global_step * count) % self.network.num_styles
        own = slice(batch.first, batch.first + len(batch.photos))
        each, border = self.losses(batch.photos, styles[own], margin=self.margin, draws=batch.draws)
        everyone = self.of_all_processes(each, own, count)
        if self.pooled:
            self.pooled.update(styles, own, self.summed)
        mean = everyone.mean()
        self._refuse_divergence(mean.total.item())
        if self.global_step % LOG_EVERY == 0:
            self.log_dict({f"train/{name}": value for name, value in mean._asdict().items()})
        if self.balance is not None:
            self._rebalance(self.balance, mean)
        loss = each.total.mean() if border is None else each.total.mean() + BORDER_WEIGHT * border.mean()
        # The mean over processes, which DDP takes of gradients, is then that over photos, also of unequal shares.
        loss = loss * (len(batch.photos) * self.trainer.world_size / count)
        return {"loss": loss, "styles": styles, "style_losses": everyone.style}

    def of_all_processes(self, each: Losses, own: slice, count: int) -> Losses:
        """The losses of all `count` photos of a step, without gradients, from those `(B,)` of a process's own."""
        values = torch.stack([value.detach() for value in each])  # (4, B)
        if self.trainer.world_size > 1:
            values, mine = values.new_zeros(len(each), count), values
            values[:, own] = mine
        return Losses(*self.summed(values))

    def summed(self, values: Tensor) -> Tensor:
        """The sum of a tensor over all processes."""
        if self.trainer.world_size > 1:
            values = self.trainer.strategy.reduce(values, reduce_op="sum")
        return values

    def _rebalance(self, balance: Balance, losses: Losses) -> None:
        """Update the style weight from the errors of a step."""
        content, style = losses.content.item(), losses.style.item()
        self._set_style_weight(balance.update(content, style, self.progress))
        if self.global_step % LOG_EVERY == 0:
            self.log("style_weight", balance.weight)

    def _set_style_weight(self, weight: float) -> None:
        self.perceptual_loss.style_weight = weight

    def losses(
        self,
        photos: Tensor,
        styles: Tensor,
        *,
        margin: int = 0,
        draws: tuple[Draw, ...] = (),
        targets: Mapping[str, Tensor] | None = None,
    ) -> tuple[Losses, Tensor | None]:
        """Losses of photos `(B, 3, H, W)`, each stylized in its style `(B,)`, without a margin of so many pixels.

        The content targets are those given, or of the photos; those of draws are kept for the next step that has them.
        Also returns the border loss `(B,)`, at the steps that have one.
        """
        one_hot = torch.eye(self.network.num_styles, device=self.device)[styles]
        # One row for all where they agree: the norm is then a single fused operation.
        one_hot = one_hot[:1] if self.network.num_styles == 1 or len(photos) == 1 else one_hot
        stylized = self.network(photos, one_hot, **({"margin": margin} if margin else {}))
        photos = within(photos, margin)
        if targets is None:
            targets = self.once(draws, lambda: self.perceptual_loss.content_targets(photos))
        losses: Losses
        if not (self.pooled and self.training):
            losses = self.perceptual_loss(stylized, targets, one_hot)
        else:
            mixed = self.perceptual_loss(stylized, targets, one_hot, mixed=self.pooled.mixed)
            losses = self.pooled.weighed(mixed, self.perceptual_loss.style_weight)
        if self.calm and self.training:
            calm = self.calm(stylized, photos, styles)
            losses = losses._replace(total=losses.total + calm)
            if self.global_step % LOG_EVERY == 0:
                self.log("train/calm", calm.detach().mean(), sync_dist=True)
        if not margin or self.global_step // self.network.num_styles % BORDER_EVERY:
            return losses, None
        return losses, border_loss(self.network(photos, one_hot), stylized, margin)

    def validation_step(self, batch: PhotoBatch, batch_idx: int) -> None:
        """Losses of validation photos in every style, in float32. They are only reported."""
        size, num_styles = len(batch.photos), self.network.num_styles
        with torch.autocast(self.device.type, enabled=False):
            targets = self.perceptual_loss.content_targets(batch.photos)  # the same for all styles
            each = [
                self.losses(batch.photos, torch.full((size,), i, device=self.device), targets=targets)[0]
                for i in range(num_styles)
            ]
        mean = {
            f"held_out/{part}": torch.cat(values).mean() for part, *values in zip(Losses._fields, *each, strict=True)
        }
        self.log_dict(mean, batch_size=size, sync_dist=True)
        if num_styles > 1:
            by_style = {f"held_out/total_{i}": losses.total.mean() for i, losses in enumerate(each)}
            self.log_dict(by_style, batch_size=size, sync_dist=True)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Save the time spent, so that a budget continues where it stopped, and the state of the run's start."""
        super().on_save_checkpoint(checkpoint)
        checkpoint["first_losses"] = self._first_losses
        checkpoint["began_at"] = self.began_at
        checkpoint["balance"] = self.balance.state_dict() if self.balance else None

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restore what `on_save_checkpoint` saved."""
        super().on_load_checkpoint(checkpoint)
        self._first_losses = checkpoint["first_losses"]
        self.began_at = checkpoint["began_at"]
        if self.balance:
            self.balance.load_state_dict(checkpoint["balance"])
            self._set_style_weight(self.balance.weight)

    def _refuse_divergence(self, loss: float) -> None:
        """Stop a run whose loss is not finite or has grown far above its start."""
        if len(self._first_losses) < 20:
            self._first_losses.append(loss)
        start = sum(self._first_losses) / len(self._first_losses)
        self._recent_loss = 0.95 * (self._recent_loss or start) + 0.05 * loss
        if not self._recent_loss <= DIVERGED * start:  # also where it is NaN
            raise TrainingError(
                f"the loss {'is no number' if loss != loss else f'grew from {start:.3g} to {self._recent_loss:.3g}'} "
                f"at step {self.global_step}; try a lower --learning-rate"
            )
