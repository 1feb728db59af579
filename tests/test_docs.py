"""The Python of the guides runs, page by page, in a folder as a reader has it."""

import re
import shutil
import warnings

import pytest
from PIL import Image
from project import ROOT

from fastnst.images.photos import SAMPLE_STYLE, sample_photos

SKIPPED = {"export.md"}  # its blocks run in tests/networks/test_exported.py, with exported files
PAGES = [page for page in sorted((ROOT / "docs").rglob("*.md")) if page.name not in SKIPPED]


def python_blocks(text: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", text, flags=re.M | re.S)


@pytest.fixture
def readers_folder(tmp_path, monkeypatch):
    """With a photo, a painting and some photos to train on."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_photos").mkdir()
    for number, name in enumerate(("astronaut", "coffee", "chelsea")):
        with Image.open(sample_photos()[name]) as photo:
            photo.convert("RGB").resize((96, 80)).save(tmp_path / "my_photos" / f"{number}.jpg")
    shutil.copy(tmp_path / "my_photos" / "0.jpg", tmp_path / "photo.jpg")
    with Image.open(SAMPLE_STYLE) as painting:
        painting.resize((96, 64)).save(tmp_path / "painting.jpg")


@pytest.mark.parametrize(
    "page", [page for page in PAGES if python_blocks(page.read_text())], ids=lambda page: page.stem
)
def test_the_python_of_a_page_runs(page, readers_folder) -> None:
    for block in python_blocks(page.read_text()):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Lightning's remarks on a Trainer that somebody else sets up
            exec(compile(block, page.name, "exec"), {"__name__": "guide"})


def test_the_guides_have_python_to_run() -> None:
    assert {page.stem for page in PAGES if python_blocks(page.read_text())} >= {"python", "researchers", "style_file"}
