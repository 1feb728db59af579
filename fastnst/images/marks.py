"""Marks in the metadata of stylized files, so that a folder can be stylized again.

Imports neither torch nor anything that does.
"""

import re
from contextlib import suppress
from pathlib import Path

from PIL import ExifTags

from fastnst import __version__
from fastnst.base.files import open_file
from fastnst.images.decode import field, header_of, pillow_aside, pyvips

_BY = "stylized by fastnst"
MARK = f"{_BY} {__version__}"
_FIELD = "exif-ifd0-Software"
_TAGS = (ExifTags.Base.ProcessingSoftware, ExifTags.Base.Software)


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
        if header := header_of(file):
            exif = header.getexif()
            return any(is_mark(text) for text in (*map(exif.get, _TAGS), header.info.get("comment")))
    return False
