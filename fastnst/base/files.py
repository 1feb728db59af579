"""Files that are written whole or not at all, and their hashes."""

import hashlib
import json
import os
import secrets
import shlex
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from fastnst.base.errors import UserError

PACKAGE = Path(__file__).parent.parent  # a wheel has configs and checkpoints inside, a clone beside it


@contextmanager
def whole_file(target: Path | BinaryIO, *, replace: bool = True) -> Iterator[BinaryIO]:
    """A file to write and read, under another name and renamed at the end, so that half a file is never seen.

    Its folder is made. If anything fails, the old file is unchanged and nothing else is left.

    Args:
        target: The file, or a stream that gets the bytes at the end.
        replace: Whether to replace an existing file.

    Raises:
        FileExistsError: Without `replace`, the file exists.
    """
    if not isinstance(target, Path):
        with tempfile.TemporaryFile() as file:
            yield file
            file.seek(0)
            shutil.copyfileobj(file, target)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{secrets.token_hex(6)}.partial")
    try:
        with partial.open("w+b") as file:
            yield file
        give_name(partial, target, replace=replace)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def write_whole(path: Path, data: bytes, *, replace: bool = True) -> None:
    """Write bytes to a `whole_file`."""
    with whole_file(path, replace=replace) as file:
        file.write(data)


def give_name(partial: Path, path: Path, *, replace: bool = True) -> None:
    """Rename a finished file in the same folder to its final name.

    Raises:
        FileExistsError: Without `replace`, the name is taken: another process may have written the file since the
            check.
    """
    if replace:
        os.replace(partial, path)
        return
    taken = f"{path} exists by now: --force replaces it"
    try:
        os.link(partial, path)  # fails where the name is taken, in one step
    except FileExistsError:
        raise FileExistsError(taken) from None
    except OSError:  # a file system without links
        if path.exists():
            raise FileExistsError(taken) from None
        os.replace(partial, path)
    else:
        partial.unlink()


def write_json(path: Path, values: Any) -> None:
    """Write JSON values, completely or not at all."""
    write_whole(path, (json.dumps(values, indent=1) + "\n").encode())


def pasted(path: str | Path) -> str:
    """A file's name as it can be pasted into a shell, and is not taken for a flag.

    Example:
        >>> pasted("my photo.jpg"), pasted("-beach.jpg")
        ("'my photo.jpg'", './-beach.jpg')
    """
    name = str(path)
    return shlex.quote(f"./{name}" if name.startswith("-") else name)


def sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_place(file: Path) -> None:
    """Refuse a file that could not be written, before any work: its folder is made if there is none.

    Raises:
        UserError: The nearest folder that exists is a file, or cannot be written to.
    """
    place = next(folder for folder in file.absolute().parents if folder.exists())
    if not (place.is_dir() and os.access(place, os.W_OK)):
        raise UserError(f"{file}: {place} is no folder that can be written to")


def check_folder(folder: Path, *, force: bool) -> None:
    """Refuse a path for results that is not a folder, or without `force` a folder that is not empty, before any work.

    Raises:
        OSError: The path cannot be used.
    """
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"{folder}: expected a folder, found a file")
    if folder.exists() and any(folder.iterdir()) and not force:
        raise FileExistsError(f"{folder} is not empty: --force replaces the files of the same names")
