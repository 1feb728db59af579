"""Styles, predictors and universal networks of strangers: none takes memory that its weights do not fill."""

import resource
from pathlib import Path
from typing import Any

import pytest
import torch
from style_files import LOADERS, kinds_of_files, sparse, written

from fastnst.networks.catalog import StyleFileError
from fastnst.networks.network import TransformationNetwork
from fastnst.universal.autoencoder import Autoencoder

OF_A_TRANSFORMATION: list[dict[str, Any]] = [
    {"num_blocks": 10**9},
    {"num_styles": 10**9},
    {"half": 10**9},
    {"quarter": 2**62},
    {"eighth": 10**6},
    {"num_blocks": 1.0},
    {"half": "4"},
    {"half": [4]},
    {"half": -4},
    {"unknown": 3},
]
OF_AN_AUTOENCODER: list[dict[str, Any]] = [
    *({"channels": [4] * place + [size] + [4] * (4 - place)} for place in (0, 2, 4) for size in (10**9, 2**62, 5)),
    {"channels": [10**9] * 5},
    {"channels": [2**40] * 5},
]
CHANGES = [
    *(("style", change) for change in OF_A_TRANSFORMATION),
    *(("predictor", change) for change in OF_A_TRANSFORMATION),
    *(("universal", change) for change in OF_AN_AUTOENCODER),
]
KINDS = sorted(LOADERS)


def most_kilobytes() -> int:
    """Memory that the process has had at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_others_are_made_from_is_loaded(kind, tmp_path) -> None:
    about, part = kinds_of_files()[kind]
    assert LOADERS[kind](written(tmp_path / "honest.safetensors", about, part.state_dict()))


@pytest.mark.parametrize(("kind", "change"), CHANGES, ids=str)
def test_a_header_that_asks_for_another_network_allocates_nothing(kind, change, tmp_path) -> None:
    about, part = kinds_of_files()[kind]
    header = {**about, "network": {**about["network"], **change}}
    path = written(tmp_path / "odd.safetensors", header, part.state_dict())
    before = most_kilobytes()
    with pytest.raises(StyleFileError, match="the weights do not fit the description in the file"):
        LOADERS[kind](path)
    assert most_kilobytes() - before < 50_000


@pytest.mark.parametrize("channels", [[4.0] * 5, ["4"] * 5, [-4] * 5, [0] * 5, [4] * 4, [], 4, None], ids=str)
def test_channels_that_are_no_five_numbers_are_refused(channels, tmp_path) -> None:
    about, part = kinds_of_files()["universal"]
    header = {**about, "network": {"encoder": "slim", "channels": channels}}
    with pytest.raises(StyleFileError, match="a description that cannot be read"):
        LOADERS["universal"](written(tmp_path / "odd.safetensors", header, part.state_dict()))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 6e4])
@pytest.mark.parametrize("kind", KINDS)
def test_weights_that_are_no_numbers_or_absurd_are_refused(kind, value, tmp_path) -> None:
    about, part = kinds_of_files()[kind]
    state = part.state_dict()
    for name in (min(state), max(state)):  # of a predictor's file: of the network, and of the predictor
        weights = {**state, name: state[name].clone()}
        weights[name].view(-1)[-1] = value
        with pytest.raises(StyleFileError, match="the weights do not fit the description in the file"):
            LOADERS[kind](written(tmp_path / "odd.safetensors", about, weights))


@pytest.mark.parametrize("change", ["missing", "more", "float64", "shape"])
@pytest.mark.parametrize("kind", KINDS)
def test_other_tensors_are_refused(kind, change, tmp_path) -> None:
    about, part = kinds_of_files()[kind]
    for name in (min(part.state_dict()), max(part.state_dict())):
        weights = part.state_dict()
        value = weights.pop(name)
        if change != "missing":
            weights[name] = {"more": value, "float64": value.double(), "shape": value[None].contiguous()}[change]
        if change == "more":
            weights[f"{name}.more"] = value.clone()
        with pytest.raises(StyleFileError, match="the weights do not fit the description in the file"):
            LOADERS[kind](written(tmp_path / "odd.safetensors", about, weights))


@pytest.mark.parametrize("kind", KINDS)
def test_a_sparse_file_of_gigabytes_that_agrees_is_refused_before_it_is_read(kind, tmp_path) -> None:
    about, part = kinds_of_files()[kind]
    channels = 10**4
    network: dict[str, Any] = {"half": channels, "quarter": channels, "num_blocks": 0, "num_styles": 1}
    if kind == "universal":
        network = {"channels": [channels] * 5, "encoder": "slim"}
    with torch.device("meta"):
        other = Autoencoder(network["channels"]) if kind == "universal" else TransformationNetwork(**network)
    shapes = {name: tuple(each.shape) for name, each in other.state_dict().items()}
    if kind == "predictor":
        of_predictor = {name: each for name, each in part.state_dict().items() if name.startswith("predictor.")}
        shapes = {f"network.{name}": shape for name, shape in shapes.items()}
        shapes |= {name: tuple(each.shape) for name, each in of_predictor.items()}
    path = sparse(tmp_path / "sparse.safetensors", {**about, "network": network}, shapes)
    assert path.stat().st_size > 1.5e9
    refuses_at_once(kind, path)


@pytest.mark.parametrize("kind", KINDS)
def test_one_endless_tensor_is_refused_before_it_is_read(kind, tmp_path) -> None:
    about, part = kinds_of_files()[kind]
    shapes = {name: tuple(each.shape) for name, each in part.state_dict().items()}
    shapes[max(shapes)] = (10**10,)
    refuses_at_once(kind, sparse(tmp_path / "sparse.safetensors", about, shapes))


def refuses_at_once(kind: str, path: Path) -> None:
    """A line, and little memory."""
    before = most_kilobytes()
    with pytest.raises(StyleFileError, match="the weights do not fit the description in the file"):
        LOADERS[kind](path)
    assert most_kilobytes() - before < 50_000
