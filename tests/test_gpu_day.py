"""The script for a day with a GPU works: on the CPU, with tiny sizes."""

import json
import os
import subprocess
import sys

import pytest
from project import ROOT


@pytest.mark.slow
def test_the_script_for_a_gpu_measures_everything_on_a_cpu_in_small(tmp_path) -> None:
    command = [str(ROOT / "records/gpu/run.sh"), "--small", "--device", "cpu", "--output", str(tmp_path / "day")]
    patient = os.environ | {"LIMIT": "3600", "PYTHON": sys.executable}  # a busy CPU
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=patient)
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "day/gpu.json").read_text())
    assert [row for row in result["rows"] if "error" in row] == []
    checked = [row["holds"] for row in result["rows"] if "holds" in row]
    floors = [row["of_floor"] for row in result["rows"] if row.get("of_floor")]
    assert len(checked) == 6 and all(checked)
    assert len(floors) == 6 and min(floors) > 0
    assert (tmp_path / "day/gpu.md").read_text().count("\n") == len(result["rows"]) + 2 == 17


@pytest.mark.long
def test_a_device_that_is_not_there_is_told(tmp_path) -> None:
    command = [str(ROOT / "records/gpu/run.sh"), "--device", "none", "--output", str(tmp_path / "day")]
    environment = os.environ | {"PYTHON": sys.executable}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode != 0 and "device none is not there" in done.stderr
