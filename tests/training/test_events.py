"""TensorBoard's events: a file that can no longer be written is told once, and the training goes on."""

import logging
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from small_training import SHALLOW, same, weights

from fastnst.training.events import Events, quiet_writers
from fastnst.training.train import train

FULL = Path("/dev/full")  # answers each write that no space is left
needs_full = pytest.mark.skipif(not FULL.exists(), reason="there is no device that is always full")


def fill(file: Path) -> None:
    """Let the disk of a file be full from now on."""
    file.unlink()
    file.symlink_to(FULL)


@needs_full
def test_events_that_no_longer_fit_are_told_once(tmp_path, caplog, capsys) -> None:
    with quiet_writers():
        events = Events(tmp_path)
        events.log_metrics({"loss": 1.0}, 0)
        events.save()
        fill(next(tmp_path.glob("events.*")))
        for step in range(1, 20):
            events.log_metrics({"loss": 1.0}, step)
            events.add_picture("preview", torch.rand(3, 64, 64), step)
            events.save()
        events.finalize("success")
    (told,) = caplog.messages
    assert told.startswith(f"events of {tmp_path} cannot be written: no space is left") and "goes on" in told
    assert events.lost and capsys.readouterr() == ("", "")


@needs_full
def test_a_failure_at_the_last_flush_is_told_too(tmp_path, caplog) -> None:
    with quiet_writers():
        events = Events(tmp_path)
        events.log_metrics({"loss": 1.0}, 0)
        events.save()
        fill(next(tmp_path.glob("events.*")))
        events.log_metrics({"loss": 1.0}, 1)
        events.finalize("success")
    assert len(caplog.messages) == 1 and events.lost


def test_a_folder_that_is_none_is_told(tmp_path, caplog) -> None:
    (tmp_path / "file").write_text("")
    events = Events(tmp_path / "file/run")
    assert events.experiment is None
    events.log_metrics({"loss": 1.0}, 0)
    assert len(caplog.messages) == 1 and "cannot be written" in caplog.text


def test_numbers_that_are_none_are_still_a_bug(tmp_path) -> None:
    events = Events(tmp_path)
    with pytest.raises(ValueError, match="not supported"):
        events.log_metrics({"loss": "much"}, 0)  # type: ignore[dict-item]
    events.finalize("failed")


def test_other_errors_of_threads_are_still_shown(monkeypatch) -> None:
    shown: list[type[BaseException]] = []
    monkeypatch.setattr(threading, "excepthook", lambda ended: shown.append(ended.exc_type))

    def fail(error: Exception) -> None:
        raise error

    with quiet_writers():
        for error in (OSError("of another thread"), ValueError("a bug")):
            thread = threading.Thread(target=fail, args=(error,))
            thread.start()
            thread.join()
    assert shown == [OSError, ValueError]


@needs_full
def test_a_training_ends_with_the_same_weights_without_its_events(style_and_photos, caplog) -> None:
    caplog.set_level(logging.WARNING, logger="fastnst")
    train(SHALLOW)
    right = weights()

    def fill_soon() -> None:
        while not (found := list(Path("runs/other").glob("events.*"))):
            time.sleep(0.001)
        fill(found[0])

    filler = threading.Thread(target=fill_soon)
    filler.start()
    train(replace(SHALLOW, name="other"))
    filler.join()
    assert sum("events of runs/other cannot be written" in line for line in caplog.messages) == 1
    assert same(right, weights("other"))
