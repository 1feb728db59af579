"""Writers of a style of a network, or of all, as a file: ONNX, torch.export, TorchScript, OpenVINO.

Knows nothing of style files; `export.py` checks what is written.
"""

import copy
import io
import math
import warnings
import zipfile
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fastnst import __version__
from fastnst.exporting.settings import ExportFormat
from fastnst.images.photos import resolve_photo
from fastnst.images.read import load_image
from fastnst.networks.exported import DESCRIPTION, INPUT, OUTPUT, STRENGTH, STYLE
from fastnst.networks.network import (
    BlockConv2d,
    ConditionalInstanceNorm,
    TransformationNetwork,
    UpsampleConvNorm,
    convolve_in_blocks,
)

EXAMPLE = (2, 3, 48, 40)  # what the graph is recorded with
FLOAT16_WEIGHTS = "float16 weights"  # a precision: float32 arithmetic with weights that were rounded to float16
CALIBRATION_PHOTOS = tuple(
    f"sample:{name}" for name in ("camera", "chelsea", "grass", "hubble_deep_field", "motorcycle_left", "rocket")
)


class OneStyle(nn.Module):
    """A network with one style or mix as constants, from which graphs are made.

    Args:
        network: It is not changed.
        style: Weights `(1, num_styles)`.
        half: Compute in float16; input and output stay float32.
    """

    def __init__(self, network: TransformationNetwork, style: Tensor, *, half: bool = False) -> None:
        super().__init__()
        self.half_precision = half
        self.network = copy.deepcopy(network)
        self.network.num_styles = 1
        _bake(self.network, style)
        self.network.to(torch.float16 if half else torch.float32).requires_grad_(False).eval()

    def forward(self, image: Tensor) -> Tensor:
        """Stylize images `(B, 3, H, W)`, sRGB in [0, 1]; the argument's name is that of the graph's input."""
        painted = self.network.paint(image.half() if self.half_precision else image, image.new_ones(1, 1))
        return self.network.with_contrast_of(image, painted)


class EveryStyle(nn.Module):
    """A network with the weights of its styles and the strength as inputs; see `OneStyle`."""

    def __init__(self, network: TransformationNetwork) -> None:
        super().__init__()
        self.network = baked(network)

    def forward(self, image: Tensor, style: Tensor, strength: Tensor) -> Tensor:
        """Stylize images `(B, 3, H, W)` with weights `(1, num_styles)` and a strength `(1,)` from 0 to 1."""
        return torch.lerp(image, self.network(image, style), strength)


class BakedNorm(nn.Module):
    """Instance norm with the scale and shift of one style or mix."""

    def __init__(self, norm: ConditionalInstanceNorm, style: Tensor) -> None:
        super().__init__()
        self.scale = nn.Parameter((style @ norm.scale)[0])
        self.shift = nn.Parameter((style @ norm.shift)[0])

    def forward(self, maps: Tensor, _: Tensor) -> Tensor:
        """Normalise maps `(B, C, H, W)` over H and W."""
        return F.group_norm(maps, self.scale.shape[0], self.scale, self.shift)


class BakedUpsampleConvNorm(UpsampleConvNorm):
    """The layer with its kernels made once."""

    def __init__(self, layer: UpsampleConvNorm, style: Tensor | None) -> None:
        nn.Module.__init__(self)
        self.baked = nn.Parameter(layer.kernels())
        self.skip, self.smooth = layer.skip, layer.smooth
        self.norm = layer.norm if style is None else BakedNorm(layer.norm, style)  # type: ignore[assignment]

    def kernels(self) -> Tensor:
        """As they were."""
        return self.baked


class BakedBlockConv2d(nn.Module):
    """The layer with its kernels made once."""

    def __init__(self, layer: BlockConv2d) -> None:
        super().__init__()
        kernels, bias = layer.kernels()
        self.kernel_size = layer.kernel_size
        self.kernels, self.bias = nn.Parameter(kernels), None if bias is None else nn.Parameter(bias)

    def forward(self, maps: Tensor) -> Tensor:
        """As `BlockConv2d`."""
        return convolve_in_blocks(maps, self.kernels, self.bias)


def baked(network: TransformationNetwork) -> TransformationNetwork:
    """A copy for graphs, whose kernels are made once; its styles are still chosen by weights."""
    network = copy.deepcopy(network)
    _bake(network, None)
    return network.requires_grad_(False).eval()


