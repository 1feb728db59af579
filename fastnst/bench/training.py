"""`fastnst bench`: a training step of fastnst beside two plain PyTorch loops with the same network, batch and losses.

The *usual* loop is the pytorch/examples one. The *competent* loop computes nothing that it does not need. All are timed
side by side in one run: a ratio can be compared between machines, a time cannot.
"""

import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch import Tensor, nn
from torch.nn import functional as F

from fastnst.base.devices import measured_on, multiplies_bfloat16
from fastnst.bench.report import check_output, report, summarize
from fastnst.bench.settings import BenchSettings
from fastnst.images.photos import resolve_photo
from fastnst.networks.network import BlockConv2d, ConvNorm, TransformationNetwork, UpsampleConvNorm
from fastnst.networks.presets import PRESETS, NetworkName
from fastnst.perception.loss_network import LossNetwork
from fastnst.perception.losses import squared_distance
from fastnst.perception.objective import load_style_image
from fastnst.perception.perceptual_loss import PerceptualLoss
from fastnst.perception.settings import CONTENT_LAYERS, DEFAULT_STYLE_WEIGHT, STYLE_LAYERS, Padding
from fastnst.training.pooled import PooledStatistics
from fastnst.training.settings import LEARNING_RATE, STYLE_PER_PHOTO_FROM_START, TrainSettings
from fastnst.training.style_trainer import BORDER_EVERY, BORDER_WEIGHT, border_loss, laid_out, make_optimizer

WHOLE_VGG = "pool5"  # the last layer before the classifier
SAME_LOSS = 2e-2  # relative difference; bfloat16 has eight bits


class Loop(NamedTuple):
    """A way to train."""

    network: nn.Module
    optimizer: torch.optim.Optimizer
    step: Callable[[Tensor], Tensor]  # photos (B, 3, H, W) to the loss before the step
    visits: int = 1  # steps that one call makes with these photos


def bench_training(settings: BenchSettings) -> dict[str, Any]:
    """Time a training step of fastnst and of two plain loops; print a table or JSON.

    The plain loops share network, weights, batch and loss, but use torch's own instance norm, a Gram matrix of two
    lines, the ordinary memory layout and float32. Where a training multiplies in bfloat16, the fastnst step does, and
    the competent loop is timed in both. The plain loops have the usual borders: zeros in the loss network, no margin
    around a crop. With the same borders fastnst has the same loss, which is checked. In a training of fastnst a crop
    comes several times and its content features are computed once, so all steps of a crop are timed and averaged.

    The loops take turns, so that other work on the machine slows all of them. The first step of each is not counted.

    Returns:
        Medians, spreads, ratios to the fastnst step, hardware and versions.
    """
    check_output(settings.output)
    torch.manual_seed(0)
    photos = torch.rand(settings.batch_size, 3, settings.crop_size, settings.crop_size)
    style = load_style_image(resolve_photo("sample:coffee"))
    loops: dict[str, Callable[[NetworkName, Tensor], Loop]] = {
        "fastnst": fastnst_step,
        "plain loop, competent": competent_step,
        "plain loop, as usual": usual_step,
    }
    if multiplies_bfloat16(photos.device):
        loops["plain loop, competent, bfloat16"] = partial(competent_step, bfloat16=True)
    made = {name: make(settings.network, style) for name, make in loops.items()}
    first = {name: loop.step(photos).item() for name, loop in made.items()}
    first["fastnst"] = fastnst_step(settings.network, style, plain_borders=True).step(photos).item()
    if not all(abs(loss / first["fastnst"] - 1) < SAME_LOSS for loss in first.values()):
        raise AssertionError(f"the loops do not minimise the same loss: {first}")
    seconds: dict[str, list[float]] = {name: [] for name in made}
    for _ in track(range(settings.rounds), console=Console(stderr=True), transient=True, description="timing"):
        for name, loop in made.items():
            started = time.perf_counter()
            loop.step(photos)
            seconds[name].append((time.perf_counter() - started) / loop.visits)
    result = {
        "what": f"one training step, {settings.network}, {settings.batch_size} x {settings.crop_size} px",
        "steps": {name: summarize(times, seconds["fastnst"]) for name, times in seconds.items()},
        "rounds": settings.rounds,
        **measured_on(torch.device("cpu")),
    }
    report(result, _table(result), output=settings.output, as_json=settings.json)
    return result


def fastnst_step(name: NetworkName, style: Tensor, *, plain_borders: bool = False) -> Loop:
    """The training step of fastnst, without Lightning's loop, logging and the decoding of photos."""
    network = laid_out(_network(name), style.device, bfloat16=multiplies_bfloat16(style.device))
    padding: Padding = "zeros" if plain_borders else TrainSettings().padding
    visits = 1 if plain_borders else TrainSettings().visits
    margin = 0 if plain_borders else min(TrainSettings().margin, network.reach + 1)
    optimizer = make_optimizer(network, learning_rate=LEARNING_RATE)
    loss_network = LossNetwork((*STYLE_LAYERS, *CONTENT_LAYERS), padding=padding).to(memory_format=torch.channels_last)
    perceptual_loss = PerceptualLoss(loss_network, [style])
    pooled = PooledStatistics(perceptual_loss.styles, 1.0 if plain_borders else STYLE_PER_PHOTO_FROM_START)
    styles = torch.ones(1, 1)

    def step(photos: Tensor) -> Tensor:
        every = slice(0, len(photos))
        seen = F.pad(photos, [margin] * 4, mode="replicate")
        totals = []
        with torch.autocast("cpu", torch.bfloat16, enabled=multiplies_bfloat16(photos.device)):
            targets = perceptual_loss.content_targets(photos)
        for number in range(visits):
            with torch.autocast("cpu", torch.bfloat16, enabled=multiplies_bfloat16(photos.device)):
                stylized = network(seen, margin=margin)
                losses = perceptual_loss(stylized, targets, styles, mixed=pooled.mixed)
                total = pooled.weighed(losses, perceptual_loss.style_weight).total
                if margin and number % BORDER_EVERY == 0:
                    total = total + BORDER_WEIGHT * border_loss(network(photos), stylized, margin)
            pooled.update(torch.zeros(len(photos), dtype=torch.int64), every, lambda values: values)
            totals.append(_update(optimizer, total.mean()))
        return totals[0]

    return Loop(network, optimizer, step, visits)


