"""Tools that the drawn sample pictures share: curves, brushes on an enlarged canvas, noise, and the command line."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

Array = NDArray[np.float64]
Colour = tuple[int, int, int]
Points = Sequence[tuple[float, float]]
Size = tuple[int, int]


def spline(control: Sequence[Sequence[float] | Array], count: int = 160) -> Array:
    """Catmull-Rom curve through the control points, evenly spaced in its parameter."""
    p = np.asarray(control, dtype=np.float64)
    p = np.vstack([2 * p[0] - p[1], p, 2 * p[-1] - p[-2]])
    u = np.linspace(0, len(p) - 3 - 1e-9, count)
    k = u.astype(int)
    f = (u - k)[:, None]
    a, b, c, d = p[k], p[k + 1], p[k + 2], p[k + 3]
    quad, cube = 2 * a - 5 * b + 4 * c - d, 3 * b - a - 3 * c + d
    return np.asarray(0.5 * (2 * b + (c - a) * f + quad * f**2 + cube * f**3))


def normals(path: Array) -> Array:
    """Unit vectors across a path, on its left as the screen shows it."""
    g = np.gradient(path, axis=0)
    g /= np.maximum(np.hypot(g[:, 0], g[:, 1]), 1e-6)[:, None]
    return np.stack([g[:, 1], -g[:, 0]], axis=1)


def taper(count: int, sharp: float = 0.6) -> Array:
    """A brush pressure profile: thin at both ends, full between."""
    return np.asarray(np.sin(np.pi * np.linspace(0, 1, count)) ** sharp)


def arc(
    middle: Array | Sequence[float], rx: float, ry: float, turn: float = 0.0, span: Sequence[float] = (0, 360)
) -> Array:
    """An ellipse, or the part of it between two angles, turned; angles in degrees."""
    t = np.radians(np.linspace(span[0], span[1], 90))
    c, s = np.cos(np.radians(turn)), np.sin(np.radians(turn))
    round_ = np.stack([rx * np.cos(t), ry * np.sin(t)], axis=1) @ np.array([[c, s], [-s, c]])
    return np.asarray(round_ + np.asarray(middle))


def noise(rng: np.random.Generator, size: Size, cols: int, rows: int) -> Array:
    """Smooth noise around 0 with the given number of cells each way."""
    cells = Image.fromarray(rng.normal(0, 1, (rows, cols)).astype(np.float32))
    return np.asarray(cells.resize(size, Image.Resampling.BICUBIC), dtype=np.float64)


def picture_of(levels: Array) -> Image.Image:
    """The picture with these levels, 0 to 255."""
    return Image.fromarray(np.clip(levels, 0, 255).astype(np.uint8))


class Canvas:
    """A picture being drawn: positions and widths in its pixels, on a canvas `scale` times as large."""

    def __init__(self, size: Size, scale: int, seed: int, ground: Colour) -> None:
        self.rng = np.random.default_rng(seed)
        self.size, self.scale = size, scale
        self.image = Image.new("RGB", (size[0] * scale, size[1] * scale), ground)
        self.draw = ImageDraw.Draw(self.image)

    def poly(self, points: Array, fill: Colour) -> None:
        """Fill a polygon."""
        self.draw.polygon([(float(x), float(y)) for x, y in points * self.scale], fill=fill)

    def dot(self, x: float, y: float, r: float, fill: Colour) -> None:
        """Fill a disc."""
        k = self.scale
        self.draw.ellipse([(x - r) * k, (y - r) * k, (x + r) * k, (y + r) * k], fill=fill)

    def line(self, path: Array, width: float | Array, fill: Colour) -> None:
        """A long brush line: the width, full or per point, may swell and taper."""
        half = normals(path) * np.broadcast_to(np.asarray(width) / 2, (len(path),))[:, None]
        self.poly(np.vstack([path + half, (path - half)[::-1]]), fill)

    def brush(self, path: Array, width: Array, fill: Colour, grow: float = 0.0) -> None:
        """A tightly curled stroke, safe where it overlaps itself."""
        half = normals(path) * (width / 2 + grow)[:, None]
        left, right = path + half, path - half
        for i in range(len(path) - 1):
            self.poly(np.array([left[i], left[i + 1], right[i + 1], right[i]]), fill)
            self.dot(path[i, 0], path[i, 1], width[i] / 2 + grow, fill)

    def reduced(self) -> Array:
        """The levels of the picture at its own size."""
        return np.asarray(self.image.resize(self.size, Image.Resampling.LANCZOS), dtype=np.float64)


def run(picture: Callable[[], Image.Image], script: str, quality: int = 90, full_colour: bool = False) -> None:
    """Draw a picture and save it where the command line says, or beside its script `draw_NAME.py` as NAME.jpg.

    Args:
        picture: What draws it.
        script: The script's file.
        quality: Of the JPEG.
        full_colour: Keep each pixel's own colour, not one for four pixels.
    """
    beside = Path(script).with_name(Path(script).stem.removeprefix("draw_") + ".jpg")
    picture().save(
        Path(sys.argv[1]) if len(sys.argv) > 1 else beside,
        quality=quality,
        subsampling=0 if full_colour else 2,
        optimize=full_colour,
        progressive=full_colour,
    )
