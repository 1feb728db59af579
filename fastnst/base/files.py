"""Files that are written whole or not at all, and their hashes."""

import errno
import hashlib
import json
import os
import shlex
import shutil
import stat
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import Any, BinaryIO

from fastnst.base.errors import NoFileError, UserError, told_of
from fastnst.base.partials import partial_in, sweep

PACKAGE = Path(__file__).parent.parent  # a wheel has configs and checkpoints inside, a clone beside it


@contextmanager
def whole_file(target: Path | BinaryIO, *, replace: bool = True) -> Iterator[BinaryIO]:
    """A file to write and read, under another name and renamed at the end, so that half a file is never seen.

    Its folder is made. If anything fails, the old file is unchanged and nothing else is left. A process that is killed
    leaves a hidden file, which the next one removes. Once this is over, the file survives a power cut.

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
    with told_of(target):
        with partial_in(make_folder(target.parent)) as partial:
            with partial.open("w+b") as file:
                yield file
            give_name(partial, target, replace=replace)


def write_whole(path: Path, data: bytes, *, replace: bool = True) -> None:
    """Write bytes to a `whole_file`."""
    with whole_file(path, replace=replace) as file:
        file.write(data)


def give_name(partial: Path, path: Path, *, replace: bool = True) -> None:
    """Rename a finished file of the same file system to its final name; both then survive a power cut.

    The content goes to the disk before the name: otherwise a power cut could leave an empty file of that name.

    Raises:
        FileExistsError: Without `replace`, the name is taken: another process may have written the file since the
            check.
    """
    to_disk(partial)
    if replace:
        os.replace(partial, path)
    else:
        _give_free_name(partial, path)
    to_disk(path.parent)


def give_names(names: dict[Path, Path], *, replace: bool = True) -> None:
    """Rename finished files that belong together, in their order; an old last one must not be met with new others.

    So it goes first. Who is killed before the end leaves neither the old files as they were nor all new ones.
    """
    if replace and len(names) > 1:
        last = [*names.values()][-1]
        last.unlink(missing_ok=True)
        to_disk(last.parent)
    for partial, path in names.items():
        give_name(partial, path, replace=replace)


def _give_free_name(partial: Path, path: Path) -> None:
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


def make_folder(folder: Path) -> Path:
    """Make a folder and those above it, if they are missing; they then survive a power cut. Returns the folder."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for each in missing:
        to_disk(each.parent)
    return folder


def to_disk(path: Path) -> None:
    """Wait until the content of a file, or the names in a folder, would survive a power cut."""
    is_folder = path.is_dir()
    if is_folder and os.name == "nt":  # which has no such thing
        return
    file = os.open(path, os.O_RDONLY if is_folder else os.O_RDWR)
    try:
        os.fsync(file)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS):  # a file system that does not know it
            raise
    finally:
        os.close(file)


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


def open_file(path: Path) -> BufferedReader:
    """A file, open for reading. What is none is refused: a pipe that nobody writes to would be waited for for ever.

    Raises:
        NoFileError: It is a pipe or a device.
        OSError: It cannot be opened, or is a folder.
    """
    at_once = getattr(os, "O_NONBLOCK", 0)  # Windows has no such pipes
    file = open(path, "rb", opener=lambda name, flags: os.open(name, flags | at_once))
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise NoFileError(f"{path} is a pipe or a device, and no file")
    return file


def read_whole(path: Path) -> bytes:
    """The bytes of a file; an OSError that names it, also if its disk goes away while it is read."""
    with told_of(path, reads=True), open_file(path) as file:
        return file.read()


def sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with told_of(path, reads=True), open_file(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_place(file: Path) -> None:
    """Refuse a file that could not be written, before any work: its folder is made if there is none.

    What killed processes left in the folder is removed, also if the command then refuses to replace the file: killed
    right after it named a result, a process leaves its hidden name too.

    Raises:
        UserError: The nearest folder that exists is a file, or cannot be written to.
    """
    _check_writable(file, file.absolute().parents)
    sweep(file.parent)


def check_folder(folder: Path, *, force: bool) -> None:
    """Refuse a path for results that is not a folder, or without `force` a folder that is not empty, before any work.

    Raises:
        UserError: It could not be written to.
        OSError: The path cannot be used.
    """
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"{folder}: expected a folder, found a file")
    sweep(folder)  # what a killed process left is no reason to refuse the folder
    if folder.exists() and any(folder.iterdir()) and not force:
        raise FileExistsError(f"{folder} is not empty: --force replaces the files of the same names")
    _check_writable(folder, (folder.absolute(), *folder.absolute().parents))


def _check_writable(result: Path, folders: Sequence[Path]) -> None:
    place = next(folder for folder in folders if folder.exists())
    if not (place.is_dir() and os.access(place, os.W_OK)):
        raise UserError(f"{result}: {place} is no folder that can be written to")
