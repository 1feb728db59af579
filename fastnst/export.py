"""`fastnst export`: one style or mix as a file that runs without fastnst, proved before it gets its name.

Each file is run again by its own runtime, at sizes that are not the example's, and compared with the network.
"""

import json
import logging
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torch.nn import functional as F

from fastnst import __version__
from fastnst.config import ExportConfig
from fastnst.exported import INPUT, OUTPUT, ExportedFileError, load_exported, require
from fastnst.exporters import WRITERS, Graph
from fastnst.files import sha256
from fastnst.images import load_image, resolve_photo
from fastnst.levels import psnr
from fastnst.progress import progress_bar
from fastnst.style_file import file_part, load_style
from fastnst.stylize import find_mix, style_row

PROOFS = ((1, 61, 45), (1, 128, 128), (2, 75, 100), (1, 97, 224), (1, 253, 259))  # batch, height, width
PROOF_PHOTOS = ("sample:astronaut", "sample:coffee")
LARGEST_DIFFERENCE = 1e-3  # of a float32 file to the network, in pixel values
LOWEST_PSNR = {"float16": 45.0, "int8": 30.0}  # dB
CONTRACT = {
    "input": f"{INPUT}: float32 (batch, 3, height, width), RGB (sRGB) in [0, 1]; height and width at least 16",
    "output": f"{OUTPUT}: float32 (batch, 3, height, width), RGB (sRGB) in [0, 1], the size of the input",
}

log = logging.getLogger("fastnst")


class ProofError(ExportedFileError):
    """An exported file that does not paint what the network paints."""


def export(config: ExportConfig) -> dict[str, Any]:
    """Write a style as one file for each format; print the proofs as a table or JSON.

    Returns:
        The style's name and, for each format, its file and proof, or the error.

    Raises:
        UserError: No such style, a combination that cannot be had, a file that exists, a package that is missing; or
            not one of the files passed its proof.
    """
    path, weights = find_mix(config.style)
    targets = plan(config)
    style = load_style(path)
    row = style_row(style, weights)
    full, half = (Graph(style.network, row, half=half) for half in (False, True))
    network = partial(style.network, style=row)
    description = {
        "name": file_part(config.style),
        "styles": weights or {style.style_names[0]: 1.0},
        "precision": config.precision,
        **CONTRACT,
        "license": style.info.get("license", "not stated in the style file"),
        "fastnst_version": __version__,
        "style_file_sha256": sha256(path),
    }
    files = []
    with progress_bar(shown=not config.quiet and not config.json) as bar:
        task = bar.add_task("exporting", total=len(targets), state="")
        for format, target in targets.items():
            bar.update(task, state=target.name)
            # OpenVINO stores weights in 16 bit and leaves the arithmetic to the device.
            graph = half if config.precision == "float16" and format != "openvino" else full
            report: dict[str, Any] = {"format": format, "precision": config.precision, "path": str(target)}
            try:
                report["proof"] = export_file(graph, network, target, format=format, description=description)
                report["bytes"] = sum(part.stat().st_size for part in _parts(target))
            except ExportedFileError as error:
                report["error"] = str(error)
            files.append(report)
            bar.advance(task)
    errors = [report["error"] for report in files if "error" in report]
    result = {"style": config.style, "files": files, "failed": len(errors)}
    if config.json:
        print(json.dumps(result))
    if len(errors) == len(files):
        raise ProofError("; ".join(errors))
    for line in errors:
        log.error("%s", line)
    if not config.json and not config.quiet:
        Console().print(_table(files))
    return result


def plan(config: ExportConfig) -> dict[str, Path]:
    """The file of each format.

    Without an output it stands in the current folder as `wave.onnx` or `wave-int8.onnx`. An output is a file if its
    suffix is that of an exported file, else a folder.

    Raises:
        ExportedFileError: Whatever can be known before the work begins.
    """
    targets: dict[str, Path] = {}
    for format in config.format:
        writer = WRITERS[format]
        if config.precision not in writer.precisions:
            others = " and ".join(name for name, other in WRITERS.items() if config.precision in other.precisions)
            raise ExportedFileError(f"{format} cannot be had in {config.precision}, which there is for {others}")
        require(writer.packages, f"exporting {format}")
        precision = "" if config.precision == "float32" else f"-{config.precision}"
        target = (config.output or Path()) / f"{file_part(config.style)}{precision}{writer.suffix}"
        if config.output is not None and config.output.suffix in {writer.suffix for writer in WRITERS.values()}:
            if len(config.format) > 1 or config.output.suffix != writer.suffix:
                raise ExportedFileError(f"{config.output} is no name for {' and '.join(config.format)}: give a folder")
            target = config.output
        for part in _parts(target):
            if part.exists() and not config.force:
                raise ExportedFileError(f"{part} exists: --force replaces it")
        targets[format] = target
    return targets


