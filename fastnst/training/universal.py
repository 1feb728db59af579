"""`train_universal`, the whole run: trains an autoencoder for any painting and writes its file."""

import logging
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import LightningModule, Trainer, seed_everything
from torch import Tensor

from fastnst.base.devices import choose_device, describe_device
from fastnst.base.errors import TrainingError
from fastnst.base.versions import installed_version
from fastnst.training.checks import check_universal
from fastnst.training.claim import claimed, is_first_process
from fastnst.training.data import PhotoDataModule
from fastnst.training.monitor import Previews
from fastnst.training.run import Run
from fastnst.training.schedule import BudgetClock, Clock, Schedule, StepClock
from fastnst.training.settings import UniversalSettings
from fastnst.training.train import count_workers, endless, fit, quiet_lightning
from fastnst.training.universal_trainer import UniversalTrainer
from fastnst.universal.autoencoder import LEVELS, Autoencoder, vgg19
from fastnst.universal.file import load_autoencoder, save_autoencoder

DEFAULT_BUDGET = 60 * 60.0  # seconds
COMMAND = "train-universal"
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
    """Train, and write `checkpoints/NAME.safetensors` and `runs/NAME/`.

    Args:
        settings: Settings of the training.
        started: `time.monotonic()` when the budget began; by default now.
        folder: The folder of `checkpoints/` and `runs/`.

    Returns:
        The description in the file, and its `path`; None in all but the first process of a distributed run.

    Raises:
        UserError: Settings or files that cannot be used; nothing was changed.
        TrainingError: The loss is no number; the last good checkpoint is kept.
        Interrupted: A signal; the run was saved.
    """
    started = time.monotonic() if started is None else started
    run, settings = check_universal(settings, folder)
    with claimed(run.folder) if is_first_process() else nullcontext():
        return _train(run, settings, started)


def _train(run: Run, settings: UniversalSettings, started: float) -> dict[str, Any] | None:
    choose_device(settings.device)  # a UserError if there is none
    clock: Clock = (
        StepClock(settings.steps, started=started)
        if settings.steps
        else BudgetClock(settings.budget or DEFAULT_BUDGET, started=started)
    )
    schedule = Schedule(settings.learning_rate, settings.crop_size)
    seed_everything(settings.seed, verbose=False)
    teacher = vgg19()
    network = _network(settings, teacher)
    module = UniversalTrainer(network, teacher if settings.encoder == "slim" else None, schedule=schedule, clock=clock)
    photos = PhotoDataModule(
        settings.data,
        batch_size=settings.batch_size,
        crop_size=lambda step: schedule.crop_size_at(clock.progress(step)),
        seed=settings.seed,
        workers=count_workers(settings.workers, settings.device),
        visits=settings.visits,
        max_photos=settings.max_photos,
        eval_size=settings.crop_size,
    )
    if photos.remote:
        asked = time.monotonic()
        photos.prepare_data()
        clock.started += time.monotonic() - asked  # a budget does not include the download of photos
    counts = photos.describe()
    _announce(settings, run, network, photos)
    if is_first_process() and not settings.resume:
        run.begin_with(vars(settings))
    with quiet_lightning():
        trainer = _trainer(settings, run, photos)
        fit(trainer, module, photos, run, resume=settings.resume, command=COMMAND)
        if f"held_out/psnr_{LEVELS}" not in trainer.callback_metrics:  # stopped during its last evaluation
            trainer.validate(module, photos, verbose=False)
    if not trainer.is_global_zero:
        return None
    info = {
        "name": run.name,
        "network": {"channels": list(network.channels), "encoder": settings.encoder},
        "settings": {**vars(settings), "data": photos.source, "init_from": settings.init_from and "given"},
        "data": counts,
        "steps": module.global_step,
        "seconds": round(clock.spent(), 1),
        "held_out": {
            name.removeprefix("held_out/"): round(float(value), 3)
            for name, value in trainer.callback_metrics.items()
            if name.startswith("held_out/")
        },
        "hardware": f"{trainer.world_size} x {describe_device(trainer.strategy.root_device)}",
        "versions": {name: installed_version(name) for name in ("fastnst", "torch", "pytorch-lightning")},
    }
    try:
        save_autoencoder(run.style_file, network, info, replace=settings.force)
    except FileExistsError as error:
        raise TrainingError(f"{error}; the run is kept: fastnst {COMMAND} --resume --force") from None
    run.checkpoint.unlink(missing_ok=True)
    if module.skipped:
        log.warning("%d unreadable photos were skipped, such as %s", len(module.skipped), min(module.skipped))
    return {**info, "path": str(run.style_file)}


def _network(settings: UniversalSettings, teacher: Autoencoder) -> Autoencoder:
    """The network to train; without a file to go on from, with random weights where it is not VGG19."""
    network = teacher if settings.encoder == "vgg19" else Autoencoder()
    if settings.init_from and not settings.resume:
        earlier = load_autoencoder(Path(settings.init_from))
        if earlier.channels != network.channels:
            raise TrainingError(f"{settings.init_from} has other channels than --encoder {settings.encoder}")
        network.load_state_dict(earlier.state_dict())
    return network.to(memory_format=torch.channels_last)


def _trainer(settings: UniversalSettings, run: Run, photos: PhotoDataModule) -> Trainer:
    few = photos.on_after_batch_transfer(next(iter(photos.val_dataloader())), 0).photos
    return endless(settings, run, [Reconstructions(few, every=settings.preview_every, folder=run.folder)], devices=1)


def _announce(settings: UniversalSettings, run: Run, network: Autoencoder, photos: PhotoDataModule) -> None:
    if not is_first_process() or settings.quiet:
        return
    if photos.notice:
        log.info(photos.notice)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    what = "resuming" if settings.resume else "training"
    number, source = f"{photos.num_photos:,}", photos.source
    log.info("%s '%s': %s parameters, %s photos of %s", what, run.name, f"{parameters:,}", number, source)
    length = f"{settings.steps} steps" if settings.steps else f"{(settings.budget or DEFAULT_BUDGET) / 60:g} min"
    log.info("ends after %s; Ctrl-C saves, and fastnst %s --resume --name %s goes on", length, COMMAND, run.name)
