"""The style file: weights, and everything needed to use them and to repeat the training, in one safetensors file.

The header holds one JSON text under the key `fastnst`, so that a style can be described without reading its
weights, and loading runs no code from the file.
"""

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load, save
from torch import Tensor

from fastnst.base.files import read_whole, write_whole
from fastnst.networks.catalog import FORMAT_VERSION, StyleFileError, find_style_file, read_info
from fastnst.networks.description import LONGEST_HEADER
from fastnst.networks.network import TransformationNetwork

MOST_WEIGHTS = 2**26  # of a file; the largest that ships has 1.9 million
LARGEST_WEIGHT = 1000.0  # the largest that ships is 6.3
TYPES = (torch.float16, torch.bfloat16, torch.float32)


@dataclass(frozen=True)
class StyleFile:
    """A trained network with its description.

    Args:
        network: The network, in eval mode, on the CPU.
        info: The `info` given to `save_style`, with `format_version`.
    """

    network: TransformationNetwork
    info: dict[str, Any]

    @property
    def style_names(self) -> tuple[str, ...]:
        """One name for each style of the network."""
        return tuple(style["name"] for style in self.info["styles"])


def save_style(path: Path, network: TransformationNetwork, info: dict[str, Any], *, replace: bool = True) -> None:
    """Write a style file, completely or not at all.

    Args:
        path: Ends in `.safetensors`; missing folders are made.
        network: Its weights are stored as float16, which halves the file and changes no pixel of a picture by 1/255.
        info: JSON values; needs `name`, `network` (the arguments of `TransformationNetwork`) and `styles` (a list
            of objects with a `name`).
        replace: Whether a file that is there may be replaced.
    """
    header = json.dumps({"format_version": FORMAT_VERSION, **info})
    if len(header) > LONGEST_HEADER // 2:  # names of tensors need room too
        header = json.dumps({"format_version": FORMAT_VERSION, **info, "preview": ""})
    weights = {name: tensor.detach().cpu().half().contiguous() for name, tensor in network.state_dict().items()}
    write_whole(path, save(weights, metadata={"fastnst": header}), replace=replace)


def load_style(style: str | Path) -> StyleFile:
    """Read a style file.

    Args:
        style: A path, or a name in ./checkpoints or among the shipped styles.

    Raises:
        StyleFileError: No such style; see `read_info`; or the weights do not fit the description.
    """
    path = find_style_file(str(style))
    info = read_info(path)
    with refused_if_broken(path):
        network = network_as_described(path, info["network"])
        network.load_state_dict(finite_weights(path))  # into float32
        if len(info["styles"]) != network.num_styles:
            raise ValueError("number of styles")
    return StyleFile(network.eval(), info)


@contextmanager
def refused_if_broken(path: Path) -> Iterator[None]:
    """Turn what a file that was made or changed by others can raise into one line."""
    try:
        yield
    except (RuntimeError, KeyError, TypeError, ValueError, AttributeError, SafetensorError):
        raise StyleFileError(f"{path}: the weights do not fit the description in the file") from None


def network_as_described(path: Path, sizes: dict[str, int], *, prefix: str = "") -> TransformationNetwork:
    """The network that a file describes, with random weights; nothing is allocated before the file's tensors agree.

    Args:
        path: The file.
        sizes: Arguments of `TransformationNetwork`.
        prefix: Of the network's tensors in the file.

    Raises:
        ValueError: The tensors in the file are others.
    """
    with safe_open(path, framework="np") as file:
        names = [name for name in file.keys() if name.startswith(prefix)]
        found = {name.removeprefix(prefix): tuple(file.get_slice(name).get_shape()) for name in names}
    most = max((side for shape in found.values() for side in shape), default=0)
    if any(type(size) is not int for size in sizes.values()):
        raise ValueError("sizes that are no numbers")
    if max(sizes.values()) > most or sum(sizes.get(kind, 0) for kind in ("num_blocks", "num_deep_blocks")) > len(names):
        raise ValueError("larger than the file")
    with torch.device("meta"):
        expected = {name: tuple(each.shape) for name, each in TransformationNetwork(**sizes).state_dict().items()}
    if found != expected or sum(map(math.prod, expected.values())) > MOST_WEIGHTS:
        raise ValueError("other tensors")
    return TransformationNetwork(**sizes)


def finite_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a file.

    Raises:
        ValueError: There are more than any network here has, or one has a type or values that no training gives.
    """
    with safe_open(path, framework="np") as file:
        if sum(math.prod(file.get_slice(name).get_shape()) for name in file.keys()) > MOST_WEIGHTS:
            raise ValueError("too many weights")
    weights = load(read_whole(path))  # which also opens names that are not UTF-8
    if not all(each.dtype in TYPES and within_reason(each) for each in weights.values()):
        raise ValueError("weights that are no numbers, or absurd")
    return weights


def within_reason(values: Tensor) -> bool:
    """Whether all values are numbers of a size that trained networks have."""
    return bool((values.abs() <= LARGEST_WEIGHT).all())  # false for what is no number
