"""The writer of image files, `save_image`. A file is written whole or not at all."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from PIL import Image

from fastnst.base.files import whole_file
from fastnst.images.decode import LOADERS, check_encoding, field, is_rich, one_line, pyvips
from fastnst.images.formats import ImageError, check_sides, format_of, name_of
from fastnst.images.levels import Bytes
from fastnst.images.metadata import MARK, add_metadata, exif_bytes, marked
from fastnst.images.picture import Picture
from fastnst.images.srgb import FLOATS, eight_bit, in_profile, srgb_profile
from fastnst.images.stored import let_go, pixels_of

if TYPE_CHECKING:
    from torch import Tensor

LARGE = 2**25  # pixels; for the last 5 % of a JPEG file's size libjpeg would hold 6 bytes a pixel
NUM_COLORS = 256  # of a palette
SMALL_TIFF = 2**32 - 2**28  # bytes; a larger file is a BigTIFF
DEEP = ("PNG", "TIFF", "AVIF")  # formats that hold more than 8 bit
LARGEST_HEVC = 2**24  # bytes of a coded picture; libde265 decodes none that has more
HEVC_TILE, UNTILED = 1024, 2**21  # pixels, of a side and in all, that never take so many bytes
_LOSSY = ("JPEG", "WEBP", "AVIF", "HEIF")
_OPTIONS: dict[str, dict[str, Any]] = {  # of what libvips writes; the other formats are written by Pillow
    "JPEG": {"background": 255},
    "PNG": {"filter": "all"},
    "WEBP": {},
    "TIFF": {"compression": "deflate", "predictor": "horizontal"},
    "AVIF": {"compression": "av1", "subsample_mode": "off", "effort": 3},
}


def encode_photo(photo: Bytes, *, quality: int = 90) -> bytes:
    """A photo `(H, W, 3)` as the bytes of a small JPEG file."""
    data: bytes = pyvips.Image.new_from_array(photo).jpegsave_buffer(Q=quality, subsample_mode="on", keep="none")
    return data


def save_image(
    image: Tensor | Picture,
    target: Path | BinaryIO,
    *,
    quality: int | None = None,
    format: str | None = None,
    stylized: bool = False,
    keep_profile: bool = False,
    replace: bool = True,
) -> None:
    """Write an image with an sRGB profile; a file appears whole or not at all, with its folder.

    PNG and TIFF hold 16 bit per channel, TIFF floats if the photo had them, AVIF 12, the others 8. JPEG has no opacity:
    the image is put on white.

    Args:
        image: Pixels `(1, 3, H, W)`, sRGB in [0, 1], for 8 bit per channel; or a picture, with its metadata.
        target: A file, or a stream open for writing bytes (which needs `format`).
        quality: Of JPEG, AVIF, HEIC and WebP, 1 to 100 [the picture's, else 95].
        format: "PNG", "JPEG", "WEBP", "TIFF", "GIF" or "AVIF"; by default what the suffix says.
        stylized: Mark it as stylized in its metadata; see `metadata.py`.
        keep_profile: Write it in the colour space of the photo's own profile, if that is one for RGB.
        replace: Whether to replace an existing file.

    Raises:
        ImageError: The format is unknown or cannot hold the image, or takes too much memory for it; or a wrong shape.
        FileExistsError: Without `replace`, the file exists.
    """
    picture = image if isinstance(image, Picture) else Picture.of(image)
    name = check_target(target, picture.image, format)
    quality = quality or picture.quality or 95
    with whole_file(target, replace=replace) as file, one_line(name_of(target), writes=True):
        held = picture.image if name in DEEP else eight_bit(picture.image)
        held = in_profile(held, picture.profile if keep_profile else None)
        for stale in ("jpeg-thumbnail-data", "orientation", "exif-ifd0-Orientation"):  # not true of what is written
            held.remove(stale)
        held = marked(held) if stylized else held
        if name == "TIFF":
            with tempfile.TemporaryFile() as plain:
                _save(held, plain, name, quality)
                plain.seek(0)
                add_metadata(plain, held, file)
        elif name in _OPTIONS:
            _save(held, file, name, quality)
        else:
            options = pillow_options(name, held, quality=quality, stylized=stylized)
            to_pillow(pixels_of(held), name).save(file, name, **options)
            if name == "HEIF" and held.hasalpha() and file.tell() > LARGEST_HEVC:  # which is not written in tiles
                raise ImageError("with opacity, HEIC of more than 16 MB is not read again: a lower --quality, or PNG")


def check_target(target: Path | BinaryIO, image: pyvips.Image, format: str | None = None) -> str:
    """The format's name, before any work.

    Raises:
        ImageError: The format is unknown, cannot hold the image, or takes more memory than is left.
    """
    name = format_of(target, format)
    check_sides(target, name, (image.height, image.width))
    with one_line(name_of(target)):
        check_encoding((image.width, image.height), name, rich=is_rich(image))
    return name


def pillow_options(name: str, image: pyvips.Image, *, quality: int, stylized: bool) -> dict[str, Any]:
    """Arguments of Pillow's `save` for what it writes: GIF, HEIC and animations."""
    options: dict[str, Any] = {"icc_profile": field(image, "icc-profile-data") or srgb_profile()}
    if name == "GIF":  # if optimized, Pillow drops the transparent colour of frames without holes
        return options | {"optimize": False} | ({"comment": MARK} if stylized else {})
    if name in _LOSSY:
        options |= {"quality": quality, "subsampling": "4:4:4", "chroma": 444}
    if name == "HEIF" and image.width * image.height > UNTILED:
        options["tile_size"] = HEVC_TILE
    return options | {"exif": exif_bytes(image)}


def to_pillow(array: Bytes, name: str) -> Image.Image:
    """An image `(H, W, 3 or 4)` as Pillow writes it: RGB, RGBA or, in GIF, 256 colours, dithered."""
    image = Image.fromarray(array)
    if name != "GIF":
        return image
    colors, has_alpha = image.convert("RGB"), image.mode == "RGBA"
    indices = colors.quantize(palette=colors.quantize(NUM_COLORS - has_alpha), dither=Image.Dither.FLOYDSTEINBERG)
    if has_alpha:  # one of the colours is transparent
        hidden = image.getchannel("A").point(lambda opacity: opacity < NUM_COLORS // 2, "1")
        indices.paste(NUM_COLORS - 1, mask=hidden)
        indices.info["transparency"] = NUM_COLORS - 1
    return indices


def _save(image: pyvips.Image, file: BinaryIO, name: str, quality: int) -> None:
    """Write with libvips."""
    options = _OPTIONS[name] | ({"Q": quality} if name in _LOSSY else {})
    if name == "JPEG":
        small = image.width * image.height <= LARGE
        halved = field(image, "jpeg-chroma-subsample") not in (None, "4:4:4")
        options |= {"subsample_mode": "on" if halved else "off", "optimize_coding": small}
        options |= {"interlace": small and bool(field(image, "interlaced"))}
    elif name == "TIFF":
        if field(image, FLOATS):
            image, options["predictor"] = (image / 65535).cast("float"), "none"
        each = {"ushort": 2, "float": 4}.get(image.format, 1)
        options |= {"bigtiff": each * image.width * image.height * image.bands > SMALL_TIFF}
    elif name == "AVIF":
        options |= {"bitdepth": 12 if image.format == "ushort" else 8}
    image = image.copy()
    image.set_progress(True)
    image.signal_connect("eval", lambda *_: let_go())
    target = pyvips.Target.new_to_descriptor(file.fileno())
    getattr(image, f"{LOADERS[name]}save_target")(target, **options)
