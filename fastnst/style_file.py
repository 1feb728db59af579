"""The style file: weights, and everything needed to use and to repeat them, in one safetensors file.

The header holds one JSON text under the key `fastnst`, so that a style can be described without reading its
weights, and loading runs no code from the file.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save

from fastnst.errors import UserError
from fastnst.exported import LOADERS
from fastnst.files import write_whole
from fastnst.network import TransformationNetwork

FORMAT_VERSION = 2
SUFFIX = ".safetensors"
BASE = "base_"  # how the names of files begin that are there as a start for other styles
SHIPPED = Path(__file__).parent / "checkpoints"  # in an installed wheel
SOURCE_TREE = Path(__file__).parent.parent / "checkpoints"  # in an editable installation


class StyleFileError(UserError):
    """A style that is missing, broken or no style."""


@dataclass(frozen=True)
class StyleFile:
    """A trained network with its description.

    Args:
        network: In eval mode, on the CPU.
        info: What `save_style` was given, with `format_version`.
    """

    network: TransformationNetwork
    info: dict[str, Any]

    @property
    def style_names(self) -> tuple[str, ...]:
        """One name for each style of the network."""
        return tuple(style["name"] for style in self.info["styles"])


def save_style(path: Path, network: TransformationNetwork, info: dict[str, Any]) -> None:
    """Write a style file, completely or not at all.

    Args:
        path: Ends in `.safetensors`; parents are made.
        network: Its weights are stored as float16, which halves the file and changes no pixel of a picture by 1/255.
        info: JSON values; needs `name`, `network` (the arguments of `TransformationNetwork`) and `styles` (a list
            of objects with a `name`).
    """
    header = json.dumps({"format_version": FORMAT_VERSION, **info})
    weights = {name: tensor.detach().cpu().half().contiguous() for name, tensor in network.state_dict().items()}
    write_whole(path, save(weights, metadata={"fastnst": header}))


def read_info(path: Path) -> dict[str, Any]:
    """The description in a style file's header.

    Raises:
        StyleFileError: The file is missing, no style file, or of a later format.
    """
    try:
        with safe_open(path, framework="pt") as file:
            header = (file.metadata() or {}).get("fastnst")
    except FileNotFoundError:
        raise StyleFileError(f"{path}: no such file") from None
    except (SafetensorError, OSError) as error:
        raise StyleFileError(f"{path} is not a style file, or it is broken ({error})") from None
    if header is None:
        raise StyleFileError(f"{path} is a safetensors file, but not one that fastnst wrote")
    try:
        info: dict[str, Any] = json.loads(header)
        version = int(info["format_version"])
    except (ValueError, KeyError, TypeError):
        raise StyleFileError(f"{path} has a description that cannot be read") from None
    if version > FORMAT_VERSION:
        raise StyleFileError(
            f"{path} has format {version}, this fastnst reads up to {FORMAT_VERSION}: pip install -U fastnst"
        )
    if version < FORMAT_VERSION:
        raise StyleFileError(f"{path} has format {version}, which this fastnst no longer reads: train the style again")
    return info


def load_style(path: Path) -> StyleFile:
    """Read a style file.

    Raises:
        StyleFileError: See `read_info`; or the weights do not fit the description.
    """
    info = read_info(path)
    try:
        network = TransformationNetwork(**info["network"])
        network.load_state_dict(load_file(path))  # into float32
        if len(info["styles"]) != network.num_styles:
            raise ValueError("number of styles")
    except (RuntimeError, KeyError, TypeError, ValueError, SafetensorError):
        raise StyleFileError(f"{path}: the weights do not fit the description in the file") from None
    return StyleFile(network.eval(), info)


def style_folders() -> list[Path]:
    """Where styles are looked up by name, in this order: `./checkpoints`, then the shipped ones."""
    folders = (Path("checkpoints"), SHIPPED, SOURCE_TREE)
    unique = {folder.resolve(): folder for folder in reversed(folders) if folder.is_dir()}
    return [folder for folder in folders if folder in unique.values()]


def list_styles() -> Iterator[Path]:
    """All style files that are found by name; the first of a name wins."""
    seen: set[str] = set()
    for folder in style_folders():
        for path in sorted(folder.glob(f"*{SUFFIX}")):
            if path.stem not in seen:
                seen.add(path.stem)
                yield path


def names_in(path: Path) -> list[str]:
    """The styles in a file; none of a file that is no style file."""
    try:
        return [str(style["name"]) for style in read_info(path)["styles"]]
    except StyleFileError:
        return []


def find_style_file(name: str) -> Path:
    """The style file of a name or path.

    Raises:
        StyleFileError: There is none; the message lists what there is, or says how to train a picture.
    """
    path = Path(name)
    if path.suffix == SUFFIX or path.is_file():
        _refuse_pictures(path)
        return path
    known = {path.stem: path for path in list_styles()}
    if name not in known:
        _refuse_pictures(path)
        names = sorted({name for path in known.values() for name in names_in(path) if not path.stem.startswith(BASE)})
        there = f"there are: {', '.join(names)}" if names else "there is none yet: train one with `fastnst train`"
        raise StyleFileError(f"no style named {name!r} in ./checkpoints or shipped; {there}")
    return known[name]


def file_part(style: str) -> str:
    """A style, trained or exported, or a mix, as part of the name of a file.

    Example:
        >>> file_part("painted/wave.safetensors"), file_part("wave.onnx"), file_part("day:0.6,night:0.4")
        ('wave', 'wave', 'day0.6+night0.4')
    """
    names = [Path(term.strip()).name.replace(":", "") for term in style.split(",")]
    return "+".join(Path(name).stem if Path(name).suffix in (SUFFIX, *LOADERS) else name for name in names)


def _refuse_pictures(path: Path) -> None:
    if path.suffix.lower() in {".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif"}:
        raise StyleFileError(f"{path} is a picture, not a trained style. Train it first: fastnst train --style {path}")
