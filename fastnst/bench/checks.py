"""What `fastnst bench look` refuses before any work. Imports no torch."""

from collections.abc import Sequence
from pathlib import Path

from fastnst.base.errors import UserError
from fastnst.bench.report import check_output
from fastnst.bench.settings import BenchLookSettings
from fastnst.images.photos import existing_photo, find_photos
from fastnst.networks.catalog import find_chosen


def check_look(settings: BenchLookSettings) -> tuple[dict[str, Path], dict[str, dict[str, Path]]]:
    """The photos by their names without suffix, and for each folder its pictures of them.

    Raises:
        UserError: Nothing to judge, files that are missing or that exist, two photos of one name, or a folder that
            lacks the picture of a photo.
    """
    check_output(settings.output)
    check_output(settings.sheet, picture=True, flag="--sheet")
    if not (settings.style or settings.pictures or settings.controls):
        raise UserError("nothing to judge: give --style, --pictures or both")
    for file in (settings.style_image, settings.judge):
        existing_photo(str(file))
    for style in settings.style:
        find_chosen(style)
    photos = _by_name(settings.photo)
    folders = {}
    for folder in settings.pictures:
        pictures = _by_name([str(folder)])
        if missing := sorted(photos.keys() - pictures.keys()):
            raise UserError(f"{folder}: no picture called {missing[0]}, as the photo is")
        folders[str(folder)] = pictures
    return photos, folders


def _by_name(given: Sequence[str]) -> dict[str, Path]:
    """Photos by their names without suffix; folders stand for what is in them."""
    found: dict[str, Path] = {}
    for path in map(existing_photo, given):
        for photo in find_photos(path) if path.is_dir() else [path]:
            if photo.stem in found:
                raise UserError(f"{photo} and {found[photo.stem]} have one name: rename one")
            found[photo.stem] = photo
    if not found:
        raise UserError(f"no photos in {', '.join(given)}")
    return found
