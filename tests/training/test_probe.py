import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import fastnst.training.probe as probing
from fastnst.base.errors import Interrupted, TrainingError, UserError
from fastnst.images.read import load_image
from fastnst.images.write import save_image
from fastnst.networks.network import TransformationNetwork
from fastnst.networks.presets import PRESETS
from fastnst.networks.style_file import save_style
from fastnst.training.probe import probe
from fastnst.training.settings import ProbeSettings

CONFIG = ProbeSettings(
    style=Path("sample:coffee"), photo=("sample:astronaut",), weights=(2.0, 8.0), budget=60.0, quiet=True
)


@pytest.fixture(autouse=True)
def trainings(tmp_path, monkeypatch) -> list:
    """Trainings that take no time: a new network, and errors that follow from the settings."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(probing, "SHEET_SIDE", 64)
    calls = []

    def train(config, *, started, folder):
        calls.append(config)
        path = folder / "checkpoints" / f"{config.name}.safetensors"
        shape = {**PRESETS["live"], "num_styles": 1}
        save_style(path, TransformationNetwork(**shape), {"name": "x", "styles": [{"name": "x"}], "network": shape})
        held_out = {"total": 1.0, "content": 0.1 * config.style_weight, "style": 0.05}
        return {"path": str(path), "held_out": held_out, "steps": 7, "seconds": config.budget}

    monkeypatch.setattr(probing, "train", train)
    return calls


def test_weights_and_sizes_are_tried_and_shown_on_a_sheet(trainings) -> None:
    result = probe(CONFIG)
    tried = [(trial["style_weight"], trial["style_size"]) for trial in result["trials"]]
    assert tried == [(2.0, 600), (8.0, 600), (8.0, 400)]  # it has 600 x 400 px: none is larger
    assert [call.budget for call in trainings] == [20.0] * 3 and all(call.seed == 0 for call in trainings)
    assert [trial["balance"] for trial in result["trials"]] == [4.0, 16.0, 16.0]
    assert result["output"] == "probe-coffee"
    assert json.loads(Path("probe-coffee/probe.json").read_text())["trials"] == result["trials"]
    assert all(Path(trial["path"]).is_file() for trial in result["trials"])
    height, width = load_image(Path("probe-coffee/sheet.png")).shape[-2:]
    assert height > 4 * 64 and width >= 64  # the photo and a row for each trial


def test_strokes_are_tried_larger_and_smaller(tmp_path, trainings) -> None:
    save_image(torch.rand(1, 3, 800, 1200), tmp_path / "large.png")
    result = probe(replace(CONFIG, style=tmp_path / "large.png", weights=(8.0,)))
    assert [trial["style_size"] for trial in result["trials"]] == [768, 512, 1152]


def test_a_small_painting_is_not_enlarged_for_longer_strokes(tmp_path, trainings) -> None:
    save_image(torch.rand(1, 3, 200, 300), tmp_path / "small.png")
    result = probe(replace(CONFIG, style=tmp_path / "small.png", weights=(8.0,)))
    assert [trial["style_size"] for trial in result["trials"]] == [300, 200]


def test_an_interrupted_probe_keeps_what_was_done(monkeypatch, trainings) -> None:
    train = probing.train

    def stopped(config, **arguments):
        if len(trainings) == 2:
            raise Interrupted("stopped")
        return train(config, **arguments)

    monkeypatch.setattr(probing, "train", stopped)
    with pytest.raises(Interrupted, match="2 of 3 trials are in probe-coffee, --force begins anew"):
        probe(CONFIG)
    assert len(json.loads(Path("probe-coffee/probe.json").read_text())["trials"]) == 2
    assert Path("probe-coffee/sheet.png").is_file()


def test_a_trial_that_fails_is_left_out(monkeypatch, trainings) -> None:
    train = probing.train

    def fails_at_16(settings, **options):
        if settings.style_weight == 16:
            raise TrainingError("the loss is no number")
        return train(settings, **options)

    monkeypatch.setattr(probing, "train", fails_at_16)
    result = probe(replace(CONFIG, weights=(2.0, 8.0, 16.0)))
    assert 16 not in {trial["style_weight"] for trial in result["trials"]} and len(result["trials"]) == 3


def test_bad_input_trains_nothing(trainings) -> None:
    Path("probe-coffee").mkdir()
    Path("probe-coffee/mine.txt").write_text("")
    with pytest.raises(OSError, match="is not empty: --force"):
        probe(CONFIG)
    with pytest.raises(UserError):
        probe(replace(CONFIG, style=Path("missing.jpg"), output=Path("new")))
    with pytest.raises(UserError, match="at least one of --weights"):
        probe(replace(CONFIG, weights=(), output=Path("new")))
    assert not trainings and not Path("new").exists()
