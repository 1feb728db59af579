"""Which style weight? Short trainings at several weights and stroke sizes, on one contact sheet to choose from."""

import logging
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from fastnst.config import DEFAULT_STYLE_WEIGHT, ProbeConfig, TrainConfig
from fastnst.errors import Interrupted, TrainingError, UserError
from fastnst.files import check_folder, write_json
from fastnst.images import load_image, resolve_photo, save_image
from fastnst.objective import style_side
from fastnst.progress import progress_bar
from fastnst.sheet import contact_sheet
from fastnst.stylize import Stylizer
from fastnst.train import train

log = logging.getLogger("fastnst")

SIZES = (2 / 3, 3 / 2)  # of the default, tried at the middle weight
SHEET_SIDE = 256  # pixels


class Trial(NamedTuple):
    """One setting to try."""

    style_weight: float
    style_size: int

    @property
    def name(self) -> str:
        """Of its style file."""
        return f"weight_{self.style_weight:g}_size_{self.style_size}"


def probe(config: ProbeConfig) -> dict[str, Any]:
    """Train one style a few times, shortly, and paint the same photos with each result.

    Args:
        config: See `fastnst.config`.

    Returns:
        JSON values: what `probe.json` holds (for each trial its settings, held-out errors and style file), and
        `output`, the folder with it, with `sheet.png` and the style files.

    Raises:
        UserError: Files or settings that cannot be used; nothing was changed.
        Interrupted: Ctrl-C; a sheet of what was done is there.
    """
    style = resolve_photo(str(config.style))
    folder = config.output or Path(f"probe-{style.stem}")
    check_folder(folder, force=config.force)
    photos = [load_image(resolve_photo(name), size=2 * SHEET_SIDE) for name in config.photo]
    trials = list(_trials(config, style))
    base = TrainConfig(
        style=(style,),
        data=config.data,
        network=config.network,
        init_from=config.init_from,
        budget=config.budget / len(trials),
        seed=config.seed,
        device=config.device,
        force=True,  # the folder was checked as a whole
        quiet=True,
    )
    rows: list[tuple[str, list[Tensor]]] = []
    result: dict[str, Any] = {"style": style.name, "budget": config.budget, "trials": []}
    quiet = config.quiet or config.json
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


def _trials(config: ProbeConfig, style: Path) -> Iterator[Trial]:
    """All weights at the default size, then the middle weight at other sizes; the most useful ones first."""
    if not config.weights:
        raise UserError("a probe needs at least one of --weights")
    size = style_side(style, None)
    largest = style_side(style, round(size * SIZES[-1]))
    middle = min(config.weights, key=lambda weight: abs(weight / DEFAULT_STYLE_WEIGHT - 1))
    yield from (Trial(weight, size) for weight in sorted(set(config.weights)))
    yield from (Trial(middle, other) for other in sorted({round(size * SIZES[0]), largest} - {size}))


def _try(trial: Trial, base: TrainConfig, folder: Path, photos: list[Tensor]) -> tuple[dict[str, Any], list[Tensor]]:
    """Train with one setting and paint the photos."""
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
    """The sheet and the numbers of what is done so far."""
    sheet = contact_sheet(
        [photos, *(painted for _, painted in rows)],
        labels=["photos", *(label for label, _ in rows)],
        side=SHEET_SIDE,
        title=f"{result['style']}: larger weights give stronger strokes, larger sizes longer ones",
    )
    save_image(sheet, folder / "sheet.png")
    write_json(folder / "probe.json", result)
