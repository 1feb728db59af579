"""`train_network`: a whole run that trains a network for any painting, and writes its file."""

import logging
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any, TypeVar

from pytorch_lightning import seed_everything

from fastnst.base.devices import choose_device, describe_device
from fastnst.base.versions import installed_version
from fastnst.training.checks import check_network
from fastnst.training.claim import claimed
from fastnst.training.data import PhotoDataModule
from fastnst.training.events import quiet_lightning
from fastnst.training.monitor import Previews
from fastnst.training.processes import is_first_process
from fastnst.training.run import Run
from fastnst.training.schedule import BudgetClock, Clock, Schedule, StepClock
from fastnst.training.settings import NetworkSettings
from fastnst.training.timed_module import TimedModule
from fastnst.training.train import count_workers, endless, fit

DEFAULT_BUDGET = 60 * 60.0  # seconds
Module = TypeVar("Module", bound=TimedModule)
S = TypeVar("S", bound=NetworkSettings)
log = logging.getLogger("fastnst")


def train_network(
    settings: S,
    module_of: Callable[[S, Clock, Schedule], Module],
    save: Callable[[S, Path, Module, dict[str, Any]], None],
    previews: type[Previews],
    command: str,
    *,
    growth: tuple[tuple[float, float], ...] = (),
    started: float | None = None,
    folder: Path = Path(),
    **options: Any,
) -> dict[str, Any] | None:
    """Train a module that the settings describe, and write `checkpoints/NAME.safetensors` and `runs/NAME/`.

    Args:
        settings: Settings of the training.
        module_of: Makes the module to train; the settings are those that a resumed run was started with.
        save: Writes the file of a trained module with its description.
        previews: The callback that paints previews.
        command: The command's name, for messages.
        growth: Of the crops; see `Schedule`.
        started: `time.monotonic()` when the budget began; by default now.
        folder: The folder of `checkpoints/` and `runs/`.
        options: Of Lightning's trainer.

    Returns:
        The description in the file, and its `path`; None in all but the first process of a distributed run.

    Raises:
        UserError: Settings or files that cannot be used; nothing was changed.
        TrainingError: The loss is no number; the last good checkpoint is kept.
        Interrupted: A signal; the run was saved.
    """
    started = time.monotonic() if started is None else started
    run, settings = check_network(settings, folder)
    with claimed(run.folder) if is_first_process() else nullcontext():
        choose_device(settings.device)  # a UserError if there is none
        clock = _clock(settings, started)
        schedule = Schedule(settings.learning_rate, settings.crop_size, growth=growth)
        seed_everything(settings.seed, verbose=False)
        module = module_of(settings, clock, schedule)
        photos = _photos(settings, schedule, clock, margin=module.margin)
        if photos.remote:
            asked = time.monotonic()
            photos.prepare_data()
            clock.started += time.monotonic() - asked  # a budget does not include the download of photos
        counts = photos.describe()
        _announce(settings, run, module, photos, command)
        if is_first_process() and not settings.resume:
            run.begin_with(vars(settings))
        with quiet_lightning():
            few = photos.on_after_batch_transfer(next(iter(photos.val_dataloader())), 0).photos
            watchers = [previews(few, every=settings.preview_every, folder=run.folder)]
            trainer = endless(settings, run, watchers, devices=1, **options)
            fit(trainer, module, photos, run, resume=settings.resume, command=command)
            evaluated = any(name.startswith("held_out/") for name in trainer.callback_metrics)  # not if stopped in it
            if module.finish(photos) or not evaluated:
                trainer.validate(module, photos, verbose=False)
        if not trainer.is_global_zero:
            return None
        info = {
            "name": run.name,
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
            save(settings, run.style_file, module, info)
        except OSError as error:
            raise run.unfinished(error, command) from None
        run.checkpoint.unlink(missing_ok=True)
        if module.skipped:
            log.warning("%d unreadable photos were skipped, such as %s", len(module.skipped), min(module.skipped))
        return {**info, "path": str(run.style_file)}


def _clock(settings: NetworkSettings, started: float) -> Clock:
    if settings.steps:
        return StepClock(settings.steps, started=started)
    return BudgetClock(settings.budget or DEFAULT_BUDGET, started=started)


def _photos(settings: NetworkSettings, schedule: Schedule, clock: Clock, *, margin: int) -> PhotoDataModule:
    return PhotoDataModule(
        settings.data,
        batch_size=settings.batch_size,
        crop_size=lambda step: schedule.crop_size_at(clock.progress(step)),
        margin=margin,
        seed=settings.seed,
        workers=count_workers(settings.workers, settings.device),
        visits=settings.visits,
        max_photos=settings.max_photos,
        eval_size=settings.crop_size,
    )


def _announce(settings: NetworkSettings, run: Run, module: TimedModule, photos: PhotoDataModule, command: str) -> None:
    if not is_first_process() or settings.quiet:
        return
    if photos.notice:
        log.info(photos.notice)
    parameters = sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)
    what = "resuming" if settings.resume else "training"
    number, source = f"{photos.num_photos:,}", photos.source
    log.info("%s '%s': %s parameters, %s photos of %s", what, run.name, f"{parameters:,}", number, source)
    length = f"{settings.steps} steps" if settings.steps else f"{(settings.budget or DEFAULT_BUDGET) / 60:g} min"
    log.info("ends after %s; Ctrl-C saves, and fastnst %s --resume --name %s goes on", length, command, run.name)
