"""What must hold on a GPU: each row is a number, the bound that it must keep, and whether it does."""

import tempfile
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from machine import Machine
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import Tensor

from fastnst.bench.tiles import compare
from fastnst.exporting.export import export
from fastnst.exporting.settings import ExportSettings
from fastnst.images.photos import resolve_photo
from fastnst.images.read import load_image
from fastnst.networks.style_file import load_style
from fastnst.painting.stylizer import Stylizer
from fastnst.training.settings import TrainSettings
from fastnst.training.train import train

STYLE = "great_wave"


def row(what: str, value: float, unit: str, bound: float, *, least: bool = False) -> dict[str, Any]:
    """A number that must be at most, or with `least` at least, its bound."""
    holds = value >= bound if least else value <= bound
    return {"what": what, "value": value, "unit": unit, "bound": bound, "holds": holds}


def a_photo(machine: Machine, size: int) -> Tensor:
    """The astronaut, `(1, 3, size, size)` on the CPU."""
    return load_image(resolve_photo("sample:astronaut"), size=128 if machine.small else size)


@torch.inference_mode()
def network(machine: Machine) -> Iterator[dict[str, Any]]:
    """One pass of the shipped network in three precisions, against float32 on the CPU."""
    photo, file = a_photo(machine, 512), load_style(STYLE)
    expected = file.network(photo)
    there = file.network.to(machine.device)
    for dtype, bound in ((torch.float32, 60.0), (torch.bfloat16, 45.0), (torch.float16, 55.0)):
        exact = dtype == torch.float32
        with nullcontext() if exact else torch.autocast(machine.device.type, dtype):
            found = there(photo.to(machine.device)).float().cpu()
        name = str(dtype).removeprefix("torch.")
        yield row(f"network, {name}, against the CPU", compare(found, expected)["psnr"], "dB", bound, least=True)


def tiles(machine: Machine) -> Iterator[dict[str, Any]]:
    """A picture in tiles against the same as a whole."""
    photo = (a_photo(machine, 1024) * 255).round().to(torch.uint8).to(machine.device)
    stylizer = Stylizer(STYLE, device=machine.device.type, runtime="torch")
    whole, cut = (stylizer.paint(photo, tile=side).float().cpu() / 255 for side in (0, photo.shape[-1] // 2))
    yield row("tiles against the whole picture", compare(cut, whole)["psnr"], "dB", 45.0, least=True)


def onnx(machine: Machine) -> Iterator[dict[str, Any]]:
    """The exported file, run by ONNX Runtime's CUDA provider, against the network on the CPU."""
    import onnxruntime

    provider = "CUDAExecutionProvider" if machine.device.type == "cuda" else "CPUExecutionProvider"
    if provider not in onnxruntime.get_available_providers():
        raise ImportError(f"this onnxruntime has no {provider}")
    photo = a_photo(machine, 512)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "wave.onnx")
        export(ExportSettings(style=STYLE, output=file, quiet=True))
        session = onnxruntime.InferenceSession(file.read_bytes(), providers=[provider])
        found = torch.from_numpy(session.run(None, {session.get_inputs()[0].name: photo.numpy()})[0])
    if provider not in session.get_providers():
        raise ImportError(f"{provider} could not be started")
    with torch.inference_mode():
        yield row(f"ONNX, {provider}", compare(found, load_style(STYLE).network(photo))["psnr"], "dB", 60.0, least=True)


def training(machine: Machine) -> Iterator[dict[str, Any]]:
    """`fastnst train` for 50 steps on the device and on the CPU: how far the losses of the same steps are apart."""
    steps, crop = (4, 48) if machine.small else (50, 128)
    asked = TrainSettings(style=(Path("sample:wave"),), steps=steps, crop_size=crop, style_size=2 * crop, margin=16)
    asked = replace(asked, init_from="none", quiet=True, workers=0)
    curves = []
    with tempfile.TemporaryDirectory() as folder:
        for name, device in (("cpu", "cpu"), ("there", machine.device.type)):
            train(replace(asked, device=device, name=name), folder=Path(folder))
            curves.append(logged(Path(folder, "runs", name), "train/total"))
    apart = max(abs(there / here - 1) for here, there in zip(*curves, strict=True))
    yield row(f"losses of {steps} steps of training, relative to the CPU's", apart, "", 0.05)


def logged(run: Path, tag: str) -> list[float]:
    """The values that a run wrote for TensorBoard."""
    events = EventAccumulator(str(run))
    events.Reload()
    return [event.value for event in events.Scalars(tag)]


SECTIONS = (network, tiles, onnx, training)
