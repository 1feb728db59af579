"""`fastnst export`: one style or mix, or all styles of a network, as a file that runs without fastnst.

Before it gets its name, each file is run by its own runtime, at other sizes than the example's, and compared with the
network.
"""

import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fastnst import __version__
from fastnst.base.errors import told_of
from fastnst.base.files import give_names, make_folder, sha256
from fastnst.base.partials import partial_in
from fastnst.base.progress import progress_bar
from fastnst.exporting.formats import files_of, find_predictor, parts, plan
from fastnst.exporting.predicted import write_predictor
from fastnst.exporting.proof import Look, ProofError, prove
from fastnst.exporting.settings import ExportFormat, ExportSettings
from fastnst.exporting.writers import FLOAT16_WEIGHTS, WRITERS, Graph
from fastnst.networks.catalog import file_part, find_mix, read_info
from fastnst.networks.exported import INPUT, OUTPUT, STRENGTH, STYLE, STYLES
from fastnst.networks.exported_formats import ExportedFileError
from fastnst.networks.style_file import StyleFile, load_style
from fastnst.painting.stylizer import style_row

CONTRACT = {
    "input": f"{INPUT}: float32 (batch, 3, height, width), RGB (sRGB) in [0, 1]; height and width at least 16",
    "output": f"{OUTPUT}: float32 (batch, 3, height, width), RGB (sRGB) in [0, 1], the size of the input",
}
CONTRACT_OF_STYLES = {
    STYLE: f"{STYLE}: float32 (1, number of styles), their weights in the order of {STYLES}; they sum to one",
    STRENGTH: f"{STRENGTH}: float32 (1,), from 0, the photo, to 1, the full style",
}


def export(settings: ExportSettings) -> dict[str, Any]:
    """Write a style as one file for each format, each compared with the network.

    Returns:
        JSON values: `style`, `files` (for each format its `path`, `bytes` and `proof`, or the `error`) and the number
        of `failed` ones.

    Raises:
        UserError: No such style, an impossible combination, an existing file, a missing package.
        ProofError: No file agrees with the network.
    """
    result = write_files(settings)
    if result["failed"] == len(result["files"]):
        raise ProofError(errors_of(result))
    return result


def errors_of(result: dict[str, Any]) -> str:
    """The errors of an export, in one line."""
    return "; ".join(file["error"] for file in result["files"] if "error" in file)


def write_files(settings: ExportSettings) -> dict[str, Any]:
    """As `export`, but without an error if no file agrees with the network."""
    targets = plan(settings)
    predictor = find_predictor(settings.style)
    path, weights = (predictor, None) if predictor else find_mix(settings.style)
    description: dict[str, Any] = {
        "name": file_part(settings.style),
        "precision": settings.precision,
        **CONTRACT,
        "license": read_info(path).get("license", "not stated in the style file"),
        "fastnst_version": __version__,
        "style_file_sha256": sha256(path),
    }
    write: Callable[[ExportFormat, Path], dict[str, Any]]
    if predictor:
        write = partial(write_predictor, predictor, description, replace=settings.force)
    elif settings.styles_as_input:
        write = partial(_write_all_styles, load_style(path), description, replace=settings.force)
    else:
        style = load_style(path)
        description["styles"] = weights or {style.style_names[0]: 1.0}
        row = style_row(style, weights)
        graphs = [Graph(style.network, row, half=half) for half in (False, True)]
        network = partial(style.network, style=row)
        write = partial(_write_one_style, graphs, network, description, replace=settings.force)
    files = []
    with progress_bar(shown=not settings.quiet and not settings.json) as bar:
        task = bar.add_task("exporting", total=len(targets), state="")
        for format, target in targets.items():
            bar.update(task, state=target.name)
            report: dict[str, Any] = {"format": format, "precision": settings.precision, "path": str(target)}
            try:
                report |= write(format, target)
                report["bytes"] = sum(part.stat().st_size for part in files_of(settings, target))
            except (ExportedFileError, FileExistsError) as error:
                report["error"] = str(error)
            files.append(report)
            bar.advance(task)
    return {"style": settings.style, "files": files, "failed": sum("error" in report for report in files)}


def _write_one_style(
    graphs: Sequence[Graph],
    network: Callable[..., Tensor],
    description: dict[str, Any],
    format: ExportFormat,
    target: Path,
    *,
    replace: bool,
) -> dict[str, Any]:
    """Write one style or mix, whose graphs are in float32 and float16; returns its `proof`."""
    # OpenVINO stores weights in 16 bit and leaves the arithmetic to the device.
    graph = graphs[description["precision"] == "float16" and format != "openvino"]
    return {"proof": export_file(graph, network, target, format=format, description=description, replace=replace)}


def _write_all_styles(
    style: StyleFile, description: dict[str, Any], format: ExportFormat, target: Path, *, replace: bool
) -> dict[str, Any]:
    """Write all styles, with weights in float16 if that is close enough; returns `proof` and `precision`."""
    graph = Graph(style.network, None)

    def write(precision: str) -> dict[str, Any]:
        told = {**description, "precision": precision, STYLES: style.style_names, **CONTRACT_OF_STYLES}
        proof = export_file(
            graph, mixed, target, format=format, description=told, looks=looks_of(style), replace=replace
        )
        return {"proof": proof, "precision": precision, "styles": style.style_names}

    def mixed(photos: Tensor, style_row: Tensor, strength: float) -> Tensor:
        return torch.lerp(photos, style.network(photos, style_row), strength)

    try:
        return write(FLOAT16_WEIGHTS)
    except ProofError:
        return write("float32")


def looks_of(style: StyleFile) -> list[Look]:
    """What is compared of a file with styles as input: each style, all of them mixed, and mixed at a strength."""
    count = style.network.num_styles
    mean = torch.full((1, count), 1 / count)
    rows = [*torch.eye(count)[:, None], mean]
    return [*({"style": row, "strength": 1.0} for row in rows), {"style": mean, "strength": 0.6}]


def export_file(
    graph: Graph,
    network: Callable[..., Tensor],
    target: Path,
    *,
    format: ExportFormat,
    description: dict[str, Any],
    looks: Sequence[Look] = ({},),
    replace: bool = True,
) -> list[dict[str, Any]]:
    """Write one file, compare it with the network, and only then give it its name.

    Args:
        graph: The graph to write.
        network: Function from images and a look to stylized images, to compare with.
        target: Ends in the suffix of the format.
        format: A key of `FORMATS`.
        description: JSON values that are stored in the file; `precision` is that of the file.
        looks: Arguments of the file and of the network besides the images; each is compared.
        replace: Whether to replace an existing file.

    Returns:
        The result of `prove`.

    Raises:
        ProofError: The file's images differ from the network's.
    """
    precision = str(description["precision"])
    with told_of(target), partial_in(make_folder(target.parent), as_folder=True) as folder:
        draft = folder / target.name
        WRITERS[format](graph, draft, json.dumps(description), precision)
        proof = prove(draft, network, precision, looks)
        give_names({folder / part.name: part for part in parts(target)}, replace=replace)
    return proof
