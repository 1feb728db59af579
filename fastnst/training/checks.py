"""Checks of a training's settings and files, before anything is changed.

Imports neither torch nor anything that does, so that bad input is answered at once.
"""

import json
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from fastnst.base.errors import TrainingError
from fastnst.base.files import check_folder, check_place, read_whole
from fastnst.base.options import check_values
from fastnst.images.photos import existing_photo, resolve_photo
from fastnst.networks.catalog import SUFFIX, StyleFileError, find_style_file, is_known, read_info, usable_name
from fastnst.networks.description import PREDICTOR
from fastnst.networks.presets import PRESETS, NetworkName
from fastnst.training.claim import check_unclaimed
from fastnst.training.processes import check_alone, check_processes
from fastnst.training.run import Run
from fastnst.training.settings import (
    LEARNING_RATE,
    LEARNING_RATE_FROM_START,
    STYLE_PER_PHOTO,
    STYLE_PER_PHOTO_FROM_START,
    BaseSettings,
    NetworkSettings,
    ProbeSettings,
    TrainSettings,
)
from fastnst.training.sources import find_source

AUTO, NOTHING = "auto", "none"
S = TypeVar("S", bound=NetworkSettings)


class Plan(NamedTuple):
    """A training whose settings are checked."""

    run: Run
    settings: TrainSettings  # of a resumed run: those it was started with
    start: Path | None  # the style file to start from
    sizes: dict[str, int]  # arguments of the network
    photos: int  # of a step, over all processes


def check_train(settings: TrainSettings, folder: Path = Path()) -> Plan:
    """Check settings and files; changes nothing.

    Args:
        settings: Settings of the training.
        folder: The folder of `runs/` and `checkpoints/`.

    Raises:
        UserError: Settings or files that cannot be used.
    """
    settings = replace(settings, style=tuple(resolve_photo(str(path)) for path in settings.style))
    run = Run.of(settings, folder)
    check_unclaimed(run.folder)
    check_places(run)
    settings = run.check_resumed(settings) if settings.resume else run.check_new(settings)
    photos = _photos_a_step(run, settings)
    start = None if settings.resume else find_start(settings.init_from, settings.network)
    sizes = run.sizes(settings.network) if settings.resume else sizes_of(settings.network, start)
    if settings.learning_rate is None:
        settings = replace(settings, learning_rate=LEARNING_RATE_FROM_START if start else LEARNING_RATE)
    if settings.style_per_photo is None:
        settings = replace(settings, style_per_photo=STYLE_PER_PHOTO_FROM_START if start else STYLE_PER_PHOTO)
    for path in settings.style:
        if not path.exists() and is_known(str(path)):
            raise TrainingError(
                f"{path} is a trained style: fastnst apply photo.jpg --style {path}; a training wants a picture of a "
                "painting: --style painting.jpg"
            )
        existing_photo(str(path))
    if settings.loss_weights is not None and not settings.loss_weights.exists():
        raise TrainingError(f"{settings.loss_weights}: no such file")
    find_source(settings.data, settings.max_photos)
    return Plan(run, settings, start, sizes, photos)


def _photos_a_step(run: Run, settings: TrainSettings) -> int:
    """Photos of a step over all processes; a resumed run keeps its number, whatever it is resumed on.

    Raises:
        TrainingError: Fewer photos than processes, or processes that were not started.
    """
    check_processes(settings.devices, settings.num_nodes)
    processes = settings.devices * settings.num_nodes
    photos = run.photos_a_step() if settings.resume else settings.batch_size * processes
    if photos < processes:
        raise TrainingError(f"the run has {photos} photos a step: expected at most so many devices, got {processes}")
    return photos


def check_places(run: Run) -> None:
    """Refuse a run whose files could not be written."""
    for file in (run.checkpoint, run.style_file):
        check_place(file)


