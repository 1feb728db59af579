"""`Picture`: an image with the metadata of its file."""

from dataclasses import dataclass

from torch import Tensor

from fastnst.images.levels import from_levels


@dataclass(frozen=True)
class Picture:
    """An image with the metadata of its file, which the stylized image keeps.

    Attributes:
        levels: `(1, 3 or 4, H, W)`, sRGB and, if the file has it, opacity, turned upright; uint8, or uint16 for a file
            of more than 8 bit per channel.
        format: Pillow's name of the file format, such as "JPEG".
        exif: Camera, time, place and author, without the orientation; None if there is none.
        quality: For a JPEG file, the libjpeg quality (1 to 100) whose tables come closest; else None.
        dpi: Dots per inch, across and down, if the file says.
        frames: Pictures in the file; `levels` are the first. See `painting/animation.py` for the others.
    """

    levels: Tensor
    format: str | None = None
    exif: bytes | None = None
    quality: int | None = None
    dpi: tuple[float, float] | None = None
    frames: int = 1

    @property
    def pixels(self) -> Tensor:
        """`(1, 3, H, W)`, sRGB in [0, 1]."""
        return from_levels(self.levels[:, :3])

    @property
    def alpha(self) -> Tensor | None:
        """Opacity `(1, 1, H, W)` in [0, 1], or None for a file without one."""
        return from_levels(self.levels[:, 3:]) if self.levels.shape[1] == 4 else None

    @property
    def depth(self) -> int:
        """Bits per channel, 8 or 16."""
        return 8 * self.levels.element_size()
