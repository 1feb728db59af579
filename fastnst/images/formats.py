"""Formats of image files: their suffixes, what each can hold, and the error of a file that cannot be used.

Imports neither torch nor anything that does, so that a wrong name is refused at once.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

from fastnst.base.errors import UserError

# Formats that are written, by suffix.
FORMATS = {".png": "PNG", ".apng": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".jpe": "JPEG", ".jfif": "JPEG"}
FORMATS |= {".webp": "WEBP", ".tif": "TIFF", ".tiff": "TIFF", ".gif": "GIF"}
FORMATS |= {".avif": "AVIF", ".heic": "HEIF", ".heif": "HEIF"}
SUFFIXES = tuple(sorted({*FORMATS, ".bmp", ".jp2", ".pgm", ".ppm", ".tga"}))  # of files that are taken for photos
ANIMATED = ("GIF", "PNG", "WEBP", "AVIF")  # formats that hold moving pictures
LONGEST_SIDE = {"JPEG": 65500, "WEBP": 16383, "GIF": 65535}  # pixels; what the formats can hold


class Held(NamedTuple):
    """Bytes that each pixel takes beyond the picture itself, while a file is decoded, and while it is encoded.

    Pictures are plain, or rich: with opacity, or of more than 8 bits. An animation takes `moving` while it is encoded,
    and `frame` for each of its frames.
    """

    decoded: int = 12
    decoded_rich: int = 12
    encoded: int = 0
    encoded_rich: int = 0
    moving: int = 0
    frame: int = 0


# Measured, see records/memory. Others are encoded row by row; those that are decoded as a whole hold up to 10.
HELD = {
    "AVIF": Held(32, 32, 40, 60, moving=340, frame=18),
    "HEIF": Held(16, 24, 50, 75),
    "WEBP": Held(12, 18, 12, 40, moving=26, frame=8),
    "GIF": Held(12, 18, 26, 26, moving=24, frame=2),
    "PNG": Held(moving=24, frame=4),
    "JPEG2000": Held(20, 20),
}


class ImageError(UserError):
    """An image that cannot be read or written; the message is one line and names the file."""


class PixelLimitError(ImageError):
    """An image of more pixels than allowed, refused before it is decoded."""


def check_suffix(path: Path) -> str:
    """The format in which a file of this name is saved; an ImageError for an unknown suffix."""
    if path.suffix.lower() not in FORMATS:
        found = repr(path.suffix) if path.suffix else "no suffix"
        raise ImageError(f"{path}: expected a name ending in {', '.join(FORMATS)}, got {found}")
    if (name := FORMATS[path.suffix.lower()]) == "HEIF":
        try:
            register_heif()
        except ModuleNotFoundError as error:
            raise ImageError(f"{path}: {error}") from None
    return name


def register_heif() -> None:
    """Let Pillow read and write HEIC; a ModuleNotFoundError names the package to install."""
    try:
        import pillow_heif
    except ModuleNotFoundError:
        raise ModuleNotFoundError("HEIC needs pillow-heif: pip install 'fastnst[heic]'") from None
    pillow_heif.register_heif_opener()


def format_of(target: Path | BinaryIO, format: str | None) -> str:
    """Pillow's name of the format asked for, or else of the format of the file's suffix."""
    if format is not None:
        target = Path(f"image.{format.lower()}")
    if isinstance(target, Path):
        return check_suffix(target)
    raise ImageError(f"a stream needs a format: {', '.join(dict.fromkeys(FORMATS.values()))}")


def check_sides(target: Path | BinaryIO, name: str, shape: Sequence[int]) -> None:
    """Refuse an image `(H, W)` that the format cannot hold."""
    if max(shape) > (longest := LONGEST_SIDE.get(name, 2**31)):
        raise ImageError(f"{name_of(target)}: {name} holds up to {longest} pixels a side, got {shape[1]}x{shape[0]}")


def name_of(source: Path | BinaryIO) -> str:
    """The name of a file or stream in messages."""
    name = getattr(source, "name", None)  # of a temporary file, None or a number
    return str(source) if isinstance(source, Path) else name if isinstance(name, str) else "image"
