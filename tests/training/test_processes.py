"""Several processes train as one does: the same losses, one end, one line when one is killed.

They are started as torchrun and SLURM start them, but forked from a process that has only loaded torch.
"""

import json
import multiprocessing
import signal
import socket
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from several_processes import train_in_float64

from fastnst.base.errors import TrainingError
from fastnst.cli import main
from fastnst.training import train as training
from fastnst.training.checks import check_network, check_train
from fastnst.training.processes import check_alone, check_processes, is_first_process
from fastnst.training.run import Run
from fastnst.training.settings import BaseSettings, TrainSettings

STEPS = 6
TRAIN = (
    *("train", "--style", "a.png", "b.png", "--data", "photos", "--steps", str(STEPS), "--crop-size", "32"),
    *("--style-size", "32", "--margin", "8", "--style-layers", "relu1_2", "relu2_2", "--content-layers", "relu2_2"),
    *(
        "--init-from",
        "none",
        "--style-per-photo",
        "0.25",
        "--device",
        "cpu",
        "--workers",
        "0",
        "--save-every",
        "0.01s",
        "--network",
        "live",
    ),
)
FOUR = (*TRAIN, "--batch-size", "4", "--name", "one")
TWO_OF_FOUR = (*TRAIN, "--batch-size", "2", "--name", "two")
TORCHRUN, SLURM = "torchrun", "srun"
FORKED = multiprocessing.get_context("forkserver")  # of torch's threads, a fork of the tests' own process has none
FORKED.set_forkserver_preload(["fastnst.training.train"])
OF_SRUN = {"SLURM_STEP_ID": "0", "SLURM_PROCID": "0", "SLURM_NTASKS": "4"}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    """Two style images and five photos in an otherwise empty current folder."""
    monkeypatch.chdir(tmp_path)
    Path("photos").mkdir()
    for number, name in enumerate(("a.png", "b.png", *(f"photos/{number}.png" for number in range(5)))):
        pixels = np.random.default_rng(number).integers(0, 256, (6, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((64, 48), Image.Resampling.BICUBIC).save(name)
    return tmp_path


@dataclass
class Ended:
    """What a process left: exit code, stderr, time of its end, the losses that judged its steps, the validation's."""

    code: int | None
    said: str
    at: float
    losses: dict[int, float]
    held_out: dict[str, float]


def run(words: tuple[str, ...], processes: int = 1, by: str = "", *, at: int = -1, sent: int = 0) -> list[Ended]:
    """Run the command in so many processes; the last of them sends itself a signal at a step."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    started = []
    for number in range(processes):
        variables, when = started_by(by, number, processes, port), at if number == processes - 1 else -1
        started.append(FORKED.Process(target=train_in_float64, args=(words, number, variables, when, sent)))
    for process in started:
        process.start()
    times = []
    for process in started:
        process.join(300)  # a busy machine takes its time
        times.append(time.time())
        process.kill()
        process.join()
    ends = []
    for number, process in enumerate(started):
        told = Path(f"told{number}").read_text().splitlines()
        held_out = json.loads(Path(f"held_out{number}").read_text()) if process.exitcode == 0 else {}
        losses = {int(step): float(loss) for step, loss in map(str.split, told)}
        ends.append(Ended(process.exitcode, Path(f"said{number}").read_text(), times[number], losses, held_out))
    return ends


def started_by(name: str, number: int, processes: int, port: int) -> dict[str, str]:
    """The environment of a process that torchrun started, each on a machine of its own, or SLURM, all on one."""
    found: dict[str, object] = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    if name == TORCHRUN:
        found |= {"TORCHELASTIC_RUN_ID": "test", "GROUP_RANK": number, "RANK": number, "LOCAL_RANK": 0}
        found |= {"WORLD_SIZE": processes, "LOCAL_WORLD_SIZE": 1}
    elif name == SLURM:
        found |= {
            "SLURM_STEP_ID": 0,
            "SLURM_JOB_ID": 7,
            "SLURM_NODEID": 0,
            "SLURM_NNODES": 1,
            "SLURM_NTASKS": processes,
        }
        found |= {"SLURM_NTASKS_PER_NODE": processes, "SLURM_PROCID": number, "SLURM_LOCALID": number}
    return {key: str(value) for key, value in found.items()} if name else {}


def close(first: dict[int, float], second: dict[int, float]) -> bool:
    return first.keys() == second.keys() and all(abs(first[step] / second[step] - 1) < 1e-10 for step in first)


@pytest.mark.long
def test_processes_train_as_one_does_stop_together_and_another_number_goes_on() -> None:
    [alone] = run(FOUR)
    assert alone.code == 0 and list(alone.losses) == list(range(STEPS)), alone.said
    first, second = run((*TWO_OF_FOUR, "--num-nodes", "2"), 2, TORCHRUN, at=2, sent=signal.SIGTERM)
    assert (first.code, second.code) == (130, 130), (first.said, second.said)
    assert "saved after step 3; go on with: fastnst train --resume --num-nodes 2 --name two" in first.said
    assert not second.said and first.losses == second.losses
    with pytest.raises(TrainingError, match="the run has 4 photos a step: expected at most so many devices, got 5"):
        check_train(TrainSettings(resume=True, name="two", devices=5))
    three = run(("train", "--resume", "--devices", "3", "--name", "two"), 3, SLURM)  # shares of 1, 1 and 2 photos
    assert [each.code for each in three] == [0, 0, 0], [each.said for each in three]
    for each in three:
        assert close(first.losses | each.losses, alone.losses)
        assert each.held_out == three[0].held_out
        assert each.held_out == pytest.approx(alone.held_out, rel=1e-9)


@pytest.mark.long
def test_when_one_is_killed_the_other_ends_with_a_line_and_the_run_goes_on() -> None:
    first, second = run((*TWO_OF_FOUR, "--devices", "2"), 2, SLURM, at=3, sent=signal.SIGKILL)
    assert second.code == -signal.SIGKILL and first.code == 2, first.said
    assert first.at - Path("told1").stat().st_mtime < 60  # it was killed right after its last word
    assert first.said.count("\n") == 1 and "another process of this training has ended; the last good" in first.said
    [resumed] = run(("train", "--resume", "--name", "two"))
    assert resumed.code == 0 and Path("checkpoints/two.safetensors").exists(), resumed.said
    assert max(resumed.losses) == STEPS - 1
    assert not Path("runs/two/claim.json").exists() and not Path("runs/two/last.ckpt").exists()


@pytest.mark.parametrize(
    ("found", "asked", "said"),
    [
        ({"TORCHELASTIC_RUN_ID": "a", "WORLD_SIZE": "8", "LOCAL_WORLD_SIZE": "4"}, (8, 1), "--devices 4 --num-nodes 2"),
        ({**OF_SRUN, "SLURM_NTASKS_PER_NODE": "4"}, (1, 1), "--devices 4 --num-nodes 1"),
        (OF_SRUN, (4, 1), "srun needs --ntasks-per-node"),
        ({}, (2, 4), "--num-nodes 4 needs torchrun or srun"),
    ],
)
def test_other_processes_than_were_started_are_refused(found, asked, said, monkeypatch) -> None:
    for name, value in found.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(TrainingError, match=said):
        check_processes(*asked)


def test_commands_that_train_in_one_process_are_not_one_of_several(monkeypatch) -> None:
    check_alone()
    for name, value in {"TORCHELASTIC_RUN_ID": "a", "WORLD_SIZE": "8", "LOCAL_WORLD_SIZE": "4"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(TrainingError, match="this command trains in one process, and torchrun started 8"):
        check_network(BaseSettings(paintings=("photos",)))


@pytest.mark.parametrize("command", [("train-base",), ("train-universal",), ("probe", "--style", "a.png")])
@pytest.mark.parametrize("flag", ["--devices", "--num-nodes"])
def test_commands_that_train_on_one_device_refuse_several_in_a_line(command, flag, capsys) -> None:
    with pytest.raises(SystemExit) as end:
        main([*command, flag, "2"])
    said = capsys.readouterr().err
    assert end.value.code == 2 and said.count("\n") == 1 and f"Unknown option: {flag}" in said


@pytest.mark.parametrize(
    ("found", "first"),
    [
        ({}, True),
        ({"LOCAL_RANK": "0", "NODE_RANK": "0"}, True),
        ({"LOCAL_RANK": "1", "NODE_RANK": "0"}, False),
        ({"LOCAL_RANK": "0", "NODE_RANK": "1"}, False),
        ({"LOCAL_RANK": "0", "GROUP_RANK": "1", "TORCHELASTIC_RUN_ID": "a"}, False),
        ({"SLURM_PROCID": "3", "SLURM_NTASKS": "4", "SLURM_STEP_ID": "0"}, False),
        ({"SLURM_PROCID": "3", "SLURM_NTASKS": "4", "SLURM_STEP_ID": "0", "SLURM_JOB_NAME": "bash"}, True),
    ],
)
def test_one_process_of_all_machines_is_the_first(found, first, monkeypatch) -> None:
    for name, value in found.items():
        monkeypatch.setenv(name, value)
    assert is_first_process() == first


@pytest.mark.skipif(torch.cuda.is_available(), reason="the device is there")
def test_devices_that_are_not_there_are_told_in_a_line() -> None:
    with pytest.raises(TrainingError, match="CUDA"):
        training.endless(TrainSettings(device="cuda", devices=2), Run("none"), [], devices=2)
