"""`Stylizer`: a style file's network, ready to paint images. Knows nothing of image files or commands."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from fastnst.colors import with_colors_of
from fastnst.devices import choose_device
from fastnst.images import Levels, to_levels, to_tensor
from fastnst.memory import available_memory
from fastnst.network import TransformationNetwork
from fastnst.style_file import StyleFile, StyleFileError, find_style_file, list_styles, load_style, read_info
from fastnst.tiles import PIECE, Box, Reader, Size, cut, everything, normalised_as, painted, pieces, scaled

SMALLEST = 16  # pixels; what the network takes
WHOLE_PASS = 2**31  # bytes that a pass may need: a picture that needs more is painted in tiles
TILE_PASS = 2**28  # the same for a tile; the C library gives larger tensors back to the system each time, which is slow
SAMPLE_PASS = 2**29  # the same for the pieces of the photo whose statistics all tiles share
SMALLEST_TILE = 128  # pixels
MOST_PIECES = 256


class Stylizer:
    """Paints images in the style, or a mix of the styles, of one file.

    Args:
        style: A name, a path, a mix of one file's styles such as `"day:0.6,night:0.4"`, or a loaded style file.
        weights: Weight of each of the file's styles by name, in place of a mix in `style`.
        device: `auto` (CUDA, then MPS, then CPU) or torch's name of a device.

    Raises:
        StyleFileError: No such style, or a mix that is none.

    Example:
        stylizer = Stylizer("wave")
        stylized = stylizer(photos)  # (B, 3, H, W) in [0, 1], as the photos
    """

    def __init__(
        self, style: str | Path | StyleFile, *, weights: Mapping[str, float] | None = None, device: str = "auto"
    ) -> None:
        if not isinstance(style, StyleFile):
            path, mix = find_mix(str(style))
            style, weights = load_style(path), weights or mix
        self.name = str(style.info["name"])
        self.device = choose_device(device)
        self._style = _style_row(style, weights).to(self.device)  # (1, num_styles)
        self._network = style.network.to(self.device)

    @torch.inference_mode()
    def __call__(self, photos: Tensor, *, strength: float = 1.0, keep_colors: bool = False) -> Tensor:
        """Paint photos.

        Args:
            photos: `(B, 3, H, W)`, sRGB in [0, 1], any size from 1 x 1.
            strength: From 0, the photo, to 1, the full style; in between, a blend of the pixels.
            keep_colors: Take lightness from the stylized image and colour from the photo (Gatys et al., 2017,
                section 5.1).

        Returns:
            Stylized images `(B, 3, H, W)` in [0, 1], on the photos' device.
        """
        return _finished(photos, self._run(self._network, photos), strength, keep_colors)

    @torch.inference_mode()
    def paint(
        self,
        photo: NDArray[Levels],
        *,
        strength: float | Tensor = 1.0,
        keep_colors: bool = False,
        stroke: float = 1.0,
        tile: int | None = None,
        watch: Callable[[Sequence[Box]], Iterable[Box]] = iter,
    ) -> NDArray[Levels]:
        """Paint one photo of any size, in tiles where it would not fit into memory as a whole.

        The norms then take their statistics from pieces of the whole photo, so that no tile differs from the next.

        Args:
            photo: `(H, W, 3)`, sRGB, uint8 or uint16.
            strength: As above, or a map of it `(1, 1, H, W)`.
            keep_colors: As above.
            stroke: Strokes so many times as large, from painting at 1 / stroke of the photo's size.
            tile: Side of the tiles in pixels; 0 paints the photo as a whole. By default what suits the memory.
            watch: Gets the tiles and gives them back one by one: a place for a progress bar.

        Returns:
            The painting, as the photo.
        """
        height, width = photo.shape[:2]
        if tile is None:
            tile = self._tile((height, width), stroke)

        def original(box: Box) -> Tensor:
            return to_tensor(photo[box])

        def share(box: Box) -> float | Tensor:
            return strength[..., *box] if isinstance(strength, Tensor) else strength

        painting = self._painting(original, (height, width), stroke, in_tiles=tile > 0)
        result = np.empty_like(photo)
        for box in watch(cut((height, width), tile or max(height, width))):
            finished = _finished(original(box), painting(box), share(box), keep_colors)
            result[box] = to_levels(finished, photo.dtype)[0]
        return result

    def _painting(self, photo: Reader, size: Size, stroke: float, *, in_tiles: bool) -> Reader:
        """The painting of a photo, with strokes so many times as large.

        For larger strokes it is first painted at a smaller size, and the painting, enlarged at most twice, painted
        again, until it has the photo's size: what only enlarging would blur gets the edges of strokes.
        """

        def once(picture: Reader, size: Size) -> Reader:
            if not in_tiles:
                whole = self._run(self._network, picture(everything(size)))
                return lambda box: whole[..., *box]
            count = min(MOST_PIECES, 1 + int(self._memory(SAMPLE_PASS) / self._bytes_per_pixel / PIECE**2))
            sample = _enlarged(pieces(picture, size, count)).to(self.device)
            network = normalised_as(self._network, sample, self._style)
            run = partial(self._run, network)
            return painted(run, picture, size, reach=network.reach, stride=network.stride)

        now = _divided(size, stroke)
        picture = once(scaled(photo, size, now), now)
        while stroke > 1:
            stroke = max(1.0, stroke / 2)
            before, now = now, _divided(size, stroke)
            picture = once(scaled(picture, before, now), now)
        return scaled(picture, now, size)

    def _run(self, network: TransformationNetwork, photos: Tensor) -> Tensor:
        """Paintings `(B, 3, H, W)` of photos of any size, on the photos' device."""
        height, width = photos.shape[-2:]
        stylized: Tensor = network(_enlarged(photos.to(self.device)), self._style)
        return stylized[..., :height, :width].to(photos.device)

    @property
    def _bytes_per_pixel(self) -> float:
        """Memory of a pass: the widest layer's padded input, its convolution, its norm, and what came before."""
        return 4 * 4 * self._network.values_per_pixel

    def _memory(self, limit: int) -> float:
        """Bytes, at most half of what is available."""
        return min(limit, available_memory(self.device) / 2)

    def _tile(self, size: Size, stroke: float) -> int:
        """Side of the tiles, in pixels of the photo, that suits the memory; 0 if the whole photo does."""
        scale = 1 / min(1.0, stroke)  # of the largest painting
        per_pixel = self._bytes_per_pixel * scale**2 + 4 * 3 * 4  # and a few photos in float32
        if math.prod(size) * per_pixel < self._memory(WHOLE_PASS):
            return 0
        side = math.sqrt(self._memory(TILE_PASS) / per_pixel) - 2 * self._network.reach / scale
        return max(SMALLEST_TILE, round(side))


