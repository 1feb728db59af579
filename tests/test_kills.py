"""Processes killed at random moments, and power cuts: what `records/kills` does, a few times."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from project import ROOT

KILLS = ROOT / "records" / "kills"


def result_of(script: str, folder: Path, *words: str) -> list[dict[str, object]]:
    """What a script of the record found."""
    output = folder / "found.json"
    command = (sys.executable, str(KILLS / script), *words, "--output", str(output))
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "TMPDIR": str(folder)})
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(output.read_text())
    return found if isinstance(found, list) else [found]


@pytest.mark.parametrize(
    ("kinds", "kills"),
    [
        (["apply"], 4),
        pytest.param(["apply", "watch", "video", "export", "train", "serve"], 60, marks=pytest.mark.slow),
    ],
)
@pytest.mark.long
def test_killed_processes_leave_nothing_half_written_and_are_gone_on_with(kinds, kills, tmp_path) -> None:
    (found,) = result_of("run.py", tmp_path, str(kills), "--kinds", *kinds)
    assert found["kills"] == kills and found["faults"] == []


@pytest.mark.slow
def test_a_power_cut_leaves_whole_files_and_the_check_fails_without_fsync(tmp_path) -> None:
    if not shutil.which("strace") or subprocess.run(["strace", "-o", os.devnull, "true"]).returncode:
        pytest.skip("there is no strace, or it is not allowed")
    for found in result_of("power.py", tmp_path):
        assert found["faults"] == [] and found["faults_without_fsync"]
