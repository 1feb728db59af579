"""`fastnst bench optimize`: the time of an evaluation beside the loss network alone, and to a loss beside pastiche.

pastiche 1.6 is a packaged implementation of Gatys et al. (2016). Here it minimises the same loss from the same start.
"""

import math
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from rich.table import Table
from torch import Tensor

from fastnst.base.devices import measured_on
from fastnst.base.progress import progress_bar
from fastnst.baseline.minimize import Method, Objective, minimize
from fastnst.baseline.settings import OptimizeSettings
from fastnst.bench.report import check_output, report, summarize
from fastnst.bench.settings import BenchOptimizeSettings
from fastnst.images.levels import to_array, to_tensor
from fastnst.images.photos import SAMPLE_STYLE, resolve_photo
from fastnst.images.read import load_image
from fastnst.images.write import save_image
from fastnst.perception.loss_network import LossNetwork
from fastnst.perception.perceptual_loss import PerceptualLoss

DEEPEST = "relu5_1"
CHANNELS = {"relu1_1": 64, "relu2_1": 128, "relu3_1": 256, "relu4_1": 512, "relu5_1": 512}

# pastiche's default loss in this project's terms: 0.01 times the mean of squares at relu4_2, and 10 / C^2 times
# the mean over C^2 of squares of Gram / (H W), which is 10 / C^2 times the johnson normalization.
CONTENT_LAYERS = {"relu4_2": 0.01}
STYLE_LAYERS = {layer: 10 / channels**2 for layer, channels in CHANNELS.items()}
METHOD = Method(precondition=OptimizeSettings.precondition, history=OptimizeSettings.history)


class Point(NamedTuple):
    """Where an optimisation stands."""

    seconds: float
    evaluations: int
    loss: float


def bench_optimize(settings: BenchOptimizeSettings) -> dict[str, Any]:
    """Time evaluations, and the time to a given loss; print a table or JSON.

    Returns:
        Medians, spreads, ratios, hardware and versions.
    """
    check_output(settings.output)
    with progress_bar() as bar, tempfile.TemporaryDirectory() as folder:
        task = bar.add_task("timing evaluations", total=1 + len(settings.photo), state="")
        evaluation = time_evaluations(settings)
        bar.update(task, advance=1)
        pairs = []
        for photo in settings.photo:
            bar.update(task, description=f"fastnst and pastiche, {photo}")
            pairs.append(race(photo, settings, Path(folder)))
            bar.update(task, advance=1)
    result = {
        "what": f"image optimisation on vgg19 to {DEEPEST}, {settings.size} px",
        "evaluation": evaluation,
        "pastiche": {"pairs": pairs, "ratios": _ratios(pairs)},
        **measured_on(torch.device("cpu"), "pastiche"),
    }
    each = f"{evaluation['evaluations_per_iteration']} evaluations per L-BFGS iteration"
    report(result, _table(result), each, output=settings.output, as_json=settings.json)
    return result


def time_evaluations(settings: BenchOptimizeSettings) -> dict[str, Any]:
    """Time an L-BFGS iteration, divided by its evaluations, and a bare forward and backward pass, in turn.

    The bare pass has the same network, layout and image; its gradient is that of the sum of `relu5_1`.
    """
    photo = _square(settings.photo[0], settings.size)
    loss_network, objective = _objective(photo)

    def bare() -> float:
        image = photo.clone().requires_grad_()
        started = time.perf_counter()
        torch.autograd.backward(loss_network(image, [DEEPEST])[DEEPEST].sum())
        return time.perf_counter() - started

    bare()
    evaluations, seconds, passes = [0], [], []
    started = time.perf_counter()
    for iterate in minimize(objective, photo, METHOD):
        spent = time.perf_counter() - started
        seconds.append(spent / max(1, iterate.evaluations - evaluations[-1]))
        evaluations.append(iterate.evaluations)
        passes.append(bare())
        if iterate.iteration > settings.rounds:
            break
        started = time.perf_counter()
    return {
        "rounds": settings.rounds,
        "forward and backward pass alone": summarize(passes[1:], passes[1:]),
        "evaluation in L-BFGS": summarize(seconds[1:], passes[1:]),
        "evaluations_per_iteration": round((evaluations[-1] - evaluations[1]) / settings.rounds, 3),
    }


