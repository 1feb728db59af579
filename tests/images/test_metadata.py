import io
from pathlib import Path

import pytest
import torch
from pictures import picture_of
from PIL import ExifTags, Image

from fastnst import __version__
from fastnst.images.metadata import MARK, has_mark, is_mark
from fastnst.images.write import save_image


def test_the_mark_names_the_version_and_one_of_any_version_is_known() -> None:
    assert MARK == f"stylized by fastnst {__version__}"
    for text in (MARK, MARK.encode(), "stylized by fastnst 0.0.1", f"my holiday; {MARK}", f"{MARK}\0"):
        assert is_mark(text)
    for text in (None, "", b"\xff", "GIMP 2.10", "fastnst", 3, ("stylized",)):
        assert not is_mark(text)


def test_the_mark_stands_behind_the_software_that_is_there(tmp_path) -> None:
    exif = Image.Exif()
    for before, expected in ((None, MARK), ("Capture (5)", f"Capture (5); {MARK}"), (MARK, MARK)):
        exif[ExifTags.Base.Artist] = "me"
        if before:
            exif[ExifTags.Base.Software] = before
        picture = picture_of(torch.zeros(1, 3, 4, 4), exif=exif.tobytes())
        for suffix in ("jpg", "png", "webp", "tif", "avif"):
            save_image(picture, tmp_path / f"a.{suffix}", stylized=True)
            assert has_mark(tmp_path / f"a.{suffix}")
            with Image.open(tmp_path / f"a.{suffix}") as saved:
                found = saved.getexif()
            assert (found[ExifTags.Base.Artist], found[ExifTags.Base.Software]) == ("me", expected)


@pytest.mark.parametrize("data", [b"", b"no picture", b"GIF89a", b"\x89PNG\r\n\x1a\n"])
def test_what_cannot_be_read_has_no_mark(data, tmp_path) -> None:
    (tmp_path / "a.png").write_bytes(data)
    for path in (tmp_path / "a.png", tmp_path / "missing.png", tmp_path):
        assert not has_mark(path)


def test_a_picture_without_metadata_has_no_mark(tmp_path) -> None:
    for suffix in ("png", "jpg", "gif", "tif", "webp", "bmp"):
        Image.new("RGB", (8, 8)).save(tmp_path / f"a.{suffix}")
        assert not has_mark(tmp_path / f"a.{suffix}")


def marked_exif() -> Image.Exif:
    exif = Image.Exif()
    exif[ExifTags.Base.Software] = MARK
    return exif


def test_the_mark_is_read_from_the_header_of_a_file_that_is_cut_off(tmp_path) -> None:
    Image.effect_noise((64, 64), 90).save(file := io.BytesIO(), "JPEG", exif=marked_exif())
    path = Path(tmp_path, "cut.jpg")
    path.write_bytes(file.getvalue()[:1500])
    assert has_mark(path)
