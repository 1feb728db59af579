"""`train_universal`, the whole run: trains an autoencoder for any painting and writes its file."""

import logging
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import LightningModule
from torch import Tensor

from fastnst.base.errors import TrainingError
from fastnst.training.monitor import Previews
from fastnst.training.network_run import train_network
from fastnst.training.schedule import Clock, Schedule
from fastnst.training.settings import UniversalSettings
from fastnst.training.universal_trainer import UniversalTrainer
from fastnst.universal.autoencoder import Autoencoder, vgg19
from fastnst.universal.file import load_autoencoder, save_autoencoder

COMMAND = "train-universal"
GROWTH = ((0.25, 0.5), (0.55, 0.75))  # crops of half the size for the first quarter
log = logging.getLogger("fastnst")


class Reconstructions(Previews):
    """Validation photos, and below them what the decoder makes of each level."""

    def rows(self, module: LightningModule, photos: Tensor) -> list[Tensor]:
        """Photos, then reconstructions from level 1 to 5."""
        network: Any = module.network
        with torch.no_grad():
            return [photos, *(network.decode(each, k).clamp(0, 1) for k, each in enumerate(network.encode(photos), 1))]


def train_universal(
    settings: UniversalSettings, *, started: float | None = None, folder: Path = Path()
) -> dict[str, Any] | None:
    """Train, and write `checkpoints/NAME.safetensors` and `runs/NAME/`; see `train_network`."""
    return train_network(
        settings, _module, _save, Reconstructions, COMMAND, growth=GROWTH, started=started, folder=folder
    )


def _module(settings: UniversalSettings, clock: Clock, schedule: Schedule) -> UniversalTrainer:
    teacher = vgg19()
    network = _network(settings, teacher)
    return UniversalTrainer(network, teacher if settings.encoder == "slim" else None, schedule=schedule, clock=clock)


def _save(settings: UniversalSettings, path: Path, module: UniversalTrainer, info: dict[str, Any]) -> None:
    network = {"channels": list(module.network.channels), "encoder": settings.encoder}
    save_autoencoder(path, module.network, {**info, "network": network}, replace=settings.force)


def _network(settings: UniversalSettings, teacher: Autoencoder) -> Autoencoder:
    """The network to train; without a file to go on from, with random weights where it is not VGG19."""
    network = teacher if settings.encoder == "vgg19" else Autoencoder()
    if settings.init_from and not settings.resume:
        earlier = load_autoencoder(Path(settings.init_from))
        if earlier.channels != network.channels:
            raise TrainingError(f"{settings.init_from} has other channels than --encoder {settings.encoder}")
        network.load_state_dict(earlier.state_dict())
    return network.to(memory_format=torch.channels_last)
