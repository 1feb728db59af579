import json
from dataclasses import replace
from pathlib import Path

import pytest
from interruptions import stopping

import fastnst.bench.targets as targets
from fastnst.base.errors import Interrupted, UserError
from fastnst.bench.settings import TargetsSettings
from fastnst.bench.targets import measure_targets

CONFIG = TargetsSettings(style=Path("sample:coffee"), output=Path("q.json"), iterations=2, quiet=True)


@pytest.fixture(autouse=True)
def small(tmp_path, monkeypatch, random_vgg) -> None:
    """32 px photos, two layers of a random VGG, three held-out photos."""
    monkeypatch.chdir(tmp_path)
    settings = targets.TrainSettings(
        style_size=32, crop_size=32, style_layers=("relu1_2", "relu2_2"), content_layers=("relu2_2",)
    )
    monkeypatch.setattr(targets, "TrainSettings", lambda **_: settings)
    monkeypatch.setattr(targets, "load_loss_network", lambda _: random_vgg)
    monkeypatch.setattr("fastnst.training.data.HELD_OUT_SHARE", 0.3)
    monkeypatch.setattr(targets, "TOLD", (1, 2, 50))


def test_curves_of_the_held_out_photos_and_their_means() -> None:
    result = measure_targets(CONFIG)
    assert result == json.loads(Path("q.json").read_text())
    photos = result["photos"]
    assert len(photos) >= 2 and all(len(photo["curve"]) == 2 and len(photo["sha256"]) == 64 for photo in photos)
    assert result["mean"].keys() == {"untouched", "1", "2"}
    assert result["mean"]["2"] == pytest.approx(sum(photo["curve"][1] for photo in photos) / len(photos), abs=1e-6)
    assert 0 < result["mean"]["2"] < result["mean"]["1"]
    assert result["mean"]["untouched"] == pytest.approx(sum(p["untouched"] for p in photos) / len(photos), abs=1e-6)


def test_a_stopped_measurement_goes_on_and_ends_with_the_same_numbers(monkeypatch) -> None:
    whole = measure_targets(replace(CONFIG, output=Path("whole.json")))
    with monkeypatch.context() as patch, pytest.raises(Interrupted, match=r"1 of \d photos are in q\.json"):
        patch.setattr("fastnst.baseline.contest.minimize", stopping(KeyboardInterrupt(), after=3))
        measure_targets(CONFIG)
    assert measure_targets(CONFIG) == whole
    before = Path("q.json").stat().st_mtime_ns
    assert measure_targets(CONFIG) == whole and Path("q.json").stat().st_mtime_ns == before  # nothing left to do


def test_other_measurements_are_not_mixed() -> None:
    measure_targets(CONFIG)
    with pytest.raises(UserError, match="targets of other settings \\(iterations\\)"):
        measure_targets(replace(CONFIG, iterations=3))
    found = json.loads(Path("q.json").read_text())
    del found["objective"]["padding"]  # from before there was a choice
    Path("q.json").write_text(json.dumps(found))
    with pytest.raises(UserError, match="targets of other settings \\(objective\\)"):
        measure_targets(CONFIG)
    Path("q.json").write_text("[]")
    with pytest.raises(UserError, match="holds no targets"):
        measure_targets(CONFIG)
