"""Formats of exported files: their suffixes, and the packages that run them.

Imports neither torch nor anything that does.
"""

import importlib.util

from fastnst.base.errors import UserError

#: By suffix: the packages that run such a file, besides torch.
EXPORTED: dict[str, tuple[str, ...]] = {".onnx": ("onnxruntime",), ".pt2": (), ".pt": (), ".xml": ("openvino",)}


SMALLEST = 16  # pixels a side; what every network takes


class ExportedFileError(UserError):
    """An exported file that cannot be written or run."""


def require(packages: tuple[str, ...], what: str) -> None:
    """Check that packages are installed.

    Raises:
        ExportedFileError: Some are not; the message has the pip line that installs them.
    """
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing:
        extras = ",".join(sorted({"openvino" if name == "openvino" else "onnx" for name in missing}))
        raise ExportedFileError(f"{what} needs {' and '.join(missing)}: pip install 'fastnst[{extras}]'")
