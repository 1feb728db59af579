"""Files that Pillow refuses, warns of or does not know."""

import io
import struct
import warnings
from pathlib import Path

import pytest
import torch
from pictures import alpha_of, depth_of, exif_of, picture_of
from PIL import ExifTags, Image
from PIL.PngImagePlugin import putchunk

from fastnst.images import decode, formats, levels
from fastnst.images.decode import pillow_aside
from fastnst.images.formats import ImageError
from fastnst.images.picture import Picture
from fastnst.images.read import load_image, read_picture
from fastnst.images.write import save_image
from fastnst.painting.animation import read_animation

HEIC_HEADER = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"


def make_of(picture: Picture) -> str:
    exif = Image.Exif()
    exif.load(exif_of(picture))
    return exif[ExifTags.Base.Make]


def huge_png(width: int, height: int) -> io.BytesIO:
    """The header of a PNG file; there are no pixels behind it."""
    file = io.BytesIO(b"\x89PNG\r\n\x1a\n")
    file.seek(8)
    putchunk(file, b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    putchunk(file, b"IDAT", b"")
    file.seek(0)
    return file


def test_more_than_500_megapixels_are_refused_in_one_line_before_they_are_decoded() -> None:
    with pytest.raises(ImageError, match=r"^image: 30000 x 20000 are 600 megapixels, and the limit is 500 megapixels$"):
        load_image(huge_png(30000, 20000))
    with pytest.raises(ImageError, match="damaged image"):  # under the limit it is decoded: there are no pixels
        load_image(huge_png(1, 1))


def test_the_limit_is_ours_and_pillows_is_as_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "photo.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)  # Pillow warns above it and refuses more than twice as much
    monkeypatch.setattr(decode, "MAX_PIXELS", 64)
    assert load_image(tmp_path / "photo.png").shape == (1, 3, 8, 8)
    assert Image.MAX_IMAGE_PIXELS == 10
    monkeypatch.setattr(decode, "MAX_PIXELS", 63)
    with pytest.raises(ImageError, match=r"photo.png: 8 x 8 are 0 megapixels"):
        load_image(tmp_path / "photo.png")
    with pytest.raises(Image.DecompressionBombError):
        Image.open(tmp_path / "photo.png")


def test_all_frames_of_an_animation_count(monkeypatch: pytest.MonkeyPatch) -> None:
    frames = [Image.new("RGB", (8, 8), color) for color in ("red", "green", "blue")]
    frames[0].save(file := io.BytesIO(), "GIF", save_all=True, append_images=frames[1:])
    monkeypatch.setattr(decode, "MAX_PIXELS", 3 * 64 - 1)
    file.seek(0)
    assert read_picture(file).frames == 3
    file.seek(0)
    with pytest.raises(ImageError, match="3 frames of 8 x 8 are 0 megapixels"):
        read_animation(file)


def test_settings_of_the_process_come_back_when_the_last_reader_has_gone() -> None:
    limit, filters = Image.MAX_IMAGE_PIXELS, list(warnings.filters)
    first, second = pillow_aside(), pillow_aside()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert Image.MAX_IMAGE_PIXELS is None
    warnings.warn("ignored, though warnings are errors here", stacklevel=1)
    second.__exit__(None, None, None)
    assert (Image.MAX_IMAGE_PIXELS, list(warnings.filters)) == (limit, filters)
    with pytest.raises(ValueError, match="inside"), pillow_aside():
        raise ValueError("inside")
    assert (Image.MAX_IMAGE_PIXELS, list(warnings.filters)) == (limit, filters)


def test_heic_without_its_library_names_the_line_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    Image.init()  # now, or the formats that are registered meanwhile would be forgotten
    monkeypatch.setitem(__import__("sys").modules, "pillow_heif", None)
    monkeypatch.setattr(Image, "ID", [name for name in Image.ID if name != "HEIF"])
    for attempt in (lambda: load_image(io.BytesIO(HEIC_HEADER)), lambda: formats.check_suffix(Path("out.heic"))):
        with pytest.raises(ImageError, match=r"HEIC needs pillow-heif: pip install 'fastnst\[heic\]'"):
            attempt()


def test_heic_is_read_upright_and_written() -> None:
    pytest.importorskip("pillow_heif").register_heif_opener()
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation], exif[ExifTags.Base.Make] = 6, "Camera"
    ramp = torch.linspace(0, 1, 64).expand(1, 3, 48, 64)
    stored = Image.fromarray(levels.to_array(ramp)[0]).transpose(Image.Transpose.ROTATE_90)
    stored.save(file := io.BytesIO(), "HEIF", exif=exif.tobytes(), quality=95)
    file.seek(0)
    picture = read_picture(file)
    assert (picture.format, depth_of(picture), picture.frames) == ("HEIF", 8, 1)
    assert float((picture.pixels - ramp).abs().max()) < 0.03
    alpha = torch.full((1, 1, 48, 64), 0.4)
    save_image(picture_of(ramp, alpha, exif=exif_of(picture)), again := io.BytesIO(), format="HEIF")
    again.seek(0)
    copy = read_picture(again)
    assert make_of(copy) == make_of(picture) == "Camera" and alpha_of(copy) is not None
    assert float((copy.pixels - ramp).abs().max()) < 0.03
    assert float(alpha_of(copy).mean()) == pytest.approx(0.4, abs=0.01)


def test_avif_is_read_and_written_with_colour_exif_and_alpha() -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "Camera"
    down, across = torch.meshgrid(torch.linspace(0, 1, 48), torch.linspace(0, 1, 64), indexing="ij")
    image, alpha = torch.stack((down, across, 1 - down))[None], across[None, None]
    save_image(picture_of(image, alpha, exif=exif.tobytes()), file := io.BytesIO(), format="AVIF")
    file.seek(0)
    picture = read_picture(file)
    assert (picture.format, make_of(picture)) == ("AVIF", "Camera")
    found = alpha_of(picture)
    assert found is not None
    assert float((picture.pixels - image)[alpha.expand_as(image) > 0.1].abs().max()) < 0.04
    assert float((found - alpha).abs().max()) < 0.02


@pytest.mark.parametrize("suffix", [".png", ".webp", ".tif", ".avif", ".jpg"])
def test_a_turned_file_of_any_format_is_read_upright_and_written_without_the_turn(tmp_path: Path, suffix: str) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation], exif[ExifTags.Base.Make] = 6, "Camera"
    ramp = torch.linspace(0, 1, 60).expand(1, 3, 40, 60)
    Image.fromarray(levels.to_array(ramp)[0]).transpose(Image.Transpose.ROTATE_90).save(
        tmp_path / f"photo{suffix}", exif=exif
    )
    picture = read_picture(tmp_path / f"photo{suffix}")
    assert picture.pixels.shape == (1, 3, 40, 60) and float((picture.pixels - ramp).abs().max()) < 0.1
    save_image(picture_of(picture.pixels, exif=exif_of(picture)), tmp_path / f"out{suffix}")
    with Image.open(tmp_path / f"out{suffix}") as saved:
        assert (saved.size, saved.getexif().get(ExifTags.Base.Orientation, 1)) == ((60, 40), 1)
        assert saved.getexif()[ExifTags.Base.Make] == "Camera"
