"""The proof of an exported file: run by its own runtime at five sizes, it paints what the network paints."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from fastnst.exporting.writers import FLOAT16_WEIGHTS
from fastnst.images.levels import psnr
from fastnst.images.photos import resolve_photo
from fastnst.images.read import load_image
from fastnst.networks.exported import load_exported
from fastnst.networks.exported_formats import ExportedFileError

PROOFS = ((1, 61, 45), (1, 128, 128), (2, 75, 100), (1, 97, 224), (1, 253, 259))  # batch, height, width
PROOF_PHOTOS = ("sample:astronaut", "sample:coffee")
LARGEST_DIFFERENCE = 1e-3  # of a float32 file to the network, in pixel values
LOWEST_PSNR = {FLOAT16_WEIGHTS: 60.0, "float16": 45.0, "int8": 30.0}  # dB
Look = Mapping[str, Any]  # arguments of a painter besides the photos


class ProofError(ExportedFileError):
    """An exported file whose images differ from the network's."""


@torch.inference_mode()
def prove(
    path: Path, network: Callable[..., Tensor], precision: str, looks: Sequence[Look] = ({},)
) -> list[dict[str, Any]]:
    """Run a file at five sizes, on photos, with every look, and compare its images with the network's.

    Returns:
        For each size the largest difference of a pixel value and the lowest peak signal-to-noise ratio in dB.

    Raises:
        ProofError: They differ by more than the precision allows.
    """
    exported = load_exported(path)
    proof = []
    for batch, height, width in PROOFS:
        photos = torch.cat([sample_photo(name, (height, width)) for name in PROOF_PHOTOS[:batch]])
        size = f"{batch} x {height} x {width}"
        compared = []
        for look in looks:
            try:
                painted, expected = exported(photos, **look), network(photos, *look.values())
            except ExportedFileError as error:  # no picture of that size, or one of what is no number
                raise ProofError(f"{error} ({size}); nothing was written") from error
            if painted.shape != expected.shape:
                raise ProofError(f"{path.name} gives {tuple(painted.shape)} for a photo of {size}; nothing was written")
            difference, ratio = float((painted - expected).abs().max()), psnr(painted, expected)
            _check(difference, ratio, precision, f"{path.name} {{}} the network at {size}")
            compared.append((difference, ratio))
        largest, lowest = max(each for each, _ in compared), min(each for _, each in compared)
        proof.append({"size": [batch, height, width], "largest_difference": largest, "psnr": round(lowest, 1)})
    return proof


def _check(difference: float, ratio: float, precision: str, file: str) -> None:
    # Written so that a difference of NaN does not pass.
    if precision == "float32" and not difference <= LARGEST_DIFFERENCE:
        message = f"{file.format(f'differs by {difference:.2g} from')}, at most {LARGEST_DIFFERENCE:g} is allowed"
        raise ProofError(f"{message}; nothing was written")
    if precision != "float32" and not ratio >= LOWEST_PSNR[precision]:
        message = f"{file.format(f'has {ratio:.1f} dB to')}, at least {LOWEST_PSNR[precision]:g} are wanted"
        raise ProofError(f"{message}; nothing was written")


def sample_photo(name: str, size: tuple[int, int]) -> Tensor:
    """A sample photo, stretched to a size."""
    photo = load_image(resolve_photo(name), size=512)
    return F.interpolate(photo, size, mode="bilinear", antialias=True).clamp(0, 1)
