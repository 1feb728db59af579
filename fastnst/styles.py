"""`fastnst styles` and `fastnst info`: what is there to paint with, and what this machine has."""

import json
import os
import platform
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from fastnst.config import EARLIER, TrainConfig
from fastnst.devices import installed_version
from fastnst.network import PRESETS
from fastnst.style_file import StyleFileError, list_styles, read_info

PACKAGES = ("fastnst", "torch", "torchvision", "pytorch-lightning", "datasets", "pillow", "safetensors", "onnxruntime")


def print_styles(*, as_json: bool) -> None:
    """One line for each style file that is found by name: what it is and how it was made."""
    table = Table("name", "styles", "network", "trained", "held-out loss", "file", box=None)
    for path in list_styles():
        try:
            style = read_info(path)
        except StyleFileError as error:
            Console(stderr=True).print(str(error))
            continue
        shown = {key: value for key, value in style.items() if key != "preview"}
        if as_json:
            print(json.dumps({"file": str(path), **shown}))
            continue
        network = style["network"]
        table.add_row(
            path.stem,
            ", ".join(each["name"] for each in style["styles"]),
            _size(network),
            f"{style.get('steps', '?')} steps in {style.get('seconds', 0) / 60:.1f} min",
            _held_out(style),
            str(path),
        )
    if not as_json:
        Console().print(table if table.row_count else "no style yet: fastnst train --style painting.jpg")


def _held_out(style: dict[str, Any]) -> str:
    """The objective, and what it does not have in common with that of a training by default."""
    settings, defaults = {**EARLIER, **style.get("settings", {})}, TrainConfig()
    kinds = [
        f"{name.replace('_', ' ')} {settings[name]}"
        for name in ("padding", "style_weight", "normalization")
        if name in settings and settings[name] != getattr(defaults, name)
    ]
    total = style.get("held_out", {}).get("total", float("nan"))
    return f"{total:.3f}" + (f" ({', '.join(kinds)})" if kinds else "")


def _size(network: dict[str, int]) -> str:
    """The name of a network's size, or its channels."""
    shape = {key: value for key, value in network.items() if key != "num_styles"}
    return next((name for name, preset in PRESETS.items() if preset == shape), " ".join(map(str, shape.values())))


def print_info(*, as_json: bool) -> None:
    """Versions, cores and accelerators."""
    facts: dict[str, Any] = {
        "python": platform.python_version(),
        "system": platform.platform(),
        "cores": os.cpu_count(),
        "torch threads": torch.get_num_threads(),
        "cuda": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
        "mps": torch.backends.mps.is_available(),
        **{name: installed_version(name) for name in PACKAGES},
    }
    if as_json:
        print(json.dumps(facts))
        return
    table = Table(box=None, show_header=False)
    for name, value in facts.items():
        table.add_row(name, str(value or "none"))
    Console().print(table)
