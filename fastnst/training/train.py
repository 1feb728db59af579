"""`train`, the whole run: builds the parts, trains, computes the validation loss, writes the style file."""

import base64
import io
import logging
import shlex
import time
from collections.abc import Sequence
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

import torch
from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
from lightning_fabric.utilities.exceptions import MisconfigurationException
from pytorch_lightning import Callback, LightningModule, Trainer, seed_everything
from pytorch_lightning.utilities.exceptions import SIGTERMException
from torch import Tensor

from fastnst.base.cgroups import usable_cores
from fastnst.base.devices import choose_device, describe_device, has_bfloat16_units, multiplies_bfloat16
from fastnst.base.errors import Interrupted, TrainingError, UserError
from fastnst.base.files import sha256
from fastnst.base.versions import installed_version
from fastnst.images.photos import resolve_photo
from fastnst.images.read import load_image
from fastnst.images.write import save_image
from fastnst.networks.catalog import usable_name
from fastnst.networks.network import TransformationNetwork
from fastnst.networks.style_file import save_style
from fastnst.perception.calm import Calm
from fastnst.perception.objective import load_loss_network, load_style_image, perceptual_loss
from fastnst.perception.settings import DEFAULT_STYLE_WEIGHT
from fastnst.training.alarms import Alarms, saturation
from fastnst.training.balance import TARGET, TARGET_TOGETHER, Balance
from fastnst.training.checkpoint import Begun, checked_checkpoint
from fastnst.training.checks import Plan, check_train
from fastnst.training.claim import claimed
from fastnst.training.data import PhotoDataModule
from fastnst.training.events import Events, quiet_lightning
from fastnst.training.monitor import (
    Checkpoints,
    GracefulStop,
    Previews,
    ProgressBar,
    WholeCheckpoints,
    ctrl_c_as_sigterm,
)
from fastnst.training.processes import by_slurm, is_first_process
from fastnst.training.run import Run, to_json
from fastnst.training.schedule import BudgetClock, Clock, Schedule, StepClock
from fastnst.training.settings import LEARNING_RATE, STYLE_PER_PHOTO, NetworkSettings, TrainSettings
from fastnst.training.style_trainer import StyleTrainer, laid_out
from fastnst.training.timed_module import LOG_EVERY
from fastnst.training.together import LOST, Together, is_lost_connection
from fastnst.training.warm_start import load_start, warm_start

DEFAULT_BUDGET = 20 * 60.0  # seconds
SMALLEST_STYLE = 16  # pixels
FEW_PHOTOS = 30  # fewer are warned of
START_PHOTOS = 4  # by which a warm start chooses among the styles of its file
DEAD_WORKER = "a process that decodes photos died, as when memory runs out: --workers 0 decodes without one"
log = logging.getLogger("fastnst")


def train(settings: TrainSettings, *, started: float | None = None, folder: Path = Path()) -> dict[str, Any] | None:
    """Train, and write `checkpoints/NAME.safetensors` and `runs/NAME/`.

    Args:
        settings: Settings of the training.
        started: `time.monotonic()` when the budget began; by default now.
        folder: The folder of `checkpoints/` and `runs/`.

    Returns:
        The description in the style file, and its `path`; None in all but the first process of a distributed run.

    Raises:
        UserError: Settings or files that cannot be used; nothing was changed.
        TrainingError: The loss diverged; the last good checkpoint is kept.
        Interrupted: A signal; the run was saved.
    """
    started = time.monotonic() if started is None else started
    plan = check_train(settings, folder)
    with claimed(plan.run.folder) if is_first_process() else nullcontext():
        if is_first_process():
            plan = check_train(settings, folder)  # another training of this name may have ended in between
        return _train(plan, started)


