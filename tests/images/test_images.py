"""Files of every kind become one thing, and photos are found."""

import io
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from pictures import alpha_of, colour_of, dpi_of, exif_of, picture_of, smooth_image
from PIL import ExifTags, Image, ImageCms
from torch.testing import assert_close

from fastnst.images import levels, photos, read
from fastnst.images.formats import ImageError
from fastnst.images.read import load_image, read_picture
from fastnst.images.write import save_image


def file_of(folder: Path, image: Image.Image, suffix: str, **options: object) -> Path:
    path = folder / f"photo{suffix}"
    image.save(path, **options)
    return path


def profile_with_red_and_green_swapped() -> bytes:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    tags = 132 + 12 * struct.unpack(">I", profile[128:132])[0]
    table = profile[:tags].replace(b"rXYZ", b"????").replace(b"gXYZ", b"rXYZ").replace(b"????", b"gXYZ")
    return table + profile[tags:]


@pytest.mark.parametrize(
    ("mode", "colour", "suffix", "expected"),
    [
        ("1", 1, ".png", [1, 1, 1]),
        ("L", 51, ".png", [0.2, 0.2, 0.2]),
        ("LA", (51, 128), ".png", [0.2, 0.2, 0.2]),
        ("RGB", (255, 51, 0), ".png", [1, 0.2, 0]),
        ("RGBA", (255, 51, 0, 128), ".png", [1, 0.2, 0]),
        ("CMYK", (0, 204, 255, 0), ".jpg", [1, 0.2, 0]),
        ("CMYK", (0, 204, 255, 0), ".tif", [1, 0.2, 0]),
        ("YCbCr", (76, 85, 255), ".jpg", [1, 0, 0]),
        ("LAB", (128, 128, 128), ".tif", [0.47, 0.47, 0.47]),
        ("I;16", 13107, ".png", [0.2, 0.2, 0.2]),
        ("I;16", 13107, ".tif", [0.2, 0.2, 0.2]),
        ("I", 13107, ".tif", [0.2, 0.2, 0.2]),
        ("F", 0.2, ".tif", [0.2, 0.2, 0.2]),
        ("F", 51.0, ".tif", [51 / 51, 1, 1]),
    ],
)
def test_a_plain_colour_is_the_same_in_every_mode(
    tmp_path: Path, mode: str, colour: object, suffix: str, expected: list[float]
) -> None:
    image = Image.new(mode, (9, 7), colour)  # type: ignore[arg-type]
    if mode == "F" and colour == 51.0:  # the file's brightest pixel tells its scale
        image.putpixel((0, 0), 255.0)
        expected = [0.21, 0.21, 0.21]
    pixels = load_image(file_of(tmp_path, image, suffix))
    assert (pixels.shape, pixels.dtype) == ((1, 3, 7, 9), torch.float32)
    assert colour_of(pixels) == pytest.approx(expected, abs=0.011)
    assert (pixels.amin() >= 0) and (pixels.amax() <= 1)


def test_sixteen_bit_grey_is_scaled_and_not_clipped(tmp_path: Path) -> None:
    ramp = np.linspace(0, 65535, 64).round().astype(np.uint16)
    path = file_of(tmp_path, Image.fromarray(np.tile(ramp, (4, 1))), ".png")
    expected = torch.linspace(0, 1, 64).expand(1, 3, 4, 64)
    assert_close(load_image(path), expected, atol=0.5 / 255 + 1e-6, rtol=0)
    assert_close(read.decode_photo(path, short_side=4)[0, :, 0] / 255, ramp / 65535, atol=0.003, rtol=0)


def test_a_palette_with_a_transparent_entry_gives_colours_and_alpha(tmp_path: Path) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putdata([0, 1])
    picture = read_picture(file_of(tmp_path, image, ".png", transparency=1))
    assert_close(picture.pixels[0, :, 0], torch.tensor([[1.0, 0], [0, 0], [0, 1]]))
    alpha = alpha_of(picture)
    assert alpha is not None
    assert alpha.flatten().tolist() == [1, 0]


