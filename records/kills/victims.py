"""Commands that `run.py` kills, what they are given, and what must be left of them. See there."""

import atexit
import http.client
import importlib
import json
import os
import random
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # read when torch is imported: no threads, so that a fork is like a start

import av
import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file

from fastnst.cli import main
from fastnst.networks.network import TransformationNetwork
from fastnst.networks.style_file import save_style

PATIENCE = 120.0  # seconds in which a victim ends that was asked to, or that is left alone
WARM_UP = ("--runtime", "torch", "--device", "cpu", "--quiet")


class Fault(Exception):
    """Something that must not be left by a process that died."""


class Victim:
    """A command in a folder of its own; the first run, left alone, says what is right and how long it takes.

    Attributes:
        first: Words of the first start.
        again: Words of a start after a kill.
    """

    name = ""
    module = ""  # which this process imports, so that its victims need not
    first: tuple[str, ...] = ()
    again: tuple[str, ...] = ()

    def __init__(self, place: Path, inputs: Path) -> None:
        importlib.import_module(self.module)
        self.place, self.inputs = place, inputs
        self.anew()
        started = time.monotonic()
        code = self.to_its_end()
        self.seconds = time.monotonic() - started
        if code != 0:
            raise Fault(f"{self.name}: exit code {code} without a kill: {self.said()}")
        self.right = self.results()
        if not self.right:
            raise Fault(f"{self.name}: nothing was written")

    def anew(self) -> None:
        """An empty folder with the inputs."""
        shutil.rmtree(self.place, ignore_errors=True)
        shutil.copytree(self.inputs, self.place / "work")
        (self.place / "tmp").mkdir()

    def start(self, words: tuple[str, ...]) -> int:
        """Start the command in a process; returns its number."""
        if process := os.fork():
            return process
        code = 1
        try:
            os.setsid()
            log = os.open(self.place / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            for stream in (1, 2):
                os.dup2(log, stream)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.chdir(self.place / "work")
            tempfile.tempdir = str(self.place / "tmp")
            os.environ["TMPDIR"] = tempfile.tempdir
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, signal.SIG_DFL if number == signal.SIGTERM else signal.default_int_handler)
            self.before()
            sys.argv = ["fastnst", *words]
            main()  # as the command itself, which lets no Ctrl-C into its end
        except SystemExit as error:
            code = int(error.code or 0)
        except KeyboardInterrupt:  # before the command began; Python itself would end now
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            code = 130
        except BaseException:
            sys.excepthook(*sys.exc_info())
        finally:
            with suppress(BaseException):
                atexit._run_exitfuncs()
                sys.stderr.flush()
            os._exit(code)

    def before(self) -> None:
        """What the process does before it runs the command."""

    def to_its_end(self) -> int:
        """Run the command until it ends; returns its exit code."""
        return waited(self.start(self.again if (self.place / "log").exists() else self.first), PATIENCE)

    def killed(self, how: str, chance: random.Random) -> bool:
        """Start and kill; False if it was done before."""
        process = self.start(self.again if (self.place / "log").exists() else self.first)
        with self.busy():
            dead = waited(process, chance.uniform(0, self.seconds))
            if dead is not None:
                if dead not in self.fine:
                    raise Fault(f"exit code {dead} before the kill: {self.said()}")
                return False
            kill(process, how, chance)
        return True

    fine: tuple[int, ...] = (0,)  # exit codes of a start that finds all done

    @contextmanager
    def busy(self) -> Iterator[None]:
        """What happens meanwhile."""
        yield

    def results(self) -> dict[str, object]:
        """What is under final names, comparable with `right`."""
        raise NotImplementedError

    def whole(self) -> None:
        """Check that all that is there under a final name is right."""
        for name, value in self.results().items():
            if value != self.right.get(name):
                raise Fault(f"{name} is not that of a run that was left alone")

    def at_the_end(self) -> None:
        """Check that all is there, and nothing else."""
        if self.results() != self.right:
            raise Fault(f"of {len(self.right)} results there are {len(self.results())}")
        kept = {path.relative_to(self.inputs) for path in self.inputs.rglob("*")}
        for path in (self.place / "work").rglob("*"):
            name = path.relative_to(self.place / "work")
            if name not in kept and not path.is_dir() and str(name) not in self.right and not self.may_stay(name):
                raise Fault(f"{name} stays")
            if path.name.endswith(".partial"):
                raise Fault(f"{name} stays")
        if left := list((self.place / "tmp").iterdir()):
            raise Fault(f"{left[0].name} stays among the temporary files")

    def may_stay(self, name: Path) -> bool:
        """Whether a file that is no result belongs there."""
        return False

    def said(self) -> str:
        """The end of what the victim printed."""
        log = self.place / "log"
        return log.read_text(errors="replace")[-1500:] if log.exists() else ""

    def files(self, folder: str) -> dict[str, Path]:
        """Files that are not hidden, by their names in the working folder."""
        top = self.place / "work"
        found = {str(path.relative_to(top)): path for path in (top / folder).rglob("*") if path.is_file()}
        return {name: path for name, path in found.items() if "/." not in name}


