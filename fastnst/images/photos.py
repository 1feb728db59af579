"""Photos in folders, and sample photos by name. Imports neither torch nor anything that does."""

import importlib.util
import os
from pathlib import Path

from fastnst.base.files import PACKAGE
from fastnst.images.formats import SUFFIXES, ImageError

# The pictures of the scikit-image wheel that serve as photos; the others are text, diagrams and microscopy.
SAMPLES = (
    *("astronaut.png", "brick.png", "camera.png", "chelsea.png", "coffee.png", "coins.png"),
    *("grass.png", "gravel.png", "hubble_deep_field.jpg", "motorcycle_left.png", "rocket.jpg"),
)
SAMPLE_STYLE = PACKAGE / "samples" / "wave.jpg"


def find_photos(folder: Path, suffixes: tuple[str, ...] = SUFFIXES) -> list[Path]:
    """All files in the folder and below whose suffix is that of a photo, sorted; hidden ones are left out."""
    if not folder.is_dir():
        raise NotADirectoryError(f"expected a folder of photos, got {folder}")
    photos: list[Path] = []
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        shown = [name for name in files if not name.startswith(".")]
        photos += [Path(place, name) for name in shown if name.lower().endswith(suffixes)]
    return sorted(photos)


def sample_photos() -> dict[str, Path]:
    """Name and file of each photo in the installed scikit-image wheel; nothing is imported or downloaded."""
    package = importlib.util.find_spec("skimage")
    folders = (package.submodule_search_locations if package else None) or []
    files = [Path(folder, "data", name) for folder in folders for name in SAMPLES]
    return {file.stem: file for file in files if file.is_file()}


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
    """The file a name stands for: `sample:coffee` is a photo of scikit-image, `sample:wave` the sample style."""
    if not name:
        raise ImageError("an empty name is no photo: is a variable of the shell not set?")
    if not name.startswith("sample:"):
        return Path(os.path.expanduser(name))  # which leaves `~beach.jpg` as it is
    samples = sample_photos() | {SAMPLE_STYLE.stem: SAMPLE_STYLE}
    if (sample := name.removeprefix("sample:")) not in samples:
        known = ", ".join(samples) or "none (pip install scikit-image)"
        raise ImageError(f"no sample photo {sample!r}; there are: {known}")
    return samples[sample]
