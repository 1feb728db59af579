"""The part abuse: damaged files, attacks and slow bodies, twice, and another client who is served all the time."""

import argparse
import random
import socket
import struct
import sys
import threading
import time
import zlib
from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from io import BytesIO
from itertools import chain, islice
from pathlib import Path

from PIL import Image
from service import UPLOAD_SECONDS, Found, Limit, Server, answer_to, ends_with_zero, only

sys.path.append(str(Path(__file__).resolve().parents[2] / "tests"))
from malformed import honest_pictures, mutated

FORMATS = ("jpeg", "png", "webp", "tiff", "gif", "avif")  # that the service is told to read


def honest(photo: bytes) -> dict[str, list[bytes]]:
    """Whole pictures of each format: small ones of many kinds, and the photo."""
    small = honest_pictures()
    with Image.open(BytesIO(photo)) as image:
        image.load()
    found = {}
    for format in FORMATS:
        image.save(file := BytesIO(), format)
        found[format] = [file.getvalue(), *(data for name, data in small.items() if name.endswith(format))]
    return found


def damaged(photo: bytes) -> Iterator[tuple[str, bytes]]:
    """Files of each format in turn that went wrong, with the name of the format."""
    chance, whole = random.Random(0), honest(photo)
    others = [data for files in whole.values() for data in files]
    while True:
        for format, files in whole.items():
            data, kind = chance.choice(files), chance.randrange(4)
            if kind == 0:  # broken off
                data = data[: chance.randrange(1, len(data))]
            elif kind == 1:  # many bytes
                changed = bytearray(data)
                for _ in range(chance.randrange(1, 50)):
                    changed[chance.randrange(4, len(data))] = chance.randrange(256)
                data = bytes(changed)
            else:  # numbers of the header, pieces left out, repeated or of another file
                data = mutated(data, chance, chance.choice(others))
            yield format, data


class Other(threading.Thread):
    """Another client, who asks for a picture now and then, and the answers that came."""

    def __init__(self, server: Server, photo: bytes) -> None:
        super().__init__()
        self._server, self._photo, self._over = server, photo, threading.Event()
        self.answers: Counter[str] = Counter()

    def run(self) -> None:
        """Until `stop`."""
        while not self._over.wait(0.2):
            self.answers[answer_to(lambda: self._server.stylize(self._photo))] += 1

    def stop(self) -> None:
        """The last answer is waited for."""
        self._over.set()
        self.join()


def abuse(given: argparse.Namespace, photo: bytes) -> Found:
    """Clients that are broken, slow or mean, beside one that is not."""
    if given.folder:
        paths = [path for path in sorted(given.folder.rglob("*")) if path.is_file()]
        files = [(path.suffix.lstrip(".").lower() or "none", path.read_bytes()) for path in paths]
    else:
        files = list(islice(damaged(photo), given.damaged))
    random.Random(0).shuffle(files)  # so that each pass has all formats, also as paintings
    half = (len(files) + 1) // 2
    passes = files[:half], files[half:]
    paintings = [each[:: given.every] for each in passes]
    broken, as_painting, left_open = [], [], 0
    attacks, slow, served = {name: Counter[str]() for name in ATTACKS}, Counter[str](), Counter[str]()
    with Server(photo, given.side, queue=62, flags=("--formats", *FORMATS)) as server:
        server.form(photo, photo)
        time.sleep(6)  # until no connection is kept
        files_open, own = server.open_files, [server.memory[0]]
        for number in range(2):
            other = Other(server, photo)
            other.start()
            with ThreadPoolExecutor(2) as pool:
                broken += pool.map(lambda file: answer_and_picture(server, file[1]), passes[number])
                as_painting += pool.map(lambda file: answer_to(lambda: server.form(photo, file[1])), paintings[number])
            for name, attack in ATTACKS.items():
                for _ in range(number, given.repeat, 2):
                    attacks[name][answer_to(lambda attack=attack: attack(server, photo))] += 1
            slow += slow_bodies(server, photo, given.slow)
            other.stop()
            served += other.answers
            deadline = time.monotonic() + 30
            while (still_open := server.open_files - files_open) > 0 and time.monotonic() < deadline:
                time.sleep(0.5)
            left_open = max(left_open, still_open)
            own.append(server.memory[0])
        alive = Counter([answer_to(lambda: server.get("/livez")), answer_to(lambda: server.stylize(photo))])
        runtime = server.runtime
        ended = ends_with_zero(server)
    by_format: dict[str, Counter[str]] = {}
    for (format, _), (answer, _) in zip(files, broken, strict=True):
        by_format.setdefault(format, Counter())[answer] += 1
    grown = own[2] / own[1] - 1
    asked = [*zip(files, (answer for answer, _ in broken), strict=True)]
    asked += zip(chain(*paintings), (f"{answer} as a painting" for answer in as_painting), strict=True)
    told = [
        {"format": format, "answer": answer, "file": b64encode(data).decode()}
        for (format, data), answer in asked
        if not answer.startswith(("200", "4"))
    ]
    no_picture = [number for number, (answer, whole) in enumerate(broken) if answer == "200" and not whole]
    tracebacks = [line for line in server.log if "Traceback" in line]
    attacked = sum(attacks.values(), Counter[str]())
    found = {
        "damaged_files": {"n": len(files), "answers_by_format": {name: dict(seen) for name, seen in by_format.items()}},
        "damaged_paintings": {"n": len(as_painting), "answers": dict(Counter(as_painting))},
        "neither_200_nor_4xx": told[:50],
        "attacks": {name: dict(seen) for name, seen in attacks.items()},
        "slow_bodies": dict(slow),
        "another_client": dict(served),
        "own_bytes": dict(zip(("before", "after_the_first_pass", "after_the_second_pass"), own, strict=True)),
        "memory_grows_by": {"first_pass": own[1] / own[0] - 1, "second_pass": grown},
        "log_beside_requests": [line[:2000] for line in server.log[:20]],
        "runtime": {"service": runtime},
    }
    return found, {
        "damaged files": Limit("4xx, or 200 for one that can be read all the same", len(told), not told),
        "pictures": Limit("every answer 200 is a whole picture", no_picture, not no_picture),
        "attacks": Limit(
            "4xx, the connection closed without an answer (0), or 200 where enough of the photo came",
            dict(attacked),
            bool(attacked) and all(each in ("0", "200") or each[0] == "4" for each in attacked),
        ),
        "slow bodies": only(slow, "408"),
        "another client": only(served, "200"),
        "files left open": Limit("none after half a minute", left_open, left_open <= 0),
        "memory": Limit(
            "own memory: after the second pass at most 3 % above that after the first", grown, grown <= 0.03
        ),
        "tracebacks": Limit("none", len(tracebacks), not tracebacks),
        "alive afterwards": only(alive, "200"),
        "end": ended,
    }