class Apply(Victim):
    """A folder of photos."""

    name = "apply"
    module = "fastnst.painting.apply"
    first = ("apply", "photos", "--style", "tiny.safetensors", "-o", "out", *WARM_UP)
    again = (*first, "--skip-existing")

    def results(self) -> dict[str, object]:
        """The pictures' bytes."""
        return {name: path.read_bytes() for name, path in self.files("out").items()}


class Watch(Apply):
    """`apply --watch`: left alone, it is ended by Ctrl-C when all is there."""

    name = "watch"
    module = "fastnst.painting.watch"
    first = again = ("apply", "photos", "--watch", "--style", "tiny.safetensors", "-o", "out", *WARM_UP)

    def to_its_end(self) -> int:
        """Wait for all results, then Ctrl-C."""
        process, started = self.start(self.first), time.monotonic()
        while len(self.files("out")) < len(self.files("photos")) and time.monotonic() - started < PATIENCE:
            time.sleep(0.05)
        time.sleep(0.3)
        os.kill(process, signal.SIGINT)
        return 0 if (code := waited(process, PATIENCE)) == 130 else int(code or 0)


class Video(Victim):
    """A video."""

    name = "video"
    module = "fastnst.painting.apply"
    first = ("apply", "clip.mp4", "--style", "tiny.safetensors", "-o", "out/painted.mp4", *WARM_UP)
    again = (*first, "--skip-existing")

    def results(self) -> dict[str, object]:
        """The pictures; of interrupted videos, that they can be played."""
        found: dict[str, object] = {}
        for name, path in self.files("out").items():
            with av.open(str(path)) as container:
                pictures = [frame.to_ndarray(format="rgb24").tobytes() for frame in container.decode(video=0)]
            if ".partial" not in name:
                found[name] = pictures
            elif not pictures:
                raise Fault(f"{name} has no pictures")
        return found

    def may_stay(self, name: Path) -> bool:
        """The pictures so far, which an interrupted run names `.partial`."""
        return ".partial" in name.name


class Export(Victim):
    """Two files of a style."""

    name = "export"
    module = "fastnst.exporting.export"
    first = ("export", "--style", "tiny.safetensors", "--format", "torchscript", "-o", "out/tiny.pt", "--quiet")
    again = first
    fine = (0, 2)  # the file exists

    def to_its_end(self) -> int:
        """Run to the end; that the file exists is an end too."""
        code = super().to_its_end()
        return 0 if code == 2 and self.results() else code

    def results(self) -> dict[str, object]:
        """What the files paint."""
        found: dict[str, object] = {}
        photo = torch.linspace(0, 1, 3 * 40 * 48).reshape(1, 3, 40, 48)
        for name, path in self.files("out").items():
            found[name] = torch.jit.load(str(path))(photo).numpy().tobytes()
        return found


class Train(Victim):
    """A training with `--steps`."""

    name = "train"
    module = "fastnst.training.train"
    first = (
        *("train", "--style", "wave.jpg", "--data", "photos", "--steps", "4", "--name", "wave", "--workers", "0"),
        *("--crop-size", "32", "--style-size", "48", "--margin", "0", "--save-every", "0.01s", "--device", "cpu"),
        *("--init-from", "none", "--style-weight", "8", "--quiet"),
    )

    @property
    def again(self) -> tuple[str, ...]:
        """`--resume` where there is something to resume; `--force` where the end was reached but not tidied up."""
        work = self.place / "work"
        done = ("--force",) if (work / "checkpoints/wave.safetensors").exists() else ()
        if (work / "runs/wave/last.ckpt").exists():
            return ("train", "--resume", *done, "--name", "wave", "--quiet")
        return (*self.first, *done)

    def results(self) -> dict[str, object]:
        """The weights; of the checkpoint, that it can be read."""
        for path in (self.place / "work" / "runs").rglob("last.ckpt"):
            torch.load(path, weights_only=True)
        for path in (self.place / "work" / "runs").rglob("*.json"):
            json.loads(path.read_text())
        files = self.files("checkpoints").items()
        return {name: {key: each.numpy().tobytes() for key, each in load_file(path).items()} for name, path in files}

    def may_stay(self, name: Path) -> bool:
        """The folder of the run, but not its checkpoint and claim."""
        return name.parts[0] == "runs" and name.name not in ("last.ckpt", "claim.json")


