import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import fastnst.bench.reference as bench
from fastnst.base.errors import UserError
from fastnst.bench.settings import ReferenceSettings
from fastnst.bench.training import Loop

CONFIG = ReferenceSettings(style=Path("sample:coffee"), budget=0.4, every=0.15, json=True)


@pytest.fixture(autouse=True)
def small(tmp_path, monkeypatch, random_vgg) -> None:
    """A network that learns nothing but its bias, tiny photos, two layers of a random VGG."""
    monkeypatch.chdir(tmp_path)
    settings = bench.TrainSettings(style_layers=("relu1_2", "relu2_2"), content_layers=("relu2_2",))
    monkeypatch.setattr(bench, "TrainSettings", lambda **_: settings)
    monkeypatch.setattr(bench, "load_loss_network", lambda _: random_vgg)
    monkeypatch.setattr(bench, "CROP", 32)

    def usual_step(name, style, padding):
        assert (name, padding) == ("johnson", "replicate")  # what it minimises is what it is judged by
        network = torch.nn.Conv2d(3, 3, 1)
        optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)

        def step(photos):
            assert photos.shape == (4, 3, 32, 32)
            optimizer.zero_grad()
            loss = (network(photos) - photos).square().mean()
            loss.backward()
            optimizer.step()
            return loss

        return Loop(network, optimizer, step)

    monkeypatch.setattr(bench, "usual_step", usual_step)


@pytest.mark.long
def test_training_and_evaluation_by_turns_and_a_run_that_goes_on() -> None:
    result = bench.bench_reference(CONFIG)
    assert result == json.loads(Path("reference.json").read_text())
    curve = result["curve"]
    assert len(curve) > 1 and curve[-1]["seconds"] >= 0.4
    assert curve[0]["steps"] < curve[-1]["steps"] and len({turn["objective"] for turn in curve}) == len(curve)
    longer = bench.bench_reference(replace(CONFIG, budget=curve[-1]["seconds"] + 0.3))["curve"]
    assert longer[: len(curve)] == curve and longer[-1]["steps"] > curve[-1]["steps"]


@pytest.mark.long
def test_a_kill_between_the_two_files_loses_no_evaluation(monkeypatch) -> None:
    spent = bench.bench_reference(replace(CONFIG, budget=0.1))["curve"][-1]["seconds"]
    longer = replace(CONFIG, budget=spent + 0.1)
    before = Path("reference.json").read_bytes()
    with monkeypatch.context() as patch, pytest.raises(OSError, match="killed"):
        patch.setattr(bench, "write_json", lambda *_: (_ for _ in ()).throw(OSError("killed")))
        bench.bench_reference(longer)
    assert Path("reference.json").read_bytes() == before
    result = bench.bench_reference(longer)
    assert len(result["curve"]) == 2 and result == json.loads(Path("reference.json").read_text())


@pytest.mark.long
def test_runs_of_other_styles_are_not_mixed() -> None:
    bench.bench_reference(replace(CONFIG, budget=0.1))
    with pytest.raises(UserError, match="a run of another style"):
        bench.bench_reference(replace(CONFIG, style=Path("sample:astronaut")))
    Path("reference.json").write_text("{")  # only for reading: the state is in the other file
    bench.bench_reference(replace(CONFIG, budget=0.1))
    Path("reference.pt").write_bytes(b"torn")
    with pytest.raises(UserError, match="cannot be gone on with"):
        bench.bench_reference(CONFIG)
