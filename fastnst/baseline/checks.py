"""Checks of the settings and files of `fastnst optimize`, `reconstruct` and `compare`, before anything is changed.

Imports neither torch nor anything that does, so that bad input is answered at once.
"""

import importlib.util
from collections.abc import Sequence
from pathlib import Path

from fastnst.base.errors import UserError
from fastnst.base.files import check_folder, check_place
from fastnst.baseline.settings import CompareSettings, OptimizeSettings, ReconstructSettings
from fastnst.images.formats import ImageError, check_suffix
from fastnst.images.photos import existing_photo, resolve_photo
from fastnst.networks.catalog import file_part, find_mix


def check_optimize(photo: str, settings: OptimizeSettings) -> tuple[Path, Path]:
    """The photo's file and the file of the result.

    Raises:
        UserError: Settings or files that cannot be used.
    """
    source, output = existing_photo(photo), output_of(photo, settings)
    if not settings.style:
        raise UserError("a style image is needed: fastnst optimize photo.jpg --style painting.jpg")
    styles = [existing_photo(str(style)) for style in settings.style]
    for mask in settings.mask:
        existing_photo(str(mask))
    if settings.init not in ("photo", "noise", "normal"):
        existing_photo(settings.init)
    _check_output(output, {source, *styles}, force=settings.force)
    if settings.style_shares and len(settings.style_shares) != len(styles):
        raise UserError(f"expected a share for each of {len(styles)} styles, got {len(settings.style_shares)}")
    if settings.style_shares and settings.mask:
        raise UserError("--mask gives each style its region, --style-shares blends them: give one of the two")
    if settings.feature_scale != 1 and settings.normalization in ("moments", "relative"):
        raise UserError("relative losses do not change with --feature-scale: leave it out")
    if not (settings.content_weight or settings.style_weight):
        raise UserError("content weight and style weight are both zero: nothing to optimise")
    return source, output


def output_of(photo: str, settings: OptimizeSettings) -> Path:
    """File of the result: as asked, or `photo-style-optimized.png` beside the photo (for samples, in this folder)."""
    if settings.output is not None:
        return settings.output
    source = resolve_photo(photo)
    folder = Path() if photo.startswith("sample:") else source.parent
    styles = "+".join(resolve_photo(str(style)).stem for style in settings.style)
    return folder / f"{source.stem}-{styles}-optimized.png"


def _check_output(output: Path, inputs: set[Path], *, force: bool) -> None:
    check_suffix(output)
    if output.resolve() in {path.resolve() for path in inputs}:
        raise UserError(f"{output} is the photo or a style image: choose another --output")
    check_place(output)
    if output.exists() and not force:
        raise UserError(f"{output} exists: choose another --output, or --force to replace it")


def check_reconstruct(image: str, settings: ReconstructSettings) -> tuple[Path, Path]:
    """The image's file and the folder of the results.

    Raises:
        UserError: No such image, or a folder that must not be written to.
    """
    path = existing_photo(image)
    folder = settings.output or Path(f"{path.stem}-{settings.kind}")
    check_folder(folder, force=settings.force)
    return path, folder


def check_compare(photos: Sequence[str], settings: CompareSettings) -> Path:
    """The folder of a comparison.

    Raises:
        UserError: No such style, image or photo, no matplotlib, or a folder that must not be written to.
    """
    if importlib.util.find_spec("matplotlib") is None:
        raise UserError("compare draws its curves with matplotlib: pip install 'fastnst[plot]'")
    folder = settings.output or Path(f"compare-{file_part(settings.style)}")
    check_folder(folder, force=settings.force)
    find_mix(settings.style)
    existing_photo(str(settings.style_image))
    if not photos:
        raise ImageError("no photo given: fastnst compare photo.jpg --style wave --style-image wave.jpg")
    if not any(resolve_photo(photo).exists() for photo in photos):
        raise ImageError(f"{photos[0]}: no such file")
    return folder
