"""`Stylizer`: a trained style, or any painting, that stylizes images in memory. Knows nothing of commands."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypedDict, TypeVar, Unpack, overload

import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from fastnst.base.boxes import Box, Reader, Size, cut, everything, scaled
from fastnst.base.devices import choose_device
from fastnst.base.errors import UserError
from fastnst.base.memory import available_memory, give_back
from fastnst.images.colors import with_colors_of
from fastnst.images.levels import from_levels, to_levels
from fastnst.images.opacity import visible
from fastnst.images.read import load_on_white
from fastnst.images.types import to_channels
from fastnst.networks.catalog import StyleFileError, find_mix, is_exported
from fastnst.networks.exported import load_exported
from fastnst.networks.exported_formats import ExportedFileError
from fastnst.networks.network import TransformationNetwork
from fastnst.networks.presets import RuntimeName
from fastnst.networks.runtime import Runtime, reduced_precision
from fastnst.networks.style_file import StyleFile, load_style
from fastnst.painting.tiles import MARGIN, PIECE, normalised_as, painted, pieces
from fastnst.universal.file import load_autoencoder
from fastnst.universal.names import find_network, find_paintings, painted_name
from fastnst.universal.painter import ALPHA, LARGEST_SIDE, Memory, UniversalPainter

SMALLEST = 16  # pixels; what the network takes
WHOLE_PASS = 2**31  # bytes that a pass may need; a picture that needs more is stylized in tiles
TILE_PASS = 2**28  # the same for a tile; the C library gives larger tensors back to the system each time, which is slow
WIDE_TILE_PASS = 2**30  # for a painting's tile, most of which is the surroundings that it needs
SAMPLE_PASS = 2**29  # the same for the pieces of the photo whose statistics all tiles share
SMALLEST_TILE = 128  # pixels
MOST_PIECES = 256
Photo = TypeVar("Photo", Image.Image, NDArray[Any], Tensor)


class Look(TypedDict, total=False):
    """Options of `Stylizer.paint`, where they are described."""

    strength: float | Tensor
    keep_colors: bool
    stroke: float
    tile: int | None
    alpha: float | None
    memory: Memory | None


class Stylizer:
    """A style, a mix of the styles of one file, or paintings, that stylizes images.

    A call changes nothing, so threads may share a stylizer.

    Args:
        style: A name, a path, a mix of one file's styles such as `"day:0.6,night:0.4"`, a loaded style file, or an
            exported file such as `wave.onnx`, which its own runtime runs on the CPU. Or any painting, such as
            `"painting.jpg"` or `"sample:wave"`, or a blend, `"painting.jpg:0.6,other.jpg:0.4"`: universal style
            transfer, which needs no training.
        weights: Weights of the file's styles by name, in place of a mix in `style`.
        device: `auto` (CUDA, then MPS, then CPU) or torch's name of a device.
        runtime: `torch`, `openvino` (on the CPU), or `auto`: OpenVINO where it is installed and the work is worth its
            start, see `runtime.PAYS_FROM`.

    Raises:
        StyleFileError: No such style, or an invalid mix.
        UserError: The runtime is not installed, or cannot run this style.
        ExportedFileError: The exported file does not exist, or cannot be run there.

    Example::

        stylizer = Stylizer("wave")
        stylizer(PIL.Image.open("photo.jpg"), strength=0.8).save("out.png")
    """

    def __init__(
        self,
        style: str | Path | StyleFile,
        *,
        weights: Mapping[str, float] | None = None,
        device: str = "auto",
        runtime: RuntimeName = "auto",
    ) -> None:
        self._network: TransformationNetwork | UniversalPainter | None = None
        self._whole: Callable[[Tensor], Tensor]  # stylizes what is not cut into tiles
        if not isinstance(style, StyleFile) and is_exported(style):
            if runtime != "auto":
                raise UserError(f"{style} has a runtime of its own: leave out --runtime {runtime}")
            exported = load_exported(Path(style), device=device)
            self.name, self.device, self._whole = str(exported.info["name"]), torch.device("cpu"), exported
            return
        if not isinstance(style, StyleFile) and (paintings := find_paintings(str(style))):
            if runtime == "openvino":
                raise UserError("--runtime openvino runs trained styles: paintings are painted by torch")
            self.name, self.device = painted_name(paintings), choose_device(device)
            pictures = [
                (load_on_white(each.path, size=LARGEST_SIDE).to(self.device), each.weight) for each in paintings
            ]
            self._network = UniversalPainter(load_autoencoder(find_network()).to(self.device), pictures)
            return
        if not isinstance(style, StyleFile):
            path, mix = find_mix(str(style))
            style, weights = load_style(path), weights or mix
        self.name = str(style.info["name"])
        self.device = choose_device(device)
        runtime_of_style = Runtime(style.network, style_row(style, weights), self.device, runtime)
        self._whole, self._network, self._style = runtime_of_style, runtime_of_style.network, runtime_of_style.style

    @overload
    def __call__(self, photo: Photo, **look: Unpack[Look]) -> Photo: ...
    @overload
    def __call__(self, photo: Sequence[Photo], **look: Unpack[Look]) -> list[Photo]: ...
    def __call__(self, photo: Any, **look: Unpack[Look]) -> Any:
        """Stylize photos; the result has the type, shape, type of numbers and device of the input.

        Args:
            photo: A PIL image, which comes back turned as its EXIF says, and with L, LA, RGB or RGBA in its mode; an
                array `(H, W, 3)` or `(B, H, W, 3)`; a tensor `(3, H, W)` or `(B, 3, H, W)`; or a list of these. Numbers
                are floats from 0 to 1, uint8 or uint16. A fourth channel, opacity, stays.
            **look: Options of `paint`, which describes them.

        Raises:
            TypeError: Not an image of these types, or numbers of another type.
            ValueError: Another shape, or floats outside of [0, 1].
        """
        if isinstance(photo, list | tuple):
            return [self(each, **look) for each in photo]
        channels, back = to_channels(photo)
        return back(self.paint(channels, **look))

    def paint(
        self,
        photos: Tensor,
        *,
        strength: float | Tensor = 1.0,
        keep_colors: bool = False,
        stroke: float = 1.0,
        tile: int | None = None,
        alpha: float | None = None,
        memory: Memory | None = None,
        watch: Callable[[Sequence[Box]], Iterable[Box]] = iter,
    ) -> Tensor:
        """Stylize photos of any size, in tiles if a whole photo does not fit into memory.

        The norms of tiles take their statistics from pieces of the whole photo, so that tiles match.

        Args:
            photos: `(B, 3, H, W)`, sRGB: floats in [0, 1], or uint8 or uint16. A fourth channel, opacity, stays.
            strength: From 0, the photo, to 1, the full style; values in between blend the pixels. Or a map of such
                values, `(1 or B, 1, H, W)`. A painting's style is blended in the features: 0 is what the decoder makes
                of the photo's; a map's highest value counts there, and where the map is lower, pixels are blended.
            keep_colors: Take lightness from the stylized image and colour from the photo (Gatys et al., 2017,
                section 5.1).
            stroke: Factor by which strokes get larger; photos are stylized at 1 / stroke of their size.
            tile: Side of the tiles in pixels; 0 stylizes photos as a whole. By default chosen by available memory.
            alpha: Of paintings, in place of a strength: 0 to 1, as in Li et al. (2017). A strength of 1 is 0.6.
            memory: Of paintings, for a video: a dictionary, empty at first, that all of its pictures share.
            watch: Wraps the iterable of tiles, for a progress bar.

        Returns:
            Stylized images of the photos' shape and type, on their device.

        Raises:
            ExportedFileError: Tiles with an exported file, whose norms cannot take given statistics.
            UserError: An alpha with a trained style.
        """
        height, width = photos.shape[-2:]
        options: dict[str, Any] = {"keep_colors": keep_colors, "stroke": stroke, "tile": tile, "watch": watch}
        options |= {"alpha": alpha, "memory": memory}
        shares = strength.expand(len(photos), 1, height, width) if isinstance(strength, Tensor) else None
        if len(photos) > 1 and (self._tile(photos.shape, stroke) if tile is None else tile):
            own = [strength if shares is None else share[None] for share in (photos if shares is None else shares)]
            return torch.cat([self.paint(photos[i : i + 1], strength=own[i], **options) for i in range(len(photos))])

        stylized = torch.empty_like(photos)  # outside of inference mode, so that it is a tensor like others
        stylized[:, 3:] = photos[:, 3:]
        share = float(strength) if shares is None else partial(_part, shares)
        for box, part in self.parts(partial(_part, photos), photos.shape, photos.dtype, strength=share, **options):
            stylized[:, :3, *box] = part
        return stylized

    def parts(
        self,
        photo: Reader,
        shape: Sequence[int],
        dtype: torch.dtype,
        *,
        strength: float | Reader = 1.0,
        keep_colors: bool = False,
        stroke: float = 1.0,
        tile: int | None = None,
        alpha: float | None = None,
        memory: Memory | None = None,
        watch: Callable[[Sequence[Box]], Iterable[Box]] = iter,
    ) -> Iterator[tuple[Box, Tensor]]:
        """Boxes of a photo, row by row, and their stylized pixels `(B, 3, H, W)`; memory grows with the tile.

        Args:
            photo: Reads a box of the photo, levels or floats `(B, 3 or 4, H, W)`.
            shape: Shape of the whole photo.
            dtype: Type of the result.
            strength: As in `paint`; a map is read box by box.
            keep_colors: As in `paint`.
            stroke: As in `paint`.
            tile: As in `paint`.
            alpha: As in `paint`.
            memory: As in `paint`.
            watch: As in `paint`.

        Raises:
            UserError: An alpha with a trained style.
        """
        if alpha is not None and not isinstance(self._network, UniversalPainter):
            raise UserError("alpha is for paintings; a trained style has a strength")
        height, width = shape[-2:]
        side = self._tile(shape, stroke) if tile is None else tile

        original = visible(lambda box: from_levels(photo(box)), (height, width))
        with torch.inference_mode():
            if isinstance(self._network, UniversalPainter):
                painting, strength = self._like_paintings(
                    self._network, original, (height, width), strength, alpha, side > 0, stroke=stroke, memory=memory
                )
            else:
                painting = self._painting(original, (height, width), stroke, in_tiles=side > 0)
        for box in watch(cut((height, width), side or max(height, width))):
            with torch.inference_mode():
                share = strength if isinstance(strength, float) else strength(box)
                untouched = from_levels(photo(box)[:, :3])
                part = to_levels(_finished(untouched, painting(box), share, keep_colors), dtype)
            yield box, part
            if side:
                give_back()

    def _painting(self, photo: Reader, size: Size, stroke: float, *, in_tiles: bool) -> Reader:
        """A stylized photo, with strokes larger by a factor.

        For larger strokes the photo is first stylized at a smaller size. The result is enlarged by at most 2 and
        stylized again, until it has the photo's size: this gives strokes the edges that enlarging blurs.
        """

        def once(picture: Reader, size: Size) -> Reader:
            if not in_tiles:
                whole = self._run(self._whole, picture(everything(size)))
                return lambda box: whole[..., *box]
            network = self._network_with_statistics(picture, size)
            run = partial(self._run, partial(network, style=self._style))
            return painted(run, picture, size, reach=network.reach, stride=network.stride)

        now = _divided(size, stroke)
        picture = once(scaled(photo, size, now), now)
        while stroke > 1:
            stroke = max(1.0, stroke / 2)
            before, now = now, _divided(size, stroke)
            picture = once(scaled(picture, before, now), now)
        return scaled(picture, now, size)

    def _like_paintings(
        self,
        painter: UniversalPainter,
        photo: Reader,
        size: Size,
        strength: float | Reader,
        alpha: float | None,
        in_tiles: bool,
        **look: Any,
    ) -> tuple[Reader, float | Reader]:
        """A photo like the paintings, and how strongly to blend its pixels with it.

        The highest strength counts in the features. The statistics of tiles are measured on pieces of the whole photo.
        """
        where: Tensor | None = None
        share: float | Reader = 1.0
        if isinstance(strength, float):
            highest = strength
        else:
            where, share = strength(everything(size)), strength
            highest = float(where.max())
            where = where / highest if highest else None
        if where is not None:
            share = partial(_part, where)
        look["alpha"] = ALPHA * highest if alpha is None else alpha
        if not in_tiles:
            whole = self._run(partial(painter, where=where, **look), photo(everything(size)))
            return partial(_part, whole), share

        region = everything(size) if where is None else _around(where)

        def with_weights(box: Box) -> Tensor:
            rows, columns = (
                slice(part.start + whole.start, part.stop + whole.start)
                for part, whole in zip(box, region, strict=True)
            )
            pixels = photo((rows, columns))
            return pixels if where is None else torch.cat([pixels, where[..., rows, columns].to(pixels)], dim=1)

        count = self._count_pieces(painter.values_per_pixel)
        height, width = (part.stop - part.start for part in region)
        parts = pieces(with_weights, (height, width), count).to(self.device)
        weights = parts[:, 3:] if parts.shape[1] > 3 and bool(parts[:, 3:].any()) else None  # dots may be missed
        margin = MARGIN if len(parts) > 1 else 0
        paint = painter.measured_on(parts[:, :3], where=weights, margin=margin, **look)
        tiles = painted(partial(self._run, paint), photo, size, reach=painter.reach, stride=painter.stride)
        return tiles, share

    def _count_pieces(self, values_per_pixel: float) -> int:
        return min(MOST_PIECES, 1 + int(self._memory(SAMPLE_PASS) / _bytes_per_pixel(values_per_pixel) / PIECE**2))

    def _network_with_statistics(self, picture: Reader, size: Size) -> TransformationNetwork:
        """A network whose norms have the statistics of a picture, measured on pieces of it."""
        if not isinstance(self._network, TransformationNetwork):
            raise ExportedFileError(
                f"{self.name}: exported files paint pictures as a whole; for tiles use the style file"
            )
        count = self._count_pieces(self._network.values_per_pixel)
        return normalised_as(self._network, _enlarged(pieces(picture, size, count)).to(self.device), self._style)

    def _run(self, paint: Callable[[Tensor], Tensor], photos: Tensor) -> Tensor:
        """Stylized images `(B, 3, H, W)` of photos of any size, on the photos' device."""
        height, width = photos.shape[-2:]
        if self.device.type == "cuda" and photos.device.type == "cpu":
            photos = photos.pin_memory()  # copies in the background need pinned memory
        moved = photos.to(self.device, non_blocking=True)
        with reduced_precision(self.device):
            stylized = paint(_enlarged(moved))
        return stylized[..., :height, :width].to(photos)

    def _memory(self, limit: int) -> float:
        """Bytes to use: the limit, but at most half of the available memory."""
        return min(limit, available_memory(self.device) / 2)

    def _tile(self, shape: Sequence[int], stroke: float) -> int:
        """Side of tiles that fit into memory, in pixels of the photos; 0 if whole photos fit."""
        if self._network is None:
            return 0
        like_paintings = isinstance(self._network, UniversalPainter)
        # Of the largest image stylized; for strokes of another size paintings change theirs, and photos do not.
        scale = 1.0 if like_paintings else 1 / min(1.0, stroke)
        photos = 4 * 3 * 4  # bytes per pixel of a few photos in float32
        per_pixel = _bytes_per_pixel(self._network.values_per_pixel) * scale**2 + photos
        if shape[0] * shape[-2] * shape[-1] * per_pixel < self._memory(WHOLE_PASS):
            return 0
        room = self._memory(WIDE_TILE_PASS if like_paintings else TILE_PASS)
        side = math.sqrt(room / per_pixel) - 2 * self._network.reach / scale
        return max(SMALLEST_TILE, round(side))


