"""Animations (GIF, WebP, APNG, AVIF): stylized frame by frame, with their times and transparency."""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, ImageSequence
from torch import Tensor

from fastnst.base.files import whole_file
from fastnst.images.decode import check_encoding, check_pixels, from_pillow, one_line, opened, pyvips, shown_size
from fastnst.images.formats import ImageError, check_sides, name_of
from fastnst.images.levels import as_channels
from fastnst.images.metadata import marked
from fastnst.images.picture import Picture
from fastnst.images.srgb import upright_srgb
from fastnst.images.stored import pixels_of
from fastnst.images.write import pillow_options, to_pillow

MOST_FRAMES = 10_000  # a frame of one pixel takes kilobytes


@dataclass(frozen=True)
class Animation:
    """The frames of a file as a viewer shows them: each is complete, with what stays of earlier frames.

    Attributes:
        frames: RGB, or RGBA if the file has transparency; upright, sRGB.
        durations: Milliseconds for which each frame is shown.
        plays: Number of plays; 0 for ever.
    """

    frames: list[Image.Image]
    durations: list[float]
    plays: int


def read_animation(source: Path | BinaryIO, *, size: int | None = None, max_pixels: int | None = None) -> Animation:
    """Read all frames.

    Args:
        source: A file, or a stream open for reading bytes.
        size: Longest side in pixels; larger frames are shrunk.
        max_pixels: A file whose frames have more in all is refused before they are decoded [500 million].

    Raises:
        ImageError: As `read_picture`.
    """
    frames, durations = [], []
    with opened(source) as file:
        assert file.header is not None  # which has counted the frames
        image = file.header
        if file.frames > MOST_FRAMES:
            raise ImageError(f"{file.frames:,} frames, and the limit is {MOST_FRAMES:,}: make it a video")
        check_pixels(shown_size(image, file.file), max_pixels, frames=file.frames, whole=file.format)
        plays, scale = _plays(image), min(1.0, (size or math.inf) / max(image.size))
        skipped = 1 if getattr(image, "default_image", False) else 0  # APNG: an image for viewers that know no frames
        for frame in ImageSequence.Iterator(image):
            frame.load()  # WebP and AVIF tell the duration with the pixels
            if frame.tell() >= skipped:
                durations.append(float(frame.info.get("duration", 0)))
                frames.append(Image.fromarray(pixels_of(upright_srgb(from_pillow(frame), scale))))
    return Animation(frames, durations, plays)


def paint_animation(
    source: Path | BinaryIO,
    target: Path | BinaryIO,
    paint: Callable[[Tensor], Tensor],
    *,
    format: str,
    size: int | None = None,
    max_pixels: int | None = None,
    quality: int = 95,
    like: Picture | None = None,
    replace: bool = True,
) -> tuple[int, int]:
    """Stylize each frame, and write them with the times, the number of plays and the transparency of the source.

    Args:
        source: A file with several frames, or a stream of its bytes.
        target: A file, written whole or not at all, or a stream open for writing bytes.
        paint: Function from an image `(1, 3 or 4, H, W)`, sRGB, uint8, with or without opacity, to the same.
        format: One of `images.formats.ANIMATED`.
        size: Longest side in pixels; larger frames are shrunk.
        max_pixels: As in `read_animation`.
        quality: Quality of WebP and AVIF, 1 to 100.
        like: The first picture, whose metadata the file gets.
        replace: Whether to replace an existing file.

    Returns:
        Width and height in pixels.

    Raises:
        ImageError: As `read_picture`, or encoding takes more memory than is left; nothing was painted.
    """
    animation = read_animation(source, size=size, max_pixels=max_pixels)
    width, height = animation.frames[0].size
    check_sides(target, format, (height, width))
    transparent, count = animation.frames[0].mode == "RGBA", len(animation.frames)
    with one_line(name_of(target)):
        check_encoding((width, height), format, rich=transparent, frames=count)
    frames = [_painted(animation.frames.pop(0), paint, format) for _ in range(count)]  # not both in memory
    times = _times(format, animation, transparent=transparent)
    about = pyvips.Image.black(width, height) if like is None else like.image
    options = pillow_options(format, marked(about), quality=quality, stylized=True) | times
    with whole_file(target, replace=replace) as file, one_line(name_of(target), writes=True):
        frames[0].save(file, format, save_all=True, append_images=frames[1:], **options)
    return width, height


def _painted(frame: Image.Image, paint: Callable[[Tensor], Tensor], format: str) -> Image.Image:
    return to_pillow(paint(as_channels(np.array(frame)))[0].permute(1, 2, 0).contiguous().numpy(), format)


def _plays(image: Image.Image) -> int:
    """Number of plays. A GIF file holds the number of repeats, or nothing for none; the others hold the plays."""
    loop = image.info.get("loop")
    if image.format == "GIF":
        return 1 if loop is None else loop + 1 if loop else 0
    return int(loop or 0)


def _times(format: str, animation: Animation, *, transparent: bool) -> dict[str, Any]:
    """Durations and plays as arguments of Pillow's writer of the format."""
    if format == "GIF":
        again = {} if animation.plays == 1 else {"loop": max(0, animation.plays - 1)}
        cleared = {"disposal": 2} if transparent else {}  # otherwise the frame before would show through
        return {"duration": _rounded(animation.durations, 10), **again, **cleared}
    return {"duration": _rounded(animation.durations, 1), "loop": animation.plays}


def _rounded(durations: list[float], unit: int) -> list[int]:
    """Durations rounded to multiples of so many milliseconds, without a drift of their sum."""
    ends = [unit * round(end / unit) for end in itertools.accumulate(durations)]
    return [end - start for start, end in itertools.pairwise([0, *ends])]
