"""Early warnings: the style loss does not fall, the output saturates, one style swallows another.

A Lightning callback that changes no number.
"""

import logging
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor

CHECKED_AT = (0.2, 0.5)  # of the run
FEWEST_STEPS = 100  # before that nothing can be told
RECENT = 0.95  # smoothing of the style loss
HARDLY_FALLEN = 0.9  # of its first value
STILL_HIGH = 0.5  # relative style loss, if it has hardly fallen
SATURATED = 0.3  # share of values at 0 or 1, beyond that of the style image
EDGE = 0.01  # a value so close to 0 or 1 is saturated
ALIKE = 0.02  # mean difference of one photo in two styles
SWALLOWED = 3.0  # times the lowest style loss
log = logging.getLogger("fastnst")


def saturation(images: Tensor) -> float:
    """Share of values at 0 or 1.

    Example:
        >>> saturation(Tensor([0.0, 0.5, 1.0, 0.25]))
        0.5
    """
    return float(((images < EDGE) | (images > 1 - EDGE)).float().mean())


class Alarms(Callback):
    """Warnings at a fifth and at half of a run: a style is not learnt, pictures saturate, two styles look the same.

    Args:
        photos: A few held-out ones, `(B, 3, H, W)`.
        names: Of the styles.
        saturation: Of each style image.
    """

    def __init__(self, photos: Tensor, names: list[str], saturation: list[float]) -> None:
        self._photos, self._names, self._allowed = photos[:2], names, saturation
        self._left = list(CHECKED_AT)
        self._first: dict[int, float] = {}
        self._recent: dict[int, float] = {}
        self.said: list[str] = []

    def state_dict(self) -> dict[str, Any]:
        """State for a checkpoint, so that a resumed run is compared with its beginning."""
        return {"left": self._left, "first": self._first, "recent": self._recent}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the state of a checkpoint."""
        self._left, self._first, self._recent = (state_dict[key] for key in ("left", "first", "recent"))

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Record the style loss; check, if it is time."""
        for style, loss in zip(outputs["styles"].tolist(), outputs["style_losses"].tolist(), strict=True):
            self._first.setdefault(style, loss)
            self._recent[style] = RECENT * self._recent.get(style, loss) + (1 - RECENT) * loss
        progress: Any = pl_module.progress
        if self._left and progress >= self._left[0] and trainer.global_step >= FEWEST_STEPS:
            self._left.pop(0)
            if trainer.is_global_zero:
                for warning in (*self._losses(), *self._pictures(pl_module)):
                    if warning not in self.said:
                        self.said.append(warning)
                        log.warning("%s", warning)

    def _losses(self) -> list[str]:
        said = []
        for style, recent in self._recent.items():
            if recent > max(HARDLY_FALLEN * self._first[style], STILL_HIGH):
                fall = f"{self._first[style]:.2g} to {recent:.2g}"
                said.append(
                    f"the style loss of {self._names[style]} has hardly fallen ({fall}): "
                    "a higher --style-weight or a smaller --style-size may help"
                )
        lowest = min(self._recent.values())
        for style, recent in self._recent.items():
            if recent > max(SWALLOWED * lowest, STILL_HIGH):
                said.append(
                    f"{self._names[style]} is learnt much worse than other styles "
                    f"(style loss {recent:.2g} against {lowest:.2g}): train it on its own"
                )
        return said

    def _pictures(self, module: LightningModule) -> list[str]:
        network: Any = module.network
        painted = network.in_every_style(self._photos.to(module.device))
        said = [
            f"{share:.0%} of the values of pictures in the style {name} are black or white: "
            "a lower --learning-rate or --style-weight may help"
            for name, share, allowed in zip(self._names, map(saturation, painted), self._allowed, strict=True)
            if share > SATURATED + allowed
        ]
        for i, first in enumerate(painted):
            for j in range(i):
                if float((first - painted[j]).abs().mean()) < ALIKE:
                    said.append(
                        f"{self._names[j]} and {self._names[i]} give almost the same pictures: train them apart"
                    )
        return said
