"""Load and abuse of `fastnst serve`: python measure.py PART -o result.json.

throughput  clients that ask again at once, beside `Stylizer` in a loop over the same photo, file in and file out, in
            turns in one run; the only answers but 200 are the 429 of a full queue (11 minutes)
latency     p50 and p99 of one answer at a rate of requests a second, say half of the throughput (5 minutes)
memory      resident memory over many requests of small pictures
abuse       damaged files, those of a folder or made at random; bodies and headers that arrive byte by byte, wrong
            lengths, bombs, clients that hang up, names with ../; another client is served all the time

The first two need a machine on which nothing else runs. Needs `pip install '.[serve]'`.
"""

import argparse
import http.client
import json
import os
import random
import signal
import socket
import statistics
import struct
import subprocess
import sys
import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import psutil
import torch
from PIL import Image

from fastnst import Stylizer, __version__
from fastnst.base.devices import describe_device
from fastnst.images.photos import resolve_photo
from fastnst.images.read import read_picture
from fastnst.images.write import save_picture

PHOTO = "sample:astronaut"
UPLOAD_SECONDS = 10  # that a request may take to arrive


class Server:
    """`fastnst serve` as a process."""

    def __init__(self, queue: int, *flags: str) -> None:
        command = [sys.executable, "-m", "fastnst", "serve", "--port", "0", "--runtime", "torch"]
        command += ["--upload-seconds", str(UPLOAD_SECONDS)]
        self.process = subprocess.Popen(
            [*command, "--queue", str(queue), "--threads", "2", *flags], stderr=subprocess.PIPE, text=True
        )
        assert self.process.stderr is not None
        self.port = int(json.loads(self.process.stderr.readline())["url"].rpartition(":")[2])
        self.tracebacks = 0
        threading.Thread(target=self._read_log, daemon=True).start()
        while True:
            try:
                self.get("/readyz")
                return
            except OSError:
                time.sleep(0.1)

    def _read_log(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.tracebacks += "Traceback" in line

    def get(self, path: str) -> int:
        """The status of an address."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        connection.request("GET", path)
        status = connection.getresponse().status
        connection.close()
        return status

    def stylize(self, photo: bytes, connection: http.client.HTTPConnection | None = None) -> int:
        """The status of an answer, which is read to its end."""
        own = connection or http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        own.request("POST", "/v1/stylize", photo, {"Content-Type": "image/jpeg"})
        answer = own.getresponse()
        answer.read()
        if connection is None:
            own.close()
        return answer.status

    def form(self, photo: bytes, painting: bytes) -> int:
        """The status of an answer to a photo and a painting."""
        parts = (("photo", photo), ("painting", painting))
        head = '--edge\r\nContent-Disposition: form-data; name="{0}"; filename="{0}"\r\n\r\n'
        body = b"".join(head.format(name).encode() + data + b"\r\n" for name, data in parts) + b"--edge--\r\n"
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        connection.request("POST", "/v1/stylize", body, {"Content-Type": "multipart/form-data; boundary=edge"})
        answer = connection.getresponse()
        answer.read()
        connection.close()
        return answer.status

    def connect(self) -> socket.socket:
        """A connection on which nothing was sent."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=60)

    def open_files(self) -> int:
        """Files and connections that are open."""
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def stop(self) -> int:
        """The exit code, when it was asked to end."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(120)

    @property
    def resident(self) -> int:
        """Bytes of memory."""
        return int(psutil.Process(self.process.pid).memory_info().rss)


def busy(server: Server, photo: bytes, clients: int, seconds: float) -> tuple[float, Counter[int]]:
    """Pictures a second, and how often each status came, of clients that ask again at once."""
    statuses: Counter[int] = Counter()
    lock, end = threading.Lock(), time.perf_counter() + seconds

    def client() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)
        while time.perf_counter() < end:
            status = server.stylize(photo, connection)
            with lock:
                statuses[status] += 1

    started = time.perf_counter()
    threads = [threading.Thread(target=client) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return statuses[200] / (time.perf_counter() - started), statuses


def loop(stylizer: Stylizer, photo: bytes, seconds: float) -> float:
    """Pictures a second of `Stylizer` in a loop, file in and file out."""
    count, started = 0, time.perf_counter()
    while time.perf_counter() - started < seconds:
        picture = read_picture(BytesIO(photo))
        shape = (1, picture.image.bands, *picture.size)
        painted = picture.painted(stylizer.parts(picture.part, shape, picture.dtype))
        save_picture(painted, BytesIO(), format="jpeg", stylized=True)
        count += 1
    return count / (time.perf_counter() - started)


def at_rate(server: Server, photo: bytes, rate: float, seconds: float) -> list[float]:
    """Times of answers to requests that come at random moments, so many a second on average."""
    chance = random.Random(0)
    times: list[float] = []

    def one() -> None:
        started = time.perf_counter()
        assert server.stylize(photo) == 200
        times.append(time.perf_counter() - started)

    with ThreadPoolExecutor(64) as pool:
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            time.sleep(chance.expovariate(rate))
            pool.submit(one)
    return sorted(times)


def damaged(photo: bytes, count: int) -> list[bytes]:
    """Files that begin like a photo and go wrong."""
    chance = random.Random(0)
    files = []
    for _ in range(count):
        data = bytearray(photo)
        for _ in range(chance.randrange(1, 50)):
            data[chance.randrange(4, len(data))] = chance.randrange(256)
        files.append(bytes(data[: chance.randrange(8, len(data))]))
    return files


class Other(threading.Thread):
    """Another client, who asks for a picture now and then; `statuses` counts the answers, None for no answer."""

    def __init__(self, server: Server, photo: bytes) -> None:
        super().__init__()
        self._server, self._photo, self._over = server, photo, threading.Event()
        self.statuses: Counter[int | None] = Counter()

    def run(self) -> None:
        """Until `stop`."""
        while not self._over.wait(0.2):
            try:
                self.statuses[self._server.stylize(self._photo)] += 1
            except OSError:
                self.statuses[None] += 1

    def stop(self) -> None:
        """The last answer is waited for."""
        self._over.set()
        self.join()


def throughput(given: argparse.Namespace, photo: bytes) -> dict[str, object]:
    """The service beside a loop."""
    server = Server(given.clients - 2)
    stylizer = Stylizer("great_wave", device="cpu", runtime="torch")
    busy_seconds, alone_seconds = given.minutes * 60 / given.rounds, 15
    ratios, rates, statuses = [], [], Counter[int]()
    for round in range(given.rounds + 1):  # the first warms up
        alone = loop(stylizer, photo, alone_seconds if round else 2)
        served, seen = busy(server, photo, given.clients, busy_seconds if round else 2)
        if round:
            ratios.append(served / alone)
            rates.append(served)
            statuses += seen
    return {
        "throughput_to_stylizer_in_a_loop": {"median": statistics.median(ratios), "rounds": ratios},
        "pictures_a_second": rates,
        "answers": dict(statuses),
        "exit_code": server.stop(),
    }


def latency(given: argparse.Namespace, photo: bytes) -> dict[str, object]:
    """Times of answers at a rate."""
    server = Server(62)
    at_rate(server, photo, given.rate, 5)
    times = at_rate(server, photo, given.rate, given.minutes * 30)
    quantiles = {name: times[int(len(times) * share)] for name, share in (("p50", 0.5), ("p99", 0.99))}
    return {"rate": given.rate, "seconds": quantiles, "n": len(times), "exit_code": server.stop()}


def memory(given: argparse.Namespace, photo: bytes) -> dict[str, object]:
    """Resident memory, after each twentieth of the requests."""
    server, resident = Server(62), []
    for _ in range(20):
        with ThreadPoolExecutor(4) as pool:
            statuses = Counter(pool.map(server.stylize, [photo] * (given.requests // 20)))
        assert set(statuses) == {200}, statuses
        resident.append(server.resident)
        print(f"{len(resident) * 5} %: {resident[-1] / 1e6:.1f} MB", flush=True)
    grown = max(resident[1:]) / resident[0] - 1
    return {
        "requests": given.requests,
        "memory_grows_by": grown,
        "resident_bytes": resident,
        "exit_code": server.stop(),
    }


def abuse(given: argparse.Namespace, photo: bytes) -> dict[str, object]:
    """Clients that are broken, slow or mean, beside one that is not."""
    server = Server(62, "--formats", "jpeg", "png", "webp", "tiff", "gif", "avif")
    server.stylize(photo)
    files_open, before = server.open_files(), server.resident
    other = Other(server, photo)
    other.start()
    folder = [path.read_bytes() for path in sorted(given.folder.rglob("*")) if path.is_file()] if given.folder else []
    files = folder or damaged(photo, given.damaged)
    with ThreadPoolExecutor(2) as pool:
        broken = Counter(pool.map(server.stylize, files))
        as_painting = Counter(pool.map(lambda file: server.form(photo, file), files[:: given.every]))
    attacks = {name: Counter(attack(server, photo) for _ in range(given.repeat)) for name, attack in ATTACKS.items()}
    slow = slow_bodies(server, photo, given.slow)
    other.stop()
    time.sleep(2)
    return {
        "damaged_files": {"n": len(files), "answers": dict(broken)},
        "damaged_paintings": {"n": sum(as_painting.values()), "answers": dict(as_painting)},
        "attacks": {name: dict(seen) for name, seen in attacks.items()},
        "slow_bodies": dict(slow),
        "another_client": dict(other.statuses),
        "files_left_open": server.open_files() - files_open,
        "memory_grows_by": server.resident / before - 1,
        "tracebacks": server.tracebacks,
        "alive_afterwards": server.get("/livez") == 200 and server.stylize(photo) == 200,
        "exit_code": server.stop(),
    }


def sent(server: Server, data: bytes, *, end: bool = True) -> int:
    """The status of what is answered to bytes; 0 if the connection is closed without an answer."""
    with server.connect() as connection:
        with suppress(OSError):
            connection.sendall(data)
            if end:
                connection.shutdown(socket.SHUT_WR)
        with suppress(OSError):
            return int([*connection.recv(4096).split(b" ", 2), b"0", b"0"][1])
    return 0


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
    "a length that is too long": lambda server, photo: sent(server, head(len(photo) + 999) + photo),
    "a length that is too short": lambda server, photo: sent(server, head(len(photo) - 999) + photo),
    "a client that hangs up": hang_up,
    "a style ../../etc/passwd": lambda server, photo: sent(
        server, head(len(photo), "/v1/stylize?style=../../etc/passwd") + photo, end=False
    ),
    "a path /../../etc/passwd": lambda server, _: sent(server, b"GET /../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n"),
    "no HTTP": lambda server, _: sent(server, bytes(range(256)) * 40),
}


def slow_bodies(server: Server, photo: bytes, count: int) -> Counter[int]:
    """Answers to clients that send a byte now and then, until the service has enough of it."""
    connections = [server.connect() for _ in range(count)]
    for connection in connections:
        connection.sendall(head(len(photo)) + photo[:10])
    for place in range(10, 10 + UPLOAD_SECONDS * 2):
        for connection in connections:
            with suppress(OSError):
                connection.sendall(photo[place : place + 1])
        time.sleep(0.25)
    answers = Counter[int]()
    for connection in connections:
        with suppress(OSError):
            answers[int([*connection.recv(4096).split(b" ", 2), b"0", b"0"][1])] += 1
        connection.close()
    return answers


def main() -> None:
    """Measure a part, and write the result as JSON."""
    parts = {part.__name__: part for part in (throughput, latency, memory, abuse)}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=parts)
    parser.add_argument("--minutes", type=float, default=10.0, help="of requests in all; latency takes half of it")
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5, help="of throughput")
    parser.add_argument("--rate", type=float, default=5.0, help="requests a second, of latency")
    parser.add_argument("--requests", type=int, default=20_000, help="of memory")
    parser.add_argument("--side", type=int, help="of the photo in pixels [512; memory and abuse: 96]")
    parser.add_argument("--folder", type=Path, help="damaged files, of abuse")
    parser.add_argument("--damaged", type=int, default=5_000, help="files damaged at random, where no folder is given")
    parser.add_argument("--every", type=int, default=10, help="of the damaged files is sent as a painting too")
    parser.add_argument("--repeat", type=int, default=100, help="each attack")
    parser.add_argument("--slow", type=int, default=100, help="slow clients at once")
    parser.add_argument("-o", "--output", type=Path, required=True)
    given = parser.parse_args()
    side = given.side or (96 if given.part in ("memory", "abuse") else 512)
    file = BytesIO()
    with Image.open(resolve_photo(PHOTO)) as image:
        image.convert("RGB").resize((side, side)).save(file, "JPEG", quality=90)
    result = {
        "part": given.part,
        "photo": f"{PHOTO} at {side} px",
        "versions": {"fastnst": __version__, "torch": torch.__version__},
        "hardware": f"{describe_device(torch.device('cpu'))}, {os.cpu_count()} cores",
        **parts[given.part](given, file.getvalue()),
    }
    given.output.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