def export_file(
    graph: Graph, network: Callable[[Tensor], Tensor], target: Path, *, format: str, description: dict[str, Any]
) -> list[dict[str, Any]]:
    """Write and prove one file; it has its name only then, and nothing else is left.

    Args:
        graph: What is written.
        network: What it shall paint, images to stylized ones.
        target: Ends in the suffix of the format.
        format: A key of `WRITERS`.
        description: JSON values that travel in the file; `precision` says in which it is written.

    Returns:
        What `prove` measured.

    Raises:
        ProofError: The file does not paint what the network paints.
    """
    precision = str(description["precision"])
    target.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=target.parent, prefix=".", suffix=".partial") as folder:
        draft = Path(folder, target.name)
        WRITERS[format].write(graph, draft, json.dumps(description), precision)
        proof = prove(draft, network, precision)
        for part in _parts(target):
            os.replace(Path(folder, part.name), part)
    return proof


@torch.inference_mode()
def prove(path: Path, network: Callable[[Tensor], Tensor], precision: str) -> list[dict[str, Any]]:
    """Run a file again at five sizes, on photos, and compare it with the network that it was made of.

    Returns:
        For each size the largest difference of a pixel value and the peak signal-to-noise ratio in dB.

    Raises:
        ProofError: They differ more than the precision allows.
    """
    exported = load_exported(path)
    proof = []
    for batch, height, width in PROOFS:
        photos = torch.cat([_photo(name, (height, width)) for name in PROOF_PHOTOS[:batch]])
        painted, expected = exported(photos), network(photos)
        size = f"{batch} x {height} x {width}"
        if painted.shape != expected.shape:
            raise ProofError(f"{path.name} gives {tuple(painted.shape)} for a photo of {size}; nothing was written")
        difference = float((painted - expected).abs().max())
        ratio = psnr(painted, expected)
        proof.append({"size": [batch, height, width], "largest_difference": difference, "psnr": round(ratio, 1)})
        # Written so that a difference that is no number does not pass.
        if precision == "float32" and not difference <= LARGEST_DIFFERENCE:
            raise ProofError(
                f"{path.name} differs by {difference:.2g} from the network at {size}, "
                f"at most {LARGEST_DIFFERENCE:g} is allowed; nothing was written"
            )
        if precision != "float32" and not ratio >= LOWEST_PSNR[precision]:
            raise ProofError(
                f"{path.name} has {ratio:.1f} dB to the network at {size}, "
                f"at least {LOWEST_PSNR[precision]:g} are wanted; nothing was written"
            )
    return proof


def _parts(target: Path) -> list[Path]:
    """The files that a format consists of; the one that names the other comes last."""
    return [target.with_suffix(".bin"), target] if target.suffix == ".xml" else [target]


def _photo(name: str, size: tuple[int, int]) -> Tensor:
    """A sample photo, squeezed to a size."""
    photo = load_image(resolve_photo(name), size=512)
    return F.interpolate(photo, size, mode="bilinear", antialias=True).clamp(0, 1)


def _table(files: list[dict[str, Any]]) -> Table:
    table = Table("file", "MB", "photos", "largest difference", "PSNR", box=None)
    for report in files:
        for i, size in enumerate(report.get("proof", ())):
            file = (report["path"], f"{report['bytes'] / 1e6:.2f}") if i == 0 else ("", "")
            batch, height, width = size["size"]
            photos = f"{batch} of {width}x{height}"
            table.add_row(*file, photos, f"{size['largest_difference']:.1e}", f"{size['psnr']:.1f} dB")
    return table
