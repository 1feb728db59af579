import os
import subprocess
import sys
from pathlib import Path

import pytest

from fastnst.base import partials
from fastnst.base.files import check_folder, write_whole
from fastnst.base.partials import partial_in, sweep

WRITER = """
import sys
from pathlib import Path
from fastnst.base.partials import partial_in
with partial_in(Path(sys.argv[1]), as_folder=sys.argv[2] == "folder") as path:
    (path / "part" if path.is_dir() else path).write_text("half of it")
    print(path, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def new_process(monkeypatch) -> None:
    """A process that has swept nothing yet."""
    monkeypatch.setattr(partials, "_swept", set())


@pytest.fixture(params=["file", "folder"])
def writer(request, tmp_path):
    """Another process that is writing into the folder."""
    words = (sys.executable, "-c", WRITER, tmp_path, request.param)
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        process.stdout.readline()
        yield process
        process.kill()


def test_what_a_killed_process_left_goes_when_another_writes_into_the_folder(writer, tmp_path) -> None:
    assert len(os.listdir(tmp_path)) == 1
    writer.kill()
    writer.wait()
    assert len(os.listdir(tmp_path)) == 1
    write_whole(tmp_path / "file", b"whole")
    assert os.listdir(tmp_path) == ["file"]


def test_what_a_living_process_writes_stays(writer, tmp_path) -> None:
    before = os.listdir(tmp_path)
    sweep(tmp_path)
    assert os.listdir(tmp_path) == before


def test_a_process_leaves_nothing_when_it_ends_in_order(writer, tmp_path) -> None:
    writer.communicate("")
    assert os.listdir(tmp_path) == []


def test_only_names_of_ours_are_removed(tmp_path) -> None:
    others = (".partial", ".0123456789ab.part", "0123456789ab.partial", ".0123456789abc.partial", "a.partial.mp4")
    for name in others:
        (tmp_path / name).write_text("")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("kept")
    (tmp_path / ".0123456789ab.partial").symlink_to(elsewhere)
    os.mkfifo(tmp_path / ".0123456789ac.partial")
    sweep(tmp_path)
    assert set(others) < set(os.listdir(tmp_path)) and elsewhere.read_text() == "kept"


def test_a_folder_for_results_with_nothing_but_what_a_killed_process_left_counts_as_empty(tmp_path) -> None:
    (tmp_path / ".0123456789ab.partial").write_text("half of it")
    check_folder(tmp_path, force=False)
    assert os.listdir(tmp_path) == []


def test_a_folder_is_swept_once_in_a_process(tmp_path) -> None:
    sweep(tmp_path)
    (tmp_path / ".0123456789ab.partial").write_text("")
    sweep(tmp_path)
    assert len(os.listdir(tmp_path)) == 1


def test_one_that_is_swept_before_it_is_locked_is_made_again(tmp_path, monkeypatch) -> None:
    lock, swept = partials.fcntl.flock, []

    def late(file: int, how: int) -> None:
        if not swept:
            swept.extend(tmp_path.iterdir())
            swept[0].unlink()
        lock(file, how)

    monkeypatch.setattr(partials.fcntl, "flock", late)
    with partial_in(tmp_path) as path:
        assert path.exists() and path not in swept


def test_a_file_system_without_locks_is_written_to_and_not_swept(tmp_path, monkeypatch) -> None:
    def refused(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(partials.fcntl, "flock", refused)
    left = tmp_path / ".0123456789ab.partial"
    left.write_text("")
    write_whole(tmp_path / "file", b"whole")
    assert sorted(os.listdir(tmp_path)) == [left.name, "file"]


def test_a_folder_that_is_not_there_is_nothing_to_sweep(tmp_path) -> None:
    sweep(Path(tmp_path, "none"))
