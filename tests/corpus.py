"""A folder of malformed pictures through the commands that read pictures: python tests/corpus.py FOLDER

All files go through every reader, through `apply` on the folder (those that it takes for photos), and through `apply`
under names of videos. Each other command runs on a sample: `train --style`, `--mask`, `optimize` and a video on eight
files, evenly spread, and four steps of a training with the folder as its data, which reads as many photos as it needs.

Prints one JSON object, and exits with 1 if there was a traceback, an exit code or a line that is not documented, or a
limit was passed. Readers: ten seconds of processor time for a file, and a gigabyte more than before. `apply` on a
folder: a minute of processor time and a quarter of a second more for each file, 2,000 MB, of which 700 are the program
itself, and ten minutes by the clock and a second more for each file. A command on one file: a minute of processor time.
"""

import argparse
import contextlib
import faulthandler
import io
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

SECONDS, MEGABYTES = 10.0, 1000  # of a reader, for a file
SECONDS_AT_ONCE, SECONDS_A_FILE, MEGABYTES_AT_ONCE = 60.0, 0.25, 2000  # of a command; of `apply` on a folder
STUCK = 600  # seconds without a file, after which a process is ended
SAMPLES = 8  # files on which the commands run one by one
STYLE = "great_wave_live"
TINY = (
    *("--style-layers", "relu1_2", "--content-layers", "relu1_2", "--crop-size", "32", "--style-size", "32"),
    *("--margin", "0", "--init-from", "none", "--device", "cpu", "--workers", "0", "--quiet"),
)


def files_of(folder: Path) -> list[Path]:
    """All files of a folder and below."""
    return sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))


def by_apply(folder: Path, out: Path, most: str = "32") -> dict[str, Any]:
    """`fastnst apply` on a folder, as a process of its own, with limits of time and memory."""
    words = ("apply", str(folder), "--style", STYLE, "-o", str(out), "--size", "64", "--max-megapixels", most, "--json")
    command = [sys.executable, "-m", "fastnst", *words, "--device", "cpu", "--runtime", "torch"]
    count, before = len(files_of(folder)), resource.getrusage(resource.RUSAGE_CHILDREN)
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, errors="replace", timeout=STUCK + count
        )
    except subprocess.TimeoutExpired as late:
        return {"files": count, "faults": [f"no end after {late.timeout:.0f} s"]}
    told = [json.loads(line) for line in done.stdout.splitlines()]
    failed = [each for each in told if "error" in each]
    faults = [f"exit code {done.returncode}"] if done.returncode not in (0, 2, 3) else []
    faults += ["a traceback: " + done.stderr[-2000:]] if "Traceback" in done.stderr else []
    faults += [f"{each['photo']}: more than a line" for each in failed if "\n" in each["error"].strip()]
    faults += beyond_limits(before, resource.getrusage(resource.RUSAGE_CHILDREN), count)
    return {"files": len(told), "painted": len(told) - len(failed), "refused": len(failed), "faults": faults}


def beyond_limits(before: resource.struct_rusage, after: resource.struct_rusage, count: int) -> list[str]:
    """What a command took of processor time and memory for so many files, if that is more than it may."""
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    megabytes = after.ru_maxrss // 1024
    faults = [f"{seconds:.0f} s for {count} files"] if seconds > SECONDS_AT_ONCE + SECONDS_A_FILE * count else []
    return faults + ([f"{megabytes} MB"] if megabytes > MEGABYTES_AT_ONCE else [])


def by_readers(folder: Path) -> dict[str, Any]:
    """Every file by all readers: style image, photo to train on, mask, animation, photo to optimise."""
    from fastnst.base.errors import UserError
    from fastnst.images.masks import read_mask
    from fastnst.images.read import decode_photo, load_image
    from fastnst.painting.animation import read_animation
    from fastnst.perception.objective import load_style_image

    readers: dict[str, Callable[[Path], object]] = {
        "style image": lambda path: load_style_image(path, 64),
        "photo to train on": lambda path: decode_photo(path, short_side=64),
        "mask": lambda path: read_mask(path).fitted(48, 64)((slice(0, 48), slice(0, 64))),
        "animation": lambda path: read_animation(path, size=64, max_pixels=32_000_000),
        "photo to optimise": lambda path: load_image(path, size=64),
    }
    read: Counter[str] = Counter()
    faults, slowest, before = [], 0.0, most_memory()
    for path in files_of(folder):
        faulthandler.dump_traceback_later(STUCK, exit=True)
        for name, reader in readers.items():
            started = time.process_time()
            try:
                reader(path)
                read[name] += 1
            except UserError as error:
                faults += [f"{path}: more than a line"] if "\n" in str(error) else []
            except Exception as error:
                faults.append(f"{path}, {name}: {type(error).__name__}: {error}"[:300])
            seconds = time.process_time() - started
            slowest = max(slowest, seconds)
            faults += [f"{path}, {name}: {seconds:.0f} s"] if seconds > SECONDS else []
        if most_memory() - before > MEGABYTES:
            faults.append(f"{path}: {most_memory() - before} MB more than at the beginning")
            before = most_memory()
    faulthandler.cancel_dump_traceback_later()
    grown = most_memory() - before
    return {
        "files": len(files_of(folder)),
        "read": read,
        "slowest": round(slowest, 2),
        "grown_mb": grown,
        "faults": faults,
    }


