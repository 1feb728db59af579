"""Tools of the wave print: ink colours, brushes, foam, sheets of water and the paper's texture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

Array = NDArray[np.float64]
Colour = tuple[int, int, int]
Points = Sequence[tuple[float, float]]
Stroke = tuple[Array, Array]

WIDTH, HEIGHT, SCALE, SEED = 1152, 768, 3, 1831

INDIGO: Colour = (20, 32, 66)
PRUSSIAN: Colour = (28, 62, 112)
MID: Colour = (62, 110, 152)
SKYBLUE: Colour = (126, 163, 182)
PALE: Colour = (178, 199, 201)
CREAM: Colour = (243, 234, 210)
SAND: Colour = (226, 203, 156)
OCHRE: Colour = (201, 162, 97)
UMBER: Colour = (122, 88, 56)
BLUSH: Colour = (232, 172, 130)
VERMILION: Colour = (196, 62, 38)
RUST: Colour = (160, 44, 34)


def spline(control: Points, count: int = 160) -> Array:
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


class Block:
    """The sheet being printed: drawing in picture units on a larger canvas."""

    def __init__(self) -> None:
        self.rng = np.random.default_rng(SEED)
        self.image = Image.new("RGB", (WIDTH * SCALE, HEIGHT * SCALE), CREAM)
        self.draw = ImageDraw.Draw(self.image)

    def poly(self, points: Array, fill: Colour) -> None:
        """Fill a polygon."""
        self.draw.polygon([(float(x), float(y)) for x, y in points * SCALE], fill=fill)

    def dot(self, x: float, y: float, r: float, fill: Colour) -> None:
        """Fill a disc."""
        self.draw.ellipse([(x - r) * SCALE, (y - r) * SCALE, (x + r) * SCALE, (y + r) * SCALE], fill=fill)

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


def claw(
    rng: np.random.Generator, at: Array, angle: float, length: float, width: float, turn: float, depth: int
) -> list[Stroke]:
    """A hooked finger of foam with smaller fingers growing from it."""
    n = 18
    u = np.linspace(0, 1, n)
    bend = turn * rng.uniform(1.7, 2.7)
    heading = angle + bend * u**1.6
    step = np.stack([np.cos(heading), np.sin(heading)], axis=1) * (length / n)
    path = at + np.cumsum(step, axis=0)
    strokes: list[Stroke] = [(path, width * (1 - u) ** 0.75 + 0.8)]
    if depth > 0:
        for u0, side in ((0.22, -0.9), (0.42, 0.55), (0.62, -0.75)):
            i = int(u0 * n)
            a = float(heading[i]) + turn * side * rng.uniform(0.8, 1.2)
            size = rng.uniform(0.42, 0.62)
            strokes += claw(rng, path[i], a, length * size, width * size, turn, depth - 1)
    return strokes


def foam(block: Block, strokes: list[Stroke], outline: float) -> None:
    """Print one cluster of claws: a dark outline round their union, cream inside, blue shading."""
    for path, width in strokes:
        block.brush(path, width, INDIGO, outline)
    for path, width in strokes:
        block.brush(path, width, CREAM)
    for path, width in strokes:
        if width[0] > 4:
            m = len(path) * 2 // 3
            shade = path[:m] + normals(path)[:m] * width[:m, None] * 0.18
            block.brush(shade, width[:m] * 0.3 * taper(m, 0.5), SKYBLUE)


@dataclass
class Sheet:
    """A body of water stretched between two profiles: s runs along them, t across."""

    outer: Array
    inner: Array

    @classmethod
    def make(cls, outer: Points, inner: Points) -> Sheet:
        """A sheet between the curves through two lists of points."""
        return cls(spline(outer), spline(inner))

    def along(self, t: float | Array, lo: float = 0.0, hi: float = 1.0) -> Array:
        """The flow line at t (a number, or one per point) between two fractions of its length."""
        n = len(self.outer)
        a, b = int(lo * (n - 1)), int(hi * (n - 1)) + 1
        w = np.broadcast_to(np.asarray(t), (b - a,))[:, None]
        return np.asarray(self.outer[a:b] * (1 - w) + self.inner[a:b] * w)

    def bands(self, block: Block, count: int, colours: Sequence[Colour], ink: float) -> None:
        """Fill with flowing bands, each with a swelling outline and fine lines within."""
        rng = block.rng
        block.poly(np.vstack([self.outer, self.inner[::-1]]), PRUSSIAN)
        cuts = np.cumsum(rng.uniform(0.5, 1.6, count))
        cuts = np.concatenate([[0.0], cuts / cuts[-1]])
        s = np.linspace(0, 1, len(self.outer))
        wave = [c + 0.22 / count * np.sin(s * rng.uniform(5, 9) + rng.uniform(0, 6)) for c in cuts]
        wave[0], wave[-1] = s * 0, s * 0 + 1
        for i in range(count):
            colour = colours[i % len(colours)]
            block.poly(np.vstack([self.along(wave[i]), self.along(wave[i + 1])[::-1]]), colour)
        for i in range(count):
            self.detail(block, wave[i], wave[i + 1], colours[i % len(colours)], ink)
        for i in range(count + 1):
            edge = self.along(wave[i])
            press = rng.uniform(0.5, 1.4) if 0 < i < count else 1.5
            block.line(edge, ink * (0.35 + press * taper(len(edge), 1.2)), INDIGO)

    def detail(self, block: Block, lo: Array, hi: Array, colour: Colour, ink: float) -> None:
        """Fine parallel lines and a tapered accent inside one band."""
        rng = block.rng
        dark = sum(colour) < 330
        n = len(lo)
        wide = float(np.quantile((hi - lo) * np.hypot(*(self.inner - self.outer).T), 0.8))
        for f in np.linspace(0, 1, int(np.clip(wide / (1.9 * ink), 3, 10)))[1:-1]:
            a = rng.uniform(0, 0.1)
            b = rng.uniform(0.75, 1.0)
            path = self.along(lo + (hi - lo) * f)[int(a * n) : int(b * n)]
            block.line(path, 0.25 * ink * taper(len(path)) + 0.5, SKYBLUE if dark else PRUSSIAN)
        a = rng.uniform(0.05, 0.45)
        f = rng.uniform(0.3, 0.7)
        path = self.along(lo + (hi - lo) * f)[int(a * n) : int((a + 0.5) * n)]
        block.line(path, 1.7 * ink * taper(len(path), 1.0), PALE if dark else PRUSSIAN)


def noise(rng: np.random.Generator, cols: int, rows: int) -> Array:
    """Smooth noise around 0 with the given number of cells each way."""
    cells = Image.fromarray(rng.normal(0, 1, (rows, cols)).astype(np.float32))
    return np.asarray(cells.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC), dtype=np.float64)


def paper(block: Block) -> Image.Image:
    """Reduce the sheet and press in uneven ink, wood grain and paper fibre."""
    rng = block.rng
    ink = np.asarray(block.image.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS), dtype=np.float64)
    y = np.arange(HEIGHT)[:, None] + 18 * noise(rng, 4, 9) + 3 * noise(rng, 10, 60)
    grain = np.sin(y * 2 * np.pi / 6.5) * (0.6 + 0.4 * noise(rng, 7, 40))
    cover = np.clip(0.94 + 0.03 * noise(rng, 24, 16) + 0.035 * grain + 0.02 * noise(rng, 576, 384), 0.7, 1.0)
    fibre = noise(rng, 160, 500) + noise(rng, 700, 140)
    out = np.array(CREAM) * (1 - cover[..., None]) + ink * cover[..., None]
    out *= (1 + 0.012 * fibre + 0.014 * grain + 0.02 * noise(rng, 6, 4))[..., None]
    return Image.fromarray(np.clip(out, 0, 255).astype(np.uint8))
