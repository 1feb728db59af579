"""Pixels computed, in this thread and downwards, and kept: in memory, or in a temporary file if there are many.

libvips's own threads would keep memory of their own, and a forked process would wait for those that it lacks.
"""

import atexit
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
    rows, columns = box or (slice(0, image.height), slice(0, image.width))
    return _filled(image, (rows.stop - rows.start, columns.stop - columns.start), _strips(image, rows, columns))


def stored(image: pyvips.Image) -> pyvips.Image:
    """An image whose pixels are computed now, with the same metadata."""
    strips = _strips(image, slice(0, image.height), slice(0, image.width))
    return like(image, with_pixels(image, strips), image.get_fields())


def with_pixels(image: pyvips.Image, strips: Iterable[NDArray[Any]]) -> pyvips.Image:
    """An image of the same size, channels and type of numbers.

    Args:
        image: The other image.
        strips: The pixels from top to bottom, `(H, W, C)`; each may be the same array with other numbers.
    """
    if image.width * image.height <= IN_MEMORY:
        return pyvips.Image.new_from_array(_filled(image, (image.height, image.width), strips))
    with tempfile.NamedTemporaryFile(suffix=".raw", delete=False) as file:
        _files.add(file.name)
        file.truncate(image.width * image.height * image.bands * _kind(image).itemsize)
        kept = pyvips.Image.rawload(file.name, image.width, image.height, image.bands, format=image.format)
        _remove_files()  # before it is filled, so that a process that is killed leaves nothing
        for strip in strips:
            strip.tofile(file)
    return kept


def like(other: pyvips.Image, image: pyvips.Image, fields: Iterable[str]) -> pyvips.Image:
    """An image with another one's kind, dots per inch, and fields of its metadata."""
    image = image.copy(interpretation=other.interpretation, xres=other.xres, yres=other.yres)
    own = {*image.get_fields(), "vips-sequential"}
    for name in fields:
        if name not in own and (value := field(other, name)) is not None:
            image.set_type(other.get_typeof(name), name, value)
    return image


def _kind(image: pyvips.Image) -> np.dtype[Any]:
    kind: np.dtype[Any] = np.dtype(pyvips.vimage.FORMAT_TO_TYPESTR[image.format])
    return kind


def _strips(image: pyvips.Image, rows: slice, columns: slice) -> Iterator[NDArray[Any]]:
    width, region = columns.stop - columns.start, pyvips.Region.new(image)
    at_once = max(16, _STRIP // width)
    for top in range(rows.start, rows.stop, at_once):
        height = min(at_once, rows.stop - top)
        data = region.fetch(columns.start, top, width, height)
        yield np.frombuffer(data, _kind(image)).reshape(height, width, image.bands)


def _filled(image: pyvips.Image, size: tuple[int, int], strips: Iterable[NDArray[Any]]) -> NDArray[Any]:
    pixels, top = np.empty((*size, image.bands), _kind(image)), 0
    for strip in strips:
        pixels[top : top + len(strip)] = strip
        top += len(strip)
    return pixels


@atexit.register
def _remove_files() -> None:
    """Remove temporary files. Open ones lose their name alone; Windows refuses that, so they are tried again later."""
    for name in list(_files):
        with suppress(OSError):
            os.unlink(name)
            _files.discard(name)
