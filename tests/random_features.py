"""Features and masks as tests of losses make them."""

import torch


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def halves(height: int, width: int) -> torch.Tensor:
    """Two masks, left and right."""
    left = torch.zeros(1, 1, height, width)
    left[..., : width // 2] = 1
    return torch.cat([left, 1 - left])
