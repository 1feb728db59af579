"""`UniversalPainter`: paints photos like one painting, or like a blend of several. Knows nothing of files and tiles."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from threading import Lock

import torch
from torch import Tensor
from torch.nn import functional as F

from fastnst.universal.autoencoder import STRIDE, Autoencoder, reach
from fastnst.universal.transform import FeatureMap, Moments, moments, pooled, transfer

ALPHA = 0.6  # Li et al. (2017), section 4.1
DEEPEST = 4  # level to begin at; 5 mangles faces and lays bricks on flat regions, looked at (records/LOG.md)
PAINTING_SIDE = 512  # pixels, the long side of a painting for strokes of the plain size
LARGEST_SIDE = 2048
SHARE_NOW = 0.1  # of a video's picture in the running statistics
Change = Callable[[Tensor, int], Tensor]  # features and their level to features
Memory = dict[int, Moments]  # running statistics of a video's pictures, by level
Styles = list[list[tuple[Moments, float]]]  # at each level, the moments of every painting with its weight


class UniversalPainter:
    """Paints like paintings; threads may share it.

    Li et al. (2017), figure 1c: from the deepest level to level 1 the picture is encoded, its features get the mean and
    the covariance of the painting's, and the decoder makes the next level's picture of them.

    Args:
        network: In eval mode, on the device where it paints.
        paintings: Images `(1, 3, H, W)`, sRGB in [0, 1], each with a weight; the weights sum up to one.
        deepest: The level to begin at, from 1 to 5.
    """

    # Differs from Li et al. (2017) in the default of `deepest`: theirs is 5.

    def __init__(
        self, network: Autoencoder, paintings: Sequence[tuple[Tensor, float]], *, deepest: int = DEEPEST
    ) -> None:
        self.network, self.deepest = network, deepest
        self._paintings = paintings
        self._styles: dict[float, Styles] = {}
        self._lock = Lock()

    @property
    def reach(self) -> int:
        """Pixels of a photo that act on a pixel of the result, to each side, if the maps are given."""
        return sum(reach(level) for level in range(1, self.deepest + 1))

    @property
    def stride(self) -> int:
        """Stride of the deepest level in pixels."""
        return STRIDE

    @property
    def values_per_pixel(self) -> int:
        """Numbers per pixel of the widest layer, for the memory of a pass."""
        return 2 * self.network.channels[0]

    def __call__(
        self,
        photos: Tensor,
        *,
        alpha: float = ALPHA,
        stroke: float = 1.0,
        where: Tensor | None = None,
        memory: Memory | None = None,
    ) -> Tensor:
        """Paint photos, each with its own statistics.

        Args:
            photos: `(B, 3, H, W)`, sRGB in [0, 1], any size.
            alpha: From 0, the photo decoded from each level in turn, to 1, the whole transform.
            stroke: Factor by which strokes get larger.
            where: Weight of each pixel in the photo's statistics, `(1 or B, 1, H, W)`.
            memory: Statistics of a video's pictures so far, empty before the first; updated. Pictures then share a
                running mean, or the look would jump from one to the next.

        Returns:
            Images of the photos' shape, in [0, 1].
        """
        painted = []
        for place, photo in enumerate(photos):
            weights = None if where is None else where[place : place + 1] if len(where) > 1 else where
            painted.append(self._run(photo[None], self._measuring(alpha, stroke, weights, memory=memory)))
        return torch.cat(painted)

    def measured_on(
        self,
        pieces: Tensor,
        *,
        alpha: float = ALPHA,
        stroke: float = 1.0,
        where: Tensor | None = None,
        memory: Memory | None = None,
        margin: int = 0,
    ) -> Callable[[Tensor], Tensor]:
        """A function that paints parts of a picture as parts of a whole.

        Args:
            pieces: Of that picture, `(B, 3, H, W)`, whose statistics are taken together.
            alpha: As for a call.
            stroke: As for a call.
            where: Of the pieces, as for a call.
            memory: As for a call.
            margin: Pixels at the edges of pieces that do not count, because the padding changes what is there.
        """
        maps: dict[int, FeatureMap] = {}
        self._run(pieces, self._measuring(alpha, stroke, where, memory=memory, margin=margin, maps=maps))
        return partial(self._run, change=lambda features, level: maps[level](features))

    def _measuring(
        self,
        alpha: float,
        stroke: float,
        where: Tensor | None = None,
        *,
        memory: Memory | None = None,
        margin: int = 0,
        maps: dict[int, FeatureMap] | None = None,
    ) -> Change:
        """A change that transfers features by their own statistics, and puts its maps by level into `maps`."""
        styles = self._styles_at(stroke)

        def change(features: Tensor, level: int) -> Tensor:
            scale = 2 ** (level - 1)
            weights = None if where is None else _shrunk(where.to(features), scale, features.shape[-2:])
            inner = None if weights is None else _inside(weights, margin // scale)
            content = moments(_inside(features, margin // scale), inner)
            if memory is not None:
                content = memory[level] = _running(memory.get(level), content)
            transform = transfer(content, styles[level - 1], alpha)
            if maps is not None:
                maps[level] = transform
            return transform(features)

        return change

    def _run(self, photos: Tensor, change: Change) -> Tensor:
        height, width = photos.shape[-2:]
        images = _padded(photos)
        for level in range(self.deepest, 0, -1):
            features = self.network.encode(images, level)[-1]
            images = self.network.decode(change(features, level), level).clamp(0, 1)
        return images[..., :height, :width]

    def _styles_at(self, stroke: float) -> Styles:
        """The paintings' statistics; they are computed once for each size of the strokes."""
        with self._lock:
            if stroke not in self._styles:
                each = [(self._moments_of(painting, stroke), weight) for painting, weight in self._paintings]
                self._styles[stroke] = [
                    [(found[level], weight) for found, weight in each] for level in range(self.deepest)
                ]
            return self._styles[stroke]

    def _moments_of(self, painting: Tensor, stroke: float) -> list[Moments]:
        side = min(LARGEST_SIDE, PAINTING_SIDE * stroke)
        scale = side / max(painting.shape[-2:])
        size = [max(STRIDE, round(length * scale)) for length in painting.shape[-2:]]
        resized = F.interpolate(painting, size, mode="bicubic", antialias=True).clamp(0, 1)
        found = [moments(each) for each in self.network.encode(_padded(resized), self.deepest)]
        for each in found:
            _ = each.directions  # decomposed here, once, and not in every thread that paints
        return found


def _running(before: Moments | None, now: Moments) -> Moments:
    """The running mean of statistics, in which every earlier picture counts a tenth less than the next."""
    if before is None:
        return now
    return pooled([replace(before, weight=1 - SHARE_NOW), replace(now, weight=SHARE_NOW)])


def _padded(photos: Tensor) -> Tensor:
    """Photos with copies of the last row and column, up to multiples of the stride and at least two strides.

    A reflection at the deepest level needs two positions.
    """
    missing = [max(2 * STRIDE - side, -side % STRIDE) for side in photos.shape[-2:]]
    return F.pad(photos, (0, missing[1], 0, missing[0]), mode="replicate") if any(missing) else photos


def _inside(features: Tensor, margin: int) -> Tensor:
    """Features without the positions at the edges, but at least half of each side."""
    down, across = (min(margin, side // 4) for side in features.shape[-2:])
    return features[..., down : features.shape[-2] - down, across : features.shape[-1] - across]


def _shrunk(where: Tensor, by: int, size: Sequence[int]) -> Tensor:
    """Weights of pixels as weights of the positions of a level."""
    padded = F.pad(where, (0, size[1] * by - where.shape[-1], 0, size[0] * by - where.shape[-2]))
    return F.avg_pool2d(padded, by)
