"""Figure 1 of Gatys et al. (2016): images optimised from noise to match an image's content or style, layer by layer.

`reconstruct(image, settings)` is the whole command: it checks everything, optimises an image for each layer or set of
layers, and writes the images, a contact sheet and their losses.
"""

import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from fastnst.base.devices import choose_device, describe_device
from fastnst.base.errors import Interrupted, UserError
from fastnst.base.files import write_json
from fastnst.base.progress import progress_bar
from fastnst.base.versions import installed_version
from fastnst.baseline.checks import check_reconstruct
from fastnst.baseline.minimize import Iterate, Method, minimize
from fastnst.baseline.settings import ReconstructSettings
from fastnst.images.read import load_image
from fastnst.images.sheet import contact_sheet
from fastnst.images.write import save_image
from fastnst.perception.architectures import NETWORKS
from fastnst.perception.loss_network import LossNetwork
from fastnst.perception.perceptual_loss import PerceptualLoss

ROW = 6  # images in a row of the sheet: the figure's five, and the image itself

# Gatys et al. (2016), figure 1, a to e: content from each layer on its own, style from the layers up to each. What the
# paper calls conv1_1 is rectified in its network; the Gram matrix of an unrectified one hardly tells an image from its
# negative, and colours come out wrong.
FIGURE = {
    "content": ("relu1_2", "relu2_2", "relu3_2", "relu4_2", "relu5_2"),
    "style": ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"),
}

# The corresponding layers of other networks: the first ReLU, then the ends of blocks.
OTHER_FIGURES = {
    "densenet121": (
        *("conv1_relu", "conv2_block6_concat", "conv3_block12_concat", "conv4_block24_concat"),
        "conv5_block16_concat",
    ),
    "squeezenet1_1": ("relu1", "fire3", "fire5", "fire7", "fire9"),
    "squeezenet1_0-caffe": ("relu1", "fire3", "fire5", "fire7", "fire9"),
}


class Reconstruction(NamedTuple):
    """The best image so far for some layers, and its distance from the target."""

    layers: tuple[str, ...]
    image: Tensor  # (1, 3, H, W) in [0, 1]
    loss: float  # with total variation
    distance: float  # relative, of content or style alone
    noise_distance: float  # of the noise that it started from
    iterations: int
    evaluations: int
    seconds: float


def reconstruct(image: str, settings: ReconstructSettings) -> dict[str, Any]:
    """Optimise an image for each layer or set of layers, and write the images into a folder.

    The folder gets `01_conv1_2.png` and so on, each as soon as it is finished, and at the end `sheet.png` and
    `losses.json`. If the work ends early, the folder has everything up to then.

    Args:
        image: A file, or `sample:NAME`.
        settings: Settings of `fastnst reconstruct`; `layers` may have the words of `expand`.

    Returns:
        The content of `losses.json`, and the folder as `output`.

    Raises:
        UserError: Settings or files that cannot be used; nothing was changed.
        Interrupted: Ctrl-C; all images so far are written.
    """
    path, folder = check_reconstruct(image, settings)
    device = choose_device(settings.device)
    photo = load_image(path, size=settings.size).to(device)
    layers = expand(
        settings.layers or OTHER_FIGURES.get(settings.loss_network, FIGURE[settings.kind]), settings.loss_network
    )
    loss_network = LossNetwork(
        layers, name=settings.loss_network, weights=settings.loss_weights or "default", pooling=settings.pooling
    )
    loss_network = loss_network.to(device).to(memory_format=torch.channels_last)
    with torch.no_grad():
        loss_network(photo)  # a UserError if the photo is too small for one of the layers
    folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK):
        raise UserError(f"{folder} cannot be written to")
    record = {**_settings(image, photo, settings), "complete": False}
    files = layer_sets(layers, settings.kind)
    found: dict[str, Reconstruction] = {}  # by file, in the order of optimisation
    try:
        with _progress(len(files) * settings.iterations, shown=not settings.quiet and not settings.json) as show:
            for index, (file, chosen) in enumerate(files.items()):
                for best in search(photo, loss_network, chosen, settings):
                    found[file] = best
                    show(index * settings.iterations + best.iterations, f"{chosen[-1]}  loss {best.loss:.3g}")
                save_image(found[file].image, folder / file)
        record["complete"] = True
    except KeyboardInterrupt:
        raise Interrupted(_stopped(list(found.values()), len(files), folder)) from None
    finally:
        if found:
            title = f"{path.name}: {settings.kind}, {settings.loss_network}"
            record["layers"] = [_entry(file, one, settings.kind) for file, one in found.items()]
            file, last = list(found.items())[-1]
            save_image(last.image, folder / file)  # may be unfinished
            save_image(sheet(photo, list(found.values()), title), folder / "sheet.png")
            write_json(folder / "losses.json", record)
    return {**record, "output": str(folder)}


def expand(words: Sequence[str], network: str) -> list[str]:
    """The layers for words, in their order.

    `all` and the names in `blocks` stand for several layers; any other word is the name of a layer, or `LossNetwork`
    refuses it. Of several names for one layer the first is kept.

    Example:
        >>> expand(["relu1_1", "block1", "block1_conv2"], "vgg19")
        ['relu1_1', 'conv1_1', 'conv1_2', 'relu1_2', 'pool1']
    """
    if network not in NETWORKS:
        return list(words)  # refused by LossNetwork
    known, aliases = blocks(network), NETWORKS[network].aliases
    names: dict[str, str] = {}  # by layer
    for name in (name for word in words for name in known.get(word, [word])):
        names.setdefault(aliases.get(name, name), name)
    return list(names.values())


