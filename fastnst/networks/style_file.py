"""The style file: weights, and everything needed to use them and to repeat the training, in one safetensors file.

The header holds one JSON text under the key `fastnst`, so that a style can be described without reading its
weights, and loading runs no code from the file.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save

from fastnst.base.files import write_whole
from fastnst.networks.catalog import FORMAT_VERSION, StyleFileError, find_style_file, read_info
from fastnst.networks.network import TransformationNetwork


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
    try:
        network = TransformationNetwork(**info["network"])
        network.load_state_dict(load_file(path))  # into float32
        if len(info["styles"]) != network.num_styles:
            raise ValueError("number of styles")
    except (RuntimeError, KeyError, TypeError, ValueError, SafetensorError):
        raise StyleFileError(f"{path}: the weights do not fit the description in the file") from None
    return StyleFile(network.eval(), info)
