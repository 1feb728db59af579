"""The commands `fastnst optimize`, `fastnst reconstruct` and `fastnst compare`."""

import json
from typing import Annotated

from fastnst.base.commands import DONE, SOME_FAILED, Flat, quieten, tell
from fastnst.baseline.settings import CompareSettings, OptimizeSettings, ReconstructSettings


def optimize(photo: str, /, settings: Annotated[OptimizeSettings, Flat] = OptimizeSettings()) -> int:  # noqa: B008
    """Stylize one photo by optimising its pixels (Gatys et al., 2016): minutes per photo.

    Args:
        photo: A file, or `sample:astronaut`.
        settings: Flags.
    """
    from fastnst.baseline.checks import check_optimize

    quieten(settings.quiet)
    check_optimize(photo, settings)
    from fastnst.baseline.optimize import optimize as run

    result = run(photo, settings)
    losses = ", ".join(f"{name} {value:.4g}" for name, value in result["losses"].items())
    summary = "%s: %d iterations, %d evaluations in %.0f s; %s"
    numbers = (result[key] for key in ("output", "iterations", "evaluations", "seconds"))
    tell(result, settings.json, summary, *numbers, losses)
    return DONE


def reconstruct(
    image: str,
    /,
    settings: Annotated[ReconstructSettings, Flat] = ReconstructSettings(),  # noqa: B008
) -> int:
    """Show what each layer keeps of an image (Gatys et al., Figure 1).

    Args:
        image: A file, or `sample:astronaut`.
        settings: Flags.
    """
    from fastnst.baseline.checks import check_reconstruct

    quieten(settings.quiet)
    check_reconstruct(image, settings)
    from fastnst.baseline.reconstruct import reconstruct as run

    result = run(image, settings)
    tell(result, settings.json, "%s: a sheet, %d images and their losses", result["output"], len(result["layers"]))
    return DONE


def compare(*photo: str, settings: Annotated[CompareSettings, Flat]) -> int:
    """Compare a trained network with L-BFGS: times, losses, and iterations to as low a loss.

    Args:
        photo: Files, folders or samples.
        settings: Flags.
    """
    from fastnst.baseline.checks import check_compare

    quieten(settings.quiet)
    check_compare(photo, settings)
    from fastnst.baseline.compare import compare as run

    result = run(photo, settings)
    print(json.dumps(result) if settings.json else result["markdown"])
    return SOME_FAILED if result["failed"] else DONE
