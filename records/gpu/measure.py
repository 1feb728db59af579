"""Correctness and speed of fastnst on a GPU, as JSON and a table: see README.md. `run.sh` starts it."""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import correct
import torch
from correct import STYLE
from machine import Machine
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from fastnst.base.devices import choose_device, measured_on
from fastnst.bench.reference import evaluate
from fastnst.bench.training import LEARNING_RATE, usual_step
from fastnst.images.levels import from_levels
from fastnst.images.photos import resolve_photo
from fastnst.images.read import load_image
from fastnst.images.write import save_image
from fastnst.networks.network import TransformationNetwork
from fastnst.networks.presets import PRESETS, NetworkName
from fastnst.networks.style_file import load_style
from fastnst.painting.stylizer import Stylizer
from fastnst.perception.objective import load_loss_network, load_style_image, perceptual_loss
from fastnst.training.data import PhotoDataModule
from fastnst.training.settings import TrainSettings
from fastnst.training.style_trainer import make_optimizer
from fastnst.training.train import train

BATCH, CROP = 4, 256
ENOUGH = 420.0  # seconds after which nothing new is begun
Row = dict[str, Any]


def step_of(machine: Machine, name: NetworkName, *, compiled: bool, graph: bool) -> tuple[Callable[[], Any], int]:
    """A training step in bfloat16 with photos that are on the device, and its number of photos.

    A CUDA graph holds the losses and gradients; the optimiser, whose numbers change from step to step, stays outside.
    """
    batch, crop = (1, 64) if machine.small else (BATCH, CROP)
    torch.manual_seed(0)
    network = TransformationNetwork(**PRESETS[name]).to(machine.device, memory_format=torch.channels_last)
    style = load_style_image(resolve_photo("sample:coffee"), crop)
    settings = TrainSettings()
    loss = perceptual_loss(settings, load_loss_network(settings), [style]).to(machine.device)
    loss = loss.to(memory_format=torch.channels_last)
    optimizer = make_optimizer(network, learning_rate=LEARNING_RATE)
    photos = torch.rand(batch, 3, crop, crop, device=machine.device)
    if compiled:
        network.compile()
        loss.loss_network.compile()

    def gradients() -> None:
        for parameter in network.parameters():
            if parameter.grad is not None:
                parameter.grad.zero_()
        with torch.autocast(machine.device.type, torch.bfloat16, cache_enabled=not graph):
            total = loss(network(photos), loss.content_targets(photos)).total.mean()
        total.backward()

    work: Callable[[], Any] = captured(gradients) if graph else gradients

    def step() -> None:
        work()
        optimizer.step()

    return step, batch


