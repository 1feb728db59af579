import json
from pathlib import Path

import pytest

from fastnst.baseline.problem import loss_network_of
from fastnst.baseline.settings import OptimizeSettings
from fastnst.perception.objective import load_loss_network
from fastnst.training.run import Run, from_json, to_json
from fastnst.training.settings import TrainSettings


def from_before() -> dict[str, object]:
    """Settings as they were written before there was a choice."""
    values = to_json(TrainSettings(style=(Path("wave.jpg"),), loss_network="vgg19"))
    del values["padding"], values["margin"]
    return values


def test_settings_survive_json() -> None:
    config = TrainSettings(style=(Path("a.jpg"), Path("b.jpg")), style_weight=3.0, padding="replicate")
    assert from_json(to_json(config)) == config


def test_a_style_file_from_before_the_choice_had_zeros_and_no_margin() -> None:
    assert (TrainSettings().padding, TrainSettings().margin) == ("replicate", 88)
    config = from_json(from_before())
    assert (config.padding, config.margin) == ("zeros", 0)


def test_a_run_from_before_the_choice_goes_on_as_it_began(tmp_path) -> None:
    run = Run("wave", tmp_path)
    run.folder.mkdir(parents=True)
    run.checkpoint.touch()
    run.settings.write_text(json.dumps(from_before()))
    config = run.check_resumed(TrainSettings(resume=True))
    assert (config.padding, config.margin) == ("zeros", 0)


@pytest.mark.parametrize("padding", ["zeros", "replicate"])
def test_training_and_optimising_give_their_loss_network_the_padding(padding) -> None:
    layers = {"style_layers": ("relu1_2",), "content_layers": ("relu1_2",), "padding": padding}
    for network in (
        load_loss_network(TrainSettings(**layers)),
        loss_network_of(OptimizeSettings(style=(Path("wave.jpg"),), **layers), device="cpu"),
    ):
        assert network.padding == padding
