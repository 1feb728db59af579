import os

import pytest

from fastnst.base.files import write_whole


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
