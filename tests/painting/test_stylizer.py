import subprocess
import sys
from pathlib import Path

import pytest
import torch
from project import ROOT
from torch.testing import assert_close

from fastnst.base.devices import choose_device
from fastnst.networks.catalog import StyleFileError, find_mix
from fastnst.networks.network import TransformationNetwork
from fastnst.networks.style_file import StyleFile, save_style
from fastnst.painting.stylizer import Stylizer

WAVE = str(ROOT / "fastnst" / "samples" / "wave.jpg")


def style_file(*names: str, seed: int = 0) -> StyleFile:
    torch.manual_seed(seed)
    network = TransformationNetwork(half=4, quarter=8, num_blocks=1, num_styles=len(names))
    with torch.no_grad():
        for norm in (m for m in network.modules() if hasattr(m, "scale")):
            norm.scale.normal_()
    settings = {"half": 4, "quarter": 8, "num_blocks": 1, "num_styles": len(names)}
    info = {"name": "_".join(names), "styles": [{"name": name} for name in names], "network": settings}
    return StyleFile(network.eval(), info)


@pytest.fixture
def two_files(tmp_path, monkeypatch) -> None:
    """./checkpoints with `wave`, and with `sky`, which holds the styles day and night."""
    monkeypatch.chdir(tmp_path)
    for name, file in {"wave": style_file("wave"), "sky": style_file("day", "night")}.items():
        save_style(tmp_path / "checkpoints" / f"{name}.safetensors", file.network, {**file.info, "name": name})


@pytest.mark.parametrize("size", [(1, 1), (5, 40), (15, 16), (61, 45), (64, 64)])
def test_any_size_comes_back_as_it_was(size) -> None:
    photo = torch.rand(1, 3, *size)
    stylized = Stylizer(style_file("wave"), device="cpu")(photo)
    assert stylized.shape == photo.shape
    assert 0 <= stylized.min() and stylized.max() <= 1


def test_strength_goes_from_the_photo_to_the_full_style() -> None:
    stylizer, photo = Stylizer(style_file("wave"), device="cpu"), torch.rand(1, 3, 24, 24)
    full = stylizer(photo)
    assert_close(stylizer(photo, strength=0.0), photo)
    assert_close(stylizer(photo, strength=0.25), 0.75 * photo + 0.25 * full)


def test_a_mix_lies_between_its_styles_and_its_weights_are_shares() -> None:
    file, photo = style_file("day", "night"), torch.rand(1, 3, 24, 24)
    mixed = Stylizer(file, weights={"day": 0.3, "night": 0.7}, device="cpu")(photo)
    assert_close(mixed, file.network(photo, torch.tensor([[0.3, 0.7]])))
    day = Stylizer(file, weights={"day": 1.0}, device="cpu")(photo)
    assert not torch.allclose(mixed, day, atol=1e-3)


def test_names_mixes_and_paths_are_found(two_files) -> None:
    assert find_mix("wave")[1] is None
    assert find_mix("night") == (find_mix("sky")[0], {"night": 1.0})
    path, weights = find_mix("day:3,night:1")
    assert path.stem == "sky"
    assert weights == {"day": 0.75, "night": 0.25}
    assert Stylizer("checkpoints/wave.safetensors", device="cpu").name == "wave"


def test_a_mix_takes_the_file_that_has_all_its_styles(two_files) -> None:
    Path("checkpoints/day.safetensors").write_bytes(Path("checkpoints/wave.safetensors").read_bytes())
    assert find_mix("day")[0].stem == "day"
    assert find_mix("day:1,night:1")[0].stem == "sky"


@pytest.mark.parametrize(
    ("style", "message"),
    [
        ("wave:0.5,night:0.5", "different files"),
        ("day:0.5,night:x", "name:weight"),
        ("day:0.5,night:-1", "positive weights"),
        ("sky", "choose or mix: day, night"),
        ("sky:1", "several styles, name one: day, night"),
        ("dusk", "no style named 'dusk'"),
    ],
)
def test_mixes_that_cannot_be_get_a_line_that_says_why(two_files, style, message) -> None:
    with pytest.raises(StyleFileError, match=message):
        Stylizer(style, device="cpu")


def test_a_missing_device_is_named() -> None:
    with pytest.raises(ValueError, match="device tpu is not there"):
        choose_device("tpu")


def test_the_photo_is_not_changed() -> None:
    photo = torch.rand(1, 3, 12, 20)
    before = photo.clone()
    Stylizer(style_file("wave"), device="cpu")(photo, keep_colors=True, strength=0.5)
    assert torch.equal(photo, before)


def test_strength_may_be_any_number_or_a_map_of_any_type_for_one_or_all() -> None:
    stylizer, photos = Stylizer(style_file("wave"), device="cpu"), torch.rand(2, 3, 80, 70)
    for tile in (0, 64):
        full = stylizer(photos, tile=tile)
        assert torch.equal(stylizer(photos, strength=1, tile=tile), full)
        assert_close(stylizer(photos, strength=0, tile=tile), photos)
        half = (photos + full) / 2
        map = torch.full((1, 1, 80, 70), 0.5, dtype=torch.float64)
        assert_close(stylizer(photos, strength=map, tile=tile), half)
        assert_close(stylizer(photos, strength=torch.cat((map, 2 * map)), tile=tile), torch.stack((half[0], full[1])))


def test_terms_of_a_mix_that_mean_the_same_style_are_added_up(two_files) -> None:
    assert find_mix("wave:0.5,checkpoints/wave.safetensors:0.5")[1] == {"wave": 1.0}
    assert find_mix("day:1,night:1,day:2")[1] == {"day": 0.75, "night": 0.25}


@pytest.mark.parametrize(("style", "instant"), [("great_wave", False), (WAVE, True), (WAVE, False)])
def test_a_photo_is_painted_without_compilers_that_take_seconds_to_import(style, instant) -> None:
    script = (
        "import sys, numpy as np; from fastnst import Stylizer\n"
        f"paint = Stylizer({style!r}, instant={instant}, device='cpu', runtime='torch')\n"
        "paint(np.zeros((32, 32, 3), np.uint8))\n"
        "print(sorted({'torch._dynamo', 'torch._inductor', 'sympy', 'lightning', 'torchvision'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
