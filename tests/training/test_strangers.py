"""Settings and checkpoints of a run, and recipes, that were damaged, or made by a stranger."""

import json
import random
import resource
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from malformed import ODD_VALUES, recipes
from photo_folders import save_photo
from PIL import Image

from fastnst.base.errors import TrainingError, UserError
from fastnst.base.options import check_values
from fastnst.base.recipes import read_recipe
from fastnst.cli import main
from fastnst.training import base, universal
from fastnst.training.base import train_base
from fastnst.training.run import Run, from_json, to_json
from fastnst.training.settings import BaseSettings, TrainSettings, UniversalSettings
from fastnst.training.train import train
from fastnst.training.universal import train_universal
from fastnst.universal.autoencoder import Autoencoder

SHORT = TrainSettings(
    style=(Path("style.png"),),
    data="photos",
    steps=2,
    style_layers=("relu1_2",),
    content_layers=("relu1_2",),
    crop_size=32,
    style_size=32,
    margin=0,
    init_from="none",
    device="cpu",
    workers=0,
    quiet=True,
)
RESUME = TrainSettings(style=(Path("style.png"),), resume=True, device="cpu", workers=0, quiet=True)


def test_settings_of_a_run_with_any_value_are_those_or_refused() -> None:
    saved = to_json(SHORT)
    assert from_json(saved) == SHORT
    check_values(TrainSettings())
    refused = 0
    for field in fields(TrainSettings):
        for value in ODD_VALUES:
            try:
                check_values(from_json({**saved, field.name: value}))
            except (ValueError, TypeError, KeyError):
                refused += 1
    assert refused > 0.7 * len(fields(TrainSettings)) * len(ODD_VALUES)
    with pytest.raises(ValueError, match="workers"):
        from_json({**saved, "workers": 10**6})


