import logging

import pytest


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture):
    """What was warned of."""
    monkeypatch.setattr(logging.getLogger("fastnst"), "propagate", True)
    monkeypatch.setattr(logging.getLogger("fastnst"), "handlers", [])
    return lambda: [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
