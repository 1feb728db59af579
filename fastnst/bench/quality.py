"""Time to quality: a training of a given length, and the L-BFGS iterations that reach as low a loss."""

import time
from pathlib import Path
from typing import Any

from rich.table import Table

from fastnst.base.errors import Interrupted, UserError
from fastnst.base.files import check_folder
from fastnst.baseline.contest import equivalent_iterations, mean_curve
from fastnst.bench.report import check_output, report
from fastnst.bench.settings import QualitySettings, TargetsSettings
from fastnst.bench.targets import TOLD, measure_targets
from fastnst.images.photos import resolve_photo
from fastnst.training.settings import TrainSettings
from fastnst.training.train import train


def bench_quality(settings: QualitySettings, *, started: float) -> dict[str, Any]:
    """Train, and compare the validation loss with what L-BFGS reaches on the same photos.

    Time is counted as by `fastnst train --budget`: from the start of the process until the style file is written,
    including the evaluation of all validation photos. The run of L-BFGS is not counted, and is made only once: its
    results are kept in the file of targets.

    Args:
        settings: See the class.
        started: `time.monotonic()` at which the process began.

    Returns:
        JSON values. `reached` has, for each number of iterations in `TOLD`, whether the loss is as low; `worth` is the
        first iteration of L-BFGS with as low a loss.

    Raises:
        UserError: As `measure_targets` and `train`; or the result exists already.
        Interrupted: Ctrl-C; the results of L-BFGS are kept, an unfinished training is not.
    """
    loading = time.monotonic() - started
    style = resolve_photo(str(settings.style))
    folder = settings.folder or Path(f"quality-{style.stem}-{settings.budget:g}s-seed{settings.seed}")
    check_output(settings.output)
    check_folder(folder, force=settings.force)
    file = settings.targets or Path(f"targets-{style.stem}.json")
    targets = measure_targets(
        TargetsSettings(
            style=style,
            data=settings.data,
            output=file,
            iterations=settings.iterations,
            padding=settings.padding,
            quiet=settings.json,
        )
    )
    training = TrainSettings(
        style=(style,),
        data=settings.data,
        network=settings.network,
        init_from=settings.init_from,
        budget=settings.budget,
        seed=settings.seed,
        padding=settings.padding,
        margin=settings.margin,
        eval_every=10**9,  # only at the end
        force=True,  # the folder was checked as a whole
        quiet=settings.json,
    )
    try:
        trained = train(training, started=time.monotonic() - loading, folder=folder)
    except (Interrupted, KeyboardInterrupt):
        kept = f"L-BFGS's results are in {file}"
        raise Interrupted(f"stopped, and nothing measured; {kept}, the same command with --force trains anew") from None
    if trained is None:
        raise UserError("time to quality is measured in one process")
    curve = mean_curve([photo["curve"] for photo in targets["photos"]])
    total = trained["held_out"]["total"]
    result = {
        "what": f"{trained['name']}, {settings.network} from {(trained['began_at'] or {'name': 'nothing'})['name']}",
        "seconds": trained["seconds"],
        "steps": trained["steps"],
        "held_out": trained["held_out"],
        "targets": targets["mean"],
        "photos": len(targets["photos"]),
        "worth": equivalent_iterations(curve, total),
        "reached": {key: total <= value for key, value in targets["mean"].items() if key in map(str, TOLD)},
        "seed": settings.seed,
        "precision": trained["precision"],
        "hardware": trained["hardware"],
        "versions": trained["versions"],
        "path": trained["path"],
    }
    report(result, _table(result), output=settings.output, as_json=settings.json)
    return result


def _table(result: dict[str, Any]) -> Table:
    table = Table("", "objective", "reached", box=None, title=f"{result['what']}: {result['seconds']:.0f} s")
    table.add_row("the photos themselves", f"{result['targets']['untouched']:.3f}", "")
    for key, reached in result["reached"].items():
        table.add_row(f"L-BFGS, {key} iterations", f"{result['targets'][key]:.3f}", "yes" if reached else "no")
    worth = f"worth {result['worth']} iterations" if result["worth"] else "L-BFGS is not as low in all its iterations"
    table.add_row("the network, one pass", f"{result['held_out']['total']:.3f}", worth)
    return table
