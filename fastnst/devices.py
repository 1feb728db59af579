"""Which device to compute on."""

import torch

from fastnst.errors import UserError


def choose_device(name: str) -> torch.device:
    """The device of a name; `auto` takes CUDA, then MPS, then the CPU.

    Raises:
        UserError: The device is not there.
    """
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        name = next(device for device, available in there.items() if available)
    if not there.get(name.partition(":")[0], False):
        raise UserError(f"device {name} is not there on this machine (torch {torch.__version__})")
    return torch.device(name)
