"""A training that takes a second, its photos, and the weights that it ends with."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file

from fastnst.training.settings import TrainSettings

SHALLOW = TrainSettings(
    style=(Path("style.png"),),
    data="photos",
    steps=6,
    network="live",
    style_layers=("relu1_2", "relu2_2"),
    content_layers=("relu2_2",),
    crop_size=48,
    style_size=64,
    learning_rate=2e-3,
    margin=16,
    init_from="none",
    style_per_photo=0.25,
    device="cpu",
    workers=0,
    quiet=True,
)


def stripes(size: int, period: int) -> Image.Image:
    down = np.arange(size)[:, None] * 2 * np.pi / period
    across = down.T
    waves = np.stack([down + across, 2 * down + 0 * across, across - down], -1)  # (size, size, 3)
    return Image.fromarray(np.uint8(127 + 120 * np.sin(waves)))


def weights(name: str = "style") -> dict[str, torch.Tensor]:
    return load_file(f"checkpoints/{name}.safetensors")


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)
