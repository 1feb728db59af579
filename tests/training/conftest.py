from pathlib import Path

import pytest
from photo_folders import save_photo
from small_training import stripes


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twelve photos in two folders."""
    for number in range(12):
        save_photo(tmp_path / f"photos/{'even' if number % 2 == 0 else 'odd'}/{number}.png", number * 10)
    return tmp_path / "photos"


@pytest.fixture
def style_and_photos(tmp_path, monkeypatch) -> Path:
    """A style image and eight photos in an otherwise empty current folder."""
    monkeypatch.chdir(tmp_path)
    stripes(80, 9).save("style.png")
    stripes(80, 5).rotate(90).save("other.png")
    stripes(12, 5).save("dot.png")
    Path("photos").mkdir()
    for number in range(8):
        stripes(64, 20 + 5 * number).save(f"photos/{number}.jpg")
    return tmp_path
