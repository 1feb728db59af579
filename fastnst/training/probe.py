"""`fastnst probe`: short trainings at several style weights and stroke sizes, on one contact sheet."""

import logging
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from fastnst.base.errors import Interrupted, TrainingError, UserError
from fastnst.base.files import write_json
from fastnst.base.progress import progress_bar
from fastnst.images.photos import resolve_photo
from fastnst.images.read import load_image
from fastnst.images.sheet import contact_sheet
from fastnst.images.write import save_image
from fastnst.painting.stylizer import Stylizer
from fastnst.perception.objective import style_side
from fastnst.perception.settings import DEFAULT_STYLE_WEIGHT
from fastnst.training.checks import check_probe
from fastnst.training.settings import ProbeSettings, TrainSettings
from fastnst.training.train import train

log = logging.getLogger("fastnst")
SIZES = (2 / 3, 3 / 2)  # of the default, tried at the middle weight
SHEET_SIDE = 256  # pixels


class Trial(NamedTuple):
    """One setting to try."""

    style_weight: float
    style_size: int

    @property
    def name(self) -> str:
        """Name of its style file."""
        return f"weight_{self.style_weight:g}_size_{self.style_size}"


def probe(settings: ProbeSettings) -> dict[str, Any]:
    """Train one style several times, briefly, and stylize the same photos with each result.

    Args:
        settings: See the class.

    Returns:
        JSON values: the content of `probe.json` (for each trial its settings, validation losses and style file), and
        `output`, the folder with it, `sheet.png` and the style files.

    Raises:
        UserError: Files or settings that cannot be used; nothing was changed.
        Interrupted: Ctrl-C; the sheet of the finished trials is written.
    """
    style, folder = resolve_photo(str(settings.style)), check_probe(settings)
    photos = [load_image(resolve_photo(name), size=2 * SHEET_SIDE) for name in settings.photo]
    trials = list(_trials(settings, style))
    base = TrainSettings(
        style=(style,),
        data=settings.data,
        network=settings.network,
        init_from=settings.init_from,
        budget=settings.budget / len(trials),
        seed=settings.seed,
        device=settings.device,
        force=True,  # the folder was checked as a whole
        quiet=True,
    )
    rows: list[tuple[str, list[Tensor]]] = []
    result: dict[str, Any] = {"style": style.name, "budget": settings.budget, "trials": []}
    quiet = settings.quiet or settings.json
    try:
        with progress_bar(shown=not quiet) as progress:
            task = progress.add_task("probe", total=len(trials), state="")
            for trial in trials:
                progress.update(task, state=trial.name)
                progress.advance(task)
                try:
                    entry, painted = _try(trial, base, folder, photos)
                except TrainingError as error:
                    if not rows:
                        raise  # all would fail
                    log.warning("%s is left out: %s", trial.name, error)
                    continue
                result["trials"].append(entry)
                rows.append((_label(entry), painted))
                _write(result, folder, photos, rows)
    except (Interrupted, KeyboardInterrupt):
        done = f"{len(rows)} of {len(trials)} trials are in {folder}"
        raise Interrupted(f"stopped; {done}, --force begins anew") from None
    return {**result, "output": str(folder)}


def _trials(settings: ProbeSettings, style: Path) -> Iterator[Trial]:
    """All weights at the default size, then the middle weight at other sizes; the most useful ones first."""
    if not settings.weights:
        raise UserError("a probe needs at least one of --weights")
    size = style_side(style, "auto")
    largest = style_side(style, round(size * SIZES[-1]))
    middle = min(settings.weights, key=lambda weight: abs(weight / DEFAULT_STYLE_WEIGHT - 1))
    yield from (Trial(weight, size) for weight in sorted(set(settings.weights)))
    yield from (Trial(middle, other) for other in sorted({round(size * SIZES[0]), largest} - {size}))


def _try(trial: Trial, base: TrainSettings, folder: Path, photos: list[Tensor]) -> tuple[dict[str, Any], list[Tensor]]:
    """Train with one setting and stylize the photos."""
    settings = replace(base, name=trial.name, style_weight=trial.style_weight, style_size=trial.style_size)
    trained = train(settings, started=time.monotonic(), folder=folder)
    if trained is None:
        raise UserError("a probe runs in one process")
    stylizer = Stylizer(trained["path"], device=base.device)
    held_out = trained["held_out"]
    entry = {
        "style_weight": trial.style_weight,
        "style_size": trial.style_size,
        "steps": trained["steps"],
        "seconds": trained["seconds"],
        "held_out": held_out,
        "balance": round(held_out["content"] / max(held_out["style"], 1e-9), 2),
        "path": trained["path"],
    }
    return entry, [stylizer(photo) for photo in photos]


def _label(entry: dict[str, Any]) -> str:
    errors = ", ".join(f"{part} {entry['held_out'][part]:.3f}" for part in ("content", "style"))
    return f"--style-weight {entry['style_weight']:g} --style-size {entry['style_size']}   ({errors})"


@torch.no_grad()
def _write(result: dict[str, Any], folder: Path, photos: list[Tensor], rows: list[tuple[str, list[Tensor]]]) -> None:
    """Write sheet and numbers of the trials so far."""
    sheet = contact_sheet(
        [photos, *(painted for _, painted in rows)],
        labels=["photos", *(label for label, _ in rows)],
        side=SHEET_SIDE,
        title=f"{result['style']}: larger weights give stronger strokes, larger sizes longer ones",
    )
    save_image(sheet, folder / "sheet.png")
    write_json(folder / "probe.json", result)
