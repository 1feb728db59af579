"""`fastnst bench universal`: how well photos are decoded from each level, and the time of a painted photo.

Beside it, in the same run, five slim encoders and decoders of others (Wang et al., 2020, "Collaborative distillation"),
whose file is given and not shipped.
"""

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from rich.table import Table
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional as F

from fastnst.base.devices import measured_on
from fastnst.base.errors import UserError
from fastnst.bench.report import check_output, report, summarize
from fastnst.bench.settings import BenchUniversalSettings
from fastnst.images.levels import psnr
from fastnst.images.photos import find_photos, resolve_photo
from fastnst.images.read import load_image
from fastnst.universal.autoencoder import LEVELS, STRIDE, Autoencoder
from fastnst.universal.file import load_autoencoder
from fastnst.universal.names import find_network
from fastnst.universal.painter import ALPHA, UniversalPainter
from fastnst.universal.transform import moments, transfer

ENCODING = ("11", "12", "21", "22", "31", "32", "33", "34", "41", "42", "43", "44", "51")
POOLED_AFTER = ("12", "22", "34", "44")  # and enlarged before, on the way back


class Yardstick:
    """The five encoders and decoders of `wct_slim16x.safetensors`, level by level."""

    def __init__(self, path: Path) -> None:
        """Read the file.

        Raises:
            UserError: It is another one.
        """
        self._weights = {name: value.float() for name, value in load_file(path).items()}
        if "encoder5.conv51.weight" not in self._weights:
            raise UserError(f"{path} has no encoder5.conv51.weight: expected the five slim encoders and decoders")

    @property
    def num_parameters(self) -> int:
        """Of all encoders and decoders."""
        return sum(value.numel() for value in self._weights.values())

    def encode(self, images: Tensor, level: int) -> Tensor:
        """relu(level)_1 of images `(B, 3, H, W)` in [0, 1]."""
        part = f"encoder{level}."
        maps = F.conv2d(images, self._weights[f"{part}conv0.weight"], self._weights[f"{part}conv0.bias"])
        for name in _up_to(level):
            maps = self._convolved(maps, f"{part}conv{name}")
            maps = F.max_pool2d(maps, 2) if name in POOLED_AFTER else maps
        return maps

    def decode(self, features: Tensor, level: int) -> Tensor:
        """The image of features of relu(level)_1."""
        for name in reversed(_up_to(level)):
            features = F.interpolate(features, scale_factor=2.0) if name in POOLED_AFTER else features
            features = self._convolved(features, f"decoder{level}.conv{name}")
        return features

    def _convolved(self, maps: Tensor, name: str) -> Tensor:
        padded = F.pad(maps, (1, 1, 1, 1), mode="reflect")
        return F.relu(F.conv2d(padded, self._weights[f"{name}.weight"], self._weights[f"{name}.bias"]))

    def paint(self, photo: Tensor, painting: Tensor) -> Tensor:
        """Li et al. (2017), figure 1c: from level 5 to 1, each from an image to an image."""
        for level in range(LEVELS, 0, -1):
            own = self.encode(photo, level)
            change = transfer(moments(own), [(moments(self.encode(painting, level)), 1.0)], ALPHA)
            photo = self.decode(change(own), level).clamp(0, 1)
        return photo


def _up_to(level: int) -> tuple[str, ...]:
    return ENCODING[: ENCODING.index(f"{level}1") + 1]


@torch.inference_mode()
def bench_universal(settings: BenchUniversalSettings) -> dict[str, Any]:
    """Decode photos from each level, and time a painted one; print a table or JSON."""
    check_output(settings.output)
    network = load_autoencoder(settings.network or find_network())
    yardstick = Yardstick(settings.yardstick) if settings.yardstick else None
    files = find_photos(Path(settings.data)) if settings.data else [resolve_photo(name) for name in settings.photo]
    result: dict[str, Any] = {"parameters": sum(each.numel() for each in network.parameters()), "photos": {}}
    for file in files:
        photo = _whole_strides(load_image(file))
        features = network.encode(photo)
        rows = {"ours": _decibels(photo, (network.decode(each, k) for k, each in enumerate(features, 1)))}
        if yardstick:
            images = (yardstick.decode(yardstick.encode(photo, k), k) for k in range(1, LEVELS + 1))
            rows["yardstick"] = _decibels(photo, images)
        result["photos"][file.stem] = rows
    names = list(next(iter(result["photos"].values())))
    result["mean"] = {name: _means([rows[name] for rows in result["photos"].values()]) for name in names}
    result["painting"] = _times(network, yardstick, settings)
    if yardstick:
        result["parameters_of_the_yardstick"] = yardstick.num_parameters
    result |= measured_on(torch.device("cpu"))
    table = Table("PSNR, dB", *(f"relu{k}_1" for k in range(1, LEVELS + 1)), box=None)
    for photo_name, rows in {**result["photos"], "mean": result["mean"]}.items():
        for name, values in rows.items():
            table.add_row(f"{photo_name}, {name}", *(f"{value:.1f}" for value in values))
    seconds = Table(f"{settings.size} px painted", "CPU seconds", "ratio", box=None)
    for name, row in result["painting"].items():
        seconds.add_row(name, f"{row['median_seconds']:.2f}", f"{row['ratio']:.2f}")
    report(result, table, seconds, output=settings.output, as_json=settings.json)
    return result


def _whole_strides(photo: Tensor) -> Tensor:
    """The photo with its sides cut to multiples of 16."""
    height, width = (side // STRIDE * STRIDE for side in photo.shape[2:])
    return photo[..., :height, :width]


def _decibels(photo: Tensor, images: Iterable[Tensor]) -> list[float]:
    return [round(psnr(image.clamp(0, 1), photo), 2) for image in images]


def _means(rows: list[list[float]]) -> list[float]:
    return [round(sum(values) / len(values), 2) for values in zip(*rows, strict=True)]


def _times(
    network: Autoencoder, yardstick: Yardstick | None, settings: BenchUniversalSettings
) -> dict[str, dict[str, float]]:
    """CPU seconds of a photo painted with the statistics of a new painting, in turn."""
    photo, painting = (
        load_image(resolve_photo(name), size=settings.size) for name in ("sample:astronaut", "sample:wave")
    )
    ways: dict[str, Callable[[], Tensor]] = {
        "ours": lambda: UniversalPainter(network, [(painting, 1.0)], deepest=LEVELS)(photo)
    }
    if yardstick:
        ways["yardstick"] = lambda: yardstick.paint(photo, painting)
    times: dict[str, list[float]] = {name: [] for name in ways}
    for round_number in range(settings.rounds + 1):
        for name, way in ways.items():
            started = time.process_time()
            way()
            if round_number:  # the first round only warms up
                times[name].append(time.process_time() - started)
    reference = times["yardstick" if yardstick else "ours"]
    return {name: summarize(seconds, reference) for name, seconds in times.items()}
