"""A network as ONNX graphs with weights in one file, for programs that stylize large photos in tiles.

whole.onnx     image, style -> stylized
measure.onnx   squares of a photo, style -> statistics of all norms, contrast
tile.onnx      image, style, statistics, contrast -> stylized
predict.onnx   painting -> style, of a predictor
weights.bin    the weights of all of them, in float16
network.json   names of the styles, or how large paintings are; and the numbers that tiles need

The page in the browser is such a program; `painting/tiles.py` is the same in Python.
"""

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fastnst.exporting.predicted import predictor_as_onnx
from fastnst.exporting.writers import EXAMPLE, baked, recorded
from fastnst.images.photos import resolve_photo
from fastnst.images.read import load_image, load_on_white
from fastnst.networks.exported import INPUT, OUTPUT, PAINTING, STYLE
from fastnst.networks.network import ConditionalInstanceNorm, TransformationNetwork, contrast
from fastnst.networks.style_file import StyleFile
from fastnst.painting.passes import most_pieces
from fastnst.painting.tiles import MARGIN, PIECE, normalised_as, pieces
from fastnst.universal.file import load_predictor, painting_side
from fastnst.universal.predictor import SMALLEST, with_rows

WEIGHTS = "weights.bin"
STATISTICS, CONTRAST = "statistics", "contrast"  # inputs of a tile, outputs of the measurement
CLOSE = 2e-3  # largest difference of a pixel value from the network
SMALLEST_KEPT = 256  # bytes; smaller constants stay in their graph


class Whole(nn.Module):
    """A network that takes a style."""

    def __init__(self, network: TransformationNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor, style: Tensor) -> Tensor:
        """Stylize images `(B, 3, H, W)` in a style `(1, N)`."""
        stylized: Tensor = self.network(image, style)
        return stylized


class Measure(nn.Module):
    """The statistics of all norms over squares of one photo."""

    def __init__(self, network: TransformationNetwork) -> None:
        super().__init__()
        self._seen: list[tuple[Tensor, Tensor]] = []
        self.network = _with_norms(network, partial(_MeasuringNorm, seen=self._seen))

    def forward(self, image: Tensor, style: Tensor) -> tuple[Tensor, Tensor]:
        """Means and variances `(2, sum of channels)`, and the contrast `(1, 1, 1, 1)`, of `(N, 3, PIECE, PIECE)`."""
        self._seen.clear()
        self.network.paint(image, style)
        means, variances = (torch.cat(each) for each in zip(*self._seen, strict=True))
        return torch.stack((means, variances)), contrast(image.transpose(0, 1).flatten(1, 2)[None])


class Tile(nn.Module):
    """A network whose norms have given statistics."""

    def __init__(self, network: TransformationNetwork) -> None:
        super().__init__()
        self._given: list[tuple[Tensor, Tensor]] = []
        self._channels = [norm.scale.shape[1] for norm in network.norms]
        self.network = _with_norms(network, partial(_GivenNorm, given=self._given))

    def forward(self, image: Tensor, style: Tensor, statistics: Tensor, contrast: Tensor) -> Tensor:
        """Stylize a part `(1, 3, H, W)` of a photo; see `Measure`."""
        self._given[:] = zip(*(row.split(self._channels) for row in statistics), strict=True)
        painted = self.network.paint(image, style)
        return torch.lerp(painted, image, 1 - contrast)


class _MeasuringNorm(nn.Module):
    def __init__(self, norm: ConditionalInstanceNorm, seen: list[tuple[Tensor, Tensor]]) -> None:
        super().__init__()
        self.norm, self._seen = norm, seen

    def forward(self, maps: Tensor, style: Tensor) -> Tensor:
        """Normalise maps `(N, C, H, W)` by their statistics over all, without the edges."""
        margin = MARGIN * maps.shape[-1] // PIECE
        variance, mean = torch.var_mean(maps[..., margin:-margin, margin:-margin], dim=(0, 2, 3), correction=0)
        self._seen.append((mean, variance))
        scale, shift = self.norm.chosen(style)
        return F.batch_norm(maps, mean, variance, scale[0], shift[0])


class _GivenNorm(nn.Module):
    def __init__(self, norm: ConditionalInstanceNorm, given: list[tuple[Tensor, Tensor]]) -> None:
        super().__init__()
        self.norm, self._given = norm, given

    def forward(self, maps: Tensor, style: Tensor) -> Tensor:
        """Normalise maps `(B, C, H, W)` by the statistics that come next."""
        mean, variance = self._given.pop(0)
        scale, shift = self.norm.chosen(style)
        return F.batch_norm(maps, mean, variance, scale[0], shift[0])


def _with_norms(network: TransformationNetwork, make: Any) -> TransformationNetwork:
    """A copy of a network with other norms, which have the same parameters."""
    network = baked(network)
    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, ConditionalInstanceNorm):
                setattr(module, name, make(child))
    return network


