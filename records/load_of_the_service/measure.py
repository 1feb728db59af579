"""Load and abuse of `fastnst serve`: python measure.py PART -o result.json.

throughput  clients that ask again at once, beside `Stylizer` in a loop over the same photo, file in and file out, in
            turns in one run; `--queue` below the number of clients asks for the 429 of a full queue
latency     p50 and p99 of one answer at a rate of requests a second, or at half of what throughput found
memory      memory over many requests of small pictures, without the pages of files
abuse       damaged files, those of a folder or made at random; bodies and headers that arrive byte by byte, wrong
            lengths, bombs, clients that hang up, names with ../; another client is served all the time

The service and the loop run as they come, but for a queue as long as there are clients; both have as many threads as
the process may use cores. Every answer is counted, and a request without one under the kind of its error. Each part has
limits: the result says for each whether it was kept, and the exit code is 1 if one was not.

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
from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import Any

import psutil
import torch
from PIL import Image

from fastnst import Stylizer
from fastnst.base.devices import measured_on
from fastnst.images.photos import resolve_photo
from fastnst.images.read import read_picture
from fastnst.images.write import save_image
from fastnst.networks.runtime import PAYS_FROM

sys.path.append(str(Path(__file__).resolve().parents[2] / "tests"))
from malformed import honest_pictures, mutated

PHOTO = "sample:astronaut"
FORMATS = ("jpeg", "png", "webp", "tiff", "gif", "avif")  # that the service is told to read
CORES = len(os.sched_getaffinity(0))
UPLOAD_SECONDS = 10  # that a request may take to arrive
PAINTED = 2  # photos at once, as the service has it by default


def answer_to(ask: Callable[[], int]) -> str:
    """The status of an answer as a text, or the kind of error where there is none."""
    try:
        return str(ask())
    except (OSError, http.client.HTTPException) as error:
        return type(error).__name__


def runtime_in(process: int | str) -> str:
    """The runtime that a process has loaded: `auto` takes OpenVINO after some megapixels, if it is installed."""
    return "openvino" if "openvino_intel_cpu_plugin" in Path(f"/proc/{process}/maps").read_text() else "torch"


class Server:
    """`fastnst serve` as a process, which has painted what it takes to be warm; to be used in a `with`."""

    def __init__(self, photo: bytes, side: int, *, queue: int, flags: tuple[str, ...] = ()) -> None:
        command = [sys.executable, "-m", "fastnst", "serve", "--port", "0", "--queue", str(queue), *flags]
        self.process = subprocess.Popen(
            [*command, "--upload-seconds", str(UPLOAD_SECONDS)],
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": str(CORES)},
        )
        self.log: list[str] = []
        try:
            assert self.process.stderr is not None
            self.port = int(json.loads(self.process.stderr.readline())["url"].rpartition(":")[2])
            threading.Thread(target=self._read_log, daemon=True).start()
            while answer_to(lambda: self.get("/readyz")) != "200":
                assert self.process.poll() is None, "".join(self.log)
                time.sleep(0.1)
            for _ in range(PAYS_FROM // side**2 + 8):
                assert self.stylize(photo) == 200
        except BaseException:
            self.process.kill()
            raise

    def __enter__(self) -> "Server":
        """The server, which is warm."""
        return self

    def __exit__(self, *_: object) -> None:
        """No process is left behind."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def _read_log(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if "Traceback" in line or '"level": "info"' not in line:
                self.log.append(line)

    def get(self, path: str) -> int:
        """The status of an address."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        finally:
            connection.close()

    def stylize(self, photo: bytes, connection: http.client.HTTPConnection | None = None) -> int:
        """The status of an answer, which is read to its end."""
        return self.painted(photo, connection)[0]

    def painted(self, photo: bytes, connection: http.client.HTTPConnection | None = None) -> tuple[int, bytes]:
        """The status and the body of an answer."""
        return self._post(photo, "image/jpeg", connection)

    def form(self, photo: bytes, painting: bytes) -> int:
        """The status of an answer to a photo and a painting."""
        parts = (("photo", photo), ("painting", painting))
        head = '--edge\r\nContent-Disposition: form-data; name="{0}"; filename="{0}"\r\n\r\n'
        body = b"".join(head.format(name).encode() + data + b"\r\n" for name, data in parts) + b"--edge--\r\n"
        return self._post(body, "multipart/form-data; boundary=edge")[0]

    def _post(self, body: bytes, kind: str, connection: http.client.HTTPConnection | None = None) -> tuple[int, bytes]:
        own = connection or http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        done = False
        try:
            own.request("POST", "/v1/stylize", body, {"Content-Type": kind})
            answer = own.getresponse()
            data = answer.read()
            done = True
            return answer.status, data
        finally:
            if connection is None or not done:
                own.close()

    def connect(self) -> socket.socket:
        """A connection on which nothing was sent."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=60)

    @property
    def open_files(self) -> int:
        """Files and connections that are open."""
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def stop(self) -> int:
        """The exit code, when it was asked to end."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(120)

    @property
    def memory(self) -> tuple[int, int]:
        """Bytes of memory: its own, and all that is resident.

        The pages of files, such as libraries, are not its own: the system drops and reads them again as it likes.
        """
        resident = psutil.Process(self.process.pid).memory_info().rss
        about = dict(line.split(":", 1) for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines())
        return int(about["RssAnon"].split()[0]) * 1024, int(resident)

    @property
    def runtime(self) -> str:
        """The runtime that paints."""
        return runtime_in(self.process.pid)


@dataclass(frozen=True)
class Limit:
    """What has to be so, what was found, and whether it is so."""

    limit: str
    found: object
    kept: bool


def only(answers: Counter[str], *allowed: str) -> Limit:
    """There are answers, and no others than these."""
    return Limit(f"no answer but {' and '.join(allowed)}", dict(answers), bool(answers) and set(answers) <= {*allowed})


def ends_with_zero(server: Server) -> Limit:
    """The service ends as it should when it is asked to."""
    code = server.stop()
    return Limit("exit code 0", code, code == 0)


def busy(server: Server, photo: bytes, clients: int, seconds: float) -> tuple[float, Counter[str]]:
    """Pictures a second, and how often each answer came, of clients that ask again at once."""
    answers: Counter[str] = Counter()
    lock, end = threading.Lock(), time.perf_counter() + seconds

    def client() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)
        while time.perf_counter() < end:
            answer = answer_to(lambda: server.stylize(photo, connection))
            with lock:
                answers[answer] += 1
        connection.close()

    started = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        for work in [pool.submit(client) for _ in range(clients)]:
            work.result()  # which raises what a client did not expect
    return answers["200"] / (time.perf_counter() - started), answers


def loop(stylizer: Stylizer, photo: bytes, seconds: float) -> float:
    """Pictures a second of `Stylizer` in a loop, file in and file out."""
    count, started = 0, time.perf_counter()
    while time.perf_counter() - started < seconds:
        picture = read_picture(BytesIO(photo))
        shape = (1, picture.image.bands, *picture.size)
        painted = picture.painted(stylizer.parts(picture.part, shape, picture.dtype))
        save_image(painted, BytesIO(), format="jpeg", stylized=True)
        count += 1
    return count / (time.perf_counter() - started)


def at_rate(server: Server, photo: bytes, rate: float, seconds: float) -> tuple[list[float], Counter[str]]:
    """Times of the answers 200, from the moment of the request, and how often each answer came.

    The moments are random, so many a second on average, and do not wait for answers.
    """
    chance = random.Random(0)
    times: list[float] = []

    def one(due: float) -> str:
        answer = answer_to(lambda: server.stylize(photo))
        if answer == "200":
            times.append(time.perf_counter() - due)
        return answer

    with ThreadPoolExecutor(200) as pool:
        due, end, asked = time.perf_counter(), time.perf_counter() + seconds, []
        while (due := due + chance.expovariate(rate)) < end:
            time.sleep(max(0.0, due - time.perf_counter()))
            asked.append(pool.submit(one, due))
        answers = Counter(each.result() for each in asked)
    return sorted(times), answers


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


Found = tuple[dict[str, object], dict[str, Limit]]


def throughput(given: argparse.Namespace, photo: bytes) -> Found:
    """The service beside a loop."""
    enough = max(0, given.clients - PAINTED)
    queue = enough if given.queue is None else given.queue
    torch.set_num_threads(CORES)
    stylizer = Stylizer("great_wave", device="cpu")
    busy_seconds = given.minutes * 60 / given.rounds
    alone_seconds = min(15.0, busy_seconds)
    ratios, rates, alone_rates, answers = [], [], [], Counter[str]()
    with Server(photo, given.side, queue=queue) as server:
        while runtime_in("self") != server.runtime:
            loop(stylizer, photo, 1)
        for round in range(given.rounds + 1):  # the first warms up
            alone = loop(stylizer, photo, alone_seconds if round else 2)
            served, seen = busy(server, photo, given.clients, busy_seconds if round else 2)
            if round:
                ratios.append(served / alone)
                rates.append(served)
                alone_rates.append(alone)
                answers += seen
        runtimes = {"service": server.runtime, "loop": runtime_in("self")}
        ended = ends_with_zero(server)
    ratio = statistics.median(ratios)
    found = {
        "throughput_to_stylizer_in_a_loop": {"median": ratio, "rounds": ratios},
        "pictures_a_second": rates,
        "pictures_a_second_of_the_loop": alone_rates,
        "seconds_of_a_round": {"service": busy_seconds, "loop": alone_seconds},
        "clients": given.clients,
        "queue": queue,
        "answers": dict(answers),
        "runtime": runtimes,
    }
    return found, {
        "ratio": Limit("at least 0.9 of the loop, the median of the rounds", ratio, ratio >= 0.9),
        "answers": only(answers, "200", *(["429"] if queue < enough else [])),
        "end": ended,
    }


def latency(given: argparse.Namespace, photo: bytes) -> Found:
    """Times of answers at a rate."""
    rate = given.rate
    if given.half_of:
        rate = statistics.median(json.loads(given.half_of.read_text())["pictures_a_second"]) / 2
    with Server(photo, given.side, queue=62) as server:
        at_rate(server, photo, rate, min(5.0, given.minutes * 30))
        times, answers = at_rate(server, photo, rate, given.minutes * 30)
        runtime = server.runtime
        ended = ends_with_zero(server)
    quantiles = {name: times[int(len(times) * share)] for name, share in (("p50", 0.5), ("p99", 0.99)) if times}
    found = {
        "rate": rate,
        "seconds": quantiles,
        "n": len(times),
        "answers": dict(answers),
        "runtime": {"service": runtime},
    }
    return found, {"answers": only(answers, "200"), "end": ended}


def memory(given: argparse.Namespace, photo: bytes) -> Found:
    """Memory: of each twentieth of the requests the largest of five looks."""
    answers = Counter[str]()
    with Server(photo, given.side, queue=62) as server:
        own: list[int] = []
        resident: list[int] = []
        for _ in range(20):
            looks = []
            for _ in range(5):
                with ThreadPoolExecutor(4) as pool:
                    asked = [photo] * max(1, given.requests // 100)
                    answers += Counter(pool.map(lambda file: answer_to(lambda: server.stylize(file)), asked))
                looks.append(server.memory)
            for kind, largest in zip((own, resident), map(max, zip(*looks, strict=True)), strict=True):
                kind.append(largest)
            print(f"{len(own) * 5} %: {own[-1] / 1e6:.1f} MB, {resident[-1] / 1e6:.1f} MB resident", flush=True)
        runtime = server.runtime
        ended = ends_with_zero(server)
    grown = max(own[10:]) / max(own[:10]) - 1
    flat = "own memory: the largest of the second half at most 3 % above that of the first"
    found = {
        "requests": answers.total(),
        "memory_grows_by": grown,
        "from_the_first_twentieth_to_the_last": own[-1] / own[0] - 1,
        "own_bytes": own,
        "resident_bytes": resident,
        "answers": dict(answers),
        "runtime": {"service": runtime},
    }
    return found, {
        "memory": Limit(flat, grown, grown <= 0.03),
        "answers": only(answers, "200"),
        "end": ended,
    }


def abuse(given: argparse.Namespace, photo: bytes) -> Found:
    """Clients that are broken, slow or mean, beside one that is not."""
    if given.folder:
        paths = [path for path in sorted(given.folder.rglob("*")) if path.is_file()]
        files = [(path.suffix.lstrip(".").lower() or "none", path.read_bytes()) for path in paths]
    else:
        files = list(islice(damaged(photo), given.damaged))
    with Server(photo, given.side, queue=62, flags=("--formats", *FORMATS)) as server:
        server.form(photo, photo)
        time.sleep(6)  # until no connection is kept
        files_open, before = server.open_files, server.memory[0]
        other = Other(server, photo)
        other.start()
        with ThreadPoolExecutor(2) as pool:
            broken = list(pool.map(lambda file: answer_and_picture(server, file[1]), files))
            as_painting = list(
                pool.map(lambda file: answer_to(lambda: server.form(photo, file[1])), files[:: given.every])
            )
        attacks = {
            name: Counter(answer_to(lambda attack=attack: attack(server, photo)) for _ in range(given.repeat))
            for name, attack in ATTACKS.items()
        }
        slow = slow_bodies(server, photo, given.slow)
        other.stop()
        deadline = time.monotonic() + 30
        while (left_open := server.open_files - files_open) > 0 and time.monotonic() < deadline:
            time.sleep(0.5)
        grown = server.memory[0] / before - 1
        alive = Counter([answer_to(lambda: server.get("/livez")), answer_to(lambda: server.stylize(photo))])
        runtime = server.runtime
        ended = ends_with_zero(server)
    by_format: dict[str, Counter[str]] = {}
    for (format, _), (answer, _) in zip(files, broken, strict=True):
        by_format.setdefault(format, Counter())[answer] += 1
    paintings = Counter(as_painting)
    asked = [*zip(files, (answer for answer, _ in broken), strict=True)]
    asked += zip(files[:: given.every], (f"{answer} as a painting" for answer in as_painting), strict=True)
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
        "damaged_paintings": {"n": len(as_painting), "answers": dict(paintings)},
        "neither_200_nor_4xx": told[:50],
        "attacks": {name: dict(seen) for name, seen in attacks.items()},
        "slow_bodies": dict(slow),
        "another_client": dict(other.answers),
        "memory_grows_by": grown,
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
        "another client": only(other.answers, "200"),
        "files left open": Limit("none after half a minute", left_open, left_open <= 0),
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


def main() -> int:
    """Measure a part, write the result as JSON, and tell whether its limits were kept."""
    parts = {part.__name__: part for part in (throughput, latency, memory, abuse)}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=parts)
    parser.add_argument("--minutes", type=float, default=10.0, help="of requests in all; latency takes half of it")
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--queue", type=int, help="of throughput [as long as there are clients]")
    parser.add_argument("--rounds", type=int, default=5, help="of throughput")
    parser.add_argument("--rate", type=float, default=5.0, help="requests a second, of latency")
    parser.add_argument("--half-of", type=Path, help="a result of throughput, half of which is the rate of latency")
    parser.add_argument("--requests", type=int, default=20_000, help="of memory")
    parser.add_argument("--side", type=int, help="of the photo in pixels [512; memory and abuse: 96]")
    parser.add_argument("--folder", type=Path, help="damaged files, of abuse")
    parser.add_argument("--damaged", type=int, default=5_000, help="files damaged at random, where no folder is given")
    parser.add_argument("--every", type=int, default=10, help="of the damaged files is sent as a painting too")
    parser.add_argument("--repeat", type=int, default=100, help="each attack")
    parser.add_argument("--slow", type=int, default=100, help="slow clients at once")
    parser.add_argument("-o", "--output", type=Path, required=True)
    given = parser.parse_args()
    given.side = given.side or (96 if given.part in ("memory", "abuse") else 512)
    file = BytesIO()
    with Image.open(resolve_photo(PHOTO)) as image:
        image.convert("RGB").resize((given.side, given.side)).save(file, "JPEG", quality=90)
    started = time.monotonic()
    found, limits = parts[given.part](given, file.getvalue())
    kept = all(limit.kept for limit in limits.values())
    torch.set_num_threads(CORES)
    result: dict[str, Any] = {
        "part": given.part,
        "command": " ".join(["python", "measure.py", *sys.argv[1:]]),
        "pass": kept,
        "limits": {
            name: {"pass": each.kept, "limit": each.limit, "found": each.found} for name, each in limits.items()
        },
        "photo": f"{PHOTO} at {given.side} px",
        **found,
        "runtime_asked_for": "auto, the default",
        "minutes_in_all": round((time.monotonic() - started) / 60, 1),
        "cores_of_the_process": CORES,
        **measured_on(torch.device("cpu"), "openvino", "uvicorn", "starlette", "pillow", "pyvips"),
    }
    given.output.write_text(json.dumps(result, indent=1) + "\n")
    for name, each in limits.items():
        print(f"{'pass' if each.kept else 'FAIL'}  {name}: {each.limit}; found {each.found}")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
