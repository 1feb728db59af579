import json

import pytest
import torch
from torch.testing import assert_close

from fastnst.exporting import tiled as module
from fastnst.exporting.tiled import Measure, Tile, Whole, write_tiled, write_tiled_predictor
from fastnst.exporting.writers import baked
from fastnst.images.photos import resolve_photo
from fastnst.images.read import load_image
from fastnst.networks.network import TransformationNetwork
from fastnst.networks.style_file import load_style
from fastnst.painting.tiles import normalised_as, pieces
from fastnst.universal.file import save_predictor
from fastnst.universal.predictor import StylePredictor, numbers_of

for package in ("onnx", "onnxruntime", "onnxscript"):
    pytest.importorskip(package)


def test_tiles_with_measured_statistics_are_what_python_paints(sky) -> None:
    network, row = load_style(sky).network, torch.tensor([[0.3, 0.7]])
    photo = load_image(resolve_photo("sample:coffee"), size=400)
    squares = pieces(lambda box: photo[..., *box], (photo.shape[-2], photo.shape[-1]), 4)
    with torch.inference_mode():
        statistics, share = Measure(network)(squares, row)
        expected = normalised_as(network, squares, row)
        part = photo[..., 16:96, 40:140]
        assert_close(Tile(network)(part, row, statistics, share), expected(part, row), rtol=0, atol=1e-5)
        assert_close(Whole(baked(network))(part, row), network(part, row), rtol=0, atol=1e-5)
    assert statistics.shape == (2, sum(norm.scale.shape[1] for norm in network.norms))


@pytest.mark.long
def test_three_graphs_share_one_file_of_weights_and_are_proved(sky, tmp_path) -> None:
    about = write_tiled(load_style(sky), tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"whole.onnx", "measure.onnx", "tile.onnx", "weights.bin", "network.json"}
    assert json.loads((tmp_path / "network.json").read_text()) == about
    assert about["styles"] == ["day", "night"] and about["stride"] == 8


@pytest.mark.long
def test_graphs_that_paint_otherwise_are_refused(sky, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(module, "CLOSE", -1.0)
    with pytest.raises(ValueError, match=r"whole\.onnx differs by .* from the network"):
        write_tiled(load_style(sky), tmp_path)


@pytest.mark.long
def test_a_predictor_becomes_graphs_that_take_rows_and_one_that_tells_them(tmp_path) -> None:
    torch.manual_seed(0)
    shape = {"half": 4, "quarter": 4, "num_blocks": 1, "num_styles": 1}
    network = TransformationNetwork(**shape)
    predictor = StylePredictor(numbers_of(network))
    torch.nn.init.normal_(predictor.predict.weight, std=0.3)
    path = tmp_path / "any.safetensors"
    save_predictor(path, network, predictor, {"name": "any", "network": shape, "painting_side": 64})
    about = write_tiled_predictor(path, tmp_path / "any")
    names = {each.name for each in (tmp_path / "any").iterdir()}
    assert names == {"whole.onnx", "measure.onnx", "tile.onnx", "predict.onnx", "weights.bin", "network.json"}
    assert (about["painting_side"], about["smallest_painting"], about["numbers"]) == (64, 32, numbers_of(network))