def race(name: str, settings: BenchOptimizeSettings, folder: Path) -> dict[str, Any]:
    """Run pastiche for so many steps, then fastnst until its loss is as low; both start from the photo.

    The loss of fastnst is that of the picture clamped to [0, 1], that of pastiche is of unclamped pixels.
    """
    photo = _square(name, settings.size)
    theirs = list(_pastiche(photo, settings.steps, folder))
    _, objective = _objective(photo)
    with torch.no_grad():
        start = objective(photo).total.item()
    if not math.isclose(start, theirs[0].loss, rel_tol=2e-3):
        raise AssertionError(f"not the same loss at the start: {start} and {theirs[0].loss}")
    ours: list[Point] = []
    started = time.perf_counter()
    for iterate in minimize(objective, photo, replace(METHOD, iterations=settings.steps)):
        ours.append(Point(time.perf_counter() - started, iterate.evaluations, iterate.best_losses.total.item()))
        if ours[-1].loss <= min(point.loss for point in theirs):
            break
    levels = []
    for steps in sorted({settings.steps // 4, settings.steps // 2, settings.steps}):
        lowest = min(point.loss for point in theirs[: steps + 1])
        their, our = _first(theirs, lowest), _first(ours, lowest)
        if their is None or our is None:
            raise AssertionError(f"{name}: the loss that pastiche has after {steps} steps was not reached")
        ratio = round(their.seconds / our.seconds, 3)
        levels.append({"pastiche_steps": steps, "loss": lowest, "pastiche": their, "fastnst": our, "ratio": ratio})
    return {"photo": name, "style": SAMPLE_STYLE.name, "levels": [_plain(level) for level in levels]}


def _pastiche(photo: Tensor, steps: int, folder: Path) -> Iterator[Point]:
    """The steps of pastiche with its defaults, on the same pixels."""
    from pastiche.pastiche import PasticheArtist

    content, style = folder / "content.png", folder / "style.png"
    save_image(photo, content)
    save_image(_style(photo.shape[-1]), style)
    artist = PasticheArtist(str(content), [str(style)], size=photo.shape[-1], style_size=photo.shape[-1], device="cpu")
    yield Point(0.0, 0, artist.loss)
    spent = 0.0
    for step in range(1, steps + 1):
        started = time.perf_counter()
        artist.draw()
        spent += time.perf_counter() - started
        # A step evaluates before it moves, so its loss is that of the picture before.
        yield Point(spent, step, artist.loss)


def _objective(photo: Tensor) -> tuple[LossNetwork, Objective]:
    loss_network = LossNetwork((*CONTENT_LAYERS, *STYLE_LAYERS)).to(memory_format=torch.channels_last)
    loss = PerceptualLoss(
        loss_network,
        [_style(photo.shape[-1])],
        content_layers=CONTENT_LAYERS,
        style_layers=STYLE_LAYERS,
        normalization="johnson",
        style_weight=1.0,
    )
    targets = loss.content_targets(photo)
    return loss_network, lambda image: loss(image, targets)


def _square(name: str, size: int) -> Tensor:
    """The centre of a photo, `(1, 3, size, size)`; a smaller photo is enlarged first."""
    photo = load_image(resolve_photo(name))
    height, width = photo.shape[-2:]
    if min(height, width) < size:
        scale = size / min(height, width)
        photo = torch.nn.functional.interpolate(
            photo, (math.ceil(height * scale), math.ceil(width * scale)), mode="bicubic", antialias=True
        ).clamp(0, 1)
        height, width = photo.shape[-2:]
    top, left = (height - size) // 2, (width - size) // 2
    return to_tensor(to_array(photo[..., top : top + size, left : left + size]))  # as pastiche reads it from a file


def _style(size: int) -> Tensor:
    return load_image(SAMPLE_STYLE, size=size)


def _first(points: Sequence[Point], loss: float) -> Point | None:
    return next((point for point in points if point.loss <= loss), None)


def _ratios(pairs: Sequence[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Median and spread over the photos, for each number of pastiche's steps."""
    by_steps: dict[str, list[float]] = {}
    for pair in pairs:
        for level in pair["levels"]:
            by_steps.setdefault(str(level["pastiche_steps"]), []).append(level["ratio"])
    return {
        steps: {"median": round(statistics.median(values), 3), "lowest": min(values), "highest": max(values)}
        for steps, values in by_steps.items()
    }


def _plain(level: dict[str, Any]) -> dict[str, Any]:
    """The level with its points as JSON objects."""
    return {key: value._asdict() if isinstance(value, Point) else value for key, value in level.items()}


def _table(result: dict[str, Any]) -> Table:
    table = Table("", "ratio", "range", "n", box=None, title=result["what"])
    evaluation = result["evaluation"]
    row = evaluation["evaluation in L-BFGS"]
    span = f"{row['lowest_ratio']:.2f} to {row['highest_ratio']:.2f}"
    table.add_row("evaluation : forward and backward pass", f"{row['ratio']:.2f}", span, str(evaluation["rounds"]))
    for steps, ratio in result["pastiche"]["ratios"].items():
        what = f"time to the loss of {steps} steps, pastiche : fastnst"
        span = f"{ratio['lowest']:.2f} to {ratio['highest']:.2f}"
        table.add_row(what, f"{ratio['median']:.2f}", span, str(len(result["pastiche"]["pairs"])))
    return table
