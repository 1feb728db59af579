import io
from pathlib import Path

import numpy as np
import pytest
from icc_profiles import ADOBE_RGB, PROPHOTO, formula, gamma, grey_profile, matrix_profile, samples, table_profile
from PIL import Image, ImageCms

from fastnst.images.decode import pyvips
from fastnst.images.read import load_image, read_picture
from fastnst.images.srgb import srgb_profile, upright_srgb

SRGB = ((0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.71410))
SRGB_CURVE = formula(3, 2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
RAMP = np.linspace(0, 1, 1024) ** 2.2


def colors() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    "profile",
    [
        matrix_profile(ADOBE_RGB, gamma(2.19921875)),
        matrix_profile(ADOBE_RGB, samples(RAMP)),
        matrix_profile(PROPHOTO, formula(0, 1.8)),
        matrix_profile(PROPHOTO, SRGB_CURVE),
        matrix_profile(ADOBE_RGB, formula(1, 2.2, 1.1, -0.1)),
        matrix_profile(ADOBE_RGB, formula(2, 2.2, 0.9, 0.1, -(0.1**2.2))),
        matrix_profile(ADOBE_RGB, formula(4, 2.4, 0.9, 0.1, 0.2, 0.04, -0.004, -0.001)),
        matrix_profile(ADOBE_RGB, gamma(1.8), samples([0, 0.1, 1]), samples([])),
        matrix_profile(SRGB, SRGB_CURVE),
    ],
    ids=["gamma", "samples", "para0", "para3", "para1", "para2", "para4", "each its own", "sRGB"],
)
def test_8_and_16_bit_are_converted_as_pillow_does(profile: bytes) -> None:
    """Pillow has a copy of LittleCMS of its own."""
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    expected = ImageCms.profileToProfile(
        Image.fromarray(colors()),
        source,
        ImageCms.createProfile("sRGB"),
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
    )
    for scale, worst in ((1, 1), (257, 5.5)):  # 16 bit: in the darkest tones alone
        found = levels_with(colors().astype(np.uint8 if scale == 1 else np.uint16) * scale, profile)
        difference = np.abs(found / scale - np.array(expected))
        assert difference.max() <= worst and difference.mean() < 0.5
        assert np.quantile(difference, 0.98) < 2


def levels_with(values: np.ndarray, profile: bytes | None) -> np.ndarray:
    """The levels of an image with a profile as they are read, `(H, W, 3)`."""
    image = pyvips.Image.new_from_array(values)
    if profile is not None:
        image.set_type(pyvips.GValue.blob_type, "icc-profile-data", profile)
    return upright_srgb(image).numpy().astype(float)


def test_a_grey_profile_is_applied() -> None:
    ramp = np.arange(65536, dtype=np.uint16).reshape(256, 256, 1)
    found = levels_with(ramp, grey_profile(gamma(1.0))) / 65535
    light = np.where(found <= 0.04045, found / 12.92, ((found + 0.055) / 1.055) ** 2.4)
    assert found.shape == (256, 256, 3)
    assert np.abs(light - ramp / 65535).max() < 0.0062  # in the darkest tones
    assert len(np.unique(found)) > 30000


@pytest.mark.parametrize("profile", [None, b"", b"no profile", grey_profile(gamma(1.0)), srgb_profile()[:200]])
def test_without_a_profile_that_fits_the_numbers_are_srgb(profile: bytes | None) -> None:
    values = colors().astype(np.uint16) * 256
    assert np.array_equal(levels_with(values, profile), values)


def test_the_profile_that_fastnst_writes_changes_no_number() -> None:
    values = np.random.default_rng(0).integers(0, 65536, (64, 64, 3), dtype=np.uint16)
    assert np.array_equal(levels_with(values, srgb_profile()), values)


def lab_of_swapped(red: int, green: int, blue: int) -> tuple[float, float, float]:
    """What is called red is green."""
    return {(1, 0, 0): (88.0, -79.0, 81.0), (1, 1, 1): (100.0, 0.0, 0.0)}.get((red, green, blue), (0.0, 0.0, 0.0))


def test_a_profile_of_tables_is_applied(tmp_path: Path) -> None:
    profile = table_profile(b"RGB ", lab_of_swapped)
    red = np.full((8, 8, 3), (65535, 0, 0), np.uint16)
    Image.fromarray((red >> 8).astype(np.uint8)).save(tmp_path / "red.png", icc_profile=profile)
    assert load_image(tmp_path / "red.png")[0].mean(dim=(1, 2)).tolist() == pytest.approx([0, 1, 0], abs=0.05)


def lab_of_odd_inks(cyan: int, magenta: int, yellow: int, black: int) -> tuple[float, float, float]:
    """Paper is white, and what is called cyan prints red."""
    return (53.0, 80.0, 67.0) if (cyan, magenta, yellow, black) == (1, 0, 0, 0) else (100.0 * (1 - black), 0.0, 0.0)


@pytest.mark.parametrize("suffix", [".jpg", ".tif"])
def test_cmyk_goes_through_its_profile_or_without_one_is_mixed(tmp_path: Path, suffix: str) -> None:
    cyan = Image.new("CMYK", (16, 16), (255, 0, 0, 0))
    cyan.save(tmp_path / f"plain{suffix}")
    cyan.save(tmp_path / f"profile{suffix}", icc_profile=table_profile(b"CMYK", lab_of_odd_inks))
    plain, printed = (load_image(tmp_path / f"{name}{suffix}")[0].mean(dim=(1, 2)) for name in ("plain", "profile"))
    assert plain.tolist() == pytest.approx([0, 1, 1], abs=0.02)
    assert printed.tolist() == pytest.approx([1, 0, 0], abs=0.05)


def ycck_file(ink: tuple[int, int, int, int], **options: object) -> bytes:
    """A JPEG file as Photoshop writes them: cyan, magenta and yellow as YCbCr, all inverted.

    Pillow writes CMYK without that transform, so the numbers are transformed here and the file is told of it.
    """
    luma_and_chroma = Image.new("RGB", (1, 1), ink[:3]).convert("YCbCr").getpixel((0, 0))
    stored = [*luma_and_chroma, 255 - ink[3]]  # type: ignore[misc]
    buffer = io.BytesIO()
    Image.new("CMYK", (16, 16), tuple(255 - value for value in stored)).save(buffer, "JPEG", quality=100, **options)
    data = bytearray(buffer.getvalue())
    transform = data.index(b"Adobe") + 11
    assert data[transform] == 0
    data[transform] = 2
    return bytes(data)


def test_ycck_is_read_with_and_without_a_profile() -> None:
    plain = read_picture(io.BytesIO(ycck_file((255, 51, 0, 0))))
    assert plain.format == "JPEG" and plain.quality == 100
    assert plain.pixels[0].mean(dim=(1, 2)).tolist() == pytest.approx([0, 0.8, 1], abs=0.02)
    printed = load_image(io.BytesIO(ycck_file((255, 0, 0, 0), icc_profile=table_profile(b"CMYK", lab_of_odd_inks))))
    assert printed[0].mean(dim=(1, 2)).tolist() == pytest.approx([1, 0, 0], abs=0.05)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("factor", [1.3, 3, 8, 20, 100])
def test_white_stays_white_at_any_size(dtype, channels, factor) -> None:
    white = pyvips.Image.new_from_array(np.full((800, 900, channels), np.iinfo(dtype).max, dtype))
    white = white.copy(interpretation="grey16" if channels == 1 else "rgb16") if dtype == np.uint16 else white
    assert upright_srgb(white, 1 / factor).min() == np.iinfo(dtype).max
