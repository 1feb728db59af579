"""`StylePredictor`: from a painting to the scales and shifts that make a transformation network paint like it.

Knows nothing of files and training.
"""

import copy
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fastnst.networks.network import ConditionalInstanceNorm, TransformationNetwork
from fastnst.universal.autoencoder import SLIM, STRIDE, Autoencoder

BOTTLENECK = 100  # numbers that say what a painting is like
HIDDEN = 256
EPS = 1e-6
SMALLEST = 2 * STRIDE  # pixels a side; a reflection at the deepest level needs two positions


class StylePredictor(nn.Module):
    """A painting becomes 100 numbers, and these every scale and shift of the network.

    After Ghiasi et al. (2017), "Exploring the structure of a real-time, arbitrary neural artistic stylization network",
    section 3.

    Args:
        numbers: How many numbers to predict; `numbers_of` a network.
    """

    # Differs from Ghiasi et al. (2017), who take the means of Inception-v3's deepest maps: here means and deviations of
    # all levels of the small encoder that universal style transfer has, since a Gram matrix is made of such numbers.

    center: Tensor
    spread: Tensor

    def __init__(self, numbers: int) -> None:
        super().__init__()
        self.encoder = Autoencoder().encoder.requires_grad_(False)
        count = 2 * sum(SLIM)
        self.register_buffer("center", torch.zeros(count))
        self.register_buffer("spread", torch.ones(count))
        self.embed = nn.Sequential(nn.Linear(count, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, BOTTLENECK))
        self.predict = nn.Linear(BOTTLENECK, numbers)
        nn.init.normal_(self.predict.weight, std=0.01)
        nn.init.zeros_(self.predict.bias)

    def of(self, painting: Tensor) -> Tensor:
        """The numbers `(1, numbers)` of a painting `(1, 3, H, W)` of any size; a smaller one is continued by copies."""
        predicted: Tensor = self(self.statistics(continued(painting)))
        return predicted

    @torch.no_grad()
    def statistics(self, paintings: Tensor) -> Tensor:
        """Means and deviations of the encoder's maps.

        Args:
            paintings: `(B, 3, H, W)`, sRGB in [0, 1], H and W at least 32; what is beyond multiples of 16 is left out.

        Returns:
            `(B, 736)`.
        """
        height, width = (side // STRIDE * STRIDE for side in paintings.shape[-2:])
        maps, found = paintings[..., :height, :width], []
        for block in self.encoder:
            maps = block(maps)
            found += [maps.float().mean((2, 3)), (maps.float().var((2, 3), correction=0) + EPS).sqrt()]
        return torch.cat(found, 1)

    def fit(self, statistics: Tensor) -> None:
        """Take the statistics of many paintings `(N, 736)` as what is usual."""
        self.center.copy_(statistics.mean(0))
        self.spread.copy_(statistics.std(0) + EPS)

    def forward(self, statistics: Tensor) -> Tensor:
        """The numbers `(B, numbers)` of paintings, to be added to the network's own, from statistics `(B, 736)`."""
        usual = ((statistics - self.center) / self.spread).clamp(-5, 5)
        predicted: Tensor = self.predict(self.embed(usual))
        return predicted


def numbers_of(network: TransformationNetwork) -> int:
    """How many scales and shifts a network of one style has."""
    return sum(norm.scale.shape[1] + norm.shift.shape[1] for norm in network.norms)


def continued(painting: Tensor) -> Tensor:
    """A painting `(1, 3, H, W)` as large as a predictor needs: one with a shorter side is continued by copies."""
    missing = [max(0, SMALLEST - side) for side in painting.shape[-2:]]
    return F.pad(painting, (0, missing[1], 0, missing[0]), mode="replicate")


class RowNorm(ConditionalInstanceNorm):
    """A norm whose style is a row of numbers, `(1 or B, numbers)`; see `with_rows`."""

    def __init__(self, norm: ConditionalInstanceNorm, place: int) -> None:
        nn.Module.__init__(self)
        self.scale, self.shift, self.place = norm.scale, norm.shift, place

    def chosen(self, style: Tensor) -> tuple[Tensor, Tensor]:
        """Its own scale and shift, and what the row adds to them."""
        channels = self.scale.shape[1]
        scale, shift = torch.split(style[:, self.place : self.place + 2 * channels], channels, 1)
        return self.scale + scale, self.shift + shift


def with_rows(network: TransformationNetwork) -> TransformationNetwork:
    """A copy of a network of one style that takes rows of numbers as styles; a row of zeros is its own style."""
    network, place = copy.deepcopy(network), 0
    for module in list(network.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, ConditionalInstanceNorm):
                setattr(module, name, RowNorm(child, place))
                place += child.scale.shape[1] + child.shift.shape[1]
    return network


def predicted_parameters(network: TransformationNetwork, numbers: Tensor) -> Mapping[str, Tensor]:
    """The norms' parameters by name, `(B, C)` each, for numbers `(B, numbers)`, in a network of one style."""
    parameters, place = {}, 0
    for name, norm in network.named_modules():
        if isinstance(norm, ConditionalInstanceNorm):
            for part in ("scale", "shift"):
                own = getattr(norm, part)
                parameters[f"{name}.{part}"] = own + numbers[:, place : place + own.shape[1]]
                place += own.shape[1]
    return parameters


def paint(network: TransformationNetwork, images: Tensor, numbers: Tensor, *, margin: int = 0) -> Tensor:
    """Images `(B, 3, H, W)`, each in the style of its numbers `(B, numbers)`, or all in that of `(1, numbers)`.

    See the network's own `forward`.
    """
    styles = torch.eye(len(numbers)).to(images)
    painted: Tensor = torch.func.functional_call(
        network, dict(predicted_parameters(network, numbers)), (images, styles), {"margin": margin}
    )
    return painted
