"""Disks that go away while they are written or read, and slow ones: strace lets the system's calls fail, or wait.

At each of many moments of a command, all later calls on its files fail. Asked of each: one line that names a file and
says what helps, an exit code of the contract, no half file, and a next run that goes on and leaves nothing hidden.
"""

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands_that_write import FAST, OUTPUTS, TRAINING, make_inputs
from disk_faults import CALLS, READS, Fault, Forks, hidden, moments
from PIL import Image

WAYS_OUT = ("its disk does not answer: see that it is there, and begin again", "is no folder that can be written to")
MOMENTS = 6  # of a command, at which its disk goes away


@pytest.fixture(scope="module")
def forks() -> Iterator[Forks]:
    """A process that forks for the commands."""
    try:
        with Forks() as forks:
            yield forks
    except OSError as error:
        pytest.skip(str(error))


@pytest.fixture(autouse=True)
def here(tmp_path, sky, forks) -> Path:
    """The commands' inputs, and a folder for results."""
    make_inputs(tmp_path, sky)
    (tmp_path / "disk").mkdir()
    try:
        forks.run(tmp_path, ("--version",), Fault([tmp_path]))
    except OSError as error:
        pytest.skip(str(error))
    return tmp_path


def files_in(folder: Path) -> dict[str, bytes]:
    """The bytes of all files below a folder that are not hidden, by their path there."""
    files = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in files.items() if "/." not in f"/{name}"}


def on_the_disk(folder: Path) -> list[Path]:
    """All files that a command has written into a folder, by all names that they have until then."""
    folders = [folder, *(path for path in folder.rglob("*") if path.is_dir())]
    return [path for place in folders for path in hidden(place, [each.name for each in place.iterdir()])]


COMMANDS = {
    **{name: OUTPUTS[name] for name in ("photo", "folder", "video", "export", "page", "optimize", "frames", "texture")},
    **{
        kind: ("apply", "photo.png", "--style", "wave.png", *FAST, "-o", f"{{}}/o.{kind}")
        for kind in ("jpg", "tif", "gif", "webp")
    },
}


