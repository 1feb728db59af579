"""Tiles: pictures of any size in bounded memory, computed box by box without seams.

A picture is a `Reader` here, a function from a box to its pixels, which do not depend on how the picture is cut into
boxes. Knows nothing of files.
"""

import math
from collections.abc import Callable
from copy import deepcopy
from itertools import pairwise, product

import torch
from torch import Tensor

from fastnst.networks.network import ConditionalInstanceNorm, TransformationNetwork, contrast

Box = tuple[slice, slice]  # rows and columns, in pixels from the picture's upper left corner
Size = tuple[int, int]  # height and width of the whole picture
Reader = Callable[[Box], Tensor]  # the pixels `(B, 3, H, W)` of a box, sRGB in [0, 1]
BLOCK = 512  # pixels, side of what is computed at once by default
LANCZOS = 3  # the usual number of lobes
PIECE = 128  # pixels, side of the squares that the statistics of a large picture are taken from
GOLDEN = (5**0.5 - 1) / 2
MARGIN = 24  # pixels at their edges that do not count: the padding changes what is there


def cut(size: Size, side: int) -> list[Box]:
    """Boxes of about equal size that make up a picture, row by row, with sides of at most `side` pixels."""
    rows, columns = (_parts(part, math.ceil(part.stop / side)) for part in everything(size))
    return list(product(rows, columns))


def _parts(part: slice, count: int) -> list[slice]:
    """Split a part of a side into `count` parts of about equal length."""
    ends = [part.start + (part.stop - part.start) * index // count for index in range(count + 1)]
    return [slice(start, stop) for start, stop in pairwise(ends)]


def everything(size: Size) -> Box:
    """The box that is the whole picture."""
    return slice(0, size[0]), slice(0, size[1])


def widened(box: Box, by: int, size: Size, *, multiple: int = 1) -> Box:
    """A box with `by` pixels more on each side, where the picture has them; it begins at multiples of `multiple`."""
    rows, columns = (
        slice(max(0, part.start - by) // multiple * multiple, min(length, part.stop + by))
        for part, length in zip(box, size, strict=True)
    )
    return rows, columns


def within(box: Box, outer: Box) -> Box:
    """The place of a box in a larger one, to index its tensor: `pixels[..., *within(box, outer)]`."""
    rows, columns = (
        slice(part.start - whole.start, part.stop - whole.start) for part, whole in zip(box, outer, strict=True)
    )
    return rows, columns


def in_blocks(picture: Reader, side: int) -> Reader:
    """The same picture, read in boxes with sides of at most `side` pixels."""

    def read(box: Box) -> Tensor:
        rows, columns = (_parts(part, math.ceil((part.stop - part.start) / side)) for part in box)
        return torch.cat([torch.cat([picture((row, column)) for column in columns], dim=3) for row in rows], dim=2)

    return read


def scaled(picture: Reader, size: Size, to: Size) -> Reader:
    """A picture at another size, by a Lanczos filter as wide as the coarser of the two grids needs."""
    if size == to:
        return picture

    def read(box: Box) -> Tensor:
        (rows, down), (columns, across) = (_lanczos(*of_axis) for of_axis in zip(box, size, to, strict=True))
        image = picture((rows, columns))
        return (down.to(image) @ image @ across.to(image).mT).clamp(0, 1)

    return in_blocks(read, BLOCK)  # the matrices also hold zeros, for pixels that are too far away


def _lanczos(part: slice, length: int, to: int) -> tuple[slice, Tensor]:
    """The pixels along a side from which `part` of the scaled side is computed, and the matrix that computes it."""
    step = length / to  # pixels from one scaled pixel to the next
    centres = (torch.arange(part.start, part.stop, dtype=torch.float64) + 0.5) * step
    width = LANCZOS * max(1.0, step)
    first, last = math.floor(centres[0].item() - width), math.ceil(centres[-1].item() + width)
    seen = slice(max(0, first), min(length, last))
    places = torch.arange(seen.start, seen.stop, dtype=torch.float64) + 0.5
    distances = (places - centres[:, None]) / max(1.0, step)
    weights = torch.where(distances.abs() < LANCZOS, distances.sinc() * (distances / LANCZOS).sinc(), 0.0)
    return seen, (weights / weights.sum(1, keepdim=True)).float()


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
        variance, mean = torch.var_mean(inner, dim=(0, 2, 3), correction=0)
        norm.statistics = (mean, variance)

    hooks = [norm.register_forward_pre_hook(keep) for norm in network.norms]
    network(images, style)
    for hook in hooks:
        hook.remove()
    return network
