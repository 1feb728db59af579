import io
from pathlib import Path

import pytest
from PIL import ExifTags, Image

from fastnst import __version__
from fastnst.images.marks import MARK, has_mark, is_mark, marked


def exif_of(data: bytes) -> Image.Exif:
    found = Image.Exif()
    found.load(data)
    return found


def test_the_mark_names_the_version_and_one_of_any_version_is_known() -> None:
    assert MARK == f"stylized by fastnst {__version__}"
    for text in (MARK, MARK.encode(), "stylized by fastnst 0.0.1", f"my holiday; {MARK}", f"{MARK}\0"):
        assert is_mark(text)
    for text in (None, "", b"\xff", "GIMP 2.10", "fastnst", 3, ("stylized",)):
        assert not is_mark(text)


def test_exif_is_marked_beside_what_it_says() -> None:
    assert exif_of(marked(None))[ExifTags.Base.ProcessingSoftware] == MARK
    before = Image.Exif()
    before[ExifTags.Base.Artist], before[ExifTags.Base.Software] = "me", "Capture 5"
    found = exif_of(marked(before.tobytes()))
    assert (found[ExifTags.Base.Artist], found[ExifTags.Base.Software]) == ("me", "Capture 5")
    assert marked(marked(before.tobytes())) == marked(before.tobytes())


@pytest.mark.parametrize("data", [b"", b"no picture", b"GIF89a", b"\x89PNG\r\n\x1a\n"])
def test_what_cannot_be_read_has_no_mark(data, tmp_path) -> None:
    (tmp_path / "a.png").write_bytes(data)
    for path in (tmp_path / "a.png", tmp_path / "missing.png", tmp_path):
        assert not has_mark(path)


def test_a_picture_without_metadata_has_no_mark(tmp_path) -> None:
    for suffix in ("png", "jpg", "gif", "tif", "webp", "bmp"):
        Image.new("RGB", (8, 8)).save(tmp_path / f"a.{suffix}")
        assert not has_mark(tmp_path / f"a.{suffix}")


def test_the_mark_is_read_from_the_header_of_a_file_that_is_cut_off(tmp_path) -> None:
    Image.effect_noise((64, 64), 90).save(file := io.BytesIO(), "JPEG", exif=marked(None))
    path = Path(tmp_path, "cut.jpg")
    path.write_bytes(file.getvalue()[:1500])
    assert has_mark(path)
