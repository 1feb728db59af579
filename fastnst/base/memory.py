"""Memory: how much is available, and how much the gradient of an image needs. Knows nothing of losses."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from fastnst.base.cgroups import free_memory

if TYPE_CHECKING:
    import torch
    from torch import Tensor


def available_memory(device: torch.device) -> int:
    """Bytes that can still be allocated on a device without swapping.

    On a CPU the memory that the system calls available, or what the limits of control groups leave if that is less. On
    CUDA and MPS the memory in torch's cache counts as free.
    """
    import torch

    if device.type == "cuda":
        cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + cached
    if device.type == "mps":
        return torch.mps.recommended_max_memory() - torch.mps.current_allocated_memory()
    return free_memory()


def give_back() -> None:
    """Let the C library return what it keeps for later: pieces between others, which add up over many tiles."""
    with suppress(AttributeError, OSError):  # only glibc has it
        ctypes.CDLL(None).malloc_trim(0)


def is_out_of_memory(error: Exception) -> bool:
    """Whether memory ran out. PyTorch has a class for CUDA only; on CPUs, also of other runtimes, the text tells."""
    words = ("allocate memory", "bad_alloc", "bad allocation")
    known = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"  # that of torch, by its name
    return known or any(each in str(error) for each in words)


def saved_bytes(objective: Callable[[Tensor], Tensor], image: Tensor) -> int:
    """Bytes that autograd keeps between one evaluation of a loss and its gradient.

    They grow with the number of pixels, so that a small image shows what a large one needs. Each storage counts once;
    parameters and the temporary memory of the operations are left out.

    Args:
        objective: Function from an image to a scalar.
        image: `(1, 3, H, W)`; it is not changed.
    """
    import torch
    from torch import nn

    kept: dict[int, int] = {}  # bytes by address

    def note(tensor: Tensor) -> Tensor:
        if not isinstance(tensor, nn.Parameter):
            storage = tensor.untyped_storage()
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        objective(image.detach().requires_grad_())
    return sum(kept.values())
