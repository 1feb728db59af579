"""The service under load and at its end: queue, painters, time and memory, signals, and what cannot be served."""

import asyncio
import gc
import json
import re
import resource
import signal
import threading
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http.client import HTTPException
from io import BytesIO
from typing import Any

import pytest
import torch
import uvicorn
from PIL import Image
from project import ROOT

from fastnst.cli import main
from fastnst.images.formats import ImageError
from fastnst.serving.app import PictureResponse, Service
from fastnst.serving.painters import Painters
from fastnst.serving.server import DRAIN, Server
from fastnst.serving.settings import ServeSettings
from fastnst.serving.uploads import Order, Upload


def test_a_full_queue_is_429_with_a_time_to_come_again(server) -> None:
    file = BytesIO()
    Image.effect_noise((700, 700), 90).convert("RGB").save(file, "JPEG", quality=80)
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda _: server.stylize(file.getvalue()), range(12)))
    counts = {status: [each.status for each in answers].count(status) for status in (200, 429)}
    assert counts[200] >= 2 and counts[429] >= 1 and sum(counts.values()) == 12
    for answer in answers:
        if answer.status == 429:
            assert int(answer.headers["retry-after"]) >= 1 and answer.error == "too many photos are waiting"
    assert server.stylize(file.getvalue()).status == 200


def test_a_service_without_memory_or_disk_says_503_and_when_to_come_again(faulty, coffee) -> None:
    answer = faulty.stylize(coffee, "?strength=0.5")
    assert answer.status == 503 and "memory" in answer.error and int(answer.headers["retry-after"]) >= 1
    largest = resource.prlimit(faulty.process.pid, resource.RLIMIT_FSIZE, (500_000, -1))  # of a file
    try:
        for send in (faulty.stylize, faulty.form):
            answer = send(bytes(2_000_000))
            assert answer.status == 503 and "cannot be stored" in answer.error
            assert int(answer.headers["retry-after"]) >= 1
    finally:
        resource.prlimit(faulty.process.pid, resource.RLIMIT_FSIZE, largest)
    assert faulty.stylize(coffee).status == 200


def test_a_photo_has_its_place_and_its_time_while_its_header_is_looked_at(faulty, coffee) -> None:
    file = BytesIO()
    Image.open(BytesIO(coffee)).save(file, "WEBP")
    with ThreadPoolExecutor(3) as pool:
        statuses = sorted(answer.status for answer in pool.map(faulty.stylize, [file.getvalue()] * 3))
    assert statuses == [429, 429, 504]
    deadline = time.monotonic() + 10
    while (status := faulty.stylize(coffee).status) == 429 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert status == 200


def test_painters_share_the_cores_that_the_process_has(monkeypatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 64)
    monkeypatch.setattr("torch.get_num_threads", lambda: 6)
    teams = []
    monkeypatch.setattr("torch.set_num_threads", teams.append)
    painters = Painters(ServeSettings(threads=2))
    painters._pool.submit(int).result()
    painters.close()
    assert teams == [3]


def test_openvino_has_all_cores_for_each_picture_because_painters_take_turns(sky, tmp_path, monkeypatch) -> None:
    pytest.importorskip("openvino")
    monkeypatch.setattr("fastnst.networks.catalog.SHIPPED", sky.parent)
    monkeypatch.chdir(tmp_path)
    own = threading.local()
    monkeypatch.setattr("torch.get_num_threads", lambda: getattr(own, "threads", 4))
    monkeypatch.setattr("torch.set_num_threads", lambda threads: setattr(own, "threads", threads))
    asked = []

    def compiled(model, precision, threads):
        asked.append(threads)
        return lambda images: images

    monkeypatch.setattr("fastnst.networks.runtime.compile_openvino", compiled)
    painters = Painters(ServeSettings(style="day", threads=2, device="cpu", runtime="openvino"))
    painters.warm_up()
    assert asked == [4] and painters._pool.submit(torch.get_num_threads).result() == 2
    painters.close()


