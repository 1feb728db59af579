"""`PaintingFolder`: many paintings, and what a training needs of each. Knows nothing of networks to train."""

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path

import torch
from torch import Tensor

from fastnst.base.errors import TrainingError
from fastnst.images.formats import ImageError
from fastnst.images.photos import find_photos
from fastnst.images.read import load_on_white
from fastnst.perception.calm import fine_detail

HELD_OUT = 16
FEWEST = HELD_OUT + 1


class PaintingFolder:
    """Paintings by number; statistics and targets are computed when first asked for, and kept in main memory.

    Which are held out depends on their names alone. They have the last numbers.

    Args:
        folders: Folders with their subfolders.
        side: The short side of the paintings in pixels; smaller ones are not enlarged.
        statistics: From a painting `(1, 3, H, W)` to `(1, F)`.
        style_targets: From a painting to matrices `(1, C, C)` by layer; about 0.7 MB are kept of each painting.
        most: Use at most so many to train on.

    Raises:
        TrainingError: Fewer than 17 paintings.
    """

    def __init__(
        self,
        folders: Iterable[str],
        side: int,
        *,
        statistics: Callable[[Tensor], Tensor],
        style_targets: Callable[[Tensor], dict[str, Tensor]],
        most: int | None = None,
    ) -> None:
        paths = [path for folder in folders for path in find_photos(Path(folder))]
        if len(paths) < FEWEST:
            needed = f"at least {FEWEST} paintings are needed, {HELD_OUT} of them held out"
            raise TrainingError(f"{needed}; got {len(paths)}")
        by_hash = sorted(paths, key=lambda path: hashlib.sha256(path.name.encode()).digest())
        self.paths = by_hash[HELD_OUT:][:most] + by_hash[:HELD_OUT]
        self.num_training, self.num_held_out = len(self.paths) - HELD_OUT, HELD_OUT
        self._side, self._statistics_of, self._targets_of = side, statistics, style_targets
        self._statistics: dict[int, Tensor] = {}
        self._targets: dict[int, dict[str, Tensor]] = {}
        self._detail: dict[int, Tensor] = {}

    def __getitem__(self, number: int) -> Tensor:
        """A painting `(1, 3, H, W)`, sRGB in [0, 1].

        Raises:
            TrainingError: It cannot be read.
        """
        path = self.paths[number]
        try:
            return load_on_white(path, size=self._side, edge=min)
        except ImageError as error:
            raise TrainingError(f"{error}: take it out of the folder") from None

    def statistics(self, numbers: list[int]) -> Tensor:
        """For the predictor, `(B, F)`."""
        for number in numbers:
            if number not in self._statistics:
                self._statistics[number] = self._statistics_of(self[number]).cpu()
        return torch.cat([self._statistics[number] for number in numbers])

    @torch.no_grad()
    def style_targets(self, numbers: list[int]) -> dict[str, Tensor]:
        """For the loss, `(B, C, C)` by layer, float32; kept in bfloat16, since they exceed the range of float16."""
        for number in numbers:
            if number not in self._targets:
                targets = self._targets_of(self[number])
                self._targets[number] = {layer: matrix.cpu().bfloat16() for layer, matrix in targets.items()}
        layers = self._targets[numbers[0]]
        return {layer: torch.cat([self._targets[number][layer].float() for number in numbers]) for layer in layers}

    def detail(self, numbers: list[int]) -> Tensor:
        """The paintings' own fine detail, `(B,)`; see `fine_detail`."""
        for number in numbers:
            if number not in self._detail:
                self._detail[number] = fine_detail(self[number]).mean().cpu()
        return torch.stack([self._detail[number] for number in numbers])
