"""Readers of image files: `load_image`, `read_picture`, photos for training.

All special cases of image files (16 bit, EXIF, ICC, alpha, grey, CMYK) are handled here. Pixels stay integers as in the
file until floats are asked for, which take up to four times the memory.
"""

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from PIL import Image, ImageFile
from torch import Tensor

from fastnst.images import deep_color
from fastnst.images.color_profiles import converted, to_srgb, to_srgb_floats
from fastnst.images.decoders import load_upright, open_image, pillow_aside, reason
from fastnst.images.formats import ANIMATED, ImageError, name_of
from fastnst.images.levels import ROWS, Bytes, as_channels, from_levels, on_white, to_array
from fastnst.images.metadata import camera_exif, dots_per_inch, jpeg_quality
from fastnst.images.picture import Picture

MAX_PIXELS = 500_000_000  # of a file; above it, a mistake or a decompression bomb

# The full scale of Pillow's modes for numbers wider than 16 bit: the first that holds the brightest pixel of the file.
_FULL_SCALES = {"I": (65535.0, 2.0**31 - 1), "F": (1.0, 255.0, 65535.0)}


def load_image(source: Path | BinaryIO, *, size: int | None = None) -> Tensor:
    """The pixels of a file, `(1, 3, H, W)`; see `read_picture`."""
    return read_picture(source, size=size).pixels


def load_on_white(source: Path | BinaryIO, *, size: int | None = None) -> Tensor:
    """The pixels of a file, `(1, 3, H, W)`, on white where it is transparent; for style images and masks."""
    return on_white(from_levels(read_picture(source, size=size).levels))


def read_picture(source: Path | BinaryIO, *, size: int | None = None) -> Picture:
    """Read an image file of any kind, turned upright and converted to sRGB.

    Files of 16 bit keep their levels, also with an ICC profile of curves and a matrix, as cameras and screens have. A
    profile of tables (some scanners) is applied in 8 bit.

    Args:
        source: A file, or a stream open for reading bytes.
        size: Longest side in pixels; a larger image is shrunk (Lanczos), a smaller one stays as it is.

    Raises:
        ImageError: No such file, or it is damaged, not an image, or has more than `MAX_PIXELS`.
    """
    if size is not None and size < 1:
        raise ImageError(f"size must be at least 1 pixel, got {size}")
    with opened(source) as image:
        deep = _deep_values(image)  # first, because Pillow decodes PNG files when it is asked for their EXIF
        about: dict[str, Any] = {"format": image.format, "exif": camera_exif(image), "quality": jpeg_quality(image)}
        about |= {"dpi": dots_per_inch(image), "frames": count_frames(image)}
        profile = image.info.get("icc_profile")
        array = None if deep is None else _deep_srgb(deep, profile, size)  # (H, W, 3 or 4)
        if array is None:
            array = np.array(decoded(image, max, size, spare=2))
            array = array if deep is None else array * np.uint16(257)  # 255 becomes 65535
    return Picture(as_channels(array), **about)


def decode_photo(data: bytes | Path, *, short_side: int) -> Bytes:
    """A photo for training, `(H, W, 3)`: turned, sRGB, its short side brought down to `short_side` pixels.

    A photo that is smaller stays as it is. A large JPEG file is decoded at a fraction of its size.
    """
    with opened(io.BytesIO(data) if isinstance(data, bytes) else data) as image:
        return np.array(decoded(image, min, short_side, spare=1).convert("RGB"))


def crop_photo(photo: Bytes, box: tuple[float, float, float, float], size: int) -> Bytes:
    """The part of a photo `(H, W, 3)` inside (left, top, right, bottom), in pixels, as a square of `size`."""
    return np.array(Image.fromarray(photo).resize((size, size), Image.Resampling.BICUBIC, box=box))


@contextmanager
def opened(source: Path | BinaryIO) -> Iterator[ImageFile.ImageFile]:
    """An image file open for decoding; any error inside becomes an ImageError of one line."""
    try:
        with pillow_aside(), open_image(source if isinstance(source, Path) else io.BytesIO(source.read())) as image:
            check_pixels(image.size)
            yield image
    except ImageError as error:
        raise ImageError(f"{name_of(source)}: {error}") from None
    except Exception as error:  # a broken file can raise any error in Pillow's decoders
        raise ImageError(f"{name_of(source)}: {reason(error)}") from error


