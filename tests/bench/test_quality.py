import json
import time
from dataclasses import replace
from pathlib import Path

import pytest

import fastnst.bench.quality as bench
from fastnst.base.errors import Interrupted, UserError
from fastnst.bench.settings import QualitySettings

CONFIG = QualitySettings(style=Path("wave.jpg"), budget=60.0, json=True)


@pytest.fixture(autouse=True)
def parts(tmp_path, monkeypatch) -> dict:
    """A training that ends at an objective of 1.4, and L-BFGS that falls from 10 by one tenth in each iteration."""
    monkeypatch.chdir(tmp_path)
    seen = {"objective": 1.4}
    curve = [10 * 0.9**iteration for iteration in range(1, 101)]

    def targets(config):
        seen["targets"] = config
        means = {str(count): curve[count - 1] for count in (25, 50, 100)}
        return {"photos": [{"curve": curve}], "mean": {"untouched": 12.0, **means}}

    def train(config, *, started, folder):
        seen.update(config=config, loading=time.monotonic() - started, folder=folder)
        held_out = {"total": seen["objective"], "content": 0.6, "style": 0.1}
        known = {"name": "wave", "steps": 9, "seconds": 60.0, "path": "x", "began_at": None, "held_out": held_out}
        return {**known, "precision": "32-true", "hardware": "", "versions": {}}

    monkeypatch.setattr(bench, "measure_targets", targets)
    monkeypatch.setattr(bench, "train", train)
    return seen


def test_a_training_is_worth_the_iterations_after_which_lbfgs_is_as_low(parts) -> None:
    result = bench.bench_quality(CONFIG, started=time.monotonic())
    assert 10 * 0.9**18 > 1.4 > 10 * 0.9**19 and result["worth"] == 19
    assert result["reached"] == {"25": False, "50": False, "100": False}
    parts["objective"] = 0.1
    result = bench.bench_quality(CONFIG, started=time.monotonic())
    assert result["worth"] == 44 and result["reached"] == {"25": True, "50": False, "100": False}


def test_both_are_of_the_same_photos_and_objective(parts) -> None:
    bench.bench_quality(QualitySettings(style=Path("wave.jpg"), data="photos", json=True), started=time.monotonic())
    assert parts["targets"].data == parts["config"].data == "photos"
    assert parts["config"].style_size == "auto" and parts["config"].init_from == "none"
    assert str(parts["folder"]) == "quality-wave-180s-seed0"
    bench.bench_quality(QualitySettings(style=Path("sample:wave"), budget=20.0, json=True), started=time.monotonic())
    assert str(parts["folder"]) == "quality-wave-20s-seed0" and parts["config"].style[0].is_file()


def test_a_folder_that_is_there_is_told_of_before_any_work(parts) -> None:
    mine = Path("quality-wave-60s-seed0/checkpoints/wave.safetensors")
    mine.parent.mkdir(parents=True)
    mine.write_text("")
    with pytest.raises(OSError, match="quality-wave-60s-seed0 is not empty: --force"):
        bench.bench_quality(CONFIG, started=time.monotonic())
    assert "targets" not in parts
    bench.bench_quality(replace(CONFIG, force=True), started=time.monotonic())
    assert parts["config"].force


def test_a_stopped_training_says_what_is_kept_and_how_to_go_on(monkeypatch) -> None:
    def stopped(*_, **__):
        raise Interrupted("go on with: fastnst train --resume --name wave")

    monkeypatch.setattr(bench, "train", stopped)
    with pytest.raises(Interrupted, match=r"in targets-wave\.json, the same command with --force trains anew"):
        bench.bench_quality(CONFIG, started=time.monotonic())


def test_the_clock_pays_for_loading_the_program(parts) -> None:
    bench.bench_quality(CONFIG, started=time.monotonic() - 5)
    assert 5 <= parts["loading"] < 5.5


def test_the_result_is_written_and_printed_once(tmp_path, capsys) -> None:
    config = QualitySettings(style=Path("wave.jpg"), output=tmp_path / "new" / "record.json")
    result = bench.bench_quality(config, started=time.monotonic())
    assert json.loads(config.output.read_text()) == result
    printed = capsys.readouterr().out
    assert "wave, small from nothing: 60 s" in printed and "worth 19 iterations" in printed
    with pytest.raises(UserError, match="exists: choose another"):
        bench.bench_quality(config, started=time.monotonic())
