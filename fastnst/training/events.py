"""TensorBoard's events, without which a training goes on, and silence for what libraries say."""

import logging
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import TensorBoardLogger
from torch import Tensor

from fastnst.base.errors import reason_for

log = logging.getLogger("fastnst")


class Events(TensorBoardLogger):
    """Losses and previews for TensorBoard. The first event that cannot be written is told, and no more are.

    Args:
        folder: Of the run.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, name="", version="")
        self._folder = folder
        self.lost = False

    @property
    def experiment(self) -> Any:
        """TensorBoard's writer; None if its file cannot be made."""
        return self._unless_lost(lambda: super(Events, self).experiment)

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Numbers of a step."""
        self._unless_lost(lambda: super(Events, self).log_metrics(metrics, step))

    def add_picture(self, name: str, picture: Tensor, step: int) -> None:
        """A picture `(3, H, W)`, sRGB in [0, 1]."""
        self._unless_lost(lambda: self.experiment.add_image(name, picture.cpu(), step))

    def save(self) -> None:
        """Write what waits."""
        self._unless_lost(super().save)

    def finalize(self, status: str) -> None:
        """Write what waits, and close."""
        self._unless_lost(lambda: super(Events, self).finalize(status))

    def _unless_lost(self, write: Callable[[], Any]) -> Any:
        if self.lost:
            return None
        try:
            return write()
        except (OSError, ValueError) as error:
            cause = error.__cause__ if isinstance(error, ValueError) else error  # Lightning wraps those of numbers
            if not isinstance(cause, OSError):
                raise
            self.lost = True
            reason = reason_for(cause) or cause.strerror or str(cause)
            log.warning("events of %s cannot be written: %s; the training goes on without them", self._folder, reason)
            return None


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Silence Lightning's remarks on devices, workers and folders, and TensorBoard's thread."""
    loggers = [logging.getLogger(name) for name in ("pytorch_lightning", "lightning_fabric")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings(), quiet_writers():
        warnings.filterwarnings("ignore", module="pytorch_lightning")
        warnings.filterwarnings("ignore", module="lightning_fabric")
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


@contextmanager
def quiet_writers() -> Iterator[None]:
    """Let no thread print the error with which it ends, if the system caused it: TensorBoard raises it once more."""
    before = threading.excepthook

    def hook(ended: threading.ExceptHookArgs) -> None:
        if not (isinstance(ended.exc_value, OSError) and "tensorboard" in type(ended.thread).__module__):
            before(ended)

    threading.excepthook = hook
    try:
        yield
    finally:
        threading.excepthook = before
