"""What photographers ask of a file: their colour space, 16 bit, the way their JPEG files are made."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from icc_profiles import ADOBE_RGB, PROPHOTO, formula, gamma, grey_profile, matrix_profile, table_profile
from pictures import depth_of
from PIL import Image, ImageCms

from fastnst.images.decode import opened, pyvips
from fastnst.images.picture import Picture
from fastnst.images.read import read_picture
from fastnst.images.srgb import srgb_profile
from fastnst.images.write import save_image

# Display P3: its primaries under D50, and the curve of sRGB.
P3 = ((0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189), (0.15710, 0.06657, 0.78407))
CURVE = formula(3, 2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
PROFILES = {
    "Adobe RGB": matrix_profile(ADOBE_RGB, gamma(2.19921875)),
    "Display P3": matrix_profile(P3, CURVE),
    "ProPhoto": matrix_profile(PROPHOTO, formula(0, 1.8)),
}
# Linear light of a channel's share, and back.
SRGB = ((0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.71410))
PRIMARIES = {"Adobe RGB": ADOBE_RGB, "Display P3": P3, "ProPhoto": PROPHOTO}
GAMMA = {"Adobe RGB": 2.19921875, "ProPhoto": 1.8}
COLOR = np.array([230, 120, 40]) / 255


def numbers_in(name: str) -> list[float]:
    """The colour, given in sRGB, in another space, 0 to 255: through XYZ by the primaries."""
    light = np.where(COLOR <= 0.04045, COLOR / 12.92, ((COLOR + 0.055) / 1.055) ** 2.4)
    own = np.linalg.inv(np.array(PRIMARIES[name]).T) @ np.array(SRGB).T @ light
    if name in GAMMA:
        return list(own ** (1 / GAMMA[name]) * 255)
    return list(np.where(own <= 0.0031308, own * 12.92, 1.055 * own ** (1 / 2.4) - 0.055) * 255)


def photo_in(name: str, deep: bool) -> bytes:
    """An orange card in a colour space, as a TIFF file."""
    scale, dtype = (257, np.uint16) if deep else (1, np.uint8)
    values = np.tile((np.array(numbers_in(name)) * scale).round().astype(dtype), (20, 30, 1))
    image = pyvips.Image.new_from_array(values).copy()
    image.set_type(pyvips.GValue.blob_type, "icc-profile-data", PROFILES[name])
    data: bytes = image.tiffsave_buffer()
    return data


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("name", PROFILES)
@pytest.mark.parametrize("format", ["TIFF", "PNG", "JPEG"])
def test_a_kept_profile_gives_the_photo_its_own_numbers_back(name, deep, format) -> None:
    picture = read_picture(io.BytesIO(photo_in(name, deep)))
    found = picture.pixels[0, :, 5, 5] * 255
    assert found.tolist() == pytest.approx([230, 120, 40], abs=2)
    save_image(picture, file := io.BytesIO(), format=format, keep_profile=True, quality=100)
    with opened(io.BytesIO(file.getvalue())) as again:
        assert again.load().get("icc-profile-data") == PROFILES[name]
        scale = 257 if again.load().format == "ushort" else 1
        assert [value / scale for value in again.load()(5, 5)] == pytest.approx(numbers_in(name), abs=2)
    again = read_picture(io.BytesIO(file.getvalue()))
    assert (again.pixels[0, :, 5, 5] * 255 - found).abs().max() < 2.1


@pytest.mark.parametrize(
    "profile", [None, b"broken", grey_profile(gamma(2.2)), table_profile(b"CMYK", lambda *inks: (50, 0, 0))]
)
def test_a_profile_that_rgb_cannot_be_written_in_is_replaced(profile) -> None:
    picture = Picture.of(torch.full((1, 3, 8, 8), 120, dtype=torch.uint8), profile=profile)
    save_image(picture, file := io.BytesIO(), format="PNG", keep_profile=True)
    with Image.open(io.BytesIO(file.getvalue())) as saved:
        assert saved.info["icc_profile"] == srgb_profile() and saved.getpixel((4, 4)) == (120, 120, 120)


def test_16_bit_are_read_from_avif_and_written_to_it() -> None:
    ramp = torch.linspace(0, 65535, 4096).round().to(torch.uint16).reshape(1, 1, 16, 256).expand(1, 3, 16, 256)
    save_image(Picture.of(ramp), file := io.BytesIO(), format="AVIF", quality=100)
    again = read_picture(io.BytesIO(file.getvalue()))
    assert (again.format, depth_of(again)) == ("AVIF", 16)
    assert (again.pixels - ramp.float() / 65535).abs().max() < 12 / 4095
    assert len(again.levels[0, 1].unique()) > 1000


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize(("subsampling", "blocks"), [("4:4:4", (1, 1)), ("4:2:0", (2, 2))])
def test_a_jpeg_is_made_as_the_photo_is(progressive, subsampling, blocks, tmp_path: Path) -> None:
    photo = Image.effect_noise((64, 48), 60).convert("RGB")
    photo.save(tmp_path / "in.jpg", subsampling=subsampling, progressive=progressive, quality=88)
    picture = read_picture(tmp_path / "in.jpg")
    save_image(picture, tmp_path / "out.jpg")
    with Image.open(tmp_path / "out.jpg") as saved:
        assert saved.layer[0][1:3] == blocks  # type: ignore[attr-defined]
        assert bool(saved.info.get("progressive")) == progressive
    assert read_picture(tmp_path / "out.jpg").quality == 88


def test_the_written_profile_is_srgb() -> None:
    assert "sRGB" in ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(srgb_profile())))
