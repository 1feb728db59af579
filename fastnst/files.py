"""Files that are there whole or not at all, and what tells one from another."""

import hashlib
import json
import os
import secrets
from pathlib import Path
from typing import Any, BinaryIO


def write_whole(path: Path, data: bytes) -> None:
    """Write beside and rename, so that no one ever sees half a file; makes the folder.

    The old file stays as it was if anything fails, and nothing is left beside it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{secrets.token_hex(6)}.partial")
    try:
        partial.write_bytes(data)
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def write_out(target: Path | BinaryIO, data: bytes) -> None:
    """Write to a file, whole or not at all, or to a stream."""
    if isinstance(target, Path):
        write_whole(target, data)
    else:
        target.write(data)


def write_json(path: Path, values: Any) -> None:
    """Write JSON values, completely or not at all."""
    write_whole(path, (json.dumps(values, indent=1) + "\n").encode())


def sha256(path: Path) -> str:
    """Of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_folder(folder: Path, *, force: bool) -> None:
    """Refuse, before any work, a place for results that is no folder, or without `force` one that holds anything.

    Raises:
        OSError: One line that names it.
    """
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"{folder}: expected a folder, found a file")
    if folder.exists() and any(folder.iterdir()) and not force:
        raise FileExistsError(f"{folder} is not empty: --force replaces the files of the same names")
