"""Photos in and out: a file becomes a float32 tensor `(B, 3, H, W)`, sRGB in [0, 1], and a tensor a file.

Every oddity of image files (255, 16 bit, EXIF, ICC, alpha, grey, CMYK) ends here. Knows nothing of networks.
"""

import functools
import importlib.util
import io
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageCms, ImageOps, UnidentifiedImageError
from torch import Tensor

from fastnst.errors import UserError
from fastnst.files import write_whole

Bytes = NDArray[np.uint8]
Levels = TypeVar("Levels", np.uint8, np.uint16)  # from 0 to the largest that the type holds

SUFFIXES = (".avif", ".bmp", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp")
FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP", ".tif": "TIFF", ".tiff": "TIFF"}
LONGEST_SIDE = {"JPEG": 65500, "WEBP": 16383}  # pixels; what the formats can hold
LARGE = 2**25  # pixels; for the last 5 % of a JPEG file's size libjpeg would hold 6 bytes a pixel
_ENCODING: dict[str, dict[str, Any]] = {
    "JPEG": {"subsampling": 0, "optimize": True},
    "TIFF": {"compression": "tiff_deflate"},
}

# The pictures of the scikit-image wheel that serve as photos; the others are text, diagrams and microscopy.
SAMPLES = (
    *("astronaut.png", "brick.png", "camera.png", "chelsea.png", "coffee.png", "coins.png"),
    *("grass.png", "gravel.png", "hubble_deep_field.jpg", "motorcycle_left.png", "rocket.jpg"),
)

# The full scale of numbers wider than 8 bit: the first that holds the brightest pixel of the file.
_FULL_SCALES = {"I;16": (65535.0,), "I": (65535.0, 2.0**31 - 1), "F": (1.0, 255.0, 65535.0)}
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
_LONGEST_EXIF = 65527  # bytes, in a JPEG file


class ImageError(UserError):
    """An image that cannot be read or written; the message is one line and names the file."""


@dataclass(frozen=True)
class Picture:
    """An image and what its file said beside the pixels, so that the stylized image can keep it.

    Attributes:
        array: `(H, W, 3)`, sRGB, as its viewer sees it (turned).
        alpha: Opacity `(1, 1, H, W)` in [0, 1], or None for a file without one.
        format: Pillow's name of the file format, such as "JPEG".
        exif: Camera, time, place and author, without the orientation; None where there is nothing.
        quality: Of a JPEG file, the libjpeg quality (1 to 100) whose tables come closest; else None.
        dpi: Dots per inch, across and down, if the file says.
    """

    array: Bytes
    alpha: Tensor | None = None
    format: str | None = None
    exif: bytes | None = None
    quality: int | None = None
    dpi: tuple[float, float] | None = None

    @property
    def pixels(self) -> Tensor:
        """`(1, 3, H, W)`, sRGB in [0, 1]: four times the memory of the array."""
        return to_tensor(self.array)


def find_photos(folder: Path) -> list[Path]:
    """All files in the folder and below whose suffix is that of a photo, sorted; hidden ones are left out."""
    if not folder.is_dir():
        raise NotADirectoryError(f"expected a folder of photos, got {folder}")
    photos: list[Path] = []
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        shown = [name for name in files if not name.startswith(".")]
        photos += [Path(place, name) for name in shown if name.lower().endswith(SUFFIXES)]
    return sorted(photos)


def sample_photos() -> dict[str, Path]:
    """Name and file of each photo in the installed scikit-image wheel; nothing is imported or downloaded."""
    package = importlib.util.find_spec("skimage")
    folders = (package.submodule_search_locations if package else None) or []
    files = [Path(folder, "data", name) for folder in folders for name in SAMPLES]
    return {file.stem: file for file in files if file.is_file()}


def resolve_photo(name: str) -> Path:
    """The file a name stands for: `sample:coffee` is a photo of scikit-image, anything else is a path."""
    if not name.startswith("sample:"):
        return Path(name).expanduser()
    samples = sample_photos()
    if (sample := name.removeprefix("sample:")) not in samples:
        known = ", ".join(samples) or "none (pip install scikit-image)"
        raise ImageError(f"no sample photo {sample!r}; there are: {known}")
    return samples[sample]


def load_image(source: Path | BinaryIO, *, size: int | None = None) -> Tensor:
    """The pixels of a file, `(1, 3, H, W)`; see `read_picture`."""
    return read_picture(source, size=size).pixels


def load_on_white(source: Path | BinaryIO, *, size: int | None = None) -> Tensor:
    """The pixels of a file, `(1, 3, H, W)`, on white where it is transparent; for style images and masks."""
    picture = read_picture(source, size=size)
    alpha = 1.0 if picture.alpha is None else picture.alpha
    return picture.pixels * alpha + (1.0 - alpha)


def read_picture(source: Path | BinaryIO, *, size: int | None = None) -> Picture:
    """Reads an image file of any kind, turned upright and converted to sRGB.

    Args:
        source: A file, or a stream open for reading bytes.
        size: Longest side in pixels; a larger image is shrunk (Lanczos), a smaller one stays as it is.

    Raises:
        ImageError: There is no such file, it is damaged, or it is not an image.
    """
    if size is not None and size < 1:
        raise ImageError(f"size must be at least 1 pixel, got {size}")
    with _opened(source) as image:
        format, quality, dpi = image.format, _jpeg_quality(image), _dots_per_inch(image)
        exif = _camera_exif(image)
        image = _decoded(image, max, size, spare=2)
    channels = np.array(image)  # (H, W, 3 or 4)
    alpha = to_tensor(channels[..., 3:]) if image.mode == "RGBA" else None
    return Picture(channels[..., :3], alpha, format=format, exif=exif, quality=quality, dpi=dpi)


def decode_photo(data: bytes | Path, *, short_side: int) -> Bytes:
    """A photo for training, `(H, W, 3)`: turned, sRGB, its short side brought down to `short_side` pixels.

    A photo that is smaller stays as it is. A large JPEG file is decoded at a fraction of its size.
    """
    with _opened(io.BytesIO(data) if isinstance(data, bytes) else data) as image:
        return np.array(_decoded(image, min, short_side, spare=1).convert("RGB"))


def crop_photo(photo: Bytes, box: tuple[float, float, float, float], size: int) -> Bytes:
    """The part of a photo `(H, W, 3)` inside (left, top, right, bottom), in pixels, as a square of `size`."""
    return np.array(Image.fromarray(photo).resize((size, size), Image.Resampling.BICUBIC, box=box))


def encode_photo(photo: Bytes, *, quality: int = 90) -> bytes:
    """A photo `(H, W, 3)` as the bytes of a small JPEG file."""
    buffer = io.BytesIO()
    Image.fromarray(photo).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def from_bytes(values: Tensor) -> Tensor:
    """The one way from 0..255 to [0, 1]: uint8 of any shape on any device becomes float32."""
    return values.float() / 255


def to_tensor(array: NDArray[Levels]) -> Tensor:
    """An image `(H, W, C)` or images `(B, H, W, C)`, uint8 or uint16, as `(B, C, H, W)` in [0, 1]."""
    values = torch.from_numpy(np.ascontiguousarray(array))
    values = values.reshape(-1, *values.shape[-3:]).permute(0, 3, 1, 2).contiguous()
    return from_bytes(values) if values.dtype == torch.uint8 else values.float() / np.iinfo(array.dtype).max


def to_array(images: Tensor) -> Bytes:
    """The one way back: `(B, C, H, W)` in [0, 1], clamped and rounded, becomes uint8 `(B, H, W, C)`."""
    return to_levels(images, np.dtype(np.uint8))


def to_levels(images: Tensor, dtype: np.dtype[Levels]) -> NDArray[Levels]:
    """The same with as many levels as the type has: uint8 or uint16."""
    values = (images.detach().float().clamp(0, 1) * np.iinfo(dtype).max).round()
    array: NDArray[Levels] = values.permute(0, 2, 3, 1).cpu().numpy().astype(dtype, order="C")
    return array


def check_suffix(path: Path) -> str:
    """The format in which a file of this name is saved; an ImageError for a name that tells none."""
    if path.suffix.lower() not in FORMATS:
        found = repr(path.suffix) if path.suffix else "no suffix"
        raise ImageError(f"{path}: expected a name ending in {', '.join(FORMATS)}, got {found}")
    return FORMATS[path.suffix.lower()]


def save_image(
    image: Tensor | Bytes,
    target: Path | BinaryIO,
    *,
    alpha: Tensor | None = None,
    exif: bytes | None = None,
    quality: int = 95,
    format: str | None = None,
    dpi: tuple[float, float] | None = None,
) -> None:
    """Writes an image with an sRGB profile; a file appears whole or not at all, with its folder.

    Args:
        image: `(1, 3, H, W)`, sRGB in [0, 1], or `(H, W, 3)` as bytes.
        target: A file, or a stream open for writing bytes (which needs `format`).
        alpha: Opacity `(1, 1, H, W)` in [0, 1]; on white in JPEG, which has none.
        exif: As in `Picture`; left out where it does not fit into a JPEG file.
        quality: Of JPEG (never with subsampled colour) and WebP, 1 to 100.
        format: "PNG", "JPEG", "WEBP" or "TIFF"; by default what the suffix says.
        dpi: Dots per inch, across and down.

    Raises:
        ImageError: The format is unknown or cannot hold an image of this size.
    """
    name = _format_of(target, format)
    height, width = image.shape[-2:] if isinstance(image, Tensor) else image.shape[:2]
    if max(height, width) > (longest := LONGEST_SIDE.get(name, 2**31)):
        raise ImageError(f"{_name(target)}: {name} holds up to {longest} pixels a side, got {width}x{height}")
    options: dict[str, Any] = {"icc_profile": _srgb_profile(), **_ENCODING.get(name, {})}
    if name in ("JPEG", "WEBP"):
        options["quality"] = quality
    if height * width > LARGE:
        options.pop("optimize", None)
    if exif and len(exif) <= _LONGEST_EXIF:
        options["exif"] = exif
        options.pop("compression", None)  # Pillow cannot write EXIF into a compressed TIFF file
    if dpi:
        options["dpi"] = dpi
    buffer = io.BytesIO()
    _to_pillow(image, alpha, keep_alpha=name != "JPEG").save(buffer, name, **options)
    if isinstance(target, Path):
        write_whole(target, buffer.getvalue())
    else:
        target.write(buffer.getvalue())


def _format_of(target: Path | BinaryIO, format: str | None) -> str:
    if format is not None:
        return check_suffix(Path(f"image.{format.lower()}"))
    if isinstance(target, Path):
        return check_suffix(target)
    raise ImageError(f"a stream needs a format: {', '.join(dict.fromkeys(FORMATS.values()))}")


def _to_pillow(image: Tensor | Bytes, alpha: Tensor | None, *, keep_alpha: bool) -> Image.Image:
    """One image, with its opacity beside it or composited on white."""
    if not isinstance(image, Tensor):
        if alpha is None:
            return Image.fromarray(image)
        image = to_tensor(image)
    if image.ndim != 4 or image.shape[:2] != (1, 3):
        raise ImageError(f"expected one image (1, 3, H, W), got {tuple(image.shape)}")
    if alpha is not None:
        if alpha.shape != (expected := (1, 1, *image.shape[-2:])):
            raise ImageError(f"expected alpha {expected}, got {tuple(alpha.shape)}")
        alpha = alpha.to(image)
        image = torch.cat((image, alpha), dim=1) if keep_alpha else image * alpha + (1 - alpha)
    return Image.fromarray(to_array(image)[0])


@contextmanager
def _opened(source: Path | BinaryIO) -> Iterator[Image.Image]:
    """An image file open for decoding; whatever goes wrong inside is told in one line."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of oddities of files that it can read all the same
            with Image.open(source if isinstance(source, Path) else io.BytesIO(source.read())) as image:
                yield image
    except Exception as error:  # a broken file makes Pillow's decoders stumble in any way
        raise ImageError(f"{_name(source)}: {_reason(error)}") from error


def _name(source: Path | BinaryIO) -> str:
    return str(source) if isinstance(source, Path) else str(getattr(source, "name", "image"))


def _reason(error: Exception) -> str:
    match error:
        case FileNotFoundError():
            return "no such file"
        case IsADirectoryError():
            return "expected an image file, got a folder"
        case PermissionError():
            return "not allowed to read it"
        case Image.DecompressionBombError():
            return f"more than {2 * (Image.MAX_IMAGE_PIXELS or 0):,} pixels; refused as a decompression bomb"
        case UnidentifiedImageError():
            return "not an image that Pillow can read"
        case MemoryError():
            return "not enough memory to decode it"
    return f"damaged image ({' '.join(str(error).split()) or type(error).__name__})"


def _decoded(image: Image.Image, edge: Callable[..., int], side: int | None, *, spare: int) -> Image.Image:
    """Turned upright, RGB or RGBA, sRGB, with the longest (max) or shortest (min) edge at most `side`.

    A JPEG file may be decoded at an eighth of its size, as long as `spare` times the pixels wanted are left.
    """
    if side is not None:
        scale = spare * side / edge(image.size)
        image.draft(None, (max(1, int(image.width * scale)), max(1, int(image.height * scale))))
    profile = image.info.get("icc_profile")
    image.load()
    with suppress(Exception):  # EXIF written by hand fails in any way, and a photo is good without it
        ImageOps.exif_transpose(image, in_place=True)
    image = _plain(image)
    if side is not None and edge(image.size) > side:
        scale = side / edge(image.size)
        width, height = (max(1, round(length * scale)) for length in image.size)
        image = image.resize((width, height), Image.Resampling.LANCZOS)
    return _to_srgb(image, profile)


def _plain(image: Image.Image) -> Image.Image:
    """One of L, LA, RGB, RGBA, CMYK, LAB: 8 bit, without palette, ready to be resized."""
    mode = "I;16" if image.mode.startswith("I;16") else image.mode
    if mode in _FULL_SCALES:
        return _eight_bit(image, _FULL_SCALES[mode])
    if mode in ("CMYK", "LAB"):
        return image
    if mode in ("La", "RGBa"):
        return image.convert(mode.upper())
    plain = "L" if mode in ("1", "L", "LA") else "RGB"
    return _converted(image, plain + "A" if image.has_transparency_data else plain)


def _converted(image: Image.Image, mode: str) -> Image.Image:
    """As Pillow converts, but no copy of an image that is of this mode already: a large one takes half a gigabyte."""
    return image if image.mode == mode else image.convert(mode)


def _eight_bit(image: Image.Image, full_scales: tuple[float, ...]) -> Image.Image:
    """Grey of 16 or 32 bit or floats, scaled, where Pillow's own conversion clips it to 255."""
    values = np.nan_to_num(np.asarray(image, dtype=np.float64), posinf=0, neginf=0)
    brightest = float(values.max())
    full = next((scale for scale in full_scales if brightest <= scale), brightest)
    return Image.fromarray(to_array(torch.from_numpy(values / full)[None, None])[0, :, :, 0])


def _to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """RGB, or RGBA where there is an alpha channel; a profile that is broken or does not fit is ignored."""
    alpha = image.getchannel("A") if image.mode in ("LA", "RGBA") else None
    image = _converted(image, {"LA": "L", "RGBA": "RGB"}.get(image.mode, image.mode))
    try:
        converted = ImageCms.applyTransform(image, _transform(profile, image.mode)) if profile else None
    except (ImageCms.PyCMSError, OSError, TypeError, ValueError):
        converted = None
    image = converted or _converted(image, "RGB")
    if alpha is not None:
        image.putalpha(alpha)
    return image


@functools.lru_cache(maxsize=8)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform:
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    return ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB")


@functools.cache
def _srgb_profile() -> bytes:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    created = np.array([2000, 1, 1, 0, 0, 0], dtype=">u2").tobytes()  # not now: same image, same bytes
    return profile[:24] + created + profile[36:]


def _camera_exif(image: Image.Image) -> bytes | None:
    """What is true of the photo whatever its pixels become; None where there is nothing or it is broken."""
    kept = Image.Exif()
    with suppress(Exception):
        found = image.getexif()
        kept.update({tag: found[tag] for tag in _KEPT_EXIF if tag in found})
        for part in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo):
            if inside := {tag: value for tag, value in found.get_ifd(part).items() if tag not in _STALE_EXIF}:
                kept[part] = inside
        return kept.tobytes() if len(kept) else None
    return None


def _jpeg_quality(image: Image.Image) -> int | None:
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


def _dots_per_inch(image: Image.Image) -> tuple[float, float] | None:
    try:
        across, down = (float(value) for value in image.info["dpi"])
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
    return (across, down) if 0 < across < 1e5 and 0 < down < 1e5 else None
