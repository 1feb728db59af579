"""Perceptual losses: how far a stylized image is from the content of a photo and from a style.

`optimize` and `train` minimise the same `PerceptualLoss`. Knows nothing of files, networks that paint or optimisers.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from fastnst.loss_network import LossNetwork

EPS = 1e-8  # keeps a relative loss finite where the target is zero


def gram_matrix(features: Tensor) -> Tensor:
    """Correlations between channels, divided by the number of values.

    Johnson et al. (2016), eq. 3: G[c, d] = sum over h, w of f[c, h, w] f[d, h, w] / (C H W).
    Gatys et al. (2016), eq. 3, leave it undivided. Computed in float32, also under autocast: the sums overflow
    float16 and lose the small correlations in bfloat16.

    Args:
        features: Feature maps `(B, C, H, W)`, any range.

    Returns:
        Symmetric matrices `(B, C, C)`, float32 or wider.

    Example:
        >>> gram_matrix(torch.ones(1, 2, 4, 4))
        tensor([[[0.5000, 0.5000],
                 [0.5000, 0.5000]]])
    """
    with torch.autocast(features.device.type, enabled=False):
        maps = features.flatten(2)  # (B, C, H*W)
        maps = maps if maps.dtype == torch.float64 else maps.float()
        gram: Tensor = _Gram.apply(maps)
        return gram


class _Gram(torch.autograd.Function):
    """maps @ maps.mT / (C P), with one product in its backward pass where autograd would take two and add them."""

    @staticmethod
    def forward(ctx: Any, maps: Tensor) -> Tensor:
        ctx.save_for_backward(maps)
        return maps @ maps.mT / maps[0].numel()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        maps: Tensor = ctx.saved_tensors[0]
        gradient = gradients[0]
        symmetric = (gradient + gradient.mT) / maps[0].numel()  # (B, C, C)
        # In the memory layout of the maps: the gradient is added to the one that comes from the deeper layers.
        return (maps.mT @ symmetric).mT if maps.mT.is_contiguous() else symmetric @ maps


def squared_distance(first: Tensor, second: Tensor) -> Tensor:
    """Sum of squared differences of each item of a batch: `(B, ...)` and `(B or 1, ...)` to `(B,)`, in float32."""
    difference = (first - second).flatten(1)
    difference = difference if difference.dtype == torch.float64 else difference.float()
    return difference.square().sum(1)


def content_loss(features: Tensor, target: Tensor) -> Tensor:
    """Relative content loss of each image: ||F(y) - F(x)||^2 / (||F(x)||^2 + eps).

    Differs from Johnson et al. (2016), eq. 2, which divides by C H W: a weight then means another thing for every
    layer and photo.

    Args:
        features: `(B, C, H, W)` of the stylized images.
        target: `(B or 1, C, H, W)` of the photos.

    Returns:
        `(B,)`, 0 for equal features, about 1 for unrelated ones of smaller norm.
    """
    return squared_distance(features, target) / (squared_distance(target, torch.zeros_like(target)) + EPS)


def style_loss(gram: Tensor, target: Tensor) -> Tensor:
    """Relative style loss of each image at one layer: ||G(y) - G(s)||^2 / (||G(s)||^2 + eps).

    Differs from Johnson et al. (2016), eq. 4, which leaves it undivided, so that its size spans decades between
    styles and layers.

    Args:
        gram: `(B, C, C)` of the stylized images.
        target: `(B or 1, C, C)` of the style images.

    Returns:
        `(B,)`, 0 for the style itself, 1 for an image without any texture.
    """
    return squared_distance(gram, target) / (squared_distance(target, torch.zeros_like(target)) + EPS)


def total_variation(images: Tensor) -> Tensor:
    """Sum of squared differences between neighbouring pixels, of each image (Mahendran & Vedaldi, 2015, beta = 2).

    Args:
        images: `(B, C, H, W)`, any range.

    Returns:
        `(B,)`; a checkerboard of zeros and ones has one for each pair of neighbours.

    Example:
        >>> total_variation(torch.tensor([[[[0.0, 1.0], [1.0, 0.0]]]]))
        tensor([4.])
    """
    return squared_distance(images[..., 1:, :], images[..., :-1, :]) + squared_distance(
        images[..., :, 1:], images[..., :, :-1]
    )


class Normalization(NamedTuple):
    """One paper's way to put numbers on the three distances; each function gives `(B,)`."""

    content: Callable[[Tensor, Tensor], Tensor]
    style: Callable[[Tensor, Tensor], Tensor]  # of Gram matrices as `gram_matrix` gives them
    variation: Callable[[Tensor], Tensor]
    mean_over_layers: bool


def _gatys_content(features: Tensor, target: Tensor) -> Tensor:
    """Gatys et al. (2016), eq. 1: half the sum of squares."""
    return squared_distance(features, target) / 2


def _gatys_style(gram: Tensor, target: Tensor) -> Tensor:
    """Gatys et al. (2016), eq. 4: 1 / (4 N^2 M^2) of undivided matrices is 1/4 of those divided by N M."""
    # Differs from Gatys et al. (2016): each matrix is divided by its own M, so the two sizes may differ.
    return squared_distance(gram, target) / 4


def _johnson_content(features: Tensor, target: Tensor) -> Tensor:
    """Johnson et al. (2016), eq. 2: the mean of squares."""
    return squared_distance(features, target) / features[0].numel()