def test_an_image_without_alpha_has_none_and_one_with_alpha_keeps_its_values(tmp_path: Path) -> None:
    assert alpha_of(read_picture(file_of(tmp_path, Image.new("RGB", (3, 3)), ".png"))) is None
    alpha = alpha_of(read_picture(file_of(tmp_path, Image.new("LA", (3, 2), (9, 51)), ".png")))
    assert alpha is not None
    assert_close(alpha, torch.full((1, 1, 2, 3), 0.2))


@pytest.mark.parametrize(
    ("orientation", "undo"),
    [
        (1, None),
        (2, Image.Transpose.FLIP_LEFT_RIGHT),
        (3, Image.Transpose.ROTATE_180),
        (4, Image.Transpose.FLIP_TOP_BOTTOM),
        (5, Image.Transpose.TRANSPOSE),
        (6, Image.Transpose.ROTATE_90),
        (7, Image.Transpose.TRANSVERSE),
        (8, Image.Transpose.ROTATE_270),
    ],
)
def test_a_turned_photo_is_read_upright(tmp_path: Path, orientation: int, undo: Image.Transpose | None) -> None:
    upright = Image.fromarray(levels.to_array(smooth_image(40, 24))[0])
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    stored = upright if undo is None else upright.transpose(undo)
    picture = read_picture(file_of(tmp_path, stored, ".jpg", exif=exif, quality=95, subsampling=0))
    assert picture.pixels.shape == (1, 3, 40, 24)
    assert_close(picture.pixels, smooth_image(40, 24), atol=0.05, rtol=0)  # JPEG's own error


def test_the_camera_is_kept_and_what_no_longer_holds_is_dropped(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Make], exif[ExifTags.Base.Orientation] = "Camera", 6
    exif[ExifTags.IFD.Exif] = {ExifTags.Base.ExposureTime: 0.5, ExifTags.Base.ExifImageWidth: 8}
    image = Image.new("RGB", (8, 4))
    picture = read_picture(file_of(tmp_path, image, ".jpg", exif=exif, quality=83, dpi=(300, 300)))
    assert (picture.format, picture.quality, dpi_of(picture)) == ("JPEG", 83, (300, 300))
    for suffix in (".png", ".jpg", ".webp", ".tif"):
        save_image(picture_of(picture.pixels, exif=exif_of(picture), dpi=dpi_of(picture)), tmp_path / f"out{suffix}")
        with Image.open(tmp_path / f"out{suffix}") as saved:
            kept = saved.getexif()
            assert kept[ExifTags.Base.Make] == "Camera"
            assert kept.get(ExifTags.Base.Orientation, 1) == 1
            inside = kept.get_ifd(ExifTags.IFD.Exif)
            assert (inside[ExifTags.Base.ExposureTime], inside[ExifTags.Base.ExifImageWidth]) == (0.5, 4)  # turned
            assert suffix == ".webp" or saved.info["dpi"] == pytest.approx((300, 300), abs=0.1)


def test_a_colour_profile_is_converted_to_srgb(tmp_path: Path) -> None:
    image, profile = Image.new("RGBA", (8, 8), (255, 0, 0, 51)), profile_with_red_and_green_swapped()
    picture = read_picture(file_of(tmp_path, image, ".png", icc_profile=profile))
    assert colour_of(picture.pixels) == pytest.approx([0, 1, 0], abs=0.02)
    alpha = alpha_of(picture)
    assert alpha is not None and float(alpha.mean()) == pytest.approx(0.2)
    photo = read.decode_photo((tmp_path / "photo.png").read_bytes(), short_side=4)
    assert photo.shape == (4, 4, 3) and photo[0, 0].tolist() == pytest.approx([0, 255, 0], abs=4)


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("profile", [b"", b"not a profile", profile_with_red_and_green_swapped()[:200]])
def test_a_broken_profile_is_ignored(tmp_path: Path, mode: str, profile: bytes) -> None:
    path = file_of(tmp_path, Image.new(mode, (4, 4), "white"), ".png", icc_profile=profile)
    assert colour_of(load_image(path)) == [1, 1, 1]