def _bake(module: nn.Module, style: Tensor | None) -> None:
    """Replace everything that is computed from weights alone by constants; norms only of a given style."""
    for name, child in module.named_children():
        if isinstance(child, ConditionalInstanceNorm):
            if style is not None:
                setattr(module, name, BakedNorm(child, style))
        elif isinstance(child, UpsampleConvNorm):
            setattr(module, name, BakedUpsampleConvNorm(child, style))
        elif isinstance(child, BlockConv2d):
            setattr(module, name, BakedBlockConv2d(child))
        else:
            _bake(child, style)


class Graph:
    """One style of a network, or all, as a graph, recorded once for all formats.

    Args:
        network: It is not changed.
        style: Weights `(1, num_styles)`, or None to have the style and the strength as inputs.
        half: As for `OneStyle`.
        example: Of a style as input; by default weights `(1, num_styles)`.
    """

    def __init__(
        self, network: TransformationNetwork, style: Tensor | None, *, half: bool = False, example: Tensor | None = None
    ) -> None:
        self.module = EveryStyle(network) if style is None else OneStyle(network, style, half=half)
        self.inputs = {INPUT: torch.zeros(EXAMPLE)}
        if style is None:
            row = torch.ones(1, network.num_styles) if example is None else example
            self.inputs |= {STYLE: row, STRENGTH: torch.ones(1)}

    @cached_property
    def program(self) -> torch.export.ExportedProgram:
        """The `torch.export` program, with free batch, height and width."""
        free = {axis: torch.export.Dim.DYNAMIC for axis in (0, 2, 3)}
        shapes = tuple(free if name == INPUT else None for name in self.inputs)
        with torch.no_grad():  # with gradients, the norms of all styles run the way that is for training
            program = torch.export.export(self.module, tuple(self.inputs.values()), dynamic_shapes=shapes)
        for node in program.graph.nodes:
            node.meta.pop("stack_trace", None)  # names the folders of this machine
        return program

    @cached_property
    def onnx(self) -> Any:
        """An `onnx.ModelProto`, with free batch, height and width."""
        program = torch.onnx.export(
            self.program,
            dynamo=True,
            input_names=list(self.inputs),
            output_names=[OUTPUT],
            dynamic_shapes=tuple(
                {0: "batch", 2: "height", 3: "width"} if name == INPUT else None for name in self.inputs
            ),
            custom_translation_table=NORM_AS_ONE_OPERATION,
            verbose=False,
        )
        assert program is not None
        return program.model_proto


def _onnx_norm(maps: Any, groups: int, scale: Any, shift: Any, eps: float, cudnn: bool) -> Any:
    """The norm as one operation of ONNX; torch's own translation of a group norm has four more."""
    from onnx import TensorProto
    from onnxscript import opset18

    if maps.dtype != TensorProto.FLOAT16:
        return opset18.InstanceNormalization(maps, scale, shift, epsilon=eps)
    # float16 ends at 65504, too soon for the sums of squares that some runtimes take.
    maps, scale, shift = (opset18.Cast(each, to=TensorProto.FLOAT) for each in (maps, scale, shift))
    normed = opset18.InstanceNormalization(maps, scale, shift, epsilon=eps)
    return opset18.Cast(normed, to=TensorProto.FLOAT16)


NORM_AS_ONE_OPERATION: dict[Any, Any] = {torch.ops.aten.group_norm.default: _onnx_norm}


def recorded(
    module: nn.Module, inputs: dict[str, Tensor], free: Sequence[dict[int, str] | None], outputs: Sequence[str]
) -> Any:
    """A module as an `onnx.ModelProto` with weights in float16.

    Args:
        module: Takes the inputs in their order.
        inputs: Examples by name.
        free: Of each input the axes whose size is free, with their names.
        outputs: Names.
    """
    with torch.no_grad():  # with gradients, norms run the way that is for training
        program = torch.onnx.export(
            module.eval(),
            tuple(inputs.values()),
            dynamo=True,
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_shapes=tuple(free),
            custom_translation_table=NORM_AS_ONE_OPERATION,
            verbose=False,
        )
    assert program is not None
    model = with_float16_weights(program.model_proto)
    for node in model.graph.node:  # names of this machine's folders
        del node.metadata_props[:]
    return model


def _write_pt2(graph: Graph, path: Path, description: str, precision: str) -> None:
    # By way of memory, here and below: on a full disk torch's own writer ends the process in its destructor.
    buffer = io.BytesIO()
    torch.export.save(graph.program, buffer, extra_files={DESCRIPTION: description})
    path.write_bytes(buffer.getbuffer())


