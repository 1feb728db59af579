"""`fastnst compare`: one pass of a trained network beside L-BFGS that minimises the same loss.

After Johnson et al. (2016), figure 5 (the iterations that reach as low a loss) and table 1 (how much faster a pass is).
"""

import logging
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from fastnst.base.devices import measured_on
from fastnst.base.errors import Interrupted
from fastnst.base.files import sha256, write_json, write_whole
from fastnst.base.progress import progress_bar
from fastnst.baseline.checks import check_compare
from fastnst.baseline.contest import (
    Contest,
    baseline_curve,
    equivalent_iterations,
    from_noise,
    load_contest,
    mean_curve,
)
from fastnst.baseline.minimize import Iterate, Method
from fastnst.baseline.report import draw_curve, draw_sheet, to_markdown
from fastnst.baseline.settings import CompareSettings
from fastnst.images.formats import ImageError
from fastnst.images.levels import to_tensor
from fastnst.images.photos import find_photos, resolve_photo
from fastnst.images.read import crop_photo, decode_photo
from fastnst.images.write import save_image
from fastnst.perception.perceptual_loss import Losses

TABLE_1 = (100, 300, 500)  # iterations in Johnson et al. (2016), table 1
ROUNDS = 7  # timed, after one that is not
ON_SHEET = 8  # photos
INSET = 56  # pixels: features of VGG19 at relu4_3 that lie further inside do not depend on the border
log = logging.getLogger("fastnst")


class Photo(NamedTuple):
    """A readable photo."""

    name: str  # without the folder given
    path: Path
    sha256: str
    short_side: int  # pixels; at most the largest size asked for


def compare(photos: Sequence[str], settings: CompareSettings) -> dict[str, Any]:
    """Compare a trained network with the optimiser; write tables, plots and contact sheets.

    Args:
        photos: Files, folders (with their subfolders) or `sample:NAME`.
        settings: Settings of `fastnst compare`.

    Returns:
        JSON values: the content of `compare.json`, `markdown`, the text of `compare.md`, and `output`, the folder.
        `failed` is the number of unreadable photos; each has a line in the log.

    Raises:
        UserError: Nothing was measured: no photo, no such style, another style image than that of the training, or a
            folder that must not be written to.
        Interrupted: Ctrl-C; the results of the finished sizes are written.
    """
    folder = check_compare(photos, settings)
    contest = load_contest(
        settings.style, settings.style_image, loss_weights=settings.loss_weights, device=settings.device
    )
    found, failed = _read_photos(photos, max((*settings.sizes, *settings.timed_sizes), default=1))
    chosen = _large_enough(found, settings.sizes)
    result: dict[str, Any] = {
        **contest.sources,
        **{name: getattr(settings, name) for name in ("iterations", "history", "seed")},
        "photos": [{"name": photo.name, "sha256": photo.sha256} for photo in found],
        "failed": failed,
        "complete": False,
        "sizes": [],
        "times": [],
        **measured_on(contest.stylizer.device),
    }
    try:
        with progress_bar(shown=not (settings.quiet or settings.json)) as progress:
            for size, suitable in chosen.items():
                task = progress.add_task(f"losses, {size} px", total=len(suitable) * settings.iterations, state="")
                entry, rows = compare_losses(contest, suitable, size, settings, done=partial(progress.advance, task))
                result["sizes"].append(entry)
                write_whole(folder / f"curve_{size}.png", draw_curve(entry))
                save_image(draw_sheet(entry, rows), folder / f"sheet_{size}.png")
                _write(result, folder)
            for size in sorted(set(settings.timed_sizes)):
                task = progress.add_task(f"times, {size} px", total=ROUNDS + 1, state="")
                times = time_both(contest, found[0], size, settings, done=partial(progress.advance, task))
                result["times"].append(times)
                _write(result, folder)
    except KeyboardInterrupt:
        kept = f"what was done is in {folder}" if result["sizes"] or result["times"] else "nothing was written"
        raise Interrupted(f"stopped; {kept}") from None
    result["complete"] = True
    _write(result, folder)
    return {**result, "markdown": to_markdown(result), "output": str(folder)}


