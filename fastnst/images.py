"""Photos in and out: a file becomes a tensor `(B, 3, H, W)`, sRGB in [0, 1], and a tensor a file.

Every oddity of image files (255, 16 bit, EXIF, ICC, alpha, grey, CMYK) ends here. Knows nothing of networks. Pixels
stay the whole numbers that they are in the file until someone asks for floats, which take up to four times the memory.
"""

import importlib.util
import io
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from PIL import Image, ImageFile, features
from torch import Tensor

from fastnst import deep_color
from fastnst.color_profiles import converted, srgb_profile, to_srgb, to_srgb_floats
from fastnst.decoders import load_upright, open_image, pillow_aside, reason, register_heif, with_palette
from fastnst.errors import UserError
from fastnst.files import write_out
from fastnst.levels import ROWS, Bytes, as_channels, from_levels, in_rows, to_array, to_levels
from fastnst.metadata import camera_exif, dots_per_inch, jpeg_quality

# Formats that are written, by suffix.
FORMATS = {".png": "PNG", ".apng": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP", ".tif": "TIFF"}
FORMATS |= {".tiff": "TIFF", ".gif": "GIF", ".avif": "AVIF", ".heic": "HEIF", ".heif": "HEIF"}
SUFFIXES = tuple(sorted({*FORMATS, ".bmp", ".ppm"}))  # of files that are taken for photos
ANIMATED = ("GIF", "PNG", "WEBP", "AVIF")  # formats that hold moving pictures
MAX_PIXELS = 500_000_000  # of a file; above it, a mistake or a decompression bomb
LONGEST_SIDE = {"JPEG": 65500, "WEBP": 16383, "GIF": 65535}  # pixels; what the formats can hold
LARGE = 2**25  # pixels; for the last 5 % of a JPEG file's size libjpeg would hold 6 bytes a pixel
_ENCODING: dict[str, dict[str, Any]] = {
    "JPEG": {"subsampling": 0, "optimize": True},
    "TIFF": {"compression": "tiff_deflate"},
    "GIF": {"optimize": False},  # or Pillow drops the transparent colour of frames that have no holes yet
    "AVIF": {"subsampling": "4:4:4"},
    "HEIF": {"chroma": 444},
}
_LOSSY = ("JPEG", "WEBP", "AVIF", "HEIF")

# The pictures of the scikit-image wheel that serve as photos; the others are text, diagrams and microscopy.
SAMPLES = (
    *("astronaut.png", "brick.png", "camera.png", "chelsea.png", "coffee.png", "coins.png"),
    *("grass.png", "gravel.png", "hubble_deep_field.jpg", "motorcycle_left.png", "rocket.jpg"),
)

# The full scale of Pillow's modes for numbers wider than 16 bit: the first that holds the brightest pixel of the file.
_FULL_SCALES = {"I": (65535.0, 2.0**31 - 1), "F": (1.0, 255.0, 65535.0)}
_LONGEST_EXIF = 65527  # bytes, in a JPEG file


class ImageError(UserError):
    """An image that cannot be read or written; the message is one line and names the file."""


@dataclass(frozen=True)
class Picture:
    """An image and what its file said beside the pixels, so that the stylized image can keep it.

    Attributes:
        levels: `(1, 3 or 4, H, W)`, sRGB and, where the file has one, opacity, as its viewer sees it (turned); uint8,
            or uint16 for a file of more than 8 bit a channel.
        format: Pillow's name of the file format, such as "JPEG".
        exif: Camera, time, place and author, without the orientation; None where there is nothing.
        quality: Of a JPEG file, the libjpeg quality (1 to 100) whose tables come closest; else None.
        dpi: Dots per inch, across and down, if the file says.
        frames: Pictures in the file; `levels` are the first. See `animation.py` for the others.
    """

    levels: Tensor
    format: str | None = None
    exif: bytes | None = None
    quality: int | None = None
    dpi: tuple[float, float] | None = None
    frames: int = 1

    @property
    def pixels(self) -> Tensor:
        """`(1, 3, H, W)`, sRGB in [0, 1]."""
        return from_levels(self.levels[:, :3])

    @property
    def alpha(self) -> Tensor | None:
        """Opacity `(1, 1, H, W)` in [0, 1], or None for a file without one."""
        return from_levels(self.levels[:, 3:]) if self.levels.shape[1] == 4 else None

    @property
    def depth(self) -> int:
        """Bits a channel, 8 or 16."""
        return 8 * self.levels.element_size()


def find_photos(folder: Path, suffixes: tuple[str, ...] = SUFFIXES) -> list[Path]:
    """All files in the folder and below whose suffix is that of a photo, sorted; hidden ones are left out."""
    if not folder.is_dir():
        raise NotADirectoryError(f"expected a folder of photos, got {folder}")
    photos: list[Path] = []
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        shown = [name for name in files if not name.startswith(".")]
        photos += [Path(place, name) for name in shown if name.lower().endswith(suffixes)]
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
    return _on_white(from_levels(read_picture(source, size=size).levels))


def read_picture(source: Path | BinaryIO, *, size: int | None = None) -> Picture:
    """Reads an image file of any kind, turned upright and converted to sRGB.

    Files of 16 bit keep their levels, also through an ICC profile of curves and a matrix, which those of cameras and
    screens are; one of tables (some scanners) is applied with 8 bit.

    Args:
        source: A file, or a stream open for reading bytes.
        size: Longest side in pixels; a larger image is shrunk (Lanczos), a smaller one stays as it is.

    Raises:
        ImageError: There is no such file, it is damaged, not an image, or has more than `MAX_PIXELS`.
    """
    if size is not None and size < 1:
        raise ImageError(f"size must be at least 1 pixel, got {size}")
    with opened(source) as image:
        deep = _deep_values(image)  # first, because Pillow decodes PNG files when it is asked for their EXIF
        about: dict[str, Any] = {"format": image.format, "exif": camera_exif(image), "quality": jpeg_quality(image)}
        about |= {"dpi": dots_per_inch(image), "frames": count_frames(image)}
        profile = image.info.get("icc_profile")
        array = None if deep is None else _deep_srgb(deep, profile, size)  # (H, W, 3 or 4)
        if array is None:
            array = np.array(decoded(image, max, size, spare=2))
            array = array if deep is None else array * np.uint16(257)  # 255 becomes 65535
    return Picture(as_channels(array), **about)


def decode_photo(data: bytes | Path, *, short_side: int) -> Bytes:
    """A photo for training, `(H, W, 3)`: turned, sRGB, its short side brought down to `short_side` pixels.

    A photo that is smaller stays as it is. A large JPEG file is decoded at a fraction of its size.
    """
    with opened(io.BytesIO(data) if isinstance(data, bytes) else data) as image:
        return np.array(decoded(image, min, short_side, spare=1).convert("RGB"))


def crop_photo(photo: Bytes, box: tuple[float, float, float, float], size: int) -> Bytes:
    """The part of a photo `(H, W, 3)` inside (left, top, right, bottom), in pixels, as a square of `size`."""
    return np.array(Image.fromarray(photo).resize((size, size), Image.Resampling.BICUBIC, box=box))


def encode_photo(photo: Bytes, *, quality: int = 90) -> bytes:
    """A photo `(H, W, 3)` as the bytes of a small JPEG file."""
    buffer = io.BytesIO()
    Image.fromarray(photo).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def check_suffix(path: Path) -> str:
    """The format in which a file of this name is saved; an ImageError for a name that tells none."""
    if path.suffix.lower() not in FORMATS:
        found = repr(path.suffix) if path.suffix else "no suffix"
        raise ImageError(f"{path}: expected a name ending in {', '.join(FORMATS)}, got {found}")
    name = FORMATS[path.suffix.lower()]
    if name == "AVIF" and not features.check("avif"):
        raise ImageError(f"{path}: this Pillow was built without AVIF")
    if name == "HEIF":
        try:
            register_heif()
        except ModuleNotFoundError as error:
            raise ImageError(f"{path}: {error}") from None
    return name


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
) -> None:
    """Writes an image `(1, 3, H, W)`, sRGB in [0, 1], with opacity `(1, 1, H, W)` or without; see `save_picture`.

    Raises:
        ImageError: As `save_picture`, or a wrong shape.
    """
    if image.ndim != 4 or image.shape[:2] != (1, 3):
        raise ImageError(f"expected one image (1, 3, H, W), got {tuple(image.shape)}")
    if alpha is not None and alpha.shape != (expected := (1, 1, *image.shape[-2:])):
        raise ImageError(f"expected alpha {expected}, got {tuple(alpha.shape)}")
    channels = image if alpha is None else torch.cat((image, alpha.to(image)), dim=1)
    levels = to_levels(channels, torch.uint8 if depth == 8 else torch.uint16).cpu()
    save_picture(Picture(levels, exif=exif, quality=quality, dpi=dpi), target, format=format)