@pytest.mark.parametrize(
    "most", [pytest.param(MOMENTS, marks=pytest.mark.long), pytest.param(1000, marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("command", COMMANDS)
def test_a_disk_that_goes_away_while_results_are_written(command, most, here, forks) -> None:
    disk = here / "disk"
    words = [str(disk / word) if word == "b.png" else word.replace("{}", str(disk)) for word in COMMANDS[command]]
    if words[0] == "apply":  # a trained style takes less time than a painting
        words[words.index("--style") + 1] = "sky.safetensors:day"
    assert forks.run(here, words) == (0, [])
    right, paths = files_in(disk), on_the_disk(disk)
    again = [*words, "--force"]

    def anew() -> None:
        shutil.rmtree(disk)
        disk.mkdir()

    anew()
    assert forks.run(here, words, Fault(paths, wait=1))[0] == 0
    assert len(forks.hit) > 10
    for after in moments(forks.hit, most):
        anew()
        code, lines = forks.run(here, words, Fault(paths, after=after))
        there = files_in(disk)
        about = f"after {after}, exit code {code}, {lines}, {sorted(there)}"
        assert not [name for name in there if name in right and there[name] != right[name]], about
        if code == 0:
            assert not lines and there == right, about
        else:
            assert code in (2, 3) and 1 <= len(lines) <= 3, about
            assert any(str(disk) in line and way in line for line in lines for way in WAYS_OUT), about
        assert forks.run(here, again) == (0, []), about
        assert files_in(disk) == right, about
        assert not [path for path in disk.rglob(".*")], about


@pytest.mark.long
@pytest.mark.parametrize("error", ["ESTALE", "ENOTCONN", "ENXIO", "ENODEV"])
def test_a_disk_that_a_network_lost_is_told_as_one_that_does_not_answer(error, here, forks) -> None:
    disk, photo = here / "disk", here / "photo.png"
    words = ("apply", "photo.png", "--style", "sky.safetensors:day", *FAST, "-o", str(disk / "o.png"))
    assert forks.run(here, words) == (0, [])
    written = on_the_disk(disk)
    for paths, calls, name in ((written, CALLS, str(disk)), ([photo], READS, "photo.png")):
        assert forks.run(here, (*words, "--force"), Fault(paths, calls=calls, wait=1))[0] == 0
        told = 0
        for after in moments(forks.hit, MOMENTS):
            shutil.rmtree(disk)
            disk.mkdir()
            code, lines = forks.run(here, words, Fault(paths, error, after=after, calls=calls))
            about = f"after {after}, exit code {code}, {lines}"
            assert (code, lines) == (0, []) or (code in (2, 3) and 1 <= len(lines) <= 2), about
            assert not code or any(name in line and way in line for line in lines for way in WAYS_OUT), about
            assert (disk / "o.png").exists() == (code == 0), about
            told += bool(code)
        assert told


READERS = {
    "photo": (("apply", "photo.png", "--style", "sky.safetensors:day", *FAST, "-o", "o.png"), "photo.png"),
    "photo of Pillow": (("apply", "photo.bmp", "--style", "sky.safetensors:day", *FAST, "-o", "o.png"), "photo.bmp"),
    "JPEG": (("apply", "photo.jpg", "--style", "sky.safetensors:day", *FAST, "-o", "o.png"), "photo.jpg"),
    "video": (("apply", "clip.mp4", "--style", "sky.safetensors:day", *FAST, "-o", "o.mp4"), "clip.mp4"),
    "style file": (("apply", "photo.png", "--style", "sky.safetensors:day", *FAST, "-o", "o.png"), "sky.safetensors"),
    "painting": (("apply", "photo.png", "--style", "wave.png", *FAST, "-o", "o.png"), "wave.png"),
    "mask": (
        ("apply", "photo.png", "--style", "sky.safetensors:day", "--mask", "wave.png", *FAST, "-o", "o.png"),
        "wave.png",
    ),
    "folder": (("apply", "photos", "--style", "sky.safetensors:day", *FAST, "-o", "out"), "photos"),
    "export": (
        ("export", "--style", "sky.safetensors:day", "--format", "torchscript", "-o", "o.pt", "--quiet"),
        "sky.safetensors",
    ),
    "optimize": (
        ("optimize", "photo.png", "--style", "wave.png", "-o", "o.png", "--size", "32", "--iterations", "1", "--quiet"),
        "photo.png",
    ),
    "texture": (("texture", "wave.png", "-o", "o.png", "--size", "32", "--quiet"), "wave.png"),
    "style image": (TRAINING, "wave.png"),
    "training photos": (TRAINING, "photos"),
}


@pytest.mark.long
@pytest.mark.parametrize("what", READERS)
def test_a_disk_that_goes_away_while_it_is_read(what, here, forks) -> None:
    for suffix in ("bmp", "jpg"):
        with Image.open(here / "photo.png") as photo:
            photo.save(here / f"photo.{suffix}")
    words, name = READERS[what]
    paths = [here / name, *(here / name).glob("*")] if (here / name).is_dir() else [here / name]
    before = files_in(here)
    assert forks.run(here, words, Fault(paths, calls=READS, wait=1)) == (0, [])
    for after in moments(forks.hit, MOMENTS):
        for path in (here / "o.png", here / "o.mp4", here / "o.pt", here / "out", here / "runs", here / "checkpoints"):
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
        code, lines = forks.run(here, words, Fault(paths, after=after, calls=READS))
        about = f"after {after}, exit code {code}, {lines}"
        if code == 0:
            continue
        assert code in (2, 3) and 1 <= len(lines) <= 3, about
        assert any(name in line for line in lines), about
        left = files_in(here).keys() - before
        assert not [path for path in left if not path.startswith(("runs/", "out/"))], about


@pytest.mark.long
def test_a_slow_disk_only_slows(here, forks) -> None:
    disk = here / "disk"
    words = ("apply", "photos", "--style", "sky.safetensors:day", *FAST, "-o", str(disk))
    assert forks.run(here, words) == (0, [])
    right, paths = files_in(disk), [*on_the_disk(disk), *(here / "photos").iterdir()]
    shutil.rmtree(disk)
    started = time.monotonic()
    assert forks.run(here, words, Fault(paths, wait=20_000)) == (0, [])
    assert files_in(disk) == right and time.monotonic() - started > 0.02 * 20 and len(forks.hit) > 40


@pytest.mark.long
def test_a_training_whose_disk_goes_away_at_its_end_says_how_it_is_finished(here, forks) -> None:
    paths = [here / "checkpoints/wave.safetensors", *hidden(here / "checkpoints")]
    (here / "checkpoints").mkdir()
    code, lines = forks.run(here, TRAINING, Fault(paths, calls="write,fsync"))
    assert code == 2 and len(lines) == 1, lines
    assert "checkpoints/wave.safetensors cannot be written: its disk does not answer" in lines[0]
    assert lines[0].endswith("kept in runs/wave/last.ckpt, to finish it: fastnst train --resume --name wave")
    assert forks.run(here, [*lines[0].split("fastnst ")[-1].split(), "--quiet"]) == (0, [])
    assert [path.name for path in (here / "checkpoints").iterdir()] == ["wave.safetensors"]


@pytest.mark.long
def test_a_training_whose_disk_takes_no_checkpoint_goes_on_to_its_result(here, forks) -> None:
    words = (*TRAINING, "--save-every", "0.001s")
    partials = [path for path in hidden(here / "runs/wave") if path.name.endswith(".partial")]
    code, lines = forks.run(here, words, Fault(partials[2:], calls="fsync"))  # those before are of claim and settings
    assert code == 0, lines
    assert any("last.ckpt cannot be written" in line and "the training goes on" in line for line in lines), lines
    assert (here / "checkpoints/wave.safetensors").is_file()
