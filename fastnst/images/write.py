"""Writers of image files: `save_image`, `save_picture`. A file is written whole or not at all."""

import io
from pathlib import Path
from typing import Any, BinaryIO

import torch
from PIL import Image
from torch import Tensor

from fastnst.base.files import write_out
from fastnst.images import deep_color
from fastnst.images.color_profiles import srgb_profile
from fastnst.images.decoders import with_palette
from fastnst.images.formats import ImageError, check_sides, format_of
from fastnst.images.levels import Bytes, in_rows, on_white, to_levels
from fastnst.images.marks import MARK, marked
from fastnst.images.picture import Picture

LARGE = 2**25  # pixels; for the last 5 % of a JPEG file's size libjpeg would hold 6 bytes a pixel
_ENCODING: dict[str, dict[str, Any]] = {
    "JPEG": {"subsampling": 0, "optimize": True},
    "TIFF": {"compression": "tiff_deflate"},
    "GIF": {"optimize": False},  # otherwise Pillow drops the transparent colour of frames without holes
    "AVIF": {"subsampling": "4:4:4"},
    "HEIF": {"chroma": 444},
}
_LOSSY = ("JPEG", "WEBP", "AVIF", "HEIF")
_LONGEST_EXIF = 65527 - 64  # bytes, in a JPEG file, without the mark


def encode_photo(photo: Bytes, *, quality: int = 90) -> bytes:
    """A photo `(H, W, 3)` as the bytes of a small JPEG file."""
    buffer = io.BytesIO()
    Image.fromarray(photo).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def save_image(
    image: Tensor,
    target: Path | BinaryIO,
    *,
    alpha: Tensor | None = None,
    exif: bytes | None = None,
    quality: int = 95,
    format: str | None = None,
    dpi: tuple[float, float] | None = None,
    depth: int = 8,
    stylized: bool = False,
    replace: bool = True,
) -> None:
    """Write an image `(1, 3, H, W)`, sRGB in [0, 1], with opacity `(1, 1, H, W)` or without; see `save_picture`.

    Raises:
        ImageError: As `save_picture`, or a wrong shape.
    """
    if image.ndim != 4 or image.shape[:2] != (1, 3):
        raise ImageError(f"expected one image (1, 3, H, W), got {tuple(image.shape)}")
    if alpha is not None and alpha.shape != (expected := (1, 1, *image.shape[-2:])):
        raise ImageError(f"expected alpha {expected}, got {tuple(alpha.shape)}")
    channels = image if alpha is None else torch.cat((image, alpha.to(image)), dim=1)
    levels = to_levels(channels, torch.uint8 if depth == 8 else torch.uint16).cpu()
    picture = Picture(levels, exif=exif, quality=quality, dpi=dpi)
    save_picture(picture, target, format=format, stylized=stylized, replace=replace)


def save_picture(
    picture: Picture,
    target: Path | BinaryIO,
    *,
    quality: int | None = None,
    format: str | None = None,
    stylized: bool = False,
    replace: bool = True,
) -> None:
    """Write a picture with an sRGB profile; a file appears whole or not at all, with its folder.

    PNG and TIFF hold 16 bit per channel, the others 8. JPEG has no opacity: the image is put on white. EXIF that does
    not fit into a JPEG file is left out.

    Args:
        picture: The picture; its `format` and `frames` are ignored.
        target: A file, or a stream open for writing bytes (which needs `format`).
        quality: Of JPEG, AVIF, HEIC (never with subsampled colour) and WebP, 1 to 100 [the picture's, else 95].
        format: "PNG", "JPEG", "WEBP", "TIFF", "GIF" or "AVIF"; by default what the suffix says.
        stylized: Mark it as stylized in its metadata; see `marks.py`.
        replace: Whether to replace an existing file.

    Raises:
        ImageError: The format is unknown or cannot hold an image of this size.
        FileExistsError: Without `replace`, the file exists.
    """
    name = format_of(target, format)
    check_sides(target, name, picture.levels.shape[-2:])
    known: dict[str, Any] = {"exif": picture.exif, "dpi": picture.dpi}
    if picture.depth > 8 and name in deep_color.FORMATS:
        known["exif"] = marked(picture.exif) if stylized else picture.exif
        values = picture.levels[0].permute(1, 2, 0).numpy()
        write_out(target, deep_color.encode(values, name, profile=srgb_profile(), **known), replace=replace)
        return
    options = encoding(name, quality=quality or picture.quality or 95, stylized=stylized, **known)
    if picture.levels[0, 0].numel() > LARGE:
        options.pop("optimize", None)
    buffer = io.BytesIO()
    to_pillow(picture.levels, name).save(buffer, name, **options)
    write_out(target, buffer.getvalue(), replace=replace)


def encoding(
    name: str,
    *,
    quality: int = 95,
    exif: bytes | None = None,
    dpi: tuple[float, float] | None = None,
    stylized: bool = False,
) -> dict[str, Any]:
    """Arguments of Pillow's `save` for a format; see `save_picture`."""
    options: dict[str, Any] = {"icc_profile": srgb_profile(), **_ENCODING.get(name, {})}
    if exif and len(exif) > _LONGEST_EXIF:
        exif = None
    if stylized and name == "GIF":
        options["comment"] = MARK
    elif stylized and name == "TIFF" and not exif:
        options["software"] = MARK
    elif stylized:
        exif = marked(exif)
    if name in _LOSSY:
        options["quality"] = quality
    if exif:
        options["exif"] = exif.removeprefix(b"Exif\0\0") if name == "WEBP" else exif  # in animations Pillow leaves it
        options.pop("compression", None)  # Pillow cannot write EXIF into a compressed TIFF file
    if dpi:
        options["dpi"] = dpi
    return options


def to_pillow(levels: Tensor, name: str) -> Image.Image:
    """One image `(1, 3 or 4, H, W)`, as a file of this format holds it: RGB, RGBA or, in GIF, a palette."""
    if name == "JPEG" and levels.shape[1] == 4:
        levels = in_rows(levels, on_white, torch.uint8)
    elif levels.dtype != torch.uint8:
        levels = in_rows(levels, torch.clone, torch.uint8)
    image = Image.fromarray(levels[0].permute(1, 2, 0).contiguous().numpy())
    return with_palette(image) if name == "GIF" else image
