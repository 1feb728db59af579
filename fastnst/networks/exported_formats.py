"""Formats of exported files: their suffixes, and what each needs installed to run.

Imports neither torch nor anything that does.
"""

import importlib.util

from fastnst.base.errors import UserError

#: By suffix: the packages that run such a file, beside torch.
EXPORTED: dict[str, tuple[str, ...]] = {".onnx": ("onnxruntime",), ".pt2": (), ".pt": (), ".xml": ("openvino",)}


class ExportedFileError(UserError):
    """An exported file that cannot be written or run."""


def require(packages: tuple[str, ...], what: str) -> None:
    """Refuse to begin what needs packages that are not installed; each is named as the extra that brings it.

    Raises:
        ExportedFileError: With the line that installs them.
    """
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing:
        extras = ",".join(sorted({"openvino" if name == "openvino" else "onnx" for name in missing}))
        raise ExportedFileError(f"{what} needs {' and '.join(missing)}: pip install 'fastnst[{extras}]'")
