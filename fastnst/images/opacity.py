"""Opacity: what cannot be seen must not decide what is seen. Knows nothing of files."""

import torch
from torch import Tensor
from torch.nn import functional as F

from fastnst.base.boxes import Reader, Size, cut, everything, scaled

CELL = 16  # pixels a side, over which visible colours are averaged first


def on_white(channels: Tensor) -> Tensor:
    """An image `(1, 3 or 4, H, W)` in [0, 1] on white, `(1, 3, H, W)`."""
    alpha = channels[:, 3:].prod(1, keepdim=True)  # 1 where there is none
    return channels[:, :3] * alpha + (1 - alpha)


def visible(picture: Reader, size: Size) -> Reader:
    """The colours of a picture, `(B, 3, H, W)`, where hidden pixels have those of visible ones around them.

    A network or a loss sees further than a pixel, and would carry what is hidden to what is not.

    Args:
        picture: Reads `(B, 3 or 4, H, W)` in [0, 1]; without opacity it is read as it is.
        size: Size of the picture in pixels.
    """
    around: Reader | None = None

    def read(box: tuple[slice, slice]) -> Tensor:
        nonlocal around
        channels = picture(box)
        colors, hidden = channels[:, :3], channels[:, 3:] == 0
        if not hidden.any():
            return colors
        if around is None:
            around = _around(picture, size)
        return torch.where(hidden, around(box), colors)

    return read


def filled(channels: Tensor) -> Tensor:
    """The colours of an image `(B, 3 or 4, H, W)` in [0, 1], hidden ones filled; see `visible`."""
    size = channels.shape[-2], channels.shape[-1]
    return visible(lambda box: channels[..., *box], size)(everything(size))


def _around(picture: Reader, size: Size) -> Reader:
    """Visible colours, averaged over cells, and where a cell has none, over as large an area as has."""
    rows = {box[0].start: box for box in cut((size[0], 1), CELL)}
    means = [_means(picture((box[0], slice(0, size[1])))) for box in rows.values()]
    cells = _without_holes(torch.cat(means, dim=2))
    return scaled(lambda box: cells[..., *box], (cells.shape[-2], cells.shape[-1]), size)


def _means(channels: Tensor) -> Tensor:
    """Means of the visible colours times their share, and that share, of cells side by side, `(B, 4, 1, W / CELL)`."""
    shown = (channels[:, 3:] > 0).to(channels)
    band = torch.cat((channels[:, :3] * shown, shown), dim=1).mean(2, keepdim=True)
    return F.avg_pool2d(band, (1, CELL), ceil_mode=True)


def _without_holes(cells: Tensor) -> Tensor:
    """Colours `(B, 3, H, W)` of cells `(B, 4, H, W)`; one without a share has the colour of those around it."""
    share = cells[:, 3:]
    colors = cells[:, :3] / share.clamp(min=torch.finfo(cells.dtype).tiny)
    if (share > 0).all() or cells.shape[-2:] == (1, 1):
        return colors
    around = _without_holes(F.avg_pool2d(cells, 2, ceil_mode=True))
    return torch.where(share > 0, colors, F.interpolate(around, cells.shape[-2:], mode="bilinear"))
