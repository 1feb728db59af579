"""Image optimisation after Gatys et al. (2016), with the loss that networks are trained with.

`optimize(photo, settings)` is the whole command: it reads and checks everything, logs what it will do, minimises from
coarse to fine and writes the best image.
"""

import json
import logging
import math
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fastnst.base.boxes import everything
from fastnst.base.devices import choose_device, describe_device
from fastnst.base.errors import Interrupted, UserError
from fastnst.base.memory import available_memory, saved_bytes
from fastnst.base.progress import progress_bar
from fastnst.base.recipes import recipe_departures
from fastnst.base.versions import installed_version
from fastnst.baseline.checks import check_optimize
from fastnst.baseline.minimize import DivergedError, Iterate, minimize
from fastnst.baseline.problem import (
    Inputs,
    loss_network_of,
    method_of,
    objective_of,
    read_inputs,
    resized,
    scales,
    shape_of,
    start_image,
)
from fastnst.baseline.settings import OptimizeSettings
from fastnst.images.colors import with_colors_of
from fastnst.images.levels import to_levels
from fastnst.images.picture import Picture
from fastnst.images.read import read_picture
from fastnst.images.write import save_image
from fastnst.perception.loss_network import LossNetwork
from fastnst.video.frames import Frames

PROBE = 256  # pixels, short side of the image from which memory is estimated
PEAK, FIXED = 1.5, 128 * 2**20  # of an evaluation: factor to the bytes that autograd keeps, bytes besides (measured)
log = logging.getLogger("fastnst")


def optimize(photo: str, settings: OptimizeSettings) -> dict[str, Any]:
    """Optimise an image and write it.

    Args:
        photo: A file, or `sample:NAME`.
        settings: Settings of `fastnst optimize`.

    Returns:
        JSON values: the file of the result, its losses, iterations, evaluations and seconds, and all settings.

    Raises:
        UserError: Settings or files that cannot be used; nothing was written.
        Interrupted: Ctrl-C; the best image so far was written.
    """
    started = time.perf_counter()
    source, output = check_optimize(photo, settings)
    device = choose_device(settings.device)
    picture = read_picture(source, size=settings.size)
    inputs = read_inputs(picture, settings, device)
    loss_network = loss_network_of(settings, device)
    sizes = scales(inputs.size, settings.scales)
    _check_memory(loss_network, inputs, settings)
    _announce(photo, inputs, sizes, settings)
    way = _Way(settings, total=len(sizes) * settings.iterations * settings.rounds)
    try:
        with ExitStack() as stack:
            way.show(stack, shape=picture.pixels.shape)
            _descend(loss_network, inputs, sizes, settings, way)
    except KeyboardInterrupt:
        kept = f"; the best image so far is {output}" if way.last else " before the first; nothing was written"
        raise Interrupted(f"stopped after {way.iterations} iterations{kept}") from None
    finally:  # also after an error: a disk full of frames must not lose the image
        if way.last is not None:
            _save(way.last.best, picture, output, settings)
    assert way.last is not None  # minimize yields at least one
    height, width = picture.pixels.shape[-2:]
    return {
        "photo": photo,
        "output": str(output),
        "width": width,
        "height": height,
        "sizes": sizes,
        "iterations": way.iterations,
        "evaluations": way.evaluations,
        "losses": {name: value.item() for name, value in way.last.best_losses._asdict().items()},
        "seconds": round(time.perf_counter() - started, 1),
        "hardware": describe_device(device),
        "versions": {name: installed_version(name) for name in ("fastnst", "torch")},
        "settings": json.loads(json.dumps(asdict(settings), default=str)),
    }


def _save(image: Tensor, picture: Picture, output: Path, settings: OptimizeSettings) -> None:
    """Write the image with the photo's metadata; enlarge it if it is of a coarse scale."""
    image = resized(image.cpu(), picture.pixels.shape)
    if settings.keep_colors == "luminance":
        image = with_colors_of(picture.pixels, image)
    picture = picture.painted([(everything(picture.size), to_levels(image, picture.dtype))])
    save_image(picture, output, stylized=True, replace=settings.force)