def _enlarged(photos: Tensor) -> Tensor:
    """Photos with as many copies of the last row and column as the network needs."""
    height, width = photos.shape[-2:]
    missing = (0, max(0, SMALLEST - width), 0, max(0, SMALLEST - height))
    return F.pad(photos, missing, mode="replicate") if any(missing) else photos


def _finished(photos: Tensor, stylized: Tensor, strength: float | Tensor, keep_colors: bool) -> Tensor:
    if keep_colors:
        stylized = with_colors_of(photos, stylized)
    return stylized if isinstance(strength, float) and strength == 1.0 else torch.lerp(photos, stylized, strength)


def _divided(size: Size, by: float) -> Size:
    return max(1, round(size[0] / by)), max(1, round(size[1] / by))


def find_mix(text: str) -> tuple[Path, dict[str, float] | None]:
    """The file and the weights that `wave`, `wave.safetensors`, `night` or `day:0.6,night:0.4` stand for.

    A name stands for the file of this name, or else for the style of this name in a file with several.

    Raises:
        StyleFileError: Unknown name, a weight that is no number, or styles of different files.
    """
    if ":" not in text or Path(text).is_file():
        return _find_style(text)
    terms = dict(_parse_term(term) for term in text.split(","))
    found = {name: _find_style(name) for name in terms}
    files = {path.resolve(): path for path, _ in found.values()}
    if len(files) > 1:
        raise StyleFileError(
            f"{' and '.join(found)} are in different files, so their parameters cannot be mixed; "
            "train them together: fastnst train --style A.jpg B.jpg"
        )
    total = sum(terms.values())
    weights = {_only_style(path, part): terms[name] / total for name, (path, part) in found.items()}
    return next(iter(files.values())), weights


def _parse_term(term: str) -> tuple[str, float]:
    name, _, number = term.strip().rpartition(":")
    try:
        weight = float(number)
    except ValueError:
        weight = -1.0
    if not name or not 0 < weight < float("inf"):
        raise StyleFileError(f"a mix is written name:weight,name:weight with positive weights, got {term.strip()!r}")
    return name, weight


def _find_style(name: str) -> tuple[Path, dict[str, float] | None]:
    """The file called so, or the file with several styles of which one is called so."""
    try:
        return find_style_file(name), None
    except StyleFileError:
        for path in list_styles():
            if name in _style_names(path):
                return path, {name: 1.0}
        raise


def _style_names(path: Path) -> list[str]:
    """The styles in a file; none of a file that is no style file."""
    try:
        return [str(style["name"]) for style in read_info(path)["styles"]]
    except StyleFileError:
        return []


def _only_style(path: Path, part: dict[str, float] | None) -> str:
    """The one style that a term of a mix stands for."""
    names = list(part) if part else _style_names(path)
    if len(names) != 1:
        raise StyleFileError(f"{path} has several styles, name one: {', '.join(names)}")
    return names[0]


def _style_row(style: StyleFile, weights: Mapping[str, float] | None) -> Tensor:
    """Weights `(1, num_styles)` for the network."""
    names = style.style_names
    if weights is None:
        if len(names) > 1:
            raise StyleFileError(f"{style.info['name']} has several styles, choose or mix: {', '.join(names)}")
        weights = {names[0]: 1.0}
    if unknown := set(weights) - set(names):
        raise StyleFileError(f"{style.info['name']} has no style {min(unknown)!r}; it has: {', '.join(names)}")
    return torch.tensor([[float(weights.get(name, 0.0)) for name in names]])
