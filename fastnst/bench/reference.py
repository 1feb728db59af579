"""The pytorch/examples recipe: a training curve to compare time to quality with.

The paper's network, 256 px, four photos a step, Adam at a constant 1e-3, the whole VGG for both pictures, float32. It
minimises the loss by which fastnst is judged, by default with replicated borders; the original pads with zeros.
"""

import io
import math
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from fastnst.base.devices import measured_on
from fastnst.base.errors import Interrupted, UserError
from fastnst.base.files import sha256, write_json, write_whole
from fastnst.base.progress import progress_bar
from fastnst.bench.settings import ReferenceSettings
from fastnst.bench.training import Loop, usual_step
from fastnst.images.levels import from_levels
from fastnst.images.photos import resolve_photo
from fastnst.perception.objective import OBJECTIVE, load_loss_network, load_style_image, perceptual_loss
from fastnst.perception.perceptual_loss import PerceptualLoss
from fastnst.training.data import Draw, PhotoDataModule, TrainingSamples
from fastnst.training.run import to_json
from fastnst.training.settings import TrainSettings

BATCH, CROP = 4, 256


def bench_reference(settings: ReferenceSettings) -> dict[str, Any]:
    """Train and evaluate in turn; after each evaluation the state is saved beside the JSON, to resume from.

    Returns:
        JSON values: `curve`, a list of `seconds` (of training, without evaluations), `steps` and `objective`, the
        validation loss.

    Raises:
        UserError: The file holds a run of another style.
        Interrupted: Ctrl-C; the state of the last evaluation is kept.
    """
    training = TrainSettings(padding=settings.padding)
    path = resolve_photo(str(settings.style))
    style = load_style_image(path)
    photos = PhotoDataModule(
        settings.data, batch_size=BATCH, crop_size=lambda _: CROP, seed=0, workers=0, eval_size=CROP
    )
    samples = TrainingSamples(photos.photos, photos.training, 0, BATCH, photos.source)
    held_out = torch.cat([from_levels(batch.photos) for batch in photos.val_dataloader()])
    objective = perceptual_loss(training, load_loss_network(training), [style])
    loop = usual_step("johnson", style, padding=training.padding)
    result: dict[str, Any] = {
        "style_image": {"name": path.name, "sha256": sha256(path)},
        "objective": {key: to_json(training)[key] for key in OBJECTIVE},
        "data": photos.describe(),
        **measured_on(torch.device("cpu")),
        "curve": [],
    }
    curve = result["curve"] = _resume(settings.output, result, loop)
    seconds, step = (curve[-1]["seconds"], curve[-1]["steps"]) if curve else (0.0, 0)
    try:
        with progress_bar(shown=not (settings.quiet or settings.json)) as progress:
            task = progress.add_task("reference", total=settings.budget, state="")
            while seconds < settings.budget:
                started, until = time.monotonic(), min(settings.every, settings.budget - seconds)
                while time.monotonic() - started < until:
                    draws = [Draw(step, number, CROP) for number in range(BATCH)]
                    loop.step(from_levels(samples[draws].photos))
                    step += 1
                    progress.update(task, completed=seconds + time.monotonic() - started)
                spent = seconds + time.monotonic() - started
                seconds = math.ceil(1000 * spent) / 1000  # up: a run that is done stays so
                value = evaluate(loop.network, objective, held_out)
                curve.append({"seconds": seconds, "steps": step, "objective": round(value, 6)})
                _save(settings.output, result, loop)
                progress.update(task, state=f"objective {value:.3f}")
        write_json(
            settings.output, result
        )  # also where an earlier run was killed after its last evaluation, before it wrote this
    except KeyboardInterrupt:
        raise Interrupted(
            f"stopped; {settings.output} has {len(curve)} evaluations, the same command goes on"
        ) from None
    return result


@torch.no_grad()
def evaluate(network: nn.Module, objective: PerceptualLoss, photos: Tensor) -> float:
    """The mean loss of photos `(B, 3, H, W)`, four at a time."""
    totals = [objective(network(few), objective.content_targets(few)).total for few in torch.split(photos, 4)]
    return torch.cat(totals).mean().item()


def _state(output: Path) -> Path:
    """The file beside the JSON from which a run is resumed."""
    return output.with_suffix(".pt")


def _save(output: Path, result: dict[str, Any], loop: Loop) -> None:
    """Write the state first, with the curve in it: a kill before the JSON is written loses nothing."""
    state = {"result": result, "network": loop.network.state_dict(), "optimizer": loop.optimizer.state_dict()}
    buffer = io.BytesIO()
    torch.save(state, buffer)
    write_whole(_state(output), buffer.getvalue())
    write_json(output, result)


def _resume(output: Path, wanted: dict[str, Any], loop: Loop) -> list[dict[str, Any]]:
    """Load the state of an earlier run into the loop; returns its curve."""
    if not (output.exists() or _state(output).exists()):
        return []
    try:
        state = torch.load(_state(output), weights_only=True)
        found = state["result"]
        same = all(found[key] == wanted[key] for key in ("style_image", "objective", "data"))
        curve: list[dict[str, Any]] = found["curve"]
    except Exception:  # torch raises errors of many kinds for a damaged file
        raise UserError(f"{output} cannot be gone on with: choose another --output") from None
    if not same:
        raise UserError(f"{output} holds a run of another style, objective or other photos: choose another --output")
    loop.network.load_state_dict(state["network"])
    loop.optimizer.load_state_dict(state["optimizer"])
    return curve
