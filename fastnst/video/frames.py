"""Frames: a sequence of pictures as a folder of PNG files, or as a video that plays even if it was cut short.

Knows nothing of optimisations. Only a video needs PyAV, which is imported for it.
"""

from fractions import Fraction
from pathlib import Path
from typing import Self

import torch.nn.functional as F
from torch import Tensor

from fastnst.base.errors import UserError
from fastnst.base.files import check_place
from fastnst.images.write import save_image
from fastnst.video.formats import CONTAINERS
from fastnst.video.reader import Form, Shot, load_pyav
from fastnst.video.writer import VideoWriter


class Frames:
    """A writer of pictures: `with Frames(Path("way.mp4")) as frames: frames.add(image)`.

    A video appears whole at the end of the block, also after an exception or Ctrl-C; without pictures none is written.

    Args:
        target: A folder (a name without a suffix) for `0001.png` and so on, or a .mp4, .mkv, .mov or .webm file.
        size: Width and height of a video in pixels, by default those of its first picture; an odd one grows by one.
            A folder keeps each picture as it is.
        fps: Pictures per second of a video.
        force: Replace an existing video, or write into a folder that is not empty, where other files stay.

    Raises:
        UserError: The suffix is unknown, the target exists, or PyAV is missing.
    """

    def __init__(
        self, target: Path, *, size: tuple[int, int] | None = None, fps: int = 25, force: bool = False
    ) -> None:
        if fps < 1:
            raise UserError(f"fps must be at least 1, got {fps}")
        _check_target(target, force=force)
        self._target = target
        self._video = _Video(target, size=size, fps=fps, replace=force) if target.suffix else None
        self._count = 0

    def __enter__(self) -> Self:
        """Return itself; nothing is written yet."""
        return self

    def __exit__(self, *_: object) -> None:
        """Finish the video, whatever happened."""
        if self._video:
            self._video.finish()

    def add(self, image: Tensor) -> None:
        """Add the next picture, `(1, 3, H, W)`, sRGB in [0, 1], of any size; a video stretches it to its own."""
        if image.ndim != 4 or image.shape[:2] != (1, 3):
            raise ValueError(f"expected one image (1, 3, H, W), got {tuple(image.shape)}")
        if self._video:
            self._video.write(image)
        else:
            save_image(image, self._target / f"{self._count + 1:04}.png")
        self._count += 1


class _Video:
    """A video file that takes its size from the first picture, if it is not given."""

    def __init__(self, target: Path, *, size: tuple[int, int] | None, fps: int, replace: bool) -> None:
        load_pyav(target)
        self._target, self._size, self._fps, self._replace = target, size, fps, replace
        self._writer: VideoWriter | None = None

    def write(self, image: Tensor) -> None:
        self._size = width, height = self._size or (image.shape[-1], image.shape[-2])
        form = Form(width=width, height=height, rate=Fraction(self._fps), unit=Fraction(1, self._fps))
        self._writer = self._writer or VideoWriter(self._target, form, replace=self._replace)
        self._writer.write(Shot(_fitted(image, width, height), self._writer.num_pictures, 1))

    def finish(self) -> None:
        if self._writer:
            self._writer.finish()


def _check_target(target: Path, *, force: bool) -> None:
    """Check before any work that the suffix is known and nothing would be lost."""
    suffix = target.suffix.lower()
    if suffix and suffix not in CONTAINERS:
        known = ", ".join(CONTAINERS)
        raise UserError(f"{target}: expected a folder or a name ending in {known}, got {target.suffix!r}")
    if target.exists() and target.is_dir() == bool(suffix):
        raise UserError(f"{target}: expected a {'video, found a folder' if suffix else 'folder, found a file'}")
    check_place(target)
    if target.is_file() and not force:
        raise UserError(f"{target} exists: --force replaces it")
    if target.is_dir() and any(target.iterdir()) and not force:
        raise UserError(f"{target} is not empty: --force writes into it")


def _fitted(image: Tensor, width: int, height: int) -> Tensor:
    if image.shape[-2:] == (height, width):
        return image
    return F.interpolate(image.detach().float(), (height, width), mode="bicubic", antialias=True)
