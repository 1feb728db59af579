"""Metadata that libvips does not carry from file to file: a JPEG's quality, EXIF of TIFF files, EXIF for Pillow."""

import functools
import io
from contextlib import suppress
from typing import BinaryIO

import tifftools
from PIL import ExifTags, Image

from fastnst.images.decode import pyvips
from fastnst.images.stored import like

_TAGS = ExifTags.Base
_SUBDIRECTORIES = (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo)
# Of a TIFF file's directory, in which tags of the photo and of the layout of its pixels stand side by side.
_OF_THE_PHOTO = {
    *(_TAGS.ImageDescription, _TAGS.Make, _TAGS.Model, _TAGS.Software, _TAGS.DateTime, _TAGS.Artist, _TAGS.Copyright),
    *(_TAGS.HostComputer, _TAGS.XPTitle, _TAGS.XPComment, _TAGS.XPAuthor, _TAGS.XPKeywords, _TAGS.XPSubject),
    *_SUBDIRECTORIES,
}


def jpeg_quality(header: Image.Image | None) -> int | None:
    """The libjpeg quality, 1 to 100, whose table for brightness comes closest to the file's; None if not JPEG."""
    with suppress(Exception):  # whatever is wrong with its tables, the pixels may be good
        coarseness = sum(next(iter(header.quantization.values())))  # type: ignore[union-attr]
        return min(range(100, 0, -1), key=lambda quality: abs(_coarseness(quality) - coarseness))
    return None


@functools.cache
def _coarseness(quality: int) -> int:
    """The sum of libjpeg's table for brightness, read from a JPEG file made for it."""
    buffer = io.BytesIO()
    Image.new("L", (8, 8)).save(buffer, "JPEG", quality=quality)
    with Image.open(buffer) as image:
        return sum(image.quantization[0])  # type: ignore[attr-defined]


def exif_bytes(image: pyvips.Image) -> bytes:
    """The EXIF that libvips would write with an image, as a TIFF file without pixels."""
    # As large as the image, because that is written in it; of one bit, so that it is done at once.
    fields = [name for name in image.get_fields() if name.startswith("exif-")]
    bearer = like(image, pyvips.Image.black(image.width, image.height), fields)
    written = bearer.copy(interpretation="b-w").pngsave_buffer(bitdepth=1, compression=1, keep=pyvips.ForeignKeep.EXIF)
    data: bytes = pyvips.Image.pngload_buffer(written).get("exif-data")
    return data


def tiff_exif(file: BinaryIO) -> bytes | None:
    """The EXIF of a TIFF file; None if there is none, or it is broken."""
    with suppress(Exception):  # the photo is good without it
        file.seek(0)
        info = tifftools.read_tiff(file)
        tags = {tag: entry for tag, entry in info["ifds"][0]["tags"].items() if tag in _OF_THE_PHOTO}
        if tags:
            tifftools.write_tiff(
                {**info, "ifds": [{**info["ifds"][0], "tags": tags}], "bigtiff": False}, found := io.BytesIO()
            )
            return found.getvalue()
    return None


def add_exif(tiff: BinaryIO, exif: bytes, target: BinaryIO) -> None:
    """Copy a TIFF file and add EXIF on the way."""
    added = tifftools.read_tiff(io.BytesIO(exif))["ifds"][0]["tags"]
    info = tifftools.read_tiff(tiff)
    tags = info["ifds"][0]["tags"]
    tags |= {tag: entry for tag, entry in added.items() if tag in _OF_THE_PHOTO}
    tifftools.write_tiff(info, target)
