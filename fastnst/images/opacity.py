"""Opacity: what cannot be seen must not decide what is seen. Knows nothing of files."""

import functools

import torch
from torch import Tensor
from torch.nn import functional as F

from fastnst.base.boxes import Box, Reader, Size, cut, everything, scaled

CELL = 16  # pixels a side, over which visible colours are averaged first


def visible(picture: Reader, size: Size) -> Reader:
    """The colours of a picture, `(B, 3, H, W)`, where hidden pixels have those of visible ones around them.

    A network or a loss sees further than a pixel, and would carry what is hidden to what is not.

    Args:
        picture: Reads `(B, 3 or 4, H, W)` in [0, 1]; without opacity it is read as it is.
        size: Size of the picture in pixels.
    """
    around = functools.cache(lambda: _around(picture, size))

    def read(box: Box) -> Tensor:
        channels = picture(box)
        colors, hidden = channels[:, :3], channels[:, 3:] == 0
        return torch.where(hidden, around()(box), colors) if hidden.any() else colors

    return read


def filled(channels: Tensor) -> Tensor:
    """The colours of an image `(B, 3 or 4, H, W)` in [0, 1], hidden ones filled; see `visible`."""
    size = channels.shape[-2], channels.shape[-1]
    return visible(lambda box: channels[..., *box], size)(everything(size))


def _around(picture: Reader, size: Size) -> Reader:
    """Visible colours, averaged over cells, and where a cell has none, over as large an area as has."""
    means = []  # of visible colours times their share, and that share, `(B, 4, 1, W / CELL)` for each row of cells
    for rows, _ in cut((size[0], 1), CELL):
        channels = picture((rows, slice(0, size[1])))
        shown = (channels[:, 3:] > 0).to(channels)
        band = torch.cat((channels[:, :3] * shown, shown), dim=1).mean(2, keepdim=True)
        means.append(F.avg_pool2d(band, (1, CELL), ceil_mode=True))
    cells = _without_holes(torch.cat(means, dim=2))
    return scaled(lambda box: cells[..., *box], (cells.shape[-2], cells.shape[-1]), size)


def _without_holes(cells: Tensor) -> Tensor:
    """Colours `(B, 3, H, W)` of cells `(B, 4, H, W)`; one without a share has the colour of those around it."""
    share = cells[:, 3:]
    colors = cells[:, :3] / share.clamp(min=torch.finfo(cells.dtype).tiny)
    if (share > 0).all() or cells.shape[-2:] == (1, 1):
        return colors
    around = _without_holes(F.avg_pool2d(cells, 2, ceil_mode=True))
    return torch.where(share > 0, colors, F.interpolate(around, cells.shape[-2:], mode="bilinear"))
