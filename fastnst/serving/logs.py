"""Log lines as JSON objects, one a line. Knows nothing of requests."""

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


def log_as_json() -> None:
    """Log to stderr as JSON: fastnst's lines, and warnings of all other packages."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines())
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.captureWarnings(True)
    own = logging.getLogger("fastnst")
    own.handlers, own.propagate = [], True
    own.setLevel(logging.INFO)
