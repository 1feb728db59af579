"""`fastnst apply` on folders and lists: side by side, bounded, gone on with, interrupted."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import weakref
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from fastnst.base.boxes import everything
from fastnst.base.errors import Interrupted
from fastnst.base.pipeline import in_threads
from fastnst.cli import main
from fastnst.images.formats import ImageError
from fastnst.images.picture import Picture
from fastnst.networks.network import TransformationNetwork
from fastnst.networks.style_file import save_style
from fastnst.painting import studio as module
from fastnst.painting.apply import apply
from fastnst.painting.jobs import plan
from fastnst.painting.settings import ApplySettings


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> None:
    """The current folder has the style `wave` in ./checkpoints."""
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    network = {"half": 4, "quarter": 8, "num_blocks": 1, "num_styles": 1}
    info = {"name": "wave", "styles": [{"name": "wave"}], "network": network}
    save_style(Path("checkpoints/wave.safetensors"), TransformationNetwork(**network), info)


def make_photos(count: int, side: int = 30) -> list[str]:
    """in/000.png and so on, each smaller than the one before; gives their names."""
    Path("in").mkdir(exist_ok=True)
    rng = np.random.default_rng(0)
    for index in range(count):
        pixels = rng.integers(0, 256, (side + count - index, side, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(f"in/{index:03}.png")
    return sorted(path.name for path in Path("in").iterdir())


def run(**settings: object) -> int:
    return apply(
        ["in"], ApplySettings(**{"style": "wave", "output": Path("out"), "device": "cpu", "quiet": True, **settings})
    )


def outputs() -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(Path("out").iterdir())}


def test_results_do_not_depend_on_threads_and_lines_keep_the_order(monkeypatch, capsys) -> None:
    names = make_photos(8)
    found = []
    for stages in (in_threads, partial(in_threads, threads=4), None):
        if stages is None:  # one after another
            monkeypatch.setattr(module, "in_threads", lambda function, items, **_: (function(item) for item in items))
        else:
            monkeypatch.setattr(module, "in_threads", lambda *args, stages=stages, **_: stages(*args))
        assert run(force=True, json=True) == 0
        found.append(outputs())
        lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert [Path(line["photo"]).name for line in lines] == names
        assert [line["height"] for line in lines] == [38 - index for index in range(8)]
        assert all(line["seconds"] > 0 for line in lines)
    assert found[0] == found[1] == found[2] and len(found[0]) == 8


def test_few_pictures_are_in_memory_however_many_there_are(monkeypatch) -> None:
    make_photos(12)
    pictures: list[weakref.ref] = []
    most = 0

    def noted(make):
        def make_and_note(*args, **settings):
            nonlocal most
            picture = make(*args, **settings)
            pictures.append(weakref.ref(picture))
            most = max(most, sum(each() is not None for each in pictures))
            return picture

        return make_and_note

    def slow(save):
        def save_slowly(*args, **settings):
            time.sleep(0.02)
            save(*args, **settings)

        return save_slowly

    monkeypatch.setattr(module, "read_picture", noted(module.read_picture))
    monkeypatch.setattr(Picture, "painted", noted(Picture.painted))
    monkeypatch.setattr(module, "save_image", slow(module.save_image))
    run()
    assert len(pictures) == 24
    assert 2 < most <= 4  # one read ahead, one being painted with its painting, one being written
    assert sum(each() is not None for each in pictures) == 0


def test_a_broken_photo_is_one_line_and_the_others_go_on(capsys) -> None:
    make_photos(4)
    Path("in/001.png").write_bytes(b"no picture")
    Path("in/003.png").write_bytes(Path("in/003.png").read_bytes()[:500])
    with pytest.raises(SystemExit) as stop:
        main(["apply", "in", "--style", "wave", "-o", "out", "--device", "cpu", "--json"])
    assert stop.value.code == 3
    shown = capsys.readouterr()
    lines = [json.loads(line) for line in shown.out.splitlines()]
    assert ["error" in line for line in lines] == [False, True, False, True]
    assert [line.split(":")[0] for line in shown.err.splitlines()] == ["in/001.png", "in/003.png"]
    assert list(outputs()) == ["000.png", "002.png"]


def test_a_second_run_does_what_is_missing(capsys, caplog) -> None:
    make_photos(5)
    run()
    first = outputs()
    for name in ("001.png", "003.png"):
        Path("out", name).unlink()
    Path("out/000.png").write_bytes(b"painted by hand")
    with caplog.at_level("INFO", "fastnst"):
        assert run(skip_existing=True, json=True) == 0
    assert [record.getMessage() for record in caplog.records] == ["3 of 5 are there already"]
    assert [Path(json.loads(line)["photo"]).name for line in capsys.readouterr().out.splitlines()] == [
        "001.png",
        "003.png",
    ]
    assert outputs() == {**first, "000.png": b"painted by hand"}
    assert run(skip_existing=True) == 0
    with pytest.raises(ImageError, match="--skip-existing and --force contradict each other"):
        run(skip_existing=True, force=True)
    with pytest.raises(ImageError, match="exists: --force replaces it"):
        run()


def test_ten_thousand_photos_are_planned_soon_and_those_named_unopened(monkeypatch) -> None:
    Path("in").mkdir()
    names = [f"in/{index}.jpg" for index in range(10_000)]
    for name in names:
        os.close(os.open(name, os.O_CREAT))
    open_ = open

    def unless_photo(file, *args, **options):
        assert not str(file).startswith("in/"), "opened"
        return open_(file, *args, **options)

    config = ApplySettings(style="wave", output=Path("out"))
    for photos in (["in"], names):  # those of a folder are asked whether they are stylized already
        if photos is names:
            for opening in ("builtins.open", "io.open"):
                monkeypatch.setattr(opening, unless_photo)
            monkeypatch.setattr("fastnst.images.metadata.header_of", lambda *_, **__: pytest.fail("opened"))
        started = time.process_time()
        jobs = plan(photos, config)
        assert len(jobs) == 10_000 and time.process_time() - started < 3


@pytest.mark.long
def test_ctrl_c_leaves_whole_files_only() -> None:
    make_photos(300, side=200)
    words = ["apply", "in", "--style", "wave", "-o", "out", "--device", "cpu", "--json"]
    process = subprocess.Popen(
        [sys.executable, "-m", "fastnst", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a job in the background ignores it
    )
    assert process.stdout is not None
    process.stdout.readline()
    started = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130 and time.monotonic() - started < 5
    assert re.fullmatch(r"fastnst: stopped: \d+ of 300 are done; --skip-existing goes on\n", errors)
    done = sorted(Path("out").iterdir())
    assert 1 <= len(done) < 300 and all(path.suffix == ".png" for path in done)
    for path in done:
        with Image.open(path) as image:
            image.load()


def test_the_last_photo_before_ctrl_c_is_counted_and_reported(monkeypatch, capsys) -> None:
    names = make_photos(4)

    def paint(self, photo, shape, *_, **__):
        if shape[-2] == 34 - 2:  # the third
            raise KeyboardInterrupt
        box = everything(shape[-2:])
        yield box, photo(box)

    monkeypatch.setattr("fastnst.painting.stylizer.Stylizer.parts", paint)
    with pytest.raises(Interrupted, match="2 of 4 are done"):
        run(json=True)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [Path(line["photo"]).name for line in lines] == sorted(outputs()) == names[:2]


def test_standard_input_is_read_where_ctrl_c_ends_the_wait(monkeypatch) -> None:
    make_photos(1)
    readers = []

    def read() -> bytes:
        readers.append(threading.current_thread())
        return Path("in/000.png").read_bytes()

    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=SimpleNamespace(read=read)))
    apply(["-"], ApplySettings(style="wave", output=Path("out.png"), device="cpu", quiet=True))
    assert readers == [threading.main_thread()] and Path("out.png").exists()


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (OSError(28, "No space left on device", "out/.1.partial"), "in/000.png: [Errno 28] No space left on device"),
        (MemoryError(), "in/000.png: 30x33 pixels do not fit into memory; --size shrinks it first"),
    ],
)
@pytest.mark.parametrize("stage", ["read_picture", "save_image"])
def test_an_error_of_reading_or_writing_names_the_photo_and_the_others_go_on(error, line, stage, monkeypatch, caplog):
    make_photos(3)
    function, calls = getattr(module, stage), []

    def first_fails(*given: object, **settings: object):
        calls.append(given)
        if len(calls) == 1:
            raise error
        return function(*given, **settings)

    monkeypatch.setattr(module, stage, first_fails)
    assert run() == 1
    (record,) = caplog.records
    assert record.getMessage().replace("its pixels", "30x33 pixels").startswith(line)
    assert list(outputs()) == ["001.png", "002.png"]
