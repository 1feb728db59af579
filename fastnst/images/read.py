"""Readers of image files: `load_image`, `read_picture`, photos for training.

What is special about image files (16 bit, EXIF, ICC, alpha, grey, CMYK) is handled here and in `srgb.py`. Pixels stay
whole numbers as in the file until floats are asked for, which take up to four times the memory.
"""

import io
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image
from torch import Tensor

from fastnst.images.decode import Opened, field, opened, pyvips
from fastnst.images.formats import ANIMATED, ImageError, name_of
from fastnst.images.levels import Bytes, as_channels, from_levels, to_array
from fastnst.images.metadata import jpeg_quality, read_tiff_metadata
from fastnst.images.opacity import filled, on_white
from fastnst.images.picture import Picture
from fastnst.images.srgb import eight_bit, upright_srgb
from fastnst.images.stored import pixels_of, stored


def load_image(source: Path | BinaryIO, *, size: int | None = None) -> Tensor:
    """The pixels of a file, `(1, 3, H, W)`; see `read_picture`."""
    return read_picture(source, size=size).pixels


def load_on_white(source: Path | BinaryIO, *, size: int | None = None) -> Tensor:
    """The pixels of a file, `(1, 3, H, W)`, on white where it is transparent; for style images and masks."""
    return on_white(from_levels(read_picture(source, size=size).levels))


def load_with_short_side(source: Path | BinaryIO, side: int) -> Tensor:
    """As `load_on_white`, shrunk to a short side in pixels; a smaller one is not enlarged. A stream is read twice."""
    start = None if isinstance(source, Path) else source.tell()
    short, long = sorted(image_size(source))
    if not isinstance(source, Path) and start is not None:
        source.seek(start)
    return load_on_white(source, size=min(long, round(side * long / short)))


def read_picture(source: Path | BinaryIO, *, size: int | None = None, max_pixels: int | None = None) -> Picture:
    """Read an image file of any kind, turned upright and converted to sRGB; 16 bit stay 16 bit.

    Args:
        source: A file, or a stream open for reading bytes.
        size: Longest side in pixels; a larger image is shrunk (Lanczos), a smaller one stays as it is.
        max_pixels: A file of more pixels is refused [500 million].

    Raises:
        ImageError: No such file, or it is damaged, not an image, or has more than `max_pixels`.
    """
    if size is not None and size < 1:
        raise ImageError(f"size must be at least 1 pixel, got {size}")
    with opened(source, max_pixels=max_pixels) as file:
        image = _decoded(file, max, size, spare=2)
        if file.format == "TIFF":
            image = read_tiff_metadata(image, file.file)
        return Picture(
            stored(image),
            name=name_of(source),
            format=file.format,
            quality=jpeg_quality(file.header),
            frames=count_frames(file),
            profile=field(file.image, "icc-profile-data"),
        )


def decode_photo(data: bytes | Path, *, short_side: int) -> Bytes:
    """A photo for training, `(H, W, 3)`: turned, sRGB, its short side brought down to `short_side` pixels.

    A photo that is smaller stays as it is. A large JPEG file is decoded at a fraction of its size.
    """
    with opened(io.BytesIO(data) if isinstance(data, bytes) else data) as file:
        array: Bytes = pixels_of(eight_bit(_decoded(file, min, short_side, spare=1)))
    return to_array(filled(from_levels(as_channels(array))))[0] if array.shape[2] == 4 else array


def image_size(source: Path | BinaryIO) -> tuple[int, int]:
    """Width and height in pixels as in the file; only its header is read."""
    with opened(source) as file:
        return file.image.width, file.image.height


def crop_photo(photo: Bytes, box: tuple[float, float, float, float], size: int) -> Bytes:
    """The part of a photo `(H, W, 3)` inside (left, top, right, bottom), in pixels, as a square of `size`."""
    return np.array(Image.fromarray(photo).resize((size, size), Image.Resampling.BICUBIC, box=box))


def count_frames(file: Opened) -> int:
    """Pictures of an animation, pages of a TIFF file; 1 of all else, also of photos with a depth map beside them."""
    with suppress(Exception):  # APNG and AVIF are animations to Pillow alone; a damaged one raises any error
        if file.format in (*ANIMATED, "TIFF"):
            return int(getattr(file.header, "n_frames", 1))
    return 1


def _decoded(file: Opened, edge: Callable[..., int], side: int | None, *, spare: int) -> pyvips.Image:
    """Turned upright, RGB or RGBA, sRGB, with the longest (max) or shortest (min) edge at most `side`.

    A JPEG file may be decoded at an eighth of its size, as long as `spare` times the pixels wanted are left.
    """
    image = file.image
    share = 1.0 if side is None else side / edge(image.width, image.height)
    shrink = next((by for by in (8, 4, 2) if spare * share * by <= 1), 1)
    if file.format == "JPEG" and shrink > 1:
        image = file.load(shrink=shrink)
    return upright_srgb(image, 1.0 if side is None else side / edge(image.width, image.height))
