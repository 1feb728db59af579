"""`Stylizer`: a trained style, or any painting, that stylizes images in memory. Knows nothing of commands."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypedDict, TypeVar, Unpack, overload

import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from fastnst.base.boxes import Box, Reader, cut, one_at_a_time
from fastnst.base.devices import choose_device
from fastnst.base.errors import UserError
from fastnst.base.memory import give_back
from fastnst.images.colors import with_colors_of
from fastnst.images.levels import from_levels, to_levels
from fastnst.images.opacity import visible
from fastnst.images.read import load_on_white
from fastnst.images.types import to_channels
from fastnst.networks.catalog import StyleFileError, chosen_in_file, find_mix, is_exported
from fastnst.networks.exported import NUMBERS, ExportedNetwork, load_exported
from fastnst.networks.presets import PrecisionName, RuntimeName
from fastnst.networks.runtime import Runtime
from fastnst.networks.style_file import StyleFile, load_style
from fastnst.painting.passes import PaintingPass, Share, TrainedPass, part
from fastnst.universal.file import load_autoencoder, painting_side, predicted_style
from fastnst.universal.names import find_network, find_paintings, painted_name
from fastnst.universal.painter import LARGEST_SIDE, Memory, UniversalPainter

Photo = TypeVar("Photo", Image.Image, NDArray[Any], Tensor)


class Look(TypedDict, total=False):
    """How to paint, beside the strength.

    Attributes:
        keep_colors: Take lightness from the stylized image and colour from the photo (Gatys et al., 2017, section 5.1).
        stroke: Factor by which strokes get larger; photos are stylized at 1 / stroke of their size.
        tile: Side of the tiles in pixels; 0 stylizes photos as a whole. By default chosen by available memory.
        alpha: Of paintings, in place of a strength: 0 to 1, as in Li et al. (2017). A strength of 1 is 0.6.
        memory: Of paintings, for a video: a dictionary, empty at first, that all of its pictures share.
        watch: Wraps the iterable of tiles, for a progress bar.
    """

    keep_colors: bool
    stroke: float
    tile: int | None
    alpha: float | None
    memory: Memory | None
    watch: Callable[[Sequence[Box]], Iterable[Box]]


class Stylizer:
    """A style, a mix of the styles of one file, or paintings, that stylizes images.

    A call changes nothing, so threads may share a stylizer.

    Args:
        style: A name, a path, a mix of one file's styles such as `"day:0.6,night:0.4"`, a loaded style file, or an
            exported file such as `wave.onnx`, which its own runtime runs on the CPU. Styles of a file that is named by
            its path stand behind a colon: `"sky.onnx:day"`, `"art/sky.safetensors:day:0.6,night:0.4"`. Or any painting,
            such as `"painting.jpg"` or `"sample:wave"`, or a blend, `"painting.jpg:0.6,other.jpg:0.4"`: universal style
            transfer, which needs no training.
        weights: Weights of the file's styles by name, in place of a mix in `style`.
        device: `auto` (CUDA, then MPS, then CPU) or torch's name of a device.
        runtime: `torch`, `openvino` (on the CPU), or `auto`: OpenVINO where it is installed and the work is worth its
            start, see `runtime.PAYS_FROM`.
        precision: `float32`, or `auto`: for uint8 photos, bfloat16 on a CPU with units for it, which is 1.3 to 3 times
            as fast, and 49 to 62 dB from float32; float16 on CUDA.
        instant: Predict a trained style from the paintings, in place of universal style transfer: as fast as any
            trained style.

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
        precision: PrecisionName = "auto",
        instant: bool = False,
    ) -> None:
        self._pass: TrainedPass | PaintingPass
        if not isinstance(style, StyleFile) and is_exported(style):
            if runtime != "auto":
                raise UserError(f"{style} has a runtime of its own: leave out --runtime {runtime}")
            if precision != "auto":
                raise UserError(f"{style} has a precision of its own: leave out --precision {precision}")
            if instant:
                raise UserError(f"instant predicts a style from a painting, and {style} is none")
            path, named = chosen_in_file(str(style)) or (Path(style), None)
            exported, weights = load_exported(path, device=device), weights or named
            if NUMBERS in exported.info:
                raise UserError(
                    f"{style} is half of a predictor, for other programs: here, a painting is a style, with --instant"
                )
            self.name, self.device = str(exported.info["name"]), torch.device("cpu")
            whole: Callable[..., Tensor] = exported
            if exported.style_names:
                whole = partial(exported, style=style_row(exported, weights))
            elif weights is not None:
                raise StyleFileError(f"{style} holds one style or mix, so weights cannot be chosen")
            self._pass = TrainedPass(whole, self.name, self.device)
            return
        self.device = choose_device(device)
        if not isinstance(style, StyleFile) and (paintings := find_paintings(str(style))):
            self.name = painted_name(paintings)
            if not instant:
                if runtime == "openvino":
                    raise UserError("--runtime openvino runs trained styles: paintings are painted by torch")
                pictures = [(load_on_white(path, size=LARGEST_SIDE).to(self.device), part) for path, part in paintings]
                painter = UniversalPainter(load_autoencoder(find_network()).to(self.device), pictures)
                self._pass = PaintingPass(painter, self.device)
                return
            file = find_network(instant=True)
            side = painting_side(file)
            shown = [(load_on_white(path, size=side, edge=min), part) for path, part in paintings]
            trained = predicted_style(file, shown)
        elif instant:
            raise UserError("instant predicts a style from a painting, and this style is none")
        elif isinstance(style, StyleFile):
            trained = style
            self.name = str(trained.info["name"])
        else:
            path, mix = find_mix(str(style))
            trained, weights = load_style(path), weights or mix
            self.name = str(trained.info["name"])
        whole = Runtime(trained.network, style_row(trained, weights), self.device, runtime)
        self._pass = TrainedPass(whole, self.name, self.device, exact=precision == "float32")

    @overload
    def __call__(self, photo: Photo, *, strength: float | Tensor = 1.0, **look: Unpack[Look]) -> Photo: ...
    @overload
    def __call__(
        self, photo: Sequence[Photo], *, strength: float | Tensor = 1.0, **look: Unpack[Look]
    ) -> list[Photo]: ...
    def __call__(self, photo: Any, *, strength: float | Tensor = 1.0, **look: Unpack[Look]) -> Any:
        """Stylize photos; the result has the type, shape, type of numbers and device of the input.

        Args:
            photo: A PIL image, which comes back turned as its EXIF says, and with L, LA, RGB or RGBA in its mode; an
                array `(H, W, 3)` or `(B, H, W, 3)`; a tensor `(3, H, W)` or `(B, 3, H, W)`; or a list of these. Numbers
                are floats from 0 to 1, uint8 or uint16. A fourth channel, opacity, stays.
            strength: As in `paint`.
            **look: See `Look`.

        Raises:
            TypeError: Not an image of these types, or numbers of another type.
            ValueError: Another shape, or floats outside of [0, 1].
        """
        if isinstance(photo, list | tuple):
            return [self(each, strength=strength, **look) for each in photo]
        channels, back = to_channels(photo)
        return back(self.paint(channels, strength=strength, **look))

    def paint(self, photos: Tensor, *, strength: float | Tensor = 1.0, **look: Unpack[Look]) -> Tensor:
        """Stylize photos of any size, in tiles if a whole photo does not fit into memory.

        The norms of tiles take their statistics from pieces of the whole photo, so that tiles match.

        Args:
            photos: `(B, 3, H, W)`, sRGB: floats in [0, 1], or uint8 or uint16. A fourth channel, opacity, stays.
            strength: From 0, the photo, to 1, the full style; values in between blend the pixels. Or a map of such
                values, `(1 or B, 1, H, W)`. A painting's style is blended in the features: 0 is what the decoder makes
                of the photo's; a map's highest value counts there, and where the map is lower, pixels are blended.
            **look: See `Look`.

        Returns:
            Stylized images of the photos' shape and type, on their device.

        Raises:
            ExportedFileError: Tiles with an exported file, whose norms cannot take given statistics.
            UserError: An alpha with a trained style.
        """
        shares = strength.expand(len(photos), 1, *photos.shape[-2:]) if isinstance(strength, Tensor) else None
        if len(photos) > 1 and self.tile(photos.shape, **look):
            own = [strength if shares is None else share[None] for share in (photos if shares is None else shares)]
            return torch.cat([self.paint(photos[i : i + 1], strength=own[i], **look) for i in range(len(photos))])

        stylized = torch.empty_like(photos)  # outside of inference mode, so that it is a tensor like others
        stylized[:, 3:] = photos[:, 3:]
        share = float(strength) if shares is None else partial(part, shares)
        for box, painted in self.parts(partial(part, photos), photos.shape, photos.dtype, strength=share, **look):
            stylized[:, :3, *box] = painted
        return stylized

    def parts(
        self,
        photo: Reader,
        shape: Sequence[int],
        dtype: torch.dtype,
        *,
        strength: Share = 1.0,
        side_by_side: bool = True,
        **look: Unpack[Look],
    ) -> Iterator[tuple[Box, Tensor]]:
        """Boxes of a photo, row by row, and their stylized pixels `(B, 3, H, W)`; memory grows with the tile.

        Args:
            photo: Reads a box of the photo, levels or floats `(B, 3 or 4, H, W)`.
            shape: Shape of the whole photo.
            dtype: Type of the result.
            strength: As in `paint`; a map is read box by box.
            side_by_side: Whether threads may paint two tiles at once; they read one at a time.
            **look: See `Look`.

        Raises:
            UserError: An alpha with a trained style.
        """
        alpha, stroke, keep_colors = look.get("alpha"), look.get("stroke", 1.0), look.get("keep_colors", False)
        if alpha is not None and isinstance(self._pass, TrainedPass):
            raise UserError("alpha is for paintings; a trained style has a strength")
        size, side = (shape[-2], shape[-1]), self.tile(shape, **look)

        photo = one_at_a_time(photo)
        strength = strength if isinstance(strength, float) else one_at_a_time(strength)
        original = visible(lambda box: from_levels(photo(box)), size)
        with torch.inference_mode():
            if isinstance(self._pass, TrainedPass):
                exact = dtype != torch.uint8
                painting = self._pass.painting(original, size, stroke, in_tiles=side > 0, exact=exact)
            else:
                painting, strength = self._pass.painting(
                    original,
                    size,
                    stroke,
                    in_tiles=side > 0,
                    strength=strength,
                    alpha=alpha,
                    memory=look.get("memory"),
                )

        @torch.inference_mode()
        def paint(box: Box) -> tuple[Box, Tensor]:
            share = strength if isinstance(strength, float) else strength(box)
            pixels = from_levels(photo(box)[:, :3])
            if not (isinstance(share, Tensor) and not share.any()):  # else the photo shows
                pixels = _finished(pixels, painting(box), share, keep_colors)
            return box, to_levels(pixels, dtype)

        tiles = cut(size, side or max(size))
        watched = look.get("watch", iter)(tiles)
        several = side_by_side and len(tiles) > 1
        for painted in self._pass.each(paint, watched, side, stroke) if several else map(paint, watched):
            yield painted
            if side:
                give_back()

    def tile(self, shape: Sequence[int], **look: Unpack[Look]) -> int:
        """Side in pixels of the tiles in which photos of this shape are stylized; 0 if as a whole."""
        side = look.get("tile")
        return self._pass.tile(tuple(shape), look.get("stroke", 1.0)) if side is None else side


def _finished(photos: Tensor, stylized: Tensor, strength: float | Tensor, keep_colors: bool) -> Tensor:
    if keep_colors:
        stylized = with_colors_of(photos, stylized)
    if isinstance(strength, Tensor):
        return torch.lerp(photos, stylized, strength.to(photos))
    return stylized if strength == 1 else torch.lerp(photos, stylized, float(strength))


def style_row(style: StyleFile | ExportedNetwork, weights: Mapping[str, float] | None) -> Tensor:
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
