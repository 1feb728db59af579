"""Files of 16 bit, written and read by other libraries: FFmpeg for PNG, tifffile for TIFF."""

import io
from pathlib import Path

import av
import numpy as np
import pytest
import tifffile
import torch
from icc_profiles import ADOBE_RGB, gamma, matrix_profile, table_profile
from numpy.typing import NDArray
from pictures import alpha_of, depth_of, picture_of
from PIL import ExifTags, Image
from PIL.PngImagePlugin import putchunk

from fastnst.base.boxes import everything
from fastnst.images.picture import Picture
from fastnst.images.read import decode_photo, read_picture
from fastnst.images.srgb import srgb_profile
from fastnst.images.write import save_image

Values = NDArray[np.uint16]
FFMPEG_NAMES = {1: "gray16be", 2: "ya16be", 3: "rgb48be", 4: "rgba64be"}


def noise(channels: int, height: int = 31, width: int = 45) -> Values:
    return np.random.default_rng(channels).integers(0, 65536, (height, width, channels), dtype=np.uint16)


def png_of(values: Values) -> bytes:
    height, width, channels = values.shape
    frame = av.VideoFrame(width, height, FFMPEG_NAMES[channels])
    rows = np.zeros((height, frame.planes[0].line_size), np.uint8)
    rows[:, : width * channels * 2] = values.astype(">u2").view(np.uint8).reshape(height, -1)
    frame.planes[0].update(rows.tobytes())
    with av.open(buffer := io.BytesIO(), "w", format="image2pipe") as container:
        stream = container.add_stream("png", rate=1, width=width, height=height, pix_fmt=FFMPEG_NAMES[channels])
        container.mux([*stream.encode(frame), *stream.encode(None)])
    return buffer.getvalue()


def tiff_of(values: Values, **options: object) -> bytes:
    channels = values.shape[2]
    if options.get("planarconfig") == "separate" and channels > 1:
        values = values.transpose(2, 0, 1)
    options = {"metadata": None, "software": False, "photometric": "rgb" if channels > 2 else "minisblack", **options}
    if channels == 4:
        options.setdefault("extrasamples", ["unassalpha"])
    tifffile.imwrite(buffer := io.BytesIO(), values if channels > 1 else values[..., 0], **options)
    return buffer.getvalue()


def values_of(data: bytes) -> Values:
    """The numbers in a file as FFmpeg or tifffile read them."""
    if data[:2] == b"II":
        return tifffile.imread(io.BytesIO(data))
    with av.open(io.BytesIO(data)) as container:
        frame = next(container.decode(video=0))
    channels = {name: count for count, name in FFMPEG_NAMES.items()}[frame.format.name]
    rows = np.frombuffer(frame.planes[0], np.uint8).reshape(frame.height, -1)[:, : frame.width * channels * 2]
    return rows.copy().view(">u2").astype(np.uint16).reshape(frame.height, frame.width, channels)


def channels_of(picture: Picture) -> NDArray[np.float64]:
    """`(H, W, 3 or 4)`, 0 to 65535."""
    alpha = alpha_of(picture)
    parts = [picture.pixels] if alpha is None else [picture.pixels, alpha]
    return torch.cat(parts, 1)[0].permute(1, 2, 0).double().numpy() * 65535


def with_chunk(png: bytes, name: bytes, data: bytes) -> bytes:
    """A PNG file with one more chunk behind its header."""
    putchunk(chunk := io.BytesIO(), name, data)
    return png[:33] + chunk.getvalue() + png[33:]


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_every_level_survives_from_file_to_tensor_to_file(format: str, channels: int) -> None:
    values = noise(channels)
    picture = read_picture(io.BytesIO(png_of(values) if format == "PNG" else tiff_of(values)))
    expected = np.repeat(values, 3, axis=2) if channels == 1 else values
    assert (depth_of(picture), picture.format, alpha_of(picture) is None) == (16, format, channels != 4)
    assert picture.pixels.dtype == torch.float32
    assert np.abs(channels_of(picture) - expected).max() < 0.01
    again = picture_of(picture.pixels, alpha_of(picture), depth=depth_of(picture))
    save_image(again, saved := io.BytesIO(), format=format)
    assert np.array_equal(values_of(saved.getvalue()), expected)
    saved.seek(0)
    assert np.abs(channels_of(read_picture(saved)) - expected).max() < 0.01
    assert len(np.unique(expected)) > 1000


