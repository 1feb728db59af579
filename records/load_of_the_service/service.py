"""The service as a process, what it answers, and limits that it has to keep."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

from fastnst.networks.runtime import PAYS_FROM

CORES = len(os.sched_getaffinity(0))
UPLOAD_SECONDS = 10  # that a request may take to arrive


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


Found = tuple[dict[str, object], dict[str, Limit]]  # of a part
