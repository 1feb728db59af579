"""Boxes: pictures of any size read and computed part by part.

A picture is a `Reader` here, a function from a box to its pixels, which do not depend on how the picture is cut into
boxes. Knows nothing of files; torch is loaded by what computes.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from itertools import pairwise, product
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

Box = tuple[slice, slice]  # rows and columns, in pixels from the picture's upper left corner
Size = tuple[int, int]  # height and width of the whole picture
Reader = Callable[[Box], "Tensor"]  # the pixels `(B, C, H, W)` of a box
BLOCK = 512  # pixels, side of what is computed at once by default
LANCZOS = 3  # the usual number of lobes


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
    import torch

    def read(box: Box) -> Tensor:
        rows, columns = (_parts(part, math.ceil((part.stop - part.start) / side)) for part in box)
        return torch.cat([torch.cat([picture((row, column)) for column in columns], dim=3) for row in rows], dim=2)

    return read


def one_at_a_time(picture: Reader) -> Reader:
    """The same picture, for threads that share it: boxes are read one after the other."""
    lock = threading.Lock()

    def read(box: Box) -> Tensor:
        with lock:
            return picture(box)

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
    import torch

    step = length / to  # pixels from one scaled pixel to the next
    centres = (torch.arange(part.start, part.stop, dtype=torch.float64) + 0.5) * step
    width = LANCZOS * max(1.0, step)
    first, last = math.floor(centres[0].item() - width), math.ceil(centres[-1].item() + width)
    seen = slice(max(0, first), min(length, last))
    places = torch.arange(seen.start, seen.stop, dtype=torch.float64) + 0.5
    distances = (places - centres[:, None]) / max(1.0, step)
    weights = torch.where(distances.abs() < LANCZOS, distances.sinc() * (distances / LANCZOS).sinc(), 0.0)
    return seen, (weights / weights.sum(1, keepdim=True)).float()