class Serve(Victim):
    """The service, with a client that sends photos; what is answered in full must be right."""

    name = "serve"
    module = "fastnst.serving.server"
    answer: bytes | None = None

    def __init__(self, place: Path, inputs: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.first = self.again = ("serve", "--style", "tiny", "--port", str(self.port), "--device", "cpu")
        self.wrong: list[str] = []
        super().__init__(place, inputs)

    def anew(self) -> None:
        """With the style where the service looks for it."""
        super().anew()
        (self.place / "work/checkpoints").mkdir()
        shutil.move(self.place / "work/tiny.safetensors", self.place / "work/checkpoints/tiny.safetensors")

    def ask(self) -> bytes:
        """One photo, painted."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request("POST", "/v1/stylize", (self.inputs / "photos/0.jpg").read_bytes())
            response = connection.getresponse()
            data = response.read()
        finally:
            connection.close()
        if response.status != 200:
            raise OSError(f"{response.status}: {data[:200]!r}")
        return data

    def to_its_end(self) -> int:
        """Start at the same address, be answered, SIGTERM."""
        process, started = self.start(self.first), time.monotonic()
        answer = None
        while answer is None and time.monotonic() - started < PATIENCE:
            with suppress(OSError, http.client.HTTPException):
                answer = self.ask()
            time.sleep(0.02)
        self.answer = self.answer or answer
        if answer != self.answer:
            raise Fault("another answer than without a kill")
        os.kill(process, signal.SIGTERM)
        code = waited(process, PATIENCE)
        return 99 if code is None else code

    @contextmanager
    def busy(self) -> Iterator[None]:
        """A client that asks all the time."""
        over = threading.Event()

        def client() -> None:
            while not over.is_set():
                with suppress(OSError, http.client.HTTPException):
                    if self.ask() != self.answer:
                        self.wrong.append("an answer with status 200 is not that of a service that was left alone")
                time.sleep(0.01)

        thread = threading.Thread(target=client)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def results(self) -> dict[str, object]:
        """The style, which stays as it is."""
        if self.wrong:
            raise Fault(self.wrong[0])
        return {name: path.read_bytes() for name, path in self.files("checkpoints").items()}


VICTIMS = {each.name: each for each in (Apply, Watch, Video, Export, Train, Serve)}


def waited(process: int, seconds: float) -> int | None:
    """The exit code of a process, negative for a signal; None if it still runs after so many seconds."""
    end = time.monotonic() + seconds
    while True:
        dead, status = os.waitpid(process, os.WNOHANG)
        if dead:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > end:
            return None
        time.sleep(0.002)


def kill(process: int, how: str, chance: random.Random) -> None:
    """Send the signals, and wait for the end."""
    with suppress(ProcessLookupError):
        os.kill(process, getattr(signal, how.split()[0]))
        if how.endswith("twice") and waited(process, chance.choice((0.0, 0.01, 0.1, 0.5))) is None:
            os.kill(process, signal.SIGINT)
        elif how.endswith("twice"):
            return
    if waited(process, PATIENCE) is None:
        os.kill(process, signal.SIGKILL)
        waited(process, PATIENCE)
        raise Fault(f"still runs {PATIENCE:g} s after {how}")


def make_inputs(folder: Path) -> None:
    """Eight photos, a style image, a video and a style of a tiny network."""
    noise = np.random.default_rng(0)
    (folder / "photos/below").mkdir(parents=True)
    for number in range(8):
        pixels = noise.integers(0, 256, (6, 8, 3), np.uint8)
        image = Image.fromarray(pixels).resize((96, 72), Image.Resampling.BICUBIC)
        image.save(folder / ("photos/below" if number % 3 else "photos") / f"{number}.jpg")
    Image.fromarray(noise.integers(0, 256, (9, 12, 3), np.uint8)).resize((96, 72)).save(folder / "wave.jpg")
    with av.open(str(folder / "clip.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for number in range(20):
            frame = av.VideoFrame.from_ndarray(np.full((64, 96, 3), 10 * number, np.uint8))
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    torch.manual_seed(0)
    settings = {"half": 4, "quarter": 4, "eighth": 4, "num_blocks": 1, "num_deep_blocks": 0, "num_styles": 1}
    info = {"name": "tiny", "styles": [{"name": "tiny"}], "network": settings}
    save_style(folder / "tiny.safetensors", TransformationNetwork(**settings), info)
