"""Reports of measurements: medians and ratios of times, a JSON file that is never overwritten, a table on stdout."""

import json
import statistics
from pathlib import Path
from typing import Any

from rich.console import Console, RenderableType

from fastnst.base.errors import UserError
from fastnst.base.files import write_json


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


def check_output(output: Path | None) -> None:
    """Refuse an existing file before any work.

    Raises:
        UserError: The file exists.
    """
    if output is not None and output.exists():
        raise UserError(f"{output} exists: choose another --output")


def report(result: dict[str, Any], *shown: RenderableType, output: Path | None, as_json: bool) -> None:
    """Write the result as JSON if `output` is given; print it as one JSON object, or print `shown`."""
    if output is not None:
        write_json(output, result)
    if as_json:
        print(json.dumps(result))
    else:
        Console().print(*shown, sep="\n")
