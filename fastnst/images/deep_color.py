"""PNG and TIFF files of 16 bit per channel, which Pillow opens as 8 bit. Knows nothing of colour.

Pillow can be told which byte of each number to keep, so a file is decoded twice, for the high and the low bytes, and no
other library is needed. Pillow cannot write such files; but a PNG file is little more than zlib, and a TIFF file is
strips of zlib behind a directory that Pillow writes.
"""

import io
import itertools
import struct
import sys
import zlib
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageFile, ImageOps, TiffImagePlugin
from PIL.PngImagePlugin import putchunk

Values = NDArray[np.uint16]
FORMATS = ("PNG", "TIFF")  # that hold 16 bit
FULL_SCALE = 65535
ROWS = 64  # of a PNG file are compressed at once
STRIP = 2**18  # bytes of a TIFF file's strip before compression
TAGS = ExifTags.Base

# The last letter of Pillow's raw modes is the order of bytes (N: the machine's); read in the other one, low is high.
_OTHER_ORDER = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}


def read_values(image: ImageFile.ImageFile) -> Values | None:
    """The 16-bit values of an opened, not yet decoded file, turned upright.

    Returns:
        `(H, W, C)`, C = 2 (grey and alpha), 3 (RGB) or 4 (RGBA); None for other files.

    Raises:
        NotImplementedError: A layout that Pillow would decode into noise.
    """
    modes = {_raw_mode(tile.args) for tile in image.tile}
    tags = getattr(image, "tag_v2", {})
    if tags.get(TiffImagePlugin.PLANAR_CONFIGURATION) == 2 and max(tags.get(TiffImagePlugin.BITSPERSAMPLE, (1,))) > 8:
        raise NotImplementedError("16 bit in separate planes; save it with its channels interleaved")
    if len(modes) != 1 or ";16" not in (mode := modes.pop()) or image.mode not in ("RGB", "RGBA"):
        return None
    data = _bytes_of(image)
    if mode == "LA;16B":  # four bytes a pixel, whatever they mean
        return _decoded(data, "RGBA").view(">u2").astype(np.uint16)
    straight = mode.replace("RGBa", "RGBA")
    values = _decoded(data, straight).astype(np.uint16)  # the high bytes
    values <<= 8
    values |= _decoded(data, straight[:-1] + _OTHER_ORDER[straight[-1]])
    return _straight(values) if mode != straight else with_key(values, image.info.get("transparency"))


def with_key(values: Values, key: int | tuple[int, int, int] | None) -> Values:
    """Grey or RGB `(H, W, 1 or 3)` with an alpha channel, if the file calls one colour transparent (PNG's tRNS)."""
    if key is None or values.shape[2] not in (1, 3):
        return values
    shown = (values != np.array(key, np.uint16)).any(axis=2, keepdims=True)
    return np.concatenate((values, shown.astype(np.uint16) * FULL_SCALE), axis=2)


