"""Additions to Pillow: HEIC, its process-wide settings, plain words for its errors, palettes."""

import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

NUM_COLORS = 256  # of a palette

# Brands of ISO base media files whose pictures are coded as HEVC (ISO/IEC 23008-12, annex B).
_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}


def open_image(file: Path | BinaryIO) -> ImageFile.ImageFile:
    """An image file, opened and not yet decoded.

    Raises:
        ModuleNotFoundError: A HEIC file, and pillow-heif is not installed.
        Exception: Any error of Pillow's decoders.
    """
    try:
        return Image.open(file)
    except UnidentifiedImageError:
        if not _is_heif(file):
            raise
    register_heif()
    return Image.open(file)


def register_heif() -> None:
    """Let Pillow read and write HEIC; a ModuleNotFoundError names the package to install."""
    try:
        import pillow_heif
    except ModuleNotFoundError:
        raise ModuleNotFoundError("HEIC needs pillow-heif: pip install 'fastnst[heic]'") from None
    pillow_heif.register_heif_opener()


def load_upright(image: Image.Image) -> None:
    """Decode an image in place, and turn it as its EXIF says."""
    image.load()
    with suppress(Exception):  # broken EXIF raises any error, and the photo is good without it
        ImageOps.exif_transpose(image, in_place=True)


def reason(error: Exception) -> str:
    """Why a file could not be read, in a few words."""
    match error:
        case FileNotFoundError():
            return "no such file"
        case IsADirectoryError():
            return "expected an image file, got a folder"
        case PermissionError():
            return "not allowed to read it"
        case ModuleNotFoundError() | NotImplementedError():
            return str(error)
        case UnidentifiedImageError():
            return "not an image, or of a kind that is not known"
        case MemoryError():
            return "not enough memory to decode it"
    return f"damaged image ({' '.join(str(error).split()) or type(error).__name__})"


def with_palette(image: Image.Image) -> Image.Image:
    """An RGB or RGBA image in 256 colours, dithered; one of them is transparent if there is an alpha channel."""
    colors, has_alpha = image.convert("RGB"), image.mode == "RGBA"
    palette = colors.quantize(NUM_COLORS - has_alpha)
    indices = colors.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG)
    if has_alpha:
        hidden = image.getchannel("A").point(lambda opacity: opacity < NUM_COLORS // 2, "1")
        indices.paste(NUM_COLORS - 1, mask=hidden)
        indices.info["transparency"] = NUM_COLORS - 1
    return indices


def _is_heif(file: Path | BinaryIO) -> bool:
    if isinstance(file, Path):
        with file.open("rb") as opened:
            start = opened.read(12)
    else:
        file.seek(0)
        start = file.read(12)
    return start[4:8] == b"ftyp" and start[8:] in _HEIF_BRANDS


class _Aside:
    """Warnings and Pillow's pixel limit, which are process-wide: the first reader disables, the last restores them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._readers = 0
        self._restore = ExitStack()

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """Disable Pillow's warnings about readable files and its limit for large ones."""
        with self._lock:
            self._readers += 1
            if self._readers == 1:
                self._restore.enter_context(warnings.catch_warnings())
                warnings.simplefilter("ignore")
                self._restore.callback(setattr, Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)
                Image.MAX_IMAGE_PIXELS = None
        try:
            yield
        finally:
            with self._lock:
                self._readers -= 1
                if not self._readers:
                    self._restore.close()


pillow_aside = _Aside()
