"""One thing becomes files of every kind, whole or not at all."""

import io
import resource
from pathlib import Path

import numpy as np
import pytest
import torch
from pictures import alpha_of, colour_of, picture_of, smooth_image
from PIL import Image, ImageCms
from torch.testing import assert_close

from fastnst.images import formats, levels, write
from fastnst.images.formats import ImageError
from fastnst.images.picture import Picture
from fastnst.images.read import load_image, read_picture
from fastnst.images.write import LARGEST_HEVC, save_image

ONE_LEVEL = {"atol": 1.01 / 255, "rtol": 0}


@pytest.mark.parametrize("suffix", [".png", ".tif", ".TIFF"])
def test_a_saved_image_comes_back_within_one_level(tmp_path: Path, suffix: str) -> None:
    image = torch.rand(1, 3, 61, 45, generator=torch.Generator().manual_seed(0))
    alpha = torch.rand(1, 1, 61, 45, generator=torch.Generator().manual_seed(1))
    save_image(picture_of(image, alpha), tmp_path / f"new/folder{suffix}")
    picture = read_picture(tmp_path / f"new/folder{suffix}")
    assert_close(picture.pixels, image, **ONE_LEVEL)
    assert_close(alpha_of(picture), alpha, **ONE_LEVEL)


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg", ".webp"])
def test_a_lossy_file_stays_close_to_a_smooth_image(tmp_path: Path, suffix: str) -> None:
    save_image(smooth_image(), tmp_path / f"photo{suffix}")
    assert_close(load_image(tmp_path / f"photo{suffix}"), smooth_image(), atol=0.05, rtol=0)


def test_jpeg_keeps_the_full_resolution_of_colour(tmp_path: Path) -> None:
    save_image(smooth_image(), tmp_path / "photo.jpg")
    with Image.open(tmp_path / "photo.jpg") as saved:
        assert [component[1:3] for component in saved.layer] == [(1, 1)] * 3  # type: ignore[attr-defined]
    assert read_picture(tmp_path / "photo.jpg").quality == 95


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_a_stream_gets_the_format_named_with_an_srgb_profile_and_equal_bytes(format: str) -> None:
    first, second = io.BytesIO(), io.BytesIO()
    save_image(smooth_image(), first, format=format)
    save_image(smooth_image(), second, format=format.lower())
    assert first.getvalue() == second.getvalue()
    with Image.open(first) as saved:
        assert saved.format == format
        profile = ImageCms.ImageCmsProfile(io.BytesIO(saved.info["icc_profile"]))
    assert "sRGB" in ImageCms.getProfileDescription(profile)
    first.seek(0)
    assert_close(load_image(first), smooth_image(), atol=0.05, rtol=0)


def test_a_stream_without_a_format_is_refused() -> None:
    with pytest.raises(ImageError, match="a stream needs a format: PNG, JPEG, WEBP, TIFF"):
        save_image(smooth_image(), io.BytesIO())


def test_alpha_is_composited_on_white_where_the_format_has_none(tmp_path: Path) -> None:
    image, alpha = torch.zeros(1, 3, 8, 8), torch.full((1, 1, 8, 8), 0.2)
    save_image(picture_of(image, alpha), tmp_path / "photo.jpg")
    save_image(picture_of(image, alpha), tmp_path / "photo.webp")
    assert colour_of(load_image(tmp_path / "photo.jpg")) == [0.8, 0.8, 0.8]
    kept = alpha_of(read_picture(tmp_path / "photo.webp"))
    assert kept is not None and float(kept.mean()) == pytest.approx(0.2)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif", ".gif", ".avif", ".heic"])
def test_a_failed_save_leaves_the_old_file_and_nothing_else(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"photo{suffix}"
    save_image(torch.zeros(1, 3, 64, 64), path)
    before, limits = path.read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))  # as a full disk
    try:
        with pytest.raises((ImageError, OSError)) as caught:
            save_image(torch.rand(1, 3, 64, 64), path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == [path] and path.read_bytes() == before


@pytest.mark.parametrize("name", ["photo.bmp", "photo"])
def test_a_name_that_tells_no_known_format_is_refused_with_those_known(tmp_path: Path, name: str) -> None:
    with pytest.raises(ImageError, match=r"expected a name ending in \.png, .*\.jpg, .*, got '\.bmp'|no suffix"):
        save_image(smooth_image(), tmp_path / name)
    assert formats.check_suffix(Path("PHOTO.JPG")) == "JPEG"
    assert not list(tmp_path.iterdir())


def test_what_is_not_one_image_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    for wrong in (torch.zeros(3, 4, 4), torch.zeros(2, 3, 4, 4), torch.zeros(1, 1, 4, 4)):
        with pytest.raises(ImageError, match=r"expected one image \(1, 3, H, W\)"):
            save_image(wrong, tmp_path / "photo.png")
    with pytest.raises(ImageError, match="WEBP holds up to 16383 pixels a side, got 16384x1"):
        save_image(torch.zeros(1, 3, 1, 16384), tmp_path / "photo.webp")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("suffix", "depth"), [(".png", 8), (".png", 16), (".jpg", 8), (".jpg", 16), (".webp", 16)])
