"""Of two trainings of one name the second is refused; a training that was killed holds nothing."""

import json
import os
import platform
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image

from fastnst.base.errors import TrainingError
from fastnst.cli import main
from fastnst.training.checks import check_train
from fastnst.training.claim import CLAIM, claimed
from fastnst.training.run import Run
from fastnst.training.settings import TrainSettings
from fastnst.training.train import train

SHORT = TrainSettings(
    style=(Path("style.png"),),
    data="photos",
    steps=1,
    style_layers=("relu1_2",),
    content_layers=("relu1_2",),
    crop_size=32,
    style_size=32,
    margin=0,
    init_from="none",
    device="cpu",
    workers=0,
    quiet=True,
)
HOLD = """
import sys
from pathlib import Path
from fastnst.training.checks import check_train
from fastnst.training.claim import claimed
with claimed(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    """A style image and three photos in an otherwise empty current folder."""
    monkeypatch.chdir(tmp_path)
    Path("photos").mkdir()
    for number, name in enumerate(("style.png", "photos/a.png", "photos/b.png", "photos/c.png")):
        pixels = np.random.default_rng(number).integers(0, 256, (40, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(name)
    return tmp_path


@pytest.fixture
def holder(tmp_path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the name `style`."""
    command = [sys.executable, "-c", HOLD, str(tmp_path / "runs" / "style")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def said_by(claim: dict[str, object]) -> Path:
    """A run's folder with a claim that says so."""
    path = Path("runs/style") / CLAIM
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(claim))
    return path.parent


def own_claim() -> dict[str, object]:
    with claimed(Path("runs/other")):
        return json.loads((Path("runs/other") / CLAIM).read_text())


def test_of_two_trainings_of_one_name_the_second_is_refused_and_the_first_goes_on(monkeypatch) -> None:
    refusals: list[str] = []

    def second_begins(run: Run, settings: TrainSettings, sizes: dict[str, int]) -> None:
        for second in (SHORT, replace(SHORT, force=True), replace(SHORT, name="style", steps=2)):
            with pytest.raises(TrainingError) as refused:
                train(second)
            refusals.append(str(refused.value))
        begin(run, settings, sizes)

    begin = Run.begin
    monkeypatch.setattr(Run, "begin", second_begins)
    result = train(SHORT)
    line = f"{Path('runs/style')} is in use by process {os.getpid()}: wait for it, or choose another --name"
    assert refusals == [line] * 3
    assert result is not None and result["steps"] == 1
    assert Path("checkpoints/style.safetensors").is_file() and not Path("runs/style", CLAIM).exists()
    before = Path("checkpoints/style.safetensors").read_bytes()
    with pytest.raises(TrainingError, match=r"style\.safetensors exists: choose another --name, or --force"):
        train(SHORT)
    assert Path("checkpoints/style.safetensors").read_bytes() == before


def test_a_training_that_ended_while_another_waited_is_seen(monkeypatch) -> None:
    """The check before the claim is made again behind it."""

    class Ended:
        def __init__(self, folder: Path) -> None:
            Path("checkpoints").mkdir()
            Path("checkpoints/style.safetensors").write_bytes(b"of the first")

        def __enter__(self) -> None: ...

        def __exit__(self, *_: object) -> None: ...

    monkeypatch.setattr("fastnst.training.train.claimed", Ended)
    with pytest.raises(TrainingError, match=r"style\.safetensors exists"):
        train(SHORT)
    assert Path("checkpoints/style.safetensors").read_bytes() == b"of the first"


def test_the_command_names_the_process_that_holds_the_name_until_that_is_killed(holder, capsys) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["train", "--style", "style.png", "--data", "photos", "--force", "--quiet"])
    assert stop.value.code == 2
    assert capsys.readouterr().err.startswith(f"fastnst: {Path('runs/style')} is in use by process {holder.pid}: wait")
    holder.kill()  # SIGKILL: its claim stays behind
    holder.wait()
    assert Path("runs/style", CLAIM).is_file()
    with claimed(Path("runs/style")):
        assert json.loads(Path("runs/style", CLAIM).read_text())["pid"] == os.getpid()


def test_a_killed_training_does_not_block_resume(holder) -> None:
    holder.kill()
    holder.wait()
    Run("style").begin(SHORT, {})
    Run("style").checkpoint.write_bytes(b"no checkpoint")
    with pytest.raises(TrainingError, match=r"last\.ckpt is damaged: start anew with --force"):  # and not: is in use
        train(TrainSettings(style=(Path("style.png"),), resume=True, device="cpu", quiet=True))
    assert not Path("runs/style", CLAIM).exists() and Run("style").checkpoint.exists()


def test_a_claim_of_another_host_holds_and_says_what_to_remove() -> None:
    run = said_by({**own_claim(), "host": "elsewhere"})
    with pytest.raises(TrainingError) as refused, claimed(run):
        pass
    line = f"{run} is in use by process {os.getpid()} of elsewhere (if that is gone, remove {run / CLAIM}): wait for it"
    assert str(refused.value).startswith(line)
    (run / CLAIM).unlink()
    with claimed(run):
        pass


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"started": 1.0}, id="a number that another process has now"),
        pytest.param({"pid": 2**22 + 1}, id="a number that no process has"),
        pytest.param({"pid": -1}, id="no number of a process"),
        pytest.param({"pid": None}, id="no number"),
    ],
)
def test_a_claim_of_no_living_process_holds_nothing(change) -> None:
    with claimed(said_by({**own_claim(), **change})):
        pass


