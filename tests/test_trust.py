"""Figures of docs/explanation/trust.md that a test can count."""

import re

import torch
from project import ROOT, tracked
from safetensors.torch import load_file

from fastnst.networks import style_file

TRUST = (ROOT / "docs/explanation/trust.md").read_text()


def figure(pattern: str) -> float:
    """The number in a phrase of the page."""
    found = re.search(pattern, TRUST)
    assert found, pattern
    return float(found[1].replace(",", ""))


def test_the_largest_weight_that_ships_is_the_one_that_is_told() -> None:
    shipped = [weight for path in tracked("checkpoints/*.safetensors") for weight in load_file(path).values()]
    largest = max(float(weight.abs().max()) for weight in shipped)
    assert all(weight.dtype in style_file.TYPES for weight in shipped) and torch.tensor(largest).isfinite()
    assert round(largest, 1) == figure(r"the largest weight that ships is ([\d.]+)")
    assert largest < style_file.LARGEST_WEIGHT / 100


def test_as_many_packages_are_known_by_hash_as_are_told() -> None:
    lines = (ROOT / ".ci/requirements.txt").read_text().splitlines()
    packages = [number for number, line in enumerate(lines) if "==" in line]
    assert all("--hash=sha256:" in lines[number + 1] for number in packages)
    assert len(packages) == figure(r"([\d,]+) packages by hash")
