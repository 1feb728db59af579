"""What every bench does with its result: a file that is not overwritten, and JSON or a table on stdout."""

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
    """Refuse, before any work, a file that is there.

    Raises:
        UserError: One line that names it.
    """
    if output is not None and output.exists():
        raise UserError(f"{output} exists: choose another --output")


def report(result: dict[str, Any], *shown: RenderableType, output: Path | None, as_json: bool) -> None:
    """Write the result as JSON, if a file is wanted, and print it: as one JSON object, or what is shown of it."""
    if output is not None:
        write_json(output, result)
    if as_json:
        print(json.dumps(result))
    else:
        Console().print(*shown, sep="\n")
