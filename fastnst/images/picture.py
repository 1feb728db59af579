"""`Picture`: an image with the metadata of its file."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fastnst.base.boxes import Box, everything
from fastnst.images.decode import field, one_line, pyvips
from fastnst.images.levels import Levels, as_channels, from_levels
from fastnst.images.opacity import filled
from fastnst.images.stored import like, pixels_of, with_pixels

_KEPT = ("exif-data", "xmp-data", "iptc-data", "jpeg-chroma-subsample", "interlaced")
_MILLIMETRES = 25.4  # of an inch


@dataclass(frozen=True)
class Picture:
    """An image with the metadata of its file, which the stylized image keeps.

    Attributes:
        image: RGB or RGBA, sRGB, turned upright; uint8, or uint16 for a file of more than 8 bit per channel. It carries
            the metadata. The pixels of a large one are decoded when they are asked for.
        name: Of the file, for messages.
        format: Pillow's name of the file format, such as "JPEG".
        quality: For a JPEG file, the libjpeg quality (1 to 100) whose tables come closest; else None.
        frames: Pictures in the file; this is the first. See `painting/animation.py` for the others.
        profile: The file's own ICC profile.
    """

    image: pyvips.Image
    name: str = "image"
    format: str | None = None
    quality: int | None = None
    frames: int = 1
    profile: bytes | None = None

    @classmethod
    def of(
        cls, levels: Tensor, *, exif: bytes | None = None, dpi: tuple[float, float] | None = None, **about: Any
    ) -> "Picture":
        """A picture of levels `(1, 3 or 4, H, W)`, uint8 or uint16."""
        kind = "rgb16" if levels.dtype == torch.uint16 else "srgb"
        image = pyvips.Image.new_from_array(levels[0].permute(1, 2, 0).contiguous().numpy(), interpretation=kind)
        across, down = dpi or (72, 72)
        image = image.copy(xres=across / _MILLIMETRES, yres=down / _MILLIMETRES)
        if exif:
            image.set_type(pyvips.GValue.blob_type, "exif-data", exif)
        return cls(image, **about)

    def painted(self, parts: Iterable[tuple[Box, Tensor]]) -> "Picture":
        """The picture with other colours; opacity and metadata stay.

        Args:
            parts: Boxes, row by row from the left, and their levels `(1, 3, H, W)`. Those of a large picture are kept
                in a temporary file.
        """
        image = like(self.image, with_pixels(self.image, _bands(parts, self.size[1]), 3), _KEPT)
        if self.image.bands == 4:
            image = image.bandjoin(self.image[3])
        return replace(self, image=image)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.image.height, self.image.width

    @property
    def levels(self) -> Tensor:
        """`(1, 3 or 4, H, W)`, uint8 or uint16."""
        return self.part(everything(self.size))

    def part(self, box: Box) -> Tensor:
        """The levels of a box.

        Raises:
            ImageError: The file turns out to be damaged.
        """
        with one_line(self.name):
            return as_channels(pixels_of(self.image, box))

    @property
    def pixels(self) -> Tensor:
        """`(1, 3, H, W)`, sRGB in [0, 1]."""
        return from_levels(self.levels[:, :3])

    @property
    def visible(self) -> Tensor:
        """`pixels`, but hidden ones have the colours of visible ones around them."""
        return filled(from_levels(self.levels))

    @property
    def alpha(self) -> Tensor | None:
        """Opacity `(1, 1, H, W)` in [0, 1], or None for a file without one."""
        return from_levels(self.levels[:, 3:]) if self.image.bands == 4 else None

    @property
    def dtype(self) -> torch.dtype:
        """Type of the levels: uint8 or uint16."""
        return torch.uint16 if self.image.format == "ushort" else torch.uint8

    @property
    def depth(self) -> int:
        """Bits per channel, 8 or 16."""
        return 8 * self.dtype.itemsize

    @property
    def exif(self) -> bytes | None:
        """EXIF as in the file."""
        data: bytes | None = field(self.image, "exif-data")
        return data

    @property
    def dpi(self) -> tuple[float, float]:
        """Dots per inch, across and down."""
        return self.image.xres * _MILLIMETRES, self.image.yres * _MILLIMETRES


def _bands(parts: Iterable[tuple[Box, Tensor]], width: int) -> Iterator[Levels]:
    """The parts that stand side by side as one array `(H, width, 3)`, from top to bottom; it is used again."""
    band = np.empty((0, width, 3), np.uint8)
    for (_, columns), levels in parts:
        array = levels[0].permute(1, 2, 0).numpy()
        if columns.start == 0 and (len(band) != len(array) or band.dtype != array.dtype):
            band = np.empty((len(array), width, 3), array.dtype)
        band[:, columns] = array
        if columns.stop == width:
            yield band
