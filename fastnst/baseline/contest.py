"""The loss that a style was trained with, and the curve of L-BFGS on it.

Knows nothing of comparisons and reports.
"""

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from fastnst.base.errors import UserError
from fastnst.base.files import sha256
from fastnst.baseline.minimize import DivergedError, Iterate, Method, minimize
from fastnst.images.photos import resolve_photo
from fastnst.networks.catalog import StyleFileError, find_mix
from fastnst.networks.style_file import StyleFile, load_style
from fastnst.painting.stylizer import Stylizer
from fastnst.perception.objective import OBJECTIVE, load_loss_network, load_style_image, perceptual_loss
from fastnst.perception.perceptual_loss import Losses, PerceptualLoss
from fastnst.training.run import from_json, to_json
from fastnst.universal.names import find_paintings


class Contest(NamedTuple):
    """A trained network and the loss that it was trained with, on the same device."""

    stylizer: Stylizer
    at_once: Stylizer | None  # the same painting without training, if its network is there
    objective: PerceptualLoss
    sources: dict[str, Any]  # style file and style image, as JSON values


class Baseline(NamedTuple):
    """The result of the optimiser on one photo."""

    curve: list[float]  # loss of the clamped picture after each iteration asked for
    iterations: int  # run; fewer than asked for if no further step lowered the loss
    evaluations: int  # of the loss and its gradient
    losses: Losses  # of the last picture; scalars
    image: Tensor  # the last picture, (1, 3, H, W) in [0, 1]


def load_contest(style: str, style_image: Path, *, loss_weights: Path | None = None, device: str = "auto") -> Contest:
    """The network of a style file, and the loss that the file's settings describe.

    Args:
        style: A name or a file; of a file with several styles, the one that was trained on the image.
        style_image: The file that it was trained on, byte for byte, or `sample:NAME`.
        loss_weights: File with the loss network's weights; needed if the training was given one.
        device: `auto` or torch's name of a device.

    Raises:
        UserError: The files do not belong together, or do not say how the network was trained.
    """
    path, mix = find_mix(style)
    file, image = load_style(path), resolve_photo(str(style_image))
    name = _trained_on(image, file, mix)
    try:
        settings = from_json(file.info["settings"])
    except (KeyError, TypeError, ValueError):
        raise StyleFileError(f"{path} does not tell how it was trained, so there is no objective to compare") from None
    if settings.loss_weights and not loss_weights:
        raise UserError(f"{path} was trained with loss weights from {settings.loss_weights}: give it as --loss-weights")
    stylizer = Stylizer(file, weights={name: 1.0}, device=device)
    sources = {
        "style": name,
        "style_file": {"name": path.name, "sha256": sha256(path)},
        "style_image": {"name": image.name, "sha256": sha256(image)},
        "loss_weights": {"name": loss_weights.name, "sha256": sha256(loss_weights)} if loss_weights else None,
        "objective": {key: to_json(settings)[key] for key in OBJECTIVE},
    }
    picture = load_style_image(image, settings.style_size)
    objective = perceptual_loss(settings, load_loss_network(settings, loss_weights), [picture])
    return Contest(stylizer, _at_once(image, device), objective.to(stylizer.device), sources)


def _at_once(image: Path, device: str) -> Stylizer | None:
    painting = str(image.absolute())
    try:
        return Stylizer(painting, device=device) if find_paintings(painting) else None
    except StyleFileError:  # no network for any painting
        return None


def baseline_curve(
    objective: PerceptualLoss,
    photo: Tensor,
    method: Method,
    *,
    seed: int = 0,
    watch: Callable[[Iterate], object] = lambda _: None,
) -> Baseline:
    """Optimise a photo from noise.

    Args:
        objective: The loss, on the photo's device.
        photo: `(1, 3, H, W)`, sRGB in [0, 1].
        method: See `Method`; one round.
        seed: Seed of the noise.
        watch: Called after each iteration.

    Returns:
        Its curve has `method.iterations` values; if the optimiser ends early, the last value is repeated.

    Raises:
        DivergedError: The loss is not finite, or no step lowers it.
    """
    curve: list[float] = []
    last: Iterate | None = None
    for last in from_noise(objective, photo, method, seed=seed):
        curve.append(last.losses.total.item())
        watch(last)
    if last is None:
        raise DivergedError("no step from the noise makes the objective smaller")
    unused = method.iterations - len(curve)
    return Baseline(curve + curve[-1:] * unused, len(curve), last.evaluations, last.losses, last.image)


def from_noise(objective: PerceptualLoss, photo: Tensor, method: Method, *, seed: int = 0) -> Iterator[Iterate]:
    """The optimiser's iterates from noise, uniform in [0, 1], to a stylized photo `(1, 3, H, W)`."""
    noise = torch.rand(photo.shape, generator=torch.Generator().manual_seed(seed)).to(photo.device)
    targets = objective.content_targets(photo)
    yield from minimize(lambda image: objective(image, targets), noise, method)


def mean_curve(curves: Sequence[Sequence[float]]) -> list[float]:
    """The average of curves of the same length.

    Example:
        >>> mean_curve([[4.0, 2.0], [2.0, 1.0]])
        [3.0, 1.5]
    """
    return [statistics.fmean(values) for values in zip(*curves, strict=True)]


def equivalent_iterations(curve: Sequence[float], value: float) -> int | None:
    """The first iteration, from 1, after which the loss is at or below a value; None if there is none.

    Example:
        >>> equivalent_iterations([3.0, 2.0, 1.0], 2.5)
        2
    """
    return next((iteration for iteration, reached in enumerate(curve, 1) if reached <= value), None)


def _trained_on(image: Path, file: StyleFile, mix: Mapping[str, float] | None) -> str:
    """The style that was trained on this image, of the file's styles or of the one chosen."""
    if mix and len(mix) > 1:
        raise StyleFileError(f"a mix has no objective that it was trained for; name one style: {', '.join(mix)}")
    meant = {style["name"]: style.get("sha256") for style in file.info["styles"] if not mix or style["name"] in mix}
    found = sha256(image)
    if found not in meant.values():
        raise StyleFileError(
            f"{image} is not the picture that {' or '.join(meant)} was trained on, byte for byte (SHA-256 differs)"
        )
    return next(str(name) for name in meant if meant[name] == found)
