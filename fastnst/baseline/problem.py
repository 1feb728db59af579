"""Builders of inputs, losses, start and method from the settings of an optimisation, at every scale.

Numbers meant for pixels from 0 to 255 (`pixel_range`) become numbers for images in [0, 1] here and, for the total
variation, in `PerceptualLoss`. Knows nothing of progress, frames or results.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from fastnst.base.errors import UserError
from fastnst.baseline.minimize import Method, Objective
from fastnst.baseline.settings import OptimizeSettings
from fastnst.images.colors import luminance, match_colors, match_luminance
from fastnst.images.photos import resolve_photo, sample_photos
from fastnst.images.picture import Picture
from fastnst.images.read import load_on_white, read_picture
from fastnst.perception.loss_network import LossNetwork
from fastnst.perception.objective import layer_weights, load_style_image
from fastnst.perception.perceptual_loss import PerceptualLoss

COARSE_ABOVE = 512  # pixels; larger results start at a smaller size
COARSEST = 256  # pixels, shortest long side of the first scale by default
SMALLEST = 16  # pixels, shortest long side that can be asked for
MASK_TOLERANCE = 0.02  # of the ratio of the sides


@dataclass(frozen=True)
class Inputs:
    """Images read from files, at the final size, on the device.

    Args:
        photo: `(1, 3, H, W)`, sRGB in [0, 1].
        styles: Files of the style images, read again for each scale.
        regions: `(num_styles, 1, H, W)` in [0, 1], or None.
        init: An image `(1, 3, H, W)` to start from, or None.
    """

    photo: Tensor
    styles: Sequence[Path]
    regions: Tensor | None
    init: Tensor | None

    @property
    def size(self) -> int:
        """Long side of the photo in pixels."""
        return max(self.photo.shape[-2:])


def read_inputs(picture: Picture, settings: OptimizeSettings, device: torch.device) -> Inputs:
    """Read and check photo, masks and start.

    Raises:
        UserError: A wrong number of masks, a mask of another shape, or an unreadable file.
    """
    photo = picture.visible.to(device)
    if settings.keep_colors == "luminance":
        photo = luminance(photo)
    init = None
    if settings.init not in ("photo", "noise", "normal"):
        init = resized(load_on_white(resolve_photo(settings.init)).to(device), photo.shape)
    styles = [resolve_photo(str(path)) for path in settings.style]
    for path in styles:
        read_picture(path, size=COARSEST)  # an unreadable style image is an error before any work
    return Inputs(photo, styles, _regions(settings.mask, photo, len(styles)), init)


def _regions(masks: Sequence[Path], photo: Tensor, num_styles: int) -> Tensor | None:
    """The region of each style; the last style gets what the masks leave, unless it has a mask too."""
    if not masks:
        return None
    if len(masks) not in (num_styles, num_styles - 1):
        raise UserError(f"{num_styles} styles need a mask each, or one fewer, got {len(masks)}")
    regions = []
    height, width = photo.shape[-2:]
    for path in masks:
        mask = luminance(load_on_white(resolve_photo(str(path))))[:, :1]
        if abs(mask.shape[-1] / mask.shape[-2] / (width / height) - 1) > MASK_TOLERANCE:
            size = f"{mask.shape[-1]}x{mask.shape[-2]}"
            raise UserError(f"{path}: a mask has the shape of the photo, {width}x{height} here, got {size}")
        mask = F.interpolate(mask.to(photo), (height, width), mode="area")
        if not mask.any():
            raise UserError(f"{path}: the mask is black all over, so its style would go nowhere")
        regions.append(mask)
    if len(regions) < num_styles:
        regions.append((1 - torch.cat(regions).sum(0, keepdim=True)).clamp(min=0))
        if not regions[-1].any():
            raise UserError("the masks leave no room for the last style")
    return torch.cat(regions)


def loss_network_of(settings: OptimizeSettings, device: torch.device) -> LossNetwork:
    """The loss network, no deeper than the settings need."""
    layers = (*layer_weights(settings.content_layers), *layer_weights(settings.style_layers))
    network = LossNetwork(
        layers,
        name=settings.loss_network,
        weights=settings.loss_weights or "default",
        pooling=settings.pooling,
        padding=settings.padding,
    )
    if settings.unit_means:
        network.scale_to_unit_means(load_on_white(path, size=COARSEST) for path in sample_photos().values())
    return network.to(device).to(memory_format=torch.channels_last)


def scales(size: int, count: int | None) -> list[int]:
    """Long sides in pixels, each half the next. By default one; for a large result as many as start at 256 or more.

    Raises:
        UserError: More scales than the size allows.

    Example:
        >>> scales(512, None), scales(1500, None), scales(400, 2)
        ([512], [375, 750, 1500], [200, 400])
    """
    if count is None:
        count = 1 if size <= COARSE_ABOVE else 1 + int(math.log2(size / COARSEST))
    if count > 1 and size / 2 ** (count - 1) < SMALLEST:
        most = 1 + max(0, int(math.log2(size / SMALLEST)))
        raise UserError(f"{count} scales of {size} px would begin below {SMALLEST} px: at most {most} fit")
    return [round(size / 2**step) for step in reversed(range(count))]


def method_of(settings: OptimizeSettings) -> Method:
    """Settings of the optimiser for images in [0, 1], converted from the settings' `pixel_range`.

    A gradient with respect to pixels from 0 to 255 is 255 times smaller than one with respect to [0, 1].
    """
    unit = settings.pixel_range or 1.0
    return Method(
        optimizer=settings.optimizer,
        iterations=settings.iterations,
        history=settings.history,
        learning_rate=settings.learning_rate / unit,
        betas=(settings.adam_beta, 0.999),
        epsilon=settings.adam_epsilon * unit,
        rounds=settings.rounds,
        evaluations=settings.evaluations,
        clamp=settings.clamp,
        precondition=settings.precondition,
    )


def perceptual_loss(
    loss_network: LossNetwork, styles: Sequence[Tensor], regions: Tensor | None, settings: OptimizeSettings
) -> PerceptualLoss:
    """The loss of the settings, with the style images `(1, 3, H, W)`.

    Features divided by k (`feature_scale`) make the content loss k^2 times smaller and the style loss k^4 times. The
    weights are divided instead.
    """
    return PerceptualLoss(
        loss_network,
        styles,
        content_layers=layer_weights(settings.content_layers),
        style_layers=layer_weights(settings.style_layers),
        normalization=settings.normalization,
        content_weight=settings.content_weight / settings.feature_scale**2,
        style_weight=settings.style_weight / settings.feature_scale**4,
        variation_weight=settings.tv_weight,
        variation=settings.tv_form,
        pixel_range=settings.pixel_range,
        regions=regions,
    )


def start_image(inputs: Inputs, photo: Tensor, settings: OptimizeSettings) -> Tensor:
    """The initial image `(1, 3, H, W)`, of the size of `photo`; noise is the same on every device."""
    generator = torch.Generator().manual_seed(settings.seed)
    first, second = (bound / (settings.pixel_range or 1.0) for bound in settings.noise)
    if settings.init == "noise":
        return (first + (second - first) * torch.rand(photo.shape, generator=generator)).to(photo)
    if settings.init == "normal":
        return (first + second * torch.randn(photo.shape, generator=generator)).to(photo)
    return photo.clone() if inputs.init is None else resized(inputs.init, photo.shape)


def style_images(inputs: Inputs, photo: Tensor, settings: OptimizeSettings) -> list[Tensor]:
    """The style images `(1, 3, H, W)` for a photo at some scale, scaled down like it."""
    share = max(photo.shape[-2:]) / inputs.size
    images = []
    for path in inputs.styles:
        if isinstance(settings.style_size, int) or settings.style_size == "auto":
            image = load_style_image(path, settings.style_size).to(photo)
            image = resized(image, shape_of(image, round(max(image.shape[-2:]) * share)))
        else:
            image = load_on_white(path).to(photo)
            shape = photo.shape if settings.style_size == "stretch" else shape_of(image, max(photo.shape[-2:]))
            image = resized(image, shape)
        if settings.keep_colors == "luminance":
            image = match_luminance(image, photo)
        elif settings.keep_colors == "histogram":
            image = match_colors(image, photo)
        images.append(image)
    return images


def objective_of(loss_network: LossNetwork, inputs: Inputs, photo: Tensor, settings: OptimizeSettings) -> Objective:
    """The loss of an image of the photo's size."""
    regions = None if inputs.regions is None else F.interpolate(inputs.regions, photo.shape[-2:], mode="area")
    loss = perceptual_loss(loss_network, style_images(inputs, photo, settings), regions, settings).to(photo.device)
    targets = loss.content_targets(photo)
    shares = torch.tensor([settings.style_shares or [1.0] * len(inputs.styles)], device=photo.device)
    shares = shares / shares.sum()
    return lambda image: loss(image, targets, shares)


def resized(image: Tensor, shape: torch.Size) -> Tensor:
    """An image resized with bicubic interpolation, antialiased if it shrinks; unchanged at its own size."""
    if image.shape[-2:] == shape[-2:]:
        return image
    return F.interpolate(image, shape[-2:], mode="bicubic", antialias=True).clamp(0, 1)


def shape_of(image: Tensor, size: int) -> torch.Size:
    """The shape of an image `(1, 3, H, W)` after resizing to a long side in pixels."""
    height, width = image.shape[-2:]
    scale = size / max(height, width)
    return torch.Size((*image.shape[:2], max(1, round(height * scale)), max(1, round(width * scale))))