def save_picture(
    picture: Picture, target: Path | BinaryIO, *, quality: int | None = None, format: str | None = None
) -> None:
    """Writes a picture with an sRGB profile; a file appears whole or not at all, with its folder.

    PNG and TIFF hold 16 bit a channel, the others 8. JPEG has no opacity: the image is put on white. EXIF is left out
    where it does not fit into a JPEG file.

    Args:
        picture: What to write; its `format` and `frames` do not matter.
        target: A file, or a stream open for writing bytes (which needs `format`).
        quality: Of JPEG, AVIF, HEIC (never with subsampled colour) and WebP, 1 to 100 [the picture's, else 95].
        format: "PNG", "JPEG", "WEBP", "TIFF", "GIF" or "AVIF"; by default what the suffix says.

    Raises:
        ImageError: The format is unknown or cannot hold an image of this size.
    """
    name = format_of(target, format)
    check_sides(target, name, picture.levels.shape[-2:])
    known: dict[str, Any] = {"exif": picture.exif, "dpi": picture.dpi}
    if picture.depth > 8 and name in deep_color.FORMATS:
        values = picture.levels[0].permute(1, 2, 0).numpy()
        write_out(target, deep_color.encode(values, name, profile=srgb_profile(), **known))
        return
    options = encoding(name, quality=quality or picture.quality or 95, **known)
    if picture.levels[0, 0].numel() > LARGE:
        options.pop("optimize", None)
    buffer = io.BytesIO()
    to_pillow(picture.levels, name).save(buffer, name, **options)
    write_out(target, buffer.getvalue())


