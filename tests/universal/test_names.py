from pathlib import Path

import pytest
from PIL import Image

from fastnst.images.formats import ImageError
from fastnst.networks.catalog import StyleFileError
from fastnst.universal.names import find_paintings, painted_name


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("wave.jpg", "scream.png", "a:0.5.jpg", "a,b.jpg"):
        Image.new("RGB", (8, 8), "teal").save(name)


@pytest.mark.parametrize(
    ("style", "wanted"),
    [
        ("wave.jpg", {"wave.jpg": 1.0}),
        ("a:0.5.jpg", {"a:0.5.jpg": 1.0}),
        ("a,b.jpg", {"a,b.jpg": 1.0}),
        ("wave.jpg:3, scream.png:1", {"wave.jpg": 0.75, "scream.png": 0.25}),
        ("wave.jpg,scream.png", {"wave.jpg": 0.5, "scream.png": 0.5}),
        ("a:0.5.jpg:2", {"a:0.5.jpg": 1.0}),
        ("wave", {}),
        ("wave:0.6,scream:0.4", {}),
        ("wave.safetensors", {}),
        ("wave.onnx", {}),
    ],
)
def test_paintings_and_their_weights_are_found_in_a_style(style, wanted) -> None:
    assert {str(path): weight for path, weight in find_paintings(style)} == wanted


def test_samples_are_paintings_too() -> None:
    for name in ("wave", "mosaic", "stained_glass", "pointillism", "ink"):
        (one,) = find_paintings(f"sample:{name}")
        assert one.path.name == f"{name}.jpg" and one.weight == 1
    assert [weight for _, weight in find_paintings("sample:wave:0.2,sample:coffee:0.6")] == pytest.approx([0.25, 0.75])


@pytest.mark.parametrize(
    ("style", "error", "message"),
    [
        ("missing.jpg", ImageError, "missing.jpg: no such file"),
        ("sample:nosuch", ImageError, "no sample photo"),
        ("wave.jpg:much", StyleFileError, "painting.jpg:weight"),
        ("wave.jpg:0,scream.png:1", StyleFileError, "painting.jpg:weight"),
        ("wave.jpg:0.5,great_wave:0.5", StyleFileError, "great_wave is not a painting"),
    ],
)
def test_what_is_no_blend_of_paintings_is_refused(style, error, message) -> None:
    with pytest.raises(error, match=message):
        find_paintings(style)


def test_names_of_results_say_which_paintings_were_blended() -> None:
    assert painted_name(find_paintings("wave.jpg")) == "wave"
    assert painted_name(find_paintings("wave.jpg:3,scream.png:1")) == "wave0.75+scream0.25"
    assert Path(painted_name(find_paintings("sample:wave"))).name == "wave"
