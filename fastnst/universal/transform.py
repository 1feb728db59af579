"""Whitening and colouring: the map that gives features the mean and covariance of a painting's.

Knows nothing of networks and images. Everything here is in float64: the smallest eigenvalues that count are 1e-5 of the
largest, and the covariance of features in float32 has rounding errors of that order.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional as F

CUT = 1e-5  # of the largest eigenvalue; directions with less are noise, which whitening would blow up
FLAT = 1e-10  # of the mean's square; a picture whose largest eigenvalue is less has one colour and rounding errors
AT_ONCE = 2**16  # positions


@dataclass(frozen=True)
class Moments:
    """Mean and covariance of features.

    Attributes:
        mean: `(C,)`, float64.
        covariance: `(C, C)`, float64.
        weight: The positions that it was taken from, each counted with its weight.
    """

    mean: Tensor
    covariance: Tensor
    weight: float

    @cached_property
    def directions(self) -> tuple[Tensor, Tensor]:
        """Square roots `(K,)` of the eigenvalues that count, and their eigenvectors `(C, K)`; K is 0 for one colour."""
        values, vectors = torch.linalg.eigh(self.covariance)
        kept = (values > CUT * values[-1]) & (values > FLAT * self.mean.square().sum())
        return values[kept].sqrt(), vectors[:, kept]

    def whitening(self) -> Tensor:
        """E D^(-1/2) E^T, `(C, C)`: Li et al. (2017), equation 2. A direction without variance becomes zero."""
        deviations, vectors = self.directions
        return (vectors / deviations) @ vectors.mT

    def coloring(self) -> Tensor:
        """E D^(1/2) E^T, `(C, C)`: Li et al. (2017), equation 3."""
        deviations, vectors = self.directions
        return (vectors * deviations) @ vectors.mT


def moments(features: Tensor, where: Tensor | None = None) -> Moments:
    """Mean and covariance over all positions of all images.

    Args:
        features: `(B, C, H, W)`.
        where: Weight of each position, `(B or 1, 1, H, W)` and at least 0; by default 1.

    Raises:
        ValueError: No position has a weight.
    """
    channels = features.shape[1]
    device = "cpu" if features.device.type == "mps" else features.device  # MPS has no float64
    total = torch.zeros((), dtype=torch.float64, device=device)
    sums, products = total.new_zeros(channels), total.new_zeros(channels, channels)
    weights = torch.ones_like(features[:, :1]) if where is None else where.expand(len(features), 1, *where.shape[2:])
    for maps, shares in zip(features, weights, strict=True):
        pairs = zip(maps.flatten(1).split(AT_ONCE, 1), shares.flatten(1).split(AT_ONCE, 1), strict=True)
        for part, share in pairs:
            exact, counted = part.to(total), share.to(total)
            weighted = exact * counted
            total = total + counted.sum()
            sums += weighted.sum(1)
            products += weighted @ exact.mT
    if not total > 0:
        raise ValueError("expected a weight above 0 at some position, got none")
    mean = sums / total
    return Moments(mean, products / total - mean.outer(mean), float(total))


def pooled(parts: Iterable[Moments]) -> Moments:
    """Moments over the positions of several."""
    parts = list(parts)
    total = sum(part.weight for part in parts)
    mean = torch.stack([part.mean * (part.weight / total) for part in parts]).sum(0)
    second = [(part.covariance + part.mean.outer(part.mean)) * (part.weight / total) for part in parts]
    return Moments(mean, torch.stack(second).sum(0) - mean.outer(mean), total)


@dataclass(frozen=True)
class FeatureMap:
    """A linear map of features, the same at every position: `matrix @ f + shift`.

    Attributes:
        matrix: `(C, C)`, float64.
        shift: `(C,)`, float64.
    """

    matrix: Tensor
    shift: Tensor

    def __call__(self, features: Tensor) -> Tensor:
        """Map features `(B, C, H, W)`."""
        return F.conv2d(features, self.matrix[..., None, None].to(features), self.shift.to(features))


def transfer(content: Moments, styles: Sequence[tuple[Moments, float]], alpha: float) -> FeatureMap:
    """The whitening and colouring transform: Li et al. (2017), equations 2 to 4.

    Whitening takes mean and covariance from the features of a photo, colouring gives them those of a painting. Of
    several paintings the coloured features are blended; with `alpha` the result and the features that came in.

    Args:
        content: Of the features that the map is for.
        styles: Of the paintings at the same level, with weights that sum up to one.
        alpha: 0 changes nothing, 1 is the whole transform.
    """
    mixed = torch.stack([weight * style.coloring() for style, weight in styles]).sum(0) @ content.whitening()
    shift = torch.stack([weight * style.mean for style, weight in styles]).sum(0) - mixed @ content.mean
    return FeatureMap(alpha * mixed + (1 - alpha) * torch.eye(len(shift)).to(mixed), alpha * shift)
