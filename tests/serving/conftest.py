"""Real servers on the loopback, each a process of its own in a folder of its own."""

import json
import os
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from PIL import Image
from project import EXACT

pytest.importorskip("uvicorn")

from fastnst.images.photos import resolve_photo


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def error(self) -> str:
        return str(json.loads(self.body)["error"])

    @property
    def image(self) -> Image.Image:
        return Image.open(BytesIO(self.body))


@dataclass
class Running:
    """A server process; what it logs is collected."""

    process: "subprocess.Popen[str]"
    port: int
    temporary: Path
    lines: list[str] = field(default_factory=list)
    reader: threading.Thread | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(self, path: str, data: bytes | None = None, **headers: str) -> Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(f"{self.url}{path}", data, named)
        try:
            with urllib.request.urlopen(request, timeout=60) as reply:
                return Answer(reply.status, {k.lower(): v for k, v in reply.headers.items()}, reply.read())
        except urllib.error.HTTPError as reply:
            with reply:
                return Answer(reply.code, {k.lower(): v for k, v in reply.headers.items()}, reply.read())

    def stylize(self, photo: bytes, query: str = "", **headers: str) -> Answer:
        return self.ask(f"/v1/stylize{query}", photo, **({"content_type": "image/jpeg"} | headers))

    def form(self, photo: bytes, *, charset: str = "utf-8", **fields: str | bytes) -> Answer:
        parts = []
        for name, value in {**fields, "photo": photo}.items():
            file = '; filename="../../etc/passwd"' if isinstance(value, bytes) else ""
            parts.append(f'--edge\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'.encode())
            parts.append((value if isinstance(value, bytes) else value.encode()) + b"\r\n")
        body = b"".join((*parts, b"--edge--\r\n"))
        return self.ask("/v1/stylize", body, content_type=f"multipart/form-data; boundary=edge; charset={charset}")

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=30)

    def measured(self, name: str) -> float:
        lines = self.ask("/metrics").body.decode().splitlines()
        return next(float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"{name} "))

    def log_of(self, answer: Answer) -> dict[str, Any]:
        """The line of the log about a request, which may be written after its answer was read."""
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            for line in map(json.loads, list(self.lines)):
                if line.get("request_id") == answer.headers["x-request-id"]:
                    return dict(line)
            time.sleep(0.01)
        raise AssertionError(f"no line about {answer.headers}: {self.lines}")

    def open_files(self) -> int:
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def stop(self, number: int = signal.SIGTERM) -> int:
        with suppress(ProcessLookupError):
            self.process.send_signal(number)
        code = self.process.wait(60)
        if self.reader is not None:
            self.reader.join()
        return code


Start = Callable[..., Running]


@pytest.fixture(scope="session")
def start(sky, tmp_path_factory) -> Iterator[Start]:
    """A function that starts a server with flags, with the styles day and night; `faults` is code that runs before."""
    running: list[Running] = []

    def begin(*flags: str, key: str | None = None, faults: str = "") -> Running:
        folder = tmp_path_factory.mktemp("server")
        (folder / "checkpoints").symlink_to(sky.parent)
        (folder / "temporary").mkdir()
        environment = {**os.environ, "TMPDIR": str(folder / "temporary"), "OMP_NUM_THREADS": "1"}
        environment |= {"FASTNST_API_KEY": key} if key else {}
        python, option, code = EXACT
        command = [python, option, f"{faults}\n{code}", "serve", "--style", "day", "--port", "0", "--threads", "1"]
        process = subprocess.Popen(
            [*command, "--runtime", "torch", *flags], cwd=folder, env=environment, stderr=subprocess.PIPE, text=True
        )
        server = Running(process, 0, folder / "temporary")
        running.append(server)
        assert process.stderr is not None
        while server.port == 0:
            line = process.stderr.readline()
            assert line, f"the server ended with {process.wait()}: {server.lines}"
            server.lines.append(line)
            server.port = int(json.loads(line).get("url", ":0").rpartition(":")[2])

        def collect() -> None:
            with process.stderr as stream:
                server.lines.extend(stream)

        server.reader = threading.Thread(target=collect, daemon=True)
        server.reader.start()
        for _ in range(600):
            with suppress(OSError):
                server.ask("/readyz")
                return server
            threading.Event().wait(0.1)
        raise AssertionError(server.lines)

    yield begin
    for server in running:
        if server.process.poll() is None:
            server.stop()


@pytest.fixture(scope="session")
def server(start) -> Running:
    """A server with narrow limits."""
    limits = ("--max-megabytes", "1", "--max-megapixels", "0.5", "--upload-seconds", "2", "--queue", "1")
    return start(*limits)


FAULTS = """
import time
from fastnst.painting.stylizer import Stylizer
from fastnst.serving import uploads

parts, format_in = Stylizer.parts, uploads.format_in

def without_memory(*args, strength, **options):
    if strength == 0.5:
        raise RuntimeError("[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate memory")
    return parts(*args, strength=strength, **options)

def slow_for_webp(file):
    time.sleep(2 if format_in(file) == "WEBP" else 0)
    return format_in(file)

Stylizer.parts, uploads.format_in = without_memory, slow_for_webp
"""


@pytest.fixture(scope="session")
def faulty(start) -> Running:
    """A server that is in a hurry, whose memory is full at strength 0.5, and which looks for 2 s at a WebP file."""
    limits = ("--upload-seconds", "1", "--seconds", "1.5", "--connections", "60", "--queue", "0")
    return start(*limits, faults=FAULTS)


@pytest.fixture(scope="session")
def coffee() -> bytes:
    """A small photo as a JPEG file."""
    with Image.open(resolve_photo("sample:coffee")) as photo:
        file = BytesIO()
        photo.convert("RGB").resize((90, 60)).save(file, "JPEG", quality=90)
    return file.getvalue()
