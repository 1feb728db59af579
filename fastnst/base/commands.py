"""What the commands of all wings share: when the process began, exit codes, and how they speak.

Imports neither torch nor anything that does.
"""

import json
import logging
import time
from typing import Annotated, Any

from cyclopts import Parameter

from fastnst.base.options import SWITCH

STARTED = time.monotonic()  # a training budget pays for the heavy imports too
DONE, BAD_USAGE, SOME_FAILED, INTERRUPTED = 0, 2, 3, 130
Flat = Parameter(name="*")
Json = Annotated[bool, SWITCH]

log = logging.getLogger("fastnst")


def tell(result: dict[str, Any], as_json: bool, summary: str, *values: object) -> None:
    """The result as JSON on stdout, or in one line on stderr."""
    if as_json:
        print(json.dumps(result))
    else:
        log.info(summary, *values)


def quieten(quiet: bool) -> None:
    """Errors only."""
    log.setLevel(logging.ERROR if quiet else logging.INFO)
