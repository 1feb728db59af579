"""A predictor and its network as two ONNX files: a painting to a style, and photos painted in such styles.

Knows nothing of commands; `export.py` has the plan and the description that both files share.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from fastnst.base.errors import told_of
from fastnst.base.files import give_names, make_folder
from fastnst.base.partials import partial_in
from fastnst.exporting.formats import predictor_of
from fastnst.exporting.proof import LOWEST_PSNR, PROOFS, Look, ProofError, prove, sample_photo
from fastnst.exporting.settings import ExportFormat
from fastnst.exporting.writers import (
    FLOAT16_WEIGHTS,
    Graph,
    recorded,
    save_onnx,
    with_float16_weights,
)
from fastnst.images.levels import psnr
from fastnst.networks.exported import NUMBERS, PAINTING, STRENGTH, STYLE, load_exported
from fastnst.networks.network import TransformationNetwork
from fastnst.universal.file import load_predictor, painting_side
from fastnst.universal.predictor import SMALLEST, StylePredictor, numbers_of, with_rows

PAINTINGS = ("sample:wave", "sample:brick")
SIDES = ((64, 64), (256, 256), (256, 357), (301, 256), (97, 61))  # height, width of paintings
EXAMPLE_PAINTING = (1, 3, 96, 80)  # what the graph is recorded with
CLOSE = 1e-3  # of a style's numbers; how far the images then are is compared too


class Predict(nn.Module):
    """A painting to the numbers of its style."""

    def __init__(self, predictor: StylePredictor) -> None:
        super().__init__()
        self.predictor = predictor

    def forward(self, painting: Tensor) -> Tensor:
        """Numbers `(1, numbers)` of a painting `(1, 3, H, W)`, H and W at least 32."""
        numbers: Tensor = self.predictor(self.predictor.statistics(painting))
        return numbers


def predictor_as_onnx(predictor: StylePredictor) -> Any:
    """The graph, with weights in float16 and the painting's size free."""
    example = {PAINTING: torch.zeros(EXAMPLE_PAINTING)}
    return recorded(Predict(predictor), example, [{2: "height", 3: "width"}], [STYLE])


def write_predictor(
    path: Path, description: dict[str, Any], format: ExportFormat, target: Path, *, replace: bool
) -> dict[str, Any]:
    """Write both files, compare them with network and predictor, and only then give them their names.

    Args:
        path: File of a predictor.
        description: JSON values that are stored in both files.
        format: ONNX.
        target: File of the network; the predictor's is beside it.
        replace: Whether to replace existing files.

    Returns:
        `proof` as of `prove`, and `precision`.

    Raises:
        ProofError: What the files paint differs from what network and predictor paint.
    """
    network, predictor = load_predictor(path)
    side, count = painting_side(path), numbers_of(network)
    style = f"{STYLE}: float32 (1, {count}), the scales and shifts of a painting; weighted means of rows are blends"
    shared = {**description, "precision": FLOAT16_WEIGHTS, NUMBERS: count, STYLE: style}
    texts = {
        target: {**shared, STRENGTH: f"{STRENGTH}: float32 (1,), from 0, the photo, to 1, the full style"},
        predictor_of(target): {
            **shared,
            "input": f"{PAINTING}: float32 (1, 3, height, width), RGB (sRGB) in [0, 1], shrunk to a short side of "
            f"{side} pixels; height and width at least {SMALLEST}",
            "output": style,
        },
    }
    with told_of(target), partial_in(make_folder(target.parent), as_folder=True) as folder:
        drafts = {file: folder / file.name for file in texts}
        rows = Graph(with_rows(network), None, example=torch.zeros(1, count))
        models = (with_float16_weights(rows.onnx), predictor_as_onnx(predictor))
        for model, (file, text) in zip(models, texts.items(), strict=True):
            save_onnx(model, drafts[file], json.dumps(text))
        proof = _prove(drafts[target], drafts[predictor_of(target)], network, predictor)
        give_names({draft: file for file, draft in drafts.items()}, replace=replace)
    return {"proof": proof, "precision": FLOAT16_WEIGHTS}


@torch.inference_mode()
def _prove(
    painter: Path, teller: Path, network: TransformationNetwork, predictor: StylePredictor
) -> list[dict[str, Any]]:
    """Compare what the files paint, one after the other, with network and predictor: at five sizes of both."""
    tell, rows = load_exported(teller).paint, with_rows(network)  # it gives numbers, no picture
    told: list[Tensor] = []
    for (height, width), name in zip(SIDES, PAINTINGS * len(SIDES), strict=False):
        painting = sample_photo(name, (height, width))
        expected, found = predictor.of(painting), torch.from_numpy(tell(painting.contiguous().numpy()))
        if found.shape != expected.shape or not float((found - expected).abs().max()) <= CLOSE:  # nor NaN
            raise ProofError(f"{teller.name} differs from the predictor at {height} x {width}; nothing was written")
        told += [expected, found]

    def as_told(photos: Tensor, style_row: Tensor, strength: float) -> Tensor:
        return torch.lerp(photos, rows(photos, style_row), strength)

    looks: list[Look] = [{"style": row, "strength": 1.0} for row in told[::4]]
    looks.append({"style": torch.stack(told[::2]).mean(0), "strength": 0.6})
    proof = prove(painter, as_told, FLOAT16_WEIGHTS, looks)
    _prove_together(load_exported(painter), as_told, told)
    return proof


def _prove_together(painter: Callable[..., Tensor], expected: Callable[..., Tensor], told: list[Tensor]) -> None:
    """Compare what both files paint from paintings."""
    for (batch, height, width), row, its in zip(PROOFS, told[::2], told[1::2], strict=True):
        photos = torch.cat([sample_photo("sample:astronaut", (height, width))] * batch)
        ratio = psnr(painter(photos, its, 1.0), expected(photos, row, 1.0))
        if not ratio >= LOWEST_PSNR[FLOAT16_WEIGHTS]:
            raise ProofError(f"both files together have {ratio:.1f} dB to the network; nothing was written")
