"""Types of flags that all settings share: switches, durations, sizes, and the groups of the help.

Flags, `--config` files and Python share one dataclass for each command, in the `settings.py` of its wing. Flags
win over the file, the file over the defaults written there. Imports neither torch nor anything that does.
"""

from collections.abc import Sequence
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from cyclopts import Group, Parameter
from cyclopts.validators import Number

Device = Literal["auto", "cpu", "cuda", "mps"]
WHAT, LENGTH, LOOK, TRAINING, FILES, OUTPUT, CLUSTER = (
    Parameter(group=Group.create_ordered(name))
    for name in ("What", "How long", "Look", "Training", "Files", "Output", "Cluster")
)
SWITCH = Parameter(negative=(), show_default=False)
SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0}


def parse_duration(text: str) -> float:
    """Seconds of `90s`, `20m` or `1.5h`. A unit is needed: five seconds of training are no training.

    Example:
        >>> parse_duration("20m")
        1200.0
    """
    try:
        seconds = float(text[:-1]) * SECONDS.get(text[-1:], 0.0)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise ValueError(f"a duration is a positive number with s, m or h, such as 90s, 20m or 1.5h; got {text!r}")
    return seconds


def _duration(_: Any, tokens: Sequence[Any]) -> float:
    return parse_duration(tokens[0].value)


def _in_seconds(seconds: float | None) -> str | None:
    return None if seconds is None else f"{seconds:g}s"


Duration = Annotated[float, Parameter(converter=_duration, metavar="TIME", show_default=_in_seconds)]
Size = Annotated[int, Parameter(validator=Number(gte=16))]
PATHS = Parameter(consume_multiple=True, negative=(), show_default=False)
WORDS = Parameter(consume_multiple=True, negative=())
OUTPUT_FILE = Parameter(name=("--output", "-o"))
BRIEF = Parameter(show_default=False, show_choices=False, negative=())


def fits(value: Any, hint: Any) -> bool:
    """Whether a value that was read from a file is one of a setting's type, within its limits.

    Example:
        >>> fits(256, Size), fits(2, Size), fits("256", Size), fits(None, Size | None)
        (True, False, False, True)
    """
    kind, parts = get_origin(hint), get_args(hint)
    if kind is Annotated:
        checks = [check for each in parts[1:] if isinstance(each, Parameter) for check in _several(each.validator)]
        return fits(value, parts[0]) and all(_passes(check, parts[0], value) for check in checks)
    if kind is Literal:
        return any(value == part and type(value) is type(part) for part in parts)
    if kind in (Union, UnionType):
        return any(fits(value, part) for part in parts)
    if kind is tuple:
        of_each = parts[:1] * len(value) if isinstance(value, tuple) and parts[-1] is Ellipsis else parts
        return isinstance(value, tuple) and len(value) == len(of_each) and all(map(fits, value, of_each))
    if hint is float:
        return type(value) in (int, float) and abs(value) < 1e300  # which what is no number is not
    return isinstance(value, Path) if hint is Path else type(value) is (type(None) if hint is None else hint)


def check_values(settings: "Settings") -> None:
    """Check settings that were read from a file, which may be a stranger's.

    Raises:
        ValueError: One is of another type, or beyond its limits; the message names it.
    """
    for name, hint in get_type_hints(type(settings), include_extras=True).items():
        if not fits(getattr(settings, name), hint):
            raise ValueError(name)


def _several(given: Any) -> Sequence[Any]:
    return given if isinstance(given, tuple | list) else () if given is None else (given,)


def _passes(check: Any, hint: Any, value: Any) -> bool:
    try:
        check(hint, value)
    except (ValueError, TypeError):
        return False
    return True


class Settings:
    """The base of a command's settings: paths may be given as text, and one path where there may be several."""

    def __post_init__(self) -> None:
        """Make paths of what was given."""
        for name, several in _path_fields(type(self)).items():
            given = getattr(self, name)
            if several:
                paths = (given,) if isinstance(given, str | Path) else given
                object.__setattr__(self, name, tuple(map(Path, paths)))
            elif isinstance(given, str):
                object.__setattr__(self, name, Path(given))


def _path_fields(kind: type[Settings]) -> dict[str, bool]:
    """The fields that hold a path, or several of them."""
    found = {}
    for name, hint in get_type_hints(kind).items():
        choices = set(get_args(hint)) if isinstance(hint, UnionType) else {hint}
        if choices & {Path, tuple[Path, ...]}:
            found[name] = tuple[Path, ...] in choices
    return found
