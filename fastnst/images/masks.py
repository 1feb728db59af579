"""Masks: where a photo is stylized. White is, black and transparent are not, and the edge is soft."""

from dataclasses import dataclass
from pathlib import Path

from fastnst.base.boxes import Reader, Size
from fastnst.images.colors import LUMA
from fastnst.images.decode import one_line, pyvips
from fastnst.images.formats import ImageError
from fastnst.images.picture import Picture
from fastnst.images.read import read_picture
from fastnst.images.stored import IN_MEMORY, stored

DEFAULT_FEATHER = 0.01  # of the photo's long side
SHAPE_TOLERANCE = 0.02  # of the width: masks are drawn on copies of other sizes
BLUR = 4.0  # pixels of the Gaussian's standard deviation; softer edges are blurred at a size at which it is about that


@dataclass(frozen=True)
class Mask:
    """A mask for photos of any size and one shape.

    Attributes:
        name: Name of the file, for messages.
        values: One channel from 0 to 1; 1 is stylized.
        feather: Pixels of the photo over which the edge fades, to each side; None for a share of its long side.
    """

    name: str
    values: pyvips.Image
    feather: float | None = None

    def fitted(self, height: int, width: int) -> Reader:
        """The mask for a photo of this size: a function from a box to `(1, 1, H, W)` in [0, 1].

        Raises:
            ImageError: Its shape is not the photo's.
        """
        rows, columns = self.values.height, self.values.width
        if abs(columns * height / rows - width) > max(1.0, SHAPE_TOLERANCE * width):
            raise ImageError(
                f"mask {self.name} is {columns}x{rows} and the photo {width}x{height}: "
                "draw the mask on the photo, or crop it to the same shape"
            )
        deviation = (DEFAULT_FEATHER * max(height, width) if self.feather is None else self.feather) / 2
        scale = max(1, int(deviation / BLUR))
        small = max(1, round(height / scale)), max(1, round(width / scale))
        soft = _resized(self.values, small)
        if deviation > 0:
            soft = soft.gaussblur(deviation / scale, precision="float", min_ampl=0.01)
        soft = stored(soft) if small[0] * small[1] <= IN_MEMORY else soft
        return Picture(_resized(soft, (height, width)), self.name).part


def read_mask(path: Path, *, feather: float | None = None) -> Mask:
    """Read an image file as a mask.

    Raises:
        ImageError: It cannot be read, or nothing in it is white.
    """
    image = read_picture(path).image
    full = 65535 if image.format == "ushort" else 255
    values = image.extract_band(0, n=3).recomb([[share / full for share in LUMA]])
    values = values * (image[3] / full) if image.bands == 4 else values
    with one_line(str(path)):
        if values.max() == 0:
            raise ImageError("black everywhere; white is what is painted")
    return Mask(str(path), values, feather)


def _resized(mask: pyvips.Image, size: Size) -> pyvips.Image:
    return mask.resize(size[1] / mask.width, vscale=size[0] / mask.height, kernel="linear", gap=0)
