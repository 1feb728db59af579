"""The `fastnst` command: the wings' commands put together, and nothing else.

A command is imported when it is called, and imports torch after its arguments are checked.
"""

import logging
import os
import sys
from collections.abc import Sequence
from typing import Any

from cyclopts import App, Parameter
from cyclopts.config import Dict
from cyclopts.exceptions import CycloptsError
from cyclopts.help import DefaultFormatter, PanelSpec, TableSpec
from rich.box import SIMPLE_HEAD

from fastnst import __version__
from fastnst.base.commands import BAD_USAGE, INTERRUPTED
from fastnst.base.errors import Interrupted, UserError
from fastnst.base.recipes import DEPARTURES, find_recipe, read_recipe

#: Each command: the wing whose `commands.py` has it, and a line that works.
COMMANDS = {
    "train": ("training", "train --style painting.jpg --data my_photos --budget 20m"),
    "probe": ("training", "probe --style painting.jpg --data my_photos"),
    "apply": ("painting", "apply holiday/ --style wave -o painted/"),
    "export": ("exporting", "export --style wave --format onnx openvino"),
    "optimize": ("baseline", "optimize photo.jpg --style painting.jpg --size 512"),
    "reconstruct": ("baseline", "reconstruct sample:astronaut --kind style"),
    "compare": ("baseline", "compare sample:astronaut --style wave --style-image wave.jpg"),
    "styles": ("painting", "styles great_wave"),
    "info": ("painting", "info"),
}


def _settings_file(app: App, commands: tuple[str, ...], arguments: Any) -> None:
    """Take values from the `--config` or `--recipe` file unless a flag sets them; an unknown key is an error."""
    for argument in arguments:
        for flag, kind in (("--config", ""), ("--recipe", "optimize")):
            if flag in argument.names and argument.tokens:
                path = find_recipe(argument.tokens[0].value, kind)
                values = {key: value for key, value in read_recipe(path).items() if key != DEPARTURES}
                source = Dict(values, use_commands_as_keys=False)
                source.source = str(path)
                source(app, commands, arguments)


app = App(
    name="fastnst",
    help="Fast neural style transfer: train a style in minutes, paint any photo in one pass.",
    help_epilogue="Example: fastnst apply sample:astronaut --style great_wave -o out.png",
    version=__version__,
    default_parameter=Parameter(json_list=False, json_dict=False),  # a file may be called `[bold].jpg`
    config=_settings_file,
    result_action="return_value",
    help_formatter=DefaultFormatter(
        panel_spec=PanelSpec(box=SIMPLE_HEAD, padding=0), table_spec=TableSpec(padding=(0, 1, 0, 0))
    ),
)
for name, (wing, example) in COMMANDS.items():
    app.command(f"fastnst.{wing}.commands:{name}", name=name, help_epilogue=f"Example: fastnst {example}")
app.command("fastnst.bench.commands:bench", name="bench")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and exit: 0 done, 2 bad usage, 3 some failed, 130 interrupted; a bug shows its traceback."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    _log_to_stderr()
    try:
        code = app(_protected(words), exit_on_error=False, print_error=False)
    except (CycloptsError, UserError, OSError) as error:
        _exit(error, BAD_USAGE)
    except (Interrupted, KeyboardInterrupt) as error:
        _exit(error, INTERRUPTED)
    sys.exit(code if isinstance(code, int) else 0)


def _protected(words: list[str]) -> list[str]:
    """The words, with those after `--` as files, whatever their names begin with.

    Example:
        >>> _protected(["apply", "--style", "wave", "--", "-beach.jpg"])
        ['apply', '--style', 'wave', '--', './-beach.jpg']
    """
    if "--" not in words:
        return words
    end = words.index("--")
    files = (f".{os.sep}{word}" if word.startswith("-") and word != "-" else word for word in words[end + 1 :])
    values_of_a_flag = words[end - 1].startswith("-")  # as in `--style -- -beach.jpg`
    return [*words[:end], *([] if values_of_a_flag else ["--"]), *files]


def _exit(error: BaseException, code: int) -> None:
    """Print one line on stderr, also with `--quiet`, and exit."""
    text = " ".join(str(error).split()) or type(error).__name__
    print(f"fastnst: {text}", file=sys.stderr)
    sys.exit(code)


def _log_to_stderr() -> None:
    """Log plain lines to stderr; characters that the terminal lacks are escaped."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger = logging.getLogger("fastnst")
    logger.handlers = [handler]
    logger.setLevel(logging.INFO)
    logger.propagate = False
