"""Photos and style images in a folder of their own, and `fastnst optimize` on them with random weights."""

import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from pictures import make_image
from PIL import Image

from fastnst.baseline.optimize import optimize
from fastnst.baseline.settings import OptimizeSettings
from fastnst.cli import main
from fastnst.perception.architectures import NETWORKS
from fastnst.perception.loss_network import LossNetwork


@pytest.fixture
def photo_styles_and_masks(tmp_path, monkeypatch) -> Path:
    """A photo, two styles of other shapes and masks of the photo's shape in an otherwise empty current folder."""
    monkeypatch.chdir(tmp_path)
    for seed, (name, width, height) in enumerate((("photo", 40, 30), ("style", 60, 30), ("other", 16, 24))):
        pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((width, height), Image.Resampling.BOX).save(f"{name}.png")
    left = np.zeros((30, 40), np.uint8)
    left[:, :10] = 255
    for name, mask in {"left": left, "right": 255 - left, "black": 0 * left, "white": 0 * left + 255}.items():
        Image.fromarray(mask).save(f"{name}.png")
    Image.fromarray(left).resize((80, 60)).save("large.png")
    Image.fromarray(left).resize((40, 40)).save("square.png")
    return tmp_path


@pytest.fixture
def photo_and_styles(tmp_path, monkeypatch) -> Path:
    """A photo and two styles, dark and bright, in an otherwise empty current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(logging.getLogger("fastnst"), "handlers", [])  # of commands in other tests, long closed
    make_image("photo.png")
    make_image("dark.png", (32, 24), high=90)
    make_image("bright.png", (24, 32), low=160)
    return tmp_path


@pytest.fixture(scope="session")
def vgg19_weights(tmp_path_factory) -> Path:
    """A file with the random weights that `LossNetwork` has without any."""
    keys = {step.name: step.key for step in NETWORKS["vgg19"].plan()}
    state = {}
    for own, value in LossNetwork(("pool2",), weights=None).operations.state_dict().items():
        step, _, tensor = own.rpartition(".")
        state[f"{keys[step]}.{tensor}"] = value
    file = tmp_path_factory.mktemp("weights") / "vgg19.pth"
    torch.save(state, file)
    return file


@pytest.fixture
def settings(vgg19_weights) -> dict:
    """Small ones."""
    return {
        "style": (Path("dark.png"),),
        "style_size": 32,
        "style_layers": ("relu1_1", "relu2_1"),
        "content_layers": ("relu1_2",),
        "loss_weights": vgg19_weights,
        "iterations": 3,
        "device": "cpu",
        "quiet": True,
    }


@pytest.fixture
def run(settings):
    def run(photo: str = "photo.png", **given: object) -> dict:
        return optimize(photo, OptimizeSettings(**{**settings, **given}))

    return run


@pytest.fixture
def command(vgg19_weights, capsys):
    """The command line: its exit code, standard output and standard error."""

    def command(*words: str) -> tuple[int, str, str]:
        small = ["--style-layers", "relu1_1", "--content-layers", "relu1_2", "--iterations", "2", "--device", "cpu"]
        with pytest.raises(SystemExit) as stop:
            main(["optimize", *words, "--loss-weights", str(vgg19_weights), *small])
        return int(stop.value.code), *capsys.readouterr()

    return command
