"""Perceptual losses: how far a stylized image is from the content of a photo and from a style.

`optimize` and `train` minimise the same `PerceptualLoss`. Knows nothing of files, networks that paint or optimisers.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fastnst.loss_network import LossNetwork

EPS = 1e-8  # keeps a relative loss finite where the target is zero


def within(images: Tensor, margin: int) -> Tensor:
    """Images or maps `(B, C, H, W)` without their outermost positions."""
    return images[..., margin : images.shape[-2] - margin, margin : images.shape[-1] - margin]


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
        maps = _wide(features.flatten(2))  # (B, C, H*W)
        gram: Tensor = _Gram.apply(maps)
        return gram


def guided_gram_matrix(features: Tensor, guide: Tensor) -> Tensor:
    """Gram matrix of one region: features weighted by a guidance channel.

    Gatys et al. (2017), eq. 4 and 5: the guide T multiplies every feature map, normalised so that the squares of T
    have the mean one. Differs from Gatys et al. (2017): the guide is averaged down to the layer's size rather than
    propagated by receptive fields, so a soft edge stays soft.

    Args:
        features: `(B, C, H', W')`.
        guide: `(1, 1, H, W)` in [0, 1], of the image's size, not all zero.

    Returns:
        `(B, C, C)`, on the scale of `gram_matrix`: a guide of ones changes nothing.
    """
    guide = F.adaptive_avg_pool2d(guide, (features.shape[-2], features.shape[-1]))
    return gram_matrix(features * guide / guide.square().mean().sqrt())


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
    return _wide(first - second).square().flatten(1).sum(1)


def _wide(values: Tensor) -> Tensor:
    """At least float32: sums of many squares overflow float16 and lose what is small in bfloat16."""
    return values if values.dtype == torch.float64 else values.float()


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


def total_variation(images: Tensor, form: str = "l2") -> Tensor:
    """How much neighbouring pixels differ, of each image.

    With dx and dy the differences to the neighbours on the right and below, summed over pixels and channels:
    `l2`: dx^2 + dy^2 (Mahendran & Vedaldi, 2015, beta = 2); `l1`: |dx| + |dy|; `keras`: (dx^2 + dy^2)^1.25, as in
    Keras's example of neural style transfer, which leaves out the last row and column.

    Args:
        images: `(B, C, H, W)`, any range.
        form: A key of `VARIATION_POWERS`.

    Returns:
        `(B,)`; in `l1` and `l2` a checkerboard of zeros and ones has one for each pair of neighbours.

    Example:
        >>> total_variation(torch.tensor([[[[0.0, 1.0], [1.0, 0.0]]]]))
        tensor([4.])
    """
    down = _wide(images[..., 1:, :] - images[..., :-1, :])
    across = _wide(images[..., :, 1:] - images[..., :, :-1])
    if form == "keras":
        slopes = down[..., :, :-1].square() + across[..., :-1, :].square()
        return slopes.pow(1.25).flatten(1).sum(1)
    if form == "l1":
        return down.abs().flatten(1).sum(1) + across.abs().flatten(1).sum(1)
    return down.square().flatten(1).sum(1) + across.square().flatten(1).sum(1)


VARIATION_POWERS = {"l2": 2.0, "l1": 1.0, "keras": 2.5}  # of the pixels' unit: how a weight changes with it


class Sizes(NamedTuple):
    """What a paper's style loss may divide by."""

    channels: int  # of the layer: N in Gatys et al., C in Johnson et al.
    positions: int  # height times width of the layer's maps: M, or H W
    pixels: int  # height times width of the image


class Normalization(NamedTuple):
    """One publication's way to put numbers on the three distances; each function gives `(B,)`."""

    content: Callable[[Tensor, Tensor], Tensor]
    style: Callable[[Tensor, Tensor, Sizes], Tensor]  # of Gram matrices as `gram_matrix` gives them
    pixel_range: float = 255.0  # full scale of the pixels in its total variation; here images are in [0, 1]
    variation_per_pixel: bool = False  # divided by H W, so that a weight fits every size
    mean_over_layers: bool = False  # layers share the weight; otherwise they are summed


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