def _bytes_per_pixel(values: float) -> float:
    """Memory of a pass per pixel: the widest layer's input, its padded copy, its convolution and its norm."""
    return 4 * 4 * values


def _part(picture: Tensor, box: Box) -> Tensor:
    return picture[..., *box]


def _around(where: Tensor) -> Box:
    """The smallest box that holds all weights above 0 of a map `(1, 1, H, W)`."""
    there = where[0, 0] > 0
    rows, columns = (there.any(dim).nonzero() for dim in (1, 0))
    return slice(int(rows.min()), int(rows.max()) + 1), slice(int(columns.min()), int(columns.max()) + 1)


def _enlarged(photos: Tensor) -> Tensor:
    """Photos padded with copies of the last row and column to the network's smallest size."""
    height, width = photos.shape[-2:]
    missing = (0, max(0, SMALLEST - width), 0, max(0, SMALLEST - height))
    return F.pad(photos, missing, mode="replicate") if any(missing) else photos


def _finished(photos: Tensor, stylized: Tensor, strength: float | Tensor, keep_colors: bool) -> Tensor:
    if keep_colors:
        stylized = with_colors_of(photos, stylized)
    if isinstance(strength, Tensor):
        return torch.lerp(photos, stylized, strength.to(photos))
    return stylized if strength == 1 else torch.lerp(photos, stylized, float(strength))


def _divided(size: Size, by: float) -> Size:
    return max(1, round(size[0] / by)), max(1, round(size[1] / by))


def style_row(style: StyleFile, weights: Mapping[str, float] | None) -> Tensor:
    """Weights `(1, num_styles)` for the network; without weights, its only style.

    Raises:
        StyleFileError: Several styles and no weights, or an unknown name.
    """
    names = style.style_names
    if weights is None:
        if len(names) > 1:
            raise StyleFileError(f"{style.info['name']} has several styles, choose or mix: {', '.join(names)}")
        weights = {names[0]: 1.0}
    if unknown := set(weights) - set(names):
        raise StyleFileError(f"{style.info['name']} has no style {min(unknown)!r}; it has: {', '.join(names)}")
    return torch.tensor([[float(weights.get(name, 0.0)) for name in names]])