def shrunk(channels: Values, size: int | None) -> Values:
    """RGB or RGBA `(H, W, 3 or 4)` with the long side at most `size`: Pillow's Lanczos, in floats."""
    height, width = channels.shape[:2]
    if size is None or max(height, width) <= size:
        return channels
    place = scaled_size((width, height), size / max(height, width))

    def smaller(band: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(Image.fromarray(band.astype(np.float32)).resize(place, Image.Resampling.LANCZOS))

    bands = np.moveaxis(channels, 2, 0)
    if len(bands) == 3:
        small = [smaller(band) for band in bands]
    else:  # colours count as much as they are seen
        shares = bands[3] / np.float32(FULL_SCALE)
        seen = smaller(shares).clip(1 / FULL_SCALE, 1)
        small = [*(smaller(band * shares) / seen for band in bands[:3]), smaller(bands[3])]
    return np.stack(small, axis=2).clip(0, FULL_SCALE).round().astype(np.uint16)


def scaled_size(size: tuple[int, int], scale: float) -> tuple[int, int]:
    """Scaled width and height, at least 1."""
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def encode(
    values: Values, format: str, *, profile: bytes, exif: bytes | None = None, dpi: tuple[float, float] | None = None
) -> bytes:
    """A PNG or TIFF file of 16 bit.

    Args:
        values: `(H, W, 3)` or `(H, W, 4)`.
        format: One of `FORMATS`.
        profile: ICC.
        exif: As Pillow's `Exif.tobytes` gives it.
        dpi: Dots per inch, across and down.
    """
    return (_png if format == "PNG" else _tiff)(values, profile, exif, dpi)


def _bytes_of(image: ImageFile.ImageFile) -> bytes:
    assert image.fp is not None  # it is not decoded yet
    place = image.fp.tell()
    image.fp.seek(0)
    data = image.fp.read()
    image.fp.seek(place)
    return data


def _decoded(data: bytes, raw_mode: str) -> NDArray[np.uint8]:
    """The bytes that Pillow keeps when it takes the file's pixels for this kind, turned upright."""
    with Image.open(io.BytesIO(data)) as image:
        assert isinstance(image, ImageFile.ImageFile)
        image.tile = [tile._replace(args=_with_raw_mode(tile.args, raw_mode)) for tile in image.tile]
        image.load()
        with suppress(Exception):  # EXIF written by hand fails in any way
            ImageOps.exif_transpose(image, in_place=True)
        return np.array(image)


def _raw_mode(arguments: tuple[Any, ...] | str | None) -> str:
    """Pillow's raw mode, the layout of pixels in the file: a decoder's only argument, or its first."""
    return str(arguments[0] if isinstance(arguments, tuple) else arguments)


def _with_raw_mode(arguments: tuple[Any, ...] | str | None, raw_mode: str) -> tuple[Any, ...] | str:
    return (raw_mode, *arguments[1:]) if isinstance(arguments, tuple) else raw_mode


def _straight(values: Values) -> Values:
    """Undo the multiplication of colours by their opacity."""
    colors, alpha = values[..., :3].astype(np.float32), values[..., 3:]
    colors = (colors * FULL_SCALE / np.maximum(alpha, 1)).round().clip(0, FULL_SCALE)
    return np.concatenate((colors.astype(np.uint16), alpha), axis=2)


def _png(values: Values, profile: bytes, exif: bytes | None, dpi: tuple[float, float] | None) -> bytes:
    """A PNG file: what Pillow writes for one 8-bit pixel, with the header and pixels of this image."""
    height, width, channels = values.shape
    one_pixel = io.BytesIO()
    Image.new("RGB", (1, 1)).save(one_pixel, "PNG", icc_profile=profile, exif=exif or b"", dpi=dpi)
    around = one_pixel.getvalue()
    file = io.BytesIO()
    file.write(around[:8])
    putchunk(file, b"IHDR", struct.pack(">IIBBBBB", width, height, 16, 6 if channels == 4 else 2, 0, 0, 0))
    file.write(around[33 : around.rindex(b"IDAT") - 4])  # from behind the other header
    putchunk(file, b"IDAT", _filtered(values))
    putchunk(file, b"IEND")
    return file.getvalue()


def _filtered(values: Values) -> bytes:
    """Rows as differences to the row above (PNG's filter 2), each behind the filter's number, compressed."""
    compressor, parts = zlib.compressobj(), []
    above = np.zeros((1, values[0].nbytes), np.uint8)
    for top in range(0, len(values), ROWS):
        rows = np.ascontiguousarray(values[top : top + ROWS], dtype=">u2").view(np.uint8).reshape(-1, above.size)
        differences = np.diff(rows, axis=0, prepend=above)
        above = rows[-1:]
        parts.append(compressor.compress(np.insert(differences, 0, 2, axis=1).tobytes()))
    return b"".join((*parts, compressor.flush()))


def _tiff(values: Values, profile: bytes, exif: bytes | None, dpi: tuple[float, float] | None) -> bytes:
    """Strips of rows as differences along the row (TIFF's predictor 2), compressed, behind a directory of tags."""
    height, width, channels = values.shape
    rows = max(1, STRIP // values[0].nbytes)
    strips = [zlib.compress(_differences(values[top : top + rows]).tobytes()) for top in range(0, height, rows)]
    ends = tuple(itertools.accumulate(map(len, strips)))
    directory = TiffImagePlugin.ImageFileDirectory_v2(prefix=b"II")
    tags: dict[int, Any] = {
        TAGS.ImageWidth: width,
        TAGS.ImageLength: height,
        TAGS.BitsPerSample: (16,) * channels,
        TAGS.Compression: 8,  # zlib
        TAGS.PhotometricInterpretation: 2,  # RGB
        TAGS.StripOffsets: (0, *ends[:-1]),  # Pillow adds the directory's length
        TAGS.SamplesPerPixel: channels,
        TAGS.RowsPerStrip: rows,
        TAGS.StripByteCounts: tuple(map(len, strips)),
        TAGS.Predictor: 2,
        TAGS.InterColorProfile: profile,
        **({TAGS.ExtraSamples: 2} if channels == 4 else {}),  # opacity beside the colours, not in them
        **({TAGS.ResolutionUnit: 2, TAGS.XResolution: dpi[0], TAGS.YResolution: dpi[1]} if dpi else {}),
        **_exif_tags(exif),
    }
    directory.update(tags)
    file = io.BytesIO()
    directory.save(file)
    file.write(b"".join(strips))
    return file.getvalue()


def _differences(rows: Values) -> Values:
    return np.diff(rows, axis=1, prepend=np.zeros_like(rows[:, :1])).astype("<u2")


def _exif_tags(exif: bytes | None) -> dict[int, Any]:
    """Tags for a TIFF directory; those of camera and place are directories themselves."""
    tags = Image.Exif()
    tags.load(exif or b"")
    inside = {part: tags.get_ifd(part) for part in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo)}
    return {**tags, **{part: values for part, values in inside.items() if values}}
