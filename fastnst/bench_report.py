"""What every bench does with its result: a file that is not overwritten, and JSON or a table on stdout."""

import json
from pathlib import Path
from typing import Any

from rich.console import Console, RenderableType

from fastnst.errors import UserError
from fastnst.files import write_json


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
