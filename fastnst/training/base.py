"""`train_base`, the whole run: trains a network for all paintings, with a predictor of its norms."""

import logging
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import LightningModule
from torch import Tensor

from fastnst.base.devices import choose_device, multiplies_bfloat16
from fastnst.base.errors import TrainingError
from fastnst.networks.catalog import find_style_file, read_info
from fastnst.networks.description import UNIVERSAL
from fastnst.networks.network import TransformationNetwork
from fastnst.networks.presets import PRESETS
from fastnst.perception.objective import load_loss_network, perceptual_loss
from fastnst.perception.settings import ObjectiveSettings
from fastnst.training.base_trainer import BaseTrainer
from fastnst.training.monitor import Previews
from fastnst.training.network_run import train_network
from fastnst.training.paintings import PaintingFolder
from fastnst.training.schedule import Clock, Schedule
from fastnst.training.settings import BaseSettings
from fastnst.universal.file import load_autoencoder, load_predictor, save_predictor
from fastnst.universal.predictor import StylePredictor, numbers_of, paint

COMMAND = "train-base"
log = logging.getLogger("fastnst")


class PredictedStyles(Previews):
    """Validation photos, and below them the photos in the styles of two held-out paintings."""

    def rows(self, module: LightningModule, photos: Tensor) -> list[Tensor]:
        """Photos, then two rows of painted ones."""
        trainer: Any = module
        first = trainer.paintings.num_training
        with torch.no_grad():
            styles = [trainer.predicted([first + place]) for place in range(2)]
            return [photos, *(paint(trainer.network, photos, numbers) for numbers in styles)]


def train_base(settings: BaseSettings, *, started: float | None = None, folder: Path = Path()) -> dict[str, Any] | None:
    """Train, and write `checkpoints/NAME.safetensors` and `runs/NAME/`; see `train_network`."""
    precision = "bf16-mixed" if multiplies_bfloat16(choose_device(settings.device)) else "32-true"
    return train_network(
        settings,
        _module,
        _save,
        PredictedStyles,
        COMMAND,
        started=started,
        folder=folder,
        precision=precision,
    )


def _module(settings: BaseSettings, clock: Clock, schedule: Schedule) -> BaseTrainer:
    if settings.style_per_photo < 1 and settings.batch_size == 1:
        raise TrainingError("--style-per-photo below 1 asks photos of a step together: give --batch-size 2 or more")
    earlier = load_predictor(Path(settings.init_from)) if settings.init_from else None  # refuses other files
    network = TransformationNetwork(**_sizes(settings))
    predictor = StylePredictor(numbers_of(network))
    if earlier:
        network.load_state_dict(earlier[0].state_dict())
        predictor.load_state_dict(earlier[1].state_dict())
    else:
        predictor.encoder.load_state_dict(load_autoencoder(find_style_file(UNIVERSAL)).encoder.state_dict())
    objective = ObjectiveSettings()
    loss_network = load_loss_network(objective)
    loss = perceptual_loss(objective, loss_network, [torch.rand(1, 3, 64, 64)])
    paintings = PaintingFolder(
        settings.paintings,
        _painting_side(settings),
        statistics=lambda painting: predictor.statistics(painting.to(predictor.center.device)),
        style_targets=lambda painting: loss.style_targets([painting.to(predictor.center.device)]),
        most=settings.max_paintings,
    )
    if not earlier and not settings.resume:
        predictor.fit(paintings.statistics(list(range(paintings.num_training))))
    if not settings.quiet:
        log.info("%d paintings, %d of them held out", len(paintings.paths), paintings.num_held_out)
    network = network.to(memory_format=torch.channels_last)
    return BaseTrainer(
        network,
        predictor,
        loss,
        paintings,
        schedule=schedule,
        clock=clock,
        seed=settings.seed,
        margin=settings.margin,
        style_per_photo=settings.style_per_photo,
        calm=settings.calm,
    )


def _painting_side(settings: BaseSettings) -> int:
    """The short side of the paintings in pixels."""
    return settings.painting_size or 2 * settings.crop_size


def _sizes(settings: BaseSettings) -> dict[str, int]:
    """Arguments of the network: those of the file to go on from, or of the preset."""
    if settings.init_from:
        return dict(read_info(Path(settings.init_from))["network"])
    return {**PRESETS[settings.network], "num_styles": 1}


def _save(settings: BaseSettings, path: Path, module: BaseTrainer, info: dict[str, Any]) -> None:
    about = {
        **info,
        "network": _sizes(settings),
        "paintings": module.paintings.num_training,
        "painting_side": _painting_side(settings),
        "settings": {**info["settings"], "paintings": [Path(each).name for each in settings.paintings]},
    }
    save_predictor(path, module.network, module.predictor, about, replace=settings.force)
