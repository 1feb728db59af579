"""Files of settings, by path or by name: the recipes. Imports neither torch nor anything that does."""

from pathlib import Path
from typing import Any

import yaml

from fastnst.base.errors import UserError
from fastnst.base.files import PACKAGE

CONFIGS = (Path("configs"), PACKAGE / "configs", PACKAGE.parent / "configs")
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
        UserError: It cannot be read or is not a mapping of settings.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is no YAML that can be read: {error}") from None
    if not isinstance(values, dict):
        raise UserError(f"{path}: expected settings as `name: value`, got {type(values).__name__}")
    return values


def recipe_departures(name: str) -> list[str]:
    """What a recipe for optimisation cannot reproduce, in sentences."""
    return list(read_recipe(find_recipe(name, "optimize")).get(DEPARTURES, []))
