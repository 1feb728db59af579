"""`--style-weight auto`: a controller that finds the style weight at which content and style error have a fixed ratio.

Knows nothing of networks: it gets the two errors of each step and returns the weight of the next.
"""

import math
from typing import Any

# Content error over style error, which a weight of 10 comes to: where each photo has the style by itself, Udnie 13.1 to
# 14.8 and the Great Wave 17.6 at the end; where photos have it together, 34 and 38 (records/LOG.md).
TARGET, TARGET_TOGETHER = 15.0, 36.0
FROM, UNTIL = 0.15, 0.85  # of the run: earlier the network knows no style yet; later the loss must not change any more
GAIN = 12.0  # how often the logarithm of the error would be made up in a whole run
SMOOTHING = 0.97
LOWEST, HIGHEST = 0.5, 64.0


class Balance:
    """The style weight in the course of a run, a pure function of the errors so far.

    Args:
        weight: The initial weight.
        target: The ratio of content error to style error.
    """

    def __init__(self, weight: float = 8.0, target: float = TARGET) -> None:
        self.weight, self.target = weight, target
        self._errors: list[float] | None = None  # content, style, smoothed
        self._progress = FROM

    def update(self, content: float, style: float, progress: float) -> float:
        """The weight after a step.

        Args:
            content: Content error of the step, unweighted.
            style: Style error of the step, unweighted.
            progress: Share of the run that is done, from 0 to 1.
        """
        # The ratio of the means, as it is measured at the end. The mean of the ratios was 1.5 times as high
        # (records/LOG.md): few photos have most of the style error.
        now = [max(content, 1e-6), max(style, 1e-6)]
        before = self._errors or now
        self._errors = [SMOOTHING * old + (1 - SMOOTHING) * new for old, new in zip(before, now, strict=True)]
        moved = min(max(progress, self._progress), UNTIL) - self._progress
        # More weight lowers the style error and raises the content error: too high a ratio wants less.
        weight = self.weight * math.exp(GAIN * moved * math.log(self.target * self._errors[1] / self._errors[0]))
        self.weight = min(max(weight, LOWEST), HIGHEST)
        self._progress += moved
        return self.weight

    def state_dict(self) -> dict[str, Any]:
        """State for a checkpoint."""
        return {"weight": self.weight, "errors": self._errors, "progress": self._progress}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the state of a checkpoint."""
        self.weight, self._errors, self._progress = state["weight"], state["errors"], state["progress"]
