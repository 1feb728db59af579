"""One ONNX file for all styles of a network, with their weights and the strength as inputs."""

import json

import pytest
import torch
from torch.testing import assert_close

from fastnst.cli import main
from fastnst.exporting.export import export, looks_of
from fastnst.exporting.proof import PROOFS
from fastnst.exporting.settings import ExportSettings
from fastnst.images.read import load_image
from fastnst.networks.exported import ExportedNetwork, load_exported
from fastnst.networks.network import TransformationNetwork
from fastnst.networks.style_file import load_style, save_style
from fastnst.painting.stylizer import Stylizer

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")


def test_one_file_paints_every_style_mix_and_strength_as_the_network_does(all_styles, sky) -> None:
    (report,) = json.loads(all_styles.with_suffix(".json").read_text())["files"]
    assert report["precision"] == "float16 weights" and report["styles"] == ["day", "night"]
    assert [tuple(size["size"]) for size in report["proof"]] == list(PROOFS)
    assert all(size["psnr"] >= 60 for size in report["proof"])
    exported, trained = Stylizer(all_styles, weights={"day": 0.3, "night": 0.7}), load_style(sky)
    photo = torch.rand(1, 3, 50, 41)
    expected = Stylizer(trained, weights={"day": 0.3, "night": 0.7}, device="cpu")
    assert_close(exported(photo), expected(photo), rtol=0, atol=4e-3)
    assert_close(exported(photo, strength=0.4), expected(photo, strength=0.4), rtol=0, atol=4e-3)
    inside = load_exported(all_styles)(photo, torch.tensor([[0.3, 0.7]]), 0.4)
    assert_close(inside, expected(photo, strength=0.4), rtol=0, atol=4e-3)


def test_the_rows_of_the_proof_are_each_style_a_mix_and_a_strength(sky) -> None:
    looks = looks_of(load_style(sky))
    assert [look["style"].tolist() for look in looks] == [[[1, 0]], [[0, 1]], [[0.5, 0.5]], [[0.5, 0.5]]]
    assert [look["strength"] for look in looks] == [1, 1, 1, 0.6]


def test_weights_are_stored_in_half_and_every_size_is_free(all_styles) -> None:
    model = onnx.load(all_styles)
    kinds = {each.data_type for each in model.graph.initializer if len(each.dims) > 1}
    assert kinds == {onnx.TensorProto.FLOAT16}
    shapes = {
        value.name: [size.dim_param or size.dim_value for size in value.type.tensor_type.shape.dim]
        for value in model.graph.input
    }
    assert shapes == {"image": ["batch", 3, "height", "width"], "style": [1, 2], "strength": [1]}
    types = {
        value.name: value.type.tensor_type.elem_type
        for value in onnx.shape_inference.infer_shapes(model).graph.value_info
    }
    for node in model.graph.node:
        if node.op_type in ("Conv", "InstanceNormalization"):
            assert types[node.output[0]] == onnx.TensorProto.FLOAT


def test_the_file_says_what_its_inputs_are(all_styles) -> None:
    info = load_exported(all_styles).info
    assert info["styles_as_input"] == ["day", "night"] and info["precision"] == "float16 weights"
    assert info["style"].startswith("style: float32 (1, number of styles)") and "strength" in info["strength"]


@pytest.mark.long
def test_weights_that_float16_cannot_hold_stay_float32(sky, tmp_path, monkeypatch) -> None:
    style = load_style(sky)
    with torch.no_grad():
        style.network.encoder[0].conv.weight.mul_(1e6)  # the norm that follows divides by as much
    monkeypatch.setattr("fastnst.exporting.export.load_style", lambda path: style)
    result = export(ExportSettings(style=str(sky), styles_as_input=True, output=tmp_path / "sky.onnx", quiet=True))
    assert result["files"][0]["precision"] == "float32"
    assert load_exported(tmp_path / "sky.onnx").info["precision"] == "float32"
    assert [path.name for path in tmp_path.iterdir()] == ["sky.onnx"]


@pytest.mark.long
def test_a_network_of_one_style_can_have_its_strength_as_input(tiny_network, tmp_path) -> None:
    settings = {"half": 4, "quarter": 8, "num_blocks": 1}
    path = tmp_path / "wave.safetensors"
    save_style(path, tiny_network, {"name": "wave", "styles": [{"name": "wave"}], "network": settings})
    export(ExportSettings(style=str(path), styles_as_input=True, output=tmp_path / "wave.onnx", quiet=True))
    exported, photo = load_exported(tmp_path / "wave.onnx"), torch.rand(1, 3, 20, 30)
    assert_close(exported(photo, torch.ones(1, 1), 0.0), photo, rtol=0, atol=1e-6)
    assert_close(Stylizer(tmp_path / "wave.onnx")(photo), Stylizer(path, device="cpu")(photo), rtol=0, atol=4e-3)


def test_what_is_missing_or_too_much_is_said(all_styles, exported) -> None:
    with pytest.raises(ValueError, match="sky has several styles, choose or mix: day, night"):
        Stylizer(all_styles)
    with pytest.raises(ValueError, match="sky has no style 'dawn'; it has: day, night"):
        Stylizer(all_styles, weights={"dawn": 1})
    with pytest.raises(ValueError, match="holds one style or mix, so weights cannot be chosen"):
        Stylizer(exported["onnx"], weights={"day": 1})
    with pytest.raises(ValueError, match="sky takes weights of day, night"):
        load_exported(all_styles)(torch.rand(1, 3, 20, 20))
    with pytest.raises(ValueError, match="sky has a style of its own"):
        ExportedNetwork({"name": "sky"}, TransformationNetwork())(torch.rand(1, 3, 20, 20), torch.ones(1, 1))


def test_apply_takes_its_styles_by_name_mixed_and_at_a_strength(all_styles, sky, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    for words in ("night", "day:1,night:3"):
        pictures = []
        for file in (all_styles, sky):
            with pytest.raises(SystemExit) as stop:
                look = ("--size", "64", "--strength", "0.7", "--format", "png", "-o", file.suffix[1:], "--quiet")
                main(["apply", "sample:coffee", "--style", f"{file}:{words}", *look, "--force"])
            assert stop.value.code == 0
            pictures.append(load_image(tmp_path / file.suffix[1:] / "coffee.png"))
        assert_close(*pictures, rtol=0, atol=2.1 / 255)
    for style, message in (
        (f"{all_styles}:dawn", "sky has no style 'dawn'; it has: day, night"),
        (f"{all_styles}", "sky has several styles"),
    ):
        with pytest.raises(SystemExit) as stop:
            main(["apply", "sample:coffee", "--style", style, "-o", "no.png"])
        assert stop.value.code == 2 and message in capsys.readouterr().err
    assert not (tmp_path / "no.png").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--style", "day"), "holds all styles of a file, to be mixed later: --style sky"),
        (("--style", "day:1,night:1"), "holds all styles of a file, to be mixed later: --style sky"),
        (("--style", "sky", "--format", "onnx", "pt2"), "--styles-as-input writes onnx"),
        (("--style", "sky", "--precision", "int8"), "--styles-as-input writes onnx"),
    ],
)
def test_what_cannot_be_had_is_one_line(words, message, sky, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setattr("fastnst.networks.catalog.SHIPPED", sky.parent)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        main(["export", *words, "--styles-as-input"])
    captured = capsys.readouterr()
    assert stop.value.code == 2 and captured.err.count("\n") == 1 and message in captured.err
    assert not list(tmp_path.iterdir())