def write_tiled(style: StyleFile, folder: Path) -> dict[str, Any]:
    """Write the files of a network into a folder, and compare what they paint with the network.

    Returns:
        What `network.json` says.

    Raises:
        ValueError: The files do not paint what the network paints.
    """
    count = style.network.num_styles
    about = {"styles": list(style.style_names), "license": style.info.get("license", "MIT")}
    return _write(style.network, torch.full((1, count), 1 / count), about, folder)


def write_tiled_predictor(path: Path, folder: Path) -> dict[str, Any]:
    """Write the files of a predictor and its network into a folder; as `write_tiled`."""
    network, predictor = load_predictor(path)
    painting = load_on_white(resolve_photo("sample:wave"), size=painting_side(path), edge=min)
    expected = predictor.of(painting)
    about = {"painting_side": painting_side(path), "smallest_painting": SMALLEST, "license": "MIT"}
    more = {"predict": predictor_as_onnx(predictor)}
    told = _write(with_rows(network), expected, about, folder, more)
    import onnxruntime

    found = onnxruntime.InferenceSession(folder / "predict.onnx").run(None, {PAINTING: painting.numpy()})[0]
    _check("predict.onnx", found, expected)
    return told


def _write(
    network: TransformationNetwork, row: Tensor, about: dict[str, Any], folder: Path, more: Mapping[str, Any] = {}
) -> dict[str, Any]:
    """Write a network's graphs, and more, with their weights; `row` is a style to compare with."""
    import onnx

    channels = sum(norm.scale.shape[1] for norm in network.norms)
    image, squares = torch.zeros(EXAMPLE), torch.zeros(2, 3, PIECE, PIECE)
    free, count = {0: "batch", 2: "height", 3: "width"}, {0: "count"}
    statistics = {STATISTICS: torch.ones(2, channels), CONTRAST: torch.ones(1, 1, 1, 1)}
    graphs = {
        "whole": _onnx(Whole(baked(network)), {INPUT: image, STYLE: row}, free, [OUTPUT]),
        "measure": _onnx(Measure(network), {INPUT: squares, STYLE: row}, count, [STATISTICS, CONTRAST]),
        "tile": _onnx(Tile(network), {INPUT: image[:1], STYLE: row, **statistics}, {2: "height", 3: "width"}, [OUTPUT]),
        **more,
    }
    folder.mkdir(parents=True, exist_ok=True)
    stored: dict[bytes, int] = {}  # where a value begins, by its bytes
    with (folder / WEIGHTS).open("wb") as weights:
        for name, model in graphs.items():
            for value in model.graph.initializer:
                if len(data := value.raw_data) >= SMALLEST_KEPT:
                    if data not in stored:
                        stored[data] = weights.tell()
                        weights.write(data)
                    onnx.external_data_helper.set_external_data(value, WEIGHTS, stored[data], len(data))
                    value.ClearField("raw_data")
            onnx.save(model, folder / f"{name}.onnx")
    sizes = {"reach": network.reach, "stride": network.stride, "piece": PIECE, "pieces": most_pieces(network)}
    about = {**about, "numbers": row.shape[1], **sizes}
    _prove(network, row, folder)
    (folder / "network.json").write_text(json.dumps(about, indent=1) + "\n")
    return about


def _onnx(module: nn.Module, inputs: dict[str, Tensor], free: dict[int, str], outputs: list[str]) -> Any:
    """A graph with free sizes of the image."""
    return recorded(module, inputs, [free if name == INPUT else None for name in inputs], outputs)


@torch.inference_mode()
def _prove(network: TransformationNetwork, row: Tensor, folder: Path) -> None:
    """Compare the files with the network: whole, and in parts with the statistics of squares."""
    import onnxruntime

    whole, measure, tile = (
        onnxruntime.InferenceSession(folder / f"{name}.onnx") for name in ("whole", "measure", "tile")
    )
    photo = load_image(resolve_photo("sample:coffee"), size=600)
    for part in (photo[..., :61, :45], photo[..., :200, :333]):
        inputs = {INPUT: part.contiguous().numpy(), STYLE: row.numpy()}
        _check("whole.onnx", whole.run([OUTPUT], inputs)[0], network(part, row))
    squares = pieces(lambda box: photo[..., *box], (photo.shape[-2], photo.shape[-1]), 5)
    statistics, share = measure.run([STATISTICS, CONTRAST], {INPUT: squares.numpy(), STYLE: row.numpy()})
    expected = normalised_as(network, squares, row)
    for part in (photo[..., :80, :96], photo[..., 40:240, 80:400]):
        inputs = {INPUT: part.contiguous().numpy(), STYLE: row.numpy(), STATISTICS: statistics, CONTRAST: share}
        _check("tile.onnx", tile.run([OUTPUT], inputs)[0], expected(part, row))


def _check(name: str, painted: Any, expected: Tensor) -> None:
    difference = float((torch.from_numpy(painted) - expected).abs().max())
    if not difference <= CLOSE:  # nor NaN
        raise ValueError(f"{name} differs by {difference:.2g} from the network")