@pytest.mark.parametrize("text", ["", "{", "[]", '"claim"', "\x00\xff"])
def test_a_damaged_claim_holds_nothing(text) -> None:
    path = said_by({}) / CLAIM
    path.write_text(text, encoding="latin-1")
    with claimed(path.parent):
        pass


def test_a_claim_holds_though_the_clock_was_set_meanwhile(monkeypatch) -> None:
    """psutil reckons the start of a process from the time of day at which the machine began."""
    claim = own_claim()
    run = said_by(claim)
    monkeypatch.setattr(psutil.Process, "create_time", lambda self: float(claim["started"]) + 5.0)
    with pytest.raises(TrainingError, match="is in use by process"), claimed(run):
        pass


def test_names_do_not_hinder_each_other_and_a_name_is_free_after_an_error() -> None:
    with claimed(Path("runs/a")), claimed(Path("runs/b")):
        pass
    with pytest.raises(ValueError, match="diverged"), claimed(Path("runs/a")):
        raise ValueError("diverged")
    with claimed(Path("runs/a")):
        pass


def test_a_training_that_is_refused_leaves_nothing() -> None:
    before = set(Path().rglob("*"))
    Image.new("RGB", (8, 8)).save("style.png")
    with pytest.raises(TrainingError, match="the style image needs 16 pixels on its short side"):
        train(SHORT)
    assert set(Path().rglob("*")) == before


def test_other_runs_and_what_a_run_left_stay_when_a_claim_ends() -> None:
    for name in ("runs/mine/last.ckpt", "runs/other/last.ckpt"):
        Path(name).parent.mkdir(parents=True)
        Path(name).touch()
    for name in ("mine", "new"):
        with claimed(Path("runs", name)):
            pass
    found = {path.as_posix() for path in Path("runs").rglob("*") if path.name != ".lock"}
    assert found == {"runs/mine", "runs/mine/last.ckpt", "runs/other", "runs/other/last.ckpt"}


def test_one_of_many_threads_has_the_name() -> None:
    ready, done = threading.Barrier(8), threading.Barrier(8)
    outcomes: list[str] = []

    def begin() -> None:
        ready.wait()
        try:
            with claimed(Path("runs/style")):
                outcomes.append("held")
                done.wait()
        except TrainingError:
            outcomes.append("refused")
            done.wait()

    threads = [threading.Thread(target=begin) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["held"] + 7 * ["refused"]
    assert not Path("runs").exists()


def test_a_style_image_whose_name_is_not_utf8_is_trained() -> None:
    """The folder of the run is written to by TensorBoard, which takes text only."""
    style = Path("style.png").rename(os.fsdecode(b"caf\xe9.png"))
    try:
        result = train(replace(SHORT, style=(style,)))
    except UnicodeError as error:
        pytest.fail(repr(error), pytrace=False)
    assert result is not None and Path(result["path"]).is_file() and result["styles"][0]["name"] == result["name"]


def test_a_held_name_is_told_before_torch_is_loaded(holder) -> None:
    """By the check that the command makes first."""
    with pytest.raises(TrainingError, match=f"is in use by process {holder.pid}"):
        check_train(SHORT)


def test_a_style_file_that_appeared_during_a_training_stays(monkeypatch) -> None:
    def appeared(run: Run, settings: TrainSettings, sizes: dict[str, int]) -> None:
        begin(run, settings, sizes)
        run.style_file.write_bytes(b"of somebody else")

    begin = Run.begin
    monkeypatch.setattr(Run, "begin", appeared)
    with pytest.raises((TrainingError, FileExistsError), match=r"style\.safetensors exists .*--force"):
        train(SHORT)
    assert Path("checkpoints/style.safetensors").read_bytes() == b"of somebody else"
    assert Run("style").checkpoint.exists()  # nothing of the training is lost


def test_the_other_processes_of_a_distributed_run_are_not_refused(monkeypatch) -> None:
    """Lightning starts them with the same command, while the first holds the name."""
    Path("runs/style").mkdir(parents=True)
    holder = psutil.Process().parent()
    claim = {"host": platform.node(), "pid": holder.pid, "started": holder.create_time()}
    Path("runs/style/claim.json").write_text(json.dumps(claim))
    with pytest.raises(TrainingError, match="in use by process"):
        check_train(SHORT)
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert check_train(SHORT).run.name == "style"


@pytest.mark.slow
def test_two_processes_train_one_style(tmp_path) -> None:
    words = ("--steps", "3", "--crop-size", "64", "--device", "cpu", "--devices", "2", "--quiet", "--name", "two")
    command = [sys.executable, "-m", "fastnst", "train", "--style", "sample:wave", *words]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "checkpoints/two.safetensors").exists()
    assert not (tmp_path / "runs/two/claim.json").exists()
