"""Network sizes, runtimes and precisions by the names that flags and files use. Imports nothing heavy."""

from typing import Literal

NetworkName = Literal["small", "live", "johnson"]
RuntimeName = Literal["auto", "torch", "openvino"]
PrecisionName = Literal["auto", "float32"]

#: Named sizes. `johnson` is the paper's network; `small` and `live` have no layer at full resolution.
PRESETS: dict[str, dict[str, int]] = {
    "small": {"full": 0, "half": 32, "quarter": 64, "eighth": 96, "num_blocks": 2, "num_deep_blocks": 2},
    "live": {"full": 0, "half": 16, "quarter": 32, "eighth": 64, "num_blocks": 2, "num_deep_blocks": 2},
    "johnson": {"full": 32, "half": 64, "quarter": 128, "eighth": 0, "num_blocks": 5, "num_deep_blocks": 0},
}

#: Sizes that had these names in fastnst 0.2, as its style files and unfinished runs have them.
EARLIER_PRESETS = {
    "small": {"full": 0, "half": 16, "quarter": 64, "eighth": 128, "num_blocks": 2, "num_deep_blocks": 2},
}
