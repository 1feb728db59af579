"""`fastnst styles` and `fastnst info`: the styles that can be used, and versions and devices of this machine.

Imports torch only for `info --devices`.
"""

import json
import platform
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from fastnst.base.cgroups import usable_cores
from fastnst.base.terminal import shown
from fastnst.base.versions import installed_version
from fastnst.networks.catalog import (
    SHIPPED,
    SOURCE_TREE,
    StyleFileError,
    find_mix,
    find_style_file,
    list_styles,
    read_info,
)
from fastnst.networks.description import PREDICTOR, UNIVERSAL
from fastnst.networks.presets import EARLIER_PRESETS, PRESETS
from fastnst.perception.settings import ObjectiveSettings

PACKAGES = ("fastnst", "torch", "torchvision", "pytorch-lightning", "datasets", "pillow", "safetensors", "onnxruntime")
#: Kinds of files that paint like any picture: the flags that take them, and what each is for.
ANY_PAINTING = {
    UNIVERSAL: ("--style painting.jpg", "a first look"),
    PREDICTOR: ("--style painting.jpg --instant", "videos; young"),
}
#: The purpose of each network size.
PURPOSES = {"small": "photos", "live": "video, camera", "johnson": "the paper's"}


def print_styles(*, as_json: bool) -> None:
    """Print a line for each style file that is found by name: its paintings, its network and the network's purpose."""
    table = Table("name", "styles", "network", "MB", "for", box=None, pad_edge=False)
    for path in list_styles():
        try:
            style = read_info(path)
        except StyleFileError as error:
            Console(stderr=True).print(_whole_words(str(error)), soft_wrap=True)
            continue
        if as_json:
            print(json.dumps({"file": str(path), **_without_preview(style)}))
            continue
        if (kind := style.get("kind")) in ANY_PAINTING:
            flags, purpose = ANY_PAINTING[kind]
            cells = (path.stem, f"any painting: {flags}", style["network"].get("encoder", "predicted"))
            table.add_row(*map(_whole_words, cells), f"{path.stat().st_size / 1e6:.1f}", purpose)
            continue
        size = _size(style["network"])
        cells = (path.stem, ", ".join(each["name"] for each in style["styles"]), size)
        purpose = PURPOSES.get(size, "")
        table.add_row(*map(_whole_words, cells), f"{path.stat().st_size / 1e6:.1f}", purpose)
    if not as_json:
        Console().print(table if table.row_count else "no style yet: fastnst train --style painting.jpg")


def describe_style(name: str, *, as_json: bool) -> None:
    """Print the description in a style file.

    Raises:
        StyleFileError: No such style.
    """
    if name in ANY_PAINTING:
        _describe_network(find_style_file(name), as_json=as_json)
        return
    path, mix = find_mix(name)
    style = _without_preview(read_info(path))
    if as_json:
        print(json.dumps({"file": str(path), **style}))
        return
    data, held_out = style.get("data", {}), style.get("held_out", {})
    facts = {
        "file": f"{path} ({path.stat().st_size / 1e6:.1f} MB)",
        "paintings": ", ".join(each["name"] for each in style["styles"]),
        "chosen": ", ".join(f"{each} {weight:g}" for each, weight in mix.items()) if mix else "",
        "network": _size(style["network"]),
        "trained": f"{style.get('steps', '?')} steps, {style.get('seconds', 0) / 60:.1f} min",
        "on": style.get("hardware", "?"),
        "photos": f"{data.get('photos', '?')} from {data.get('source', '?')}",
        "for validation": f"{data.get('held_out', '?')} more",
        "validation loss": ", ".join(f"{part} {value:.3f}" for part, value in held_out.items()),
        "loss": _objective(style),
        "started from": str((style.get("began_at") or {}).get("name", "nothing")),
        "licence": style.get("license")
        or ("MIT, as fastnst" if path.parent in (SHIPPED, SOURCE_TREE) else "not stated"),
        "versions": ", ".join(f"{package} {each}" for package, each in style.get("versions", {}).items()),
    }
    _print_facts({name: fact for name, fact in facts.items() if fact})


def _describe_network(path: Path, *, as_json: bool) -> None:
    """Print the description of a network that paints like any picture."""
    info = read_info(path)
    if as_json:
        print(json.dumps({"file": str(path), **info}))
        return
    flags, _ = ANY_PAINTING[info["kind"]]
    held_out, data = info.get("held_out", {}), info.get("data", {})
    photos = f"{data.get('held_out', '?')} photos for validation"
    decibels = ", ".join(f"{value:.1f}" for name, value in held_out.items() if name.startswith("psnr"))
    losses = ", ".join(f"{part} {value:.3f}" for part, value in held_out.items())
    channels = ", ".join(map(str, info["network"].get("channels", ())))
    facts = {
        "file": f"{path} ({path.stat().st_size / 1e6:.1f} MB)",
        "paints like": f"any picture, without training: {flags}",
        **({"encoder": f"{info['network']['encoder']}, {channels} channels"} if channels else {}),
        "trained": f"{info.get('steps', '?')} steps, {info.get('seconds', 0) / 60:.1f} min",
        "on": info.get("hardware", "?"),
        "photos": f"{data.get('photos', '?')} from {data.get('source', '?')}",
        **({"paintings": f"{info['paintings']}"} if "paintings" in info else {}),
        **(
            {"reconstruction": f"{decibels} dB from levels 1 to 5, {photos}"}
            if decibels
            else {"validation loss": f"{losses}; {photos}"}
        ),
        "versions": ", ".join(f"{package} {each}" for package, each in info.get("versions", {}).items()),
    }
    _print_facts(facts)


def _without_preview(style: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in style.items() if key != "preview"}


def _objective(style: dict[str, Any]) -> str:
    """The settings on which a validation loss depends, in words."""
    settings = {"padding": "zeros", **style.get("settings", {})}  # files from before there was a choice do not have it
    names = ("normalization", "style_weight", "style_size", "loss_network", "padding")
    defaults = {name: getattr(ObjectiveSettings, name) for name in names}
    settings = {**settings, "style_size": settings.get("style_size") or 384}  # before there was `auto`
    return ", ".join(f"{name.replace('_', ' ')} {settings.get(name) or defaults[name]}" for name in names)


def _size(network: dict[str, int]) -> str:
    """The name of a network's size, or its channels."""
    shape = {key: value for key, value in network.items() if key != "num_styles"}
    known = [*PRESETS.items(), *EARLIER_PRESETS.items()]
    return next((name for name, preset in known if preset == shape), " ".join(map(str, shape.values())))


def _whole_words(text: str) -> Text:
    """A stranger's text, without markup and controls, which is wrapped between words and never cut."""
    return Text(shown(text), overflow="fold")


def print_info(*, devices: bool = False, as_json: bool = False) -> None:
    """Print versions and cores; with `devices`, which loads torch, also the devices."""
    facts: dict[str, Any] = {
        "python": platform.python_version(),
        "system": platform.platform(),
        "cores": usable_cores(),
        **{name: installed_version(name) for name in PACKAGES},
    }
    if devices:
        facts |= _devices()
    if as_json:
        print(json.dumps(facts))
    else:
        _print_facts({name: str(value or "none") for name, value in facts.items()})


def _devices() -> dict[str, Any]:
    import torch

    return {
        "torch threads": torch.get_num_threads(),
        "cuda": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
        "mps": torch.backends.mps.is_available(),
    }


def _print_facts(facts: dict[str, str]) -> None:
    table = Table(box=None, show_header=False, pad_edge=False)
    for name, fact in facts.items():
        table.add_row(name, _whole_words(fact))
    Console().print(table)
