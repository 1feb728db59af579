"""Pictures as tests make them and look at them."""

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from fastnst.images.decode import pyvips
from fastnst.images.levels import from_levels, to_levels
from fastnst.images.picture import Picture

INCH = 25.4  # millimetres


def picture_of(
    image: Tensor,
    alpha: Tensor | None = None,
    *,
    depth: int = 8,
    exif: bytes | None = None,
    dpi: tuple[float, float] = (72, 72),
) -> Picture:
    """An image `(1, 3, H, W)` in [0, 1] with opacity and metadata."""
    channels = image if alpha is None else torch.cat((image, alpha.to(image)), dim=1)
    picture = Picture.of(to_levels(channels, torch.uint8 if depth == 8 else torch.uint16))
    picture = Picture(picture.image.copy(xres=dpi[0] / INCH, yres=dpi[1] / INCH))
    if exif:
        picture.image.set_type(pyvips.GValue.blob_type, "exif-data", exif)
    return picture


def alpha_of(picture: Picture) -> Tensor | None:
    """Opacity `(1, 1, H, W)` in [0, 1]."""
    return from_levels(picture.levels[:, 3:]) if picture.image.bands == 4 else None


def depth_of(picture: Picture) -> int:
    """Bits per channel."""
    return 8 * picture.dtype.itemsize


def exif_of(picture: Picture) -> bytes:
    """EXIF as in the file."""
    data: bytes = picture.image.get("exif-data")
    return data


def dpi_of(picture: Picture) -> tuple[float, float]:
    """Dots per inch, across and down."""
    return picture.image.xres * INCH, picture.image.yres * INCH


def noise(height: int = 40, width: int = 48, *, seed: int = 0) -> Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed))


def make_image(
    path: str, size: tuple[int, int] = (40, 30), *, low: int = 0, high: int = 256, **options: object
) -> None:
    """Coarse noise, so that smaller sizes show it too."""
    pixels = np.random.default_rng(len(path)).integers(low, high, (4, 5, 3), dtype=np.uint8)
    Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC).save(path, **options)


def light(image: Tensor) -> float:
    return image.mean().item()


def smooth_image(height: int = 48, width: int = 61) -> Tensor:
    down, across = torch.meshgrid(torch.linspace(0, 1, height), torch.linspace(0, 1, width), indexing="ij")
    return torch.stack((down, across, (down + across) / 2))[None]


def colour_of(image: Tensor) -> list[float]:
    return [round(float(value), 2) for value in image[0].mean(dim=(1, 2))]
