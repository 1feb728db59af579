"""`fastnst apply --watch` as a process of its own, and raw frames in a pipe."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from project import EXACT, ROOT

from fastnst.base.errors import Interrupted
from fastnst.cli import main
from fastnst.images.photos import resolve_photo
from fastnst.painting import watch as module
from fastnst.painting.settings import ApplySettings
from fastnst.painting.stylizer import Stylizer
from fastnst.painting.watch import watch

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def folder(sky, tmp_path, monkeypatch) -> Path:
    (tmp_path / "checkpoints").symlink_to(sky.parent)
    (tmp_path / "in" / "below").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def start(folder) -> Iterator[Start]:
    running = []

    def begin() -> "subprocess.Popen[str]":
        command = ["apply", "in", "--watch", "--style", "day", "-o", "out", "--json", "--runtime", "torch"]
        process = subprocess.Popen([*EXACT, *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        running.append(process)
        return process

    yield begin
    for process in running:
        process.kill()
        process.communicate()


def photo(size: tuple[int, int] = (40, 30)) -> Image.Image:
    with Image.open(resolve_photo("sample:coffee")) as image:
        return image.convert("RGB").resize(size)


def told(process: "subprocess.Popen[str]") -> dict[str, object]:
    """What is told of the next photo."""
    line = process.stdout.readline()
    assert line, process.stderr.read()
    return dict(json.loads(line))


@pytest.mark.long
def test_photos_are_painted_as_they_come_each_once_also_after_a_restart(folder, start) -> None:
    photo().save("in/first.png")
    process = start()
    assert told(process)["output"] == "out/first.png"
    photo().save("in/below/second.jpg")
    assert told(process)["output"] == "out/below/second.jpg"
    Path("in/notes.txt").write_text("no photo")
    Path("in/broken.jpg").write_bytes(Path("in/below/second.jpg").read_bytes()[:200])
    assert "broken.jpg" in str(told(process)["error"])
    os.utime("in/first.png")  # it is painted: a change does not matter
    photo().save("in/broken.jpg")
    assert told(process)["output"] == "out/broken.jpg"
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=30)
    assert process.returncode == 130 and output == "" and "3 are painted, 1 failed" in errors

    before = {path: path.stat().st_mtime_ns for path in Path("out").rglob("*.*")}
    assert len(before) == 3
    photo().save("in/third.png")
    process = start()
    assert told(process)["output"] == "out/third.png"
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=30)[0] == ""
    assert {path: path.stat().st_mtime_ns for path in before} == before
    with Image.open("out/first.png") as painted:
        assert np.array_equal(np.asarray(painted), Stylizer("day", device="cpu")(np.asarray(photo())))


@pytest.mark.long
def test_a_file_that_still_grows_waits_until_it_is_complete(folder, start) -> None:
    photo().save("ready.png")
    photo((60, 50)).save("whole.jpg")
    data = Path("whole.jpg").read_bytes()
    process = start()
    with Path("in/growing.jpg").open("wb") as file:
        for part in range(8):
            file.write(data[len(data) * part // 8 : len(data) * (part + 1) // 8])
            file.flush()
            time.sleep(0.5)
    assert told(process)["output"] == "out/growing.jpg"  # and no error before


@pytest.fixture
def watched(folder, monkeypatch, caplog) -> Callable[..., dict[str, bytes]]:
    """Watch folders while photos come: in each pause one more, three seconds apart; gives all results."""

    def begin(*arrivals: str, folders: tuple[str, ...] = ("in",), output: str = "out", **more: object):
        pauses = iter([None, None, *(each for name in arrivals for each in (name, None, None))])

        def pause(seconds: float) -> None:
            try:
                name = next(pauses)
            except StopIteration:
                raise KeyboardInterrupt from None
            if name is not None:
                Path(name).parent.mkdir(parents=True, exist_ok=True)
                photo((40, 30 + len(name))).save(name)

        monkeypatch.setattr(module.time, "sleep", pause)
        with caplog.at_level("INFO", logger="fastnst"), pytest.raises(Interrupted):
            watch(folders, ApplySettings(style="day", output=Path(output), device="cpu", runtime="torch", **more))
        return {str(path.relative_to(output)): path.read_bytes() for path in Path(output).rglob("*.*")}

    return begin


@pytest.mark.parametrize(
    ("arrivals", "format", "results"),
    [
        (("in/a.png", "in/a.jpg", "in/a.jpeg"), "jpeg", {"a.png.jpg", "a.jpg", "a.jpeg"}),
        (("in/a.bmp", "in/a.png", "in/a.bmp.png"), None, {"a.bmp.png", "a.png", "a.bmp.png.png"}),
        (("in/a.png", "in/below/a.png"), None, {"a.png", "below/a.png"}),
    ],
)
def test_all_that_come_are_painted_once_whatever_the_order_also_after_a_restart(
    arrivals, format, results, watched
) -> None:
    first = watched(*arrivals, format=format)
    assert first.keys() == results
    assert watched(format=format) == first
    for path in Path("out").rglob("*.*"):
        path.unlink()
    assert watched(*reversed(arrivals), format=format) == first


def test_photos_of_one_name_in_two_folders_are_both_painted_once(watched) -> None:
    folders = ("one/in", "two")
    for name in folders:
        Path(name).mkdir(parents=True)
    first = watched("one/in/a.png", "two/a.png", folders=folders)
    assert first.keys() == {"one/in/a.png", "two/a.png"}
    assert watched(folders=folders[::-1]) == first


def test_a_folder_in_a_watched_one_is_not_watched_twice(watched) -> None:
    first = watched("in/below/a.png", folders=("in/below", str(Path("in").absolute())))
    assert first.keys() == {"below/a.png"}
    assert watched(folders=("in", "in/below")) == first


def test_links_that_lead_back_are_not_followed(watched) -> None:
    for name in "abcdefgh":  # the paths through two of them are more than a million
        Path("in", name).symlink_to(".")
    Path("far").mkdir()
    Path("in/near").symlink_to("../far")
    assert watched("far/a.png").keys() == {"near/a.png"}


def test_a_photo_that_cannot_be_planned_is_told_once_and_the_others_are_painted(watched, caplog) -> None:
    Path("out").mkdir()
    Path("out/below").write_text("no folder")
    found = watched("in/a.png", "in/below/b.png", "in/c.png")
    assert found.keys() == {"a.png", "c.png"}
    assert sum("out/below" in line for line in caplog.messages) == 1, caplog.messages


def test_a_photo_that_could_not_be_planned_is_painted_as_soon_as_it_can(watched, monkeypatch) -> None:
    photo().save("in/a.png")
    real, refusals = module.plan_watched, iter([True, True, True, False])

    def refused(*args: object) -> object:
        if next(refusals, False):
            raise OSError("the network share is away")
        return real(*args)

    monkeypatch.setattr(module, "plan_watched", refused)
    assert watched("in/b.png", "in/c.png").keys() == {"a.png", "b.png", "c.png"}


def test_results_among_the_photos_are_not_painted_again_and_hide_no_photo(watched, caplog) -> None:
    assert watched("in/a.png", output="in/out").keys() == {"a.png"}
    Path("in/a.png").unlink()
    assert watched(output="in/out").keys() == {"a.png"}
    watched("in/b.png", output="in")
    assert "in/b.png is one of the photos" in caplog.text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("photo.png", "--watch", "-o", "out"), "--watch takes folders"),
        (("--watch", "-o", "out"), "--watch takes folders"),
        (("in", "--watch"), "--watch needs a folder for results"),
        (("in", "--watch", "-o", "out.png"), "--watch needs a folder for results"),
        (("in", "--watch", "-o", "out", "--force"), "each photo once"),
        (("-", "--frame-size", "640"), "WIDTHxHEIGHT"),
        (("-", "--frame-size", "0x480"), "WIDTHxHEIGHT"),
        (("in", "--frame-size", "64x48"), "raw frames on standard input"),
        (("-", "--frame-size", "64x48", "-o", "out.png"), "raw frames on standard input"),
        (("-", "--frame-size", "64x48", "--size", "30"), "--size and --frame-size contradict"),
    ],
)
def test_what_contradicts_itself_is_told_at_once(words, message, folder, capsys) -> None:
    photo().save("photo.png")
    with pytest.raises(SystemExit) as stop:
        main(["apply", *words, "--style", "day"])
    captured = capsys.readouterr()
    assert stop.value.code == 2 and message in captured.err and captured.err.count("\n") == 1


@pytest.mark.parametrize("steady", [False, True])
def test_raw_frames_come_out_as_they_came_in(steady, folder) -> None:
    frames = np.stack([np.asarray(photo((48, 34))), 255 - np.asarray(photo((48, 34)))])
    flags = ("--steady",) if steady else ()
    command = [*EXACT, "apply", "-", "--frame-size", "48x34", "--style", "day", *flags]
    done = subprocess.run([*command, "--runtime", "torch"], input=frames.tobytes(), capture_output=True, check=True)
    painted = np.frombuffer(done.stdout, np.uint8).reshape(frames.shape)
    expected = np.stack([Stylizer("day", device="cpu")(frame) for frame in frames])
    apart = np.abs(painted.astype(int) - expected)
    assert apart.max() <= 1 if not steady else apart[0].max() <= 1
    assert done.stderr.decode().strip() == "2 frames"


def test_an_input_that_ends_within_a_frame_is_told_after_the_whole_ones(folder) -> None:
    frame = np.asarray(photo((48, 34))).tobytes()
    command = [*EXACT, "apply", "-", "--frame-size", "48x34", "--style", "day"]
    done = subprocess.run(command, input=frame + frame[:100], capture_output=True, check=False)
    assert done.returncode == 2 and len(done.stdout) == len(frame)
    assert b"ends within a frame: 100 bytes of 4896" in done.stderr


@pytest.mark.skipif(not shutil.which("ffmpeg"), reason="ffmpeg is not installed")
def test_ffmpeg_as_the_guide_calls_it_gives_frames_of_the_size_and_rate_that_the_next_commands_expect(folder) -> None:
    guide = (ROOT / "docs" / "guides" / "video_and_camera.md").read_text()
    (line,) = re.findall(r"^ffmpeg .*(?= \|$)", guide, flags=re.M)
    clip = "testsrc=size=100x80:rate=10:duration=1"
    subprocess.run(["ffmpeg", "-f", "lavfi", "-i", clip, "in.mp4"], capture_output=True, check=True)
    frames = subprocess.run(shlex.split(line), capture_output=True, check=True).stdout
    assert len(frames) == 25 * 640 * 360 * 3 and "--frame-size 640x360" in guide and "-s 640x360 -r 25" in guide
