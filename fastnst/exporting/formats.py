"""Export formats, and where their files go.

Imports neither torch nor anything that does, so that bad input is answered at once.
"""

from dataclasses import dataclass
from pathlib import Path

from fastnst.base.files import check_place
from fastnst.exporting.settings import ExportFormat, ExportSettings
from fastnst.networks.catalog import (
    SUFFIX,
    StyleFileError,
    check_name,
    file_part,
    find_chosen,
    find_mix,
    find_style_file,
    read_info,
)
from fastnst.networks.description import PREDICTOR
from fastnst.networks.exported_formats import ExportedFileError, require


@dataclass(frozen=True)
class Format:
    """A format: its suffix, its precisions, and the packages that write and run it."""

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
    """Check the settings; returns the file of each format.

    Without `--output`, it is `wave.onnx` or `wave-int8.onnx` in the current folder. An output is a file if its suffix
    is that of an exported file, else a folder.

    Raises:
        UserError: No such style, an impossible combination, a missing package, an existing file.
    """
    if predictor := find_predictor(settings.style):
        if not settings.styles_as_input:
            raise ExportedFileError(
                f"{predictor.stem} paints like any picture: with --styles-as-input it becomes two ONNX files"
            )
        _check_styles_as_input(settings, predictor, None)
    else:
        path, mix = (find_mix if settings.styles_as_input else find_chosen)(settings.style)
        if path.suffix != SUFFIX:
            raise StyleFileError(f"{path} is not a style file")
        if settings.styles_as_input:
            _check_styles_as_input(settings, path, mix)
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
        check_name(target)
        check_place(target)
        for part in files_of(settings, target):
            if part.exists() and not settings.force:
                raise ExportedFileError(f"{part} exists: --force replaces it")
        targets[name] = target
    return targets


def _check_styles_as_input(settings: ExportSettings, path: Path, mix: dict[str, float] | None) -> None:
    if mix is not None:
        raise ExportedFileError(f"--styles-as-input holds all styles of a file, to be mixed later: --style {path.stem}")
    if settings.format != ("onnx",) or settings.precision != "float32":
        raise ExportedFileError("--styles-as-input writes onnx; its weights are float16 where that is close enough")


def find_predictor(name: str) -> Path | None:
    """The file of a predictor with this name or path; None if it is none."""
    try:
        path = find_style_file(name)
        return path if path.suffix == SUFFIX and read_info(path).get("kind") == PREDICTOR else None
    except StyleFileError:
        return None


def files_of(settings: ExportSettings, target: Path) -> list[Path]:
    """All files that an export writes for one format."""
    return [*parts(target), *([predictor_of(target)] if find_predictor(settings.style) else [])]


def predictor_of(target: Path) -> Path:
    """The file of a predictor, beside that of its network.

    Example:
        >>> predictor_of(Path("out/predictor.onnx")).name
        'predictor-style.onnx'
    """
    return target.with_stem(f"{target.stem}-style")


def parts(target: Path) -> list[Path]:
    """The files of a network; the one that refers to the other comes last."""
    return [target.with_suffix(".bin"), target] if target.suffix == ".xml" else [target]