def encoding(
    name: str, *, quality: int = 95, exif: bytes | None = None, dpi: tuple[float, float] | None = None
) -> dict[str, Any]:
    """What Pillow's `save` is told of a format, see `save_image`."""
    options: dict[str, Any] = {"icc_profile": srgb_profile(), **_ENCODING.get(name, {})}
    if name in _LOSSY:
        options["quality"] = quality
    if exif and len(exif) <= _LONGEST_EXIF:
        options["exif"] = exif.removeprefix(b"Exif\0\0") if name == "WEBP" else exif  # in animations Pillow leaves it
        options.pop("compression", None)  # Pillow cannot write EXIF into a compressed TIFF file
    if dpi:
        options["dpi"] = dpi
    return options


def format_of(target: Path | BinaryIO, format: str | None) -> str:
    """Pillow's name of the format asked for, or else of what the suffix of the file says."""
    if format is not None:
        return check_suffix(Path(f"image.{format.lower()}"))
    if isinstance(target, Path):
        return check_suffix(target)
    raise ImageError(f"a stream needs a format: {', '.join(dict.fromkeys(FORMATS.values()))}")


def check_sides(target: Path | BinaryIO, name: str, shape: Sequence[int]) -> None:
    """Refuse an image `(H, W)` that the format cannot hold."""
    if max(shape) > (longest := LONGEST_SIDE.get(name, 2**31)):
        raise ImageError(f"{_name(target)}: {name} holds up to {longest} pixels a side, got {shape[1]}x{shape[0]}")


def to_pillow(levels: Tensor, name: str) -> Image.Image:
    """One image `(1, 3 or 4, H, W)`, as a file of this format holds it: RGB, RGBA or, in GIF, a palette."""
    if name == "JPEG" and levels.shape[1] == 4:
        levels = in_rows(levels, _on_white, torch.uint8)
    elif levels.dtype != torch.uint8:
        levels = in_rows(levels, torch.clone, torch.uint8)
    image = Image.fromarray(levels[0].permute(1, 2, 0).contiguous().numpy())
    return with_palette(image) if name == "GIF" else image


def _on_white(channels: Tensor) -> Tensor:
    """`(1, 3 or 4, H, W)` in [0, 1] as `(1, 3, H, W)`."""
    alpha = channels[:, 3:].prod(1, keepdim=True)  # 1 where there is none
    return channels[:, :3] * alpha + (1 - alpha)


@contextmanager
def opened(source: Path | BinaryIO) -> Iterator[ImageFile.ImageFile]:
    """An image file open for decoding; whatever goes wrong inside is told in one line."""
    try:
        with pillow_aside(), open_image(source if isinstance(source, Path) else io.BytesIO(source.read())) as image:
            check_pixels(image.size)
            yield image
    except ImageError as error:
        raise ImageError(f"{_name(source)}: {error}") from None
    except Exception as error:  # a broken file makes Pillow's decoders stumble in any way
        raise ImageError(f"{_name(source)}: {reason(error)}") from error


