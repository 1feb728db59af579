"""ICC profiles made for tests, version 2: the smallest that LittleCMS takes."""

import itertools
import struct
from collections.abc import Callable, Sequence

# Primaries of working spaces, seen under D50: XYZ of red, green and blue.
ADOBE_RGB = ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457))
PROPHOTO = ((0.79767, 0.28804, 0.0), (0.13519, 0.71188, 0.0), (0.03134, 0.00009, 0.82491))


def fixed(*numbers: float) -> bytes:
    return struct.pack(f">{len(numbers)}i", *(round(number * 2**16) for number in numbers))


def gamma(exponent: float) -> bytes:
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(exponent * 2**8))


def samples(values: Sequence[float]) -> bytes:
    return b"curv\0\0\0\0" + struct.pack(f">I{len(values)}H", len(values), *(round(v * 65535) for v in values))


def formula(kind: int, *numbers: float) -> bytes:
    return b"para\0\0\0\0" + struct.pack(">HH", kind, 0) + fixed(*numbers)


def matrix_profile(primaries: Sequence[Sequence[float]], *curves: bytes) -> bytes:
    """For RGB; one curve for all channels or one for each."""
    tags = {
        name: b"XYZ \0\0\0\0" + fixed(*xyz) for name, xyz in zip((b"rXYZ", b"gXYZ", b"bXYZ"), primaries, strict=True)
    }
    each = curves * 3 if len(curves) == 1 else curves
    return _profile(b"mntr", b"RGB ", b"XYZ ", tags | dict(zip((b"rTRC", b"gTRC", b"bTRC"), each, strict=True)))


def grey_profile(curve: bytes) -> bytes:
    return _profile(b"mntr", b"GRAY", b"XYZ ", {b"kTRC": curve})


def table_profile(space: bytes, lab_of: Callable[..., tuple[float, float, float]]) -> bytes:
    """For RGB or CMYK: the colour of each corner of the cube, linear in between."""
    num_channels = {b"RGB ": 3, b"CMYK": 4}[space]
    corners = [lab_of(*corner) for corner in itertools.product((0, 1), repeat=num_channels)]
    table = b"".join(bytes([round(light * 2.55), round(a) + 128, round(b) + 128]) for light, a, b in corners)
    head = struct.pack(">4s4x4B", b"mft1", num_channels, 3, 2, 0) + fixed(1, 0, 0, 0, 1, 0, 0, 0, 1)
    identity = bytes(range(256))
    return _profile(b"prtr", space, b"Lab ", {b"A2B0": head + identity * num_channels + table + identity * 3})


def _profile(kind: bytes, space: bytes, connection: bytes, tags: dict[bytes, bytes]) -> bytes:
    tags = {b"wtpt": b"XYZ \0\0\0\0" + fixed(0.9642, 1.0, 0.8249), **tags}
    start = 128 + 4 + 12 * len(tags)
    table, data = struct.pack(">I", len(tags)), b""
    for name, tag in tags.items():
        table += struct.pack(">4sII", name, start + len(data), len(tag))
        data += tag + bytes(-len(tag) % 4)
    head = struct.pack(">I4xI4s4s4s", start + len(data), 0x02400000, kind, space, connection)
    head += struct.pack(">6H4s", 2020, 1, 1, 0, 0, 0, b"acsp") + bytes(28) + fixed(0.9642, 1.0, 0.8249)
    return head.ljust(128, b"\0") + table + data
