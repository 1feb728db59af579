"""The parts throughput, latency and memory: clients that mean well, and many of them."""

import argparse
import http.client
import json
import random
import statistics
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO

import torch
from service import CORES, Found, Limit, Server, answer_to, ends_with_zero, only, runtime_in

from fastnst import Stylizer
from fastnst.images.read import read_picture
from fastnst.images.write import save_image

PAINTED = 2  # photos at once, as the service has it by default


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