def check_pixels(size: tuple[int, int], frames: int = 1) -> None:
    """Refuse what would not fit into memory, before it is decoded."""
    if (pixels := size[0] * size[1] * frames) > MAX_PIXELS:
        each = f"{frames} frames of " if frames > 1 else ""
        limit = f"{MAX_PIXELS / 1e6:,.0f} megapixels"
        raise ImageError(f"{each}{size[0]} x {size[1]} are {pixels / 1e6:,.0f} megapixels, and the limit is {limit}")


def count_frames(image: Image.Image) -> int:
    """Pictures of an animation, pages of a TIFF file; 1 of all else, also of photos with a depth map beside them."""
    return int(getattr(image, "n_frames", 1)) if image.format in (*ANIMATED, "TIFF") else 1


def _name(source: Path | BinaryIO) -> str:
    return str(source) if isinstance(source, Path) else str(getattr(source, "name", "image"))


def decoded(image: Image.Image, edge: Callable[..., int], side: int | None, *, spare: int) -> Image.Image:
    """Turned upright, RGB or RGBA, sRGB, with the longest (max) or shortest (min) edge at most `side`.

    A JPEG file may be decoded at an eighth of its size, as long as `spare` times the pixels wanted are left.
    """
    if side is not None:
        scale = spare * side / edge(image.size)
        image.draft(None, (max(1, int(image.width * scale)), max(1, int(image.height * scale))))
    profile = image.info.get("icc_profile")
    load_upright(image)
    image = _plain(image)
    if side is not None and edge(image.size) > side:
        image = image.resize(deep_color.scaled_size(image.size, side / edge(image.size)), Image.Resampling.LANCZOS)
    return to_srgb(image, profile)


def _plain(image: Image.Image) -> Image.Image:
    """One of L, LA, RGB, RGBA, CMYK, LAB: 8 bit, without palette, ready to be resized."""
    if _is_wide_grey(image):
        return _eight_bit(image)
    if image.mode in ("CMYK", "LAB"):
        return image
    if image.mode in ("La", "RGBa"):
        return image.convert(image.mode.upper())
    plain = "L" if image.mode in ("1", "L", "LA") else "RGB"
    return converted(image, plain + "A" if image.has_transparency_data else plain)


def _is_wide_grey(image: Image.Image) -> bool:
    return image.mode.startswith("I;16") or image.mode in _FULL_SCALES


def _eight_bit(image: Image.Image) -> Image.Image:
    """Grey of 16 or 32 bit or floats, scaled, where Pillow's own conversion clips it to 255."""
    values = torch.from_numpy(_wide_grey(image) / np.float32(deep_color.FULL_SCALE))
    return Image.fromarray(to_array(values[None, None])[0, :, :, 0])


def _wide_grey(image: Image.Image) -> deep_color.Values:
    """Grey of 16 or 32 bit or floats `(H, W)`, scaled to 16 bit."""
    if image.mode.startswith("I;16"):
        return np.array(image, dtype=np.uint16)
    values = np.nan_to_num(np.asarray(image, dtype=np.float64), posinf=0, neginf=0)
    brightest = float(values.max())
    full = next((scale for scale in _FULL_SCALES[image.mode] if brightest <= scale), brightest)
    return (values.clip(0) * (deep_color.FULL_SCALE / full)).round().astype(np.uint16)


def _deep_values(image: ImageFile.ImageFile) -> deep_color.Values | None:
    """Numbers of more than 8 bit, scaled to 16, turned upright: `(H, W, C)` as in the file; None if it has 8."""
    if not _is_wide_grey(image):
        return deep_color.read_values(image)
    load_upright(image)
    return deep_color.with_key(_wide_grey(image)[:, :, None], image.info.get("transparency"))


def _deep_srgb(values: deep_color.Values, profile: bytes | None, size: int | None) -> deep_color.Values | None:
    """Numbers of 16 bit `(H, W, C)` as RGB or RGBA `(H, W, 3 or 4)`; None if the profile needs 8 bit."""
    num_colors = values.shape[2] - (values.shape[2] + 1) % 2  # 2 and 4 channels end in opacity
    result = np.empty((*values.shape[:2], 3 + values.shape[2] - num_colors), np.uint16)
    result[..., 3:] = values[..., num_colors:]
    for rows in (slice(top, top + ROWS) for top in range(0, len(values), ROWS)):
        colors = to_srgb_floats(values[rows, :, :num_colors], profile)
        if colors is None:
            return None
        result[rows, :, :3] = (colors * deep_color.FULL_SCALE).round()
    return deep_color.shrunk(result, size)
