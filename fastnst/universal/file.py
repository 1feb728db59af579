"""The files of an autoencoder and of a predictor: weights, and how they were trained, in one safetensors file."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from fastnst.base.files import write_whole
from fastnst.networks.catalog import FORMAT_VERSION, StyleFileError, read_info
from fastnst.networks.description import PREDICTOR, UNIVERSAL
from fastnst.networks.network import TransformationNetwork
from fastnst.networks.style_file import (
    MOST_WEIGHTS,
    StyleFile,
    finite_weights,
    network_as_described,
    refused_if_broken,
    within_reason,
)
from fastnst.universal.autoencoder import LEVELS, Autoencoder, vgg19
from fastnst.universal.predictor import StylePredictor, numbers_of, predicted_parameters


def save_autoencoder(path: Path, network: Autoencoder, info: dict[str, Any], *, replace: bool = True) -> None:
    """Write an autoencoder, completely or not at all.

    Args:
        path: Ends in `.safetensors`; missing folders are made.
        network: Its weights are stored as float16. An encoder that is VGG19 itself is left out: every fastnst has it.
        info: JSON values; needs `name` and `network`, with `channels` and `encoder` (`slim` or `vgg19`).
        replace: Whether a file that is there may be replaced.
    """
    state = network.state_dict()
    if info["network"]["encoder"] == "vgg19":
        state = {name: value for name, value in state.items() if name.startswith("decoder.")}
    _write(path, UNIVERSAL, state, info, replace=replace)


def load_autoencoder(path: Path) -> Autoencoder:
    """Read an autoencoder, in eval mode and without gradients, on the CPU.

    Raises:
        StyleFileError: No such file, or not one of an autoencoder.
    """
    info = read_info(path)
    if info.get("kind") != UNIVERSAL:
        raise StyleFileError(f"{path} is a trained style, not the network for any painting")
    with refused_if_broken(path), torch.random.fork_rng(devices=[]):  # weights that are replaced at once
        network = vgg19() if info["network"]["encoder"] == "vgg19" else _as_described(path, info["network"]["channels"])
        loaded = network.load_state_dict(finite_weights(path), strict=False)
        if loaded.unexpected_keys or any(name.startswith("decoder.") for name in loaded.missing_keys):
            raise ValueError("weights")
        if not network.decode(network.encode(torch.rand(1, 3, 32, 32))[-1], LEVELS).isfinite().all():
            raise ValueError("weights that together leave the numbers")
    return network.requires_grad_(False).eval()


def save_predictor(
    path: Path, network: TransformationNetwork, predictor: StylePredictor, info: dict[str, Any], *, replace: bool = True
) -> None:
    """Write a network and the predictor of its norms, completely or not at all; weights are stored as float16.

    Args:
        path: Ends in `.safetensors`; missing folders are made.
        network: Of one style.
        predictor: For this network.
        info: JSON values; needs `name` and `network`, the arguments of `TransformationNetwork`.
        replace: Whether a file that is there may be replaced.
    """
    parts = {"network": network.state_dict(), "predictor": predictor.state_dict()}
    state = {f"{part}.{name}": value for part, its in parts.items() for name, value in its.items()}
    _write(path, PREDICTOR, state, info, replace=replace)


def load_predictor(path: Path) -> tuple[TransformationNetwork, StylePredictor]:
    """Read a network and its predictor, in eval mode and without gradients, on the CPU.

    Raises:
        StyleFileError: No such file, or not one of a predictor.
    """
    info = read_info(path)
    if info.get("kind") != PREDICTOR:
        raise StyleFileError(f"{path} holds no predictor of styles")
    with refused_if_broken(path), torch.random.fork_rng(devices=[]):  # weights that are replaced at once
        network = network_as_described(path, info["network"], prefix="network.")
        predictor = StylePredictor(numbers_of(network))
        weights = finite_weights(path)
        for part, module in (("network.", network), ("predictor.", predictor)):
            module.load_state_dict(
                {name.removeprefix(part): each for name, each in weights.items() if name.startswith(part)}
            )
    return network.requires_grad_(False).eval(), predictor.requires_grad_(False).eval()


def predicted_style(path: Path, paintings: Sequence[tuple[Tensor, float]]) -> StyleFile:
    """The network of a predictor's file as a style that is predicted from paintings.

    Args:
        path: File of a predictor.
        paintings: `(1, 3, H, W)`, sRGB in [0, 1], the short side as in training (`painting_side`), each with its weight
            in a blend; weights sum up to one.

    Raises:
        StyleFileError: No such file, or not one of a predictor.
    """
    network, predictor = load_predictor(path)
    numbers = torch.stack([weight * predictor.of(each) for each, weight in paintings]).sum(0)
    if not within_reason(numbers):
        raise StyleFileError(f"{path}: its predictor gives numbers that no style has")
    network.load_state_dict({**network.state_dict(), **predicted_parameters(network, numbers)})
    return StyleFile(network, {**read_info(path), "styles": [{"name": "predicted"}]})


def painting_side(path: Path) -> int:
    """The short side in pixels of the paintings from which a predictor's file predicts.

    Raises:
        StyleFileError: The file does not say.
    """
    side: int | None = read_info(path).get("painting_side")
    if side is None:
        raise StyleFileError(f"{path} does not say of which size its paintings are")
    return side


def _write(path: Path, kind: str, state: dict[str, Tensor], info: dict[str, Any], *, replace: bool) -> None:
    header = json.dumps({"format_version": FORMAT_VERSION, "kind": kind, "styles": [], **info})
    weights = {name: value.detach().cpu().half().contiguous() for name, value in state.items()}
    write_whole(path, save(weights, metadata={"fastnst": header}), replace=replace)


def _as_described(path: Path, channels: list[int]) -> Autoencoder:
    """An autoencoder with random weights; nothing is allocated before the file's tensors agree."""
    with torch.device("meta"):
        expected = {name: list(each.shape) for name, each in Autoencoder(channels).state_dict().items()}
    with safe_open(path, framework="np") as file:
        found = {name: file.get_slice(name).get_shape() for name in file.keys()}
    if found != expected or sum(map(math.prod, expected.values())) > MOST_WEIGHTS:
        raise ValueError("other tensors")
    return Autoencoder(channels)
