"""Tiny transformation networks of every build, and pictures for them."""

import torch
from torch import Tensor
from torch.nn import functional as F

from fastnst.base.boxes import Reader
from fastnst.networks.network import TransformationNetwork

NETWORKS = {
    "folded": {"half": 4, "quarter": 4, "num_blocks": 1},
    "folded, deep": {"half": 4, "quarter": 4, "eighth": 4, "num_blocks": 1, "num_deep_blocks": 1},
    "folded, smooth, with a skip": {"half": 8, "quarter": 4, "num_blocks": 1, "antialias": 1, "skip": 1},
    "full": {"full": 4, "half": 4, "quarter": 4, "num_blocks": 1},
    "full, deep, smooth": dict(
        full=2, half=4, quarter=4, eighth=4, num_blocks=1, num_deep_blocks=1, antialias=1, fine=1
    ),
}


def network_of(name: str, num_styles: int = 1) -> TransformationNetwork:
    """Random, with norms that differ between channels."""
    torch.manual_seed(3)
    network = TransformationNetwork(**NETWORKS[name], num_styles=num_styles).eval().requires_grad_(False)
    for norm in network.norms:
        torch.nn.init.normal_(norm.scale)
        torch.nn.init.normal_(norm.shift)
    return network


def image_of(*size: int) -> Tensor:
    """Noise of several scales, (1, 3, H, W)."""
    generator = torch.Generator().manual_seed(1)
    noises = [torch.rand(1, 3, max(2, size[0] // n), max(2, size[1] // n), generator=generator) for n in (1, 4, 16)]
    return torch.stack([F.interpolate(noise, size, mode="bilinear") for noise in noises]).mean(0)


def reader(image: Tensor) -> Reader:
    return lambda box: image[..., *box]
