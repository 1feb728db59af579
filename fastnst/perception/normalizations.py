"""Normalizations of content and style loss, one for each publication."""

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor

from fastnst.perception.losses import (
    content_loss,
    gram_matrix,
    guided_gram_matrix,
    moment_matrix,
    moments_loss,
    squared_distance,
    style_loss,
)


class Sizes(NamedTuple):
    """Sizes by which a paper's style loss may divide."""

    channels: int  # of the layer: N in Gatys et al., C in Johnson et al.
    positions: int  # height times width of the layer's maps: M, or H W
    pixels: int  # height times width of the image


class Normalization(NamedTuple):
    """One publication's scale of content loss, style loss and total variation; each function returns `(B,)`."""

    content: Callable[[Tensor, Tensor], Tensor]
    style: Callable[[Tensor, Tensor, Sizes], Tensor]  # of `statistics` of the stylized and the style image
    pixel_range: float = 255.0  # full scale of the pixels in its total variation; here images are in [0, 1]
    variation_per_pixel: bool = False  # divided by H W, so that a weight suits every image size
    mean_over_layers: bool = False  # mean over layers by weight; otherwise their weighted sum
    statistics: Callable[[Tensor], Tensor] = gram_matrix  # of features, (B, C, ...); of several styles they are blended
    guided: Callable[[Tensor, Tensor], Tensor] = guided_gram_matrix  # of features in a region


def _half_squares(features: Tensor, target: Tensor) -> Tensor:
    """Gatys et al. (2016), eq. 1: half the sum of squares."""
    return squared_distance(features, target) / 2


def _gatys_style(gram: Tensor, target: Tensor, _: Sizes) -> Tensor:
    """Gatys et al. (2016), eq. 4: 1 / (4 N^2 M^2) of undivided matrices is 1/4 of those divided by N M."""
    # Differs from Gatys et al. (2016): each matrix is divided by its own M, so the two sizes may differ.
    return squared_distance(gram, target) / 4


def _mean_squares(features: Tensor, target: Tensor) -> Tensor:
    """Johnson et al. (2016), eq. 2: the mean of squares."""
    return squared_distance(features, target) / features[0].numel()


def _keras_style(gram: Tensor, target: Tensor, sizes: Sizes) -> Tensor:
    """Keras's example of neural style transfer: undivided matrices, over 4 * 3^2 * (H W)^2 of the image."""
    undivided = squared_distance(gram, target) * (sizes.channels * sizes.positions) ** 2
    return undivided / (4 * 3**2 * sizes.pixels**2)


def _pytorch_style(gram: Tensor, target: Tensor, sizes: Sizes) -> Tensor:
    """Udacity's PyTorch exercise: mean of squares of undivided matrices, over d h w of the layer."""
    return squared_distance(gram, target) * sizes.positions / sizes.channels


_RELATIVE = Normalization(
    content_loss,
    lambda gram, target, _: style_loss(gram, target),
    1.0,
    variation_per_pixel=True,
    mean_over_layers=True,
)
NORMALIZATIONS: dict[str, Normalization] = {
    "relative": _RELATIVE,
    "moments": _RELATIVE._replace(
        style=lambda found, target, _: moments_loss(found, target), statistics=moment_matrix, guided=moment_matrix
    ),
    "gatys": Normalization(_half_squares, _gatys_style),
    "johnson": Normalization(_mean_squares, lambda gram, target, _: squared_distance(gram, target)),
    "keras": Normalization(squared_distance, _keras_style, mean_over_layers=True),
    "pytorch": Normalization(_mean_squares, _pytorch_style),
}
