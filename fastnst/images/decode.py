"""Image files opened: by libvips or, in formats that it lacks, by Pillow. Errors of both in one line."""

import io
import logging
import math
import os
import re
import struct
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from PIL import ExifTags, Image, ImageFile, UnidentifiedImageError

from fastnst.base.cgroups import free_memory
from fastnst.base.errors import GONE, NoFileError, UserError, reason_for
from fastnst.base.files import open_file
from fastnst.images.formats import ANIMATED, HELD, Held, ImageError, PixelLimitError, name_of, register_heif

# Silences libvips's own warnings, also those of pictures that go with the process, when pyvips no longer listens.
os.environ.setdefault("VIPS_WARNING", "0")  # read as the library starts; any value counts
try:
    import pyvips as pyvips  # for the modules of this wing, which have it from here
except (ImportError, OSError):  # the package, or the library that it looks for
    raise UserError("libvips is missing: pip install 'pyvips[binary]', or pyvips and the system's libvips") from None

logging.getLogger("pyvips").setLevel(logging.CRITICAL)  # what goes wrong is raised as well
pyvips.cache_set_max(0)  # no picture is read twice, and large ones must not stay in memory

MAX_PIXELS = 500_000_000  # of a file; above it, a mistake or a decompression bomb
WHOLE = ("GIF", "WEBP", "AVIF")  # formats that libvips decodes as a whole, as Pillow does all, and not row by row
LARGE_SCREEN = 2**24  # pixels; the first picture of an animation covers a good part of a screen of more
LEAST_COVERED = 1 / 64  # of it; less is a bomb: a few hundred bytes that become gigabytes
MOST_SCANS = 100  # of a JPEG file; progressive ones have about 10, and each goes over all pixels again
MOST_SEGMENTS = 5000  # of a JPEG file, its scans included; a profile or XMP of 12 MB has 200
MOST_PAGES = 100_000  # of a file, its pictures or pages; Pillow, which counts them, takes seconds for a million
MOST_READS = 20_000  # of a header by Pillow: up to 4 for each segment or chunk, and 1 for each byte between segments
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")  # in compressed data, others follow a 255
_SCAN, _END = 0xDA, 0xD9

