"""What paints a photo, as a whole or in tiles: a trained network, or a painter of paintings. Knows nothing of files."""

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, nullcontext
from functools import partial
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.nn import functional as F

from fastnst.base.boxes import BLOCK, Box, Reader, Size, cut, everything, scaled
from fastnst.base.memory import available_memory
from fastnst.base.pipeline import in_threads
from fastnst.networks.exported_formats import SMALLEST, ExportedFileError
from fastnst.networks.network import TransformationNetwork
from fastnst.networks.runtime import Runtime, reduced_precision
from fastnst.painting.tiles import MARGIN, PIECE, normalised_as, painted, pieces
from fastnst.universal.painter import ALPHA, Memory, UniversalPainter

WHOLE_PASS = 2**31  # bytes that a pass may need; a picture that needs more is stylized in tiles
TILE_PASS = 2**28  # the same for a tile; the C library gives larger tensors back to the system each time, which is slow
WIDE_TILE_PASS = 3 * 2**28  # for a painting's tile, most of which is the surroundings that it needs
SAMPLE_PASS = 2**29  # the same for the pieces of the photo whose statistics all tiles share
SMALLEST_TILE = 128  # pixels
MOST_PIECES = 256
Result = TypeVar("Result")
Share = float | Reader  # how strongly to blend a photo's pixels with the painted ones, everywhere or by place


class Pass:
    """What both ways have in common.

    Attributes:
        device: Where to compute.
        network: Computes tiles; None for an exported file.
        exact: Whether to compute in float32 on every device.
    """

    tile_pass = TILE_PASS
    side_by_side = False  # whether two tiles at once are faster
    exact = False

    def __init__(self, device: torch.device, network: TransformationNetwork | UniversalPainter | None) -> None:
        self.device, self.network = device, network

    def tile(self, shape: tuple[int, ...], stroke: float) -> int:
        """Side of tiles that fit into memory, in pixels of photos of a shape; 0 if whole photos fit."""
        if self.network is None:
            return 0
        scale, per_pixel = self.scale(stroke), self._per_pixel(self.network, stroke)
        if shape[0] * shape[-2] * shape[-1] * per_pixel < self._memory(WHOLE_PASS):
            return 0
        side = math.sqrt(self._memory(self.tile_pass) / per_pixel) - 2 * self.network.reach / scale
        return max(SMALLEST_TILE, round(side))

    def each(self, paint: Callable[[Box], Result], tiles: Iterable[Box], side: int, stroke: float) -> Iterator[Result]:
        """Like `map`, for tiles of a side; two at once in threads that share the cores, if there is memory for both."""
        cores = torch.get_num_threads()
        if not self.side_by_side or self.device.type != "cpu" or cores == 1 or not self._room_for_two(side, stroke):
            yield from map(paint, tiles)
            return
        team = partial(torch.set_num_threads, math.ceil(cores / 2))
        try:
            with closing(in_threads(paint, tiles, threads=2, start=team)) as painted:
                yield from painted
        finally:
            torch.set_num_threads(cores)  # also of the threads that start from now on

    def _room_for_two(self, side: int, stroke: float) -> bool:
        assert self.network is not None
        seen = side + 2 * self.network.reach / self.scale(stroke)
        both = 2 * self._per_pixel(self.network, stroke) * seen**2
        return self._memory(math.ceil(both)) >= both

    def _per_pixel(self, network: TransformationNetwork | UniversalPainter, stroke: float) -> float:
        """Bytes of a pass per pixel of the photo."""
        photos = 4 * 3 * 4  # a few, in float32
        return _bytes_per_pixel(network.values_per_pixel) * self.scale(stroke) ** 2 + photos

    def scale(self, stroke: float) -> float:
        """Of the largest image painted, to the photo."""
        return 1 / min(1.0, stroke)

    def run(self, paint: Callable[[Tensor], Tensor], photos: Tensor) -> Tensor:
        """Stylized images `(B, 3, H, W)` of photos of any size, on the photos' device."""
        height, width = photos.shape[-2:]
        if self.device.type == "cuda" and photos.device.type == "cpu":
            photos = photos.pin_memory()  # copies in the background need pinned memory
        moved = photos.to(self.device, non_blocking=True)
        with nullcontext() if self.exact else reduced_precision(self.device):
            stylized = paint(_enlarged(moved))
        return stylized[..., :height, :width].to(photos)

    def pieces(self, picture: Reader, size: Size) -> Tensor:
        """Pieces of a picture, as many as memory allows, on the device; see `tiles.pieces`."""
        assert self.network is not None
        return pieces(picture, size, most_pieces(self.network, self._memory(SAMPLE_PASS))).to(self.device)

    def _memory(self, limit: int) -> float:
        """Bytes to use: the limit, but at most half of the available memory."""
        return min(limit, available_memory(self.device) / 2)


