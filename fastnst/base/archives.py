"""Archives of PyTorch (`.ckpt`, `.pt`, `.pt2`), looked at before anything is read from them."""

import zipfile
from pathlib import Path, PurePosixPath

MOST_PACKED = 2**24  # bytes of members that are packed, when they are unpacked


def check_archive(path: Path) -> None:
    """Refuse an archive that takes more memory than its file has bytes, or that names places outside.

    PyTorch stores tensors as they are, and packs only code. A packed member can become a thousand times as large, and
    members that lie upon each other as many times as there are members.

    Raises:
        ValueError: It is no such archive.
        OSError: It cannot be read.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, UnicodeDecodeError, RuntimeError) as error:
        raise ValueError(f"no archive ({error})") from None
    stored = sum(member.file_size for member in members if member.compress_type == zipfile.ZIP_STORED)
    packed = sum(member.file_size for member in members) - stored
    if stored > path.stat().st_size or packed > MOST_PACKED:
        raise ValueError("members that are larger than the file")
    for member in members:
        place = PurePosixPath(member.filename.replace("\\", "/"))
        if place.is_absolute() or ".." in place.parts or ":" in "".join(place.parts[:1]):
            raise ValueError(f"a member outside of it, {member.filename!r}")
