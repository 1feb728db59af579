"""Formats that a style is exported to, and where their files go.

Imports neither torch nor anything that does, so that a mistake is told at once.
"""

from dataclasses import dataclass
from pathlib import Path

from fastnst.exporting.settings import ExportFormat, ExportSettings
from fastnst.networks.catalog import SUFFIX, StyleFileError, file_part, find_chosen
from fastnst.networks.exported_formats import ExportedFileError, require


@dataclass(frozen=True)
class Format:
    """A format: its suffix, the precisions in which there is one, and the packages that write and prove it."""

    suffix: str
    precisions: tuple[str, ...]
    packages: tuple[str, ...]


_ONNX = ("onnx", "onnxruntime", "onnxscript")
FORMATS: dict[ExportFormat, Format] = {
    "onnx": Format(".onnx", ("float32", "float16", "int8"), _ONNX),
    "pt2": Format(".pt2", ("float32", "float16"), ()),
    "torchscript": Format(".pt", ("float32", "float16"), ()),
    "openvino": Format(".xml", ("float32", "float16", "int8"), (*_ONNX, "openvino")),
}


def plan(settings: ExportSettings) -> dict[ExportFormat, Path]:
    """The file of each format.

    Without an output it stands in the current folder as `wave.onnx` or `wave-int8.onnx`. An output is a file if its
    suffix is that of an exported file, else a folder.

    Raises:
        UserError: Whatever can be known before the work begins: no such style, a combination that cannot be had, a
            package that is missing, a file that exists.
    """
    path, _ = find_chosen(settings.style)
    if path.suffix != SUFFIX:
        raise StyleFileError(f"{path} is not a style file")
    suffixes = {format.suffix for format in FORMATS.values()}
    targets: dict[ExportFormat, Path] = {}
    for name in settings.format:
        format = FORMATS[name]
        if settings.precision not in format.precisions:
            others = " and ".join(name for name, other in FORMATS.items() if settings.precision in other.precisions)
            raise ExportedFileError(f"{name} cannot be had in {settings.precision}, which there is for {others}")
        require(format.packages, f"exporting {name}")
        precision = "" if settings.precision == "float32" else f"-{settings.precision}"
        target = (settings.output or Path()) / f"{file_part(settings.style)}{precision}{format.suffix}"
        if settings.output is not None and settings.output.suffix in suffixes:
            if len(settings.format) > 1 or settings.output.suffix != format.suffix:
                given = " and ".join(settings.format)
                raise ExportedFileError(f"{settings.output} is no name for {given}: give a folder")
            target = settings.output
        for part in parts(target):
            if part.exists() and not settings.force:
                raise ExportedFileError(f"{part} exists: --force replaces it")
        targets[name] = target
    return targets


def parts(target: Path) -> list[Path]:
    """The files that an exported file consists of; the one that names the other comes last."""
    return [target.with_suffix(".bin"), target] if target.suffix == ".xml" else [target]