def test_a_profile_of_another_kind_of_image_is_ignored(tmp_path: Path) -> None:
    image = Image.new("L", (4, 4), 51)
    path = file_of(tmp_path, image, ".png", icc_profile=profile_with_red_and_green_swapped())
    assert colour_of(load_image(path)) == [0.2, 0.2, 0.2]


def broken_files(folder: Path) -> dict[str, Path]:
    whole = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(whole, "JPEG")
    (folder / "truncated.jpg").write_bytes(whole.getvalue()[:2000])
    (folder / "text.png").write_text("not an image")
    (folder / "empty.jpg").touch()
    (folder / "folder.jpg").mkdir()
    names = ("truncated.jpg", "text.png", "empty.jpg", "folder.jpg", "missing.jpg")
    return {name: folder / name for name in names}


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("truncated.jpg", "damaged image"),
        ("text.png", "not an image"),
        ("empty.jpg", "not an image"),
        ("folder.jpg", "got a folder"),
        ("missing.jpg", "no such file"),
    ],
)
def test_a_bad_file_gives_one_line_with_its_path_and_the_reason(tmp_path: Path, name: str, reason: str) -> None:
    path = broken_files(tmp_path)[name]
    for reader in (load_image, lambda path: read.decode_photo(path, short_side=8)):
        with pytest.raises(ImageError, match=reason) as caught:
            reader(path)
        assert str(caught.value).startswith(f"{path}: ")
        assert "\n" not in str(caught.value)


def test_size_brings_the_long_side_down_and_never_up(tmp_path: Path) -> None:
    for suffix in (".jpg", ".png"):
        path = tmp_path / f"photo{suffix}"
        save_image(smooth_image(200, 601), path)
        assert load_image(path, size=60).shape == (1, 3, 20, 60)
        assert load_image(path, size=601).shape == (1, 3, 200, 601)
        assert load_image(path, size=5000).shape == (1, 3, 200, 601)
        assert load_image(path, size=1).shape == (1, 3, 1, 1)
        assert_close(load_image(path, size=60), smooth_image(20, 60), atol=0.04, rtol=0)
    with pytest.raises(ImageError, match="at least 1 pixel, got 0"):
        load_image(path, size=0)


def test_shrinking_does_not_mix_in_the_colour_of_transparent_pixels(tmp_path: Path) -> None:
    pixels = np.zeros((16, 16, 4), dtype=np.uint8)
    pixels[:, :, 1], pixels[:, 5:] = 255, (255, 0, 0, 255)  # green where transparent, red where not
    picture = read_picture(file_of(tmp_path, Image.fromarray(pixels), ".png"), size=8)
    alpha = alpha_of(picture)
    assert alpha is not None
    visible = picture.pixels[:, :, alpha[0, 0] > 0.05]
    assert_close(visible[0, 1], torch.zeros_like(visible[0, 1]), atol=0.02, rtol=0)


def test_a_training_photo_has_the_short_side_asked_for_or_its_own(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    save_image(smooth_image(400, 900), path)
    assert read.decode_photo(path, short_side=40).shape == (40, 90, 3)
    assert read.decode_photo(path.read_bytes(), short_side=4000).shape == (400, 900, 3)
    assert_close(levels.to_tensor(read.decode_photo(path, short_side=40)), smooth_image(40, 90), atol=0.03, rtol=0)


def test_a_crop_shows_the_box_at_the_size_asked_for() -> None:
    photo = levels.to_array(smooth_image(8, 12))[0]
    assert (read.crop_photo(photo, (4, 2, 8, 6), 4) == photo[2:6, 4:8]).all()
    assert read.crop_photo(photo, (0, 0, 8, 8), 5).shape == (5, 5, 3)


def test_bytes_and_tensors_are_each_other_s_inverse() -> None:
    every = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1).repeat(3, axis=3)
    tensor = levels.to_tensor(every)
    assert (tensor.shape, float(tensor.amin()), float(tensor.amax())) == ((1, 3, 16, 16), 0, 1)
    assert (levels.to_array(tensor) == every).all()
    assert (levels.to_array(levels.to_tensor(every[0])) == every).all()


