"""`Stylizer`: a style file's network, ready to paint images. Knows nothing of image files or commands."""

from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from fastnst.colors import with_colors_of
from fastnst.config import RuntimeName
from fastnst.devices import choose_device
from fastnst.errors import UserError
from fastnst.exported import LOADERS, load_exported
from fastnst.runtime import Runtime
from fastnst.style_file import BASE, StyleFile, StyleFileError, find_style_file, list_styles, load_style, names_in

SMALLEST = 16  # pixels; what the network takes


class Stylizer:
    """Paints images in the style, or a mix of the styles, of one file.

    Args:
        style: A name, a path, a mix of one file's styles such as `"day:0.6,night:0.4"`, a loaded style file, or an
            exported file such as `wave.onnx`, which its own runtime runs on the CPU.
        weights: Weight of each of the file's styles by name, in place of a mix in `style`.
        device: `auto` (CUDA, then MPS, then CPU) or torch's name of a device.
        runtime: `torch`, `openvino` (on the CPU), or `auto`: OpenVINO where it is installed and the work is worth its
            start, see `runtime.PAYS_FROM`.

    Raises:
        StyleFileError: No such style, or a mix that is none.
        UserError: A runtime that is not installed, or cannot run this.
        ExportedFileError: An exported file that cannot be run, or not there.

    Example:
        stylizer = Stylizer("wave")
        stylized = stylizer(photos)  # (B, 3, H, W) in [0, 1], as the photos
    """

    def __init__(
        self,
        style: str | Path | StyleFile,
        *,
        weights: Mapping[str, float] | None = None,
        device: str = "auto",
        runtime: RuntimeName = "auto",
    ) -> None:
        self._paint: Callable[[Tensor], Tensor]
        if not isinstance(style, StyleFile) and Path(style).suffix in LOADERS:
            if runtime != "auto":
                raise UserError(f"{style} has a runtime of its own: leave out --runtime {runtime}")
            exported = load_exported(Path(style), device=device)
            self.name, self.device, self._paint = str(exported.info["name"]), torch.device("cpu"), exported
            return
        if not isinstance(style, StyleFile):
            path, mix = find_mix(str(style))
            style, weights = load_style(path), weights or mix
        self.name = str(style.info["name"])
        self.device = choose_device(device)
        self._paint = Runtime(style.network, style_row(style, weights), self.device, runtime)

    @torch.inference_mode()
    def __call__(self, photos: Tensor, *, strength: float = 1.0, keep_colors: bool = False) -> Tensor:
        """Paint photos.

        Args:
            photos: `(B, 3, H, W)`, sRGB in [0, 1], any size from 1 x 1.
            strength: From 0, the photo, to 1, the full style; in between, a blend of the pixels.
            keep_colors: Take lightness from the stylized image and colour from the photo (Gatys et al., 2017,
                section 5.1).

        Returns:
            Stylized images `(B, 3, H, W)` in [0, 1], on the photos' device.
        """
        height, width = photos.shape[-2:]
        missing = (0, max(0, SMALLEST - width), 0, max(0, SMALLEST - height))
        padded = F.pad(photos, missing, mode="replicate") if any(missing) else photos
        stylized = self._paint(padded)[..., :height, :width].to(photos.device)
        if keep_colors:
            stylized = with_colors_of(photos, stylized)
        return stylized if strength == 1.0 else torch.lerp(photos, stylized, strength)


def find_mix(text: str) -> tuple[Path, dict[str, float] | None]:
    """The file and the weights that `wave`, `wave.safetensors`, `night` or `day:0.6,night:0.4` stand for.

    A name stands for the file of this name, or else for the style of this name in a file with several.

    Raises:
        StyleFileError: Unknown name, a weight that is no number, or styles of different files.
    """
    if ":" not in text or Path(text).is_file():
        return _find_style(text)
    terms = dict(_parse_term(term) for term in text.split(","))
    found = {name: _find_style(name) for name in terms}
    files = {path.resolve(): path for path, _ in found.values()}
    if len(files) > 1:
        raise StyleFileError(
            f"{' and '.join(found)} are in different files, so their parameters cannot be mixed; "
            "train them together: fastnst train --style A.jpg B.jpg"
        )
    total = sum(terms.values())
    weights = {_only_style(path, part): terms[name] / total for name, (path, part) in found.items()}
    return next(iter(files.values())), weights


def _parse_term(term: str) -> tuple[str, float]:
    name, _, number = term.strip().rpartition(":")
    try:
        weight = float(number)
    except ValueError:
        weight = -1.0
    if not name or not 0 < weight < float("inf"):
        raise StyleFileError(f"a mix is written name:weight,name:weight with positive weights, got {term.strip()!r}")
    return name, weight


def _find_style(name: str) -> tuple[Path, dict[str, float] | None]:
    """The file called so, or the file with several styles of which one is called so."""
    try:
        return find_style_file(name), None
    except StyleFileError:
        for path in list_styles():
            # The styles of a base are there as a start for others.
            if name in names_in(path) and not path.stem.startswith(BASE):
                return path, {name: 1.0}
        raise


def _only_style(path: Path, part: dict[str, float] | None) -> str:
    """The one style that a term of a mix stands for."""
    names = list(part) if part else names_in(path)
    if len(names) != 1:
        raise StyleFileError(f"{path} has several styles, name one: {', '.join(names)}")
    return names[0]


def style_row(style: StyleFile, weights: Mapping[str, float] | None) -> Tensor:
    """Weights `(1, num_styles)` for the network; without any, its one style.

    Raises:
        StyleFileError: There are several styles and no weights, or a name that is not there.
    """
    names = style.style_names
    if weights is None:
        if len(names) > 1:
            raise StyleFileError(f"{style.info['name']} has several styles, choose or mix: {', '.join(names)}")
        weights = {names[0]: 1.0}
    if unknown := set(weights) - set(names):
        raise StyleFileError(f"{style.info['name']} has no style {min(unknown)!r}; it has: {', '.join(names)}")
    return torch.tensor([[float(weights.get(name, 0.0)) for name in names]])
