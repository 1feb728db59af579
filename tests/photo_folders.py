"""Folders of small photos that can be told apart, and the batches that a training gets of them."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from fastnst.training.data import PhotoBatch, PhotoDataModule


def save_photo(path: Path, number: int, size: tuple[int, int] = (70, 50)) -> Path:
    """A photo of its own: a ramp in red, a number in green, noise in blue."""
    width, height = size
    pixels = np.random.default_rng(number).integers(0, 256, (height, width, 3), dtype=np.uint8)
    pixels[:, :, 0] = np.linspace(0, 255, width).astype(np.uint8)
    pixels[:, :, 1] = number
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def photos_of(source: Path | str | None, **changes: Any) -> PhotoDataModule:
    settings: dict[str, Any] = {"batch_size": 4, "crop_size": lambda step: 16, "seed": 0, "workers": 0, "eval_size": 24}
    return PhotoDataModule(str(source) if source else None, **(settings | changes))


def batches_of(module: PhotoDataModule) -> Iterator[PhotoBatch]:
    """The training's batches, photos as uint8."""
    return (module.on_before_batch_transfer(batch, 0) for batch in module.train_dataloader())


def training_batches(module: PhotoDataModule, count: int, start: int = 0) -> list[Tensor]:
    module.start_step = start
    return [batch.photos for batch in itertools.islice(batches_of(module), count)]


def numbers_in(photos: Tensor) -> list[int]:
    return [round(float(photo[1].float().median()) / 10) for photo in photos]
