"""Scans of a JPEG file: each goes over all pixels again, so very many of them take hours of a small file."""

import re
from typing import BinaryIO

from fastnst.images.formats import ImageError

MOST_SCANS = 100  # progressive files have about 10
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")  # in compressed data, others follow a 255
_SCAN, _END = 0xDA, 0xD9


def check_scans(file: BinaryIO) -> None:
    """Refuse a JPEG file of more scans than any program writes; nothing is decoded."""
    file.seek(2)
    data, place, scans = file.read(), 0, 0
    while found := _MARKER.search(data, place):
        marker, place = data[found.start() + 1], found.end()
        if marker == _END:
            break
        scans += marker == _SCAN
        if scans > MOST_SCANS:
            raise ImageError(f"more than {MOST_SCANS} scans, which no program writes")
        place += int.from_bytes(data[place : place + 2], "big")