class TrainedPass(Pass):
    """A trained style.

    Args:
        whole: Stylizes what is not cut into tiles: a runtime, or an exported file.
        name: Of the style, for messages.
        device: Where to compute.
        exact: Whether to compute in float32 on every device.
    """

    side_by_side = True

    def __init__(self, whole: Callable[..., Tensor], name: str, device: torch.device, *, exact: bool = False) -> None:
        super().__init__(device, whole.network if isinstance(whole, Runtime) else None)
        self.exact = exact
        self._whole, self._name = whole, name

    def painting(self, photo: Reader, size: Size, stroke: float, *, in_tiles: bool, exact: bool = False) -> Reader:
        """A stylized photo, with strokes larger by a factor.

        For larger strokes the photo is first stylized at a smaller size. The result is enlarged by at most 2 and
        stylized again, until it has the photo's size: this gives strokes the edges that enlarging blurs. On a CPU, what
        is to be exact is computed in float32.
        """
        once = partial(self._in_tiles if in_tiles else self._as_a_whole, exact=exact or self.exact)
        now = _divided(size, stroke)
        picture = once(scaled(photo, size, now), now)
        while stroke > 1:
            stroke = max(1.0, stroke / 2)
            before, now = now, _divided(size, stroke)
            picture = once(scaled(picture, before, now), now)
        return scaled(picture, now, size)

    def _as_a_whole(self, picture: Reader, size: Size, *, exact: bool) -> Reader:
        paint = partial(self._whole, exact=exact) if isinstance(self._whole, Runtime) else self._whole
        return partial(part, self.run(paint, picture(everything(size))))

    def _in_tiles(self, picture: Reader, size: Size, *, exact: bool) -> Reader:
        """By a network whose norms have the statistics of the picture, measured on pieces of it."""
        if not isinstance(self._whole, Runtime):
            raise ExportedFileError(
                f"{self._name}: exported files paint pictures as a whole; for tiles use the style file"
            )
        style, precision = self._whole.style, partial(self._whole.precision, exact=exact)
        with precision():
            network = normalised_as(self._whole.network, _enlarged(self.pieces(picture, size)), style)

        def paint(photos: Tensor) -> Tensor:  # maybe in another thread
            with precision():
                stylized: Tensor = network(photos, style)
            return stylized

        return painted(partial(self.run, paint), picture, size, reach=network.reach, stride=network.stride)


class PaintingPass(Pass):
    """Paintings, without training."""

    tile_pass = WIDE_TILE_PASS
    network: UniversalPainter

    def __init__(self, painter: UniversalPainter, device: torch.device) -> None:
        super().__init__(device, painter)

    def scale(self, stroke: float) -> float:
        """1: for strokes of another size paintings change theirs, and photos do not."""
        return 1.0

    def painting(
        self,
        photo: Reader,
        size: Size,
        stroke: float,
        *,
        in_tiles: bool,
        strength: Share = 1.0,
        alpha: float | None = None,
        memory: Memory | None = None,
    ) -> tuple[Reader, Share]:
        """A photo like the paintings, and how strongly to blend its pixels with it.

        The highest strength counts in the features; where a map is lower, pixels are blended. The statistics are those
        of the region in which there is any. Those of tiles are measured on pieces of the photo.
        """
        region = everything(size)
        share: Share = 1.0
        where: Reader | None = None
        if isinstance(strength, float):
            highest = strength
        else:
            highest, region = _highest(strength, size)
            if not highest:
                return photo, strength
            where = share = _divided_by(highest, strength)
        look: dict[str, Any] = {"alpha": ALPHA * highest if alpha is None else alpha}
        look |= {"stroke": stroke, "memory": memory}
        if not in_tiles:
            weights = None if where is None else where(everything(size))
            whole = self.run(partial(self.network, where=weights, **look), photo(everything(size)))
            return partial(part, whole), share

        def with_weights(box: Box) -> Tensor:
            rows, columns = (
                slice(side.start + whole.start, side.stop + whole.start)
                for side, whole in zip(box, region, strict=True)
            )
            pixels = photo((rows, columns))
            return pixels if where is None else torch.cat([pixels, where((rows, columns)).to(pixels)], dim=1)

        height, width = (side.stop - side.start for side in region)
        parts = self.pieces(with_weights, (height, width))
        weights = parts[:, 3:] if parts.shape[1] > 3 and bool(parts[:, 3:].any()) else None  # dots may be missed
        margin = MARGIN if len(parts) > 1 else 0
        paint = self.network.measured_on(parts[:, :3], where=weights, margin=margin, **look)
        run = partial(self.run, paint)
        return painted(run, photo, size, reach=self.network.reach, stride=self.network.stride), share


def part(picture: Tensor, box: Box) -> Tensor:
    """A box of a picture in memory."""
    return picture[..., *box]


def _highest(strength: Reader, size: Size) -> tuple[float, Box]:
    """The highest value of a map, and the smallest box with all that is above 0; read block by block."""
    highest = 0.0
    top, bottom, left, right = size[0], 0, size[1], 0
    for rows, columns in cut(size, BLOCK):
        values = strength((rows, columns))
        there = values[0, 0] > 0
        if there.any():
            highest = max(highest, float(values.max()))
            down, across = (there.any(dim).nonzero() for dim in (1, 0))
            top, bottom = min(top, rows.start + int(down.min())), max(bottom, rows.start + int(down.max()) + 1)
            left, right = (
                min(left, columns.start + int(across.min())),
                max(right, columns.start + int(across.max()) + 1),
            )
    return highest, (slice(top, bottom), slice(left, right))


def _divided_by(number: float, picture: Reader) -> Reader:
    return lambda box: picture(box) / number


def most_pieces(network: TransformationNetwork | UniversalPainter, memory: float = SAMPLE_PASS) -> int:
    """As many pieces of a photo as can be measured in a pass of so many bytes; at least 1."""
    return min(MOST_PIECES, 1 + int(memory / (_bytes_per_pixel(network.values_per_pixel) * PIECE**2)))


def _bytes_per_pixel(values: float) -> float:
    """Memory of a pass per pixel: the widest layer's input, its padded copy, its convolution and its norm."""
    return 4 * 4 * values


def _enlarged(photos: Tensor) -> Tensor:
    """Photos padded with copies of the last row and column to the network's smallest size."""
    height, width = photos.shape[-2:]
    missing = (0, max(0, SMALLEST - width), 0, max(0, SMALLEST - height))
    return F.pad(photos, missing, mode="replicate") if any(missing) else photos


def _divided(size: Size, by: float) -> Size:
    return max(1, round(size[0] / by)), max(1, round(size[1] / by))
