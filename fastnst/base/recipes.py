"""Files of settings, by path or by name: the recipes. Imports neither torch nor anything that does."""

from datetime import date
from pathlib import Path
from typing import Any

import yaml

from fastnst.base.errors import UserError
from fastnst.base.files import PACKAGE

CONFIGS = (Path("configs"), PACKAGE / "configs", PACKAGE.parent / "configs")
LONGEST = 50_000  # bytes; the longest that ships has two thousand
DEEPEST = 2  # a list of values, in the mapping of settings
SCALARS = (str, int, float, date, type(None))
DEPARTURES = "departures"  # key of a recipe: what it cannot reproduce, a list of sentences


def find_recipe(name: str, kind: str = "") -> Path:
    """The settings file of a path, or of a name in ./configs or among the shipped ones.

    Args:
        name: A path or a name without its suffix.
        kind: Subfolder of the configs: none for training, "optimize" for optimisation.

    Raises:
        UserError: No such recipe; lists the known names.
    """
    if Path(name).is_file():
        return Path(name)
    known = {path.stem: path for folder in reversed(CONFIGS) for path in sorted((folder / kind).glob("*.yaml"))}
    if name not in known:
        raise UserError(f"no settings file {name!r}; known names: {', '.join(known) or 'none'}")
    return known[name]


def read_recipe(path: Path) -> dict[str, Any]:
    """The settings in a YAML file, by the names of the flags, and its `departures`.

    Raises:
        UserError: It cannot be read or is not a mapping of settings: text, numbers, and lists of them.
    """
    with path.open("rb") as file:
        data = file.read(LONGEST + 1)
    if len(data) > LONGEST:
        raise UserError(f"{path} is no settings file: these have up to {LONGEST:,} bytes")
    try:
        text = data.decode()
        _check_flat(text, path)
        values = yaml.safe_load(text)
    except UserError:
        raise
    except (yaml.YAMLError, ValueError, OverflowError) as error:  # the last two from numbers and dates
        raise UserError(f"{path} is no YAML that can be read: {error}") from None
    if not isinstance(values, dict):
        raise UserError(f"{path}: expected settings as `name: value`, got {type(values).__name__}")
    if odd := [str(name)[:40] for name in values if not isinstance(name, str)]:
        raise UserError(f"{path}: names of settings are words, got {odd[0]!r}")
    for name, value in values.items():
        if not all(isinstance(each, SCALARS) for each in (value if isinstance(value, list) else [value])):
            raise UserError(f"{path}: a setting is one value or a list of values, and {name[:40]!r} is none")
    return values


def _check_flat(text: str, path: Path) -> None:
    """Refuse what settings have no use for and what could grow or never end: references, and lists in lists."""
    depth = 0
    for event in yaml.parse(text, yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            raise UserError(f"{path}: settings do not refer to each other, got *{event.anchor[:40]}")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise UserError(f"{path}: a setting is one value or a list of values, got lists in lists")


def recipe_departures(name: str) -> list[str]:
    """What a recipe for optimisation cannot reproduce, in sentences."""
    found = read_recipe(find_recipe(name, "optimize")).get(DEPARTURES) or []
    return [str(each) for each in (found if isinstance(found, list) else [found])]
