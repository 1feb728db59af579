"""Builders of loss network and perceptual loss from the settings of a training.

Knows nothing of runs, transformation networks or style files.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from fastnst.base.errors import UserError
from fastnst.images import srgb
from fastnst.images.levels import to_levels
from fastnst.images.picture import Picture
from fastnst.images.read import image_size, load_on_white
from fastnst.perception.loss_network import LossNetwork
from fastnst.perception.perceptual_loss import PerceptualLoss
from fastnst.perception.settings import DEFAULT_STYLE_WEIGHT, ObjectiveSettings

# The settings on which the loss depends, apart from the style images.
OBJECTIVE = (
    *("content_layers", "content_weight", "style_layers", "style_weight", "style_size", "tv_weight"),
    *("normalization", "loss_network", "pooling", "padding", "crop_size"),
)
SHORT_SIDE = 512  # pixels, of a style image
LONGEST = 8192  # pixels, of a scroll, if no size is asked for: a strip of 512 x 500,000 takes all memory
EARLIER_SIDE, EARLIER_NARROWEST = 384, 192  # in trainings whose files have no size


def style_side(path: Path, size: int | Literal["auto"] | None) -> int:
    """The long side in pixels to which a style image is resized; only the header of the file is read.

    Args:
        path: File of the style image.
        size: The long side asked for; or `auto`, for a short side of 512 px: a style is learnt from an area, of which
            a scroll has little. None stands in files of before: 384, or a short side of 192 if that is more.
    """
    short, long = sorted(image_size(path))
    if size == "auto":
        return min(long, round(SHORT_SIDE * long / short), LONGEST)
    return min(long, size or min(max(EARLIER_SIDE, round(EARLIER_NARROWEST * long / short)), LONGEST))


def load_style_image(path: Path, size: int | Literal["auto"] | None = "auto") -> Tensor:
    """A style image `(1, 3, H, W)` in [0, 1], on white where it is transparent; never enlarged; see `style_side`."""
    return load_on_white(path, size=style_side(path, size))


def shrunk(image: Tensor, scale: float) -> Tensor:
    """A style image `(1, 3, H, W)` scaled down for smaller crops, with the filter that resized the file (Lanczos)."""
    picture = Picture.of(to_levels(image, torch.uint16))
    return replace(picture, image=srgb.shrunk(picture.image, scale)).pixels


def load_loss_network(settings: ObjectiveSettings, weights: Path | None = None) -> LossNetwork:
    """The loss network with the layers of the settings.

    Args:
        settings: Settings of a training.
        weights: File of weights, in place of the one in the settings.
    """
    return LossNetwork(
        layer_weights(settings.content_layers) | layer_weights(settings.style_layers),
        name=settings.loss_network,
        weights=weights or settings.loss_weights or "default",
        pooling=settings.pooling,
        padding=settings.padding,
    ).to(memory_format=torch.channels_last)


def perceptual_loss(
    settings: ObjectiveSettings, loss_network: LossNetwork, style_images: Sequence[Tensor]
) -> PerceptualLoss:
    """The loss for style images `(1, 3, H, W)`, which are not resized."""
    return PerceptualLoss(
        loss_network,
        style_images,
        content_layers=layer_weights(settings.content_layers),
        style_layers=layer_weights(settings.style_layers),
        normalization=settings.normalization,
        content_weight=settings.content_weight,
        # `auto` starts there and changes during the run.
        style_weight=DEFAULT_STYLE_WEIGHT if settings.style_weight == "auto" else settings.style_weight,
        variation_weight=settings.tv_weight,
    )


def layer_weights(words: Sequence[str]) -> dict[str, float]:
    """Layers and their weights, from `name` or `name:weight`.

    Raises:
        UserError: A weight that is not a number, or a layer given twice.

    Example:
        >>> layer_weights(["conv1_1:0.5", "conv2_1"])
        {'conv1_1': 0.5, 'conv2_1': 1.0}
    """
    weights: dict[str, float] = {}
    for word in words:
        name, colon, number = word.partition(":")
        try:
            weight = float(number) if colon else 1.0
        except ValueError:
            weight = -1.0
        if not 0 < weight < float("inf") or name in weights:
            raise UserError(f"layers are named once each, as name or name:weight with a positive weight, got {word!r}")
        weights[name] = weight
    return weights
