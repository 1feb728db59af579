"""Runtimes of exported files: ONNX, torch.export, TorchScript, OpenVINO. Knows nothing of styles or exporting.

Files are run on NumPy arrays: torch is loaded by those that torch runs, and by what takes or gives tensors.
"""

from __future__ import annotations

import threading
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from fastnst.base.archives import check_archive
from fastnst.base.cgroups import threads_of_torch
from fastnst.base.files import read_whole
from fastnst.base.memory import is_out_of_memory
from fastnst.networks.description import parsed
from fastnst.networks.exported_formats import EXPORTED, ExportedFileError, require

if TYPE_CHECKING:
    from torch import Tensor

DESCRIPTION = "fastnst"  # the key of a file's description, a JSON object
INPUT, OUTPUT = "image", "stylized"
STYLE, STRENGTH = "style", "strength"  # more inputs, of a file that holds several styles
STYLES = "styles_as_input"  # the key of their names in the description
NUMBERS = "numbers_of_a_style"  # the key of their count, where a style is a row of numbers and not of weights
PAINTING = "painting"  # the input of a file that tells such a row
RELEASED_FROM = 4  # times as large as an image: OpenVINO then gives back the memory that an earlier one took
LARGEST_XML = 3_000_000  # bytes of a graph without its weights, which is read as a whole; ours have 300,000
Array = NDArray[np.float32]
Paint = Callable[..., Array]  # images (B, 3, H, W), in C order, to stylized ones


@dataclass(frozen=True)
class ExportedNetwork:
    """A loaded exported file; threads may share it.

    Args:
        info: The description in the file: its `name`, `precision`, the contract of `input` and `output`, and more.
        paint: The file's graph, run on the CPU.
    """

    info: dict[str, Any]
    paint: Paint

    @property
    def takes_style(self) -> bool:
        """Whether a style is an input of the file."""
        return bool(self.style_names) or STRENGTH in self.info

    @property
    def style_names(self) -> tuple[str, ...]:
        """The styles whose weights are an input of the file; none if it has one style or mix."""
        return tuple(self.info.get(STYLES, ()))

    def __call__(self, images: Tensor, style: Tensor | None = None, strength: float = 1.0) -> Tensor:
        """Stylize images, as `on_arrays`."""
        import torch

        row = None if style is None else style.numpy()
        return torch.from_numpy(self.on_arrays(images.contiguous().numpy(), row, strength))

    def on_arrays(self, images: Array, style: Array | None = None, strength: float = 1.0) -> Array:
        """Stylize images.

        Args:
            images: `(B, 3, H, W)`, in C order, sRGB in [0, 1], H and W at least 16.
            style: Of a file with styles as input, weights `(1, number of styles)` for all images; of a predictor's
                network the numbers that its other file gives for a painting.
            strength: Of such a file, from 0, the photo, to 1, the full style.

        Returns:
            Stylized images `(B, 3, H, W)` in [0, 1].

        Raises:
            ValueError: A style is missing, or the file has one of its own.
            ExportedFileError: The graph fails, or gives no picture of the same size.
        """
        if (style is None) == self.takes_style:
            takes = f"weights of {', '.join(self.style_names)}" if self.style_names else "the numbers of a style"
            has = f"takes {takes}" if self.takes_style else "has a style of its own"
            raise ValueError(f"{self.info['name']} {has}")
        try:
            painted = self.paint(images) if style is None else self.paint(images, style, strength)
            painted = np.asarray(painted, np.float32)
        except Exception as error:  # each runtime has its own
            if is_out_of_memory(error):
                raise
            raise ExportedFileError(f"{self.info['name']} cannot paint: {' '.join(str(error).split())}") from error
        if painted.shape != images.shape or not np.isfinite(painted).all():
            raise ExportedFileError(f"{self.info['name']} gives no picture of the photo's size")
        return painted


def load_exported(path: Path, *, device: str = "auto") -> ExportedNetwork:
    """Load a file that `fastnst export` wrote; its suffix says which kind it is.

    An exported file is a program. Those of ONNX and OpenVINO compute and do nothing else; with `.pt2` and `.pt`, torch
    runs code that is in the file, so these must not be a stranger's.

    Raises:
        ExportedFileError: The file is missing, broken or not from fastnst, its runtime is not installed, or the
            device is not the CPU.
        OSError: Its disk went away.
    """
    if device not in ("auto", "cpu"):
        raise ExportedFileError(f"{path} runs on the CPU, not on {device}: use the style file for that")
    require(EXPORTED[path.suffix], f"running {path.name}")
    if not path.is_file():
        raise ExportedFileError(f"{path}: no such file")
    try:
        return LOADERS[path.suffix](path)
    except ExportedFileError:
        raise
    except Exception as error:  # each runtime has its own errors for an unreadable file
        read_whole(path)  # raises if its disk went away, of which not every runtime tells
        raise ExportedFileError(f"{path} is broken, or no {path.suffix} file: {' '.join(str(error).split())}") from None


