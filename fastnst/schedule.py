"""Where a run stands between its start (0) and its end (1), and what follows from that.

A run of N steps knows its place from the step; a run with a time budget from the clock. Everything that changes in
the course of a run is a pure function of that place. Knows nothing of networks or Lightning.
"""

import time
from dataclasses import dataclass
from typing import Protocol


class Clock(Protocol):
    """Tells a run its place."""

    def progress(self, step: int) -> float:
        """From 0 at the start to 1 at the end, before the given step."""

    def is_over(self, step: int) -> bool:
        """Whether the run ends before the given step."""


@dataclass(frozen=True)
class StepClock:
    """Ends after a number of steps; the same for every repetition."""

    steps: int

    def progress(self, step: int) -> float:
        """The share of steps done."""
        return min(step / self.steps, 1.0)

    def is_over(self, step: int) -> bool:
        """Whether all steps are done."""
        return step >= self.steps


class BudgetClock:
    """Ends after a wall-clock time, early enough to leave `reserve` seconds for the last evaluation.

    Args:
        seconds: The whole budget.
        started: `time.monotonic()` at which this process began to spend it.
    """

    def __init__(self, seconds: float, *, started: float) -> None:
        self.seconds = seconds
        self.started = started
        self.spent_before = 0.0  # seconds, by processes that this one goes on from
        self.reserve = 0.0  # seconds
        self._last_step = (0, started)
        self._step_seconds = 0.0

    def spent(self) -> float:
        """Seconds of the budget used so far."""
        return self.spent_before + time.monotonic() - self.started

    def remaining(self) -> float:
        """Seconds of the budget still to use."""
        return self.seconds - self.spent()

    def progress(self, step: int) -> float:
        """The share of the training time used."""
        return min(self.spent() / max(self.seconds - self.reserve, 1e-3), 1.0)

    def is_over(self, step: int) -> bool:
        """Whether another step, as long as the last ones, would end after the training time."""
        last, then = self._last_step
        if step > last:
            now = time.monotonic()
            latest = (now - then) / (step - last)
            self._step_seconds = 0.8 * self._step_seconds + 0.2 * latest if self._step_seconds else latest
            self._last_step = (step, now)
        return self.spent() + self._step_seconds / 2 > self.seconds - self.reserve


@dataclass(frozen=True)
class Schedule:
    """Learning rate and crop size in the course of a run.

    Args:
        learning_rate: The highest.
        crop_size: The final one, in pixels.
        warmup_steps: Steps over which the learning rate rises from zero.
        decay: Share of the run, at its end, over which it falls back to zero on a straight line.
        growth: `(until, fraction)`: up to that progress, crops have that fraction of the final size.
    """

    learning_rate: float
    crop_size: int
    warmup_steps: int = 20
    decay: float = 0.5
    growth: tuple[tuple[float, float], ...] = ((0.3, 0.5), (0.65, 0.75))

    def learning_rate_at(self, progress: float, step: int) -> float:
        """Learning rate of a step."""
        warmup = min(1.0, (step + 1) / self.warmup_steps)
        return self.learning_rate * warmup * min(1.0, max(1.0 - progress, 0.01) / self.decay)

    def crop_size_at(self, progress: float) -> int:
        """Side of the crops in pixels."""
        return self._crop(next((fraction for until, fraction in self.growth if progress < until), 1.0))

    def crop_sizes(self) -> list[int]:
        """All sizes in the course of the run, the final one last."""
        return sorted({self._crop(fraction) for _, fraction in self.growth} | {self.crop_size})

    def _crop(self, fraction: float) -> int:
        """A share of the final size: a multiple of 16, at least 32, except for the final size itself."""
        return (
            self.crop_size
            if fraction == 1.0
            else min(self.crop_size, max(32, round(self.crop_size * fraction / 16) * 16))
        )
