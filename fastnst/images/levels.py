"""Conversion of pixel values between levels, uint8 or uint16 as in files, and floats in [0, 1]."""

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Bytes = NDArray[np.uint8]
Levels = NDArray[np.uint8] | NDArray[np.uint16]  # from 0 to the largest number that the type holds


def from_levels(values: Tensor) -> Tensor:
    """Levels, uint8 or uint16 of any shape on any device, as float32 in [0, 1].

    Floats are returned unchanged.
    """
    if values.is_floating_point():
        return values.float()
    return values.to(torch.float32, memory_format=torch.contiguous_format).div_(torch.iinfo(values.dtype).max)


def to_levels(images: Tensor, dtype: torch.dtype) -> Tensor:
    """Floats in [0, 1] as levels: clamped and rounded to uint8 or uint16, or cast to another float type."""
    if dtype.is_floating_point:
        return images.to(dtype)
    return images.detach().float().clamp(0, 1).mul_(torch.iinfo(dtype).max).round_().to(dtype)


def psnr(first: Tensor, second: Tensor) -> float:
    """Peak signal-to-noise ratio of images in [0, 1], in dB; at most 140: float32 has no more digits."""
    return -10 * math.log10(max(float((first - second).square().mean()), 1e-14))


def as_channels(array: NDArray[Any]) -> Tensor:
    """An image `(H, W, C)` or images `(B, H, W, C)` as `(B, C, H, W)`; in the same memory where possible."""
    values = torch.from_numpy(np.require(array, requirements=("C", "W")))
    return values.reshape(-1, *array.shape[-3:]).permute(0, 3, 1, 2)


def to_tensor(array: Levels) -> Tensor:
    """An image `(H, W, C)` or images `(B, H, W, C)`, uint8 or uint16, as `(B, C, H, W)` in [0, 1]."""
    return from_levels(as_channels(array))


def to_array(images: Tensor) -> Bytes:
    """Images `(B, C, H, W)` in [0, 1] as uint8 `(B, H, W, C)`."""
    array: Bytes = to_levels(images, torch.uint8).permute(0, 2, 3, 1).contiguous().cpu().numpy()
    return array
