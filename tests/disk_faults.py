"""Commands while their disk goes away or is slow: strace lets system calls on chosen files fail, or wait.

    with Forks() as forks:
        code, lines = forks.run(folder, ("apply", "photo.png", ...), Fault(paths, "EIO", since=3))

Run as a program, this file loads fastnst once and forks for each command. The child stops before it begins, so that
strace can be attached, and numbers its hidden files from 0 on, so that their names are known beforehand.
"""

import importlib
import itertools
import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

READS = "openat,read,pread64,readv,getdents64"
CALLS = f"%file,{READS},write,pwrite64,writev,fsync,fdatasync,ftruncate,fallocate,sendfile,copy_file_range,flock,fstat"
MODULES = ("painting.apply", "painting.texture", "exporting.export", "baseline.optimize", "video.paint", "serving.page")
PARTIALS = 10  # hidden files of a command that are looked at


class Fault(NamedTuple):
    """What befalls the files.

    Attributes:
        paths: Of files and folders, also of those that will be there.
        error: The system's name of an error, as `EIO`.
        after: How many calls of each name succeed in each thread, before they fail for ever; of others, none.
        calls: Names of those that fail.
        once: Whether only the next call of each name fails.
        wait: Microseconds that each call takes longer, in place of an error.
    """

    paths: Sequence[Path] = ()
    error: str = "EIO"
    after: Mapping[str, int] = {}
    calls: str = CALLS
    once: bool = False
    wait: int = 0

    @property
    def words(self) -> list[str]:
        """Arguments of strace."""
        how = f"delay_exit={self.wait}" if self.wait else f"error={self.error}"
        injected = {self.calls: 0, **self.after}  # of two for one call, the last counts
        faults = [f"inject={name}:{how}:when={done + 1}{'' if self.once else '+'}" for name, done in injected.items()]
        where = itertools.chain(*(("-P", str(path)) for path in self.paths))
        return [*where, "-e", f"trace={self.calls}", *itertools.chain(*(("-e", fault) for fault in faults))]


def moments(calls: Sequence[tuple[str, str]], most: int) -> list[dict[str, int]]:
    """Before some of the calls `(thread, name)` of a run, in its order: how many of each name a thread has made.

    strace counts for each thread. Of several threads, the one with the most calls of a name decides, so that none fails
    before the moment; another one may go on a little longer.
    """
    done: Counter[tuple[str, str]] = Counter()
    reached: dict[str, int] = {}
    found = []
    for thread, name in calls:
        found.append({**reached, name: reached.get(name, 0)})
        done[thread, name] += 1
        reached[name] = max(reached.get(name, 0), done[thread, name])
    found = [each for place, each in enumerate(found) if each not in found[:place]]
    return found[:: max(1, len(found) // most)]


def hidden(folder: Path, names: Iterable[str] = ()) -> list[Path]:
    """A folder, its hidden files, and files of these names in it and in its hidden folders."""
    partials = [folder / f".{number:012x}.partial" for number in range(PARTIALS)]
    return [folder, *partials, *(place / name for place in (folder, *partials) for name in names)]


class Forks:
    """A process that forks for commands.

    Attributes:
        hit: The system calls of the last command that failed or waited: its thread, and the call's name.
    """

    def __init__(self, modules: Sequence[str] = MODULES) -> None:
        if not shutil.which("strace"):
            raise OSError("there is no strace")
        self._process = subprocess.Popen(
            [sys.executable, __file__, *modules], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._place = Path(tempfile.mkdtemp())
        self.hit: list[tuple[str, str]] = []

    def __enter__(self) -> "Forks":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()
        shutil.rmtree(self._place)

    def run(self, folder: Path, words: Sequence[str], fault: Fault | None = None) -> tuple[int, list[str]]:
        """Run a command in a folder; returns its exit code, negative if a signal ended it, and its lines.

        Raises:
            OSError: strace may not be attached.
        """
        log, trace = self._place / "log", self._place / "trace"
        log.write_text("")
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps({"folder": str(folder), "words": words, "log": str(log)}) + "\n")
        self._process.stdin.flush()
        process = int(self._process.stdout.readline())
        tracer = None
        if fault:
            command = ["strace", "-f", "-y", "-o", str(trace), *fault.words, "-p", str(process)]
            tracer = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
            assert tracer.stderr
            said = next(line for line in tracer.stderr if "Requested path" not in line)
            if "attached" not in said:
                os.kill(process, signal.SIGKILL)
                raise OSError(f"strace may not be attached: {said.strip()}")
        os.kill(process, signal.SIGCONT)
        code = int(self._process.stdout.readline())
        if tracer:
            tracer.communicate()
            lines = re.findall(
                r"^(\d+) +(\w+)\(.*(?:INJECTED|DELAYED|unfinished)", trace.read_text(errors="replace"), re.M
            )
            self.hit = list(lines)
        return code, log.read_text().strip().splitlines()


def _serve(modules: Sequence[str]) -> None:
    for name in modules:
        importlib.import_module(f"fastnst.{name}")
    for line in sys.stdin:
        asked = json.loads(line)
        process = os.fork()
        if not process:
            _child(asked)
        os.waitpid(process, os.WUNTRACED)
        print(process, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), flush=True)


def _child(asked: dict[str, str]) -> None:
    from fastnst.cli import main

    code = 1
    try:
        log = os.open(asked["log"], os.O_WRONLY | os.O_APPEND)
        for stream, file in ((0, os.open(os.devnull, os.O_RDONLY)), (1, log), (2, log)):
            os.dup2(file, stream)
        os.chdir(asked["folder"])
        numbers = itertools.count()
        secrets.token_hex = lambda size: f"{next(numbers):0{2 * size}x}"
        os.kill(os.getpid(), signal.SIGSTOP)
        main(asked["words"])
    except SystemExit as error:
        code = int(error.code or 0)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    _serve(sys.argv[1:])
