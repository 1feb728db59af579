"""Errors caused by bad input, shown as one line. Everything else that is raised is a bug and shows its traceback.

UserError(ValueError)
    ImageError       a picture that cannot be read or written        images/formats.py
    LossNetworkError an unknown layer, network or weights file       perception/weights.py
    DataError        photos that cannot be found or read             training/sources.py
    StyleFileError   a style that is missing, broken or no style     networks/catalog.py
    TrainingError    a run that cannot start or be resumed           here
Interrupted(Exception)   stopped by a signal; what was done is saved

NoFileError(OSError)     a pipe or a device in place of a file

What the system refuses to write or read stays an OSError; `told_of` says in one line which file, why, and what helps.
"""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

GONE = (errno.EIO, errno.ENXIO, errno.ENODEV, errno.ESTALE, errno.ENOTCONN)  # what a disk says that is broken or away
_NO_ANSWER = "its disk does not answer: see that it is there, and begin again"
_ELSEWHERE = "choose another place"
_REASONS = {
    **dict.fromkeys(GONE, _NO_ANSWER),
    errno.ENOSPC: f"no space is left: make room, there or among temporary files (TMPDIR), or {_ELSEWHERE}",
    errno.EDQUOT: f"the quota is used up: make room, or {_ELSEWHERE}",
    errno.EROFS: f"the disk is read-only: {_ELSEWHERE}",
    errno.EACCES: f"not allowed to write there: {_ELSEWHERE}",
    errno.EPERM: f"not allowed to write there: {_ELSEWHERE}",
    errno.ENAMETOOLONG: "its name is too long: choose a shorter one",
}


class UserError(ValueError):
    """Bad input. The message is one line: what was expected, what came, what to do."""


class TrainingError(UserError):
    """A run that cannot start or be resumed."""


class Interrupted(Exception):
    """Stopped by Ctrl-C or SIGTERM; the message says what was saved and how to resume."""


class NoFileError(OSError):
    """A pipe, a device or a socket in place of a file."""


@contextmanager
def told_of(path: Path, *, reads: bool = False) -> Iterator[None]:
    """Say of a file or folder that cannot be written, or read, which one it is, why, and what helps.

    Raises:
        OSError: Of the same class, in one line.
    """
    try:
        yield
    except OSError as error:
        if (reason := reason_for(error, reads=reads)) is None:  # another one, or told already
            raise
        raise type(error)(f"{path} cannot be {'read' if reads else 'written'}: {reason}") from error


def reason_for(error: OSError, *, reads: bool = False) -> str | None:
    """Why something cannot be written, or read, and what helps; None of an error of which nothing more is known."""
    return None if reads and error.errno not in GONE else _REASONS.get(error.errno or 0)


def in_words(error: OSError) -> str:
    """An error of the system in one line, with a way out if a name is too long, or a disk away."""
    if error.errno in (errno.ENAMETOOLONG, *GONE) and error.filename:
        return f"{error.filename}: {_REASONS[error.errno]}"
    return str(error)