def check_network(settings: S, folder: Path = Path()) -> tuple[Run, S]:
    """Check the settings of `train-universal` or `train-base`; changes nothing.

    Returns:
        The run, and its settings: of a resumed run those it was started with.

    Raises:
        UserError: Settings or files that cannot be used.
    """
    if settings.name != usable_name(settings.name):
        raise TrainingError(f'a name has none of / \\ : , * ? " < > |, got {settings.name!r}')
    check_alone()
    run = Run(settings.name, folder)
    check_unclaimed(run.folder)
    check_places(run)
    if settings.budget is not None and settings.steps is not None:
        raise TrainingError("--budget and --steps exclude each other, got both")
    if settings.resume:
        settings = _resumed(run, settings)
    elif run.checkpoint.exists() and not settings.force:
        raise TrainingError(f"{run.folder} holds an unfinished run: --resume goes on, --force starts anew")
    if run.style_file.exists() and not settings.force:
        raise TrainingError(f"{run.style_file} exists: choose another --name, or --force to replace it")
    if settings.init_from and not Path(settings.init_from).exists():
        raise TrainingError(f"{settings.init_from}: no such file")
    if isinstance(settings, BaseSettings):
        _check_paintings(settings.paintings)
    find_source(settings.data, settings.max_photos)
    return run, settings


def _check_paintings(folders: Sequence[str]) -> None:
    if not folders:
        raise TrainingError("folders of paintings are needed: fastnst train-base --paintings FOLDER")
    for folder in folders:
        if not Path(folder).is_dir():
            raise TrainingError(f"{folder}: no such folder")


def _resumed(run: Run, asked: S) -> S:
    """The settings that an unfinished run was started with; of the new ones only what does not change its numbers."""
    if not run.checkpoint.exists() or not run.settings.exists():
        raise TrainingError(f"no unfinished run in {run.folder}, which would have a last.ckpt there")
    try:
        values = json.loads(read_whole(run.settings))
        tuples: Any = {name: tuple(each) if isinstance(each, list) else each for name, each in values.items()}
        saved = replace(asked, **tuples)
        check_values(saved)
    except (ValueError, TypeError, AttributeError, RecursionError):
        raise TrainingError(f"{run.settings} is damaged: start anew with --force") from None
    new = ("resume", "quiet", "json", "workers", "device")
    settings: S = replace(saved, **{key: getattr(asked, key) for key in new}, force=asked.force or saved.force)
    default = type(asked)()
    for field in fields(settings):
        value = getattr(asked, field.name)
        if value not in (getattr(default, field.name), getattr(settings, field.name)):
            flag, started = f"--{field.name.replace('_', '-')}", getattr(settings, field.name)
            raise TrainingError(f"the run was started with {flag} {started}, not {value}: leave {flag} out")
    return settings


def find_start(init_from: str, network: NetworkName) -> Path | None:
    """The file to start from, by name or path. `auto`: the shipped predictor, if its network has this size.

    Raises:
        StyleFileError: No style of that name, or not a style file.
    """
    if init_from == NOTHING:
        return None
    if init_from == AUTO:
        return _shipped_start(network)
    path = find_style_file(init_from)
    if path.suffix != SUFFIX:
        raise StyleFileError(f"{path} is not a style file")
    return path


def _shipped_start(network: NetworkName) -> Path | None:
    try:
        predictor = find_style_file(PREDICTOR)
    except StyleFileError:
        return None
    return predictor if _sizes_in(predictor) == PRESETS[network] else None


def sizes_of(network: NetworkName, start: Path | None) -> dict[str, int]:
    """Arguments of the network to train: those of a start of that name, whose sizes may be of an earlier version."""
    if start and (read_info(start).get("settings") or {}).get("network") == network:
        return _sizes_in(start)
    return PRESETS[network]


def _sizes_in(start: Path) -> dict[str, int]:
    return {name: size for name, size in read_info(start)["network"].items() if name != "num_styles"}


def check_probe(settings: ProbeSettings) -> Path:
    """Check the settings of a probe; returns the folder that it writes to.

    Raises:
        UserError: Settings or files that cannot be used.
    """
    check_alone()
    style = existing_photo(str(settings.style))
    folder = settings.output or Path(f"probe-{usable_name(style.stem)}")
    check_folder(folder, force=settings.force)
    for photo in settings.photo:
        existing_photo(photo)
    find_source(settings.data, None)
    find_start(settings.init_from, settings.network)
    return folder
