import json
from pathlib import Path

import pytest
import torch

from fastnst.base.devices import multiplies_bfloat16
from fastnst.base.errors import UserError
from fastnst.bench.report import summarize
from fastnst.bench.settings import BenchSettings
from fastnst.bench.training import bench_training

SMALL = {"network": "small", "batch_size": 1, "crop_size": 64, "rounds": 1}


@pytest.mark.long
def test_the_loops_minimise_the_same_loss_and_the_result_is_one_json_object(tmp_path, capsys) -> None:
    file = tmp_path / "bench.json"
    result = bench_training(BenchSettings(**SMALL, json=True, output=file))  # raises if the losses differ
    assert json.loads(capsys.readouterr().out) == json.loads(file.read_text()) == result
    assert (
        len(result["steps"]) == 3 + multiplies_bfloat16(torch.device("cpu"))
        and result["steps"]["fastnst"]["ratio"] == 1
    )


def test_an_existing_file_is_kept(tmp_path) -> None:
    file = tmp_path / "bench.json"
    file.write_text("mine")
    with pytest.raises(UserError, match="exists"):
        bench_training(BenchSettings(**SMALL, output=Path(file)))
    assert file.read_text() == "mine"


def test_ratios_are_taken_round_by_round() -> None:
    summary = summarize([2.0, 6.0, 3.0], [1.0, 2.0, 3.0])
    assert (summary["ratio"], summary["lowest_ratio"], summary["highest_ratio"]) == (2, 1, 3)
    assert (summary["median_seconds"], summary["fastest_seconds"], summary["slowest_seconds"]) == (3, 2, 6)
