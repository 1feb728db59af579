"""Conversion of pixel values between levels, uint8 or uint16 as in files, and floats in [0, 1].

In tensors or in NumPy arrays; torch is loaded by what gives tensors.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]
Levels = NDArray[np.uint8] | NDArray[np.uint16]  # from 0 to the largest number that the type holds


def from_levels(values: Tensor) -> Tensor:
    """Levels, uint8 or uint16 of any shape on any device, as float32 in [0, 1].

    Floats are returned unchanged.
    """
    import torch

    if values.is_floating_point():
        return values.float()
    return values.to(torch.float32, memory_format=torch.contiguous_format).div_(torch.iinfo(values.dtype).max)


def to_levels(images: Tensor, dtype: torch.dtype) -> Tensor:
    """Floats in [0, 1] as levels: clamped and rounded to uint8 or uint16, or cast to another float type."""
    import torch

    if dtype.is_floating_point:
        return images.to(dtype)
    return images.detach().float().clamp(0, 1).mul_(torch.iinfo(dtype).max).round_().to(dtype)


def floats_of(levels: Levels) -> Floats:
    """The levels of an image, `(H, W, C)`, as floats in [0, 1], `(1, C, H, W)`; to the bit those of `from_levels`."""
    floats = levels.transpose(2, 0, 1)[None].astype(np.float32, order="C")
    floats /= np.iinfo(levels.dtype).max
    return floats


def levels_of(floats: Floats, dtype: np.dtype[Any]) -> Levels:
    """Floats in [0, 1], `(1, C, H, W)`, as the levels of an image, `(H, W, C)`; to the bit those of `to_levels`."""
    full = floats[0].clip(0, 1)
    full *= np.iinfo(dtype).max
    levels: Levels = np.rint(full, out=full).transpose(1, 2, 0).astype(dtype, order="C")
    return levels


def psnr(first: Tensor, second: Tensor) -> float:
    """Peak signal-to-noise ratio of images in [0, 1], in dB; at most 140: float32 has no more digits."""
    return -10 * math.log10(max(float((first - second).square().mean()), 1e-14))


def as_channels(array: NDArray[Any]) -> Tensor:
    """An image `(H, W, C)` or images `(B, H, W, C)` as `(B, C, H, W)`; in the same memory where possible."""
    import torch

    values = torch.from_numpy(np.require(array, requirements=("C", "W")))
    return values.reshape(-1, *array.shape[-3:]).permute(0, 3, 1, 2)


def to_tensor(array: Levels) -> Tensor:
    """An image `(H, W, C)` or images `(B, H, W, C)`, uint8 or uint16, as `(B, C, H, W)` in [0, 1]."""
    return from_levels(as_channels(array))


def to_array(images: Tensor) -> Bytes:
    """Images `(B, C, H, W)` in [0, 1] as uint8 `(B, H, W, C)`."""
    import torch

    array: Bytes = to_levels(images, torch.uint8).permute(0, 2, 3, 1).contiguous().cpu().numpy()
    return array
