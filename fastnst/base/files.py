"""Files that are there whole or not at all, and what tells one from another."""

import hashlib
import json
import os
import secrets
from pathlib import Path
from typing import Any, BinaryIO

PACKAGE = Path(__file__).parent.parent  # a wheel has configs and checkpoints inside, a clone beside it


def write_whole(path: Path, data: bytes, *, replace: bool = True) -> None:
    """Write beside and rename, so that no one ever sees half a file; makes the folder.

    The old file stays as it was if anything fails, and nothing is left beside it.

    Raises:
        FileExistsError: Without `replace`, a file that is there by now.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{secrets.token_hex(6)}.partial")
    try:
        partial.write_bytes(data)
        give_name(partial, path, replace=replace)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def give_name(partial: Path, path: Path, *, replace: bool = True) -> None:
    """Give a finished file, which stands beside, its name.

    Raises:
        FileExistsError: Without `replace`, a file of that name is there by now: another process may have written it
            since this one checked.
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


def write_out(target: Path | BinaryIO, data: bytes, *, replace: bool = True) -> None:
    """Write to a file, whole or not at all, or to a stream."""
    if isinstance(target, Path):
        write_whole(target, data, replace=replace)
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
