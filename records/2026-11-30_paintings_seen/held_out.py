"""Losses on held-out paintings, of trainings of a predictor: python held_out.py RUN ... > result.json (runs/NAME)."""

import json
import sys
from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

LAST = 50  # logged steps, of which one in ten is


def losses(run: Path) -> dict[str, object]:
    """Of one run: by step on held-out paintings, and the mean of the last 500 steps on those that it trains on."""
    events = EventAccumulator(str(run))
    events.Reload()
    held_out = {name: events.Scalars(name) for name in events.Tags()["scalars"] if name.startswith("held_out/")}
    found: dict[str, object] = {
        name.partition("/")[2]: {event.step + 1: round(event.value, 4) for event in scalars}
        for name, scalars in held_out.items()
    }
    trained = [event.value for event in events.Scalars("train/total")][-LAST:]
    return found | {"seen": round(sum(trained) / len(trained), 4)}


if __name__ == "__main__":
    print(json.dumps({Path(run).name: losses(Path(run)) for run in sys.argv[1:]}, indent=1))
