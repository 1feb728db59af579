"""Metadata of image files: camera, time, place and author (EXIF), dots per inch, quality of a JPEG file."""

import functools
import io
from contextlib import suppress

from PIL import ExifTags, Image

_TAGS = ExifTags.Base
_KEPT_EXIF = (
    *(_TAGS.ImageDescription, _TAGS.Make, _TAGS.Model, _TAGS.Software),
    *(_TAGS.DateTime, _TAGS.Artist, _TAGS.Copyright),
)

# Wrong once pixels, size or place in the file have changed.
_STALE_EXIF = (
    *(_TAGS.MakerNote, _TAGS.ColorSpace, _TAGS.ExifImageWidth, _TAGS.ExifImageHeight),
    _TAGS.ExifInteroperabilityOffset,
)


def camera_exif(image: Image.Image) -> bytes | None:
    """The EXIF that stays true when the pixels change; None if there is none or it is broken.

    The orientation is left out, because the pixels are turned; so is the thumbnail.
    """
    kept = Image.Exif()
    with suppress(Exception):
        found = image.getexif()
        kept.update({tag: found[tag] for tag in _KEPT_EXIF if tag in found})
        for part in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo):
            if inside := {tag: value for tag, value in found.get_ifd(part).items() if tag not in _STALE_EXIF}:
                kept[part] = inside
        return kept.tobytes() if len(kept) else None
    return None


def jpeg_quality(image: Image.Image) -> int | None:
    """The libjpeg quality, 1 to 100, whose table for brightness comes closest to the file's; None if not JPEG."""
    tables = getattr(image, "quantization", None)
    if not tables:
        return None
    coarseness = sum(tables[0])
    return min(range(100, 0, -1), key=lambda quality: abs(_coarseness(quality) - coarseness))


@functools.cache
def _coarseness(quality: int) -> int:
    """The sum of libjpeg's table for brightness, read from a JPEG file made for it."""
    buffer = io.BytesIO()
    Image.new("L", (8, 8)).save(buffer, "JPEG", quality=quality)
    with Image.open(buffer) as image:
        return sum(image.quantization[0])  # type: ignore[attr-defined]


def dots_per_inch(image: Image.Image) -> tuple[float, float] | None:
    """Dots per inch, across and down; None if the file has none or invalid ones."""
    try:
        across, down = (float(value) for value in image.info["dpi"])
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
    return (across, down) if 0 < across < 1e5 and 0 < down < 1e5 else None
