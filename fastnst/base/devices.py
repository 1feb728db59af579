"""Devices: the choice of one, and its name in records."""

import functools
import platform
import time
import timeit
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional as F

from fastnst.base.errors import UserError
from fastnst.base.versions import installed_version

FASTER = 0.9  # of the time in float32; less is not worth the lost digits


def choose_device(name: str) -> torch.device:
    """The device of a name; `auto` takes CUDA, then MPS, then the CPU.

    Raises:
        UserError: No such device.
    """
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        name = next(device for device, available in there.items() if available)
    if not there.get(name.partition(":")[0], False):
        raise UserError(f"device {name} is not there on this machine (torch {torch.__version__})")
    return torch.device(name)


@functools.cache
def multiplies_bfloat16(device: torch.device) -> bool:
    """Whether products of bfloat16 are faster than those of float32; a CPU is measured, once, in a fifth of a second.

    An instruction for them is not enough: one Xeon with AVX512-BF16 and without AMX took twice as long as in float32,
    an EPYC with the same instruction little more than half (records/LOG.md).
    """
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    known: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()  # not in older versions of torch
    if device.type != "cpu" or not any(known.get(name) for name in ("avx512_bf16", "amx_bf16")):
        return False
    return convolution_seconds(torch.bfloat16) < FASTER * convolution_seconds(torch.float32)


def has_bfloat16_units(device: torch.device) -> bool:
    """Whether a CPU has units for products of bfloat16: Intel's AMX, or those of AMD since Zen 4.

    Nothing is measured, so that the same photo becomes the same picture each time.
    """
    known: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()  # not in older versions of torch
    by_amd = str(known.get("cpu_name")).startswith("AMD") and known.get("avx512_bf16")
    return device.type == "cpu" and bool(known.get("amx_bf16") or by_amd)


def convolution_seconds(dtype: torch.dtype) -> float:
    """Time of a convolution as the loss network has them, on the CPU: the shortest of five.

    It is the processor time of one thread, so that other work on the machine does not change the answer: by the clock,
    10 of 24 measurements on a busy CPU with AMX were wrong, and a training could end with other bits (records/LOG.md).
    """
    fine = time.get_clock_info("thread_time").resolution < 1e-5  # not on Windows
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    maps = torch.ones(1, 128, 64, 64, dtype=dtype).to(memory_format=torch.channels_last)
    kernels = torch.ones(128, 128, 3, 3, dtype=dtype).to(memory_format=torch.channels_last)
    timer = time.thread_time if fine else time.perf_counter
    try:
        return min(timeit.repeat(lambda: F.conv2d(maps, kernels, padding=1), timer=timer, number=1, repeat=5))
    finally:
        torch.set_num_threads(threads)


def describe_device(device: torch.device) -> str:
    """Name of a device in style files and records."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line.partition(":")[2].strip() for line in info.read_text().splitlines() if "model name" in line]
        cpu = names[0] if names else cpu
    return f"{device.type} ({cpu}, {torch.get_num_threads()} threads)"


def measured_on(device: torch.device, *packages: str) -> dict[str, Any]:
    """`hardware`, and the `versions` of fastnst, torch and other packages, as every record states them."""
    return {
        "hardware": describe_device(device),
        "versions": {name: installed_version(name) for name in ("fastnst", "torch", *packages)},
    }
