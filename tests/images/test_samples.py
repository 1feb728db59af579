"""The style images that the project draws itself."""

import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fastnst.images.photos import resolve_photo, sample_styles
from fastnst.samples.drawing import run

STYLES = ("ink", "mosaic", "pointillism", "stained_glass", "wave")


def test_every_drawn_style_is_a_sample_and_has_its_script() -> None:
    assert tuple(sample_styles()) == STYLES
    for name, path in sample_styles().items():
        assert resolve_photo(f"sample:{name}") == path and path.with_name(f"draw_{name}.py").is_file()


@pytest.mark.long
@pytest.mark.parametrize("name", STYLES)
def test_a_script_draws_the_picture_that_is_shipped(name) -> None:
    drawn = import_module(f"fastnst.samples.draw_{name}").picture()
    with Image.open(resolve_photo(f"sample:{name}")) as shipped:
        assert drawn.size == shipped.size and max(shipped.size) >= 1024 and min(shipped.size) >= 700
        apart = np.abs(np.asarray(drawn, dtype=float) - np.asarray(shipped, dtype=float))
        small = [np.asarray(image.reduce(8), dtype=float) for image in (drawn, shipped)]
    assert apart.mean() < 10  # JPEG
    assert np.abs(small[0] - small[1]).mean() < 1


def test_a_picture_is_saved_where_it_is_told_or_beside_its_script(tmp_path, monkeypatch) -> None:
    for words, expected in (([], tmp_path / "dot.jpg"), ([str(tmp_path / "x.png")], tmp_path / "x.png")):
        monkeypatch.setattr(sys, "argv", ["draw_dot.py", *words])
        run(lambda: Image.new("RGB", (8, 8)), str(tmp_path / "draw_dot.py"))
        assert Path(expected).is_file()