def test_a_picture_is_saved_as_its_pixels_are(suffix, depth, tmp_path) -> None:
    image, alpha = smooth_image(30, 40), torch.linspace(0, 1, 40).expand(1, 1, 30, 40)
    if depth == 8:
        save_image(torch.cat((image, alpha), dim=1), tmp_path / f"as_floats{suffix}")
    picture = Picture.of(levels.to_levels(torch.cat((image, alpha), dim=1), getattr(torch, f"uint{depth}")))
    save_image(picture, tmp_path / f"as_levels{suffix}")
    if depth == 8:
        assert (tmp_path / f"as_floats{suffix}").read_bytes() == (tmp_path / f"as_levels{suffix}").read_bytes()
    expected = image * alpha + (1 - alpha) if suffix == ".jpg" else image
    found = read_picture(tmp_path / f"as_levels{suffix}").pixels
    assert (found - expected)[..., 10:].abs().max() < 0.05


def test_a_large_jpeg_is_written_without_the_pass_that_holds_it_all(tmp_path, monkeypatch) -> None:
    save_image(smooth_image(30, 40), tmp_path / "small.jpg")
    monkeypatch.setattr(write, "LARGE", 100)
    save_image(smooth_image(30, 40), tmp_path / "large.jpg")
    assert (tmp_path / "large.jpg").stat().st_size > (tmp_path / "small.jpg").stat().st_size


def noise(mode: str, height: int, width: int) -> Picture:
    """A picture of noise, of which codecs make the most bytes."""
    shape = (1, len(mode), height, width)
    return Picture.of(torch.as_tensor(np.random.default_rng(0).integers(0, 256, shape, np.uint8)))


@pytest.mark.long
def test_a_large_heic_file_is_written_in_tiles(tmp_path: Path) -> None:
    pytest.importorskip("pillow_heif")
    waves = (127 + 100 * torch.sin(torch.arange(1200)[:, None] / 90 + torch.arange(1900) / 70)).to(torch.uint8)
    save_image(Picture.of(waves.expand(1, 3, -1, -1)), tmp_path / "large.heic", quality=60)
    with Image.open(tmp_path / "large.heic") as image:
        assert image.info["tiling"]["tile_width"] == image.info["tiling"]["tile_height"] == 1024
        assert image.info["icc_profile"]
    seen = read_picture(tmp_path / "large.heic").levels.int()
    assert seen.shape == (1, 3, 1200, 1900) and (seen - waves.int()).abs().max() < 12


@pytest.mark.slow
def test_a_heic_file_of_more_than_its_decoder_takes_of_one_picture_is_read_again(tmp_path: Path) -> None:
    pytest.importorskip("pillow_heif")
    save_image(picture := noise("RGB", 2600, 2500), tmp_path / "noise.heic", quality=98)
    assert (tmp_path / "noise.heic").stat().st_size > LARGEST_HEVC
    assert (read_picture(tmp_path / "noise.heic").levels.int() - picture.levels.int()).abs().float().mean() < 12


def test_one_with_opacity_which_has_no_tiles_is_refused_if_it_could_not_be_read(tmp_path: Path, monkeypatch) -> None:
    pytest.importorskip("pillow_heif")
    save_image(noise("RGBA", 90, 120), tmp_path / "small.heic")
    monkeypatch.setattr(write, "LARGEST_HEVC", 20_000)
    with pytest.raises(
        ImageError, match=r"new\.heic: with opacity, HEIC of more than 16 MB is not read again: a lower"
    ):
        save_image(noise("RGBA", 90, 120), tmp_path / "new.heic")
    save_image(noise("RGB", 90, 120), tmp_path / "plain.heic")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["plain.heic", "small.heic"]
