"""Conversion of images of Pillow, NumPy and PyTorch to a tensor and back."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor

from fastnst.images.decode import from_pillow
from fastnst.images.levels import as_channels
from fastnst.images.srgb import eight_bit, srgb_profile, upright_srgb
from fastnst.images.stored import pixels_of

TAKEN = (
    "a PIL image; an array (H, W, 3) or (B, H, W, 3); a tensor (3, H, W) or (B, 3, H, W); or a list of these. "
    "Numbers are floats from 0 to 1, uint8 or uint16"
)
KEPT_MODES = ("L", "LA", "RGB", "RGBA")  # others come back as RGB or RGBA
KEPT_TYPES = ("uint8", "uint16", "float16", "float32", "float64", "bfloat16")
MOST = 1.5  # floats above it are not meant to be from 0 to 1, those a little above 1 come from resizing
Back = Callable[[Tensor], Any]


def to_channels(image: object) -> tuple[Tensor, Back]:
    """An image or a batch as a tensor, and the function back.

    Args:
        image: One of the types in `TAKEN`, optionally with a fourth channel, opacity.

    Returns:
        `(B, 3 or 4, H, W)`, sRGB, with the image's type of numbers, on its device; and a function from such a tensor to
        the type of the image.

    Raises:
        TypeError: Not an image of these types, or numbers of another type.
        ValueError: Another shape, no pixels, or floats outside of [0, 1].
    """
    if isinstance(image, Image.Image):
        return _from_pillow(image)
    if isinstance(image, np.ndarray):
        _check(image, "an array", "(H, W, 3) or (B, H, W, 3)", axis=-1)
        channels = _in_range(as_channels(image))
        return channels, lambda painted: painted.permute(0, 2, 3, 1).reshape(image.shape).contiguous().numpy()
    if isinstance(image, Tensor):
        _check(image, "a tensor", "(3, H, W) or (B, 3, H, W)", axis=-3)
        return _in_range(image).reshape(-1, *image.shape[-3:]), lambda painted: painted.reshape(image.shape)
    hint = "; open files first: PIL.Image.open(path)" if isinstance(image, str | Path) else ""
    raise TypeError(f"expected {TAKEN}; got {type(image).__name__}{hint}")


def _from_pillow(image: Image.Image) -> tuple[Tensor, Back]:
    """A PIL image, turned as its EXIF says; the function back keeps mode, EXIF and dots per inch."""
    if 0 in image.size:
        raise ValueError(f"expected an image with pixels, got {image.width} x {image.height}")
    array = pixels_of(eight_bit(upright_srgb(from_pillow(image))))
    upright = ImageOps.exif_transpose(image)  # which has no orientation in its EXIF
    about = {name: value for name, value in upright.info.items() if name != "transparency"}
    if "icc_profile" in about:
        about["icc_profile"] = srgb_profile()

    def back(channels: Tensor) -> Image.Image:
        painted = Image.fromarray(channels[0].permute(1, 2, 0).contiguous().numpy())
        if image.mode in KEPT_MODES and painted.mode != image.mode:
            painted = painted.convert(image.mode)
        painted.info = about
        return painted

    return as_channels(array), back


def _check(image: NDArray[Any] | Tensor, kind: str, layout: str, *, axis: int) -> None:
    """Refuse another shape or type of numbers; `axis` is that of the channels."""
    if image.ndim not in (3, 4) or image.shape[axis] not in (3, 4) or 0 in image.shape:
        raise ValueError(f"expected {kind} {layout}, got {tuple(image.shape)}")
    if (dtype := str(image.dtype).removeprefix("torch.")) not in KEPT_TYPES:
        raise TypeError(f"expected {TAKEN}; got {kind} of {dtype}")


def _in_range(channels: Tensor) -> Tensor:
    if channels.is_floating_point():
        least, most = (each.item() for each in channels.aminmax())
        if not (1 - MOST <= least and most <= MOST):
            raise ValueError(f"floats are from 0 to 1, got {least:.4g} to {most:.4g}")
    return channels
