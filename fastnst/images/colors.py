"""Luminance and colours of images, to keep those of a photo. Knows nothing of files or networks."""

import torch
from torch import Tensor

LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, the Y of YIQ
MIN_VARIANCE = 1e-5  # of a style's colours in any direction: a standard deviation of 0.003, under one level of 8 bit


def luminance(images: Tensor) -> Tensor:
    """Y of YIQ as grey images; `(B, 3, H, W)` in [0, 1], before and after."""
    return _luma(images).clamp(0, 1).repeat(1, 3, 1, 1)


def with_colors_of(photos: Tensor, stylized: Tensor) -> Tensor:
    """Lightness of the stylized images, colour of the photos; both `(B, 3, H, W)` in [0, 1].

    Luminance-only transfer (Gatys et al., 2017, section 5.1): Y of one and I and Q of the other image. In RGB that
    is the photo, shifted by the same amount in each channel.
    """
    return (photos + _luma(stylized - photos)).clamp(0, 1)


def match_luminance(style: Tensor, photo: Tensor) -> Tensor:
    """A style image in grey, with mean and standard deviation of the photo's luminance.

    Gatys et al. (2017), section 5.1: L_S' = sigma_C / sigma_S (L_S - mu_S) + mu_C.

    Args:
        style: `(B, 3, H, W)` in [0, 1].
        photo: `(B or 1, 3, H', W')` in [0, 1].

    Returns:
        Grey images as `style`, float32, clamped to [0, 1]; without contrast if the style has none.
    """
    return match_colors(_luma(style), _luma(photo)).repeat(1, 3, 1, 1)


def match_colors(style: Tensor, photo: Tensor) -> Tensor:
    """The style image in the photo's colours: a linear map gives its RGB the photo's mean and covariance.

    Colour histogram matching (Gatys et al., 2017, section 5.2). Of the matrices A with A Sigma_S A^T = Sigma_C this is
    Sigma_C^(1/2) Sigma_S^(-1/2) with the symmetric roots, the "image analogies" of their note (arXiv:1606.05897).

    Args:
        style: `(B, C, H, W)` in [0, 1]; C is 3, but may be any number.
        photo: `(B or 1, C, H', W')` in [0, 1].

    Returns:
        Images as `style`, float32, clamped to [0, 1]. A direction in which the style's colours do not vary (all three
        of one colour, two of a grey image) stays without variance.
    """
    _, left, covariance = _moments(style)
    target_mean, _, target_covariance = _moments(photo)
    # Differs from Gatys et al. (2017): what varies less than MIN_VARIANCE is noise, which dividing by its standard
    # deviation would make colours of.
    transform = _power(target_covariance, 0.5) @ _power(covariance, -0.5, smallest=MIN_VARIANCE)
    matched = transform @ left + target_mean
    return matched.view(style.shape).clamp(0, 1).float().to(style.device)


def _luma(images: Tensor) -> Tensor:
    """`(B, 1, H, W)`."""
    return (images * images.new_tensor(LUMA).view(1, 3, 1, 1)).sum(1, keepdim=True)


def _moments(images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mean colours `(B, C, 1)`, what is left `(B, C, P)`, its covariance; float64, on the CPU because MPS has none."""
    pixels = images.to("cpu", torch.float64).flatten(2)
    mean = pixels.mean(2, keepdim=True)
    return mean, (left := pixels - mean), left @ left.mT / pixels.shape[2]


def _power(covariances: Tensor, exponent: float, *, smallest: float = 0.0) -> Tensor:
    """Symmetric power of matrices `(B, C, C)`; eigenvalues below `smallest` count as that."""
    values, vectors = torch.linalg.eigh(covariances)
    power: Tensor = vectors * values.clamp(min=smallest)[:, None].pow(exponent) @ vectors.mT
    return power
