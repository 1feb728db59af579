"""Masks: where a photo is stylized. White is, black and transparent are not, and the edge is soft."""

import math
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from fastnst.images.colors import luminance
from fastnst.images.formats import ImageError
from fastnst.images.levels import from_levels, row_blocks
from fastnst.images.read import read_picture

DEFAULT_FEATHER = 0.01  # of the photo's long side
SHAPE_TOLERANCE = 0.02  # of the width: masks are drawn on copies of other sizes
BLUR = 4.0  # pixels of standard deviation; softer edges are blurred at a smaller size


@dataclass(frozen=True)
class Mask:
    """A mask for photos of any size and one shape.

    Attributes:
        name: Name of the file, for messages.
        values: `(1, 1, H, W)` in [0, 1]; 1 is stylized.
        feather: Pixels of the photo over which the edge fades, to each side; None for a share of its long side.
    """

    name: str
    values: Tensor
    feather: float | None = None

    def fitted(self, height: int, width: int) -> Tensor:
        """The mask for a photo of this size, `(1, 1, height, width)` in [0, 1].

        Raises:
            ImageError: Its shape is not the photo's.
        """
        rows, columns = self.values.shape[-2:]
        if abs(columns * height / rows - width) > max(1.0, SHAPE_TOLERANCE * width):
            raise ImageError(
                f"mask {self.name} is {columns}x{rows} and the photo {width}x{height}: "
                "draw the mask on the photo, or crop it to the same shape"
            )
        feather = DEFAULT_FEATHER * max(height, width) if self.feather is None else self.feather
        return _feathered(self.values, (height, width), feather / 2)  # two standard deviations to each side


def read_mask(path: Path, *, feather: float | None = None) -> Mask:
    """Read an image file as a mask.

    Raises:
        ImageError: It cannot be read, or nothing in it is white.
    """
    values = torch.cat([_values(from_levels(rows)) for rows in row_blocks(read_picture(path).levels)], dim=2)
    if not values.any():
        raise ImageError(f"mask {path} is black everywhere; white is what is painted")
    return Mask(str(path), values, feather)


def _values(channels: Tensor) -> Tensor:
    """How bright and opaque an image `(1, 3 or 4, H, W)` is, `(1, 1, H, W)` in [0, 1]."""
    return luminance(channels[:, :3])[:, :1] * channels[:, 3:].prod(1, keepdim=True)


def _feathered(mask: Tensor, shape: tuple[int, int], deviation: float) -> Tensor:
    """Resized and blurred with a Gaussian; a wide one at a size at which it is `BLUR` pixels, to the same effect."""
    scale = max(1.0, deviation / BLUR)
    small = [max(1, round(side / scale)) for side in shape]
    soft = _blurred(F.interpolate(mask, small, mode="bilinear", antialias=True), deviation / scale)
    return F.interpolate(soft, shape, mode="bilinear").clamp(0, 1)


def _blurred(mask: Tensor, deviation: float) -> Tensor:
    if deviation == 0:
        return mask
    reach = math.ceil(3 * deviation)
    weights = torch.exp(-torch.arange(-reach, reach + 1).square() / (2 * deviation**2))
    weights = (weights / weights.sum()).to(mask)
    padded = F.pad(mask, (reach,) * 4, mode="replicate")
    return F.conv2d(F.conv2d(padded, weights.view(1, 1, 1, -1)), weights.view(1, 1, -1, 1))
