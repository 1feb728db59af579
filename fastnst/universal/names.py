"""Paintings that a style may name: `painting.jpg`, `sample:wave`, `painting.jpg:0.6,other.jpg:0.4`.

Imports neither torch nor anything that does, so that a wrong name is answered at once.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from fastnst.images.formats import SUFFIXES
from fastnst.images.photos import existing_photo
from fastnst.networks.catalog import StyleFileError, find_chosen, find_style_file, is_known
from fastnst.networks.description import PREDICTOR, UNIVERSAL


class Painting(NamedTuple):
    """A painting's file, and its weight in a blend."""

    path: Path
    weight: float


def find_paintings(style: str) -> list[Painting]:
    """The paintings that a style names, with weights that sum up to one; none if it names no picture.

    A trained style of this name wins. A file that exists or a `sample:` is taken as it is. Otherwise a weight stands
    after the last colon, and commas stand between paintings.

    Raises:
        ImageError: No such file or sample.
        StyleFileError: A weight that is not a positive number, or paintings and trained styles in one blend.
    """
    if is_known(style):  # `train` may have named a style as a picture that lies here
        return []
    if _is_painting(style):
        return [Painting(existing_photo(style), 1.0)]
    terms = [term.strip() for term in style.split(",")]
    named = [(term, "1") if _is_painting(term) else _split(term) for term in terms]
    pictures = [_is_painting(name) for name, _ in named]
    if not any(pictures):
        return []
    if not all(pictures):
        other = named[pictures.index(False)][0]
        raise StyleFileError(
            f"{other} is not a painting: paintings are blended with paintings, styles of a file with each other"
        )
    weights = [_positive(number, term) for (_, number), term in zip(named, terms, strict=True)]
    total = sum(weights)
    pairs = zip(named, weights, strict=True)
    return [Painting(existing_photo(name), weight / total) for (name, _), weight in pairs]


def find_network(*, instant: bool = False) -> Path:
    """The file of what paints like any painting, in ./checkpoints or shipped.

    Args:
        instant: `predictor.safetensors`, not `universal.safetensors`.

    Raises:
        StyleFileError: There is none.
    """
    name, command = (PREDICTOR, "train-base") if instant else (UNIVERSAL, "train-universal")
    try:
        return find_style_file(name)
    except StyleFileError:
        raise StyleFileError(
            f"no {name}.safetensors in ./checkpoints or shipped; train it: fastnst {command}"
        ) from None


def check_style(style: str, *, instant: bool = False) -> None:
    """Check that a style can be painted with: paintings, or a trained style that is chosen.

    Raises:
        UserError: It is neither.
    """
    if find_paintings(style):
        find_network(instant=instant)
    else:
        find_chosen(style)


def painted_name(paintings: Sequence[Painting]) -> str:
    """The paintings in the name of a file.

    Example:
        >>> painted_name([Painting(Path("art/wave.jpg"), 0.6), Painting(Path("scream.png"), 0.4)])
        'wave0.6+scream0.4'
    """
    if len(paintings) == 1:
        return paintings[0].path.stem
    return "+".join(f"{path.stem}{weight:.2g}" for path, weight in paintings)


def _is_painting(name: str) -> bool:
    """Whether a name is that of a sample, or ends as names of pictures do."""
    ends = Path(name).suffix.lower() in SUFFIXES
    if "," in name:
        return ends and Path(name).is_file()
    return ends or (name.startswith("sample:") and ":" not in name.removeprefix("sample:"))


def _split(term: str) -> tuple[str, str]:
    name, _, weight = term.rpartition(":")
    return (name, weight) if name else (term, "1")


def _positive(number: str, term: str) -> float:
    try:
        weight = float(number)
    except ValueError:
        weight = -1.0
    if not 0 < weight < float("inf"):
        raise StyleFileError(f"a blend is written painting.jpg:weight,other.jpg:weight, got {term!r}")
    return weight