def most_memory() -> int:
    """Megabytes that the process has had at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def by_commands(folder: Path) -> dict[str, Any]:
    """The commands on a few files, evenly spread, and a training on all of the folder."""
    from PIL import Image

    Image.linear_gradient("L").resize((48, 32)).convert("RGB").save("photo.png")
    paths = files_of(folder)
    faults: list[str] = []
    codes: Counter[str] = Counter()
    for number, path in enumerate(paths[:: max(1, len(paths) // SAMPLES)]):
        for words in _commands(path, number):
            _run(words, codes, faults)
    _run(
        ["train", "--style", "photo.png", "--data", str(folder), "--steps", "4", "--name", "all", *TINY], codes, faults
    )
    return {"exit_codes": codes, "faults": faults}


def _commands(path: Path, number: int) -> Iterator[list[str]]:
    name, video = str(path), Path(f"{number}.mp4")
    video.symlink_to(path.absolute())
    yield ["train", "--style", name, "--data", os.path.dirname(name), "--steps", "1", "--name", "odd", "--force", *TINY]
    yield ["apply", "photo.png", "--style", STYLE, "--mask", name, "-o", "out.png", "--force", "--runtime", "torch"]
    yield ["apply", str(video), "--style", STYLE, "-o", "moving.mp4", "--force", "--runtime", "torch"]
    layers = (
        "--style-layers",
        "relu1_2",
        "--content-layers",
        "relu1_2",
        "--iterations",
        "1",
        "--size",
        "32",
        "--force",
    )
    yield ["optimize", name, "--style", "photo.png", "-o", "slow.png", *layers]
    yield ["optimize", "photo.png", "--style", name, "-o", "slow.png", *layers]


def _run(words: list[str], codes: Counter[str], faults: list[str]) -> None:
    from fastnst.cli import main

    said, code, started = io.StringIO(), 0, time.process_time()
    faulthandler.dump_traceback_later(STUCK, exit=True)
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        try:
            main(words)
        except SystemExit as stop:
            code = int(stop.code or 0)
        except Exception as error:
            code = 1
            faults.append(f"{words}: {type(error).__name__}: {error}"[:300])
    faulthandler.cancel_dump_traceback_later()
    codes[f"{words[0]} {code}"] += 1
    seconds = time.process_time() - started
    faults += [f"{words}: {seconds:.0f} s"] if seconds > SECONDS_AT_ONCE else []
    if (
        code == 2 and len([line for line in said.getvalue().splitlines() if line.strip()]) > 2
    ):  # one line, and the log's that names the file
        faults.append(f"{words}: {said.getvalue()[-300:]}")


def by_videos(folder: Path, place: Path) -> dict[str, Any]:
    """The files under names of videos."""
    (place / "videos").mkdir()
    for number, path in enumerate(files_of(folder)):
        (place / "videos" / f"{number}.mp4").symlink_to(path.absolute())
    return by_apply(place / "videos", place / "painted")


PARTS: dict[str, Callable[[Path, Path], dict[str, Any]]] = {
    "apply": lambda folder, place: by_apply(folder, place / "out"),
    "videos": by_videos,
    "readers": lambda folder, place: by_readers(folder),
    "commands": lambda folder, place: by_commands(folder),
}


def run(folder: Path, parts: list[str]) -> dict[str, Any]:
    """Each part in a process and an empty folder of its own."""
    found: dict[str, Any] = {}
    for part in parts:
        with tempfile.TemporaryDirectory() as place:
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            words = [sys.executable, os.path.abspath(__file__), str(folder.absolute()), "--only", part]
            done = subprocess.run(words, cwd=place, capture_output=True, text=True, check=False)
            used = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds = used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime
        try:
            about = json.loads(done.stdout)
        except ValueError:
            about = {"faults": [f"the process ended with {done.returncode}: {done.stderr[-2000:]}"]}
        found[part] = {**about, "processor_seconds": round(seconds)}
    return found


def main() -> None:
    """Run all parts, or one in this process."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--part", action="append", choices=PARTS)
    parser.add_argument("--only", choices=PARTS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.only:
        print(json.dumps(PARTS[given.only](given.folder, Path.cwd())))
        return
    found = run(given.folder, given.part or list(PARTS))
    print(json.dumps(found, indent=1))
    sys.exit(any(each["faults"] for each in found.values()))


if __name__ == "__main__":
    main()