NORMALIZATIONS: dict[str, Normalization] = {
    "relative": Normalization(
        content_loss,
        lambda gram, target, _: style_loss(gram, target),
        1.0,
        variation_per_pixel=True,
        mean_over_layers=True,
    ),
    "gatys": Normalization(_half_squares, _gatys_style),
    "johnson": Normalization(_mean_squares, lambda gram, target, _: squared_distance(gram, target)),
    "keras": Normalization(squared_distance, _keras_style, mean_over_layers=True),
    "pytorch": Normalization(_mean_squares, _pytorch_style),
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
    """Weighted sum of content, style and total variation losses; keeps the styles' Gram matrices.

    Args:
        loss_network: Frozen features; must know all layers below.
        style_images: One `(1, 3, H, W)` for each style, sRGB in [0, 1], sizes may differ.
        content_layers: Layers of the content loss, equally weighted, or a weight for each. Without any, the content
            loss is zero and nothing is computed for it.
        style_layers: Layers of the style loss, likewise.
        normalization: A name in `NORMALIZATIONS`. `relative` and `keras` average over layers by weight; the others
            sum, as the papers do.
        content_weight, style_weight, variation_weight: Factors of the three parts in `Losses.total`.
        variation: Form of the total variation, a key of `VARIATION_POWERS`.
        pixel_range: Full scale of the pixels that `variation_weight` was chosen for; the normalization's own where
            left out.
        regions: `(num_styles, 1, H, W)` in [0, 1], where in an image each style counts; everywhere where left out.

    Raises:
        ValueError: Unknown normalization, no layer at all, style layers without a style image, a negative weight, or
            a region without a pixel.
    """

    regions: Tensor | None

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
        variation: str = "l2",
        pixel_range: float | None = None,
        regions: Tensor | None = None,
    ) -> None:
        super().__init__()
        if normalization not in NORMALIZATIONS:
            raise ValueError(f"normalization must be one of {', '.join(NORMALIZATIONS)}, got {normalization!r}")
        if not content_layers and not style_layers:
            raise ValueError("a perceptual loss needs at least one layer, got none")
        if style_layers and not style_images:
            raise ValueError("a perceptual loss needs at least one style image, got none")
        if min(content_weight, style_weight, variation_weight) < 0:
            raise ValueError(
                "weights must not be negative, got "
                f"content {content_weight}, style {style_weight}, total variation {variation_weight}"
            )
        if regions is not None and len(regions) != len(style_images):
            raise ValueError(f"expected a region for each of {len(style_images)} styles, got {len(regions)}")
        self.loss_network = loss_network
        self.normalization = NORMALIZATIONS[normalization]
        self.content_layers = self._weights(content_layers)
        self.style_layers = self._weights(style_layers)
        self.content_weight, self.style_weight = content_weight, style_weight
        self.variation = variation
        scale = self.normalization.pixel_range if pixel_range is None else pixel_range
        self.variation_weight, self.variation_scale = variation_weight, scale ** VARIATION_POWERS[variation]
        for layer, target in self._style_targets(style_images).items():
            self.register_buffer(f"gram_{layer}", target, persistent=False)  # (num_styles, C, C)
        self.register_buffer("regions", regions, persistent=False)
        if regions is not None and not regions.flatten(1).sum(1).all():
            raise ValueError("every region needs at least one pixel, got an empty one")

    def _weights(self, layers: Sequence[str] | Mapping[str, float]) -> dict[str, float]:
        weights = dict(layers) if isinstance(layers, Mapping) else dict.fromkeys(layers, 1.0)
        if weights and (min(weights.values()) < 0 or not sum(weights.values())):
            raise ValueError(f"layers need weights that are not negative and not all zero, got {weights}")
        scale = sum(weights.values()) if self.normalization.mean_over_layers else 1.0
        return {layer: weight / scale for layer, weight in weights.items()}

    @torch.no_grad()
    def _style_targets(self, style_images: Sequence[Tensor]) -> dict[str, Tensor]:
        features = [self.loss_network(image, self.style_layers) for image in style_images if self.style_layers]
        return {layer: torch.cat([gram_matrix(maps[layer]) for maps in features]) for layer in self.style_layers}

    @torch.no_grad()
    def content_targets(self, photos: Tensor) -> dict[str, Tensor]:
        """Features `(B, C, H', W')` of photos `(B, 3, H, W)` at the content layers; nothing deeper is run."""
        return dict(self.loss_network(photos, self.content_layers)) if self.content_layers else {}

    def forward(
        self,
        stylized: Tensor,
        content_targets: Mapping[str, Tensor],
        styles: Tensor | None = None,
        *,
        inset: int = 0,
    ) -> Losses:
        """Losses of stylized images.

        Args:
            stylized: `(B, 3, H, W)`, sRGB in [0, 1].
            content_targets: What `content_targets` gave for the photos.
            styles: How much of each style every image should have, `(B or 1, num_styles)`, rows that sum to one:
                their Gram matrices are blended. In equal parts where left out. With `regions` it does not count.
            inset: Pixels on each side whose features do not count: with as many as the loss network sees to a side,
                53 for VGG19's relu4_3, no feature that counts knows of the border. Fewer than half of H and W.

        Raises:
            ValueError: An inset, where styles have regions.
        """
        if inset and self.regions is not None:
            raise ValueError("regions are of the whole image: no inset")
        features = self.loss_network(stylized, {**self.content_layers, **self.style_layers})
        if inset:
            features, content_targets = (
                {name: within(each, -(-inset * each.shape[-1] // stylized.shape[-1])) for name, each in maps.items()}
                for maps in (features, content_targets)
            )
            stylized = within(stylized, inset)
        nothing = stylized.new_zeros(len(stylized), dtype=torch.float32)
        content = nothing + sum(
            weight * self.normalization.content(features[name], content_targets[name])
            for name, weight in self.content_layers.items()
        )
        style = nothing + sum(
            weight * self._style_loss(features[name], self.get_buffer(f"gram_{name}"), stylized, styles)
            for name, weight in self.style_layers.items()
        )
        variation = total_variation(stylized, self.variation) * self.variation_scale
        if self.normalization.variation_per_pixel:
            variation = variation / stylized[0, 0].numel()
        total = self.content_weight * content + self.style_weight * style + self.variation_weight * variation
        return Losses(total, content, style, variation)

    def _style_loss(self, features: Tensor, grams: Tensor, images: Tensor, styles: Tensor | None) -> Tensor:
        """Loss of one layer, `(B,)`; `grams` are `(num_styles, C, C)`."""
        sizes = Sizes(features.shape[1], features[0, 0].numel(), images[0, 0].numel())
        if self.regions is not None:
            shares = self.regions.flatten(1).mean(1)  # by area, so that strokes are as strong in a small region
            parts = [
                share * self.normalization.style(guided_gram_matrix(features, region), gram, sizes)
                for share, region, gram in zip(shares, self.regions[:, None], grams[:, None], strict=True)
            ]
            return torch.stack(parts).sum(0)
        if styles is None:
            target = grams.mean(0, keepdim=True)
        else:
            target = (styles.to(grams)[..., None, None] * grams).sum(1)  # no product of matrices: float32 in autocast
        return self.normalization.style(gram_matrix(features), target, sizes)
