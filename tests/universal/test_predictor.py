from pathlib import Path

import pytest
import torch
from torch.testing import assert_close

from fastnst.networks.catalog import StyleFileError
from fastnst.networks.network import TransformationNetwork
from fastnst.networks.style_file import save_style
from fastnst.universal.file import load_predictor, predicted_style, save_predictor
from fastnst.universal.predictor import StylePredictor, numbers_of, paint, predicted_parameters, with_rows

SHAPE = {"half": 4, "quarter": 8, "num_blocks": 1}
PHOTOS = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def network() -> TransformationNetwork:
    torch.manual_seed(0)
    return TransformationNetwork(**SHAPE)


@pytest.fixture
def predictor(network) -> StylePredictor:
    torch.manual_seed(0)
    predictor = StylePredictor(numbers_of(network))
    torch.nn.init.normal_(predictor.predict.weight)
    return predictor


def test_statistics_are_means_and_deviations_of_every_level(predictor) -> None:
    painting = torch.rand(1, 3, 40, 51)
    first = predictor.encoder[0](painting[..., :32, :48])  # multiples of 16
    statistics = predictor.statistics(painting)
    assert statistics.shape == (1, 736)
    assert_close(statistics[0, :16], first.mean((0, 2, 3)))
    assert_close(statistics[0, 16:32], (first.var((0, 2, 3), correction=0) + 1e-6).sqrt())


def test_usual_statistics_are_those_of_the_paintings(predictor) -> None:
    statistics = predictor.statistics(torch.rand(5, 3, 32, 32))
    predictor.fit(statistics)
    usual = (statistics - predictor.center) / predictor.spread
    assert_close(usual.mean(0), torch.zeros(736), rtol=0, atol=1e-4)


def test_a_prediction_of_zero_is_the_network_itself(network) -> None:
    numbers = torch.zeros(1, numbers_of(network))
    with torch.no_grad():
        assert_close(paint(network, PHOTOS, numbers), network(PHOTOS), rtol=0, atol=0)


def test_numbers_are_scales_and_shifts_in_the_order_of_the_norms(network, predictor) -> None:
    numbers = predictor(torch.rand(2, 736)).detach()
    parameters = predicted_parameters(network, numbers)
    first = network.norms[0]
    assert_close(parameters["encoder.0.norm.scale"], first.scale + numbers[:, : first.scale.shape[1]])
    assert sum(each.shape[1] for each in parameters.values()) == numbers.shape[1]
    styled = TransformationNetwork(**SHAPE, num_styles=2)
    styled.load_state_dict({**network.state_dict(), **parameters})
    with torch.no_grad():
        assert_close(paint(network, PHOTOS, numbers), styled(PHOTOS, torch.eye(2)), rtol=0, atol=1e-6)


def test_gradients_reach_the_predictor_and_the_network_but_not_the_encoder(network, predictor) -> None:
    numbers = predictor(predictor.statistics(torch.rand(2, 3, 32, 32)))
    paint(network, PHOTOS, numbers).square().sum().backward()
    assert predictor.predict.weight.grad is not None and predictor.predict.weight.grad.any()
    assert all(each.grad is not None for each in network.parameters())
    assert all(each.grad is None for each in predictor.encoder.parameters())


def test_a_file_comes_back_as_it_was_written(network, predictor, tmp_path) -> None:
    path = tmp_path / "any.safetensors"
    save_predictor(path, network, predictor, {"name": "any", "network": {**SHAPE, "num_styles": 1}})
    its_network, its_predictor = load_predictor(path)
    painting = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        wanted = paint(network, PHOTOS, predictor(predictor.statistics(painting)))
        found = paint(its_network, PHOTOS, its_predictor(its_predictor.statistics(painting)))
    assert_close(found, wanted, rtol=0, atol=0.02)  # float16
    assert path.stat().st_size < 2.5e6


def test_other_files_are_refused(network, predictor, tmp_path) -> None:
    style = tmp_path / "style.safetensors"
    save_style(style, network, {"name": "s", "styles": [{"name": "s"}], "network": {**SHAPE, "num_styles": 1}})
    with pytest.raises(StyleFileError, match="holds no predictor"):
        load_predictor(style)
    with pytest.raises(StyleFileError, match="no such file"):
        load_predictor(Path("missing.safetensors"))
    wrong = tmp_path / "wrong.safetensors"
    save_predictor(wrong, network, predictor, {"name": "w", "network": {**SHAPE, "half": 6, "num_styles": 1}})
    with pytest.raises(StyleFileError, match="do not fit"):
        load_predictor(wrong)


def test_a_style_is_predicted_from_paintings_and_blended(network, predictor, tmp_path) -> None:
    path = tmp_path / "any.safetensors"
    save_predictor(path, network, predictor, {"name": "any", "network": {**SHAPE, "num_styles": 1}})
    its_network, its_predictor = load_predictor(path)
    paintings = torch.rand(2, 3, 32, 32)
    numbers = its_predictor(its_predictor.statistics(paintings))
    with torch.no_grad():
        for weights in ((1.0, 0.0), (0.25, 0.75)):
            style = predicted_style(path, [(paintings[[i]], weight) for i, weight in enumerate(weights)])
            mixed = (torch.tensor(weights)[:, None] * numbers).sum(0, keepdim=True)
            assert_close(style.network(PHOTOS), paint(its_network, PHOTOS, mixed), rtol=0, atol=1e-5)


def test_a_painting_smaller_than_the_encoder_takes_is_continued_by_copies(predictor) -> None:
    for height, width in ((1, 1), (20, 31), (20, 100), (32, 32)):
        painting = torch.rand(1, 3, height, width)
        continued = torch.zeros(1, 3, max(height, 32), max(width, 32)) + painting[..., -1:, -1:]
        continued[..., :height, :width] = painting
        continued[..., height:, :width] = painting[..., -1:, :]
        continued[..., :height, width:] = painting[..., :, -1:]
        assert_close(predictor.of(painting), predictor(predictor.statistics(continued)), rtol=0, atol=0)


def test_a_network_with_rows_paints_as_with_the_predicted_parameters(predictor) -> None:
    torch.manual_seed(0)
    network = TransformationNetwork(**{**SHAPE, "eighth": 4, "num_deep_blocks": 1})  # norms in every kind of layer
    numbers = torch.randn(2, numbers_of(network))
    rows = with_rows(network)
    with torch.no_grad():
        assert_close(rows(PHOTOS, numbers), paint(network, PHOTOS, numbers), rtol=0, atol=1e-6)
        assert_close(rows(PHOTOS, numbers[:1]), paint(network, PHOTOS, numbers[:1]), rtol=0, atol=1e-6)
        assert_close(rows(PHOTOS, torch.zeros(1, numbers.shape[1])), network(PHOTOS), rtol=0, atol=0)
