"""Pixels computed, in this thread and downwards, and kept: in memory, or in a temporary file if there are many.

libvips's own threads would keep memory of their own, and a forked process would wait for those that it lacks.
"""

import mmap
import tempfile
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from fastnst.images.decode import field, pyvips

IN_MEMORY = 2**25  # pixels; larger pictures are kept in temporary files and read in parts
Watch: TypeAlias = Callable[[Iterable[Any]], Iterable[Any]]
_STRIP = 2**20  # pixels that are computed at once
_TYPES: dict[str, str] = pyvips.vimage.FORMAT_TO_TYPESTR  # NumPy's names of libvips's types of numbers
_files: "weakref.WeakSet[mmap.mmap]" = weakref.WeakSet()  # temporary ones that are in use


def pixels_of(image: pyvips.Image, box: tuple[slice, slice] | None = None) -> NDArray[Any]:
    """The pixels of an image or a box of it, rows and columns, `(H, W, C)`."""
    rows, columns = box or (slice(0, image.height), slice(0, image.width))
    return _filled(image, (rows.stop - rows.start, columns.stop - columns.start), _strips(image, rows, columns))


def stored(image: pyvips.Image, watch: Watch = iter) -> pyvips.Image:
    """An image whose pixels are computed now, with the same metadata; `watch` wraps the iterable of their strips."""
    strips = watch(_strips(image, slice(0, image.height), slice(0, image.width)))
    return like(image, with_pixels(image, strips), image.get_fields())


def with_pixels(image: pyvips.Image, strips: Iterable[NDArray[Any]]) -> pyvips.Image:
    """An image of the same size, channels and type of numbers.

    Args:
        image: The other image.
        strips: The pixels from top to bottom, `(H, W, C)`.
    """
    if image.width * image.height <= IN_MEMORY:
        return pyvips.Image.new_from_array(_filled(image, (image.height, image.width), strips))
    with tempfile.TemporaryFile() as file:  # without a name, so that a process that is killed leaves nothing
        for strip in strips:
            strip.tofile(file)
        file.flush()
        pixels = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    _files.add(pixels)
    return pyvips.Image.new_from_memory(pixels, image.width, image.height, image.bands, image.format)


def let_go() -> None:
    """Take what was read of temporary files out of this process's memory; it is read again when it is asked for."""
    for pixels in list(_files):
        with suppress(AttributeError):  # Windows has no such call
            pixels.madvise(mmap.MADV_DONTNEED)


def like(other: pyvips.Image, image: pyvips.Image, fields: Iterable[str]) -> pyvips.Image:
    """An image with another one's kind, dots per inch, and fields of its metadata."""
    image = image.copy(interpretation=other.interpretation, xres=other.xres, yres=other.yres)
    own = {*image.get_fields(), "vips-sequential"}
    for name in fields:
        if name not in own and (value := field(other, name)) is not None:
            image.set_type(other.get_typeof(name), name, value)
    return image


def _strips(image: pyvips.Image, rows: slice, columns: slice) -> Iterator[NDArray[Any]]:
    width, region = columns.stop - columns.start, pyvips.Region.new(image)
    at_once = min(4096, max(16, _STRIP // width))  # the time of a strip grows with the square of its rows
    for top in range(rows.start, rows.stop, at_once):
        data = region.fetch(columns.start, top, width, min(at_once, rows.stop - top))
        let_go()
        yield np.frombuffer(data, _TYPES[image.format]).reshape(-1, width, image.bands)


def _filled(image: pyvips.Image, size: tuple[int, int], strips: Iterable[NDArray[Any]]) -> NDArray[Any]:
    pixels, top = np.empty((*size, image.bands), _TYPES[image.format]), 0
    for strip in strips:
        pixels[top : top + len(strip)] = strip
        top += len(strip)
    return pixels