@pytest.fixture
def unfinished(tmp_path, monkeypatch) -> Path:
    """A run that stopped after its first step: the current folder."""
    monkeypatch.chdir(tmp_path)
    noise = np.random.default_rng(0)
    Image.fromarray(noise.integers(0, 255, (40, 60, 3), dtype=np.uint8)).save("style.png")
    Path("photos").mkdir()
    for number in range(3):
        Image.fromarray(noise.integers(0, 255, (48, 64, 3), dtype=np.uint8)).save(f"photos/{number}.png")
    train(SHORT)
    Path("checkpoints/style.safetensors").rename("finished.safetensors")
    monkeypatch.setattr("fastnst.training.train.save_style", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        train(replace(SHORT, steps=1))
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    return Run("style").checkpoint


def without_weights(state: dict[str, Any]) -> None:
    del state["state_dict"]


def other_shapes(state: dict[str, Any]) -> None:
    state["state_dict"] = {name: torch.zeros(3) for name in state["state_dict"]}


def no_numbers(state: dict[str, Any]) -> None:
    next(iter(state["state_dict"].values())).fill_(float("nan"))


def endless_moments(state: dict[str, Any]) -> None:
    moments = next(each for each in _moments(state) if isinstance(each, dict))
    moments[next(iter(moments))] = torch.zeros(1, dtype=torch.float64).expand(10**11)


def no_optimizer(state: dict[str, Any]) -> None:
    state["optimizer_states"] = [5]


def other_loops(state: dict[str, Any]) -> None:
    state["loops"] = {"fit_loop": 3}


def other_clock(state: dict[str, Any]) -> None:
    for key in list(state):
        if key not in ("state_dict", "optimizer_states", "loops", "pytorch-lightning_version"):
            state[key] = "odd"


def _moments(state: dict[str, Any]) -> list[Any]:
    return [each for one in state["optimizer_states"] for each in one["state"].values()]


CHANGES: list[Callable[[dict[str, Any]], None]] = [
    *(without_weights, other_shapes, no_numbers, endless_moments, no_optimizer, other_loops, other_clock)
]


def refuses_changed_checkpoints(checkpoint: Path, resume: Callable[[], object]) -> None:
    """Each change gives one line and takes little memory; the honest file is there again behind it."""
    honest = checkpoint.read_bytes()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for change in CHANGES:
        state = torch.load(checkpoint, weights_only=True)
        change(state)
        torch.save(state, checkpoint)
        with pytest.raises(TrainingError, match=r"last\.ckpt is (damaged|not of this run)") as error:
            resume()
        assert "\n" not in str(error.value), change
        checkpoint.write_bytes(honest)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000  # KB; the loss network is loaded


def test_a_checkpoint_of_a_stranger_is_refused_in_a_line_and_the_honest_one_goes_on(unfinished) -> None:
    refuses_changed_checkpoints(unfinished, lambda: train(RESUME))
    settings = Run("style").settings
    values = json.loads(settings.read_text())
    large = {**values["sizes"], "half": 10**9}
    for odd in (
        *({"crop_size": "large"}, {"style": 5}, {"optimizer": "none"}, {"style_layers": [[]]}, {"budget": {}}),
        *({"sizes": 5}, {"sizes": large}, {"sizes": {**large, "half": 4.0}}, {"sizes": {"half": 4}}),
    ):
        settings.write_text(json.dumps({**values, **odd}))
        with pytest.raises(TrainingError, match=r"settings\.json is damaged"):
            train(RESUME)
    settings.write_text(json.dumps(values))
    assert train(replace(RESUME, force=True))


@pytest.mark.parametrize("kind", ["universal", "base"])
def test_so_is_a_checkpoint_of_a_network_for_any_painting(kind, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    for number in range(18):
        save_photo(tmp_path / f"photos/{number}.png", number)
    monkeypatch.setitem(base.PRESETS, "small", {"half": 4, "quarter": 8, "num_blocks": 1})
    monkeypatch.setattr(universal, "vgg19", lambda: Autoencoder((4, 5, 6, 7, 8)))  # VGG19 takes seconds
    common: dict[str, Any] = {"name": "any", "device": "cpu", "workers": 0, "quiet": True}
    first: dict[str, Any] = {"data": "photos", "steps": 1, "crop_size": 32, "batch_size": 1, **common}
    if kind == "base":
        first |= {"paintings": ("photos",), "margin": 0}

    def run(changes: dict[str, Any]) -> object:
        if kind == "base":
            return train_base(BaseSettings(**changes))
        return train_universal(UniversalSettings(**changes))

    with monkeypatch.context() as patch:
        for module, save in ((universal, "save_autoencoder"), (base, "save_predictor")):
            patch.setattr(module, save, lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            run(first)
    refuses_changed_checkpoints(Run("any").checkpoint, lambda: run({**common, "resume": True}))
    run({**common, "resume": True})
    assert Path("checkpoints/any.safetensors").is_file()


RECIPES = {
    "laughs": "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n",
    "itself": "style-weight: &a [*a]\n",
    "merged": "a: &a {x: 1}\n<<: *a\n",
    "deep": "style-layers: " + "[" * 2000 + "]" * 2000,
    "lists in lists": "style-layers: [[relu1_2]]\n",
    "long": "style-weight: 1 #" + "x" * 60_000,
    "a number of 5,000 digits": "steps: " + "9" * 5000,
    "no date": "name: 2024-99-99\n",
    "python": "name: !!python/object/apply:os.system ['true']\n",
    "no text": "\xff\xfe\x00",
    "bytes": "json: !!binary aGk=\n",
    "a set": "style-layers: !!set {relu1_2}\n",
    "a mapping": "style-layers: {relu1_2: 3}\n",
    "no names": "1: 2\n",
    "a list": "- 1\n",
    "one word": "style\n",
    "empty": "",
}


@pytest.mark.parametrize("text", RECIPES.values(), ids=RECIPES)
def test_a_recipe_that_is_none_is_refused_in_a_line(text, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    Path("odd.yaml").write_bytes(text.encode("latin-1"))
    for words in (("train", "--style", "a.jpg", "--config"), ("optimize", "a.jpg", "--style", "b.jpg", "--recipe")):
        with pytest.raises(SystemExit) as stop:
            main([*words, "odd.yaml"])
        assert stop.value.code == 2
        said = capsys.readouterr().err
        assert said.count("\n") == 1 and len(said) < 3000, said


def test_recipes_made_by_chance_are_taken_or_refused_in_a_line(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    read = 0
    for text in recipes(random.Random(0), 80):
        Path("odd.yaml").write_bytes(text)
        try:
            read += bool(read_recipe(Path("odd.yaml")))
        except UserError:
            pass
        with pytest.raises(SystemExit) as stop:
            main(["train", "--style", "missing.jpg", "--config", "odd.yaml", "--name", "odd"])
        said = capsys.readouterr().err
        assert stop.value.code == 2 and said.count("\n") == 1 and "\x1b" not in said, said
    assert 10 < read < 80
