"""Settings of `fastnst export`. Imports neither torch nor anything that does."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from fastnst.base.options import OUTPUT, OUTPUT_FILE, SWITCH, WHAT, WORDS, Settings

ExportFormat = Literal["onnx", "pt2", "torchscript", "openvino"]


@dataclass(frozen=True, kw_only=True)
class ExportSettings(Settings):
    """Settings of `fastnst export`."""

    style: Annotated[str, WHAT]
    """A style's name or file; mix one file's styles as `day:0.6,night:0.4`."""
    format: Annotated[tuple[ExportFormat, ...], WHAT, WORDS, Parameter(show_default=False)] = ("onnx",)
    """One or several [onnx]."""
    precision: Annotated[Literal["float32", "float16", "int8"], WHAT] = "float32"
    """Of weights and arithmetic; input and output are float32."""
    styles_as_input: Annotated[bool, WHAT, SWITCH] = False
    """One ONNX file for all styles; weights and strength are inputs. `predictor`: two files."""
    output: Annotated[Path | None, WHAT, OUTPUT_FILE] = None
    """File or folder [STYLE.onnx, .pt2, .pt or .xml]."""
    force: Annotated[bool, OUTPUT, SWITCH] = False
    """Replace existing files."""
    quiet: Annotated[bool, OUTPUT, SWITCH] = False
    """Print nothing but errors."""
    json: Annotated[bool, OUTPUT, SWITCH] = False
    """Print the result as one JSON object."""
