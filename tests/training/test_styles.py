"""The styles of a training: the size of their images, several in one file, and the network that they begin at."""

import os
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from small_training import SHALLOW, same, weights

from fastnst.base.errors import Interrupted, UserError
from fastnst.images import read
from fastnst.networks.catalog import read_info
from fastnst.networks.style_file import load_style
from fastnst.perception.calm import fine_detail
from fastnst.perception.objective import load_style_image, shrunk, style_side
from fastnst.training.settings import TrainSettings
from fastnst.training.style_trainer import StyleTrainer
from fastnst.training.train import train

pytestmark = pytest.mark.usefixtures("style_and_photos")


def test_a_sample_photo_can_be_the_style() -> None:
    result = train(replace(SHALLOW, style=(Path("sample:coffee"),), steps=1))
    assert result["name"] == "coffee" and result["styles"][0]["name"] == "coffee"


def test_several_styles_make_one_file_whose_styles_differ() -> None:
    pair = (Path("style.png"), Path("other.png"))
    result = train(replace(SHALLOW, style=pair, steps=60, learning_rate=2e-2))
    style = load_style(Path(result["path"]))
    assert style.style_names == ("style", "other") and style.info["name"] == "style_other"
    photo = torch.rand(1, 3, 40, 40)
    first, second = (style.network(photo, torch.eye(2)[i : i + 1]) for i in range(2))
    assert (first - second).abs().max() > 0.01
    assert {"total", "total_0", "total_1"} <= result["held_out"].keys()


def test_a_new_style_can_start_from_a_style_file() -> None:
    train(replace(SHALLOW, style=(Path("style.png"), Path("other.png")), name="pair", steps=40))
    pair = weights("pair")
    train(replace(SHALLOW, name="next", init_from="pair", steps=1, learning_rate=1e-9))
    began_at = read_info(Path("checkpoints/next.safetensors"))["began_at"]
    assert began_at["name"] == "pair" and began_at["styles"] == ["style"]  # of that image, not of the other
    for name, tensor in weights("next").items():
        expected = pair[name][:1] if ".norm." in name else pair[name]
        assert torch.allclose(tensor, expected, atol=1e-6), name
    with pytest.raises(UserError, match="a network of another size"):
        train(replace(SHALLOW, name="big", init_from="pair", network="johnson"))


def test_a_resumed_run_does_not_need_the_style_it_began_at(monkeypatch) -> None:
    train(replace(SHALLOW, name="old", steps=1))
    beginning = replace(SHALLOW, init_from="old", steps=4)
    train(replace(beginning, name="whole"))
    with monkeypatch.context() as patch, pytest.raises(Interrupted):
        patch.setattr(StyleTrainer, "on_train_batch_end", lambda *_: os.kill(os.getpid(), signal.SIGTERM))
        train(beginning)
    Path("checkpoints/old.safetensors").unlink()
    result = train(TrainSettings(resume=True, name="style", quiet=True))
    assert result["began_at"]["name"] == "old" and result["began_at"]["styles"] == ["style"]
    assert same(weights("whole"), weights("style"))


def test_a_wrong_start_is_told_before_photos_are_looked_for() -> None:
    with pytest.raises(UserError, match="no style named 'nothing'"):
        train(replace(SHALLOW, init_from="nothing", data="nowhere"))


@pytest.mark.parametrize(
    ("shape", "expected", "before"),
    [
        ((400, 1000), 1000, 480),
        ((800, 1000), 640, 384),
        ((1000, 600), 853, 384),
        ((600, 3000), 2560, 960),
        ((30, 300), 300, 300),
        ((300, 15_000), 8192, 8192),
    ],
)
def test_the_size_of_a_style_image_follows_from_its_shape(shape, expected, before) -> None:
    Image.new("RGB", shape[::-1], "white").save("painting.png")
    image = load_style_image(Path("painting.png"))
    assert max(load_style_image(Path("painting.png"), None).shape[-2:]) == before  # in files without a size
    assert max(image.shape[-2:]) == expected and max(load_style_image(Path("painting.png"), 60).shape[-2:]) == 60
    assert max(shrunk(image, 0.5).shape[-2:]) == round(expected / 2)


def test_the_size_is_in_the_header_of_a_painting() -> None:
    Image.effect_noise((900, 300), 50).save("painting.png")
    Path("cut.png").write_bytes(Path("painting.png").read_bytes()[:500])
    assert (
        style_side(Path("cut.png"), None) == 576
        and style_side(Path("cut.png"), "auto") == 900
        and style_side(Path("cut.png"), 4000) == 900
    )
    with pytest.raises(UserError, match=r"cut\.png: damaged image"):
        load_style_image(Path("cut.png"), None)


def test_a_painting_is_decoded_once(monkeypatch) -> None:
    paths = []
    original = read.read_picture
    monkeypatch.setattr(read, "read_picture", lambda path, **size: paths.append(path.name) or original(path, **size))
    train(replace(SHALLOW, steps=1, quiet=False))
    assert paths.count("style.png") == 1


def test_a_style_that_is_not_there_is_named_in_one_line() -> None:
    with pytest.raises(UserError, match=r"^nosuch\.png: no such file$"):
        train(replace(SHALLOW, style=(Path("nosuch.png"),)))


def test_photos_share_the_style_only_where_a_training_starts_from_a_trained_network() -> None:
    first = train(replace(SHALLOW, style_per_photo=None))
    assert first["settings"]["style_per_photo"] == 1
    again = train(replace(SHALLOW, name="again", init_from="style", style_per_photo=None))
    assert again["settings"]["style_per_photo"] == 0.25
    asked = train(replace(SHALLOW, name="asked", style_per_photo=0.0))
    assert asked["settings"]["style_per_photo"] == 0


@pytest.mark.long
def test_a_calm_training_puts_less_detail_into_even_photos() -> None:
    ramp = np.linspace(60, 200, 80, dtype=np.uint8)
    for number in range(8):
        Image.fromarray(np.roll(np.broadcast_to(ramp, (80, 80)), 9 * number, 1)).save(f"photos/{number}.jpg")
    even = torch.from_numpy(ramp[8:72] / 255).float().expand(1, 3, 64, 64)
    found = {}
    for calm in (0.0, 300.0):
        about = train(replace(SHALLOW, name=f"calm-{calm:.0f}", steps=40, calm=calm))
        assert about["settings"]["calm"] == calm
        painted = load_style(about["path"]).network(even, torch.ones(1, 1)).detach()
        found[calm] = float(fine_detail(painted)[..., 8:-8, 8:-8].mean())
    assert found[300.0] < 0.5 * found[0.0]
