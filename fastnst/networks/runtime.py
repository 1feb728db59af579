"""Runtimes of a network: torch anywhere, OpenVINO on a CPU if it is installed and the work is worth its start-up.

Knows nothing of style files. OpenVINO's graph is built operation by operation, one method for each class of
`network.py`: this takes milliseconds, where a conversion from torch takes seconds and needs onnx.
"""

import importlib.util
import logging
import platform
from contextlib import AbstractContextManager, nullcontext
from threading import Lock
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from fastnst.base.devices import has_bfloat16_units
from fastnst.base.errors import UserError
from fastnst.networks.exported import compile_openvino
from fastnst.networks.exported_formats import require
from fastnst.networks.network import (
    BlockConv2d,
    ConvNorm,
    DeepBlock,
    ResidualBlock,
    ResidualConvNorm,
    Smooth,
    TransformationNetwork,
    UpsampleConvNorm,
)
from fastnst.networks.presets import RuntimeName

#: Total pixels from which `auto` takes OpenVINO. Its import, graph, compilation and first picture take 0.17 s on
#: two threads of the measured CPU; a megapixel then takes 0.02 to 0.07 s less with `small`, 0.54 s with `johnson`.
PAYS_FROM = 4_000_000
log = logging.getLogger("fastnst")


class Runtime:
    """One style or mix of a network on a device; threads may share it.

    OpenVINO takes as many threads as torch has where this is made, and paints one picture at a time with them.

    Args:
        network: It is moved to the device.
        style: Weights `(1, num_styles)`.
        device: Where to compute.
        name: `torch`, `openvino`, or `auto`: torch, until OpenVINO's start-up pays for the number of pixels.

    Raises:
        UserError: OpenVINO is asked for and not installed, or not on a CPU. If it is broken, the first call raises this
            error (with `auto`, warns).
    """

    def __init__(
        self, network: TransformationNetwork, style: Tensor, device: torch.device, name: RuntimeName = "auto"
    ) -> None:
        if name == "openvino":
            if device.type != "cpu":
                raise UserError(f"--runtime openvino paints on the CPU, not on {device}")
            require(("openvino",), "--runtime openvino")
        # What convolutions compute in on a CPU, and on GPUs with tensor cores; on MPS it was never run.
        self._layout = torch.contiguous_format if device.type == "mps" else torch.channels_last
        self.network = network.to(device).to(memory_format=self._layout)
        self.style = style.to(device)
        self._bfloat16 = has_bfloat16_units(device)
        self._openvino: dict[bool, OpenVINONetwork] = {}  # by whether it computes in bfloat16
        self._pixels_left = {"auto": PAYS_FROM if _suits_openvino(device) else None, "torch": None, "openvino": 0}[name]
        self._name = name
        self._threads = torch.get_num_threads()
        self._lock = Lock()

    def __call__(self, images: Tensor, *, exact: bool = False) -> Tensor:
        """Stylize images.

        Args:
            images: `(B, 3, H, W)` on the device, sRGB in [0, 1], H and W at least 16.
            exact: Compute in float32, on a CPU with units for bfloat16 too. There, bfloat16 is up to three times as
                fast, and 56 to 61 dB from float32; a pixel differs by up to 8 of 255 levels.
        """
        bfloat16 = self._bfloat16 and not exact
        by_openvino = self._openvino_if_it_pays(images, bfloat16)
        return by_openvino(images) if by_openvino else self._by_torch(images, bfloat16)

    def _openvino_if_it_pays(self, images: Tensor, bfloat16: bool) -> "OpenVINONetwork | None":
        if self._pixels_left is None:
            return None
        with self._lock:
            self._pixels_left -= images.shape[0] * images.shape[2] * images.shape[3]
            if bfloat16 not in self._openvino and self._pixels_left < 0:
                try:
                    self._openvino[bfloat16] = OpenVINONetwork(
                        self.network, self.style, bfloat16=bfloat16, threads=self._threads
                    )
                except (ImportError, RuntimeError) as error:
                    if isinstance(error.__cause__, KeyboardInterrupt):  # Ctrl-C while its modules were imported
                        raise error.__cause__ from None
                    reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
                    if self._name == "openvino":
                        raise UserError(f"--runtime openvino cannot be used: {reason}") from error
                    log.warning("OpenVINO cannot be used, torch paints: %s", reason)
                    self._pixels_left = None
            return self._openvino.get(bfloat16)

    def _by_torch(self, images: Tensor, bfloat16: bool) -> Tensor:
        with self.precision(exact=not bfloat16):
            stylized: Tensor = self.network(images.contiguous(memory_format=self._layout), self.style)
        return stylized

    def precision(self, *, exact: bool) -> AbstractContextManager[Any]:
        """Convolutions of this thread in bfloat16, on a CPU with units for it, unless they are to be exact."""
        return torch.autocast("cpu", torch.bfloat16) if self._bfloat16 and not exact else nullcontext()


def reduced_precision(device: torch.device) -> AbstractContextManager[Any]:
    """Convolutions in float16 on CUDA, with norms in float32 by autocast; float32 elsewhere.

    The PSNR to float32 is 71 to 81 dB (in bfloat16 58 to 62 dB); norms keep maps in the range of float16.
    """
    return torch.autocast("cuda", torch.float16) if device.type == "cuda" else nullcontext()


def _suits_openvino(device: torch.device) -> bool:
    """Whether the device is a CPU of the kind for which OpenVINO is made and was measured."""
    is_x86 = platform.machine().lower() in ("x86_64", "amd64")
    return device.type == "cpu" and is_x86 and importlib.util.find_spec("openvino") is not None