@pytest.mark.parametrize(
    "options",
    [
        {"byteorder": ">"},
        {"compression": "zlib"},
        {"compression": "zlib", "byteorder": ">", "predictor": True},
        {"tile": (16, 16)},
        {"rowsperstrip": 7, "compression": "zlib"},
        {"planarconfig": "separate"},
    ],
    ids=str,
)
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_tiff_file_may_be_laid_out_in_any_way(channels: int, options: dict[str, object]) -> None:
    values = noise(channels)
    found = channels_of(read_picture(io.BytesIO(tiff_of(values, **options))))
    assert np.abs(found - values).max() < 0.01  # grey is the same in all channels


def test_grey_with_alpha_keeps_both() -> None:
    values = noise(2)
    found = channels_of(read_picture(io.BytesIO(png_of(values))))
    assert np.abs(found - values[..., [0, 0, 0, 1]]).max() < 0.01


def test_colours_multiplied_by_their_opacity_are_divided_by_it() -> None:
    values = noise(4)
    values[..., 3] |= 0x8000
    stored = values.copy()
    stored[..., :3] = (values[..., :3].astype(float) * values[..., 3:] / 65535).round()
    picture = read_picture(io.BytesIO(tiff_of(stored, extrasamples=["assocalpha"])))
    assert np.abs(channels_of(picture) - values).max() < 2  # the rounding of the stored ones


@pytest.mark.parametrize("channels", [1, 3])
def test_one_transparent_colour_is_compared_in_16_bit(channels: int) -> None:
    values = noise(channels)
    values[3, 4] = values[5, 6]
    values[7, 8] = values[5, 6] ^ 1  # the same in 8 bit
    data = with_chunk(png_of(values), b"tRNS", values[5, 6].astype(">u2").tobytes())
    alpha = alpha_of(read_picture(io.BytesIO(data)))
    assert alpha is not None
    assert sorted(map(tuple, (alpha[0, 0] == 0).nonzero().tolist())) == [(3, 4), (5, 6)]
    assert (alpha == 1).sum() == alpha.numel() - 2


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_a_turned_file_is_read_upright(channels: int) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    values = noise(channels)
    stored = np.rot90(values).copy()
    files = [with_chunk(png_of(stored), b"eXIf", exif.tobytes()[6:])]
    if channels != 2:  # grey with alpha is a TIFF file that Pillow does not know
        files.append(tiff_of(stored, extratags=[(274, "H", 1, 6, True)]))
    expected = values[..., {1: [0, 0, 0], 2: [0, 0, 0, 1], 4: [0, 1, 2, 3]}[channels]]
    for data in files:
        picture = read_picture(io.BytesIO(data))
        assert np.abs(channels_of(picture) - expected).max() < 0.01


def test_a_shrunk_image_keeps_fine_levels_and_hides_the_colour_of_transparent_pixels() -> None:
    values = np.full((40, 60, 4), 65535, np.uint16)
    values[..., :3] = np.linspace(20000, 22000, 60).round()[None, :, None]
    values[:, :20] = (0, 65535, 0, 0)
    picture = read_picture(io.BytesIO(tiff_of(values)), size=30)
    found = channels_of(picture)
    assert found.shape == (20, 30, 4)
    seen = found[:, 13:, :3]  # beyond the filter's reach
    assert np.abs(seen - np.linspace(20000, 22000, 60).reshape(30, 2).mean(1)[None, 13:, None]).max() < 20
    shown = found[found[..., 3] > 3000]
    assert np.abs(shown[:, 1] - shown[:, 0]).max() < 100  # no green
    assert np.ptp(found[..., 3]) == 65535


