"""Cut the power, on paper: what a disk may hold after each step of a command, and whether that is whole.

    python records/kills/power.py apply video export train --output power.json

The system calls of a command that write, rename, link, remove and fsync are recorded (strace). A killed process leaves
what the kernel holds in memory; a machine without power does not. So for each moment the folder is built again as it
may be on the disk: what an fsync covered is there, and of all else any part: nothing, all, names without contents,
contents without names, all but one, one alone, and random parts. In each of these folders

- a file under a final name has all that was written to it, or is not there;
- a training that has saved once still has a checkpoint or its style file, and the settings beside;
- after the command has ended, all its results are there.

Each command is checked once more with its fsyncs taken out of the record: that check must fail, or it proves nothing.
"""

import argparse
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from run import VICTIMS, Victim, make_inputs, waited

CALLS = "openat,open,creat,write,pwrite64,writev,ftruncate,copy_file_range,sendfile"
NAMES = "rename,renameat,renameat2,link,linkat,unlink,unlinkat,mkdir,mkdirat,rmdir"
OTHERS = ("events.out", ".lock", "log", "hparams.yaml")  # of TensorBoard and of locks; nothing is promised of them
RANDOM = 20  # parts of each moment that are drawn
SINGLE = 30  # operations that are there alone, and that alone are missing; of more, so many are drawn
_LINE = re.compile(r"^(?:\[pid +)?(\d+)\]? +(?:\d+\.\d+ )?(\w+)\((.*)\) += (-?\d+)(.*)$")
_PATH = re.compile(r'"((?:[^"\\]|\\.)*)"')
_FILE = re.compile(r"^(?:AT_FDCWD|\d+)<([^>]*)>")


@dataclass
class Step:
    """One thing that was done: bytes written to a file, or a name given or taken."""

    kind: str  # write, name, unname, sync
    file: int  # the number of a file or folder
    folder: int = 0  # for names: in which folder
    name: str = ""
    old: tuple[int, str] | None = None  # of a rename: the name that goes away in the same moment


@dataclass
class Record:
    """The steps of a command inside of a folder, and what is called how."""

    top: Path
    steps: list[Step] = field(default_factory=list)
    files: dict[str, int] = field(default_factory=dict)  # the number of what has a path now
    aside: set[int] = field(default_factory=set)  # files of which nothing is promised
    numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def number(self, path: str) -> int:
        """The number of a file or folder; what was there before is known from now on."""
        if path not in self.files:
            self.files[path] = next(self.numbers)
        return self.files[path]

    def inside(self, path: str) -> bool:
        """Whether a path is in the folder."""
        return path == str(self.top) or path.startswith(f"{self.top}/")

    def given(self, path: str, file: int, old: str | None = None) -> None:
        """A name is given to a file."""
        folder, name = os.path.split(path)
        before = None
        if old is not None:
            place, was = os.path.split(old)
            before = (self.number(place), was)
            for each in [each for each in self.files if each == old or each.startswith(f"{old}/")]:
                self.files[path + each.removeprefix(old)] = self.files.pop(each)
        self.files[path] = file
        if any(each in name for each in OTHERS):
            self.aside.add(file)
        self.steps.append(Step("name", file, self.number(folder), name, before))

    def call(self, name: str, words: str, result: int) -> None:
        """One system call that succeeded."""
        if result < 0:
            return
        at = _FILE.match(words)
        where = at[1] if at else ""
        quoted = [bytes(each, "utf-8").decode("unicode_escape") for each in _PATH.findall(words)]
        paths = [os.path.normpath(os.path.join(where or self.top, each)) for each in quoted]
        if name in ("write", "pwrite64", "writev", "ftruncate", "copy_file_range", "sendfile"):
            if self.inside(where) and where in self.files:
                self.steps.append(Step("write", self.number(where)))
        elif name in ("fsync", "fdatasync"):
            if self.inside(where):
                self.steps.append(Step("sync", self.number(where)))
        elif not paths or not self.inside(paths[-1]):
            return
        elif name in ("open", "openat", "creat"):
            if "O_CREAT" in words and paths[0] not in self.files:
                self.given(paths[0], next(self.numbers))
            elif "O_TRUNC" in words:
                self.steps.append(Step("write", self.number(paths[0])))
        elif name.startswith("mkdir"):
            self.given(paths[0], next(self.numbers))
        elif name.startswith("rename"):
            self.given(paths[1], self.number(paths[0]), paths[0])
        elif name.startswith("link"):
            self.given(paths[1], self.number(paths[0]))
        elif name.startswith(("unlink", "rmdir")):
            folder, last = os.path.split(paths[0])
            file = self.files.pop(paths[0], 0)
            self.steps.append(Step("unname", file, self.number(folder), last))


