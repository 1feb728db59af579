"""A run that is killed, not stopped: SIGKILL at random moments, then `--resume`, ends with the same weights."""

import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from fastnst.cli import main
from fastnst.images.photos import sample_photos

TRAIN = (
    *("train", "--style", str(sample_photos()["coffee"]), "--crop-size", "64"),
    *("--style-size", "96", "--margin", "0", "--save-every", "0.2s", "--device", "cpu", "--workers", "1", "--quiet"),
    *("--network", "live", "--init-from", "none", "--style-per-photo", "0.25"),
)


def fastnst(folder: Path, *words: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "fastnst", *words], cwd=folder, stderr=subprocess.PIPE)


def run(*words: str) -> None:
    """The command in this process, which has what it imports."""
    with pytest.raises(SystemExit) as end:
        main(list(words))
    assert end.value.code == 0


def kill_at_random(folder: Path, name: str, new: tuple[str, ...], chance: random.Random) -> bool:
    """Start or resume the run and kill it some time after it made progress; False if it was done before."""
    checkpoint = folder / "runs" / name / "last.ckpt"
    resume = checkpoint.exists()
    process = fastnst(folder, *(("train", "--resume", "--quiet") if resume else new), "--name", name)
    before = checkpoint.stat().st_mtime_ns if resume else 0
    while process.poll() is None:
        if checkpoint.exists() and checkpoint.stat().st_mtime_ns != before:
            time.sleep(chance.uniform(0, 1))
            process.kill()
            process.communicate()
            return process.returncode != 0
        time.sleep(0.005)
    _, errors = process.communicate()
    assert process.returncode == 0, errors.decode()
    return False


@pytest.mark.parametrize(
    ("kills", "steps"), [pytest.param(1, 40, marks=pytest.mark.long), pytest.param(10, 600, marks=pytest.mark.slow)]
)
def test_a_killed_run_ends_with_the_same_weights_bit_for_bit(tmp_path, monkeypatch, kills, steps) -> None:
    monkeypatch.chdir(tmp_path)
    new = (*TRAIN, "--steps", str(steps))
    run(*new, "--name", "whole")
    chance, killed = random.Random(kills), 0
    while killed < kills and kill_at_random(tmp_path, "killed", new, chance):
        killed += 1
    assert killed == kills, f"the run was done after {killed} kills: let it take longer"
    run("train", "--resume", "--name", "killed", "--quiet")
    whole, resumed = (load_file(tmp_path / "checkpoints" / f"{name}.safetensors") for name in ("whole", "killed"))
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="processes are found in /proc")
@pytest.mark.long
def test_a_killed_process_that_decodes_photos_is_told_in_a_line_and_the_run_goes_on(tmp_path) -> None:
    process = fastnst(tmp_path, *TRAIN, "--steps", "100000", "--name", "run")
    checkpoint = tmp_path / "runs" / "run" / "last.ckpt"
    while not checkpoint.exists() and process.poll() is None:
        time.sleep(0.01)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    for child in children.read_text().split():
        with suppress(ProcessLookupError):
            os.kill(int(child), signal.SIGKILL)
    _, errors = process.communicate()
    assert (process.returncode, errors.decode().count("\n")) == (2, 1), errors.decode()
    assert "a process that decodes photos died" in errors.decode() and "--resume goes on" in errors.decode()