def _write_torchscript(graph: Graph, path: Path, description: str, precision: str) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`torch.jit.[a-z_]*` is deprecated", FutureWarning)
        warnings.simplefilter("ignore", torch.jit.TracerWarning)  # type: ignore[attr-defined]  # the proof tells
        script = torch.jit.trace(graph.module, torch.zeros(EXAMPLE), check_trace=False)  # type: ignore[no-untyped-call]
        buffer = io.BytesIO()
        torch.jit.save(script, buffer, _extra_files={DESCRIPTION: description})
    path.write_bytes(_without_places(buffer))


def _without_places(archive: io.BytesIO) -> bytes:
    """An archive of TorchScript without its lines of source, which name the folders of this machine."""
    clean = io.BytesIO()
    with zipfile.ZipFile(archive) as full, zipfile.ZipFile(clean, "w") as rest:
        for member in full.infolist():
            if not member.filename.endswith(".debug_pkl"):
                rest.writestr(member, full.read(member))
    return clean.getvalue()


def _write_onnx(graph: Graph, path: Path, description: str, precision: str) -> None:
    model = graph.onnx
    if precision == "int8":
        model = _quantized(model, path.parent)
    elif precision == FLOAT16_WEIGHTS:
        model = with_float16_weights(model)
    save_onnx(model, path, description)


def save_onnx(model: Any, path: Path, description: str) -> None:
    """Write a graph with its description, JSON."""
    import onnx

    model.producer_name, model.producer_version = "fastnst", __version__
    onnx.helper.set_model_props(model, {DESCRIPTION: description})
    onnx.save(model, path)


def with_float16_weights(model: Any) -> Any:
    """A copy whose weights are stored in float16 and made float32 when it is loaded; the arithmetic is float32.

    Single numbers stay as they are: a variance of 1e-6 would be another one.
    """
    import numpy
    import onnx

    model = copy.deepcopy(model)
    casts = []
    for weights in model.graph.initializer:
        if weights.data_type == onnx.TensorProto.FLOAT and math.prod(weights.dims) > 1:
            name, values = weights.name, onnx.numpy_helper.to_array(weights)
            with numpy.errstate(over="ignore"):  # what float16 cannot hold, the proof finds
                weights.CopyFrom(onnx.numpy_helper.from_array(values.astype(numpy.float16), f"{name}.float16"))
            casts.append(onnx.helper.make_node("Cast", [weights.name], [name], to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]  # in the order in which they run
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model


def _quantized(model: Any, folder: Path) -> Any:
    """Convolutions in 8 bit, weights and maps, but for the first and the last; the norms stay float32."""
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Photos(CalibrationDataReader):  # type: ignore[misc]
        photos: Iterator[Tensor] = (load_image(resolve_photo(name), size=256) for name in CALIBRATION_PHOTOS)

        def get_next(self) -> dict[str, Any] | None:
            photo = next(self.photos, None)
            return None if photo is None else {INPUT: photo.numpy()}

    source, prepared, quantized = (folder / f"{step}.onnx" for step in ("source", "prepared", "quantized"))
    onnx.save(model, source)
    quant_pre_process(source, prepared, skip_symbolic_shape=True)
    convolutions = [node.name for node in onnx.load(prepared).graph.node if node.op_type == "Conv"]
    quantize_static(
        prepared,
        quantized,
        Photos(),
        op_types_to_quantize=["Conv"],
        nodes_to_exclude=[convolutions[0], convolutions[-1]],
        per_channel=True,
        activation_type=QuantType.QInt8,
        weight_type=QuantType.QInt8,
        extra_options={"CalibMovingAverage": True},  # of the photos' ranges, not their union: 1 to 3 dB
    )
    model = onnx.load(quantized)
    for unused in [opset for opset in model.opset_import if opset.domain]:  # ONNX Runtime's own, all of them
        model.opset_import.remove(unused)
    return model


def _write_openvino(graph: Graph, path: Path, description: str, precision: str) -> None:
    import openvino

    source = path.with_suffix(".onnx")
    _write_onnx(graph, source, description, precision)
    model = openvino.Core().read_model(source)
    model.set_rt_info(description, [DESCRIPTION])
    openvino.save_model(model, path, compress_to_fp16=precision == "float16")


#: How a format is written: the graph, the file, its description as JSON, the precision.
WRITERS: dict[ExportFormat, Callable[[Graph, Path, str, str], None]] = {
    "onnx": _write_onnx,
    "pt2": _write_pt2,
    "torchscript": _write_torchscript,
    "openvino": _write_openvino,
}
