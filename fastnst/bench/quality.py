"""Time to quality: a training of a given length, and the number of L-BFGS iterations that its result is worth."""

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
from fastnst.perception.objective import STYLE_SIDE
from fastnst.training.settings import TrainSettings
from fastnst.training.train import train


def bench_quality(settings: QualitySettings, *, started: float) -> dict[str, Any]:
    """Train, and compare the held-out objective with what L-BFGS reaches on the same photos.

    The clock is that of `fastnst train --budget`: it begins with the process and ends when the style file is written,
    the evaluation of all held-out photos included. L-BFGS is measured in between, outside the clock, and only once:
    its results are kept in the file of targets.

    Args:
        settings: See the class.
        started: `time.monotonic()` at which the process began.

    Returns:
        JSON values, with `reached` for each number of iterations in `TOLD` and `worth`, the number of iterations.

    Raises:
        UserError: See `measure_targets` and `train`; or there is a result already.
        Interrupted: Ctrl-C; what L-BFGS reached is kept, a part of a training is not.
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
        style_size=STYLE_SIDE,
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
