"""Tools of the wave print: ink colours, foam, sheets of water and the paper's texture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from fastnst.samples.drawing import Array, Canvas, Colour, Points, noise, normals, picture_of, spline, taper

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


class Block(Canvas):
    """The sheet being printed."""

    def __init__(self) -> None:
        super().__init__((WIDTH, HEIGHT), SCALE, SEED, CREAM)


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


def paper(block: Block) -> Image.Image:
    """Reduce the sheet and press in uneven ink, wood grain and paper fibre."""
    ink = block.reduced()

    def rough(cols: int, rows: int) -> Array:
        return noise(block.rng, block.size, cols, rows)

    y = np.arange(HEIGHT)[:, None] + 18 * rough(4, 9) + 3 * rough(10, 60)
    grain = np.sin(y * 2 * np.pi / 6.5) * (0.6 + 0.4 * rough(7, 40))
    cover = np.clip(0.94 + 0.03 * rough(24, 16) + 0.035 * grain + 0.02 * rough(576, 384), 0.7, 1.0)
    fibre = rough(160, 500) + rough(700, 140)
    out = np.array(CREAM) * (1 - cover[..., None]) + ink * cover[..., None]
    return picture_of(out * (1 + 0.012 * fibre + 0.014 * grain + 0.02 * rough(6, 4))[..., None])
