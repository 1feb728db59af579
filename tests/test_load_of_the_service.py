"""What `records/load_of_the_service` counts and judges; the measurements themselves need minutes."""

import http.client
import importlib.util
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, nullcontext
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from itertools import islice
from types import ModuleType, SimpleNamespace
from typing import ClassVar

import pytest
from PIL import Image
from project import ROOT

from fastnst.images.photos import resolve_photo


@pytest.fixture(scope="module")
def measure() -> ModuleType:
    folder = ROOT / "records" / "load_of_the_service"
    spec = importlib.util.spec_from_file_location("measure_load", folder / "measure.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)  # as Python does for a script; its other modules are there
        spec.loader.exec_module(module)
    return module


class Turns(BaseHTTPRequestHandler):
    """200, 500 and no answer in turn."""

    protocol_version = "HTTP/1.1"
    asked = 0

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        Turns.asked += 1
        if Turns.asked % 3 == 0:
            self.close_connection = True
            return
        self.send_response(200 if Turns.asked % 3 == 1 else 500)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(measure) -> Iterator[SimpleNamespace]:
    """A service that fails two times in three, with the client of the script."""
    there = ThreadingHTTPServer(("127.0.0.1", 0), Turns)
    thread = threading.Thread(target=there.serve_forever)
    thread.start()
    client = measure.service.Server.__new__(measure.service.Server)
    client.port = there.server_address[1]
    yield client
    there.shutdown()
    there.server_close()
    thread.join()


def test_every_failure_is_counted_as_an_answer(measure, server) -> None:
    rate, answers = measure.load.busy(server, b"photo", clients=2, seconds=0.3)
    assert set(answers) == {"200", "500", "RemoteDisconnected"} and rate < answers.total() / 0.3
    times, answers = measure.load.at_rate(server, b"photo", rate=100, seconds=0.3)
    assert set(answers) == {"200", "500", "RemoteDisconnected"} and len(times) == answers["200"]
    assert not measure.service.only(answers, "200").kept and measure.service.only(Counter({"200": 3}), "200").kept
    assert not measure.service.only(Counter(), "200").kept


def test_a_connection_that_was_lost_is_opened_again(measure, server) -> None:
    with closing(http.client.HTTPConnection("127.0.0.1", server.port)) as connection:
        answers = [measure.service.answer_to(lambda: server.stylize(b"photo", connection)) for _ in range(6)]
    assert Counter(answers) == {"200": 2, "500": 2, "RemoteDisconnected": 2}


def test_files_of_every_format_are_damaged_alike(measure) -> None:
    with Image.open(resolve_photo("sample:coffee")) as photo:
        photo.convert("RGB").resize((60, 40)).save(file := BytesIO(), "JPEG")
    files = list(islice(measure.abuse.damaged(file.getvalue()), 120))
    assert Counter(format for format, _ in files) == dict.fromkeys(measure.abuse.FORMATS, 20)
    whole = {data for each in measure.abuse.honest(file.getvalue()).values() for data in each}
    assert sum(data not in whole for _, data in files) > 110


class Patient:
    """A service that answers at once, and whose memory has these sizes in turn."""

    log: ClassVar[list[str]] = []
    open_files, runtime = 3, "torch"

    def __init__(self, picture: bytes, megabytes: tuple[int, ...]) -> None:
        self.picture, self.sizes = picture, iter(megabytes)
        self.files, self.paintings = [], []

    @property
    def memory(self) -> tuple[int, int]:
        return next(self.sizes) * 10**6, 0

    def painted(self, file: bytes) -> tuple[int, bytes]:
        self.files.append(file)
        return 200, self.picture

    def form(self, _: bytes, painting: bytes) -> int:
        self.paintings.append(painting)
        return 400

    def stylize(self, _: bytes) -> int:
        return 200

    def get(self, _: str) -> int:
        return 200

    def stop(self) -> int:
        return 0


@pytest.mark.parametrize(("megabytes", "kept"), [((100, 190, 195), True), ((190, 100, 104), False)])
def test_the_second_pass_of_the_abuse_may_hardly_add_to_the_memory_of_the_first(
    megabytes, kept, measure, monkeypatch
) -> None:
    with Image.open(resolve_photo("sample:coffee")) as image:
        image.convert("RGB").resize((60, 40)).save(file := BytesIO(), "JPEG")
    photo = file.getvalue()
    server = Patient(photo, megabytes)
    sent = [("jpeg", str(number).encode()) for number in range(121)]
    monkeypatch.setattr(measure.abuse, "damaged", lambda _: iter(sent))
    monkeypatch.setattr(measure.abuse, "Server", lambda *_, **__: nullcontext(server))
    monkeypatch.setattr(measure.abuse, "ATTACKS", {"one": lambda *_: 400})
    monkeypatch.setattr(measure.abuse, "slow_bodies", lambda *_: Counter({"408": 1}))
    monkeypatch.setattr(measure.abuse, "Other", lambda *_: SimpleNamespace(start=int, stop=int, answers={"200": 1}))
    monkeypatch.setattr(measure.abuse.time, "sleep", lambda _: None)
    given = SimpleNamespace(folder=None, damaged=121, every=10, repeat=3, slow=1, side=60)
    found, limits = measure.abuse.abuse(given, photo)
    assert [name for name, limit in limits.items() if not limit.kept] == ([] if kept else ["memory"])
    assert found["own_bytes"]["after_the_second_pass"] == megabytes[2] * 10**6
    assert sorted(server.files) == sorted(data for _, data in sent)
    assert found["damaged_paintings"]["n"] == 7 + 6 and len({*server.paintings}) == 1 + 7 + 6
    assert found["attacks"] == {"one": {"400": 3}} and found["another_client"] == {"200": 2}
