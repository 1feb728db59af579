"""A predictor as two ONNX files: a painting to the numbers of a style, and photos painted in such a style."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from project import ROOT
from torch.testing import assert_close

from fastnst.base import partials
from fastnst.base.partials import sweep
from fastnst.cli import main
from fastnst.exporting import predicted as module
from fastnst.exporting.export import export
from fastnst.exporting.proof import PROOFS
from fastnst.exporting.settings import ExportSettings
from fastnst.networks.catalog import read_info
from fastnst.networks.exported import load_exported
from fastnst.networks.network import TransformationNetwork
from fastnst.universal.file import predicted_style, save_predictor
from fastnst.universal.predictor import StylePredictor, numbers_of

for package in ("onnx", "onnxruntime", "onnxscript"):
    pytest.importorskip(package)

SHAPE = {"half": 4, "quarter": 4, "eighth": 4, "num_blocks": 1, "num_deep_blocks": 1, "num_styles": 1}
KILLED = """
import os, signal, sys
from fastnst.cli import main
from fastnst.exporting import predicted
predicted.Graph = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
main(["export", "--styles-as-input", "--style", sys.argv[1], "-o", sys.argv[2], "--quiet"])
"""


@pytest.fixture(scope="module")
def predictor(tmp_path_factory) -> Path:
    """A predictor's file, with weights that change what is painted."""
    torch.manual_seed(0)
    network = TransformationNetwork(**SHAPE)
    predictor = StylePredictor(numbers_of(network))
    torch.nn.init.normal_(predictor.predict.weight, std=0.3)
    predictor.fit(predictor.statistics(torch.rand(3, 3, 64, 64)))
    path = tmp_path_factory.mktemp("predictor") / "any.safetensors"
    about = {"name": "any", "network": SHAPE, "painting_side": 64, "license": "MIT"}
    save_predictor(path, network, predictor, about)
    return path


@pytest.fixture(scope="module")
def report(predictor) -> dict[str, object]:
    """What the command says when it writes both files beside the predictor."""
    return export(
        ExportSettings(style=str(predictor), styles_as_input=True, output=predictor.with_suffix(".onnx"), quiet=True)
    )


@pytest.mark.long
def test_both_files_paint_as_a_predicted_style_does_and_are_proved(predictor, report) -> None:
    (file,) = report["files"]
    assert [tuple(size["size"]) for size in file["proof"]] == list(PROOFS)
    assert file["precision"] == "float16 weights" and all(size["psnr"] >= 60 for size in file["proof"])
    painter, teller = (load_exported(predictor.with_name(name)) for name in ("any.onnx", "any-style.onnx"))

    def tell(painting: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(teller.paint(painting.numpy()))  # numbers, no picture

    assert file["bytes"] == sum(predictor.with_name(name).stat().st_size for name in ("any.onnx", "any-style.onnx"))
    photo, paintings = torch.rand(1, 3, 50, 41), torch.rand(2, 1, 3, 70, 64)
    for weights in ((1.0, 0.0), (0.3, 0.7)):
        style = predicted_style(predictor, list(zip(paintings, weights, strict=True)))
        row = sum(weight * tell(painting) for painting, weight in zip(paintings, weights, strict=True))
        expected = style.network(photo)
        assert_close(painter(photo, row), expected, rtol=0, atol=4e-3)
        assert_close(painter(photo, row, 0.4), torch.lerp(photo, expected, 0.4), rtol=0, atol=4e-3)
    assert float((painter(photo, tell(paintings[0])) - painter(photo, tell(paintings[1]))).abs().max()) > 0.01


@pytest.mark.long
def test_the_files_say_what_they_take_and_give(predictor, report) -> None:
    count = numbers_of(TransformationNetwork(**SHAPE))
    painter, teller = (load_exported(predictor.with_name(name)).info for name in ("any.onnx", "any-style.onnx"))
    assert painter["numbers_of_a_style"] == teller["numbers_of_a_style"] == count
    assert painter["input"].startswith("image: ") and painter["style"].startswith(f"style: float32 (1, {count})")
    assert teller["input"].startswith("painting: ") and "short side of 64 pixels" in teller["input"]
    assert teller["output"] == painter["style"] and painter["license"] == "MIT"


def test_the_guide_says_how_many_numbers_a_style_of_the_shipped_predictor_has() -> None:
    network = TransformationNetwork(**read_info(ROOT / "checkpoints" / "predictor.safetensors")["network"])
    (told,) = re.findall(r"a row of numbers `\(1, (\d+)\)`", (ROOT / "docs" / "guides" / "export.md").read_text())
    assert int(told) == numbers_of(network)


def run(*words: str) -> int:
    with pytest.raises(SystemExit) as stop:
        main([*words])
    return int(stop.value.code)


def test_what_cannot_be_had_is_one_line_and_nothing_is_written(
    predictor, report, tmp_path, monkeypatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "any-style.onnx").touch()
    for words, message in (
        (("export",), "paints like any picture: with --styles-as-input it becomes two ONNX files"),
        (("export", "--styles-as-input"), "any-style.onnx exists: --force replaces it"),
        (("export", "--styles-as-input", "--format", "pt2", "-o", "out"), "--styles-as-input writes onnx"),
    ):
        assert run(*words, "--style", str(predictor)) == 2
        captured = capsys.readouterr()
        assert captured.err.count("\n") == 1 and message in captured.err
    for file in ("any.onnx", "any-style.onnx"):
        assert run("apply", "sample:coffee", "--style", str(predictor.with_name(file)), "-o", "out.png") == 2
        assert "is half of a predictor" in capsys.readouterr().err
    with pytest.raises(ValueError, match="any takes the numbers of a style"):
        load_exported(predictor.with_name("any.onnx"))(torch.rand(1, 3, 20, 20))
    assert [path.name for path in tmp_path.iterdir()] == ["any-style.onnx"]


@pytest.mark.long
def test_files_that_differ_are_not_written(predictor, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(module, "CLOSE", -1.0)
    words = ("export", "--style", str(predictor), "--styles-as-input", "-o", str(tmp_path / "x.onnx"), "--json")
    assert run(*words) == 2
    captured = capsys.readouterr()
    assert "x-style.onnx differs from the predictor at 64 x 64; nothing was written" in captured.err
    assert json.loads(captured.out)["failed"] == 1 and not list(tmp_path.iterdir())


def test_what_a_killed_export_leaves_goes_with_the_next_command(predictor, tmp_path, monkeypatch) -> None:
    target = tmp_path / "new/x.onnx"
    killed = subprocess.run([sys.executable, "-c", KILLED, predictor, target])
    assert killed.returncode == -signal.SIGKILL and len(list(target.parent.iterdir())) == 1
    monkeypatch.setattr(partials, "_swept", set())
    sweep(target.parent)
    assert not list(target.parent.iterdir())


@pytest.mark.long
def test_a_new_network_is_never_met_with_an_old_predictor(predictor, report, tmp_path, monkeypatch) -> None:
    for name in ("any.onnx", "any-style.onnx"):
        shutil.copy(predictor.with_name(name), tmp_path)
    replace = os.replace

    def cut(partial: Path, path: Path) -> None:
        if path.name == "any-style.onnx":
            raise KeyboardInterrupt
        replace(partial, path)

    monkeypatch.setattr("fastnst.base.files.os.replace", cut)
    with pytest.raises(KeyboardInterrupt):
        export(
            ExportSettings(
                style=str(predictor), styles_as_input=True, output=tmp_path / "any.onnx", force=True, quiet=True
            )
        )
    assert [path.name for path in tmp_path.iterdir()] == ["any.onnx"]