def test_an_array_is_rounded_and_clamped_and_the_tensor_is_left_alone() -> None:
    tensor = torch.tensor([-1.0, 0.4 / 255, 0.6 / 255, 2.0]).reshape(1, 1, 2, 2).expand(1, 3, 2, 2)
    before = tensor.clone()
    assert levels.to_array(tensor)[0, :, :, 0].flatten().tolist() == [0, 0, 1, 255]
    assert_close(tensor, before, atol=0, rtol=0)


def test_photos_are_found_below_a_folder_sorted_and_without_hidden_ones(tmp_path: Path) -> None:
    for name in ("b.JPG", "a/z.png", "a/.z.png", ".hidden/a.png", "notes.txt", "c.webp", "a.tiff/x.jpeg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = [path.relative_to(tmp_path).as_posix() for path in photos.find_photos(tmp_path)]
    assert found == ["a/z.png", "a.tiff/x.jpeg", "b.JPG", "c.webp"]
    with pytest.raises(NotADirectoryError, match=r"expected a folder of photos, got .*missing"):
        photos.find_photos(tmp_path / "missing")


def test_photos_are_known_by_their_content_and_links_are_followed(tmp_path: Path, caplog) -> None:
    folder = tmp_path / "photos"
    (tmp_path / "elsewhere").mkdir()
    (folder / "sub").mkdir(parents=True)
    kinds = {"a.jfif": "JPEG", "b.jpe": "JPEG", "c.jp2": "JPEG2000", "d.tga": "TGA", "e.pgm": "PPM", "none": "PNG"}
    for name, format in {**kinds, "f.dat": "WEBP", "sub/g": "AVIF", "h.photo": "TIFF"}.items():
        Image.new("L" if format == "PPM" else "RGB", (20, 16), "teal" if format != "PPM" else 90).save(
            folder / name, format
        )
    Image.new("RGB", (8, 8)).save(tmp_path / "elsewhere" / "i.png")
    (folder / "linked").symlink_to(tmp_path / "elsewhere")
    (folder / "sub" / "back").symlink_to(folder)
    (folder / "notes.txt").write_text("no photo")
    caplog.set_level("INFO", "fastnst")
    found = [path.relative_to(folder).as_posix() for path in photos.find_photos(folder)]
    assert found == sorted([*kinds, "f.dat", "sub/g", "h.photo", "linked/i.png"])
    assert "1 files that are no photos are left out" in caplog.text
    for name in found:
        assert load_image(folder / name).shape[1] == 3


def test_every_sample_photo_of_the_wheel_can_be_read() -> None:
    samples = photos.sample_photos()
    assert {"astronaut", "camera", "chelsea", "coffee", "rocket"} <= samples.keys()
    assert not samples.keys() & {"logo", "text", "page", "cell", "phantom"}
    for path in samples.values():
        assert min(read.decode_photo(path, short_side=64).shape[:2]) == 64


def test_a_sample_is_named_and_anything_else_is_a_path() -> None:
    assert load_image(photos.resolve_photo("sample:astronaut"), size=64).shape == (1, 3, 64, 64)
    assert photos.resolve_photo("some/photo.jpg") == Path("some/photo.jpg")
    with pytest.raises(ImageError, match=r"no sample photo 'dog'; there are: astronaut, .*, rocket"):
        photos.resolve_photo("sample:dog")


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_levels_come_back_and_their_array_is_no_copy(dtype) -> None:
    array = np.linspace(0, np.iinfo(dtype).max, 3000).reshape(10, 100, 3).astype(dtype)
    channels = levels.as_channels(array)
    pixels = levels.from_levels(channels)
    assert pixels.min() == 0 and pixels.max() == 1
    assert torch.equal(levels.to_levels(pixels, channels.dtype), channels)
    array[0, 0, 0] = 7
    assert channels[0, 0, 0, 0] == 7
