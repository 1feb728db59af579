import io
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from fastnst.base.files import give_name, give_names, whole_file, write_whole


def test_a_file_appears_whole_with_its_folder_and_ordinary_rights(tmp_path) -> None:
    path = tmp_path / "new" / "file"
    write_whole(path, b"all of it")
    assert path.read_bytes() == b"all of it"
    assert os.listdir(path.parent) == ["file"]
    mask = os.umask(0)
    os.umask(mask)
    assert path.stat().st_mode & 0o777 == 0o666 & ~mask


def test_a_failure_keeps_the_old_file_and_leaves_nothing(tmp_path, monkeypatch) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("fastnst.base.files.os.replace", fail)
    with pytest.raises(OSError, match="disk full"):
        write_whole(path, b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize("place", [1, 2])
def test_files_that_belong_together_are_never_half_old_and_half_new(place, tmp_path, monkeypatch) -> None:
    for name in ("first", "second"):
        (tmp_path / name).write_text("old")
        (tmp_path / f"draft of {name}").write_text("new")
    names = {tmp_path / f"draft of {name}": tmp_path / name for name in ("first", "second")}
    replace, calls = os.replace, []

    def cut(*paths: Path) -> None:
        calls.append(paths)
        if len(calls) == place:
            raise KeyboardInterrupt
        replace(*paths)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("fastnst.base.files.os.replace", cut)
        give_names(names)
    assert not (tmp_path / "second").exists()
    for name in ("first", "second"):
        (tmp_path / f"draft of {name}").write_text("new")
    give_names(names)
    assert [(tmp_path / name).read_text() for name in ("first", "second")] == ["new", "new"]


@pytest.fixture(params=["links", "no links"])
def file_system(request, monkeypatch) -> str:
    """One with hard links, and one without, such as FAT."""

    def refused(*_: object) -> None:
        raise OSError(1, "Operation not permitted")

    if request.param == "no links":
        monkeypatch.setattr("fastnst.base.files.os.link", refused)
    return str(request.param)


def test_a_file_that_appeared_meanwhile_stays(tmp_path, file_system) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"of another process")
    with pytest.raises(FileExistsError) as caught:
        write_whole(path, b"new", replace=False)
    assert str(caught.value) == f"{path} exists by now: --force replaces it"
    assert path.read_bytes() == b"of another process"
    assert os.listdir(tmp_path) == ["file"]
    write_whole(path, b"new")
    assert path.read_bytes() == b"new" and os.listdir(tmp_path) == ["file"]


def test_a_name_that_is_free_is_given_once_and_nothing_is_left_beside(tmp_path, file_system) -> None:
    for content in (b"first", b"second"):
        partial = tmp_path / ".partial"
        partial.write_bytes(content)
        if content == b"first":
            give_name(partial, tmp_path / "file", replace=False)
            assert os.listdir(tmp_path) == ["file"]
        else:
            with pytest.raises(FileExistsError, match="file exists by now: --force replaces it"):
                give_name(partial, tmp_path / "file", replace=False)
    assert (tmp_path / "file").read_bytes() == b"first"
    assert (tmp_path / ".partial").read_bytes() == b"second"  # is whoever's who wrote it


def test_a_folder_of_that_name_is_not_replaced(tmp_path, file_system) -> None:
    (tmp_path / "file").mkdir()
    with pytest.raises(FileExistsError, match="file exists by now"):
        write_whole(tmp_path / "file", b"new", replace=False)
    assert os.listdir(tmp_path) == ["file"]


def test_of_many_writers_one_wins(tmp_path) -> None:
    path, ready = tmp_path / "file", threading.Barrier(8)

    def write(number: int) -> bool:
        ready.wait()
        try:
            write_whole(path, bytes([number]) * 1000, replace=False)
        except FileExistsError:
            return False
        return True

    with ThreadPoolExecutor(8) as threads:
        won = list(threads.map(write, range(8)))
    assert sum(won) == 1
    assert path.read_bytes() == bytes([won.index(True)]) * 1000
    assert os.listdir(tmp_path) == ["file"]


def test_a_stream_is_written_to_whatever_may_be_replaced() -> None:
    with whole_file(stream := io.BytesIO(), replace=False) as file:
        file.write(b"all of it")
    assert stream.getvalue() == b"all of it"