def compare_losses(
    contest: Contest, photos: Sequence[Photo], size: int, settings: CompareSettings, *, done: Callable[[], object]
) -> tuple[dict[str, Any], list[list[Tensor]]]:
    """Losses of the network and of the optimiser on squares of `size` pixels.

    Args:
        contest: See `load_contest`.
        photos: Photos with short sides of at least `size` pixels.
        size: Side in pixels.
        settings: Iterations, history and seed are used.
        done: Called after each iteration.

    Returns:
        The size's entry in `compare.json`, and for the first photos a row of the sheet: the photo, the network's
        image, that of universal style transfer (if its network is there), the optimiser's first image with as low a
        loss as the network's (its last, if there is none), and its last.
    """
    entries: list[dict[str, Any]] = []
    rows: list[list[Tensor]] = []
    for photo in photos:
        entry, row = _compare_photo(contest, photo, size, settings, done)
        entries.append(entry)
        rows += [row] if len(rows) < ON_SHEET else []
    curve, curve_inside = (
        [_rounded(value) for value in mean_curve([entry[name] for entry in entries])]
        for name in ("curve", "curve_inside")
    )
    inside = _rounded(statistics.fmean(entry["network_inside"] for entry in entries))
    everyone = [who for who in ("photo", "network", "at_once", "optimizer") if who in entries[0]]
    mean = {who: _mean([entry[who] for entry in entries]) for who in everyone}
    evaluations, iterations = (sum(entry[what] for entry in entries) for what in ("evaluations", "iterations"))
    at_once = {}
    if "at_once" in mean:
        at_once["equivalent_iterations_at_once"] = equivalent_iterations(curve, mean["at_once"]["total"])
    summary = {
        "size": size,
        "num_photos": len(entries),
        "mean": mean,
        "equivalent_iterations": equivalent_iterations(curve, mean["network"]["total"]),
        **at_once,
        "evaluations_per_iteration": _rounded(evaluations / iterations),
        "curve": curve,
        "inset": _inset(size),
        "network_inside": inside,
        "equivalent_iterations_inside": equivalent_iterations(curve_inside, inside),
        "curve_inside": curve_inside,
        "photos": entries,
    }
    return summary, rows


def _compare_photo(
    contest: Contest, photo: Photo, size: int, settings: CompareSettings, done: Callable[[], object]
) -> tuple[dict[str, Any], list[Tensor]]:
    square = _square(photo, size, contest)
    stylized = contest.stylizer(square)
    targets = contest.objective.content_targets(square)

    @torch.no_grad()
    def losses(image: Tensor, inset: int = 0) -> dict[str, float]:
        return _numbers(contest.objective(image, targets, inset=inset).mean())

    def inside(image: Tensor) -> float:
        return losses(image, _inset(size))["total"]

    network = losses(stylized)
    universal = contest.at_once(square) if contest.at_once else None
    as_good: list[Tensor] = []
    curve_inside: list[float] = []

    def watch(iterate: Iterate) -> None:
        curve_inside.append(inside(iterate.image))
        if not as_good and _rounded(iterate.losses.total) <= network["total"]:
            as_good.append(iterate.image)
        done()

    method = Method(iterations=settings.iterations, history=settings.history)
    baseline = baseline_curve(contest.objective, square, method, seed=settings.seed, watch=watch)
    curve = [_rounded(value) for value in baseline.curve]
    entry = {
        "name": photo.name,
        "photo": losses(square),
        "network": network,
        **({} if universal is None else {"at_once": losses(universal)}),
        "optimizer": _numbers(baseline.losses),
        "equivalent_iterations": equivalent_iterations(curve, network["total"]),
        "iterations": baseline.iterations,
        "evaluations": baseline.evaluations,
        "curve": curve,
        "network_inside": inside(stylized),
        "curve_inside": curve_inside + curve_inside[-1:] * (len(curve) - len(curve_inside)),
    }
    return entry, [
        square,
        stylized,
        *([] if universal is None else [universal]),
        *(as_good or [baseline.image]),
        baseline.image,
    ]


