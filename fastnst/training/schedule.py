"""Progress of a run, from 0 to 1, and the learning rate and crop size that follow from it.

The progress comes from the step in a run of N steps, and from the clock in a run with a time budget. Everything that
changes during a run is a pure function of it. Knows nothing of networks or Lightning.
"""

import time
from abc import ABC, abstractmethod
from dataclasses import dataclass


class Clock(ABC):
    """Progress of a run, and the time it has taken.

    Args:
        started: `time.monotonic()` when this process began.
    """

    def __init__(self, *, started: float) -> None:
        self.started = started
        self.spent_before = 0.0  # seconds, in earlier processes of a resumed run
        self.reserve = 0.0  # seconds that the last evaluation will take

    def spent(self) -> float:
        """Seconds that the run has taken so far, earlier processes included."""
        return self.spent_before + time.monotonic() - self.started

    @abstractmethod
    def progress(self, step: int) -> float:
        """Progress before the given step, from 0 to 1."""

    @abstractmethod
    def is_over(self, step: int) -> bool:
        """Whether the run ends before the given step."""


class StepClock(Clock):
    """A run of a fixed number of steps, which repeats exactly."""

    def __init__(self, steps: int, *, started: float) -> None:
        super().__init__(started=started)
        self.steps = steps

    def progress(self, step: int) -> float:
        """The share of steps done."""
        return min(step / self.steps, 1.0)

    def is_over(self, step: int) -> bool:
        """Whether all steps are done."""
        return step >= self.steps


class BudgetClock(Clock):
    """A run of a fixed wall-clock time, of which `reserve` seconds are left for the last evaluation."""

    def __init__(self, seconds: float, *, started: float) -> None:
        super().__init__(started=started)
        self.seconds = seconds
        self._last_step: tuple[int, float] | None = None
        self._step_seconds = 0.0

    def progress(self, step: int) -> float:
        """The share of the training time used."""
        return min(self.spent() / max(self.seconds - self.reserve, 1e-3), 1.0)

    def is_over(self, step: int) -> bool:
        """Whether half of another step, as long as the last ones, would exceed the training time."""
        now = time.monotonic()
        if self._last_step is not None and step > self._last_step[0]:
            latest = (now - self._last_step[1]) / (step - self._last_step[0])
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
        decay: Share of the run, at its end, over which it falls linearly to 2 % of the highest.
        growth: `(until, fraction)`: up to that progress, crops have that fraction of the final size.
    """

    learning_rate: float
    crop_size: int
    warmup_steps: int = 100
    decay: float = 0.5
    growth: tuple[tuple[float, float], ...] = ()

    def learning_rate_at(self, progress: float, step: int) -> float:
        """Learning rate of a step."""
        warmup = min(1.0, (step + 1) / self.warmup_steps)
        return self.learning_rate * warmup * min(1.0, max(1.0 - progress, 0.01) / self.decay)

    def crop_size_at(self, progress: float) -> int:
        """Side of the crops in pixels."""
        return self._crop(next((fraction for until, fraction in self.growth if progress < until), 1.0))

    def _crop(self, fraction: float) -> int:
        """A share of the final size: a multiple of 16, at least 32, but never more than the final size."""
        if fraction == 1.0:
            return self.crop_size
        return min(self.crop_size, max(32, round(self.crop_size * fraction / 16) * 16))
