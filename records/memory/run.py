"""Memory that `fastnst` takes, in a control group with a limit or without one.

    python records/memory/run.py --limit 2 --output memory.json jpeg:1 jpeg:100 png:500 many:10000 video:90000

A case is a format and megapixels, `many` and a number of small files, `mixed` and a number of files of 0.1 to 40
megapixels, or `video` and a number of frames of 64 x 48 px. Each is one process of its own, started in a new group; the
group's highest usage, the kernel's count of reclaimed pages aside, is what is told, and whether the kernel killed it.
Needs root on a Linux with control groups of version 1; without `--limit` only the process's own peak is told.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import av
import numpy as np
import pyvips
import torch

from fastnst.networks.network import TransformationNetwork
from fastnst.networks.style_file import save_style

GROUPS = Path("/sys/fs/cgroup/memory")
SUFFIXES = {"jpeg": "jpg", "progressive": "jpg", "interlaced": "png", "tiff": "tif", "deep": "png"}
CHILD = """
import os, resource, sys
if sys.argv[1] != "-":
    open(sys.argv[1] + "/cgroup.procs", "w").write(str(os.getpid()))
from fastnst.cli import main
try:
    main(sys.argv[2:])
finally:
    used = resource.getrusage(resource.RUSAGE_SELF)
    peak = next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
    print("PEAK", int(peak) * 1024, used.ru_utime + used.ru_stime, file=sys.stderr)
"""


def picture(path: Path, kind: str, pixels: float) -> None:
    """A picture of so many megapixels, 4:3, in a format: a square of waves and noise, again and again."""
    width = round((pixels * 1e6 * 4 / 3) ** 0.5)
    height = round(pixels * 1e6 / width)
    tile = pyvips.Image.gaussnoise(512, 512, mean=0, sigma=8)
    place = pyvips.Image.xyz(512, 512) * (360 / 512)  # degrees, so that the tiles fit together
    waves = [(place[0] * (band + 1) + place[1] * 2).sin() * 100 + 128 + tile for band in range(3)]
    square = waves[0].bandjoin(waves[1:]).cast("uchar").copy(interpretation="srgb").copy_memory()
    image = square.replicate(width // 512 + 1, height // 512 + 1).crop(0, 0, width, height)
    if kind == "deep":
        image = (image.cast("ushort") * 257).copy(interpretation="rgb16")
    if kind in ("bmp", "ppm"):
        from PIL import Image

        Image.fromarray(image.numpy()).save(path)
    elif kind in ("progressive", "interlaced"):
        image.write_to_file(f"{path}[interlace]")
    elif kind == "tiff":
        image.write_to_file(f"{path}[compression=jpeg,tile]")
    elif kind == "avif":
        image.write_to_file(f"{path}[effort=0]")
    else:
        image.write_to_file(str(path))


def video(path: Path, frames: int) -> None:
    """A video of small frames, 25 a second."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), number % 256, np.uint8))
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def prepare(case: str, place: Path) -> Path:
    """The input of a case."""
    kind, _, amount = case.partition(":")
    if kind == "video":
        video(place / "clip.mp4", int(amount))
        return place / "clip.mp4"
    if kind in ("many", "mixed"):
        folder = place / "photos"
        folder.mkdir()
        sizes = [0.002] if kind == "many" else [0.1, 1, 4, 12, 24, 40]
        for size in sizes:
            picture(folder / f"{size}.jpg", "jpeg", size)
        for number in range(int(amount)):
            size = sizes[number % len(sizes)]
            os.link(folder / f"{size}.jpg", folder / f"{number:06}.jpg")
        return folder
    path = place / f"photo.{SUFFIXES.get(kind, kind)}"
    picture(path, kind, float(amount))
    return path


def measure(case: str, style: str, limit: float | None, flags: list[str], tiny: Path) -> dict[str, Any]:
    """One case."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        source = prepare(case, place)
        target = place / (
            "out" if source.is_dir() else f"out{source.suffix.replace('bmp', 'jpg').replace('ppm', 'jpg')}"
        )
        group = None
        if limit:
            group = GROUPS / f"fastnst_{os.getpid()}"
            group.mkdir()
            (group / "memory.limit_in_bytes").write_text(str(round(limit * 2**30)))
        words = ["apply", str(source), "--style", str(tiny) if style == "tiny" else style, "-o", str(target)]
        words += ["--runtime", "torch", "--device", "cpu", "--quiet", "--max-megapixels", "2000", *flags]
        command = [sys.executable, "-c", CHILD, str(group or "-"), *words]
        try:
            done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "TMPDIR": folder})
            lines = done.stderr.strip().splitlines()
            peak = next((line.split()[1:] for line in lines if line.startswith("PEAK")), None)
            result: dict[str, Any] = {"case": case, "style": style, "limit_gb": limit, "code": done.returncode}
            result["said"] = [line.replace(folder, "") for line in lines if not line.startswith("PEAK")][-2:]
            if peak:
                result["own_peak_mb"], result["processor_seconds"] = round(int(peak[0]) / 2**20), float(peak[1])
            if group:
                highest = int((group / "memory.max_usage_in_bytes").read_text())
                said = (group / "memory.oom_control").read_text()
                killed = next((line.split()[1] for line in said.splitlines() if line.startswith("oom_kill ")), "0")
                result["group_peak_mb"], result["killed"] = round(highest / 2**20), int(killed)
            written = sum(1 for path in target.rglob("*") if path.is_file()) if target.is_dir() else target.exists()
            result["written"] = int(written)
        finally:
            if group:
                (group / "memory.force_empty").write_text("0")
                group.rmdir()
        return result


def main() -> None:
    """Measure the cases, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="+")
    parser.add_argument("--limit", type=float, help="of the group, in GiB")
    parser.add_argument("--style", default="tiny", help="a style, or `tiny`: a network that takes little time")
    parser.add_argument("--flags", nargs=argparse.REMAINDER, default=[], help="more flags of `fastnst apply`")
    parser.add_argument("--output", type=Path)
    asked = parser.parse_args()
    results = []
    with tempfile.TemporaryDirectory() as folder:
        tiny = Path(folder, "tiny.safetensors")
        torch.manual_seed(0)
        settings = {"half": 4, "quarter": 4, "eighth": 4, "num_blocks": 1, "num_deep_blocks": 0, "num_styles": 1}
        info = {"name": "tiny", "styles": [{"name": "tiny"}], "network": settings}
        save_style(tiny, TransformationNetwork(**settings), info)
        for case in asked.cases:
            results.append(measure(case, asked.style, asked.limit, asked.flags, tiny))
            print(json.dumps(results[-1]), flush=True)
            if asked.output:
                asked.output.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
