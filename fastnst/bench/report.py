"""Reports of measurements: medians and ratios of times, a JSON file that is never overwritten, a table on stdout."""

import json
import statistics
from pathlib import Path
from typing import Any

from rich.console import Console, RenderableType

from fastnst.base.errors import UserError
from fastnst.base.files import check_place, write_json
from fastnst.images.formats import check_suffix


def summarize(times: list[float], reference: list[float]) -> dict[str, float]:
    """Median and spread in seconds, and the median of the ratios to the reference of the same round."""
    ratios = [one / other for one, other in zip(times, reference, strict=True)]
    return {
        "median_seconds": round(statistics.median(times), 4),
        "fastest_seconds": round(min(times), 4),
        "slowest_seconds": round(max(times), 4),
        "ratio": round(statistics.median(ratios), 3),
        "lowest_ratio": round(min(ratios), 3),
        "highest_ratio": round(max(ratios), 3),
    }


def check_output(output: Path | None, *, picture: bool = False, flag: str = "--output") -> None:
    """Refuse a file that exists or cannot be written, before any work.

    Raises:
        UserError: The file exists, its folder cannot be written to, or its suffix is not that of a picture.
    """
    if output is None:
        return
    if picture:
        check_suffix(output)
    check_place(output)
    if output.exists():
        raise UserError(f"{output} exists: choose another {flag}")


def report(result: dict[str, Any], *shown: RenderableType, output: Path | None, as_json: bool) -> None:
    """Write the result as JSON if `output` is given; print it as one JSON object, or print `shown`."""
    if output is not None:
        write_json(output, result)
    if as_json:
        print(json.dumps(result))
    else:
        Console().print(*shown, sep="\n")
