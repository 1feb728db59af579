from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.testing import assert_close

from fastnst.networks.catalog import StyleFileError, read_info
from fastnst.networks.network import TransformationNetwork
from fastnst.networks.presets import PRESETS
from fastnst.networks.style_file import load_style, save_style
from fastnst.perception.perceptual_loss import PerceptualLoss
from fastnst.training.checks import check_train, find_start, sizes_of
from fastnst.training.settings import TrainSettings
from fastnst.training.warm_start import load_start, warm_start
from fastnst.universal.file import predicted_style, save_predictor
from fastnst.universal.predictor import StylePredictor, numbers_of

SHAPE = {"half": 4, "quarter": 8, "num_blocks": 1}


@pytest.fixture
def pair(tmp_path, monkeypatch) -> Path:
    """A file with two styles: one paints almost white, one almost black."""
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    network = TransformationNetwork(**SHAPE, num_styles=2)
    with torch.no_grad():
        network.painter.weight.abs_()
        network.decoder[-1].norm.shift[0] = 3.0
        network.decoder[-1].norm.shift[1] = 0.0
        network.painter.bias.fill_(-2.0)
    path = Path("checkpoints/pair.safetensors")
    info = {"name": "pair", "styles": [{"name": "white"}, {"name": "black"}], "network": {**SHAPE, "num_styles": 2}}
    save_style(path, network, info)
    return path


PHOTOS = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def wanting(loss_network, *mixes: list[float]) -> PerceptualLoss:
    """The objective whose style images are what the pair itself paints in some mixes."""
    network = load_style(Path("checkpoints/pair.safetensors")).network
    with torch.no_grad():
        images = [network(PHOTOS[:1], torch.tensor([mix])) for mix in mixes]
    return PerceptualLoss(
        loss_network, images, style_layers=("relu1_2",), content_layers=("relu2_2",), content_weight=0.0
    )


def test_each_new_style_begins_at_the_old_one_that_comes_closest(pair, random_vgg) -> None:
    network = TransformationNetwork(**SHAPE, num_styles=3)
    wanted = wanting(random_vgg, [0.0, 1.0], [1.0, 0.0], [0.5, 0.5])
    assert warm_start(network, load_start(pair), wanted, PHOTOS) == ["black", "white", "mean"]
    one = TransformationNetwork(**SHAPE)
    assert warm_start(one, load_start(pair), wanting(random_vgg, [1.0, 0.0]), PHOTOS) == ["white"]
    with torch.no_grad():
        assert_close(one(PHOTOS), network(PHOTOS, torch.tensor([[0.0, 1.0, 0.0]])))
        assert one(PHOTOS).mean() > network(PHOTOS, torch.tensor([[1.0, 0.0, 0.0]])).mean() + 0.1


def test_a_style_that_the_file_has_already_begins_at_itself(pair, random_vgg) -> None:
    file = load_style(pair)
    styles = [{"name": "white", "sha256": "1" * 64}, {"name": "black", "sha256": "0" * 64}]
    save_style(pair, file.network, {**file.info, "styles": styles})
    wanted = wanting(random_vgg, [1.0, 0.0], [1.0, 0.0])  # both come closest to white
    network = TransformationNetwork(**SHAPE, num_styles=2)
    assert warm_start(network, load_start(pair), wanted, PHOTOS, ["0" * 64, "2" * 64]) == ["black", "white"]


def test_a_network_of_another_size_is_refused_and_stays_as_it_was(pair, random_vgg) -> None:
    network = TransformationNetwork(half=4, quarter=8, num_blocks=2)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with pytest.raises(StyleFileError, match="another size: choose its --network, or --init-from none"):
        warm_start(network, load_start(pair), wanting(random_vgg, [1.0, 0.0]), PHOTOS)
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


def test_where_a_training_begins(pair) -> None:
    assert find_start("none", "small") is None
    assert find_start("pair", "small") == pair
    with pytest.raises(StyleFileError, match="no style named 'missing'"):
        find_start("missing", "small")
    assert find_start("auto", "johnson") is None


def test_by_default_a_training_begins_at_the_shipped_predictor_if_its_network_is_of_that_size(pair) -> None:
    start = find_start("auto", "small")
    assert start is not None and read_info(start)["kind"] == "predictor"
    assert sizes_of("small", start) == PRESETS["small"]
    Path("checkpoints/predictor.safetensors").write_bytes(pair.read_bytes())  # the first that is found, of another size
    assert find_start("auto", "small") is None


@pytest.mark.parametrize("size", [(64, 40), (21, 32), (300, 8), (1, 1)])
def test_from_a_predictor_a_style_begins_at_what_its_painting_predicts_whatever_its_size(size, tmp_path) -> None:
    torch.manual_seed(0)
    network = TransformationNetwork(**SHAPE)
    predictor = StylePredictor(numbers_of(network))
    torch.nn.init.normal_(predictor.predict.weight)
    save_predictor(
        tmp_path / "any.safetensors", network, predictor, {"name": "any", "network": {**SHAPE, "num_styles": 1}}
    )
    start, painting = load_start(tmp_path / "any.safetensors"), torch.rand(1, 3, *size)
    assert warm_start(network, start, None, PHOTOS, paintings=[painting]) == ["predicted"]
    with torch.no_grad():
        wanted = predicted_style(tmp_path / "any.safetensors", [(painting, 1.0)]).network
        assert_close(network(PHOTOS), wanted(PHOTOS), rtol=0, atol=1e-5)


def test_a_start_of_an_earlier_version_keeps_its_sizes(pair) -> None:
    assert sizes_of("small", None) == sizes_of("small", pair) == PRESETS["small"]  # it does not say what it is
    file = load_style(pair)
    save_style(pair, file.network, {**file.info, "settings": {"network": "small"}})
    assert sizes_of("small", pair) == SHAPE
    assert sizes_of("johnson", pair) == PRESETS["johnson"]
    save_style(pair, file.network, {**file.info, "network": None, "settings": {"network": "small"}})
    with pytest.raises(StyleFileError, match="has a description that cannot be read: network"):
        sizes_of("small", pair)


def test_the_learning_rate_is_higher_from_a_trained_network_unless_it_is_given(pair) -> None:
    style = TrainSettings(style=(Path("sample:wave"),))

    def rate(**settings: Any) -> object:
        return check_train(replace(style, **settings)).settings.learning_rate

    assert (rate(init_from="none"), rate(init_from=str(pair))) == (1e-3, 3e-3)
    assert rate(init_from=str(pair), learning_rate=2e-4) == 2e-4