class _Way:
    """Record of the iterations: progress bar, frames, the last iterate, counts over all scales."""

    def __init__(self, settings: OptimizeSettings, *, total: int) -> None:
        self.last: Iterate | None = None
        self.iterations = self.evaluations = 0
        self._evaluations_before = 0
        self._settings = settings
        self._frames: Frames | None = None
        self._bar = progress_bar(shown=not (settings.quiet or settings.json))
        self._task = self._bar.add_task("optimising", total=total, state="")

    def show(self, stack: ExitStack, *, shape: torch.Size) -> None:
        """Open progress bar and frames; the stack closes both."""
        if self._settings.frames is not None:
            frames = Frames(self._settings.frames, size=(shape[-1], shape[-2]), force=self._settings.force)
            self._frames = stack.enter_context(frames)
        stack.enter_context(self._bar)

    def begin_scale(self, size: int) -> None:
        """Show the next scale."""
        self._bar.update(self._task, description=f"optimising at {size} px")
        self._evaluations_before = self.evaluations

    def add(self, iterate: Iterate) -> None:
        """Show and keep an iterate."""
        self.last = iterate
        self.iterations += 1
        self.evaluations = self._evaluations_before + iterate.evaluations
        losses = iterate.losses
        state = f"loss {losses.total:.4g}  content {losses.content:.4g}  style {losses.style:.4g}"
        self._bar.update(self._task, completed=self.iterations, state=state)
        if self._frames is not None and self.iterations % self._settings.frame_every == 0:
            self._frames.add(iterate.image)


def _descend(
    loss_network: LossNetwork, inputs: Inputs, sizes: Sequence[int], settings: OptimizeSettings, way: _Way
) -> None:
    """Minimise at each scale, from coarse to fine."""
    image: Tensor | None = None
    photo = inputs.photo
    try:
        for size in sizes:
            way.begin_scale(size)
            coarse, photo = photo, resized(inputs.photo, shape_of(inputs.photo, size))
            if image is None:
                image = start_image(inputs, photo, settings)
            else:  # the result so far, with the photo's detail that the smaller size lacks
                image = resized(image, photo.shape) + photo - resized(coarse, photo.shape)
            for iterate in minimize(objective_of(loss_network, inputs, photo, settings), image, method_of(settings)):
                way.add(iterate)
            image = way.last.best if way.last else image
    except DivergedError as error:
        if way.last is None:
            raise
        log.warning("%s; the best image before that is kept", error)


def _check_memory(loss_network: LossNetwork, inputs: Inputs, settings: OptimizeSettings) -> None:
    """Refuse an image that does not fit into memory, and name the size that does.

    The bytes that autograd keeps grow with the number of pixels, so they are measured on a small image.

    Raises:
        UserError: The image does not fit.
    """
    height, width = inputs.photo.shape[-2:]
    scale = PROBE / min(height, width)
    if scale >= 0.5:
        return
    probe = resized(inputs.photo, torch.Size((1, 3, round(height * scale), round(width * scale))))
    objective = objective_of(loss_network, inputs, probe, settings)
    kept = saved_bytes(lambda image: objective(image).total.sum(), probe)
    images = 2 * settings.history + 20 if settings.optimizer == "lbfgs" else 12  # kept by the optimiser
    per_pixel = (kept * PEAK + images * probe.numel() * probe.element_size()) / probe[0, 0].numel()
    needed, free = per_pixel * height * width, available_memory(inputs.photo.device) - FIXED
    if needed > free:
        fits = int(inputs.size * math.sqrt(max(0.0, 0.9 * free / needed)))
        way_out = f"--size {fits} fits" if fits >= 2 * PROBE else "close other programs, or use another machine"
        raise UserError(
            f"{width}x{height} pixels need about {needed / 1e9:.1f} GB of memory "
            f"and {max(0, free) / 1e9:.1f} GB are free: {way_out}"
        )


def _announce(photo: str, inputs: Inputs, sizes: Sequence[int], settings: OptimizeSettings) -> None:
    """Log what will be done, defaults included."""
    height, width = inputs.photo.shape[-2:]
    log.info(
        "optimising '%s' at %dx%d px%s, %s, %s from %s",
        photo,
        width,
        height,
        f" over {', '.join(map(str, sizes))} px" if len(sizes) > 1 else "",
        f"{settings.normalization} losses on {settings.loss_network}, style weight {settings.style_weight:g}",
        f"{settings.optimizer}, {settings.iterations} iterations"
        + (f" in {settings.rounds} rounds" if settings.rounds > 1 else ""),
        settings.init,
    )
    for departure in recipe_departures(settings.recipe) if settings.recipe else ():
        log.info("departs from %s: %s", settings.recipe, departure)
