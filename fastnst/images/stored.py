"""Pixels computed, in this thread and downwards, and kept: in memory, or in a temporary file if there are many.

libvips's own threads would keep memory of their own, and a forked process would wait for those that it lacks.
"""

import atexit
import itertools
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastnst.images.decode import field, pyvips

if TYPE_CHECKING:
    from fastnst.base.boxes import Box

IN_MEMORY = 2**25  # pixels; larger pictures are kept in temporary files and read in parts
_STRIP = 2**20  # pixels that are computed at once
_files: set[str] = set()  # temporary ones, to be removed


def pixels_of(image: pyvips.Image, box: "Box | None" = None) -> NDArray[Any]:
    """The pixels of an image or a box of it, `(H, W, C)`."""
    rows, columns = box or _everything(image)
    return _stacked(_strips(image, rows, columns), rows.stop - rows.start)


def stored(image: pyvips.Image) -> pyvips.Image:
    """An image whose pixels are computed now, with the same metadata."""
    kept = like(image, gathered(_strips(image, *_everything(image)), image.height))
    kept.remove("vips-sequential")
    return kept


def gathered(strips: Iterable[NDArray[Any]], height: int) -> pyvips.Image:
    """An image of this height from its strips `(H, W, C)`, which may all be one array that is filled again."""
    first, strips = _peeked(strips)
    width, bands = first.shape[1:]
    if height * width <= IN_MEMORY:
        return pyvips.Image.new_from_array(_stacked(strips, height))
    with tempfile.NamedTemporaryFile(suffix=".raw", delete=False) as file:
        _files.add(file.name)
        for strip in strips:
            strip.tofile(file)
    kind = pyvips.vimage.TYPESTR_TO_FORMAT[first.dtype.str]
    image = pyvips.Image.rawload(file.name, width, height, bands, format=kind)
    _remove_files()
    return image


def like(other: pyvips.Image, image: pyvips.Image, *names: str) -> pyvips.Image:
    """An image with another one's kind, dots per inch, and metadata: all of it, or fields of these names."""
    image = image.copy(interpretation=other.interpretation, xres=other.xres, yres=other.yres)
    for name in names or other.get_fields():
        if not image.get_typeof(name) and (value := field(other, name)) is not None:
            image.set_type(other.get_typeof(name), name, value)
    return image


def _everything(image: pyvips.Image) -> "Box":
    return slice(0, image.height), slice(0, image.width)


def _strips(image: pyvips.Image, rows: slice, columns: slice) -> Iterator[NDArray[Any]]:
    width, kind = columns.stop - columns.start, pyvips.vimage.FORMAT_TO_TYPESTR[image.format]
    region, at_once = pyvips.Region.new(image), max(16, _STRIP // width)
    for top in range(rows.start, rows.stop, at_once):
        height = min(at_once, rows.stop - top)
        data = region.fetch(columns.start, top, width, height)
        yield np.frombuffer(data, kind).reshape(height, width, image.bands)


def _stacked(strips: Iterable[NDArray[Any]], height: int) -> NDArray[Any]:
    first, strips = _peeked(strips)
    pixels, top = np.empty((height, *first.shape[1:]), first.dtype), 0
    for strip in strips:
        pixels[top : top + len(strip)] = strip
        top += len(strip)
    return pixels


def _peeked(strips: Iterable[NDArray[Any]]) -> tuple[NDArray[Any], Iterator[NDArray[Any]]]:
    """The first strip, and all of them."""
    strips = iter(strips)
    first = next(strips)
    return first, itertools.chain([first], strips)


@atexit.register
def _remove_files() -> None:
    """Remove temporary files. Open ones lose their name alone; Windows refuses that, so they are tried again later."""
    for name in list(_files):
        with suppress(OSError):
            os.unlink(name)
            _files.discard(name)
