"""Photos painted by an exported file in NumPy arrays. torch, whose import takes a second, is not loaded."""

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

from fastnst.images.levels import floats_of, levels_of
from fastnst.images.picture import Picture
from fastnst.networks.catalog import chosen_in_file, is_exported
from fastnst.networks.exported import NUMBERS, load_exported
from fastnst.networks.exported_formats import EXPORTED, SMALLEST
from fastnst.painting.settings import ApplySettings

#: Settings that do not change what is done to a photo's pixels. `load_exported` looks at the device.
_APART = {
    *("style", "output", "watch", "steady", "size", "format", "quality", "profile", "max_megapixels"),
    *("force", "skip_existing", "device", "quiet", "json"),
}


def may_be_quick(settings: ApplySettings) -> bool:
    """Whether the style is an exported file that torch does not run, and nothing is asked for that changes photos."""
    usual = all(getattr(settings, each.name) == each.default for each in fields(settings) if each.name not in _APART)
    own_runtime = is_exported(settings.style) and bool(EXPORTED.get(Path(settings.style).suffix))
    return usual and own_runtime and not chosen_in_file(settings.style)


def quick_painter(settings: ApplySettings) -> Callable[[Picture], Picture | None] | None:
    """What paints photos as `Regions` does, to the bit.

    Returns:
        A function that paints a picture, and gives None for one with hidden pixels or below 16 pixels a side, which
        only `Regions` paints. None if it has to paint all of them.

    Raises:
        ExportedFileError: As `load_exported`.
    """
    if not may_be_quick(settings):
        return None
    exported = load_exported(Path(settings.style), device=settings.device)
    if exported.takes_style or NUMBERS in exported.info:
        return None

    def paint(picture: Picture) -> Picture | None:
        levels = picture.array()
        if min(picture.size) < SMALLEST or not levels[..., 3:].all():
            return None
        painted = exported.on_arrays(floats_of(levels[..., :3]))
        return picture.with_colors([levels_of(painted, levels.dtype)])

    return paint
