"""Metadata: marks of stylized files, so that a folder can be stylized again, and what libvips does not carry.

That is a JPEG's quality, and EXIF and IPTC of TIFF files. Imports neither torch nor anything that does; tifftools is
imported for TIFF files.
"""

import functools
import io
import logging
import re
import struct
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from PIL import ExifTags, Image

from fastnst import __version__
from fastnst.base.files import open_file
from fastnst.images.decode import Counted, field, format_in, header_of, pillow_aside, pyvips
from fastnst.images.stored import like

logging.getLogger("tifftools").setLevel(logging.CRITICAL)  # a line for each damaged tag
_BY = "stylized by fastnst"
MARK = f"{_BY} {__version__}"
_FIELD = "exif-ifd0-Software"
_TAGS = ExifTags.Base
# Of a TIFF file's directory, in which tags of the photo and of the layout of its pixels stand side by side.
_OF_THE_PHOTO = {
    *(_TAGS.ImageDescription, _TAGS.Make, _TAGS.Model, _TAGS.Software, _TAGS.DateTime, _TAGS.Artist, _TAGS.Copyright),
    *(_TAGS.HostComputer, _TAGS.XPTitle, _TAGS.XPComment, _TAGS.XPAuthor, _TAGS.XPKeywords, _TAGS.XPSubject),
    *(ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo),  # which are directories of their own
}
MOST_METADATA = 2**24  # bytes of a TIFF file's directory and what it names
_PHOTOSHOP = b"Photoshop 3.0\0"  # begins what a JPEG file holds in its APP13
_IPTC = b"8BIM\x04\x04\0\0"  # begins IPTC in it; then comes the length


def jpeg_quality(header: Image.Image | None) -> int | None:
    """The libjpeg quality, 1 to 100, whose table for brightness comes closest to the file's; None if not JPEG."""
    with suppress(Exception):  # whatever is wrong with its tables, the pixels may be good
        coarseness = sum(next(iter(header.quantization.values())))  # type: ignore[union-attr]
        return min(range(100, 0, -1), key=lambda quality: abs(_coarseness(quality) - coarseness))
    return None


@functools.cache
def _coarseness(quality: int) -> int:
    """The sum of libjpeg's table for brightness, read from a JPEG file made for it."""
    Image.new("L", (8, 8)).save(buffer := io.BytesIO(), "JPEG", quality=quality)
    return sum(Image.open(buffer).quantization[0])  # type: ignore[attr-defined]


def exif_bytes(image: pyvips.Image) -> bytes:
    """The EXIF that libvips would write with an image, as a TIFF file without pixels."""
    # As large as the image, because that is written in it; of one bit, so that it is done at once.
    fields = [name for name in image.get_fields() if name.startswith("exif-")]
    bearer = like(image, pyvips.Image.black(image.width, image.height), fields)
    written = bearer.copy(interpretation="b-w").pngsave_buffer(bitdepth=1, compression=1, keep=pyvips.ForeignKeep.EXIF)
    data: bytes = pyvips.Image.pngload_buffer(written).get("exif-data")
    return data


def read_tiff_metadata(image: pyvips.Image, file: BinaryIO) -> pyvips.Image:
    """An image of a TIFF file with its EXIF and IPTC as libvips has them of a JPEG file."""
    import tifftools

    image = image.copy()
    with suppress(Exception):  # of a broken one, and the photo is good without it
        info = _first_directory(file)
        tags = {tag: entry for tag, entry in info["ifds"][0]["tags"].items() if tag in _OF_THE_PHOTO}
        info |= {"ifds": [{**info["ifds"][0], "tags": tags}], "bigtiff": False}
        tifftools.write_tiff(info, exif := io.BytesIO())
        image.set_type(pyvips.GValue.blob_type, "exif-data", exif.getvalue())
    resources, records = (field(image, name) for name in ("photoshop-data", "iptc-data"))
    if records and not resources:
        resources = _IPTC + struct.pack(">I", len(records)) + records + b"\0" * (len(records) % 2)
    if resources:
        image.set_type(pyvips.GValue.blob_type, "iptc-data", _PHOTOSHOP + resources)
    return image


def _first_directory(file: BinaryIO) -> dict[str, Any]:
    """What `tifftools.read_tiff` says of a TIFF file, but of its first directory alone, and of so many bytes.

    It goes on for ever where a directory says that it is followed by itself, and takes ever more memory.
    """
    import tifftools

    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    counted = Counted(file, MOST_METADATA)
    header = counted.read(4)
    order, big = "<" if header[:2] == b"II" else ">", 43 in header[2:]
    (place,) = struct.unpack(f"{order}4xQ" if big else f"{order}L", counted.read(12 if big else 4))
    info = {"ifds": [], "path_or_fobj": file, "size": size, "header": header, "firstifd": place}
    info |= {"bigEndian": order == ">", "endianPack": order, "bigtiff": big}
    tifftools.tifftools.read_ifd(counted, info, place, info["ifds"])
    return info


def add_metadata(tiff: BinaryIO, image: pyvips.Image, target: BinaryIO) -> None:
    """Copy a TIFF file and add an image's EXIF and IPTC on the way, which libvips leaves out or cuts off."""
    import tifftools

    added = tifftools.read_tiff(io.BytesIO(exif_bytes(image)))["ifds"][0]["tags"]
    info = tifftools.read_tiff(tiff)
    tags = info["ifds"][0]["tags"]
    tags |= {tag: entry for tag, entry in added.items() if tag in _OF_THE_PHOTO}
    if data := field(image, "iptc-data"):
        tags.pop(_TAGS.IPTCNAA, None)
        tags[int(_TAGS.ImageResources)] = {"datatype": tifftools.Datatype.BYTE, "data": data.removeprefix(_PHOTOSHOP)}
    tifftools.write_tiff(info, target)


def marked(image: pyvips.Image) -> pyvips.Image:
    """An image with the mark in its EXIF, behind the name of the software that is there already."""
    image = image.copy()
    # libvips shows a tag as "VALUE (VALUE, ASCII, 10 components, 10 bytes)"
    known = re.fullmatch(r"(.*) \(\1, ASCII, .*\)", str(field(image, _FIELD)), re.DOTALL)
    before = known.group(1).removesuffix(MARK).rstrip("; ") if known else ""
    image.set_type(pyvips.GValue.gstr_type, _FIELD, f"{before}; {MARK}" if before else MARK)
    return image


def is_mark(text: object) -> bool:
    """Whether a text from a file's metadata says that the file is stylized."""
    return _BY in (text.decode("latin-1") if isinstance(text, bytes) else str(text))


def has_mark(path: Path) -> bool:
    """Whether an image file is a stylized one; False for one that cannot be read."""
    with suppress(Exception), pillow_aside(), open_file(path) as file:  # what is wrong with it is told when it is read
        if format_in(file) and (header := header_of(file)):  # of no other format is a file that was written here
            software = map(header.getexif().get, (_TAGS.ProcessingSoftware, _TAGS.Software))
            return any(is_mark(text) for text in (*software, header.info.get("comment")))
    return False
