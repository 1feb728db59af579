"""Load and abuse of `fastnst serve`: python measure.py --minutes 10 --requests 20000 -o result.json.

1. Throughput: clients that ask again at once, beside `Stylizer` in a loop over the same photo, file in and file out, in
   turns in one run. The only answers but 200 are the 429 of a full queue.
2. p50 and p99 of one answer at half of that throughput.
3. Resident memory over many requests.
4. Files that are damaged at random: 200, 400, 413 or 415 for each, and the service answers afterwards.

Nothing else may run meanwhile. Needs `pip install '.[serve]'`.
"""

import argparse
import http.client
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
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

PHOTO = "sample:astronaut"  # 512 x 512


class Server:
    """`fastnst serve` as a process."""

    def __init__(self, queue: int, threads: int) -> None:
        command = [sys.executable, "-m", "fastnst", "serve", "--port", "0", "--runtime", "torch"]
        self.process = subprocess.Popen(
            [*command, "--queue", str(queue), "--threads", str(threads)], stderr=subprocess.PIPE, text=True
        )
        assert self.process.stderr is not None
        self.port = int(json.loads(self.process.stderr.readline())["url"].rpartition(":")[2])
        threading.Thread(target=self.process.stderr.read, daemon=True).start()
        while True:
            try:
                self.get("/readyz")
                return
            except OSError:
                time.sleep(0.1)

    def get(self, path: str) -> int:
        """The status of an address."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        connection.request("GET", path)
        status = connection.getresponse().status
        connection.close()
        return status

    def stylize(self, photo: bytes, connection: http.client.HTTPConnection | None = None) -> int:
        """The status of an answer, which is read to its end."""
        connection = connection or http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        connection.request("POST", "/v1/stylize", photo, {"Content-Type": "image/jpeg"})
        answer = connection.getresponse()
        answer.read()
        return answer.status

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


def main() -> None:
    """Measure, and write the result as JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--damaged", type=int, default=5_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("-o", "--output", type=Path, required=True)
    given = parser.parse_args()
    file = BytesIO()
    with Image.open(resolve_photo(PHOTO)) as image:
        image.convert("RGB").save(file, "JPEG", quality=90)
    photo = file.getvalue()
    server = Server(queue=given.clients - 2, threads=2)
    stylizer = Stylizer("great_wave", device="cpu", runtime="torch")
    seconds = given.minutes * 60 / given.rounds / 2
    ratios, rates, statuses = [], [], Counter[int]()
    for round in range(given.rounds + 1):  # the first warms up
        alone = loop(stylizer, photo, seconds if round else 2)
        served, seen = busy(server, photo, given.clients, seconds if round else 2)
        if round:
            ratios.append(served / alone)
            rates.append(served)
            statuses += seen
    times = at_rate(server, photo, statistics.median(rates) / 2, seconds)
    before, memory = 0, []
    for _ in range(20):
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(server.stylize, [photo] * (given.requests // 20)))
        memory.append(server.resident)
    before = memory[0]
    with ThreadPoolExecutor(2) as pool:
        broken = Counter(pool.map(server.stylize, damaged(photo, given.damaged)))
    alive = server.get("/livez") == 200 and server.stylize(photo) == 200
    server.process.send_signal(signal.SIGTERM)
    result = {
        "versions": {"fastnst": __version__, "torch": torch.__version__},
        "hardware": f"{describe_device(torch.device('cpu'))}, {os.cpu_count()} cores",
        "throughput_to_stylizer_in_a_loop": {"median": statistics.median(ratios), "rounds": ratios},
        "answers": dict(statuses),
        "seconds_at_half_load": {"p50": times[len(times) // 2], "p99": times[int(len(times) * 0.99)], "n": len(times)},
        "memory_grows_by": max(memory) / before - 1,
        "resident_bytes": memory,
        "damaged_files": dict(broken),
        "alive_afterwards": alive,
        "exit_code": server.process.wait(120),
    }
    given.output.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