def _byte_variation(images: Tensor) -> Tensor:
    """Sum of squares as the papers have it, for pixels from 0 to 255."""
    return total_variation(images) * PAPER_PIXEL_RANGE**2


def _variation_per_pixel(images: Tensor) -> Tensor:
    """Total variation divided by H W, so that a weight fits every size."""
    return total_variation(images) / (images.shape[-2] * images.shape[-1])


PAPER_PIXEL_RANGE = 255.0  # the unit of the papers' weights for total variation; images here are in [0, 1]

NORMALIZATIONS: dict[str, Normalization] = {
    "relative": Normalization(content_loss, style_loss, _variation_per_pixel, mean_over_layers=True),
    "gatys": Normalization(_gatys_content, _gatys_style, _byte_variation, mean_over_layers=False),
    "johnson": Normalization(_johnson_content, squared_distance, _byte_variation, mean_over_layers=False),
}


class Losses(NamedTuple):
    """Losses of each image `(B,)`; the parts are without their weights, `total` has them."""

    total: Tensor
    content: Tensor
    style: Tensor
    variation: Tensor

    def mean(self) -> "Losses":
        """Average over the batch; scalars."""
        return Losses(*(values.mean() for values in self))


class PerceptualLoss(nn.Module):
    """Weighted sum of content, style and total variation losses; keeps the style's Gram matrices.

    Args:
        loss_network: Frozen features; must know all layers below.
        style_images: One `(1, 3, H, W)` for each style, sRGB in [0, 1], sizes may differ.
        content_layers: Layers of the content loss, equally weighted, or a weight for each.
        style_layers: Layers of the style loss, likewise.
        normalization: A name in `NORMALIZATIONS`. `relative` averages over layers by weight; `gatys` and
            `johnson` sum, as the papers do.
        content_weight, style_weight, variation_weight: Factors of the three parts in `Losses.total`.

    Raises:
        ValueError: Unknown normalization, no style image, or a negative weight.
    """

    def __init__(
        self,
        loss_network: LossNetwork,
        style_images: Sequence[Tensor],
        *,
        content_layers: Sequence[str] | Mapping[str, float] = ("relu3_3",),
        style_layers: Sequence[str] | Mapping[str, float] = ("relu1_2", "relu2_2", "relu3_3", "relu4_3"),
        normalization: str = "relative",
        content_weight: float = 1.0,
        style_weight: float = 8.0,
        variation_weight: float = 0.0,
    ) -> None:
        super().__init__()
        if normalization not in NORMALIZATIONS:
            raise ValueError(f"normalization must be one of {', '.join(NORMALIZATIONS)}, got {normalization!r}")
        if not style_images:
            raise ValueError("a perceptual loss needs at least one style image, got none")
        if min(content_weight, style_weight, variation_weight) < 0:
            raise ValueError(
                "weights must not be negative, got "
                f"content {content_weight}, style {style_weight}, total variation {variation_weight}"
            )
        self.loss_network = loss_network
        self.normalization = NORMALIZATIONS[normalization]
        self.content_layers = self._weights(content_layers)
        self.style_layers = self._weights(style_layers)
        self.content_weight, self.style_weight = content_weight, style_weight
        self.variation_weight = variation_weight
        for layer, target in self._style_targets(style_images).items():
            self.register_buffer(f"gram_{layer}", target, persistent=False)  # (num_styles, C, C)

    def _weights(self, layers: Sequence[str] | Mapping[str, float]) -> dict[str, float]:
        weights = dict(layers) if isinstance(layers, Mapping) else dict.fromkeys(layers, 1.0)
        if not weights or min(weights.values()) < 0 or not sum(weights.values()):
            raise ValueError(f"layers need weights that are not negative and not all zero, got {weights}")
        scale = sum(weights.values()) if self.normalization.mean_over_layers else 1.0
        return {layer: weight / scale for layer, weight in weights.items()}

    @torch.no_grad()
    def _style_targets(self, style_images: Sequence[Tensor]) -> dict[str, Tensor]:
        features = [self.loss_network(image, self.style_layers) for image in style_images]
        return {layer: torch.cat([gram_matrix(maps[layer]) for maps in features]) for layer in self.style_layers}

    @torch.no_grad()
    def content_targets(self, photos: Tensor) -> dict[str, Tensor]:
        """Features `(B, C, H', W')` of photos `(B, 3, H, W)` at the content layers; nothing deeper is run."""
        targets: dict[str, Tensor] = self.loss_network(photos, self.content_layers)
        return targets

    def forward(self, stylized: Tensor, content_targets: Mapping[str, Tensor], styles: Tensor | None = None) -> Losses:
        """Losses of stylized images.

        Args:
            stylized: `(B, 3, H, W)`, sRGB in [0, 1].
            content_targets: What `content_targets` gave for the photos.
            styles: Index of each image's style `(B,)`, int64; the first style where left out.
        """
        features = self.loss_network(stylized, {**self.content_layers, **self.style_layers})
        measure = self.normalization
        content = torch.stack(
            [w * measure.content(features[name], content_targets[name]) for name, w in self.content_layers.items()]
        ).sum(0)
        rows = slice(0, 1) if styles is None else styles
        style = torch.stack(
            [
                w * measure.style(gram_matrix(features[name]), self.get_buffer(f"gram_{name}")[rows])
                for name, w in self.style_layers.items()
            ]
        ).sum(0)
        variation = measure.variation(stylized)
        total = self.content_weight * content + self.style_weight * style + self.variation_weight * variation
        return Losses(total, content, style, variation)
