"""Archives of PyTorch (`.ckpt`, `.pt`, `.pt2`), looked at before anything is read from them."""

import zipfile
from pathlib import Path, PurePosixPath


def check_archive(path: Path) -> None:
    """Refuse an archive that takes more memory than its file has bytes, or that names places outside.

    PyTorch stores members as they are. A compressed one can become a thousand times as large, and members that lie upon
    each other as many times as there are members.

    Raises:
        ValueError: It is no such archive.
        OSError: It cannot be read.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, UnicodeDecodeError, RuntimeError) as error:
        raise ValueError(f"no archive ({error})") from None
    if any(member.compress_type != zipfile.ZIP_STORED for member in members):
        raise ValueError("compressed members")
    if sum(member.file_size for member in members) > path.stat().st_size:
        raise ValueError("members that are larger than the file")
    for member in members:
        place = PurePosixPath(member.filename.replace("\\", "/"))
        if place.is_absolute() or ".." in place.parts or ":" in "".join(place.parts[:1]):
            raise ValueError(f"a member outside of it, {member.filename!r}")