def test_a_style_that_two_clients_ask_for_at_once_is_loaded_once_and_another_does_not_wait(monkeypatch) -> None:
    loaded, other_is_there = [], threading.Event()

    def load(style: str, **_: Any) -> str:
        loaded.append(style)
        if style == "night":
            other_is_there.set()
        else:
            assert other_is_there.wait(20), "night waits until day is loaded"
            time.sleep(0.3)  # in which the second client asks too
        return f"{style} {len(loaded)}"

    monkeypatch.setattr("fastnst.serving.painters.Stylizer", load)
    painters = Painters(ServeSettings(threads=3))
    first, second, other = (painters._pool.submit(painters._stylizer, style) for style in ("day", "day", "night"))
    assert first.result() is second.result() and other.result().startswith("night ")
    assert sorted(loaded) == ["day", "night"]
    painters.close()


@pytest.mark.parametrize(("most", "loads"), [(1, ["day", "night", "day", "night"]), (2, ["day", "night"])])
def test_as_many_styles_stay_loaded_as_the_setting_says(most, loads, monkeypatch) -> None:
    loaded = []
    monkeypatch.setattr("fastnst.serving.painters.Stylizer", lambda style, **_: loaded.append(style))
    painters = Painters(ServeSettings(threads=1, styles_in_memory=most))
    for style in ("day", "day", "night", "day", "night", "night"):
        painters._pool.submit(painters._stylizer, style).result()
    assert loaded == loads
    painters.close()


def test_a_photo_that_takes_too_long_is_504_and_its_thread_goes_on(start, coffee) -> None:
    server = start("--seconds", "0.0001")
    for _ in range(3):
        answer = server.stylize(coffee)
        assert answer.status == 504 and "0.0001 s" in answer.error
    deadline = time.monotonic() + 20
    while server.measured("fastnst_painting") and time.monotonic() < deadline:
        time.sleep(0.05)
    assert server.measured("fastnst_painting") == server.measured("fastnst_waiting") == 0
    assert server.ask("/livez").status == 200


def test_decoding_ends_at_the_next_strip_when_nobody_waits_any_longer(monkeypatch) -> None:
    painters, stop, strips = Painters(ServeSettings(style="great_wave_live", device="cpu")), threading.Event(), []
    monkeypatch.setattr(painters, "_stylizer", lambda _: None)
    monkeypatch.setattr("fastnst.images.stored.let_go", lambda: (strips.append("decoded"), stop.set()))
    Image.new("RGB", (4000, 2000)).save(file := BytesIO(), "PNG")  # eight strips
    file.seek(0)
    with pytest.raises(ImageError, match="Stopped"):
        painters._paint(Upload(file, Order("great_wave_live")), stop)
    assert strips == ["decoded"]
    painters.close()


def being_painted(server: Any) -> tuple[threading.Thread, list[Any]]:
    """A client whose large photo is being painted, and where its answer will be; none if the connection is closed."""
    file, answers = BytesIO(), []
    Image.effect_noise((2500, 2000), 90).convert("RGB").save(file, "JPEG", quality=60)

    def ask() -> None:
        with suppress(OSError, HTTPException):
            answers.append(server.stylize(file.getvalue()))

    thread = threading.Thread(target=ask)
    thread.start()
    while not server.measured("fastnst_painting"):
        time.sleep(0.01)
    return thread, answers


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.long
def test_a_signal_lets_the_requests_that_have_begun_end(number, start) -> None:
    server = start()
    thread, answers = being_painted(server)
    assert server.stop(number) == 0
    thread.join()
    assert answers[0].status == 200 and answers[0].image.size == (2500, 2000)
    with pytest.raises(OSError):
        server.ask("/livez")
    told = [json.loads(line)["message"] for line in server.lines]
    assert "draining" in told and told[-1] == "stopped"
    assert not list(server.temporary.iterdir())


def test_the_guide_has_containers_wait_longer_than_a_stop_takes() -> None:
    settings, guide = ServeSettings(), (ROOT / "docs" / "guides" / "service.md").read_text()
    longest = int(settings.upload_seconds + settings.seconds) + DRAIN
    given = re.findall(r"(?:--stop-timeout|stop -t|terminationGracePeriodSeconds:) (\d+)", guide)
    assert f"up to {longest} seconds" in guide and len(given) >= 3 and all(int(each) > longest for each in given)


@pytest.mark.long
def test_a_second_signal_ends_without_a_traceback(start) -> None:
    server = start()
    thread, _ = being_painted(server)
    server.process.send_signal(signal.SIGINT)
    while not any("draining" in line for line in server.lines):
        time.sleep(0.01)
    assert server.stop(signal.SIGINT) == 0
    thread.join()
    told = [json.loads(line) for line in server.lines]
    assert told[-1]["message"] == "stopped" and not any(line["level"] == "error" for line in told)