def time_both(
    contest: Contest, photo: Photo, size: int, settings: CompareSettings, *, done: Callable[[], object]
) -> dict[str, Any]:
    """Time an iteration of the optimiser, a pass of the network and one at once, in turn, on a square of `size` pixels.

    A smaller photo is enlarged: times do not depend on the content. The first round is not counted.

    Returns:
        The size's entry in `compare.json`; each ratio is that of an iteration to the pass after it.
    """
    device = contest.stylizer.device
    square = _square(photo, size, contest)
    method = Method(iterations=ROUNDS + 1, history=settings.history)
    passes, universal, iterations, evaluations = [], [], [], []
    started = _now(device)
    for iterate in from_noise(contest.objective, square, method, seed=settings.seed):
        iterations.append(_now(device) - started)
        started = _now(device)
        contest.stylizer(square)
        passes.append(_now(device) - started)
        if contest.at_once:
            started = _now(device)
            contest.at_once(square)
            universal.append(_now(device) - started)
        evaluations.append(iterate.evaluations)
        done()
        started = _now(device)
    ratios = [one / other for one, other in zip(iterations, passes, strict=True)][1:]
    seconds, ratio = statistics.median(iterations[1:]), statistics.median(ratios)
    return {
        "size": size,
        "rounds": len(ratios),
        "pass_seconds": _spread(passes[1:]),
        **({"at_once_seconds": _spread(universal[1:])} if universal else {}),
        "iteration_seconds": _spread(iterations[1:]),
        "ratio": _spread(ratios),
        "evaluations_per_iteration": _rounded((evaluations[-1] - evaluations[0]) / len(ratios)),
        "iterations": {
            str(number): {"seconds": _rounded(number * seconds), "ratio": _rounded(number * ratio)}
            for number in TABLE_1
        },
    }


def _read_photos(names: Sequence[str], largest: int) -> tuple[list[Photo], int]:
    """The readable photos, and the number of unreadable ones."""
    found = {path: shown for name in names for path, shown in _find(name)}
    photos = []
    for path, name in found.items():
        try:
            side = min(decode_photo(path, short_side=largest).shape[:2])
            photos.append(Photo(name, path, sha256(path), side))
        except ImageError as error:
            log.error("%s", error)
    if not photos:
        usage = "no photo given: fastnst compare photo.jpg --style wave --style-image wave.jpg"
        raise ImageError(f"none of {len(found)} photos can be read" if found else usage)
    return photos, len(found) - len(photos)


def _find(name: str) -> Iterator[tuple[Path, str]]:
    """The photos of an argument, and their names without the folder."""
    path = resolve_photo(name)
    if not path.exists():
        raise ImageError(f"{path}: no such file")
    if not path.is_dir():
        yield path, path.name
        return
    inside = find_photos(path)
    if not inside:
        raise ImageError(f"no photo in {path} or below")
    yield from ((photo, photo.relative_to(path).as_posix()) for photo in inside)


def _large_enough(photos: Sequence[Photo], sizes: Sequence[int]) -> dict[int, list[Photo]]:
    """The photos for each size, smallest size first; photos are not enlarged, which would distort the losses."""
    chosen = {size: [photo for photo in photos if photo.short_side >= size] for size in sorted(set(sizes))}
    for size, suitable in chosen.items():
        for photo in (photo for photo in photos if photo not in suitable):
            log.info("%s: short side of %d px, left out at %d px", photo.name, photo.short_side, size)
    if sizes and not any(chosen.values()):
        raise ImageError(f"no photo has a short side of {min(sizes)} px; losses are not measured on enlarged photos")
    return {size: suitable for size, suitable in chosen.items() if suitable}


def _square(photo: Photo, size: int, contest: Contest) -> Tensor:
    """The centre of a photo `(1, 3, size, size)`, cut like the training's validation photos."""
    pixels = decode_photo(photo.path, short_side=size)
    height, width = pixels.shape[:2]
    side = min(height, width)
    left, top = (width - side) / 2, (height - side) / 2
    square = crop_photo(pixels, (left, top, left + side, top + side), size)
    return to_tensor(square).to(contest.stylizer.device)


def _inset(size: int) -> int:
    """Pixels on each side that are left out in the losses without borders."""
    return min(INSET, size // 4)


def _numbers(losses: Losses) -> dict[str, float]:
    return {name: _rounded(value) for name, value in losses._asdict().items()}


def _mean(losses: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {name: _rounded(statistics.fmean(each[name] for each in losses)) for name in Losses._fields}


def _spread(values: Sequence[float]) -> dict[str, float]:
    numbers = {"median": statistics.median(values), "lowest": min(values), "highest": max(values)}
    return {name: _rounded(value) for name, value in numbers.items()}


def _rounded(value: float | Tensor) -> float:
    """Rounded to six digits, so that the numbers compared are the numbers written."""
    return float(f"{float(value):.6g}")


def _now(device: torch.device) -> float:
    """Time in seconds, after the device has finished its work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
    return time.perf_counter()


def _write(result: dict[str, Any], folder: Path) -> None:
    write_json(folder / "compare.json", result)
    write_whole(folder / "compare.md", to_markdown(result).encode())