def blocks(network: str) -> dict[str, list[str]]:
    """Layers of a loss network by block, in the order they run.

    `all` has every layer. `block1` has those down to the first pooling, `block2` those after it down to the second,
    and so on, each with its pooling. A dense block goes by torchvision's name and by Keras's: `denseblock2` or
    `conv3`, without the transition after it. (As the name of a single layer, `denseblock2` is the last one here.)
    """
    steps = [step.name for step in NETWORKS[network].plan()]
    found: dict[str, list[str]] = {"all": steps}
    number = 1
    for step in steps:
        found.setdefault(f"block{number}", []).append(step)
        number += bool(re.fullmatch(r"pool\d(_pool)?", step))
    for alias, last in NETWORKS[network].aliases.items():
        if alias.startswith("denseblock"):
            prefix = last.partition("_")[0]
            found[alias] = found[prefix] = [step for step in steps if step.startswith(f"{prefix}_")]
    return found


def layer_sets(layers: Sequence[str], kind: str) -> dict[str, tuple[str, ...]]:
    """For each image its file and the layers that it should match.

    Content: one layer. Style: all layers up to one, as in Gatys et al. (2016), figure 1.
    """
    digits = max(2, len(str(len(layers))))
    return {
        f"{number:0{digits}}_{layer}.png": tuple(layers[:number]) if kind == "style" else (layer,)
        for number, layer in enumerate(layers, 1)
    }


def search(
    photo: Tensor, loss_network: LossNetwork, layers: tuple[str, ...], settings: ReconstructSettings
) -> Iterator[Reconstruction]:
    """The best image so far, after each iteration from noise; the noise is the same for all layers.

    Differs from Gatys et al. (2016): losses are relative, so that one number tells how near an image is at any layer,
    and the layers of a style count alike whatever the size of their Gram matrices.
    """
    started = time.perf_counter()
    style_layers, content_layers = (layers, ()) if settings.kind == "style" else ((), layers)
    loss = PerceptualLoss(
        loss_network,
        [photo],
        content_layers=content_layers,
        style_layers=style_layers,
        style_weight=1.0,
        variation_weight=settings.tv_weight,
    )
    targets = loss.content_targets(photo)
    noise = torch.rand(photo.shape, generator=torch.Generator().manual_seed(settings.seed)).to(photo)
    with torch.no_grad():
        at_noise = loss(noise, targets).mean()

    def best(state: Iterate) -> Reconstruction:
        return Reconstruction(
            layers,
            state.best,
            loss=state.best_losses.total.item(),
            distance=getattr(state.best_losses, settings.kind).item(),
            noise_distance=getattr(at_noise, settings.kind).item(),
            iterations=state.iteration,
            evaluations=state.evaluations,
            seconds=time.perf_counter() - started,
        )

    method = Method("lbfgs", settings.iterations, settings.history)
    yield from map(best, minimize(lambda image: loss(image, targets), noise, method))


def sheet(photo: Tensor, found: Sequence[Reconstruction], title: str) -> Tensor:
    """A sheet `(1, 3, H, W)` of the photo and the reconstructions, with layers and distances as captions.

    The caption `+ conv2_1` means that layer and all before it.
    """
    images, captions = [photo], ["original"]
    for one in found:
        images.append(one.image)
        captions.append(f"{'+ ' if len(one.layers) > 1 else ''}{one.layers[-1]} {one.distance:.2g}")
    bands: list[Tensor] = []
    for first in range(0, len(images), ROW):
        row = slice(first, first + ROW)
        bands.append(contact_sheet([images[row]], columns=captions[row], title="" if first else title))
    width = max(band.shape[-1] for band in bands)
    return torch.cat([F.pad(band, (0, width - band.shape[-1]), value=1.0) for band in bands], 2)


def _settings(image: str, photo: Tensor, settings: ReconstructSettings) -> dict[str, Any]:
    """The settings and versions that repeat the numbers."""
    return {
        "image": image if image.startswith("sample:") else Path(image).name,
        "kind": settings.kind,
        "loss_network": settings.loss_network,
        "loss_weights": settings.loss_weights.name if settings.loss_weights else None,
        "pooling": settings.pooling,
        "size": settings.size,
        "width": photo.shape[-1],
        "height": photo.shape[-2],
        "iterations": settings.iterations,
        "history": settings.history,
        "tv_weight": settings.tv_weight,
        "seed": settings.seed,
        "hardware": describe_device(photo.device),
        "versions": {name: installed_version(name) for name in ("fastnst", "torch")},
    }


def _entry(file: str, found: Reconstruction, kind: str) -> dict[str, Any]:
    return {
        "layers": list(found.layers),
        "file": file,
        "loss": found.loss,
        kind: found.distance,
        f"{kind}_of_noise": found.noise_distance,
        "iterations": found.iterations,
        "evaluations": found.evaluations,
        "seconds": round(found.seconds, 3),
    }


def _stopped(found: Sequence[Reconstruction], wanted: int, folder: Path) -> str:
    if not found:
        return "stopped before the first iteration: nothing was written"
    where = f"{found[-1].layers[-1]}, iteration {found[-1].iterations}"
    return f"stopped at {where}: {len(found)} of {wanted} images, with their sheet and losses, are in {folder}"


@contextmanager
def _progress(total: int, *, shown: bool) -> Iterator[Callable[[int, str], None]]:
    """A line on stderr with the layer and its loss; yields a function that updates it."""
    bar = progress_bar(shown=shown)
    task = bar.add_task("reconstructing", total=total, state="")
    with bar:
        yield lambda completed, state: bar.update(task, completed=completed, state=state)