def recorded(victim: Victim) -> tuple[Record, Counter[str]]:
    """The steps of a victim's first run, and how often each call was made."""
    victim.anew()
    top = victim.place / "work"
    victim.before = lambda: os.kill(os.getpid(), signal.SIGSTOP)  # type: ignore[method-assign]
    process = victim.start(victim.first)
    os.waitpid(process, os.WUNTRACED)
    trace = victim.place / "trace"
    kinds = f"trace={CALLS},{NAMES},fsync,fdatasync"
    words = ["strace", "-f", "-y", "-s", "4096", "-e", kinds, "-o", str(trace), "-p", str(process)]
    tracer = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
    assert tracer.stderr is not None
    tracer.stderr.readline()  # attached
    os.kill(process, signal.SIGCONT)
    code = waited(process, 600)
    tracer.wait()
    if code != 0:
        raise SystemExit(f"{victim.name}: exit code {code} under strace: {victim.said()}")
    record, calls = Record(top), Counter[str]()
    for path in sorted(victim.inputs.rglob("*")):
        record.number(str(top / path.relative_to(victim.inputs)))
    for line in whole_lines(trace.read_text(errors="replace")):
        if found := _LINE.match(line):
            calls[found[2]] += 1
            record.call(found[2], found[3], int(found[4]))
    return record, calls


def whole_lines(text: str) -> Iterator[str]:
    """Lines of a trace, with the calls that threads interrupted put together again."""
    open_ones: dict[str, str] = {}
    for line in text.splitlines():
        process = line.split(" ", 1)[0]
        if line.endswith("<unfinished ...>"):
            open_ones[process] = line.removesuffix("<unfinished ...>")
        elif " resumed>" in line:
            yield open_ones.pop(process, "") + line.split(" resumed>", 1)[1]
        else:
            yield line


@dataclass
class Disk:
    """What is on a disk: names in folders, and for each file whether all that was written to it is there."""

    names: dict[tuple[int, str], int]
    broken: set[int]

    def paths(self, top: int) -> dict[str, int]:
        """All that can be reached from a folder, by path."""
        found: dict[str, int] = {}
        below = [(top, "")]
        while below:
            folder, place = below.pop()
            for (parent, name), file in self.names.items():
                if parent == folder:
                    found[place + name] = file
                    below.append((file, f"{place}{name}/"))
        return found


def disk(steps: list[Step], kept: set[int], before: dict[tuple[int, str], int]) -> Disk:
    """The disk that has the steps of these places in the list, and none of the others."""
    names, broken = dict(before), set[int]()
    for place, step in enumerate(steps):
        there = place in kept
        if step.kind == "write" and not there:
            broken.add(step.file)
        elif step.kind == "name" and there:
            names[step.folder, step.name] = step.file
            if step.old:
                names.pop(step.old, None)
        elif step.kind == "unname" and there:
            names.pop((step.folder, step.name), None)
    return Disk(names, broken)