@pytest.mark.parametrize("turns", range(4))
def test_an_answer_may_be_cancelled_in_any_moment(turns) -> None:
    async def never() -> Any:
        await asyncio.Event().wait()

    async def send(_: Any) -> None:
        await asyncio.sleep(0)

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(9):
            yield b"piece"

    async def end_early() -> None:
        answer = asyncio.ensure_future(PictureResponse(pieces())({"type": "http"}, never, send))
        for _ in range(turns):
            await asyncio.sleep(0)
        assert not answer.done()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    asyncio.run(end_early())
    gc.collect()  # a coroutine that was never awaited warns when it is let go


def test_readyz_is_503_once_the_service_was_asked_to_stop_and_livez_goes_on() -> None:
    service = Service(ServeSettings(style="great_wave", threads=1))
    server = Server(uvicorn.Config(service.app, log_config=None), service)

    def ask(path: str) -> tuple[int, bytes]:
        sent = []

        async def receive() -> dict[str, str]:
            return {"type": "http.disconnect"}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        asked = {"type": "http", "method": "GET", "path": path, "headers": [], "query_string": b"", "root_path": ""}
        asyncio.run(service.app(asked, receive, send))
        return sent[0]["status"], b"".join(each.get("body", b"") for each in sent)

    assert ask("/readyz") == (200, b"ready\n")
    server.handle_exit(signal.SIGTERM, None)
    assert ask("/readyz") == (503, b"draining\n") and ask("/livez") == (200, b"alive\n")
    service.painters.close()


@pytest.mark.long
def test_the_door_is_closed_until_the_usual_style_was_painted_and_while_the_last_requests_end(start) -> None:
    late = """
import pathlib, time
from fastnst.serving.painters import Painters
warm_up = Painters.warm_up
Painters.warm_up = lambda painters: (time.sleep(2), warm_up(painters), pathlib.Path("warm").touch())
"""
    server = start(faults=late)  # which returns at the first answer of /readyz
    assert (server.temporary.parent / "warm").exists() and server.ask("/readyz").status == 200
    thread, answers = being_painted(server)
    server.process.send_signal(signal.SIGTERM)
    while "draining" not in "".join(server.lines):
        time.sleep(0.001)
    seen = []
    with suppress(OSError):
        while True:
            seen.append(server.ask("/readyz"))
    assert {answer.status for answer in seen} <= {503} and server.process.poll() is None
    thread.join()
    assert answers[0].status == 200 and server.process.wait(60) == 0


def test_what_cannot_be_served_is_one_line_and_exit_code_2(server, sky, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setattr("fastnst.networks.catalog.SHIPPED", sky.parent)
    monkeypatch.chdir(tmp_path)
    for words, message in (
        (("--style", "dawn"), "no style named 'dawn'"),
        (("--style", str(sky)), "choose or mix: day, night"),
        (("--style", "sky"), "choose or mix: day, night"),
        (("--style", "day", "--port", str(server.port)), "cannot listen on 127.0.0.1"),
        (("--style", "day", "--host", "203.0.113.1"), "cannot listen on 203.0.113.1:8000"),
    ):
        with pytest.raises(SystemExit) as stop:
            main(["serve", *words])
        captured = capsys.readouterr()
        assert stop.value.code == 2 and captured.err.count("\n") == 1 and message in captured.err
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "openvino" else name)
    for words, message in (
        (("--device", "cuda"), "device cuda is not there"),
        (("--runtime", "openvino"), "--runtime openvino needs openvino: pip install 'fastnst[openvino]'"),
    ):
        with pytest.raises(SystemExit) as stop:
            main(["serve", "--style", "day", "--port", "0", *words])
        captured = capsys.readouterr()
        assert stop.value.code == 2 and captured.err.count("\n") == 1 and message in captured.err
    monkeypatch.setenv("FASTNST_API_KEY", " \n")
    with pytest.raises(SystemExit):
        main(["serve", "--style", "day"])
    assert "FASTNST_API_KEY holds blanks only" in capsys.readouterr().err
    monkeypatch.delenv("FASTNST_API_KEY")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "uvicorn" else name)
    with pytest.raises(SystemExit):
        main(["serve", "--style", "day"])
    assert "fastnst serve needs uvicorn: pip install 'fastnst[serve]'" in capsys.readouterr().err