def test_a_wide_file_is_read_as_16_bit_and_for_training_as_8(tmp_path: Path) -> None:
    ramp = np.linspace(0, 1, 3000, dtype=np.float32).reshape(30, 100)
    for name, values in {"float": ramp, "int": (ramp.astype(float) * (2**31 - 1)).astype(np.int32)}.items():
        Image.fromarray(values).save(tmp_path / f"{name}.tif")
        picture = read_picture(tmp_path / f"{name}.tif")
        assert depth_of(picture) == 16
        assert np.abs(channels_of(picture)[..., 1] / 65535 - ramp).max() < 1e-5
        assert np.abs(decode_photo(tmp_path / f"{name}.tif", short_side=30)[..., 1] / 255 - ramp).max() < 0.51 / 255


def test_a_profile_is_applied_with_all_levels() -> None:
    ramp = np.linspace(0, 65535, 45 * 31).round().astype(np.uint16).reshape(31, 45, 1).repeat(3, 2)
    profile = matrix_profile(ADOBE_RGB, gamma(1.8))
    picture = read_picture(io.BytesIO(tiff_of(ramp, iccprofile=profile)))
    light = (ramp / 65535) ** (round(1.8 * 256) / 256)
    expected = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    difference = np.abs(channels_of(picture) / 65535 - expected)
    assert difference.max() < 1.6 / 255  # in the darkest fiftieth
    assert difference[expected > 0.2].max() < 0.25 / 255 and difference.mean() < 0.15 / 255
    assert len(picture.pixels[0, 0].unique()) > 1300
    tables = table_profile(b"RGB ", lambda red, green, blue: (100 * green, 0, 0))
    coarse = read_picture(io.BytesIO(tiff_of(ramp, iccprofile=tables)))
    assert depth_of(coarse) == 16 and len(coarse.pixels[0, 0].unique()) > 1000


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_a_written_file_holds_what_is_known_of_the_photo(format: str) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "Camera"
    exif[ExifTags.IFD.Exif] = {ExifTags.Base.ExposureTime: 0.5}
    exif[ExifTags.IFD.GPSInfo] = {ExifTags.GPS.GPSLatitudeRef: "N", ExifTags.GPS.GPSLatitude: (1.0, 2.0, 3.0)}
    image, alpha = torch.rand(1, 3, 300, 301), torch.rand(1, 1, 300, 301)
    picture = picture_of(image, alpha, depth=16, exif=exif.tobytes(), dpi=(300.0, 240.0))
    save_image(picture, file := io.BytesIO(), format=format)
    file.seek(0)
    with Image.open(file) as saved:
        assert (saved.format, saved.mode, saved.size) == (format, "RGBA", (301, 300))
        assert saved.info["icc_profile"] == srgb_profile()
        assert saved.info["dpi"] == pytest.approx((300, 240), abs=0.1)
        found = saved.getexif()
        assert found[ExifTags.Base.Make] == "Camera"
        assert found.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.ExposureTime] == 0.5
        assert found.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitude] == (1.0, 2.0, 3.0)
        saved.load()
    expected = (torch.cat((image, alpha), 1)[0].permute(1, 2, 0) * 65535).round().numpy()
    assert np.array_equal(values_of(file.getvalue()), expected)


@pytest.mark.parametrize("format", ["JPEG", "WEBP", "GIF"])
def test_other_formats_hold_8_bit(format: str) -> None:
    save_image(picture_of(torch.full((1, 3, 8, 8), 0.4), depth=16), file := io.BytesIO(), format=format)
    file.seek(0)
    assert depth_of(read_picture(file)) == 8
    assert float(read_picture(io.BytesIO(file.getvalue())).pixels.mean()) == pytest.approx(0.4, abs=0.01)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_tiff_file_of_floats_gives_one_of_floats(channels: int, tmp_path: Path) -> None:
    values = (noise(channels) / 65535).astype(np.float32)
    (tmp_path / "in.tif").write_bytes(tiff_of(values))
    picture = read_picture(tmp_path / "in.tif")
    for result in (picture, picture.painted([(everything(picture.size), picture.levels[:, :3])])):
        save_image(result, tmp_path / "out.tif", stylized=True)
        found = tifffile.imread(tmp_path / "out.tif")
        assert found.dtype == np.float32 and np.abs(found - values).max() < 0.51 / 65535
    save_image(picture, tmp_path / "out.png")
    assert values_of((tmp_path / "out.png").read_bytes()).dtype == np.uint16