def durable(steps: list[Step]) -> set[int]:
    """The places of the steps that an fsync covered."""
    found, waiting = set[int](), dict[int, list[int]]()
    for place, step in enumerate(steps):
        if step.kind == "sync":
            found |= set(waiting.pop(step.file, ()))
        else:
            waiting.setdefault(step.file if step.kind == "write" else step.folder, []).append(place)
    return found


def parts(loose: list[int], steps: list[Step], chance: random.Random) -> Iterator[set[int]]:
    """Parts of what no fsync covered: those that a disk may have written all the same."""
    everything = set(loose)
    contents = {at for at in loose if steps[at].kind == "write"}
    yield from (set(), everything, contents, everything - contents)
    some = loose if len(loose) <= SINGLE else chance.sample(loose, SINGLE)
    yield from ({at} for at in some)
    yield from (everything - {at} for at in some)
    yield from ({at for at in loose if chance.random() < 0.5} for _ in range(RANDOM))


def check(record: Record, victim: Victim, *, synced: bool, seed: int = 0) -> tuple[int, list[str]]:
    """Number of disks that were built, and the faults."""
    steps = [step for step in record.steps if step.file not in record.aside and (synced or step.kind != "sync")]
    chance, faults, built = random.Random(seed), list[str](), 0
    top = record.number(str(record.top))
    before: dict[tuple[int, str], int] = {}
    for path in sorted(victim.inputs.rglob("*")):
        place = str(record.top / path.relative_to(victim.inputs))
        before[record.number(os.path.dirname(place)), path.name] = record.number(place)
    saved = False  # whether the training has a checkpoint that an fsync covers
    for end in range(len(steps) + 1):
        done = steps[:end]
        sure = durable(done)
        loose = [at for at, step in enumerate(done) if at not in sure and step.kind != "sync"]
        minimal = disk(done, sure, before).paths(top)
        saved = saved or "runs/wave/last.ckpt" in minimal
        last = end == len(steps)
        for part in parts(loose, done, chance):
            found = disk(done, sure | part, before)
            built += 1
            there = found.paths(top)
            wrong = [path for path, file in there.items() if file in found.broken and "/." not in f"/{path}"]
            whole = {path for path, file in there.items() if file not in found.broken}
            if victim.name == "train" and saved:
                network = {"runs/wave/last.ckpt", "checkpoints/wave.safetensors"} & whole
                if not network or "runs/wave/settings.json" not in whole:
                    wrong.append("the network of the training is lost")
            if last and not set(victim.right) <= whole:
                wrong.append(f"lost at the end: {', '.join(sorted(set(victim.right) - whole))}")
            faults += [f"after step {end} of {len(steps)}: {each}" for each in wrong]
    return built, faults


def main() -> None:
    """Record and check each command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kinds = [name for name in VICTIMS if name not in ("serve", "watch")]
    parser.add_argument("kinds", nargs="*", default=kinds, choices=kinds)
    parser.add_argument("--output", type=Path)
    asked = parser.parse_args()
    place, results, failed = Path(tempfile.mkdtemp()), [], False
    make_inputs(place / "inputs")
    for kind in asked.kinds:
        victim = VICTIMS[kind](place / kind, place / "inputs")
        started = time.monotonic()
        record, calls = recorded(victim)
        built, faults = check(record, victim, synced=True)
        _, control = check(record, victim, synced=False)
        results.append(
            {
                "command": kind,
                "results": len(victim.right),
                "steps": len(record.steps),
                "fsyncs": calls["fsync"] + calls["fdatasync"],
                "disks": built,
                "faults": faults[:20],
                "faults_without_fsync": len(control),
                "example_without_fsync": control[:1],
                "seconds": round(time.monotonic() - started, 1),
            }
        )
        failed = failed or bool(faults) or not control
        print(json.dumps(results[-1], indent=1), flush=True)
    if asked.output:
        asked.output.write_text(json.dumps(results, indent=1) + "\n")
    sys.exit(failed)


if __name__ == "__main__":
    main()
