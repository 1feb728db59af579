"""Marks in the metadata of stylized files, so that a folder can be stylized again.

Imports neither torch nor anything that does.
"""

from pathlib import Path

from PIL import ExifTags, Image

from fastnst import __version__
from fastnst.images.decoders import open_image, pillow_aside

_BY = "stylized by fastnst"
MARK = f"{_BY} {__version__}"
TAGS = (ExifTags.Base.ProcessingSoftware, ExifTags.Base.Software)


def marked(exif: bytes | None) -> bytes:
    """EXIF with the mark added."""
    found = Image.Exif()
    if exif:
        found.load(exif)
    found[ExifTags.Base.ProcessingSoftware] = MARK
    return found.tobytes()


def is_mark(text: object) -> bool:
    """Whether a text from a file's metadata says that the file is stylized."""
    return _BY in (text.decode("latin-1") if isinstance(text, bytes) else str(text))


def has_mark(path: Path) -> bool:
    """Whether an image file is a stylized one; False for one that cannot be read."""
    try:
        with pillow_aside(), open_image(path) as image:
            exif = image.getexif()
            return any(is_mark(text) for text in (*map(exif.get, TAGS), image.info.get("comment")))
    except Exception:  # any error of Pillow's decoders; it is reported when the file is stylized
        return False
