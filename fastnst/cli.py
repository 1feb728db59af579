"""The `fastnst` command: the wings' commands put together, and nothing else.

A command is imported when it is called, and imports torch after its arguments are checked.
"""

import _thread
import logging
import os
import re
import signal
import sys
import threading
from collections.abc import Sequence
from typing import Any, NamedTuple

from cyclopts import App, Parameter
from cyclopts.config import Dict
from cyclopts.exceptions import CycloptsError, MissingArgumentError, UnusedCliTokensError
from cyclopts.help import DefaultFormatter, PanelSpec, TableSpec
from rich.box import SIMPLE_HEAD

from fastnst import __version__
from fastnst.base.cgroups import keep_threads_within_quota
from fastnst.base.commands import BAD_USAGE, INTERRUPTED
from fastnst.base.errors import Interrupted, UserError, in_words
from fastnst.base.recipes import DEPARTURES, find_recipe, read_recipe
from fastnst.base.terminal import shown


class Command(NamedTuple):
    """A command: the wing whose `commands.py` has it, what it does, and a line that works."""

    wing: str
    help: str
    example: str


# The daily ones first; `bench` brings its own.
COMMANDS = {
    "apply": Command("painting", "Stylize photos, folders and videos.", "apply holiday/ --style great_wave -o out/"),
    "train": Command("training", "Train a style.", "train --style painting.jpg --data my_photos --budget 20m"),
    "styles": Command("painting", "List the styles, or describe one.", "styles great_wave"),
    "export": Command("exporting", "Write a style as ONNX and other files.", "export --style great_wave --format onnx"),
    "serve": Command("serving", "Stylize photos over HTTP.", "serve --style great_wave --port 8000"),
    "page": Command("serving", "Write a web page that stylizes photos.", "page -o site/"),
    "probe": Command("training", "Try style weights and stroke sizes.", "probe --style painting.jpg --data my_photos"),
    "train-universal": Command(
        "training", "Train what paints like any painting.", "train-universal --data my_photos --budget 1h"
    ),
    "train-base": Command(
        "training", "Train a start for every style.", "train-base --paintings art --data my_photos --budget 8h"
    ),
    "optimize": Command("baseline", "Stylize one photo slowly (Gatys).", "optimize photo.jpg --style painting.jpg"),
    "compare": Command(
        "baseline",
        "Compare a style with the slow way.",
        "compare sample:astronaut --style wave --style-image sample:wave",
    ),
    "reconstruct": Command("baseline", "Show what each layer keeps.", "reconstruct sample:astronaut --kind style"),
    "texture": Command("painting", "Make a texture of a painting.", "texture sample:wave --size 512 -o texture.png"),
    "info": Command("painting", "Show versions and cores.", "info"),
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
    help="Fast neural style transfer: train a style in minutes, stylize any photo in one pass.",
    help_epilogue="Example: fastnst apply sample:astronaut --style great_wave -o out.png",
    version=__version__,
    default_parameter=Parameter(json_list=False, json_dict=False),  # a file may be called `[bold].jpg`
    config=_settings_file,
    suppress_keyboard_interrupt=False,  # `main` says so
    result_action="return_value",
    help_formatter=DefaultFormatter(
        panel_spec=PanelSpec(box=SIMPLE_HEAD, padding=0), table_spec=TableSpec(padding=(0, 1, 0, 0))
    ),
)
for rank, (name, command) in enumerate(COMMANDS.items()):
    app.command(
        f"fastnst.{command.wing}.commands:{name.replace('-', '_')}",
        name=name,
        help=command.help,
        help_epilogue=f"Example: fastnst {command.example}",
        sort_key=rank,
    )
app.register_install_completion_command()
app.command(
    "fastnst.bench.commands:bench",
    name="bench",
    help="Measure speed and looks, for developers.",
    sort_key=len(COMMANDS),
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and exit: 0 done, 2 bad usage, 3 some failed, 130 interrupted; a bug shows its traceback."""
    try:
        _run(arguments)
    except KeyboardInterrupt:  # a second Ctrl-C, before the line about the first one was written
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        sys.exit(INTERRUPTED)


def _run(arguments: Sequence[str] | None) -> None:
    words = sys.argv[1:] if arguments is None else list(arguments)
    _log_to_stderr()
    keep_threads_within_quota()
    if arguments is None:
        _ask_again_for_lost_interrupts()
    try:
        _refuse_addresses(words)
        code = app(_protected(words), exit_on_error=False, print_error=False)
    except CycloptsError as error:
        _exit(_told(error, words), BAD_USAGE)
    except UserError as error:
        _exit(str(error), BAD_USAGE)
    except OSError as error:
        _exit(in_words(error), BAD_USAGE)
    except Interrupted as error:
        _exit(str(error), INTERRUPTED)
    except KeyboardInterrupt:
        _exit("stopped before any work was done", INTERRUPTED)
    if arguments is None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the work is done: nothing to break off but the end in order
    sys.exit(code if isinstance(code, int) else 0)


def _ask_again_for_lost_interrupts() -> None:
    """Python prints and drops a Ctrl-C that falls into a destructor or a callback of its garbage collector."""
    others = sys.unraisablehook

    def ask() -> None:
        if hasattr(signal, "pthread_kill"):
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)  # wakes it from what it waits for
        else:
            _thread.interrupt_main()

    def hook(unraisable: "sys.UnraisableHookArgs") -> None:
        if issubclass(unraisable.exc_type, KeyboardInterrupt):
            later = threading.Timer(0.01, ask)  # at once it would fall into this hook, and be lost again
            later.daemon = True
            later.start()
        else:
            others(unraisable)

    sys.unraisablehook = hook


def _refuse_addresses(words: Sequence[str]) -> None:
    """Addresses would be taken for files, and `-o s3://bucket/out.jpg` would write into a folder `s3:` here."""
    if "--cluster" in words:
        return
    for word in words:
        if found := re.fullmatch(r"(?:--?[\w-]+=?)?([A-Za-z][\w+.-]+://.*)", word):
            raise UserError(
                f"{found[1]} is no file of this machine: download it first, or give the folder where it is mounted "
                "(whole collections: fastnst apply ... --cluster)"
            )


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


def _told(error: CycloptsError, words: list[str]) -> str:
    """What is wrong with a command line, in the words of a person."""
    command = " ".join(error.command_chain or ())
    if isinstance(error, UnusedCliTokensError) and error.unused_tokens:
        return f"{command} does not take {' '.join(error.unused_tokens)!r}: see fastnst {command} --help"
    if isinstance(error, MissingArgumentError) and error.argument is not None:
        name = error.keyword or error.argument.name
        if not any(word == name or word.startswith(f"{name}=") for word in words):
            example = COMMANDS[command].example if command in COMMANDS else f"{command} --help"
            return f"{name} is missing: for example fastnst {example}"
    return str(error)


def _exit(message: str, code: int) -> None:
    """One line on stderr, whatever `--quiet` says."""
    if code == INTERRUPTED and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C would break off what ends in order
    print(f"fastnst: {shown(' '.join(message.split())) or 'stopped'}", file=sys.stderr)
    sys.exit(code)


class _Line(logging.Formatter):
    """A line of the log; names of files may be a stranger's."""

    def format(self, record: logging.LogRecord) -> str:
        return shown(super().format(record))


def _log_to_stderr() -> None:
    """Log plain lines to stderr; characters that the terminal lacks are escaped."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    handler = logging.StreamHandler()
    handler.setFormatter(_Line("%(message)s"))
    logger = logging.getLogger("fastnst")
    logger.handlers = [handler]
    logger.setLevel(logging.INFO)
    logger.propagate = False
