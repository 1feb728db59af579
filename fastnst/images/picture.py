"""`Picture`: an image with the metadata of its file. torch is loaded by what takes or gives tensors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from fastnst.base.boxes import Box, everything
from fastnst.images.decode import one_line, pyvips
from fastnst.images.formats import ImageError
from fastnst.images.levels import Levels, as_channels, from_levels, to_levels
from fastnst.images.srgb import FLOATS
from fastnst.images.stored import like, pixels_of, with_pixels

if TYPE_CHECKING:
    import torch
    from torch import Tensor

_KEPT = ("exif-data", "xmp-data", "iptc-data", "jpeg-chroma-subsample", "interlaced", FLOATS)
_USUAL = 72 / 25.4  # pixels a millimetre, where nothing is known of an image


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
    def of(cls, image: Tensor, **about: Any) -> Picture:
        """A picture of levels `(1, 3 or 4, H, W)`, uint8 or uint16; or of floats in [0, 1], as uint8.

        Raises:
            ImageError: A wrong shape.
        """
        import torch

        if image.ndim != 4 or image.shape[0] != 1 or image.shape[1] not in (3, 4):
            raise ImageError(f"expected one image (1, 3, H, W), got {tuple(image.shape)}")
        levels = to_levels(image, torch.uint8) if image.is_floating_point() else image
        array = levels[0].permute(1, 2, 0).contiguous().cpu().numpy()
        kind = "rgb16" if levels.dtype == torch.uint16 else "srgb"
        return cls(pyvips.Image.new_from_array(array, interpretation=kind).copy(xres=_USUAL, yres=_USUAL), **about)

    def painted(self, parts: Iterable[tuple[Box, Tensor]]) -> Picture:
        """The picture with other colours; opacity and metadata stay.

        Args:
            parts: Boxes, row by row from the left, and their levels `(1, 3, H, W)`. Those of a large picture are kept
                in a temporary file.
        """
        return self.with_colors(_bands(parts, self.size[1]))

    def with_colors(self, bands: Iterable[Levels]) -> Picture:
        """As `painted`, with arrays of levels `(H, W, 3)` from top to bottom, as wide as the picture."""
        image = with_pixels(self.image.extract_band(0, n=3), bands)
        image = image.bandjoin(self.image[3]) if self.image.bands == 4 else image
        return replace(self, image=like(self.image, image, _KEPT))

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
        return as_channels(self.array(box))

    def array(self, box: Box | None = None) -> Levels:
        """The levels of a box or of all, `(H, W, 3 or 4)`.

        Raises:
            ImageError: The file turns out to be damaged.
        """
        with one_line(self.name):
            return pixels_of(self.image, box)

    @property
    def pixels(self) -> Tensor:
        """`(1, 3, H, W)`, sRGB in [0, 1]."""
        return from_levels(self.levels[:, :3])

    @property
    def visible(self) -> Tensor:
        """`pixels`, but hidden ones have the colours of visible ones around them."""
        from fastnst.images.opacity import filled

        return filled(from_levels(self.levels))

    @property
    def dtype(self) -> torch.dtype:
        """Type of the levels: uint8 or uint16."""
        import torch

        return torch.uint16 if self.image.format == "ushort" else torch.uint8


def _bands(parts: Iterable[tuple[Box, Tensor]], width: int) -> Iterator[Levels]:
    """The parts that stand side by side as one array `(H, width, 3)`, from top to bottom."""
    for (_, columns), levels in parts:
        array = levels[0].permute(1, 2, 0).numpy()
        if columns.start == 0:
            band = np.empty((len(array), width, 3), array.dtype)
        band[:, columns] = array
        if columns.stop == width:
            yield band