def _load_onnx(path: Path) -> ExportedNetwork:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads_of_torch()
    options.log_severity_level = 4  # errors are raised as well
    # Of bytes, which have no folder: weights in files beside or outside are refused.
    session = onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])

    def paint(images: Array, style: Array | None = None, strength: float = 1.0) -> Array:
        inputs = {session.get_inputs()[0].name: images}
        if style is not None:
            inputs |= {STYLE: style, STRENGTH: np.array([strength], np.float32)}
        painted: Array = session.run(None, inputs)[0]
        return painted

    return ExportedNetwork(_parse(session.get_modelmeta().custom_metadata_map.get(DESCRIPTION), path), paint)


def _load_pt2(path: Path) -> ExportedNetwork:
    import torch

    return ExportedNetwork(_extra_file(path), _by_torch(torch.export.load(path).module()))


def _load_torchscript(path: Path) -> ExportedNetwork:
    import torch

    info = _extra_file(path)  # which looks at the archive before torch does
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`torch.jit.load` is deprecated", FutureWarning)
        return ExportedNetwork(info, _by_torch(torch.jit.load(path, map_location="cpu")))  # type: ignore[no-untyped-call]


def _by_torch(module: Callable[[Tensor], Tensor]) -> Paint:
    import torch

    @torch.inference_mode()
    def paint(images: Array) -> Array:
        painted: Array = module(torch.from_numpy(images)).numpy()
        return painted

    return paint


def _load_openvino(path: Path) -> ExportedNetwork:
    if (size := path.stat().st_size) > LARGEST_XML:
        raise ExportedFileError(f"{path} has {size / 1e6:,.1f} MB, and graphs have up to {LARGEST_XML / 1e6:g} MB")
    element = ElementTree.parse(path).find(f"rt_info/{DESCRIPTION}")  # before OpenVINO, which prints its errors
    info = _parse(None if element is None else element.get("value"), path)
    return ExportedNetwork(info, compile_openvino(openvino_core().read_model(path)))


@cache
def openvino_core() -> Any:
    """The only `openvino.Core` of the process.

    Each core gives its thread a stack for signals, and restores the previous stack when it is destroyed. Of two cores,
    the second may restore the stack of the first, which is gone. The next signal (Ctrl-C, the end of a child process)
    then crashes the process.
    """
    import openvino

    return openvino.Core()


def compile_openvino(model: Any, precision: Literal["f32", "bf16"] = "f32", threads: int | None = None) -> Paint:
    """An `openvino.Model` ready for the CPU.

    Args:
        model: Of one input and one output.
        precision: To compute in.
        threads: To compute with [as many as torch takes]. Callers may share them: one picture is painted at a time.
    """
    settings = {
        # By default, OpenVINO computes in bfloat16 on processors that have it.
        "INFERENCE_PRECISION_HINT": precision,
        "INFERENCE_NUM_THREADS": threads or threads_of_torch(),
        # The cache for sizes seen before: with the default of 5000, each new size takes 0.4 MB more.
        "CPU_RUNTIME_CACHE_CAPACITY": 64,
    }
    compiled = openvino_core().compile_model(model, "CPU", settings)
    largest = 0  # values of an image for which memory is held
    lock = threading.Lock()  # memory can only be given back while nothing is painted

    def paint(images: Array) -> Array:
        nonlocal largest
        with lock:
            if images.size * RELEASED_FROM < largest:
                compiled.release_memory()
                largest = 0
            largest = max(largest, images.size)
            # A request per call, since those of a caller that is gone would keep its image.
            painted: Array = compiled.create_infer_request().infer(images, share_inputs=True)[0]
        return painted

    return paint


def _extra_file(path: Path) -> dict[str, Any]:
    """The description in an archive of PyTorch, from its folder of extra files; runs no code."""
    check_archive(path)
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if name.endswith(f"/extra/{DESCRIPTION}")]
        return _parse(archive.read(names[0]).decode() if names else None, path)


def _parse(description: str | None, path: Path) -> dict[str, Any]:
    if description is None:
        raise ExportedFileError(f"{path} was not exported by fastnst: it does not say what it takes and gives")
    info = parsed(description)
    if not (isinstance(info.get("name"), str) and isinstance(info.get(STYLES, []), list)):
        raise ExportedFileError(f"{path} has a description that cannot be read")
    return info


#: Loaders by suffix.
LOADERS: dict[str, Callable[[Path], ExportedNetwork]] = {
    ".onnx": _load_onnx,
    ".pt2": _load_pt2,
    ".pt": _load_torchscript,
    ".xml": _load_openvino,
}
