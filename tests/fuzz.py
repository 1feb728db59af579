"""A search for files that the readers of pictures, style files and recipes do not stand.

    python tests/fuzz.py --minutes 60

Hypothesis draws the changes that `malformed.py` makes of honest files, and makes what fails small. A finding is an
error that is no `UserError`, a file that takes more than ten seconds of processor time or a gigabyte, or one that ends
the process; its bytes are kept in `tests/found/`, whose files are read again in the default tests. Prints JSON.
"""

import argparse
import contextlib
import copy
import faulthandler
import hashlib
import io
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from malformed import honest_pictures, mutated, recipes, with_odd_values
from safetensors.torch import save
from style_files import kinds_of_files

from fastnst.base.errors import UserError
from fastnst.base.recipes import read_recipe
from fastnst.cli import app
from fastnst.images.read import decode_photo, read_picture
from fastnst.networks.style_file import load_style
from fastnst.painting.animation import read_animation
from fastnst.painting.styles import describe_style
from fastnst.universal.file import load_autoencoder, load_predictor

FOUND = Path(__file__).parent / "found"
SECONDS, BYTES = 10.0, 10**9  # processor time and memory that a file may take
MOST_PIXELS = 4_000_000  # decoded here; larger ones are refused, as a service refuses them


def read_any_picture(data: bytes, folder: Path) -> bool:
    """Read bytes in all the ways in which pictures are read; whether one succeeded."""
    attempts: list[Callable[[], object]] = [
        lambda: read_picture(io.BytesIO(data), max_pixels=MOST_PIXELS).levels,
        lambda: read_animation(io.BytesIO(data), max_pixels=MOST_PIXELS),
        lambda: read_picture(io.BytesIO(data), size=16, max_pixels=MOST_PIXELS).levels,
    ]
    read = [_succeeds(attempt) for attempt in attempts]
    if read[0]:
        _succeeds(lambda: decode_photo(data, short_side=8))
    return any(read)


def read_any_style(data: bytes, folder: Path) -> bool:
    """Load bytes as a style, a predictor and a universal network, and describe them; whether one succeeded."""
    path = folder / "odd.safetensors"
    path.write_bytes(data)

    def paints() -> None:
        network = load_style(path).network
        with torch.no_grad():
            image = network(torch.rand(1, 3, 16, 16), torch.full((1, network.num_styles), 1 / network.num_styles))
        assert image.isfinite().all()

    with contextlib.redirect_stdout(io.StringIO()):
        attempts = (paints, lambda: load_predictor(path), lambda: load_autoencoder(path))
        return any([_succeeds(lambda: describe_style(str(path), as_json=False)), *map(_succeeds, attempts)])


def read_any_recipe(data: bytes, folder: Path) -> bool:
    """Take bytes for a recipe of a training; whether they are one."""
    path = folder / "odd.yaml"
    path.write_bytes(data)
    if not _succeeds(lambda: read_recipe(path)):
        return False
    with contextlib.suppress(ValueError):  # cyclopts's errors are shown by `main`
        words = ["train", "--style", "a.jpg", "--config", str(path)]
        with contextlib.suppress(*_CYCLOPTS):
            app.parse_args(words, exit_on_error=False, print_error=False)
    return True


def _cyclopts_errors() -> tuple[type[Exception], ...]:
    from cyclopts.exceptions import CycloptsError

    return (CycloptsError,)


_CYCLOPTS = _cyclopts_errors()


def _succeeds(attempt: Callable[[], object]) -> bool:
    try:
        attempt()
    except UserError as error:
        assert "\n" not in str(error).strip() or "YAML" in str(error)
        return False
    return True


def odd_picture(chance: random.Random, honest: dict[str, bytes]) -> bytes:
    """A picture changed by chance."""
    return mutated(honest[chance.choice(sorted(honest))], chance, honest[chance.choice(sorted(honest))])


def honest_styles() -> list[tuple[dict[str, Any], dict[str, torch.Tensor]]]:
    """Descriptions and weights of a small style, a universal network and a predictor."""
    return [(about, part.state_dict()) for about, part in kinds_of_files().values()]


def odd_style(chance: random.Random, honest: list[tuple[dict[str, Any], dict[str, torch.Tensor]]]) -> bytes:
    """A style file with another description, other weights, or other bytes in its header."""
    about, weights = honest[chance.randrange(3)]
    if chance.random() < 0.6:
        about = with_odd_values(copy.deepcopy(about), chance)
    if chance.random() < 0.2:
        name = chance.choice(sorted(weights))
        weights = {**weights, name: torch.full_like(weights[name], chance.choice((float("nan"), 6e4, 0.0)))}
    data = save(weights, {"fastnst": json.dumps(about)})
    header = int.from_bytes(data[:8], "little") + 8
    return data if chance.random() < 0.5 else mutated(data[:header], chance) + data[header:]