def captured(work: Callable[[], Any]) -> Callable[[], Any]:
    """The work as a CUDA graph."""
    beside = torch.cuda.Stream()
    with torch.cuda.stream(beside):
        for _ in range(3):
            work()
    torch.cuda.current_stream().wait_stream(beside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        work()
    return graph.replay


def training(machine: Machine, name: NetworkName, *, compiled: bool, graph: bool) -> Iterator[Row]:
    """Photos a second of a training step, photos on the device."""
    step, batch = step_of(machine, name, compiled=compiled, graph=graph)
    seconds = machine.seconds(step)
    plain, _ = step_of(machine, name, compiled=False, graph=False)
    ways = ["bfloat16", "channels_last"] + ["compiled"] * compiled + ["CUDA graph"] * graph
    yield rate(
        f"training, {name}, {', '.join(ways)}", batch / seconds, "photos/s", batch, machine.floor(plain, "bfloat16")
    )


def usual(machine: Machine) -> Iterator[Row]:
    """The loop of pytorch/examples, which trains `johnson` in float32."""
    batch, crop = (1, 64) if machine.small else (BATCH, CROP)
    loop = usual_step("johnson", load_style_image(resolve_photo("sample:coffee"), crop).to(machine.device))
    photos = torch.rand(batch, 3, crop, crop, device=machine.device)
    work = partial(loop.step, photos)
    floor = machine.floor(work, "float32")
    yield rate("training, johnson, pytorch/examples", batch / machine.seconds(work), "photos/s", batch, floor)


def one_pass(machine: Machine, size: int) -> Iterator[Row]:
    """A pass of the shipped network, bytes on the device to bytes on the device."""
    side = 64 if machine.small else size
    photo = torch.randint(0, 256, (1, 3, side, side), dtype=torch.uint8, device=machine.device)
    stylizer = Stylizer(STYLE, device=machine.device.type, runtime="torch")
    seconds = machine.seconds(lambda: stylizer.paint(photo))
    with torch.inference_mode():
        network, floats = load_style(STYLE).network.to(machine.device), from_levels(photo)
        half = "float16" if machine.device.type == "cuda" else "float32"
        with torch.autocast(machine.device.type, torch.float16, enabled=half == "float16"):
            floor = machine.floor(lambda: network(floats), half)
    yield rate(f"one pass, {side} px", 1 / seconds, "photos/s", 1, floor)


def folder(machine: Machine) -> Iterator[Row]:
    """`fastnst apply` on a folder of 1,000 photos, with its start, reading and writing."""
    count = 3 if machine.small else 1000
    photo = load_image(resolve_photo("sample:coffee"), size=600)
    with tempfile.TemporaryDirectory() as place:
        source, target = Path(place, "photos"), Path(place, "painted")
        source.mkdir()
        save_image(photo, source / "0.jpg")
        for number in range(1, count):
            (source / f"{number}.jpg").write_bytes((source / "0.jpg").read_bytes())
        words = ("apply", str(source), "--style", STYLE, "-o", str(target), "--device", machine.device.type, "--quiet")
        started = time.perf_counter()
        subprocess.run([sys.executable, "-m", "fastnst", *words], check=True)
        seconds = time.perf_counter() - started
        assert len(list(target.iterdir())) == count
    yield rate(f"a folder of {count} photos, {photo.shape[-1]} x {photo.shape[-2]} px", count / seconds, "photos/s")


def video(machine: Machine) -> Iterator[Row]:
    """Frames a second from a video file to a video file."""
    from fastnst.bench.video import file_to_file

    count, side = (3, 64) if machine.small else (240, 720)
    frames = [torch.rand(1, 3, side, side * 16 // 9 // 2 * 2)] * count
    stylizer = Stylizer("great_wave_live", device=machine.device.type, runtime="torch")
    found = file_to_file({"live": stylizer}, frames)["live"]
    yield rate(f"a video of {count} frames of {side} lines", found, "frames/s")


def quality(machine: Machine, painting: str, photos: str | None) -> Iterator[Row]:
    """Seconds of `fastnst train` until its validation loss is that of the shipped network of The Scream.

    With another painting than The Scream, that loss is no target: it shows that the path works.
    """
    crop = 48 if machine.small else CROP
    asked = TrainSettings(style=(Path(painting),), data=photos, crop_size=crop, name="to_quality", quiet=True)
    data = PhotoDataModule(photos, batch_size=1, crop_size=lambda _: crop, seed=0, workers=0, eval_size=crop)
    held_out = torch.cat([from_levels(batch.photos) for batch in data.val_dataloader()])
    image = load_style_image(resolve_photo(painting), asked.style_size)
    objective = perceptual_loss(asked, load_loss_network(asked), [image])
    target = evaluate(load_style("scream").network, objective, held_out)
    length = {"steps": 3, "eval_every": 1} if machine.small else {"budget": 60.0, "eval_every": 100}
    with tempfile.TemporaryDirectory() as place:
        started = time.time()
        settings = TrainSettings(**{**vars(asked), **length, "device": machine.device.type})
        train(settings, folder=Path(place))
        events = EventAccumulator(str(Path(place, "runs", "to_quality")))
        events.Reload()
        curve = [(event.wall_time - started, event.value) for event in events.Scalars("held_out/total")]
    reached = next((seconds for seconds, loss in curve if loss <= target), None)
    best = min(loss for _, loss in curve)
    what = f"time to the shipped Scream's loss of {target:.3f} ({Path(painting).name}; best: {best:.3f})"
    yield {"what": what, "value": reached, "unit": "s", "floor": None}


def rate(what: str, value: float, unit: str, count: int = 1, floor: float | None = None) -> Row:
    """A rate beside the best that the machine could do, `count` in `floor` seconds."""
    best = count / floor if floor else None
    share = value / best if best else None
    return {"what": what, "value": value, "unit": unit, "floor": best, "of_floor": share}


def sections(machine: Machine, painting: str, photos: str | None) -> list[tuple[str, Callable[[], Iterator[Row]]]]:
    """All that is measured, in order: what must hold, the cheap numbers, then those that compile."""
    found = [(f"correct: {each.__name__}", partial(each, machine)) for each in correct.SECTIONS]
    names: tuple[NetworkName, ...] = ("small", "johnson")
    on_gpu = machine.device.type == "cuda"
    for graph in (False, True)[: 1 + on_gpu]:
        found += [("training", partial(training, machine, name, compiled=False, graph=graph)) for name in names]
    found += [("training", partial(usual, machine))]
    found += [("pass", partial(one_pass, machine, size)) for size in (512, 1024, 4096)]
    found += [("folder", partial(folder, machine)), ("video", partial(video, machine))]
    found += [("quality", partial(quality, machine, painting, photos))]
    if on_gpu:
        for graph in (False, True):
            found += [("training", partial(training, machine, name, compiled=True, graph=graph)) for name in names]
    return found


def table(rows: list[Row]) -> str:
    """The rows as a Markdown table."""
    lines = ["| what | value | floor, or bound | of the floor |", "|---|---|---|---|"]
    for row in rows:
        value = row.get("error") or (f"{row['value']:.4g} {row['unit']}" if row["value"] is not None else "not reached")
        limit = row.get("bound", row.get("floor"))
        share = (
            f"{row['of_floor']:.0%}" if row.get("of_floor") else {True: "holds", False: "FAILS"}.get(row.get("holds"))
        )
        lines.append(f"| {row['what']} | {value} | {'' if limit is None else f'{limit:.4g}'} | {share or ''} |")
    return "\n".join(lines)


def main() -> int:
    """Measure, and write `gpu.json` and `gpu.md` after every section, so that an end by the clock loses nothing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("gpu_day"))
    parser.add_argument("--painting", default="sample:wave", help="The Scream, for the time to its quality")
    parser.add_argument("--photos", help="a folder to train on")
    parser.add_argument("--small", action="store_true", help="tiny sizes: a test of the script")
    parser.add_argument("--device", default="cuda")
    asked = parser.parse_args()
    started = time.monotonic()
    device = choose_device(asked.device)
    machine = Machine.measured(device, asked.small)
    result: dict[str, Any] = {
        **measured_on(device, "pytorch-lightning"),
        "small": asked.small,
        "tera_operations_a_second": {name: round(each / 1e12, 3) for name, each in machine.flops.items()},
        "gigabytes_a_second": round(machine.bandwidth / 1e9, 2),
        "rows": [],
    }
    asked.output.mkdir(parents=True, exist_ok=True)
    for name, section in sections(machine, asked.painting, asked.photos):
        late = time.monotonic() - started > ENOUGH and not asked.small
        begun = time.monotonic()
        try:
            rows = [{"what": name, "error": "left out: no time"}] if late else list(section())
        except Exception as error:  # one failure must not cost the day
            reason = (str(error).strip().splitlines() or [""])[0]
            rows = [{"what": name, "error": f"{type(error).__name__}: {reason}"}]
        result["rows"] += rows
        result["seconds"] = round(time.monotonic() - started, 1)
        (asked.output / "gpu.json").write_text(json.dumps(result, indent=1) + "\n")
        (asked.output / "gpu.md").write_text(table(result["rows"]) + "\n")
        print(f"{time.monotonic() - begun:6.1f} s  {table(rows).splitlines()[-1]}", file=sys.stderr, flush=True)
    print(table(result["rows"]))
    return int(any(row.get("holds") is False for row in result["rows"]))


if __name__ == "__main__":
    sys.exit(main())
