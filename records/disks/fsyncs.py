"""What fsync costs: the time of a command that waits for the disk, and of the same one that does not.

    python records/disks/fsyncs.py --pairs 7 --folder FOLDER --output fsyncs.json

Each run is a process of its own; of a pair, now the one comes first and now the other. Told are the seconds of the
command without its imports, those within its fsyncs, and their number. FOLDER is on the disk that is asked about.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from fastnst.networks.network import TransformationNetwork
from fastnst.networks.style_file import save_style

PHOTOS = 200  # of the folder
FAST = ("--style", "tiny.safetensors", "--runtime", "torch", "--device", "cpu", "--quiet", "--force")
TRAINING = ("train", "--style", "0.png", "--data", "photos", "--steps", "2", "--crop-size", "64", "--style-size", "64")
SHALLOW = ("--margin", "0", "--init-from", "none", "--style-weight", "8", "--network", "live", "--workers", "0")
CASES = {
    f"{PHOTOS} photos": ("apply", "photos", "-o", "out", *FAST),
    "photo of 12 megapixels, JPEG": ("apply", "large.jpg", "-o", "out.jpg", *FAST),
    "photo of 12 megapixels, PNG": ("apply", "large.jpg", "-o", "out.png", *FAST),
    "export": (
        "export",
        "--style",
        "tiny.safetensors",
        "--format",
        "torchscript",
        "-o",
        "out.pt",
        "--quiet",
        "--force",
    ),
    "training of two steps": (*TRAINING, *SHALLOW, "--device", "cpu", "--quiet", "--force"),
}
CHILD = """
import importlib, json, os, sys, time
import torch
torch.set_num_threads(1)
for name in ("painting.apply", "exporting.export", "training.train"):
    importlib.import_module(f"fastnst.{name}")
from fastnst.cli import main
wait, spent = os.fsync, []
def fsync(file):
    started = time.perf_counter()
    if sys.argv[1] == "with":
        wait(file)
    spent.append(time.perf_counter() - started)
os.fsync = fsync
started = time.perf_counter()
try:
    main(sys.argv[2:])
except SystemExit as error:
    seconds = time.perf_counter() - started
    print(json.dumps({"seconds": seconds, "in_fsync": sum(spent), "fsyncs": len(spent), "longest": max(spent)}))
    sys.exit(error.code)
"""


def prepare(folder: Path) -> None:
    """The photos, and a network that takes little time."""
    (folder / "photos").mkdir()
    chance = np.random.default_rng(0)
    for number in range(PHOTOS):
        Image.fromarray(chance.integers(0, 256, (144, 192, 3), np.uint8)).save(folder / f"photos/{number}.jpg")
    Image.fromarray(chance.integers(0, 256, (96, 96, 3), np.uint8)).save(folder / "0.png")
    small = Image.fromarray(chance.integers(0, 256, (300, 400, 3), np.uint8))
    small.resize((4000, 3000), Image.Resampling.BICUBIC).save(folder / "large.jpg", quality=95)
    torch.manual_seed(0)
    sizes = {"half": 4, "quarter": 4, "eighth": 4, "num_blocks": 1, "num_deep_blocks": 0, "num_styles": 1}
    info = {"name": "tiny", "styles": [{"name": "tiny"}], "network": sizes}
    save_style(folder / "tiny.safetensors", TransformationNetwork(**sizes), info)


def run(folder: Path, how: str, words: tuple[str, ...]) -> dict[str, float]:
    """One run; its results are removed before, and go to the disk before the next one."""
    for name in ("out", "runs", "checkpoints"):
        shutil.rmtree(folder / name, ignore_errors=True)
    subprocess.run(["sync"], check=True)
    command = [sys.executable, "-c", CHILD, how, *words]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def main() -> None:
    """Measure the cases, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--folder", type=Path, default=Path())
    parser.add_argument("--output", type=Path)
    parser.add_argument("--case", default="", help="only cases whose names have this")
    asked = parser.parse_args()
    results = []
    with tempfile.TemporaryDirectory(dir=asked.folder) as place:
        folder = Path(place)
        prepare(folder)
        system = subprocess.run(["stat", "-f", "-c", "%T", place], capture_output=True, text=True).stdout.strip()
        for case, words in CASES.items():
            if asked.case not in case:
                continue
            pairs = []
            for number in range(asked.pairs):
                order = ("with", "without") if number % 2 else ("without", "with")
                found = {how: run(folder, how, words) for how in order}
                pairs.append((found["with"], found["without"]))
            result: dict[str, Any] = {"case": case, "file_system": system, "pairs": asked.pairs}
            result["fsyncs"] = pairs[0][0]["fsyncs"]
            for name, values in {
                "seconds_without": [without["seconds"] for _, without in pairs],
                "seconds_more": [one["seconds"] - without["seconds"] for one, without in pairs],
                "seconds_in_fsync": [one["in_fsync"] for one, _ in pairs],
                "longest_fsync": [one["longest"] for one, _ in pairs],
            }.items():
                spread = [min(values), statistics.median(values), max(values)]
                result[name] = [round(each, 4) for each in spread]
            results.append(result)
            print(json.dumps(result), flush=True)
    if asked.output:
        asked.output.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
