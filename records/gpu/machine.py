"""A machine: what it can do at best, how long something takes on it, and the floor of that time.

Operations are counted by torch. Bytes are those of what goes into and out of every convolution and matrix product, once
each: everything in between could be fused with them. The floor is the longer of the two at the rates that this machine
reached in a large matrix product and in a copy.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

PRODUCTS = ("convolution", "convolution_backward", "mm", "bmm", "addmm", "baddbmm")


@dataclass
class Machine:
    """A device, with its measured rates.

    Args:
        device: Where everything runs.
        small: Sizes and times for a test on a CPU.
        flops: Operations a second, by type of number.
        bandwidth: Bytes a second, read and written.
    """

    device: torch.device
    small: bool
    flops: dict[str, float]
    bandwidth: float

    @classmethod
    def measured(cls, device: torch.device, small: bool) -> "Machine":
        """Measure a large product in each precision, and a copy."""
        side, count = (256, 2**20) if small else (8192, 2**30)
        machine = cls(device, small, {}, 0.0)
        for dtype in (torch.float32, torch.bfloat16, torch.float16):
            matrix = torch.randn(side, side, device=device, dtype=dtype)
            machine.flops[str(dtype).removeprefix("torch.")] = 2 * side**3 / machine.seconds(lambda m=matrix: m @ m)
        source = torch.zeros(count, device=device, dtype=torch.uint8)
        target = torch.empty_like(source)
        machine.bandwidth = 2 * count / machine.seconds(lambda: target.copy_(source))
        return machine

    def wait(self) -> None:
        """Until the device has done all that it was given."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def seconds(self, work: Callable[[], Any], *, least: float = 2.0) -> float:
        """The median time of a call: after two calls that warm up, at least five and as many as fit into `least`."""
        for _ in range(2):
            work()
        self.wait()
        times: list[float] = []
        while len(times) < 5 or (not self.small and sum(times) < least and len(times) < 500):
            started = time.perf_counter()
            work()
            self.wait()
            times.append(time.perf_counter() - started)
        return statistics.median(times)

    def floor(self, work: Callable[[], Any], dtype: str) -> float:
        """The least time of a call in seconds, from its operations and bytes."""
        with FlopCounterMode(display=False) as operations:
            work()
        with _Traffic() as traffic:
            work()
        return max(operations.get_total_flops() / self.flops[dtype], traffic.bytes / self.bandwidth)


class _Traffic(TorchDispatchMode):
    """Bytes of the tensors of all products."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        if function.__name__.split(".")[0] in PRODUCTS:
            tensors = [each for each in tree_leaves((args, kwargs, result)) if isinstance(each, Tensor)]
            self.bytes += sum(each.numel() * each.element_size() for each in tensors)
        return result
