"""Log lines as JSON objects, one a line. Knows nothing of requests."""

import asyncio
import json
import logging
from datetime import UTC, datetime


class JsonLines(logging.Formatter):
    """A record as one JSON object: time, level, message, what `extra={"about": {...}}` adds, a traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        values = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
            **getattr(record, "about", {}),
        }
        if record.exc_info:
            values["traceback"] = self.formatException(record.exc_info)
        return json.dumps(values)


def _is_no_broken_off_request(record: logging.LogRecord) -> bool:
    """Whether a line is not uvicorn's traceback of a request that a second signal broke off."""
    return not (record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError))


def log_as_json() -> None:
    """Log to stderr as JSON: fastnst's lines, and warnings of all other packages."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines())
    handler.addFilter(_is_no_broken_off_request)
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.captureWarnings(True)
    own = logging.getLogger("fastnst")
    own.handlers, own.propagate = [], True
    own.setLevel(logging.INFO)