# What libvips reads, and calls so. It has other loaders, which are not meant for files of strangers.
LOADERS = {"JPEG": "jpeg", "PNG": "png", "TIFF": "tiff", "GIF": "gif", "WEBP": "webp", "AVIF": "heif"}
# How the files begin.
_BEGINNINGS = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG\r\n\x1a\n": "PNG",
    **dict.fromkeys((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"), "TIFF"),
    **dict.fromkeys((b"GIF87a", b"GIF89a"), "GIF"),
}
_HEIF = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1")
_BRANDS = {b"WEBP": "WEBP", b"avif": "AVIF", b"avis": "AVIF", **dict.fromkeys(_HEIF, "HEIF")}  # at byte 8
_REASONS = {
    FileNotFoundError: "no such file",
    IsADirectoryError: "expected an image file, got a folder",
    NoFileError: "a pipe or a device, and no file",
    PermissionError: "not allowed to read it",
    UnidentifiedImageError: "not an image, or of a kind that is not known",
    MemoryError: "not enough memory to decode it",
}
_lock, _restore = threading.Lock(), ExitStack()  # what `pillow_aside` has to put back
_readers = 0  # that have it set aside


class Opened(NamedTuple):
    """An image file whose pixels are not decoded yet.

    Attributes:
        size: Width and height in pixels, as in the file.
        format: Pillow's name of the format.
        header: What Pillow knows of the file; None if it knows nothing.
        load: Pixels as in the file, of any kind, with the file's metadata. They can be computed once, downwards. It
            takes options for libvips: `shrink` of a JPEG file.
        file: The file itself, at any place.
    """

    size: tuple[int, int]
    format: str
    header: ImageFile.ImageFile | None
    load: Callable[..., pyvips.Image]
    file: BinaryIO

    @property
    def frames(self) -> int:
        """Pictures of an animation, pages of a TIFF file; 1 of all else, also of a photo with a depth map beside it."""
        with suppress(Exception):  # APNG and AVIF are animations to Pillow alone; a damaged one raises any error
            if self.format in (*ANIMATED, "TIFF"):
                return int(getattr(self.header, "n_frames", 1))
        return 1


@contextmanager
def opened(source: Path | BinaryIO, *, max_pixels: int | None = None) -> Iterator[Opened]:
    """An image file for reading; any error inside becomes an ImageError of one line.

    Args:
        source: A file, or a stream open for reading bytes.
        max_pixels: A file of more pixels is refused before it is decoded [MAX_PIXELS].
    """
    with one_line(name_of(source)), pillow_aside(), ExitStack() as stack:
        file: BinaryIO = open_file(source) if isinstance(source, Path) else io.BytesIO(source.read())
        stack.enter_context(file)
        format, header, image = format_in(file), header_of(file), None
        load = partial(_load, file, format)
        if format == "JPEG":
            _check_scans(file)
        with suppress(pyvips.Error):
            image = load() if format in LOADERS else None
        if format and image:
            whole = format in WHOLE or field(image, "interlaced")
            size = image.width, image.height
            check_pixels(size, max_pixels, whole=format if whole else None, rich=is_rich(image))
            _check_screen(file, header)
            if (field(image, "n-pages") or 1) > MOST_PAGES:
                raise ImageError(f"more than {MOST_PAGES:,} pictures in one file")
            yield Opened(size, format, header, lambda **options: load(**options) if options else image, file)
        else:  # libvips does not know it, or less of it than Pillow
            header = stack.enter_context(_by_pillow(file))
            check_pixels(header.size, max_pixels, whole=header.format, rich=header.has_transparency_data)
            yield Opened(header.size, str(header.format), header, lambda **_: from_pillow(header), file)


def format_in(file: BinaryIO) -> str | None:
    """Pillow's name of a file's format by how it begins, if it is one of the usual; nothing is decoded."""
    file.seek(0)
    beginning = file.read(12)
    file.seek(0)
    known = (name for start, name in _BEGINNINGS.items() if beginning.startswith(start))
    return next(known, _BRANDS.get(beginning[8:]))


def _load(file: BinaryIO, format: str | None, **options: Any) -> pyvips.Image:
    if isinstance(file, io.BytesIO):
        connection = pyvips.Source.new_from_memory(file.getvalue())
    else:
        with open(file.name, "rb") as again:  # with a place of its own, which libvips keeps a copy of
            connection = pyvips.Source.new_from_descriptor(again.fileno())
    load = getattr(pyvips.Image, f"{LOADERS[str(format)]}load_source")
    return load(connection, access="sequential", fail_on="error", **options)


def check_pixels(
    size: tuple[int, int], limit: int | None = None, *, frames: int = 1, whole: str | None = None, rich: bool = False
) -> None:
    """Refuse an image of too many pixels before it is decoded.

    Args:
        size: Width and height.
        limit: Pixels of all frames together [MAX_PIXELS].
        frames: Of an animation.
        whole: The format of one that is decoded as a whole, and must fit into memory.
        rich: Whether it has opacity, or more than 8 bits.
    """
    limit = limit or MAX_PIXELS
    if (pixels := size[0] * size[1] * frames) > limit:
        each = f"{frames} frames of " if frames > 1 else ""
        told = f"{pixels / 1e6:,.0f} megapixels, and the limit is {limit / 1e6:,.0f} megapixels"
        raise PixelLimitError(f"{each}{size[0]} x {size[1]} are {told}")
    if whole and pixels > LARGE_SCREEN:
        held = HELD.get(whole, Held())
        of_one = (held.decoded_rich if rich else held.decoded) * size[0] * size[1]
        needed = max(Held().decoded * pixels, of_one)  # frames are decoded one after the other
        check_memory(needed, f"a file of this kind ({whole}) is decoded as a whole")


def check_encoding(size: tuple[int, int], name: str, *, rich: bool, frames: int = 1) -> None:
    """Refuse to write a large image in a format that is encoded as a whole where memory is short.

    Args:
        size: Width and height.
        name: The format.
        rich: Whether it has opacity, or more than 8 bits.
        frames: Of an animation, whose painted frames are in memory already.
    """
    pixels, held = size[0] * size[1], HELD.get(name, Held())
    needed = (held.encoded_rich if rich else held.encoded) * pixels
    told = f"a file of this kind ({name}), unlike PNG, TIFF and JPEG, is encoded as a whole"
    if frames > 1:
        needed, told = (held.moving + held.frame * frames) * pixels, f"an animation ({name}) is encoded as a whole"
    if pixels * frames > LARGE_SCREEN and needed:
        check_memory(needed, told)


def is_rich(image: pyvips.Image) -> bool:
    """Whether an image has opacity, or more than 8 bits."""
    return bool(image.hasalpha()) or image.format != "uchar"


def check_memory(needed: float, told: str) -> None:
    """Refuse what takes more bytes of memory than are left."""
    if needed > (left := free_memory()):
        raise ImageError(f"{told}, which takes {needed / 1e9:.1f} GB of memory, and {left / 1e9:.1f} GB are left")


def _check_screen(file: BinaryIO, header: ImageFile.ImageFile | None) -> None:
    """Refuse a GIF or WebP file whose first picture is next to nothing on a large screen."""
    if header is None or header.width * header.height <= LARGE_SCREEN or header.format not in ("GIF", "WEBP"):
        return
    covered = header.width * header.height
    if header.format == "GIF":
        left, top, right, bottom = header.tile[0].extents or (0, 0, 0, 0)
        covered = (right - left) * (bottom - top)
    else:
        file.seek(12)
        counted = Counted(file)
        while len(start := counted.read(24)) == 24:
            if start.startswith(b"ANMF"):  # behind its size and its place, width and height less one
                width, height = (int.from_bytes(start[place : place + 3], "little") + 1 for place in (14, 17))
                covered = width * height
                break
            file.seek(int.from_bytes(start[4:8], "little") + start[4] % 2 - 16, io.SEEK_CUR)
    if covered < LEAST_COVERED * header.width * header.height:
        raise ImageError(f"a screen of {header.width} x {header.height} pixels, and a picture of {covered} on it")


def _check_scans(file: BinaryIO) -> None:
    """Refuse a JPEG file of more scans than any program writes, which take hours of a small one; nothing is decoded."""
    file.seek(2)
    data, place, scans = file.read(), 0, 0
    for _ in range(MOST_SEGMENTS):
        if not (found := _MARKER.search(data, place)):
            return
        marker, place = data[found.start() + 1], found.end()
        if marker == _END:
            return
        scans += marker == _SCAN
        if scans > MOST_SCANS:
            raise ImageError(f"more than {MOST_SCANS} scans, which no program writes")
        place += int.from_bytes(data[place : place + 2], "big")
    raise ImageError(f"more than {MOST_SEGMENTS:,} segments, which no program writes")


@contextmanager
def one_line(name: str, *, writes: bool = False) -> Iterator[None]:
    """Any error inside becomes an ImageError of one line: the file's name, what failed, and why."""
    try:
        yield
    except ImageError as error:
        raise type(error)(f"{name}: {error}") from None
    except Exception as error:  # a broken file can raise any error in a decoder, and an encoder when numbers are odd
        raise ImageError(f"{name}: {_reason(error, writes=writes)}") from error


def field(image: pyvips.Image, name: str) -> Any:
    """A field of an image's metadata; None if it has none of this name."""
    try:
        return image.get(name) if image.get_typeof(name) else None
    except RuntimeError:  # an empty one
        return None


def from_pillow(image: Image.Image) -> pyvips.Image:
    """A PIL image for libvips, with its profile, metadata and orientation; it is decoded."""
    image.load()
    about, orientation = image.info, 1
    with suppress(Exception):  # broken EXIF raises any error, and the photo is good without it
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    deep = image.mode.startswith("I;16")  # of any order of bytes
    plain = ("L" if image.mode in ("1", "L", "LA", "La") else "RGB") + "A" * image.has_transparency_data
    if not deep and image.mode not in ("I", "F", "CMYK", "LAB", plain):
        image = image.convert(plain)
    kind = {"CMYK": "cmyk", "RGB": "srgb", "RGBA": "srgb"}.get(image.mode, "grey16" if deep else "b-w")
    vips = pyvips.Image.new_from_array(np.asarray(image, np.uint16 if deep else None), interpretation=kind)
    if image.mode == "LAB":  # whose colours have signs
        vips = (vips[0] * (100 / 255)).bandjoin(vips[1:].copy(format="char")).copy(interpretation="lab")
    for name, known in {"icc-profile-data": "icc_profile", "xmp-data": "xmp", "exif-data": "exif"}.items():
        if isinstance(value := about.get(known), bytes) and value:
            vips.set_type(pyvips.GValue.blob_type, name, value)
    vips.set_type(pyvips.GValue.gint_type, "orientation", orientation if orientation in range(1, 9) else 1)
    return vips


def _reason(error: Exception, *, writes: bool) -> str:
    """Why a file could not be read or written, in a few words."""
    if isinstance(error, ModuleNotFoundError | NotImplementedError):
        return str(error)
    if known := next((reason for kind, reason in _REASONS.items() if isinstance(error, kind)), None):
        return known
    told, system = str(error), error if isinstance(error, OSError) else None
    if isinstance(error, pyvips.Error):  # "unable to call", then a line for each thing that went wrong
        system = next((OSError(code, "") for code in GONE if os.strerror(code) in told), None)
        told = told.strip().split("\n")[-1]
        # libvips does not always say why: PNG and JPEG
        if any(each in told for each in ("unable to write to target", "Unknown error -1", "No space left on device")):
            told = "the disk is full, or does not take it: make room, or choose another place"
    if system and (reason := reason_for(system, reads=not writes)):
        return f"cannot be {'written' if writes else 'read'}: {reason}"
    failed = "cannot be written" if writes else "damaged image"
    return f"{failed} ({' '.join(told.split()) or type(error).__name__})"


def header_of(file: BinaryIO) -> ImageFile.ImageFile | None:
    """The file as Pillow sees it, not decoded; None if it does not know it."""
    try:
        return _by_pillow(file)
    except ImageError:  # too many parts, of which also libvips would make much
        raise
    except Exception:  # of what is only asked for side facts, any error
        return None


def _by_pillow(file: BinaryIO) -> ImageFile.ImageFile:
    """The file opened by Pillow as what its first bytes say, and as nothing else."""
    format = format_in(file)
    if format is None:
        return Image.open(file)
    if format == "HEIF":
        register_heif()
    counted: Any = Counted(file)
    header = Image.open(counted, formats=[format, "AVIF"] if format == "HEIF" else [format])  # they share a brand
    counted.read = file.read
    return header


def shown_size(image: ImageFile.ImageFile, file: BinaryIO) -> tuple[int, int]:
    """Width and height that an animation takes when it is shown: a frame of a GIF may lie beyond its screen.

    Pillow then grows the screen, and fills as much for each frame that leaves nothing behind: 16 GB for a file of 4 kB.
    """
    width, height = image.size
    if image.format == "GIF":
        for right, bottom in _ends_of_gif_frames(file):
            width, height = max(width, right), max(height, bottom)
    return width, height


def _ends_of_gif_frames(file: BinaryIO) -> Iterator[tuple[int, int]]:
    """Right and lower end of each frame, found as Pillow finds them: what is no block is skipped byte by byte."""
    file.seek(10)
    flags = file.read(3)[0]
    file.seek(_palette_bytes(flags), io.SEEK_CUR)
    while (kind := file.read(1)) not in (b"", b";"):
        if kind == b"!":
            file.seek(1, io.SEEK_CUR)
        elif kind == b",":
            if len(frame := file.read(9)) < 9:
                return
            left, top, width, height, flags = struct.unpack("<4HB", frame)
            yield left + width, top + height
            file.seek(_palette_bytes(flags) + 1, io.SEEK_CUR)
        else:
            continue
        while (size := file.read(1)) not in (b"", b"\0"):
            file.seek(size[0], io.SEEK_CUR)


def _palette_bytes(flags: int) -> int:
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


class Counted:
    """A file that gives way after so many reads: Pillow takes seconds for each million of parts in a header.

    Args:
        file: It has a `name`, or whatever else is asked of it.
        most_bytes: It gives way before it has given more.
    """

    def __init__(self, file: BinaryIO, most_bytes: float = math.inf) -> None:
        self._file, self._left, self._bytes = file, MOST_READS, most_bytes
        self.read, self.seek, self.tell = self._counted, file.seek, file.tell

    def __getattr__(self, name: str) -> Any:
        """Whatever else a file has."""
        return getattr(self._file, name)

    def _counted(self, size: int = -1) -> bytes:
        self._left -= 1
        if self._left < 0:
            raise ImageError("a header of more parts than any program writes")
        data = self._file.read(size)
        self._bytes -= len(data)
        if self._bytes < 0:
            raise ImageError("a header of more bytes than any program writes")
        return data


@contextmanager
def pillow_aside() -> Iterator[None]:
    """Disable Pillow's warnings about readable files and its limit for large ones.

    Both are process-wide: the first reader disables, the last restores them.
    """
    global _readers
    with _lock:
        _readers += 1
        if _readers == 1:
            _restore.enter_context(warnings.catch_warnings())
            warnings.simplefilter("ignore")
            _restore.callback(setattr, Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)
            Image.MAX_IMAGE_PIXELS = None
    try:
        yield
    finally:
        with _lock:
            _readers -= 1
            if not _readers:
                _restore.close()