def targets() -> dict[str, tuple[Callable[[random.Random], bytes], Callable[[bytes, Path], bool]]]:
    """By name: what makes a file, and what reads it."""
    pictures, styles = honest_pictures(), honest_styles()
    return {
        "picture": (lambda chance: odd_picture(chance, pictures), read_any_picture),
        "style": (lambda chance: odd_style(chance, styles), read_any_style),
        "recipe": (lambda chance: next(recipes(chance, 1)), read_any_recipe),
    }


class Search:
    """A search over rounds of 200 files; one example of each error is kept."""

    def __init__(self, names: list[str], minutes: float, report: Path, folder: Path) -> None:
        self.names, self.report, self.folder = names, report, folder
        self.ends, self.before = time.monotonic() + 60 * minutes, _most_memory()
        self.made = targets()
        self.about: dict[str, Any] = {name: {"files": 0, "read": 0, "slowest": 0.0, "findings": []} for name in names}
        self.known: set[str] = set()
        self.data = b""

    def run(self, first: int) -> None:
        """Rounds from a seed on, until the time is over."""
        for number in range(first, sys.maxsize):
            if time.monotonic() > self.ends:
                break
            name = self.names[number % len(self.names)]
            try:
                self.round(name, number)
            except Exception as error:
                self.known.add(_place_of(error))
                found = [keep(name, self.data), f"{type(error).__name__}: {error}"[:300]]
                self.about[name]["findings"].append(found)
            facts = {"next_seed": number + 1, "processor_seconds": round(time.process_time())}
            grown = {"grown_mb": (_most_memory() - self.before) // 10**6}
            self.report.write_text(json.dumps({**self.about, **facts, **grown}, indent=1))

    def round(self, name: str, number: int) -> None:
        """The files of a seed; an error is raised again with the smallest file that Hypothesis finds."""

        @seed(number)
        @settings(
            max_examples=200,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate, Phase.shrink],
        )
        @given(st.randoms(use_true_random=False))
        def stands(chance: random.Random) -> None:
            self.one(name, chance)

        stands()

    def one(self, name: str, chance: random.Random) -> None:
        """A file, and what it takes."""
        make, read = self.made[name]
        data = make(chance)
        if time.monotonic() > self.ends:
            return
        self.data = data
        self.report.with_suffix(".current").write_bytes(name.encode() + b"\0" + self.data)
        faulthandler.dump_traceback_later(600, exit=True)
        started, about = time.process_time(), self.about[name]
        try:
            about["read"] += read(self.data, self.folder)
        except Exception as error:
            if _place_of(error) in self.known:
                return
            raise
        finally:
            faulthandler.cancel_dump_traceback_later()
        seconds = time.process_time() - started
        about["files"] += 1
        about["slowest"] = round(max(about["slowest"], seconds), 2)
        assert seconds < SECONDS, f"{seconds:.0f} s of processor time"
        assert _most_memory() - self.before < BYTES, "memory"


def _most_memory() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _place_of(error: Exception) -> str:
    place = error.__traceback__
    while place and place.tb_next:
        place = place.tb_next
    return f"{type(error).__name__} {place and place.tb_frame.f_code.co_filename}:{place and place.tb_lineno}"


def keep(name: str, data: bytes) -> str:
    """Keep a finding under a name that says what reads it."""
    FOUND.mkdir(exist_ok=True)
    path = FOUND / f"{name}-{hashlib.sha256(data).hexdigest()[:12]}"
    path.write_bytes(data)
    return path.name


def main() -> None:
    """Search in a process of its own, and begin again behind what ends it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--target", action="append", choices=("picture", "style", "recipe"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--report", type=Path, default=Path("fuzz.json"))
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    given_ = parser.parse_args()
    names = given_.target or ["picture", "style", "recipe"]
    if given_.child:
        torch.set_num_threads(1)
        with tempfile.TemporaryDirectory() as place:
            Search(names, given_.minutes, given_.report, Path(place)).run(given_.seed)
        return
    ends, first, deaths = time.monotonic() + 60 * given_.minutes, given_.seed, []
    total: dict[str, Any] = {}
    while (left := (ends - time.monotonic()) / 60) > 0:
        again = [f"--minutes={left}", f"--seed={first}", f"--report={given_.report}", *(f"--target={n}" for n in names)]
        given_.report.unlink(missing_ok=True)
        code = subprocess.run([sys.executable, os.path.abspath(__file__), "--child", *again], check=False).returncode
        facts = json.loads(given_.report.read_text()) if given_.report.exists() else {"next_seed": first}
        for key, value in facts.items():
            total[key] = _added(total[key], value) if key in total else value
        first = total["next_seed"] = facts["next_seed"] + (code != 0)
        if code != 0:
            name, _, data = given_.report.with_suffix(".current").read_bytes().partition(b"\0")
            deaths.append([code, keep(name.decode(), data)])
    given_.report.with_suffix(".current").unlink(missing_ok=True)
    given_.report.write_text(json.dumps({**total, "deaths": deaths}, indent=1) + "\n")
    print(given_.report.read_text())


def _added(before: Any, more: Any) -> Any:
    if isinstance(before, dict):
        return {key: max(before[key], more[key]) if key == "slowest" else before[key] + more[key] for key in before}
    return before + more


if __name__ == "__main__":
    main()
