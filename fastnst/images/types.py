"""Conversion of images of Pillow, NumPy and PyTorch to a tensor and back."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
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
ARRAY_TYPES = (np.uint8, np.uint16, np.float16, np.float32, np.float64)
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
        return _from_array(image)
    if isinstance(image, Tensor):
        return _from_tensor(image)
    hint = "; open files first: PIL.Image.open(path)" if isinstance(image, str | Path) else ""
    raise TypeError(f"expected {TAKEN}; got {type(image).__name__}{hint}")


def _from_pillow(image: Image.Image) -> tuple[Tensor, Back]:
    """A PIL image, turned as its EXIF says; the function back keeps mode, EXIF and dots per inch."""
    if 0 in image.size:
        raise ValueError(f"expected an image with pixels, got {image.width} x {image.height}")
    upright = image.copy()
    array = pixels_of(eight_bit(upright_srgb(from_pillow(upright))))
    ImageOps.exif_transpose(upright, in_place=True)  # takes the orientation out of its EXIF
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


def _from_array(array: NDArray[Any]) -> tuple[Tensor, Back]:
    if array.ndim not in (3, 4) or array.shape[-1] not in (3, 4) or 0 in array.shape:
        raise ValueError(f"expected an array (H, W, 3) or (B, H, W, 3), got {array.shape}")
    if array.dtype not in ARRAY_TYPES:
        raise TypeError(f"expected {TAKEN}; got an array of {array.dtype}")
    channels = as_channels(array)
    _check_range(channels)
    return channels, lambda painted: painted.permute(0, 2, 3, 1).reshape(array.shape).contiguous().numpy()


def _from_tensor(tensor: Tensor) -> tuple[Tensor, Back]:
    if tensor.ndim not in (3, 4) or tensor.shape[-3] not in (3, 4) or 0 in tensor.shape:
        raise ValueError(f"expected a tensor (3, H, W) or (B, 3, H, W), got {tuple(tensor.shape)}")
    if tensor.dtype not in (torch.uint8, torch.uint16) and not tensor.is_floating_point():
        raise TypeError(f"expected {TAKEN}; got a tensor of {str(tensor.dtype).removeprefix('torch.')}")
    _check_range(tensor)
    return tensor.reshape(-1, *tensor.shape[-3:]), lambda painted: painted.reshape(tensor.shape)


def _check_range(channels: Tensor) -> None:
    if not channels.is_floating_point():
        return
    least, most = (each.item() for each in channels.aminmax())
    if not (1 - MOST <= least and most <= MOST):
        raise ValueError(f"floats are from 0 to 1, got {least:.4g} to {most:.4g}")