def competent_step(name: NetworkName, style: Tensor, *, bfloat16: bool = False) -> Loop:
    """A plain loop that stops at the deepest layer used and needs no gradient for the photo's features."""
    network = plain_network(name)
    optimizer = torch.optim.Adam(network.parameters(), lr=LEARNING_RATE)
    loss_network = LossNetwork((*STYLE_LAYERS, *CONTENT_LAYERS))
    with torch.no_grad():
        grams = {name: plain_gram_matrix(maps) for name, maps in loss_network(style, STYLE_LAYERS).items()}

    def step(photos: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            with torch.no_grad():
                target = loss_network(photos)
            loss = _plain_loss(loss_network(network(photos)), target, grams)
        return _update(optimizer, loss)

    return Loop(network, optimizer, step)


def usual_step(name: NetworkName, style: Tensor, *, padding: Padding = "zeros") -> Loop:
    """The pytorch/examples loop: the whole VGG for both pictures, on the style image's device; its Grams are kept."""
    network = plain_network(name).to(style.device)
    optimizer = torch.optim.Adam(network.parameters(), lr=LEARNING_RATE)
    loss_network = LossNetwork((*STYLE_LAYERS, *CONTENT_LAYERS, WHOLE_VGG), padding=padding).to(style.device)
    with torch.no_grad():
        grams = {name: plain_gram_matrix(maps) for name, maps in loss_network(style, STYLE_LAYERS).items()}

    def step(photos: Tensor) -> Tensor:
        stylized = network(photos)
        return _update(optimizer, _plain_loss(loss_network(stylized), loss_network(photos), grams))

    return Loop(network, optimizer, step)


class PlainInstanceNorm(nn.InstanceNorm2d):
    """torch's own instance norm, for one style."""

    def forward(self, input: Tensor, style: Tensor | None = None) -> Tensor:
        """Normalise maps `(B, C, H, W)`."""
        return super().forward(input)


class PlainUpsampleConvNorm(UpsampleConvNorm):
    """Upsampling and convolution one after the other."""

    def upsampled(self, maps: Tensor) -> Tensor:
        """See the class; `(B, outputs, 2 H, 2 W)`."""
        larger = F.interpolate(maps, scale_factor=2.0, mode="nearest")
        convolved: Tensor = self.conv(F.pad(larger, [1] * 4, mode="reflect"))
        return convolved


def plain_gram_matrix(features: Tensor) -> Tensor:
    """Johnson et al. (2016), eq. 3, in two lines."""
    maps = features.flatten(2)
    return torch.bmm(maps, maps.transpose(1, 2)) / maps[0].numel()


def _plain_loss(features: dict[str, Tensor], target: dict[str, Tensor], grams: dict[str, Tensor]) -> Tensor:
    """The default losses of `PerceptualLoss`, written out."""
    content = sum(
        (squared_distance(features[name], target[name]) / target[name].flatten(1).square().sum(1)).mean()
        for name in CONTENT_LAYERS
    )
    style = sum(
        STYLE_LAYERS[name] * (squared_distance(plain_gram_matrix(features[name]), gram) / gram.square().sum()).mean()
        for name, gram in grams.items()
    )
    return torch.as_tensor(content + DEFAULT_STYLE_WEIGHT * style / sum(STYLE_LAYERS.values()))


def _network(name: NetworkName) -> TransformationNetwork:
    torch.manual_seed(0)
    return TransformationNetwork(**PRESETS[name])


def plain_network(name: NetworkName) -> nn.Module:
    """The same network with the same weights, with torch's own norm, upsampling and convolution."""
    network = _network(name)
    for layer in network.modules():
        if isinstance(layer, ConvNorm | UpsampleConvNorm):
            norm = PlainInstanceNorm(layer.conv.out_channels, affine=True)
            norm.load_state_dict({"weight": layer.norm.scale[0], "bias": layer.norm.shift[0]})
            layer.norm = norm  # type: ignore[assignment]
        if isinstance(layer, UpsampleConvNorm):
            layer.__class__ = PlainUpsampleConvNorm
        if isinstance(layer, BlockConv2d):
            layer.__class__ = nn.Conv2d  # type: ignore[assignment]
    return network


def _update(optimizer: torch.optim.Optimizer, loss: Tensor) -> Tensor:
    optimizer.zero_grad()
    torch.autograd.backward(loss)
    optimizer.step()
    return loss.detach()


def _table(result: dict[str, Any]) -> Table:
    table = Table("", "seconds", "times fastnst", "range", box=None, title=result["what"])
    for name, row in result["steps"].items():
        span = f"{row['lowest_ratio']:.2f} to {row['highest_ratio']:.2f}"
        table.add_row(name, f"{row['median_seconds']:.3f}", f"{row['ratio']:.2f}", span)
    return table
