"""Photos in folders, and sample photos by name. Imports neither torch nor anything that does."""

import importlib.util
import logging
import os
from contextlib import suppress
from pathlib import Path

from fastnst.base.files import PACKAGE, open_file
from fastnst.images.formats import SUFFIXES, ImageError

log = logging.getLogger("fastnst")

# The pictures of the scikit-image wheel that serve as photos; the others are text, diagrams and microscopy.
SAMPLES = (
    *("astronaut.png", "brick.png", "camera.png", "chelsea.png", "coffee.png", "coins.png"),
    *("grass.png", "gravel.png", "hubble_deep_field.jpg", "motorcycle_left.png", "rocket.jpg"),
)
SAMPLE_STYLE = PACKAGE / "samples" / "wave.jpg"  # one of `sample_styles()`


def find_photos(folder: Path, suffixes: tuple[str, ...] = SUFFIXES) -> list[Path]:
    """All photos in the folder and below, sorted; hidden ones are left out, links are followed.

    A file whose suffix is none of these is opened: it is a photo if it begins like one. Files that are none are
    counted in the log.
    """
    if not folder.is_dir():
        raise NotADirectoryError(f"expected a folder of photos, got {folder}")
    photos: list[Path] = []
    others: list[Path] = []
    seen = {os.path.realpath(folder)}

    def unreadable(error: OSError) -> None:
        if error.filename == str(folder) and not isinstance(error, FileNotFoundError):
            raise error
        log.warning("%s is left out: %s", error.filename, str(error.strerror).lower())

    for place, folders, files in os.walk(folder, onerror=unreadable, followlinks=True):
        below = {name: os.path.realpath(os.path.join(place, name)) for name in folders if not name.startswith(".")}
        folders[:] = [name for name, real in below.items() if real not in seen]  # a link may lead back
        seen |= set(below.values())
        for name in (name for name in files if not name.startswith(".")):
            path = Path(place, name)
            (photos if name.lower().endswith(suffixes) or _is_picture(path) else others).append(path)
    if others:
        log.info("%s: %d files that are no photos are left out", folder, len(others))
    return sorted(photos)


def _is_picture(path: Path) -> bool:
    from fastnst.images.decode import header_of, pillow_aside  # here, because most folders do not need them

    with suppress(OSError, ModuleNotFoundError, ImageError), pillow_aside(), open_file(path) as file:
        return header_of(file) is not None
    return False


def sample_photos() -> dict[str, Path]:
    """Name and file of each photo in the installed scikit-image wheel; nothing is imported or downloaded."""
    package = importlib.util.find_spec("skimage")
    folders = (package.submodule_search_locations if package else None) or []
    files = [Path(folder, "data", name) for folder in folders for name in SAMPLES]
    return {file.stem: file for file in files if file.is_file()}


def sample_styles() -> dict[str, Path]:
    """Name and file of each style image that a script of this project draws."""
    return {file.stem: file for file in sorted(SAMPLE_STYLE.parent.glob("*.jpg"))}


def existing_photo(name: str) -> Path:
    """The file a name stands for.

    Raises:
        ImageError: No such file.
    """
    path = resolve_photo(name)
    if not path.exists():
        raise ImageError(f"{path}: no such file")
    return path


def resolve_photo(name: str) -> Path:
    """The file a name stands for: `sample:coffee` is a photo of scikit-image, `sample:wave` a sample style."""
    if not name:
        raise ImageError("an empty name is no photo: is a variable of the shell not set?")
    if not name.startswith("sample:"):
        return Path(os.path.expanduser(name))  # which leaves `~beach.jpg` as it is
    samples = sample_photos() | sample_styles()
    if (sample := name.removeprefix("sample:")) not in samples:
        known = ", ".join(samples) or "none (pip install scikit-image)"
        raise ImageError(f"no sample photo {sample!r}; there are: {known}")
    return samples[sample]
