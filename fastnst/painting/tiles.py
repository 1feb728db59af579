"""Tiles: pictures of any size stylized in bounded memory, box by box without seams. Knows nothing of files."""

import math
from collections.abc import Callable
from copy import deepcopy

import torch
from torch import Tensor

from fastnst.base.boxes import BLOCK, Box, Reader, Size, everything, in_blocks, widened, within
from fastnst.networks.network import ConditionalInstanceNorm, TransformationNetwork, contrast

PIECE = 128  # pixels, side of the squares that the statistics of a large picture are taken from
GOLDEN = (5**0.5 - 1) / 2
MARGIN = 24  # pixels at their edges that do not count: the padding changes what is there


def painted(paint: Callable[[Tensor], Tensor], photo: Reader, size: Size, *, reach: int, stride: int) -> Reader:
    """A stylized photo, by a network whose norms have given statistics.

    Each box is stylized with the surroundings that its pixels depend on, from an origin on the network's grid. It
    therefore equals the same box of the photo stylized as a whole, with the same padding at the photo's edges.

    Args:
        paint: Function from photos to stylized images of the same size.
        photo: The photo.
        size: Size of the photo in pixels.
        reach: Largest distance in pixels from which a pixel of the photo acts on a pixel of the result.
        stride: Stride of the network's coarsest layer in pixels.
    """

    def read(box: Box) -> Tensor:
        seen = widened(box, reach, size, multiple=stride)
        return paint(photo(seen))[..., *within(box, seen)]

    return read


def pieces(picture: Reader, size: Size, count: int) -> Tensor:
    """Squares `(count, 3, PIECE, PIECE)` spread over a picture, smaller if the picture is.

    A picture with no more pixels than all squares is returned whole, `(1, 3, H, W)`.
    """
    if math.prod(size) <= count * PIECE**2:
        return in_blocks(picture, BLOCK)(everything(size))
    # Rows at even distances, columns by the golden ratio: no structure in a picture is spaced like that.
    shares = [((i + 0.5) / count, i * GOLDEN % 1) for i in range(count)]
    return torch.cat([picture((_around(row, size[0]), _around(column, size[1]))) for row, column in shares])


def _around(share: float, length: int) -> slice:
    """A part of a side, PIECE long, around a place from 0 to 1; at the ends it is moved inside."""
    start = max(0, min(length - PIECE, round(share * length - PIECE / 2)))
    return slice(start, min(length, start + PIECE))


def normalised_as(network: TransformationNetwork, images: Tensor, style: Tensor) -> TransformationNetwork:
    """A copy of the network whose norms use, for every picture, their statistics on these images.

    Parts are then stylized as parts of one picture (Chen et al., 2022, "Towards ultra-resolution neural style transfer
    via thumbnail instance normalization").

    Args:
        network: It is not changed.
        images: `(B, 3, H, W)`. The statistics are over the pixels of all images, but those at the edges of several.
        style: Weights `(1, num_styles)`.
    """
    # Differs from Chen et al. (2022), who take a thumbnail: its edges are steeper than the picture's, and so are its
    # statistics others than those of the whole picture. Pieces of that come closer (docs/explanation/architecture.md).
    network = deepcopy(network)
    network.contrast = contrast(images.transpose(0, 1).flatten(1, 2)[None])
    margin = MARGIN if len(images) > 1 else 0

    def keep(norm: ConditionalInstanceNorm, inputs: tuple[Tensor, Tensor]) -> None:
        maps = inputs[0]
        height, width = maps.shape[-2:]
        down, across = (min(margin * width // images.shape[-1], side // 4) for side in (height, width))
        inner = maps[..., down : height - down, across : width - across]
        inner = inner.to(torch.promote_types(inner.dtype, torch.float32))  # convolutions may compute in bfloat16
        variance, mean = torch.var_mean(inner, dim=(0, 2, 3), correction=0)
        norm.statistics = (mean, variance)

    hooks = [norm.register_forward_pre_hook(keep) for norm in network.norms]
    network(images, style)
    for hook in hooks:
        hook.remove()
    return network
