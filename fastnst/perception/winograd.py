"""Convolutions with 3x3 kernels by Winograd's method, where a CPU gains by it.

Lavin and Gray (2016), section 4: 6x6 results from 8x8 values take 64 products in place of 324. NNPACK, which torch
carries, does so on CPUs with AVX2; oneDNN, which torch uses by itself, multiplies directly there. The loss network is
most of a training step on a CPU; there and back it takes 0.67 of the time with one thread, with two 0.96 at 256 px and
0.70 at 512 px (record 2026-11-30_winograd). Features differ from direct ones by rounding, some 2e-6 of their size.
"""

import functools

import torch
from torch import Tensor

MOST_VALUES = 2**24  # of maps: 64 channels of 512 x 512 px, the largest that were measured


@functools.cache
def _gains() -> bool:
    """Whether this CPU is of the kind that was measured: with AVX2, without AVX-512."""
    return torch.backends.cpu.get_cpu_capability() == "AVX2" and torch._nnpack_available()  # which also starts it


def fits(maps: Tensor, weight: Tensor, stride: tuple[int, int]) -> bool:
    """Whether `convolve` can and should do a convolution of maps `(B, C, H, W)`."""
    return (
        maps.device.type == "cpu"
        and maps.dtype == weight.dtype == torch.float32
        and weight.shape[2:] == (3, 3)
        and stride == (1, 1)
        and 0 < maps[:1].numel() <= MOST_VALUES
        and not torch.is_autocast_enabled("cpu")
        and not torch.compiler.is_compiling()
        and _gains()
    )


def convolve(maps: Tensor, weight: Tensor, bias: Tensor | None, padding: int = 0) -> Tensor:
    """A convolution of maps `(B, C, H, W)` in float32 with zeros around them, without a gradient of its own.

    Each image of a batch is done by itself, so that its values do not depend on the batch.
    """
    weight, bias = weight.contiguous(), weight.new_zeros(len(weight)) if bias is None else bias
    results = [
        torch._nnpack_spatial_convolution(each, weight, bias, padding) for each in torch.split(maps.contiguous(), 1)
    ]
    return results[0] if len(results) == 1 else torch.cat(results)


def input_gradient(gradient: Tensor, weight: Tensor) -> Tensor:
    """Gradient with respect to the maps of a convolution without padding: one with the kernels turned around."""
    return convolve(gradient, weight.flip(2, 3).transpose(0, 1), None, padding=2)