def _train(plan: Plan, started: float) -> dict[str, Any] | None:
    """As `train`, after the checks, with the name locked."""
    run, settings = plan.run, plan.settings
    start = load_start(plan.start) if plan.start else None  # refuses a broken file
    choose_device(settings.device)  # a UserError if there is none
    clock = _clock(settings, started=started)
    schedule = Schedule(settings.learning_rate or LEARNING_RATE, settings.crop_size)
    seed_everything(settings.seed, verbose=False)
    network = TransformationNetwork(**plan.sizes, num_styles=len(settings.style))
    network = laid_out(network, choose_device(settings.device), bfloat16=_precision(settings) == "bf16-mixed")
    paintings = [_style_image(path, settings) for path in settings.style]
    styles = [{"name": usable_name(path.stem), "sha256": sha256(path)} for path in settings.style]
    loss = perceptual_loss(settings, load_loss_network(settings), paintings)
    own = STYLE_PER_PHOTO if settings.style_per_photo is None else settings.style_per_photo
    target = TARGET_TOGETHER if own < 1 else TARGET
    balance = Balance(DEFAULT_STYLE_WEIGHT, target) if settings.style_weight == "auto" else None
    module = StyleTrainer(
        network,
        loss,
        schedule=schedule,
        clock=clock,
        balance=balance,
        optimizer=settings.optimizer,
        margin=min(settings.margin, network.reach + 1),  # what is further away takes time alone
        style_per_photo=own,
        calm=Calm(paintings, settings.calm) if settings.calm else None,
    )
    photos = PhotoDataModule(
        settings.data,
        batch_size=plan.photos,
        crop_size=lambda step: settings.crop_size,
        margin=module.margin,
        seed=settings.seed,
        workers=count_workers(settings.workers, settings.device),
        visits=settings.visits,
        max_photos=settings.max_photos,
        eval_size=settings.crop_size,
    )
    tells = is_first_process() and not settings.quiet
    if tells and photos.notice:
        log.info(photos.notice)
    if photos.remote:
        asked = time.monotonic()
        photos.prepare_data()
        clock.started += time.monotonic() - asked  # a budget does not include the download of photos
    if start:
        hashes = [style["sha256"] for style in styles]
        crops = photos.first_crops(START_PHOTOS, settings.crop_size)
        begun = warm_start(network, start, loss, crops, hashes, paintings)
        module.began_at = {"name": start.path.stem, "sha256": sha256(start.path), "styles": begun}
    if tells:
        _announce(settings, run, module, photos, paintings)
    counts = photos.describe()
    if is_first_process() and not settings.resume:
        run.begin(settings, plan.sizes)
    with quiet_lightning():
        trainer = _trainer(settings, run, photos, paintings)
        if tells:
            trainer.callbacks.append(TellEnd(settings, run, clock))  # type: ignore[attr-defined]
        fit(trainer, module, photos, run, resume=settings.resume)
        if "held_out/total" not in trainer.callback_metrics:  # stopped during its last evaluation
            trainer.validate(module, photos, verbose=False)
    if not trainer.is_global_zero:
        return None
    info = {
        "name": run.name,
        "styles": styles,
        "network": {**plan.sizes, "num_styles": module.network.num_styles},
        "settings": _without_folders(settings, photos.source) | _found(balance),
        "began_at": module.began_at,
        "data": counts,
        "steps": module.global_step,
        "images": module.global_step * plan.photos,
        "seconds": round(clock.spent(), 1),
        "held_out": {
            name.removeprefix("held_out/"): round(float(value), 6)
            for name, value in trainer.callback_metrics.items()
            if name.startswith("held_out/")
        },
        "precision": _precision(settings),
        "hardware": f"{trainer.world_size} x {describe_device(trainer.strategy.root_device)}",
        "versions": {name: installed_version(name) for name in ("fastnst", "torch", "pytorch-lightning")},
        "preview": _preview(module.network),
    }
    try:
        save_style(run.style_file, module.network, info, replace=settings.force)
    except OSError as error:
        raise run.unfinished(error, "train") from None
    run.checkpoint.unlink(missing_ok=True)
    if module.skipped:
        log.warning("%d unreadable photos were skipped, such as %s", len(module.skipped), min(module.skipped))
    return {**info, "path": str(run.style_file)}


def _found(balance: Balance | None) -> dict[str, float]:
    """The style weight, if the run found it (`auto`)."""
    return {"style_weight": round(balance.weight, 3)} if balance else {}


def _without_folders(settings: TrainSettings, source: str) -> dict[str, Any]:
    """The settings for a style file, which others may get: names of files and folders without their paths."""
    names = {
        "style": [path.name for path in settings.style],
        "init_from": Path(settings.init_from).name,
        "loss_weights": settings.loss_weights.name if settings.loss_weights else None,
    }
    return {**to_json(settings), "data": source, **names}