def answer_and_picture(server: Server, file: bytes) -> tuple[str, bool]:
    """The answer to a file, and whether a picture came that can be read to its end."""
    body = b""

    def ask() -> int:
        nonlocal body
        status, body = server.painted(file)
        return status

    answer = answer_to(ask)
    if answer != "200":
        return answer, False
    try:
        with Image.open(BytesIO(body)) as image:
            image.load()
    except (OSError, SyntaxError, ValueError):
        return answer, False
    return answer, True


def sent(server: Server, data: bytes, *, end: bool = False) -> int:
    """The status of what is answered to bytes; 0 if the connection is closed without an answer."""
    with server.connect() as connection:
        with suppress(OSError):
            connection.sendall(data)
            if end:
                connection.shutdown(socket.SHUT_WR)
        try:
            return status_in(connection.recv(4096))
        except ConnectionResetError:
            return 0


def status_in(data: bytes) -> int:
    """The status in the first line of an answer; 0 if there is none."""
    return int([*data.split(b" ", 2), b"0", b"0"][1])


def head(length: int | str, path: str = "/v1/stylize") -> bytes:
    """Headers of a request."""
    return f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n".encode()


def bomb(width: int, height: int) -> bytes:
    """A PNG file of 10 kB with a large picture."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    data = zlib.compress(bytes(10_000_000), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def hang_up(server: Server, photo: bytes) -> int:
    """A client that resets its connection in the middle of a body, or when it is sent."""
    for length in (len(photo) // 2, len(photo)):
        with server.connect() as connection:
            connection.sendall(head(len(photo)) + photo[:length])
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return 0


BOMB = bomb(30_000, 30_000)
ATTACKS: dict[str, Callable[[Server, bytes], int]] = {
    "a bomb of 900 megapixels in 10 kB": lambda server, _: server.stylize(BOMB),
    "the same as a painting": lambda server, photo: server.form(photo, BOMB),
    "a length of 10^12": lambda server, _: sent(server, head(10**12)),
    "a length of -1": lambda server, _: sent(server, head(-1)),
    "a length that is too long": lambda server, photo: sent(server, head(len(photo) + 999) + photo, end=True),
    "a length that is too short": lambda server, photo: sent(server, head(len(photo) - 999) + photo),
    "a client that hangs up": hang_up,
    "a style ../../etc/passwd": lambda server, photo: sent(
        server, head(len(photo), "/v1/stylize?style=../../etc/passwd") + photo
    ),
    "a path /../../etc/passwd": lambda server, _: sent(server, b"GET /../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n"),
    "no HTTP": lambda server, _: sent(server, bytes(range(256)) * 40),
}


def slow_bodies(server: Server, photo: bytes, count: int) -> Counter[str]:
    """Answers to clients that send a byte now and then, until the service has enough of it."""
    connections = [server.connect() for _ in range(count)]
    for connection in connections:
        connection.sendall(head(len(photo)) + photo[:10])
    for place in range(10, 10 + UPLOAD_SECONDS * 2):
        for connection in connections:
            with suppress(OSError):
                connection.sendall(photo[place : place + 1])
        time.sleep(0.25)
    answers = Counter[str]()
    for connection in connections:
        with connection:
            answers[answer_to(lambda connection=connection: status_in(connection.recv(4096)))] += 1
    return answers
