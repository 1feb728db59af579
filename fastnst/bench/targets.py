"""Targets: the loss that L-BFGS reaches on the photos held out from training, to measure a trained network against.

They are means over the photos after 25, 50 and 100 iterations from noise, as in Johnson et al. (2016), figure 5. In the
records they are called Q25, Q50 and Q100.
"""

import json
import statistics
from pathlib import Path
from typing import Any

import torch

from fastnst.base.devices import measured_on
from fastnst.base.errors import Interrupted, UserError
from fastnst.base.files import sha256, write_json
from fastnst.base.progress import progress_bar
from fastnst.baseline.contest import baseline_curve, mean_curve
from fastnst.baseline.minimize import Method
from fastnst.bench.settings import TargetsSettings
from fastnst.images.levels import to_tensor
from fastnst.images.photos import resolve_photo
from fastnst.perception.objective import OBJECTIVE, load_loss_network, load_style_image, perceptual_loss
from fastnst.training.data import PhotoDataModule
from fastnst.training.run import to_json
from fastnst.training.settings import EARLIER, TrainSettings

TOLD = (25, 50, 100)  # iterations
HISTORY = 20
DIGITS = 6


def measure_targets(settings: TargetsSettings) -> dict[str, Any]:
    """Optimise the held-out photos with L-BFGS; the file is written after each photo, and an existing one is continued.

    The loss is that of a training with default settings, at its final crop size. Plain pixels, uniform noise in [0, 1]
    from seed 0, strong Wolfe conditions, the loss of the clamped picture.

    Returns:
        The content of the file: `style_image`, `objective` (the settings of the loss), `photos` with their SHA-256 and
        curves, and `mean` with the loss of the untouched photos and after each number of iterations in `TOLD`.

    Raises:
        UserError: The file holds other measurements.
        Interrupted: Ctrl-C; finished photos are kept.
    """
    training = TrainSettings(padding=settings.padding)
    style = resolve_photo(str(settings.style))
    photos = PhotoDataModule(
        settings.data,
        batch_size=1,
        crop_size=lambda _: training.crop_size,
        seed=0,
        workers=0,
        eval_size=training.crop_size,
    )
    result: dict[str, Any] = {
        "style_image": {"name": style.name, "sha256": sha256(style)},
        "objective": {key: to_json(training)[key] for key in OBJECTIVE},
        "iterations": settings.iterations,
        "history": HISTORY,
        "data": {"source": photos.source, "held_out": list(photos.held_out_names)},
        **measured_on(torch.device("cpu")),
        "photos": [],
        "mean": {},
    }
    result["photos"] = _done_before(settings.output, result)
    result["mean"] = _mean(result["photos"])
    objective = perceptual_loss(training, load_loss_network(training), [load_style_image(style, training.style_size)])
    method = Method(iterations=settings.iterations, history=HISTORY)
    try:
        with progress_bar(shown=not (settings.quiet or settings.json)) as progress:
            task = progress.add_task("L-BFGS", total=len(photos.held_out) * settings.iterations, state="")
            progress.advance(task, len(result["photos"]) * settings.iterations)
            for index, pixels in list(photos.held_out.items())[len(result["photos"]) :]:
                photo = to_tensor(pixels)
                with torch.no_grad():
                    untouched = objective(photo, objective.content_targets(photo)).total.item()
                painted = baseline_curve(objective, photo, method, watch=lambda _: progress.advance(task))
                entry = {
                    "name": photos.photos.names[index],
                    "sha256": photos.photos.sha256(index),
                    "untouched": round(untouched, DIGITS),
                    "curve": [round(value, DIGITS) for value in painted.curve],
                }
                result["photos"].append(entry)
                result["mean"] = _mean(result["photos"])
                write_json(settings.output, result)
    except KeyboardInterrupt:
        done = f"{len(result['photos'])} of {len(photos.held_out)} photos"
        raise Interrupted(f"stopped; {done} are in {settings.output}, the same command goes on") from None
    return result


def _mean(photos: list[dict[str, Any]]) -> dict[str, float]:
    if not photos:
        return {}
    curve = mean_curve([photo["curve"] for photo in photos])
    after = {str(count): round(curve[count - 1], DIGITS) for count in TOLD if count <= len(curve)}
    return {"untouched": round(statistics.fmean(photo["untouched"] for photo in photos), DIGITS), **after}


def _done_before(file: Path, wanted: dict[str, Any]) -> list[dict[str, Any]]:
    """The photos that an earlier run measured with the same settings."""
    if not file.exists():
        return []
    try:
        found = json.loads(file.read_text())
        photos: list[dict[str, Any]] = found["photos"]
        found["objective"] = {"padding": EARLIER["padding"], **found["objective"]}
    except (ValueError, TypeError, KeyError):
        raise UserError(f"{file} is there and holds no targets: choose another file") from None
    same = ("style_image", "objective", "iterations", "history", "data")
    if other := [key for key in same if found.get(key) != wanted[key]]:
        raise UserError(f"{file} holds targets of other settings ({', '.join(other)}): choose another file")
    return photos
