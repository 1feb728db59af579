"""Sphinx's settings, and the two pages of the reference that are made from the code.

Build: sphinx-build -W --keep-going -n -b html docs build/docs
"""

import dataclasses
import importlib
import re
import sys
import types
import typing
from pathlib import Path

from cyclopts import App
from cyclopts.docs.markdown import generate_markdown_docs
from sphinx.application import Sphinx
from sphinx.pycode import ModuleAnalyzer

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import fastnst  # noqa: E402
from fastnst.cli import app as command  # noqa: E402

project = "fastnst"
author = "The fastnst authors"
project_copyright = "2026, the fastnst authors"
version = release = fastnst.__version__
exclude_patterns = ["_build", "Thumbs.db", ".DS_Store"]

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]
myst_enable_extensions = ["colon_fence", "dollarmath", "substitution"]
myst_substitutions = {"version": release}
myst_heading_anchors = 3

html_theme = "furo"
html_title = "fastnst"
html_show_sourcelink = False
copybutton_exclude = ".linenos, .gp, .go"

smartquotes_action = "qe"  # not the hyphens of flags
default_role = "code"  # docstrings write names in single backticks
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
napoleon_numpy_docstring = False
napoleon_attr_annotations = True
napoleon_use_ivar = True
napoleon_use_rtype = False  # what stands before a colon under `Returns:` is no type
python_use_unqualified_type_names = True

nitpick_ignore_regex = [
    # The build makes no connection, so there is no inventory of other projects in which these could be looked up.
    ("py:.*", r"(torch|numpy|PIL|pytorch_lightning|pathlib|collections|datetime)\..*"),
    # Signatures of public names mention them, but they are not public themselves.
    ("py:class", r"fastnst\..*\.(Balance|ConditionalInstanceNorm|Draw|Look|Moments|Photo)"),
]


def commands_page() -> str:
    """Every command as Markdown by Cyclopts' own generator, with the example that `--help` shows."""
    return "\n".join(_command(name, command[name], ["fastnst"]) for name in sorted(_names(command)))


def _command(name: str, app: App, chain: list[str]) -> str:
    level = len(chain) + 1
    text = generate_markdown_docs(
        app, recursive=False, heading_level=level, command_chain=[*chain, name], generate_toc=False
    )
    text = re.sub(r"\('([^()]*?)',?\)", lambda match: match[1].replace("', '", " "), text)  # defaults of several words
    text = text.split(f"\n{'#' * (level + 1)} ")[0]  # subcommands follow, with their flags
    if app.help_epilogue:
        text += f"\n```sh\n{str(app.help_epilogue).removeprefix('Example: ')}\n```\n"
    return text + "\n" + "\n".join(_command(each, app[each], [*chain, name]) for each in sorted(_names(app)))


def _names(app: App) -> list[str]:
    return [name for name in app if not name.startswith("-")]


def settings_page() -> str:
    """A table for each dataclass of settings: name, type, default and the docstring of the attribute."""
    modules = [f"fastnst.{path.parent.name}.settings" for path in sorted((ROOT / "fastnst").glob("*/settings.py"))]
    found = {}
    for module in map(importlib.import_module, modules):
        for kind in vars(module).values():
            if dataclasses.is_dataclass(kind) and kind.__module__ == module.__name__:
                found[kind.__name__] = kind
    names = sorted(found, key=lambda name: (".bench." in found[name].__module__, name))
    return "\n\n".join(_settings(found[name]) for name in names)


def _settings(kind: type) -> str:
    hints = typing.get_type_hints(kind)
    rows = [
        f"| `{field.name}` | {_type(hints[field.name])} | {_default(field)} | {_meaning(kind, field.name)} |"
        for field in dataclasses.fields(kind)
    ]
    summary = (kind.__doc__ or "").strip().splitlines()[0]
    target = f"```{{eval-rst}}\n.. py:class:: {kind.__module__}.{kind.__name__}\n```"
    head = ["| name | type | default | meaning |", "|---|---|---|---|"]
    return "\n".join([f"## {kind.__name__}", "", target, "", summary, "", *head, *rows])


def _type(hint: object) -> str:
    """As one writes it; the choices of a Literal."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal:
        return ", ".join(f"`{value!r}`" for value in arguments)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(_type(argument) for argument in arguments)
    if origin is tuple:
        kinds = list(dict.fromkeys(_type(argument) for argument in arguments if argument is not ...))
        return f"tuple of {' or '.join(kinds)}"
    return "`None`" if hint is type(None) else f"`{getattr(hint, '__name__', hint)}`"


def _default(field: dataclasses.Field) -> str:
    if field.default is dataclasses.MISSING:
        return "required"
    return f"`{field.default}`" if isinstance(field.default, Path) else f"`{field.default!r}`"


def _meaning(kind: type, name: str) -> str:
    for each in kind.__mro__:
        if name in vars(each).get("__annotations__", {}):
            lines = ModuleAnalyzer.for_module(each.__module__).find_attr_docs().get((each.__name__, name), [])
            return " ".join(line.strip() for line in lines if line.strip()).replace("|", r"\|")
    return ""


MADE = {"reference/commands": commands_page, "reference/settings": settings_page}
PLACE = "% made by conf.py\n"


def setup(app: Sphinx) -> None:
    """Put the pages that are made from the code in their place."""

    def fill(_: Sphinx, page: str, source: list[str]) -> None:
        if page in MADE:
            source[0] = source[0].replace(PLACE, MADE[page]())

    app.connect("source-read", fill)
