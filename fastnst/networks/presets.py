"""Network sizes, runtimes and precisions by the names that flags and files use. Imports nothing heavy."""

from typing import Literal

NetworkName = Literal["small", "live", "johnson"]
RuntimeName = Literal["auto", "torch", "openvino"]
PrecisionName = Literal["auto", "float32"]

#: Fields that style files have since format 3; networks of earlier files have none of it.
SINCE_3 = {"antialias": 1, "skip": 1, "fine": 1}
#: Named sizes. `johnson` is the paper's network; `small` and `live` have no layer at full resolution.
PRESETS: dict[str, dict[str, int]] = {
    "small": {"full": 0, "half": 32, "quarter": 64, "eighth": 96, "num_blocks": 2, "num_deep_blocks": 2, **SINCE_3},
    "live": {"full": 0, "half": 16, "quarter": 32, "eighth": 64, "num_blocks": 2, "num_deep_blocks": 2, **SINCE_3},
    "johnson": {"full": 32, "half": 64, "quarter": 128, "eighth": 0, "num_blocks": 5, "num_deep_blocks": 0},
}

#: Sizes that had these names in fastnst 0.2, as its style files and unfinished runs have them.
EARLIER_PRESETS = {
    "small": {"full": 0, "half": 16, "quarter": 64, "eighth": 128, "num_blocks": 2, "num_deep_blocks": 2},
    "live": {"full": 0, "half": 16, "quarter": 32, "eighth": 64, "num_blocks": 2, "num_deep_blocks": 2},
}


def is_network(sizes: object) -> bool:
    """Whether a value from a file can be the arguments of a network, but for the number of styles."""
    if not isinstance(sizes, dict) or sizes.keys() | SINCE_3.keys() != PRESETS["small"].keys():
        return False
    return all(type(size) is int and size >= 0 for size in sizes.values())


def fewest_weights(sizes: dict[str, int]) -> int:
    """Weights that a network of these arguments has at least, without building it.

    Example:
        >>> fewest_weights(PRESETS["small"])
        635904
    """
    half, quarter, eighth = sizes["half"], sizes["quarter"], sizes["eighth"]
    fine = sizes.get("fine", 0) * half**2
    blocks = sizes["num_blocks"] * quarter**2 + sizes["num_deep_blocks"] * eighth**2 + eighth * quarter
    return 9 * (2 * blocks + 2 * quarter * half + sizes["full"] * half + fine)