def check_pixels(size: tuple[int, int], frames: int = 1) -> None:
    """Refuse an image of too many pixels before it is decoded."""
    if (pixels := size[0] * size[1] * frames) > MAX_PIXELS:
        each = f"{frames} frames of " if frames > 1 else ""
        limit = f"{MAX_PIXELS / 1e6:,.0f} megapixels"
        raise ImageError(f"{each}{size[0]} x {size[1]} are {pixels / 1e6:,.0f} megapixels, and the limit is {limit}")


def count_frames(image: Image.Image) -> int:
    """Pictures of an animation, pages of a TIFF file; 1 of all else, also of photos with a depth map beside them."""
    return int(getattr(image, "n_frames", 1)) if image.format in (*ANIMATED, "TIFF") else 1


def decoded(image: Image.Image, edge: Callable[..., int], side: int | None, *, spare: int) -> Image.Image:
    """Turned upright, RGB or RGBA, sRGB, with the longest (max) or shortest (min) edge at most `side`.

    A JPEG file may be decoded at an eighth of its size, as long as `spare` times the pixels wanted are left.
    """
    if side is not None:
        scale = spare * side / edge(image.size)
        image.draft(None, (max(1, int(image.width * scale)), max(1, int(image.height * scale))))
    profile = image.info.get("icc_profile")
    load_upright(image)
    image = _plain(image)
    if side is not None and edge(image.size) > side:
        image = image.resize(deep_color.scaled_size(image.size, side / edge(image.size)), Image.Resampling.LANCZOS)
    return to_srgb(image, profile)


def _plain(image: Image.Image) -> Image.Image:
    """One of L, LA, RGB, RGBA, CMYK, LAB: 8 bit, without palette, ready to be resized."""
    if _is_wide_grey(image):
        return _eight_bit(image)
    if image.mode in ("CMYK", "LAB"):
        return image
    if image.mode in ("La", "RGBa"):
        return image.convert(image.mode.upper())
    plain = "L" if image.mode in ("1", "L", "LA") else "RGB"
    return converted(image, plain + "A" if image.has_transparency_data else plain)


def _is_wide_grey(image: Image.Image) -> bool:
    return image.mode.startswith("I;16") or image.mode in _FULL_SCALES


def _eight_bit(image: Image.Image) -> Image.Image:
    """Grey of 16 or 32 bit or floats, scaled, where Pillow's own conversion clips it to 255."""
    values = torch.from_numpy(_wide_grey(image) / np.float32(deep_color.FULL_SCALE))
    return Image.fromarray(to_array(values[None, None])[0, :, :, 0])


def _wide_grey(image: Image.Image) -> deep_color.Values:
    """Grey of 16 or 32 bit or floats `(H, W)`, scaled to 16 bit."""
    if image.mode.startswith("I;16"):
        return np.array(image, dtype=np.uint16)
    values = np.nan_to_num(np.asarray(image, dtype=np.float64), posinf=0, neginf=0)
    brightest = float(values.max())
    full = next((scale for scale in _FULL_SCALES[image.mode] if brightest <= scale), brightest)
    return (values.clip(0) * (deep_color.FULL_SCALE / full)).round().astype(np.uint16)


def _deep_values(image: ImageFile.ImageFile) -> deep_color.Values | None:
    """Numbers of more than 8 bit, scaled to 16, turned upright: `(H, W, C)` as in the file; None if it has 8."""
    if not _is_wide_grey(image):
        return deep_color.read_values(image)
    load_upright(image)
    return deep_color.with_key(_wide_grey(image)[:, :, None], image.info.get("transparency"))


def _deep_srgb(values: deep_color.Values, profile: bytes | None, size: int | None) -> deep_color.Values | None:
    """Numbers of 16 bit `(H, W, C)` as RGB or RGBA `(H, W, 3 or 4)`; None if the profile needs 8 bit."""
    num_colors = values.shape[2] - (values.shape[2] + 1) % 2  # 2 and 4 channels end in opacity
    result = np.empty((*values.shape[:2], 3 + values.shape[2] - num_colors), np.uint16)
    result[..., 3:] = values[..., num_colors:]
    for rows in (slice(top, top + ROWS) for top in range(0, len(values), ROWS)):
        colors = to_srgb_floats(values[rows, :, :num_colors], profile)
        if colors is None:
            return None
        result[rows, :, :3] = (colors * deep_color.FULL_SCALE).round()
    return deep_color.shrunk(result, size)
