"""The command lines of the guide on several machines run: as they stand there, with other numbers and small photos."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from project import ROOT

from fastnst.images.photos import sample_photos

SMALL = (
    " --device cpu --crop-size 32 --style-size 32 --margin 8 --style-layers relu1_2 --content-layers relu1_2"
    " --init-from none --style-per-photo 0.25 --network live --workers 0 --save-every 0.01s --quiet"
)
#: Starts two processes as the real one does, and notes their numbers.
SRUN = """#!/bin/bash
shift
for task in 0 1; do
  SLURM_STEP_ID=0 SLURM_NODEID=0 SLURM_PROCID=$task SLURM_LOCALID=$task "$@" &
  processes+=($!)
done
echo "${processes[@]}" > started
code=0
for process in "${processes[@]}"; do wait "$process" || code=$?; done
exit $code
"""


def block(word: str) -> str:
    """The first block of the guide that has the word."""
    blocks = re.findall(r"^```sh\n(.*?)^```", (ROOT / "docs/guides/several_machines.md").read_text(), flags=re.M | re.S)
    return next(each for each in blocks if word in each).strip()


def with_numbers(line: str, **numbers: object) -> str:
    """The line with other values of its flags."""
    for flag, number in numbers.items():
        line, count = re.subn(rf"(?<=--{flag.replace('_', '-')} )\S+", str(number), line)
        assert count == 1, (flag, line)
    return line


@pytest.fixture
def start(tmp_path, monkeypatch) -> Callable[..., subprocess.Popen[str]]:
    """Starts a line in a shell, in the folder of somebody who reads the guide."""
    monkeypatch.chdir(tmp_path)
    Path("my_photos").mkdir()
    for name in ("astronaut", "coffee", "chelsea", "rocket"):
        with Image.open(sample_photos()[name]) as photo:
            photo.convert("RGB").resize((64, 48)).save(f"my_photos/{name}.jpg")
    Path("my_photos/rocket.jpg").rename("painting.jpg")
    Path("bin").mkdir()
    Path("bin/srun").write_text(SRUN)
    Path("bin/srun").chmod(0o755)
    found = {"PATH": os.pathsep.join(["bin", str(Path(sys.executable).parent), os.environ["PATH"]])}
    found["PYTHONPATH"] = str(ROOT)

    def started(line: str, **variables: object) -> subprocess.Popen[str]:
        environment = {**os.environ, **found, **{key: str(value) for key, value in variables.items()}}
        return subprocess.Popen(["bash", "-c", line], env=environment, stderr=subprocess.PIPE, text=True)

    return started


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    _, said = process.communicate(timeout=1200)  # a busy machine takes its time
    return process.returncode, said


@pytest.mark.slow
def test_the_line_of_one_machine_trains(start) -> None:
    code, said = ended(start(with_numbers(block("--devices 8"), devices=2) + SMALL + " --steps 3"))
    assert code == 0 and Path("checkpoints/painting.safetensors").exists(), said


@pytest.mark.slow
@pytest.mark.parametrize(("machines", "devices"), [(1, 2), (2, 1)])
def test_the_line_of_torchrun_trains_on_each_machine(machines, devices, start) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    numbers = {"nnodes": machines, "nproc_per_node": devices, "devices": devices, "num_nodes": machines}
    line = with_numbers(block("torchrun"), master_addr="127.0.0.1", master_port=port, **numbers) + SMALL + " --steps 3"
    for code, said in map(ended, [start(with_numbers(line, node_rank=rank)) for rank in range(machines)]):
        assert code == 0, said
    assert Path("checkpoints/painting.safetensors").exists() and not Path("runs/painting/last.ckpt").exists()


@pytest.mark.slow
def test_the_script_of_slurm_stops_by_its_signal_and_goes_on_and_so_does_the_line_that_resumes(start) -> None:
    script = block("#SBATCH")
    asked = dict(re.findall(r"^#SBATCH --([\w-]+)=(\S+)$", script, flags=re.M))
    assert asked["signal"].startswith("TERM@") and asked["job-name"] == "painting"
    line = with_numbers(script, devices=2, num_nodes=1, budget="1h") + SMALL
    slurm = {"SLURM_JOB_ID": 7, "SLURM_JOB_NAME": asked["job-name"], "SLURM_NODELIST": "127.0.0.1"}
    slurm |= {"SLURM_NTASKS": 2, "SLURM_NTASKS_PER_NODE": 2, "SLURM_NNODES": 1}
    for word in ("", "--resume"):
        before = last_save()
        job = start(f"set -x\n{line}", **slurm)
        while job.poll() is None and last_save() == before:
            time.sleep(0.2)
        for process in Path("started").read_text().split():
            os.kill(int(process), signal.SIGTERM)
        code, said = ended(job)
        assert code == 130 and "saved after step" in said, said
        assert word in next(words for words in said.splitlines() if words.startswith("+ srun"))
    job = start(block("--resume --name"))
    before = last_save()
    while job.poll() is None and last_save() == before:
        time.sleep(0.2)
    assert job.poll() is None
    job.send_signal(signal.SIGTERM)
    code, said = ended(job)
    assert code == 130 and "saved after step" in said, said


def last_save() -> float:
    """When the run was saved last."""
    return Path("runs/painting/last.ckpt").stat().st_mtime if Path("runs/painting/last.ckpt").exists() else 0.0
