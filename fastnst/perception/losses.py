"""Loss formulas: Gram matrix, content, style and total variation. Knows nothing of networks or files."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

EPS = 1e-8  # keeps a relative loss finite if the target is zero
LEAST_TEXTURE = 1e-5  # what a flat style counts as having, in squared means squared; paintings have 0.02 to 1.2


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
    return gram_matrix(features * _fitted_guide(features, guide))


def _fitted_guide(features: Tensor, guide: Tensor) -> Tensor:
    """The guide `(1, 1, H, W)` at the size of the features, with squares of mean one."""
    guide = F.adaptive_avg_pool2d(guide, (features.shape[-2], features.shape[-1]))
    return guide / guide.square().mean().sqrt()


def moments(features: Tensor, guide: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Mean of each channel over positions, and the covariance between channels.

    The Gram matrix of rectified features is dominated by the outer product of their mean; here the two are apart.
    Computed in float32, also under autocast.

    Args:
        features: Feature maps `(B, C, H', W')`, any range.
        guide: `(1, 1, H, W)` in [0, 1], of the image's size, not all zero: how much each place counts, squared, as in
            `guided_gram_matrix`.

    Returns:
        Means `(B, C)` and covariances `(B, C, C)`, float32 or wider; they do not depend on the image's size.

    Example:
        >>> mean, covariance = moments(torch.tensor([[[[1.0, 3.0]]]]))
        >>> mean, covariance
        (tensor([[2.]]), tensor([[[1.]]]))
    """
    with torch.autocast(features.device.type, enabled=False):
        maps = _wide(features.flatten(2))  # (B, C, H'*W')
        if guide is None:
            mean = maps.mean(2, keepdim=True)
            centred = maps - mean
        else:
            share = _fitted_guide(features, guide).flatten(2)
            mean = (maps * share.square()).mean(2, keepdim=True)
            centred = (maps - mean) * share
        # The Gram matrix divides by C P, the covariance by P.
        covariance: Tensor = _Gram.apply(centred) * maps.shape[1]
        return mean.squeeze(2), covariance


def moment_matrix(features: Tensor, guide: Tensor | None = None) -> Tensor:
    """The moments side by side: the covariance `(B, C, C)`, and in one more column the mean, `(B, C, C + 1)`."""
    mean, covariance = moments(features, guide)
    return torch.cat([covariance, mean[..., None]], 2)


def moments_loss(found: Tensor, target: Tensor) -> Tensor:
    """Relative style loss of each image at one layer: the mean of that of the covariance and that of the mean.

    Differs from Johnson et al. (2016), eq. 4: a Gram matrix of rectified features is mostly the outer product of their
    mean, so that its relative error is small long before the texture is right.

    Args:
        found: `(B, C, C + 1)` of the stylized images, from `moment_matrix`.
        target: `(B or 1, C, C + 1)` of the style images.

    Returns:
        `(B,)`; 0 for the style itself.
    """
    parts = ((each[..., :-1], each[..., -1:]) for each in (found, target))
    (covariance, mean), (wanted_covariance, wanted_mean) = parts
    squared_mean = wanted_mean.flatten(1).square().sum(1)
    texture = torch.maximum(wanted_covariance.flatten(1).square().sum(1), LEAST_TEXTURE * squared_mean.square())
    return (squared_distance(covariance, wanted_covariance) / (texture + EPS) + style_loss(mean, wanted_mean)) / 2


class _Gram(torch.autograd.Function):
    """maps @ maps.mT / (C P) with a backward pass of one matrix product; autograd would add two."""

    @staticmethod
    def forward(ctx: Any, maps: Tensor) -> Tensor:
        ctx.save_for_backward(maps)
        return maps @ maps.mT / maps[0].numel()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        maps: Tensor = ctx.saved_tensors[0]
        gradient = gradients[0]
        symmetric = (gradient + gradient.mT) / maps[0].numel()  # (B, C, C)
        # In the memory layout of the maps, because the gradient of the deeper layers is added to it.
        return (maps.mT @ symmetric).mT if maps.mT.is_contiguous() else symmetric @ maps


def squared_distance(first: Tensor, second: Tensor) -> Tensor:
    """Sum of squared differences for each item of a batch: `(B, ...)` and `(B or 1, ...)` to `(B,)`, in float32."""
    return _wide(first - second).square().flatten(1).sum(1)


def _wide(values: Tensor) -> Tensor:
    """Values in at least float32: sums of squares overflow float16 and lose small terms in bfloat16."""
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
    """Total variation of each image: how much neighbouring pixels differ.

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


VARIATION_POWERS = {"l2": 2.0, "l1": 1.0, "keras": 2.5}  # exponent of the pixels' unit in each form
