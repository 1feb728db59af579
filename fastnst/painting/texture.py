"""`fastnst texture`: a picture of noise painted like a painting, until it is a texture of it."""

import torch
from torch import Tensor

from fastnst.painting.stylizer import Stylizer

PASSES = 3  # Li et al. (2017), section 4.3


def texture(
    painting: str,
    *,
    size: tuple[int, int],
    seed: int = 0,
    stroke: float = 1.0,
    device: str = "auto",
) -> Tensor:
    """A texture of a painting: uniform noise, transferred three times with an alpha of 1.

    Args:
        painting: A picture's file, `sample:wave`, or a blend of several.
        size: Height and width in pixels.
        seed: Another seed gives another texture.
        stroke: Factor by which its pattern gets larger.
        device: As for `Stylizer`.

    Returns:
        `(1, 3, H, W)`, sRGB in [0, 1].
    """
    stylizer = Stylizer(painting, device=device)
    image = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(seed))
    for _ in range(PASSES):
        image = stylizer(image, alpha=1.0, stroke=stroke)
    return image
