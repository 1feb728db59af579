"""`PooledStatistics`: what the photos of a training have of the style together. Knows nothing of networks or files."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from fastnst.perception.perceptual_loss import Losses

RATE = 0.04  # of a new step in the running mean, which is then of about the last 25 steps of a style


class PooledStatistics(nn.Module):
    """Running means of the statistics (Gram matrices) of stylized photos, one for each style and layer.

    A checkpoint holds them.

    Args:
        targets: The statistics of the styles, `(num_styles, C, ...)` at each layer. Those with the fewest channels, the
            first ones, see little more than colours, and stay each photo's own, unless there are no others: a palette
            that photos have together gives one a green tint and the next a red one.
        own: How much of a photo's own statistics is in what `mixed` returns, from 0 to 1.
    """

    # Differs from Johnson et al. (2016), eq. 4: there each photo has to match the painting's statistics by itself, so
    # that a sky gets as many strokes as a wood, in rows, for it has no forms to follow. Here the photos match them
    # together, and the content loss decides which place can take strokes (records/LOG.md).

    seen: Tensor

    def __init__(self, targets: Mapping[str, Tensor], own: float) -> None:
        super().__init__()
        self.own = own
        self._found: dict[str, Tensor] = {}  # of this step
        # In this order in all processes, which send each other their buffers when they begin.
        self.layers = shared_layers(targets)
        for layer in self.layers:
            self.register_buffer(f"mean_{layer}", torch.zeros_like(targets[layer]))
        self.register_buffer("seen", torch.zeros(len(next(iter(targets.values()))), dtype=torch.int64))

    def mixed(self, layer: str, found: Tensor, styles: Tensor) -> Tensor:
        """Statistics `(B, C, ...)` of photos with those of the photos before; all of the gradient is theirs.

        Args:
            layer: Where they were found.
            found: `(B, C, ...)`.
            styles: The style of each, one hot, `(B or 1, num_styles)`.
        """
        if layer not in self.layers:
            return found
        self._found[layer] = found.detach()
        which = styles.argmax(1).expand(len(found))
        others = self.get_buffer(f"mean_{layer}")[which]
        share = torch.where(self.seen[which] > 0, 1 - self.own, 0.0).to(found)[:, None, None]
        return found + share * (others - found.detach())

    def weighed(self, losses: Losses, style_weight: float) -> Losses:
        """See `weighed`."""
        return weighed(losses, style_weight, self.own)

    @torch.no_grad()
    def update(self, styles: Tensor, own: slice, summed: Callable[[Tensor], Tensor]) -> None:
        """Take in the statistics that `mixed` has seen since the last update.

        Args:
            styles: The style `(N,)` of each photo of the step, in all processes.
            own: Those of this process.
            summed: The sum of a tensor over all processes.
        """
        present, place, count = torch.unique(styles, return_inverse=True, return_counts=True)
        # At first the plain mean, then a running one.
        rate = (1.0 / (self.seen[present] + 1.0)).clamp(min=RATE)[:, None, None]
        for layer, found in self._found.items():
            sums = found.new_zeros(len(present), *found.shape[1:]).index_add_(0, place[own], found)
            mean, now = self.get_buffer(f"mean_{layer}"), summed(sums) / count[:, None, None]
            mean[present] = torch.lerp(mean[present], now, rate.to(now))
        self.seen[present] += 1
        self._found.clear()


def shared_layers(targets: Mapping[str, Tensor]) -> list[str]:
    """Layers whose statistics photos may have together: all but those with the fewest channels, if others have more."""
    channels = [target.shape[1] for target in targets.values()]
    fewest = min(channels) if min(channels) < max(channels) else 0
    return [layer for layer, target in targets.items() if target.shape[1] > fewest]


def weighed(losses: Losses, style_weight: float, own: float) -> Losses:
    """Losses of mixed statistics, with a total that counts their style `2 - own` times.

    Photos match a style together with less of it. A style weight then paints as strongly as by itself.
    """
    return losses._replace(total=losses.total + (1 - own) * style_weight * losses.style)