def _clock(settings: TrainSettings, *, started: float) -> Clock:
    if settings.steps is not None:
        return StepClock(settings.steps, started=started)
    return BudgetClock(settings.budget or DEFAULT_BUDGET, started=started)


def fit(
    trainer: Trainer,
    module: LightningModule,
    photos: PhotoDataModule,
    run: Run,
    *,
    resume: bool,
    command: str = "train",
) -> None:
    """Run Lightning's loop, and turn its errors into ours; `command` is the one that goes on."""
    checkpoint = checked_checkpoint(run.checkpoint, module) if resume else None
    begun = Begun()
    trainer.callbacks.append(begun)  # type: ignore[attr-defined]
    try:
        with ctrl_c_as_sigterm():
            trainer.fit(module, photos, ckpt_path=checkpoint, weights_only=True)
    except SIGTERMException:
        several = [("devices", trainer.num_devices), ("num-nodes", trainer.num_nodes)]
        flags = "".join(f" --{name} {number}" for name, number in several if number > 1)
        how = f"fastnst {command} --resume{flags} --name {shlex.quote(run.name)}"
        raise Interrupted(f"stopped and saved after step {module.global_step}; go on with: {how}") from None
    except SystemExit:  # Lightning exits so after Ctrl-C during its set-up
        raise Interrupted("stopped before the first step") from None
    except (EOFError, ConnectionError):  # it died while a photo was on its way
        raise TrainingError(f"{DEAD_WORKER}{_kept(run)}") from None
    except (UserError, OSError) as error:  # the loss diverged, photos are gone, the disk is full
        raise TrainingError(f"{error}{_kept(run)}") from None
    except MisconfigurationException as error:  # devices that are not there, above all
        raise TrainingError(str(error)) from None
    except Exception as error:
        if "DataLoader worker" in str(error) or "ancdata" in str(error):  # neither torch nor Python has a class for it
            raise TrainingError(f"{DEAD_WORKER}{_kept(run)}") from None
        if trainer.world_size > 1 and is_lost_connection(error):
            raise TrainingError(f"{LOST}{_kept(run)}") from None
        if checkpoint is None or begun.is_so:
            raise
        raise TrainingError(f"{checkpoint} is not of this run, or damaged: start anew with --force") from error


def _kept(run: Run) -> str:
    """What is left after an error, for its line."""
    there = run.checkpoint.exists()
    return f"; the last good state is {run.checkpoint}, --resume goes on from it" if there else ""


def _style_image(path: Path, settings: TrainSettings) -> Tensor:
    """A style image `(1, 3, H, W)`, decoded once: the file of a painting may be huge."""
    image = load_style_image(path, settings.style_size)
    if (short := min(image.shape[-2:])) < SMALLEST_STYLE:
        raise TrainingError(f"{path}: the style image needs {SMALLEST_STYLE} pixels on its short side, got {short}")
    if isinstance(settings.style_size, int) and (long := max(image.shape[-2:])) < settings.style_size:
        log.warning(
            "%s has only %d pixels on its long side, fewer than --style-size %d", path, long, settings.style_size
        )
    return image


def count_workers(asked: int | None, device: str) -> int:
    """Number of processes that decode photos. On a CPU decoding takes a few per cent of a step; a GPU needs several."""
    if asked is not None:
        return asked
    on_cpu = device == "cpu" or not (torch.cuda.is_available() or torch.backends.mps.is_available())
    return 1 if on_cpu else min(8, usable_cores())


def _trainer(settings: TrainSettings, run: Run, photos: PhotoDataModule, paintings: Sequence[Tensor]) -> Trainer:
    few = photos.on_after_batch_transfer(next(iter(photos.val_dataloader())), 0).photos
    names = [usable_name(path.stem) for path in settings.style]
    watchers = [
        Previews(few, every=settings.preview_every, folder=run.folder),
        Alarms(few, names, [saturation(image) for image in paintings]),
    ]
    devices, nodes = settings.devices, settings.num_nodes
    return endless(settings, run, watchers, devices=devices, num_nodes=nodes, precision=_precision(settings))