class OpenVINONetwork:
    """One style or mix of a network, compiled by OpenVINO for the CPU; threads may share it.

    Args:
        network: It is not changed.
        style: Weights `(1, num_styles)`.
        bfloat16: Compute in bfloat16 instead of float32.
        threads: As of `compile_openvino`.
    """

    def __init__(
        self, network: TransformationNetwork, style: Tensor, *, bfloat16: bool = False, threads: int | None = None
    ) -> None:
        self._network = network
        self._paint = compile_openvino(_Graph(style).of(network), "bf16" if bfloat16 else "f32", threads)

    def __call__(self, images: Tensor) -> Tensor:
        """Stylize images `(B, 3, H, W)`, sRGB in [0, 1], H and W at least 16, as the network does."""
        height, width = images.shape[-2:]
        painted = torch.from_numpy(self._paint(self._network.padded(images).contiguous().numpy()))
        return self._network.with_contrast_of(images, painted[..., :height, :width])


class _Graph:
    """Builder of a network from OpenVINO's operations; what depends only on weights and style is a constant."""

    def __init__(self, style: Tensor) -> None:
        from openvino import opset13

        self._op: Any = opset13
        self._style = style

    @torch.inference_mode()
    def of(self, network: TransformationNetwork) -> Any:
        """`TransformationNetwork.paint` as an `openvino.Model`; sides of images are multiples of the stride."""
        import openvino

        op = self._op
        image = op.parameter([-1, 3, -1, -1], np.float32, "image")
        maps = op.space_to_depth(image, "depth_first", 2) if network.folds else image
        for layer in network.encoder:
            before, maps = maps, op.relu(self._layer(layer, maps))
        for block in network.blocks:
            maps = self._layer(block, maps)
        for layer in network.decoder:
            maps = op.relu(self._layer(layer, maps, before))
        maps = self._pad(maps, network.painter.kernel_size[0] // 2)
        if isinstance(network.painter, BlockConv2d):
            kernels, bias = network.painter.kernels()
            maps = self._unfold(self._conv(maps, kernels, bias, stride=2))
        else:
            pixels = self._unfold(self._conv(maps, network.painter.weight, network.painter.bias))
            maps = self._mean_2x2(self._pad(pixels, 1, end=0))
        return openvino.Model([op.sigmoid(op.multiply(maps, self._constant(2.0)))], [image], "fastnst")

    def _layer(self, layer: nn.Module, maps: Any, skipped: Any = None) -> Any:
        op = self._op
        match layer:
            case UpsampleConvNorm():
                places = self._unfold(self._conv(self._pad(maps, 1, mode="edge"), layer.kernels()))
                start, stop, step, axes = (np.array(each) for each in ([1, 1], [-1, -1], [1, 1], [2, 3]))
                upsampled = op.slice(places, start, stop, step, axes)
                upsampled = self._smoothed(upsampled, layer.smooth)
                if layer.skip is not None:
                    upsampled = op.add(upsampled, self._conv(self._pad(skipped, 1), layer.skip.weight))
                return self._norm(upsampled, layer)
            case ConvNorm():
                padded = self._pad(self._smoothed(maps, layer.smooth), layer.pad)
                normed = self._norm(self._conv(padded, layer.conv.weight, stride=layer.conv.stride[0]), layer)
                return op.add(maps, normed) if isinstance(layer, ResidualConvNorm) else normed
            case ResidualBlock():
                return op.add(maps, self._layer(layer.second, op.relu(self._layer(layer.first, maps))))
            case DeepBlock():
                inner = op.relu(self._layer(layer.down, maps))
                for block in layer.blocks:
                    inner = self._layer(block, inner)
                return op.add(maps, self._layer(layer.up, self._smoothed(inner, layer.smooth)))
        raise TypeError(f"no operations of OpenVINO for {type(layer).__name__}")

    def _norm(self, maps: Any, layer: ConvNorm | UpsampleConvNorm) -> Any:
        op = self._op
        scale, shift = (self._style @ each for each in (layer.norm.scale, layer.norm.shift))  # (1, C)
        normed = op.mvn(maps, np.array([2, 3]), True, 1e-5, "inside_sqrt")
        return op.add(op.multiply(normed, self._channels(scale)), self._channels(shift))

    def _conv(self, maps: Any, weight: Tensor, bias: Tensor | None = None, *, stride: int = 1) -> Any:
        maps = self._op.convolution(maps, self._constant(weight), [stride] * 2, [0, 0], [0, 0], [1, 1])
        return maps if bias is None else self._op.add(maps, self._channels(bias))

    def _pad(
        self, maps: Any, begin: int, *, end: int | None = None, mode: Literal["reflect", "edge"] = "reflect"
    ) -> Any:
        end = begin if end is None else end
        return self._op.pad(maps, np.array([0, 0, begin, begin]), np.array([0, 0, end, end]), mode)

    def _mean_2x2(self, maps: Any) -> Any:
        return self._op.avg_pool(maps, [1, 1], [0, 0], [0, 0], [2, 2], True)

    def _smoothed(self, maps: Any, layer: Smooth | None) -> Any:
        if layer is None:
            return maps
        op, kernels = self._op, self._constant(layer.kernel[:, :, None])  # one group for each channel
        return op.group_convolution(self._pad(maps, layer.pad), kernels, [1, 1], [0, 0], [0, 0], [1, 1])

    def _unfold(self, maps: Any) -> Any:
        return self._op.depth_to_space(maps, "depth_first", 2)

    def _channels(self, values: Tensor) -> Any:
        return self._constant(values.view(1, -1, 1, 1))

    def _constant(self, value: Tensor | float) -> Any:
        return self._op.constant(np.asarray(value, dtype=np.float32, order="C"))
