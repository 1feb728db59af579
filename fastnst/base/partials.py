"""Hidden files and folders that are being written, beside their final names.

Who writes one holds a lock on it. What has no lock was left by a process that died, and is removed by the next one that
writes into the same folder.
"""

import os
import re
import secrets
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

if sys.platform != "win32":  # there, a file that is open cannot be removed
    import fcntl

_NAME = re.compile(r"\.[0-9a-f]{12}\.partial")
_swept: set[str] = set()


@contextmanager
def partial_in(folder: Path, *, as_folder: bool = False) -> Iterator[Path]:
    """A hidden file, or a hidden folder, for this process alone. If it has no other name at the end, it is removed.

    Where that fails, as on a disk that went away, the next process removes it.

    Args:
        folder: Where to make it. What dead processes left there is removed, once in each process.
        as_folder: Whether it is a folder.
    """
    sweep(folder)
    path, lock = _made(folder, as_folder=as_folder)
    try:
        yield path
    finally:
        with suppress(OSError):
            _remove(path)
        if lock is not None:
            with suppress(OSError):
                os.close(lock)


def sweep(folder: Path) -> None:
    """Remove what dead processes left in a folder; once in each process."""
    if (key := os.path.abspath(folder)) in _swept:
        return
    _swept.add(key)
    with suppress(OSError):
        for name in os.listdir(folder):
            if _NAME.fullmatch(name):
                with suppress(OSError):  # another process writes it, or it is none of this user's
                    _remove_unlocked(folder / name)


def _made(folder: Path, *, as_folder: bool) -> tuple[Path, int | None]:
    """A new file or folder, and the lock on it, where there are locks."""
    while True:
        path = folder / f".{secrets.token_hex(6)}.partial"
        path.mkdir() if as_folder else path.touch(exist_ok=False)
        if sys.platform == "win32":
            return path, None
        try:
            lock = os.open(path, os.O_RDONLY)
        except FileNotFoundError:  # another process swept it before it was opened
            continue
        with suppress(OSError):  # a file system without locks, where nothing is swept
            fcntl.flock(lock, fcntl.LOCK_EX)
        if path.exists():
            return path, lock
        os.close(lock)  # another process swept it before it was locked


def _remove_unlocked(path: Path) -> None:
    if sys.platform == "win32":
        _remove(path)
        return
    lock = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _remove(path)
    finally:
        os.close(lock)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
