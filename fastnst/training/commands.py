"""The commands `fastnst train`, `train-universal`, `train-base` and `probe`.

torch is imported after settings and files are checked.
"""

import json
import logging
import shlex
from typing import Annotated, Any

from fastnst.base.commands import DONE, INTERRUPTED, STARTED, Flat, quieten, tell
from fastnst.base.errors import Interrupted
from fastnst.base.options import WHAT
from fastnst.training.processes import is_first_process
from fastnst.training.settings import BaseSettings, ProbeSettings, TrainSettings, UniversalSettings

log = logging.getLogger("fastnst")


def train(
    settings: Annotated[TrainSettings, Flat] = TrainSettings(),  # noqa: B008
    *,
    config: Annotated[str | None, WHAT] = None,
) -> int:
    """Train a style: style images and photos in, a style file out.

    Args:
        settings: Flags.
        config: YAML settings, a file or a shipped name; flags win.
    """
    from fastnst.training.checks import check_train

    quieten(settings.quiet or not is_first_process())
    check_train(settings)  # before torch is loaded, so that a mistake is told at once
    from fastnst.training.train import train as run

    try:
        result = run(settings, started=STARTED)
    except Interrupted:
        if is_first_process():
            raise
        return INTERRUPTED
    if result is None:  # another process of a distributed run reports it
        return DONE
    if settings.json:
        print(json.dumps(result))
    else:
        log.info("%s", _summary(result))
    return DONE


def _summary(result: dict[str, Any]) -> str:
    """The style file, its validation loss, and the command that uses it."""
    names = [style["name"] for style in result["styles"]]
    style = result["name"] if len(names) == 1 else ",".join(f"{name}:{1 / len(names):.2g}" for name in names)
    parts = ", ".join(f"{name} {value:.3f}" for name, value in result["held_out"].items())
    if not result["steps"]:
        return (
            f"{result['path']} is not trained: no step fitted into the budget; give it more time: --budget 20m --force"
        )
    return (
        f"{result['path']}: {result['steps']} steps in {result['seconds']:.0f} s; validation loss: {parts}\n"
        f"use it: fastnst apply photo.jpg --style {shlex.quote(style)}"
    )


def train_universal(
    settings: Annotated[UniversalSettings, Flat] = UniversalSettings(),  # noqa: B008
) -> int:
    """Train the network that paints like any painting at once: photos in, one file out.

    Args:
        settings: Flags.
    """
    from fastnst.training.checks import check_network

    quieten(settings.quiet)
    check_network(settings)
    from fastnst.training.universal import train_universal as run

    result = run(settings, started=STARTED)
    if result is not None:
        decibels = ", ".join(f"{value:.1f}" for value in result["held_out"].values())
        summary = "%s: %d steps in %.0f s; validation photos decoded from levels 1 to 5: %s dB"
        tell(result, settings.json, summary, result["path"], result["steps"], result["seconds"], decibels)
    return DONE


def train_base(
    settings: Annotated[BaseSettings, Flat] = BaseSettings(),  # noqa: B008
) -> int:
    """Train a start for every style: photos and many paintings in, one file out.

    Args:
        settings: Flags.
    """
    from fastnst.training.checks import check_network

    quieten(settings.quiet)
    check_network(settings)
    from fastnst.training.base import train_base as run

    result = run(settings, started=STARTED)
    if result is not None:
        losses = ", ".join(f"{name} {value:.3f}" for name, value in result["held_out"].items())
        summary = "%s: %d steps in %.0f s; held-out photos in the style of held-out paintings: %s"
        tell(result, settings.json, summary, result["path"], result["steps"], result["seconds"], losses)
    return DONE


def probe(settings: Annotated[ProbeSettings, Flat]) -> int:
    """Try style weights and stroke sizes: short trainings, one contact sheet to choose from.

    Args:
        settings: Flags.
    """
    from fastnst.training.checks import check_probe

    quieten(settings.quiet)
    check_probe(settings)
    from fastnst.training.probe import probe as run

    result = run(settings)
    sheet = f"{result['output']}/sheet.png"
    tell(result, settings.json, "%s: %d trials; train with the flags that you like", sheet, len(result["trials"]))
    return DONE
