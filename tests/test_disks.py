"""Disks that are full, read-only or strange, and files that are no files: one line that names the file, and what helps.

The disks are real ones: a tmpfs and a read-only mount, which need root; without it those tests are skipped.
"""

import logging
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands_that_write import FAST, OUTPUTS, RUNS, TRAINING, make_inputs
from style_files import SIZES

from fastnst.base import partials
from fastnst.base.files import PACKAGE, sha256
from fastnst.cli import main
from fastnst.networks.network import TransformationNetwork
from fastnst.networks.style_file import save_style
from fastnst.training.run import to_json
from fastnst.training.settings import TrainSettings

LONG, STRANGE = "x" * 251 + ".png", os.fsdecode(b"caf\xe9.png")


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch, sky) -> Path:
    """The commands' inputs in the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(partials, "_swept", set())
    make_inputs(tmp_path, sky)
    return tmp_path


@pytest.fixture(autouse=True)
def patience() -> Iterator[None]:
    """What waits for ever ends as an error."""

    def end(*_: object) -> None:
        raise AssertionError("it waits for ever")

    before = signal.signal(signal.SIGALRM, end)
    signal.alarm(300)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def mounted(*options: str) -> None:
    """Mount something, if that is allowed."""
    if subprocess.run(["mount", *options], capture_output=True).returncode:
        pytest.skip("nothing may be mounted here")


@pytest.fixture
def read_only(here) -> Iterator[Path]:
    """A folder on a disk that is read-only."""
    place = here / "ro"
    (place / "old").mkdir(parents=True)
    mounted("--bind", str(place), str(place))
    subprocess.run(["mount", "-o", "remount,ro,bind", place], check=True)
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)


@pytest.fixture
def full(here) -> Iterator[Path]:
    """A folder on a disk without room."""
    place = here / "full"
    place.mkdir()
    mounted("-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place))
    (place / "filler").write_bytes(bytes(64 * 1024))
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)


@pytest.fixture
def said(capsys):
    """Runs a command; returns its exit code and its lines."""

    def run(*words: object) -> tuple[int, list[str]]:
        logging.getLogger("fastnst").handlers = []
        with pytest.raises(SystemExit) as ended:
            main([str(word) for word in words])
        told = capsys.readouterr()
        return int(ended.value.code or 0), told.err.strip().splitlines()

    return run


@pytest.mark.parametrize(
    ("words", "result"),
    [
        (("apply", "photo.png", "--style", "wave.png", "-o", "out/a.png"), "out/a.png"),
        (("apply", "clip.mp4", "--style", "wave.png", "-o", "out/a.mp4"), "out/a.mp4"),
        (("texture", "wave.png", "-o", "out/a.png"), "out/a.png"),
        (("export", "--style", "great_wave", "--format", "onnx", "-o", "out/a.onnx"), "out/a.onnx"),
        (("optimize", "photo.png", "--style", "wave.png", "-o", "out/a.png"), "out/a.png"),
        (("optimize", "photo.png", "--style", "wave.png", "-o", "b.png", "--frames", "out/a.mp4"), "out/a.mp4"),
        (("apply", "--camera", "clip.mp4", "--style", "wave.png", "-o", "out/a.mp4"), "out/a.mp4"),
        (TRAINING, "checkpoints/wave.safetensors"),
    ],
)
def test_what_a_process_left_that_died_when_it_named_its_result_goes_though_the_result_stays(
    words, result, said
) -> None:
    place = Path(result)
    place.parent.mkdir()
    place.write_bytes(b"whole")
    os.link(place, place.parent / ".0123456789ab.partial")
    code, lines = said(*words)
    assert code == 2 and f"{result} exists" in lines[-1]
    assert os.listdir(place.parent) == [place.name]


@pytest.mark.parametrize("command", OUTPUTS)
def test_a_read_only_disk_is_told_before_any_work(command, read_only, said) -> None:
    code, lines = said(*(word.replace("{}", str(read_only)) for word in OUTPUTS[command]))
    assert code == 2 and len(lines) == 1
    assert f"{read_only} is no folder that can be written to" in lines[0]


@pytest.mark.parametrize("command", RUNS)
def test_a_training_on_a_read_only_disk_is_told_before_any_work(command, read_only, said, monkeypatch) -> None:
    monkeypatch.chdir(read_only)
    code, lines = said(*RUNS[command])
    assert code == 2 and len(lines) == 1
    assert f"{read_only} is no folder that can be written to" in lines[0]


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "gif", "webp", "mp4"])
def test_a_full_disk_under_a_picture_or_a_video_is_told_and_nothing_is_left(suffix, full, said) -> None:
    source = "clip.mp4" if suffix == "mp4" else "photo.png"
    Path("checkpoints").mkdir()
    shutil.copy("sky.safetensors", "checkpoints")
    code, lines = said("apply", source, "--style", "day", *FAST, "-o", full / f"o.{suffix}")
    assert code == 2 and lines[-1] == "fastnst: nothing was painted"
    assert any(f"{full}/o.{suffix}" in line for line in lines)
    assert any(words in line for line in lines for words in ("no space is left", "disk is full", "No space left"))
    assert os.listdir(full) == ["filler"]


@pytest.mark.parametrize("command", ["export", "page"])
def test_a_full_disk_under_files_that_are_written_at_once_is_told(command, full, said) -> None:
    code, lines = said(*(word.replace("{}", str(full)) for word in OUTPUTS[command]))
    assert code == 2 and len(lines) == 1
    assert str(full) in lines[0] and "no space is left: make room" in lines[0]
    assert not [path for path in full.rglob("*") if path.is_file() and path.stat().st_size and path.name != "filler"]


def style_of_the_wave() -> None:
    """A style file that says that it was trained on the style image."""
    about = {"name": "wave", "styles": [{"name": "wave", "sha256": sha256(Path("wave.png"))}], "network": SIZES}
    trained = TrainSettings(style_layers=("relu1_2",), content_layers=("relu1_2",), style_size=32)
    save_style(Path("wave.safetensors"), TransformationNetwork(**SIZES), {**about, "settings": to_json(trained)})


MADE = ["optimize", "frames", "texture", "reconstruct", "probe", "compare", "bench video"]


@pytest.mark.parametrize("command", [*MADE, pytest.param("onnx", marks=pytest.mark.long)])
def test_a_full_disk_under_what_takes_its_time_is_told_in_a_line(command, full, said) -> None:
    if command == "compare":
        style_of_the_wave()
    code, lines = said(*(word.replace("{}", str(full)) for word in OUTPUTS[command]))
    assert code == 2 and str(full) in lines[-1] and "make room" in lines[-1]
    assert len(lines) == 1 or command == "bench video"  # which tells of its clips before
    assert not [path for path in full.rglob("*") if path.is_file() and path.stat().st_size and path.name != "filler"]


@pytest.mark.parametrize("command", ["probe", *RUNS])
def test_a_full_disk_under_trainings_is_told_and_no_folder_or_lock_is_left(command, full, said, monkeypatch) -> None:
    if command in RUNS:
        monkeypatch.chdir(full)
    code, lines = said(*(word.replace("{}", str(full)) for word in (OUTPUTS | RUNS)[command]))
    assert code == 2 and len(lines) == 1 and "no space is left: make room" in lines[0]
    assert os.listdir(full) == ["filler"]


def test_a_training_that_cannot_write_its_last_file_says_how_it_is_finished(full, said) -> None:
    Path("checkpoints").symlink_to(full)
    code, lines = said(*TRAINING)
    assert code == 2 and len(lines) == 1
    assert "checkpoints/wave.safetensors cannot be written: no space is left" in lines[0]
    said_how = "the run is kept in runs/wave/last.ckpt, to finish it: fastnst train --resume --name wave"
    assert lines[0].endswith(said_how)
    assert os.listdir(full) == ["filler"]
    subprocess.run(["mount", "-o", "remount,size=16m", full], check=True)
    code, lines = said(*lines[0].split("fastnst ")[-1].split(), "--quiet")
    assert (code, lines) == (0, [])
    assert (full / "wave.safetensors").is_file() and not Path("runs/wave/last.ckpt").exists()


FEW = ("--steps", "1", "--crop-size", "32", "--batch-size", "1", "--device", "cpu", "--workers", "0", "--quiet")


@pytest.mark.long
@pytest.mark.parametrize("command", ["train-universal", "train-base"])
def test_so_does_one_of_a_network_for_any_painting(command, full, said) -> None:
    words = ("--paintings", "photos", "--network", "live", "--margin", "0") if command == "train-base" else ()
    for number in range(3, 19):
        shutil.copy("photo.png", f"photos/{number}.png")
    Path("checkpoints").symlink_to(full)
    code, lines = said(command, "--data", "photos", "--name", "any", *words, *FEW)
    assert code == 2 and len(lines) == 1
    assert "checkpoints/any.safetensors cannot be written: no space is left" in lines[0]
    assert lines[0].endswith(f"kept in runs/any/last.ckpt, to finish it: fastnst {command} --resume --name any")
    assert os.listdir(full) == ["filler"]


def test_a_training_that_cannot_save_its_end_writes_its_result_all_the_same(full, said, here) -> None:
    Path("runs").symlink_to(full)
    subprocess.run(["mount", "-o", "remount,size=400k", full], check=True)  # for all but a checkpoint
    code, lines = said(*TRAINING)
    assert code == 0
    assert [line for line in lines if "cannot be written" in line and "its result is written next" in line]
    assert (here / "checkpoints/wave.safetensors").is_file()


PIPES = {
    "photo": ("apply", "pipe.png", "--style", "great_wave", *FAST),
    "painting": ("apply", "photo.png", "--style", "pipe.png", *FAST),
    "mask": ("apply", "photo.png", "--style", "great_wave", "--mask", "pipe.png", *FAST),
    "style file": ("apply", "photo.png", "--style", "pipe.safetensors", *FAST),
    "video": ("apply", "pipe.mp4", "--style", "great_wave", *FAST),
    "style image": ("train", "--style", "pipe.png", "--data", "photos", "--steps", "1", "--quiet"),
    "data": ("train", "--style", "wave.png", "--data", "pipe.png", "--steps", "1", "--quiet"),
    "loss weights": (*TRAINING, "--loss-weights", "pipe.safetensors"),
    "settings": (*TRAINING, "--config", "pipe.yaml"),
    "optimize": ("optimize", "pipe.png", "--style", "wave.png", "--quiet"),
    "texture": ("texture", "pipe.png", "--quiet"),
    "export": ("export", "--style", "pipe.safetensors", "--quiet"),
    "styles": ("styles", "pipe.safetensors"),
}


@pytest.mark.parametrize("command", PIPES)
def test_a_pipe_in_place_of_a_file_is_refused_and_not_waited_for(command, said) -> None:
    for suffix in ("png", "safetensors", "yaml", "mp4"):
        os.mkfifo(f"pipe.{suffix}")
    code, lines = said(*PIPES[command])
    assert code == 2 and len(lines) in (1, 2)
    assert "pipe." in lines[0]


def test_a_pipe_among_photos_and_styles_is_left_out_with_a_line(said) -> None:
    os.mkfifo("photos/3.png")
    Path("checkpoints").mkdir()
    os.mkfifo("checkpoints/wave.safetensors")
    assert said("styles")[0] == 0
    code, lines = said("apply", "photos", "--style", "great_wave", *FAST, "-o", "out")
    assert code == 3 and len(lines) == 1 and "photos/3.png" in lines[0] and "pipe" in lines[0]
    assert sorted(os.listdir("out")) == ["1.png", "2.png"]


def test_links_in_circles_are_followed_once(said) -> None:
    Path("photos/up").symlink_to(Path("photos").absolute())
    Path("loop.png").symlink_to("loop.png")
    Path("nowhere.png").symlink_to("none.png")
    assert said("apply", "photos", "--style", "great_wave", *FAST, "-o", "out") == (0, [])
    assert sorted(path.name for path in Path("out").rglob("*")) == ["1.png", "2.png"]
    for name in ("loop.png", "nowhere.png"):
        assert said("apply", name, "--style", "great_wave") == (2, [f"fastnst: {name}: no such file"])


def test_names_of_255_bytes_are_read_and_written_and_longer_ones_told(said) -> None:
    shutil.copy("photo.png", LONG)
    assert said("apply", LONG, "--style", "great_wave", *FAST, "-o", "out") == (0, [])
    assert os.listdir("out") == [LONG]
    code, lines = said("apply", LONG, "--style", "great_wave", *FAST)  # beside it, with the style in its name
    assert code == 2 and f"{LONG.removesuffix('.png')}-great_wave.png" in lines[0]
    assert "its name is too long: choose a shorter one" in lines[0]
    for words in (("apply", "photo.png", "--style", "great_wave", "-o", f"x{LONG}"), (*TRAINING, "--name", "n" * 250)):
        code, lines = said(*words)
        assert code == 2 and len(lines) == 1 and "its name is too long: choose a shorter one" in lines[0]


def test_names_that_are_not_utf_8_are_read_and_written(said) -> None:
    shutil.copy("photo.png", STRANGE)
    shutil.copy("clip.mp4", os.fsdecode(b"clip\xe9.mp4"))
    for name in (STRANGE, os.fsdecode(b"clip\xe9.mp4")):
        assert said("apply", name, "--style", "great_wave", *FAST, "-o", f"out/{name}")[0] == 0
        assert os.path.getsize(f"out/{name}")
    style = os.fsdecode(b"wave\xe9.safetensors")
    shutil.copy("sky.safetensors", style)
    output = os.fsdecode(b"wave\xe9.pt")
    export = ("export", "--style", "great_wave", "--format", "torchscript", "-o", output, "--quiet")
    code, lines = said("apply", "photo.png", "--style", f"{style}:day", *FAST, "-o", "out/by_it.png")
    assert (code, lines) == (0, [])
    code, lines = said(*export)
    assert code == 2 and len(lines) == 1 and "the name is not UTF-8" in lines[0]


@pytest.fixture
def nobody(here) -> Iterator[None]:
    """A user who owns nothing; files are checked against it, not against root."""
    if os.geteuid():
        pytest.skip("only root can become another user")
    for folder in (here, *here.parents):
        if folder.stat().st_uid == 0 and folder != Path("/tmp") and "pytest" in str(folder):
            folder.chmod(0o755)
    # The clone may lie in a folder of root's alone, as mktemp makes them.
    closed = {folder: folder.stat().st_mode for folder in PACKAGE.parents if folder.stat().st_mode & 0o011 != 0o011}
    for folder, mode in closed.items():
        folder.chmod(mode | 0o011)
    os.seteuid(65534)
    yield
    os.seteuid(0)
    for folder, mode in closed.items():
        folder.chmod(mode)


@pytest.fixture
def stranger(nobody) -> Iterator[None]:
    """The same user for questions of what may be written too, which are of the one who started the process."""
    os.setresuid(65534, 65534, 0)
    yield
    os.setresuid(0, 65534, 0)


def test_what_may_not_be_read_or_written_is_named(here, said, nobody) -> None:
    os.seteuid(0)
    for name in ("photo.png", "photos/2.png", "sky.safetensors"):
        os.chmod(name, 0o600)
    shutil.copytree("photos", "closed")
    os.chmod("closed", 0o700)
    Path("open").mkdir()
    os.chmod("open", 0o777)
    os.seteuid(65534)
    fast = ("--style", "great_wave", *FAST)
    code, lines = said("apply", "photo.png", *fast, "-o", "open/o.png")
    assert code == 2 and "photo.png: not allowed to read it" in lines[0]
    code, lines = said("apply", "photos", *fast, "-o", "open/out")
    assert code == 3 and len(lines) == 1 and "photos/2.png: not allowed to read it" in lines[0]
    code, lines = said("apply", "closed", *fast, "-o", "open/out2")
    assert code == 2 and len(lines) == 1 and "closed" in lines[0] and "Permission denied" in lines[0]
    code, lines = said("apply", "photos/1.png", "--style", "sky.safetensors")
    assert code == 2 and len(lines) == 1 and "sky.safetensors" in lines[0] and "Permission denied" in lines[0]
    code, lines = said("apply", "photos/1.png", *fast, "-o", "o.png")
    assert code == 2 and "o.png cannot be written: not allowed to write there: choose another place" in lines[0]
    code, lines = said("page", "-o", "site", "--quiet")
    assert code == 2 and len(lines) == 1 and "not allowed to write there: choose another place" in lines[0]


@pytest.mark.parametrize("command", [*OUTPUTS, *RUNS])
def test_a_folder_of_others_is_told_before_any_work(command, here, said, monkeypatch, stranger) -> None:
    os.seteuid(0)
    here.chmod(0o777)
    Path("others").mkdir()
    os.seteuid(65534)
    if command in RUNS:
        monkeypatch.chdir("others")
    code, lines = said(*(word.replace("{}", f"{here}/others") for word in (OUTPUTS | RUNS)[command]))
    assert code == 2 and len(lines) == 1
    assert f"{here}/others is no folder that can be written to" in lines[0]


def test_a_folder_that_goes_away_while_it_is_read_is_told(said, monkeypatch) -> None:
    from fastnst.painting import jobs

    found = jobs.find_photos

    def and_gone(folder: Path, *words: object) -> list[Path]:
        photos = found(folder, *words)
        shutil.rmtree("photos")
        return photos

    monkeypatch.setattr(jobs, "find_photos", and_gone)
    code, lines = said("apply", "photos", "--style", "great_wave", *FAST, "-o", "out")
    assert code == 2 and lines[-1] == "fastnst: none of 2 photos could be painted"
    assert [line for line in lines if "photos/1.png: no such file" in line]
