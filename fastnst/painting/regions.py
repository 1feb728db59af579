"""Styles in regions of a photo: each where its mask is white, later ones over earlier ones. Knows nothing of files."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Unpack

import torch
from torch import Tensor

from fastnst.base.boxes import Box, Reader, Size, everything
from fastnst.images.levels import from_levels, to_levels
from fastnst.painting.passes import Share, part
from fastnst.painting.stylizer import Look, Stylizer
from fastnst.universal.painter import Memory

Fitted = Callable[[int, int], Reader]  # a mask for a photo of this height and width, `(1, 1, H, W)` in [0, 1]


class Regions:
    """One style or several; a photo is painted as by a `Stylizer`.

    Args:
        styles: Each with its mask, or None if it is painted wherever no later one is. A mask that is grey, as at its
            edges, mixes pixels.
    """

    def __init__(self, styles: Sequence[tuple[Stylizer, Fitted | None]]) -> None:
        self._stylizers = [stylizer for stylizer, _ in styles]
        self._masks = [mask for _, mask in styles]
        self.device = self._stylizers[0].device

    def memories(self) -> list[Memory]:
        """Empty running statistics for the pictures of a video, of each style its own."""
        return [{} for _ in self._stylizers]

    def shares(self, size: Size, strength: float, *, full: bool = False) -> list[Share]:
        """How much of each style is seen, by place; the rest is photo.

        Args:
            size: Of the photo.
            strength: Of all styles together.
            full: Whether the first style is painted everywhere, as if it had no mask.

        Raises:
            ImageError: A mask does not have the photo's shape.
        """
        masks = [None if mask is None or (full and not at) else mask(*size) for at, mask in enumerate(self._masks)]
        if masks == [None]:
            return [strength]

        def share(at: int, box: Box) -> Tensor:
            mask = masks[at]
            seen = torch.ones(1) if mask is None else mask(box)
            for later in masks[at + 1 :]:
                seen = seen * (1 - later(box)) if later else torch.zeros(1)
            return strength * seen

        return [partial(share, at) for at in range(len(masks))]

    def share(self, size: Size, strength: float) -> float | Tensor:
        """How much of all styles together is seen, `(1, 1, H, W)`."""
        shares = [each if isinstance(each, float) else each(everything(size)) for each in self.shares(size, strength)]
        return sum(shares)

    def parts(
        self, photo: Reader, shape: Sequence[int], dtype: torch.dtype, *, strength: float = 1.0, **look: Unpack[Look]
    ) -> Iterator[tuple[Box, Tensor]]:
        """As `Stylizer.parts`."""
        shares = self.shares((shape[-2], shape[-1]), strength)
        yield from self._parts(photo, shape, dtype, shares, self.memories(), look)

    def paint(
        self,
        photo: Tensor,
        *,
        strength: float = 1.0,
        full: bool = False,
        memories: Sequence[Memory],
        **look: Unpack[Look],
    ) -> Tensor:
        """A picture of a video, as by `Stylizer.paint`.

        Args:
            photo: `(1, 3 or 4, H, W)`, levels or floats.
            strength: As for `shares`.
            full: As for `shares`.
            memories: Of the video; see `memories`.
            **look: See `Look`.
        """
        size = photo.shape[-2], photo.shape[-1]
        shares = self.shares(size, strength, full=full)
        if len(shares) == 1:
            share = shares[0] if isinstance(shares[0], float) else shares[0](everything(size))
            own: Look = {**look, "memory": memories[0]}
            return self._stylizers[0].paint(photo, strength=share, **own)
        stylized = photo.clone()
        for box, painted in self._parts(partial(part, photo), photo.shape, photo.dtype, shares, memories, look):
            stylized[:, :3, *box] = painted
        return stylized

    def _parts(
        self,
        photo: Reader,
        shape: Sequence[int],
        dtype: torch.dtype,
        shares: Sequence[Share],
        memories: Sequence[Memory],
        look: Look,
    ) -> Iterator[tuple[Box, Tensor]]:
        if len(shares) == 1:
            yield from self._stylizers[0].parts(photo, shape, dtype, strength=shares[0], **look)
            return
        sides = [stylizer.tile(shape, **look) for stylizer in self._stylizers]
        look = {**look, "tile": min(filter(None, sides), default=0)}
        layers = []
        for stylizer, share, memory in zip(self._stylizers, shares, memories, strict=True):
            own: Look = {**look, "memory": memory}
            layers.append(stylizer.parts(photo, shape, torch.float32, strength=share, side_by_side=False, **own))
            look = {**look, "watch": iter}  # one line of progress for all
        for each in zip(*layers, strict=True):
            box = each[0][0]
            pixels = from_levels(photo(box)[:, :3])
            yield box, to_levels(pixels + sum(painted - pixels for _, painted in each), dtype)
