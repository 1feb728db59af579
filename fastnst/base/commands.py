"""What the commands of all wings share: start of the process, exit codes, JSON and log lines.

Imports neither torch nor anything that does.
"""

import json
import logging
import time
from typing import Annotated, Any

from cyclopts import Parameter

from fastnst.base.options import SWITCH

STARTED = time.monotonic()  # a training budget includes the heavy imports
DONE, BAD_USAGE, SOME_FAILED, INTERRUPTED = 0, 2, 3, 130
Flat = Parameter(name="*")
Json = Annotated[bool, SWITCH]

log = logging.getLogger("fastnst")


def tell(result: dict[str, Any], as_json: bool, summary: str, *values: object) -> None:
    """Print the result as JSON on stdout, or a summary line on stderr."""
    if as_json:
        print(json.dumps(result))
    else:
        log.info(summary, *values)


def quieten(quiet: bool) -> None:
    """Log errors only."""
    log.setLevel(logging.ERROR if quiet else logging.INFO)
