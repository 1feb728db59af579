"""Readers of image files: `load_image`, `read_picture`, photos for training.

What is special about image files (16 bit, EXIF, ICC, alpha, grey, CMYK) is handled here and in `srgb.py`. Pixels stay
whole numbers as in the file until floats are asked for, which take up to four times the memory. torch is loaded by what
gives tensors.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
from PIL import Image

from fastnst.images.decode import field, opened
from fastnst.images.formats import ImageError, name_of
from fastnst.images.levels import Bytes, from_levels, to_array
from fastnst.images.metadata import jpeg_quality, read_tiff_metadata
from fastnst.images.picture import Picture
from fastnst.images.srgb import upright_srgb
from fastnst.images.stored import Watch, stored

if TYPE_CHECKING:
    from torch import Tensor

LONGEST = 4  # short sides; what is beyond of a painting that is measured by its short side is left out


def load_image(source: Path | BinaryIO, *, size: int | None = None) -> Tensor:
    """The pixels of a file, `(1, 3, H, W)`; see `read_picture`."""
    return read_picture(source, size=size).pixels


def load_on_white(source: Path | BinaryIO, *, size: int | None = None, edge: Callable[..., int] = max) -> Tensor:
    """The pixels of a file, `(1, 3, H, W)`, on white where it is transparent; for style images and masks.

    If `edge` is the shortest side, only the middle of a long one: else a strip of 1 px would have no bounds.
    """
    picture = read_picture(source, size=size, edge=edge)
    most = LONGEST * min(picture.size) if edge is min else max(picture.size)
    starts = [max(0, length - most) // 2 for length in picture.size]
    ends = [min(length, start + most) for length, start in zip(picture.size, starts, strict=True)]
    channels = from_levels(picture.part((slice(starts[0], ends[0]), slice(starts[1], ends[1]))))
    alpha = channels[:, 3:].prod(1, keepdim=True)  # 1 where there is none
    return channels[:, :3] * alpha + (1 - alpha)


def read_picture(
    source: Path | BinaryIO,
    *,
    size: int | None = None,
    edge: Callable[..., int] = max,
    spare: int = 2,
    max_pixels: int | None = None,
    watch: Watch = iter,
) -> Picture:
    """Read an image file of any kind, turned upright and converted to sRGB; 16 bit stay 16 bit.

    Args:
        source: A file, or a stream open for reading bytes.
        size: A side in pixels; a larger image is shrunk (Lanczos), a smaller one stays as it is.
        edge: Which side that is: the longest (max) or the shortest (min).
        spare: A JPEG file may be decoded at an eighth of its size, if so many times the size are left.
        max_pixels: A file of more pixels is refused [500 million].
        watch: Wraps the iterable of what is decoded, strip by strip; what it raises ends that.

    Raises:
        ImageError: No such file, or it is damaged, not an image, or has more than `max_pixels`.
    """
    if size is not None and size < 1:
        raise ImageError(f"size must be at least 1 pixel, got {size}")
    with opened(source, max_pixels=max_pixels) as file:
        wanted = size or edge(*file.size)
        shrink = next((by for by in (8, 4, 2) if spare * wanted * by <= edge(*file.size)), 1)
        loaded = file.load(shrink=shrink) if file.format == "JPEG" and shrink > 1 else file.load()
        image = upright_srgb(loaded, wanted / edge(loaded.width, loaded.height))
        if file.format == "TIFF":
            image = read_tiff_metadata(image, file.file)
        return Picture(
            stored(image, watch),
            name=name_of(source),
            format=file.format,
            quality=jpeg_quality(file.header),
            frames=file.frames,
            profile=field(loaded, "icc-profile-data"),
        )


def decode_photo(data: bytes | Path, *, short_side: int) -> Bytes:
    """A photo for training, `(H, W, 3)`: turned, sRGB, its short side brought down to `short_side` pixels.

    A photo that is smaller stays as it is. A large JPEG file is decoded at a fraction of its size.
    """
    source = io.BytesIO(data) if isinstance(data, bytes) else data
    photo: Bytes = to_array(read_picture(source, size=short_side, edge=min, spare=1).visible)[0]
    return photo


def image_size(source: Path | BinaryIO) -> tuple[int, int]:
    """Width and height in pixels as in the file; only its header is read."""
    with opened(source) as file:
        return file.size


def crop_photo(photo: Bytes, box: tuple[float, float, float, float], size: int) -> Bytes:
    """The part of a photo `(H, W, 3)` inside (left, top, right, bottom), in pixels, as a square of `size`."""
    return np.array(Image.fromarray(photo).resize((size, size), Image.Resampling.BICUBIC, box=box))