def endless(
    settings: TrainSettings | NetworkSettings,
    run: Run,
    watchers: Sequence[Callback],
    *,
    devices: int = 1,
    num_nodes: int = 1,
    **options: Any,
) -> Trainer:
    """Lightning's loop over endless batches, with resumable checkpoints and a progress bar; a `TimedModule` ends it.

    Raises:
        TrainingError: Devices that are not there.
    """
    interval = timedelta(seconds=settings.save_every)
    checkpoints = Checkpoints(run.folder, "last", train_time_interval=interval, enable_version_counter=False)
    callbacks: list[Callback] = [checkpoints, GracefulStop(run.checkpoint), *watchers]
    by_its_signals = [SLURMEnvironment(auto_requeue=False)] if by_slurm() else []  # SIGTERM saves: see GracefulStop
    try:
        return Trainer(
            accelerator=settings.device,
            devices=devices,
            num_nodes=num_nodes,
            strategy=Together() if devices * num_nodes > 1 else "auto",
            max_epochs=-1,
            callbacks=callbacks if settings.quiet or not is_first_process() else [*callbacks, ProgressBar()],
            logger=Events(run.folder),
            plugins=[WholeCheckpoints(), *by_its_signals],
            log_every_n_steps=LOG_EVERY,
            val_check_interval=settings.eval_every,
            check_val_every_n_epoch=None,
            num_sanity_val_steps=1,  # times an evaluation, so that a budget can reserve the last one's time
            enable_progress_bar=False,
            enable_model_summary=False,
            use_distributed_sampler=False,  # the data module gives every process its share
            **options,
        )
    except MisconfigurationException as error:
        raise TrainingError(str(error)) from None


def _precision(settings: TrainSettings) -> Literal["bf16-mixed", "32-true"]:
    """Lightning's name of the precision: bfloat16 by autocast with float32 weights, or float32 throughout.

    Processes on CPUs must not measure for themselves which is the faster one: they could find different answers.
    """
    device = choose_device(settings.device)
    measured = device.type != "cpu" or settings.devices * settings.num_nodes == 1
    return "bf16-mixed" if (multiplies_bfloat16 if measured else has_bfloat16_units)(device) else "32-true"


def _announce(
    settings: TrainSettings, run: Run, module: StyleTrainer, photos: PhotoDataModule, paintings: Sequence[Tensor]
) -> None:
    """Log what the run will do, defaults included."""
    parameters = sum(parameter.numel() for parameter in module.network.parameters())
    log.info(
        "%s '%s': %s network (%s parameters), %s photos of %s, %d held out",
        "resuming" if settings.resume else "training",
        run.name,
        settings.network,
        f"{parameters:,}",
        f"{photos.num_photos:,}",
        photos.source,
        len(photos.held_out_names),
    )
    if photos.num_photos < FEW_PHOTOS and settings.data is not None:
        log.warning("%d photos are few: a style wants some hundred of any kind", photos.num_photos)
    sizes = {max(image.shape[-2:]) for image in paintings}
    log.info(
        "style weight %s, style image at %s px, crops of %d px, %s losses on %s, %s, seed %d",
        settings.style_weight,
        " and ".join(str(size) for size in sorted(sizes)),
        settings.crop_size,
        settings.normalization,
        settings.loss_network,
        {"bf16-mixed": "bfloat16", "32-true": "float32"}[_precision(settings)],
        settings.seed,
    )
    if module.began_at:
        log.info("starts from %s (%s)", module.began_at["name"], ", ".join(module.began_at["styles"]))


class TellEnd(Callback):
    """Log when the run will end, once it is known how much of its time earlier processes have taken."""

    def __init__(self, settings: TrainSettings, run: Run, clock: Clock) -> None:
        self._settings, self._run, self._clock = settings, run, clock

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log it."""
        end, clock, run = f"after {self._settings.steps} steps", self._clock, self._run
        if isinstance(clock, BudgetClock):
            end = time.strftime("at about %H:%M:%S", time.localtime(time.time() + clock.seconds - clock.spent()))
        # Only a run in the current folder is found again by its name.
        goes_on = f"; Ctrl-C saves, and --resume --name {shlex.quote(run.name)} goes on" if run.root == Path() else ""
        log.info("ends %s%s", end, goes_on)


def _preview(network: TransformationNetwork, size: int = 160) -> str:
    """The astronaut in every style, side by side, as a base64 JPEG."""
    photo = load_image(resolve_photo("sample:astronaut"), size=size)
    file = io.BytesIO()
    save_image(torch.cat(network.cpu().in_every_style(photo), 3), file, format="JPEG", quality=85)
    return base64.b64encode(file.getvalue()).decode()
