"""The three kinds of files that hold networks, tiny ones, and files that only say that they hold them."""

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import nn

from fastnst.networks.catalog import FORMAT_VERSION
from fastnst.networks.network import TransformationNetwork
from fastnst.networks.style_file import load_style
from fastnst.universal.autoencoder import Autoencoder
from fastnst.universal.file import load_autoencoder, load_predictor
from fastnst.universal.predictor import StylePredictor, numbers_of

SIZES = {"half": 4, "quarter": 4, "num_blocks": 1, "num_styles": 1}
LOADERS: dict[str, Callable[[Path], object]] = {
    "style": load_style,
    "universal": load_autoencoder,
    "predictor": load_predictor,
}


def kinds_of_files() -> dict[str, tuple[dict[str, Any], nn.Module]]:
    """By kind: what the header says, and the weights."""
    torch.manual_seed(0)
    network = TransformationNetwork(**SIZES)
    predictor = StylePredictor(numbers_of(network))
    about: dict[str, tuple[dict[str, Any], nn.Module]] = {
        "style": (
            {"styles": [{"name": "night"}], "network": SIZES, "held_out": {"total": 1.0}, "preview": ""},
            network,
        ),
        "universal": (
            {"kind": "universal", "styles": [], "network": {"channels": [4] * 5, "encoder": "slim"}},
            Autoencoder([4] * 5),
        ),
        "predictor": (
            {"kind": "predictor", "styles": [], "network": SIZES, "painting_side": 64},
            nn.ModuleDict({"network": network, "predictor": predictor}),
        ),
    }
    return {
        kind: ({"format_version": FORMAT_VERSION, "name": "night", "steps": 3, **its}, part.half())
        for kind, (its, part) in about.items()
    }


def written(path: Path, about: object, weights: dict[str, torch.Tensor]) -> Path:
    """A file with these weights and any JSON value as its description."""
    path.write_bytes(save(weights, {"fastnst": json.dumps(about)}))
    return path


def sparse(path: Path, about: object, shapes: dict[str, tuple[int, ...]]) -> Path:
    """A file of zeros in float16 that take no place on the disk, however many they are."""
    header, place = {}, 0
    for name, shape in shapes.items():
        end = place + 2 * torch.Size(shape).numel()
        header[name] = {"dtype": "F16", "shape": list(shape), "data_offsets": [place, end]}
        place = end
    text = json.dumps({"__metadata__": {"fastnst": json.dumps(about)}, **header}).encode()
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + place)
    return path
