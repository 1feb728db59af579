"""Install, start and health check of the Dockerfile, in a virtual environment that sees the packages of this one."""

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import pytest
from project import ROOT

pytest.importorskip("uvicorn")
LINES = (ROOT / "Dockerfile").read_text().splitlines()


def after(word: str) -> str:
    """What stands after the first instruction of this name."""
    return next(line.removeprefix(word).strip() for line in LINES if line.startswith(f"{word} "))


@pytest.mark.long
def test_the_dockerfile_installs_starts_and_finds_the_service_healthy(tmp_path) -> None:
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "image"], check=True)
    binaries = tmp_path / "image" / "bin"
    (packages,) = (tmp_path / "image" / "lib").glob("python*/site-packages")
    (packages / "here.pth").write_text(sysconfig.get_path("purelib"))
    environment = {**os.environ, "PATH": f"{binaries}:{os.environ['PATH']}", "PYTHONNOUSERSITE": "1"}
    environment.pop("PYTHONPATH", None)

    install, _, removal = after("RUN").partition(" && ")
    assert removal == "rm -r /src" and after("COPY") == ". /src"
    # Dependencies are those of this environment: the test downloads nothing.
    install = re.sub(r"--extra-index-url \S+", "--no-index --no-deps --no-build-isolation", install)
    install = install.replace("/src[serve]", f"{ROOT}[serve]")
    subprocess.run(shlex.split(install), check=True, env=environment, capture_output=True, cwd=tmp_path)
    where = subprocess.run(
        ["python", "-c", "import fastnst; print(fastnst.__file__)"],
        check=True,
        env=environment,
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert Path(where.stdout.strip()).is_relative_to(packages)

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    command = [*json.loads(after("CMD")), "--port", port]
    health = shlex.split(after("HEALTHCHECK").removeprefix("CMD").replace("8000", port))
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True, cwd=tmp_path) as server:
        for _ in range(100):
            healthy = subprocess.run(health, env=environment, capture_output=True, check=False).returncode == 0
            if healthy or server.poll() is not None:
                break
            time.sleep(0.3)
        server.send_signal(signal.SIGTERM)
        _, said = server.communicate(timeout=60)
    assert healthy and server.returncode == 0, said
    assert "other machines may come in without a key" in said
