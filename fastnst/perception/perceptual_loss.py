"""`PerceptualLoss`: the loss that `optimize` and `train` minimise. Knows nothing of files or optimisers."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from fastnst.networks.network import within
from fastnst.perception.loss_network import LossNetwork
from fastnst.perception.losses import VARIATION_POWERS, total_variation
from fastnst.perception.normalizations import NORMALIZATIONS, Sizes
from fastnst.perception.settings import CONTENT_LAYERS, DEFAULT_STYLE_WEIGHT, STYLE_LAYERS


class Losses(NamedTuple):
    """Losses of each image `(B,)`; `total` is weighted, its parts are not."""

    total: Tensor
    content: Tensor
    style: Tensor
    variation: Tensor

    def mean(self) -> "Losses":
        """Average over the batch; scalars."""
        return Losses(*(values.mean() for values in self))


class PerceptualLoss(nn.Module):
    """Weighted sum of content, style and total variation losses; keeps the styles' statistics.

    Args:
        loss_network: Frozen features; must know all layers below.
        style_images: One `(1, 3, H, W)` for each style, sRGB in [0, 1], sizes may differ.
        content_layers: Layers of the content loss, equally weighted, or a weight for each. Without layers, the content
            loss is zero and not computed.
        style_layers: Layers of the style loss, likewise.
        normalization: A name in `NORMALIZATIONS`. `relative`, `moments` and `keras` average over layers by weight; the
            others sum, as the papers do.
        content_weight, style_weight, variation_weight: Factors of the three parts in `Losses.total`.
        variation: Form of the total variation, a key of `VARIATION_POWERS`.
        pixel_range: Full scale of the pixels for which `variation_weight` was chosen; by default that of the
            normalization.
        regions: `(num_styles, 1, H, W)` in [0, 1], the part of the image for each style; by default all of it.

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
        content_layers: Sequence[str] | Mapping[str, float] = CONTENT_LAYERS,
        style_layers: Sequence[str] | Mapping[str, float] = STYLE_LAYERS,
        normalization: str = "relative",
        content_weight: float = 1.0,
        style_weight: float = DEFAULT_STYLE_WEIGHT,
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
        for layer, target in self.style_targets(style_images).items():
            self.register_buffer(f"style_{layer}", target, persistent=False)  # (num_styles, C, ...)
        self.register_buffer("regions", regions, persistent=False)
        if regions is not None and not regions.flatten(1).sum(1).all():
            raise ValueError("every region needs at least one pixel, got an empty one")

    def _weights(self, layers: Sequence[str] | Mapping[str, float]) -> dict[str, float]:
        weights = dict(layers) if isinstance(layers, Mapping) else dict.fromkeys(layers, 1.0)
        if weights and (min(weights.values()) < 0 or not sum(weights.values())):
            raise ValueError(f"layers need weights that are not negative and not all zero, got {weights}")
        scale = sum(weights.values()) if self.normalization.mean_over_layers else 1.0
        return {layer: weight / scale for layer, weight in weights.items()}

    @property
    def styles(self) -> dict[str, Tensor]:
        """Statistics `(num_styles, C, ...)` of the styles at the style layers."""
        return {layer: self.get_buffer(f"style_{layer}") for layer in self.style_layers}

    @torch.no_grad()
    def style_targets(self, style_images: Sequence[Tensor]) -> dict[str, Tensor]:
        """Statistics `(len(style_images), C, ...)` of style images at the style layers."""
        features = [self.loss_network(image, self.style_layers) for image in style_images if self.style_layers]
        statistics = self.normalization.statistics
        return {layer: torch.cat([statistics(maps[layer]) for maps in features]) for layer in self.style_layers}

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
        style_targets: Mapping[str, Tensor] | None = None,
        mixed: Callable[[str, Tensor, Tensor], Tensor] | None = None,
    ) -> Losses:
        """Losses of stylized images.

        Args:
            stylized: `(B, 3, H, W)`, sRGB in [0, 1].
            content_targets: The result of `content_targets` for the photos.
            styles: Share of each style in each image, `(B or 1, num_styles)`, rows that sum to one: the Gram matrices
                are blended. By default equal shares. Ignored with `regions`.
            inset: Pixels on each side whose features are left out. With the receptive field's reach (53 for VGG19's
                relu4_3) no remaining feature depends on the border. Fewer than half of H and W.
            style_targets: The result of `style_targets` for other style images, in place of those of the loss.
            mixed: Called with a layer, the statistics `(B, C, ...)` found there and `styles`, it returns those that the
                style loss is of. Ignored with `regions`, or without `styles`.

        Raises:
            ValueError: An inset with regions.
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
            weight
            * self._style_loss(
                features[name],
                style_targets[name] if style_targets else self.get_buffer(f"style_{name}"),
                stylized,
                styles,
                functools.partial(mixed, name) if mixed else None,
            )
            for name, weight in self.style_layers.items()
        )
        variation = total_variation(stylized, self.variation) * self.variation_scale
        if self.normalization.variation_per_pixel:
            variation = variation / stylized[0, 0].numel()
        total = self.content_weight * content + self.style_weight * style + self.variation_weight * variation
        return Losses(total, content, style, variation)

    def _style_loss(
        self,
        features: Tensor,
        targets: Tensor,
        images: Tensor,
        styles: Tensor | None,
        mixed: Callable[[Tensor, Tensor], Tensor] | None,
    ) -> Tensor:
        """Loss of one layer, `(B,)`; `targets` are the styles' statistics `(num_styles, C, ...)`."""
        sizes = Sizes(features.shape[1], features[0, 0].numel(), images[0, 0].numel())
        if self.regions is not None:
            shares = self.regions.flatten(1).mean(1)  # by area, so that strokes are as strong in small regions
            parts = [
                share * self.normalization.style(self.normalization.guided(features, region), target, sizes)
                for share, region, target in zip(shares, self.regions[:, None], targets[:, None], strict=True)
            ]
            return torch.stack(parts).sum(0)
        if styles is None:
            target = targets.mean(0, keepdim=True)
        else:
            target = (styles.to(targets)[..., None, None] * targets).sum(1)  # no matrix product: autocast keeps float32
        found = self.normalization.statistics(features)
        if mixed and styles is not None:
            found = mixed(found, styles)
        return self.normalization.style(found, target, sizes)
