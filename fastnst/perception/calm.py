"""`Calm`: a loss against strokes where a photo has nothing to follow. Knows nothing of networks or files."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

FINE = 9  # pixels; detail is what two means over squares of this side take away
AROUND = 17  # pixels; the square in which a photo is calm or not
CALM = 0.04  # deviation of grey in that square at which a place counts half


class Calm(nn.Module):
    """Fine detail of stylized photos where the photos have none, in units of what their painting has.

    Args:
        paintings: Style images `(1, 3, H, W)`, sRGB in [0, 1], of any size.
        weight: What as much detail as in the painting costs.
    """

    # Differs from Johnson et al. (2016), whose losses do not ask where strokes are. Li et al. (2017), in their
    # Laplacian-steered style transfer, ask for the photo's own detail everywhere; here places with forms are free.

    detail: Tensor

    def __init__(self, paintings: Sequence[Tensor], weight: float) -> None:
        super().__init__()
        self.weight = weight
        detail = torch.cat([fine_detail(each).mean((1, 2, 3)) for each in paintings])
        self.register_buffer("detail", detail, persistent=False)

    def forward(self, stylized: Tensor, photos: Tensor, styles: Tensor) -> Tensor:
        """The loss `(B,)` of stylized photos and photos `(B, 3, H, W)`, each in its style `(B,)`, with its weight."""
        with torch.autocast(stylized.device.type, enabled=False):
            return self.weight * calm_loss(stylized.float(), photos.float(), self.detail[styles])


def calm_loss(stylized: Tensor, photos: Tensor, detail: Tensor) -> Tensor:
    """Fine detail of stylized photos where photos `(B, 3, H, W)` are calm, in units of paintings' detail: `(B,)`."""
    found = (calmness(photos) * fine_detail(stylized)).mean((1, 2, 3))
    return found / detail.clamp(min=1e-4)  # of a painting without any


def fine_detail(images: Tensor) -> Tensor:
    """Squares of what is finer than some pixels, in images `(B, 3, H, W)`: `(B, 1, H, W)`, summed over colours."""
    return (images - _mean(_mean(images, FINE), FINE)).square().sum(1, keepdim=True)


def calmness(photos: Tensor) -> Tensor:
    """How calm each place of photos `(B, 3, H, W)` is, `(B, 1, H, W)`: 1 where grey is even, 0 amid sharp forms."""
    grey = photos.mean(1, keepdim=True)
    variance = (_mean(grey.square(), AROUND) - _mean(grey, AROUND).square()).clamp(min=0)
    return 1 / (1 + variance / CALM**2)


def _mean(images: Tensor, side: int) -> Tensor:
    """Means over squares, cut off where the image ends."""
    return F.avg_pool2d(images, side, 1, side // 2, count_include_pad=False)
