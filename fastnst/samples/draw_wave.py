"""Draw an original picture in the manner of a Japanese wave print, entirely by code.

Run: ``python -m fastnst.samples.draw_wave [OUT]`` (default: ``wave.jpg`` beside this file).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from fastnst.samples.drawing import Array, Colour, Points, normals, run, spline, taper
from fastnst.samples.woodblock import (
    BLUSH,
    CREAM,
    HEIGHT,
    INDIGO,
    MID,
    OCHRE,
    PALE,
    PRUSSIAN,
    RUST,
    SAND,
    SKYBLUE,
    UMBER,
    VERMILION,
    WIDTH,
    Block,
    Sheet,
    claw,
    foam,
    paper,
)

Look = tuple[Sequence[Colour], int, float]


def breaker(block: Block, sheet: Sheet, size: float, start: float, count: int) -> None:
    """Foam streaks down the face of a curling sheet, then claws round its lip."""
    rng = block.rng
    for t in np.linspace(0.02, 0.98, 15):
        path = sheet.along(float(t), rng.uniform(start - 0.12, 0.78), 1.0)
        width = np.linspace(0, 1, len(path)) ** 1.4 * size * rng.uniform(0.12, 0.3)
        block.line(path, width + 2.5, INDIGO)
        block.line(path, width, CREAM)
    lip = sheet.outer[-1] + np.linspace(0, 1, 30)[:, None] * (sheet.inner[-1] - sheet.outer[-1])
    edge = np.vstack([sheet.along(0.0, start, 1.0), lip, sheet.along(1.0, 0.86, 1.0)[::-1]])
    crest(block, edge, size, count)


def crest(block: Block, edge: Array, size: float, count: int) -> None:
    """Claws of foam along an edge, larger towards the breaking end, lather at their roots, spray beyond."""
    rng = block.rng
    gap = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(edge, axis=0).T))])
    at = np.linspace(0, gap[-1], count)
    spot = np.stack([np.interp(at, gap, edge[:, 0]), np.interp(at, gap, edge[:, 1])], axis=1)
    out = -normals(spot)
    u = np.linspace(0, 1, count)
    grow = size * (0.35 + 0.75 * np.sin(np.pi * u**1.7) ** 0.8) * rng.uniform(0.8, 1.15, count)
    reach = grow * np.where(np.arange(count) % 3 == 0, 1.45, 0.95)
    spray(block, spot, out, size)
    for i in range(count):
        angle = np.arctan2(out[i, 1], out[i, 0]) - 0.35 + rng.uniform(-0.4, 0.4)
        strokes = claw(rng, spot[i], float(angle), reach[i], grow[i] * rng.uniform(0.19, 0.26), -1.0, 2)
        foam(block, strokes, 0.9 + size / 100)
    lather(block, spot, out, grow)


def lather(block: Block, spot: Array, out: Array, grow: Array) -> None:
    """Scalloped foam that joins the roots of the claws, with little blue hollows."""
    rng = block.rng
    puffs: list[tuple[float, float, float]] = []
    for i in np.repeat(np.arange(len(spot)), 9):
        x, y = spot[i] + out[i] * grow[i] * rng.uniform(-0.16, 0.1) + rng.normal(0, grow[i] * 0.07, 2)
        puffs.append((float(x), float(y), float(grow[i] * rng.uniform(0.035, 0.085))))
    for extra, fill in ((1.5, INDIGO), (0.0, CREAM)):
        for x, y, r in puffs:
            block.dot(x, y, r + extra, fill)
    for x, y, r in puffs[::3]:
        block.dot(x, y, r * 0.62, MID)
        block.dot(x - r * 0.16, y - r * 0.2, r * 0.6, CREAM)


def spray(block: Block, spot: Array, out: Array, size: float) -> None:
    """Drops flung off the crest, thinning out with distance and never touching."""
    rng = block.rng
    kept: list[tuple[float, float, float]] = []
    for _ in range(int(len(spot) * size * 0.3)):
        i = rng.integers(len(spot))
        x, y = spot[i] + out[i] * size * (0.5 + rng.exponential(0.55)) + rng.normal(0, size * 0.3, 2)
        r = float(rng.choice([0.9, 1.4, 2.1, 3.2], p=[0.35, 0.35, 0.2, 0.1]))
        if all((x - a) ** 2 + (y - b) ** 2 > (r + c + 2.5) ** 2 for a, b, c in kept):
            kept.append((float(x), float(y), r))
            block.dot(x, y, r + 0.7, MID)
            block.dot(x, y, r, CREAM)


def swell(block: Block, y: float, high: float, phase: float, look: Look) -> None:
    """A row of leaning swells across the picture, their peaks capped with small claws."""
    colours, count, ink = look
    x = np.linspace(-60 - 2 * high, WIDTH + 60 + high, 360)
    turn = x / (high * 1.35 + 26) + phase + 0.4 * np.sin(x / 210 + phase)
    hump = np.exp(1.3 * (np.cos(turn) - 1))
    outer = np.stack([x - high * 0.9 * hump**2, y - high * hump], axis=1)
    inner = np.stack([x + high * 1.5, y + high * 1.8 - high * 0.5 * np.cos(turn)], axis=1)
    Sheet(outer, inner).bands(block, count, colours, ink)
    for i in np.flatnonzero((hump[1:-1] > hump[:-2]) & (hump[1:-1] > hump[2:])):
        edge = outer[max(0, i - int(high * 0.10)) : i + int(high * 0.3)][::-1]
        if len(edge) > 4:
            crest(block, edge, high * 0.42, 11)


CLOUDS = (
    (40, 60, 330),
    (150, 176, 300),
    (-60, 208, 260),
    (420, 92, 300),
    (760, 40, 420),
    (290, 236, 250),
    (930, 96, 330),
    (-40, 300, 230),
)


def sky(block: Block) -> None:
    """A graded sky with wind lines, a sun and long cloud bands."""
    rng = block.rng
    marks = [0, 34, 110, 210, 320, 405, HEIGHT]
    tints = [PRUSSIAN, SKYBLUE, SAND, SAND, CREAM, BLUSH, MID]
    for row in range(HEIGHT):
        r, g, b = (int(np.interp(row, marks, [c[k] for c in tints])) for k in range(3))
        block.poly(np.array([[0, row], [WIDTH, row], [WIDTH, row + 1], [0, row + 1]]), (r, g, b))
    for y in np.arange(6, 420, 5.5):
        x0, x1 = rng.uniform(-200, 700), rng.uniform(300, 800)
        x = np.linspace(x0, x0 + x1, 60)
        path = np.stack([x, y + 2.5 * np.sin(x / 90 + y / 30)], axis=1)
        block.line(path, taper(60) * rng.choice([1.0, 1.6, 5.5], p=[0.4, 0.4, 0.2]), OCHRE)
    block.dot(236, 150, 56, UMBER)
    block.dot(236, 150, 54.5, VERMILION)
    for dy in range(-40, 30, 7):
        half = (50**2 - dy**2) ** 0.5
        xs = np.linspace(236 - half, 236 + half * rng.uniform(0.2, 1), 30)
        block.line(np.stack([xs, xs * 0 + 150 + dy], axis=1), taper(30) * 1.5, RUST)
    for place in CLOUDS:
        cloud(block, *place)


def cloud(block: Block, x: float, y: float, w: float) -> None:
    """One stylised cloud: stacked round-ended bars under one outline, ruled lines, a curl at the end."""
    rng = block.rng
    bars = [(x + rng.uniform(-60, 60), y + 12 * k, w * rng.uniform(0.55, 1.0)) for k in range(3)]
    for grow, fill in ((1.9, PRUSSIAN), (0.0, CREAM)):
        for a, b, c in bars:
            block.line(np.array([[a, b], [a + c, b]]), 14 + 2 * grow, fill)
            block.dot(a, b, 7 + grow, fill)
            block.dot(a + c, b, 7 + grow, fill)
    for a, b, c in bars:
        xs = np.linspace(a + 4, a + c - 14, 30)
        for dy, ink, tint in ((3.2, 4.2, SAND if rng.random() < 0.4 else PALE), (-1.8, 1.3, MID)):
            block.line(np.stack([xs, xs * 0 + b + dy], axis=1), taper(30) * ink, tint)
        q = np.linspace(0, 1, 24)
        curl = np.stack([np.sin(q * 8.5), -np.cos(q * 8.5)], axis=1) * (5.2 * (1 - 0.75 * q))[:, None]
        block.brush(curl + np.array([a + c - 1, b]), 1.3 + 0.5 * (1 - q), PRUSSIAN)


def mountain(block: Block, x: float, y: float, h: float) -> None:
    """A distant snow-capped cone with hatched flanks."""
    left = spline([(x - 1.9 * h, y), (x - 0.8 * h, y - 0.42 * h), (x - 0.16 * h, y - h)], 40)
    right = spline([(x + 0.12 * h, y - 0.97 * h), (x + 0.7 * h, y - 0.45 * h), (x + 2.1 * h, y)], 40)
    block.poly(np.vstack([left, right]), MID)
    for f in np.linspace(0.04, 0.96, 30):
        path = spline(
            [
                (x + (f - 0.5) * 0.25 * h, y - 0.93 * h),
                (x + (f - 0.5) * 1.4 * h, y - 0.45 * h),
                (x + (f - 0.5) * 3.8 * h, y),
            ],
            30,
        )
        block.line(path, taper(30) * 1.5, PRUSSIAN if f > 0.5 else SKYBLUE)
    k = np.arange(11)
    teeth = np.stack([x + (0.5 - k / 10) * 1.3 * h, y - h * (0.42 + 0.2 * (k % 2))], axis=1)
    block.poly(np.vstack([left[22:], right[:18], teeth]), CREAM)
    block.line(np.vstack([left, right]), 2.2, INDIGO)


def boat(block: Block, x: float, y: float, k: float, tilt: float) -> None:
    """A slender open boat on a slope, its crew in straw hats bent over the oars."""
    c, n = k * np.cos(tilt), k * np.sin(tilt)

    def place(points: Points | Array) -> Array:
        return np.asarray(np.asarray(points, dtype=np.float64) @ np.array([[c, n], [-n, c]]) + (x, y))

    rail = place(spline([(-176, -52), (-100, -6), (0, 10), (100, -2), (160, -36)], 50))
    keel = place(spline([(-186, -46), (-112, 22), (0, 40), (105, 24), (168, -32)], 50))
    for i in range(7):
        px, py = -84 + 28 * i, -6 - 0.0022 * (28 * i - 84) ** 2
        block.line(place([(px + 4, py - 4), (px - 52, py + 74)]), 4.0 * k, INDIGO)
        block.line(place([(px + 3, py - 2), (px - 50, py + 72)]), 1.8 * k, OCHRE)
        robe = place(
            spline(
                [
                    (px - 16, py + 16),
                    (px - 15, py - 6),
                    (px - 5, py - 16),
                    (px + 11, py - 4),
                    (px + 15, py + 18),
                ],
                20,
            )
        )
        block.poly(robe, VERMILION if i % 3 == 1 else MID)
        block.line(robe, 2.4 * k, INDIGO)
        face = place([(px - 11, py - 15)])[0]
        block.dot(face[0], face[1], 6 * k, INDIGO)
        block.dot(face[0], face[1], 4.6 * k, SAND)
        hat = place([(px - 26, py - 13), (px - 13, py - 28), (px + 2, py - 15), (px - 26, py - 13)])
        block.poly(hat, SAND)
        block.line(hat, 2.0 * k, INDIGO)
    block.poly(np.vstack([rail, keel[::-1]]), OCHRE)
    for f in (0.25, 0.5, 0.75):
        block.line(rail * (1 - f) + keel * f, 1.3, UMBER)
    for path in (rail, keel):
        block.line(path, 3.4 * k * (0.5 + taper(50)), INDIGO)
    crest(block, keel[4:34] + np.array([0, 9 * k]), 15 * k, 16)


def plovers(block: Block, x: float, y: float) -> None:
    """A small flight of shore birds, two brush strokes each."""
    for i in range(9):
        at = np.array([x + 24 * i + block.rng.uniform(-8, 8), y - 15 * abs(i - 3) + block.rng.uniform(-9, 9)])
        for side in (-1, 1):
            wing = spline([(0, 0), (side * 5, -6), (side * 13, -5)], 12) + at
            block.brush(wing, np.linspace(3.0, 0.8, 12), INDIGO)


SEAL_MARKS = (
    (8, 9, 32, 9),
    (20, 5, 19, 28),
    (8, 18, 32, 20),
    (9, 29, 32, 28),
    (9, 37, 9, 54),
    (9, 37, 31, 37),
    (31, 37, 31, 54),
    (15, 45, 26, 45),
    (8, 54, 33, 54),
)


def seal(block: Block, x: float, y: float) -> None:
    """A vermilion seal of invented marks."""
    corners = np.array([[0, 0], [40, 1], [39, 62], [1, 61]]) + np.array([x, y])
    block.poly(corners, VERMILION)
    for ax, ay, bx, by in SEAL_MARKS:
        block.line(np.array([[x + ax, y + ay], [x + bx, y + by]], dtype=np.float64), 2.6, CREAM)


GREAT = Sheet.make(
    [(1270, 810), (1196, 484), (1068, 244), (872, 122), (676, 118), (530, 212)],
    [(450, 810), (670, 690), (810, 532), (820, 366), (714, 282), (586, 336)],
)
SECOND = Sheet.make(
    [(640, 760), (470, 560), (370, 440), (270, 372), (160, 372), (70, 436)],
    [(-60, 760), (130, 640), (236, 580), (246, 500), (190, 452), (112, 488)],
)
FRONT = Sheet.make(
    [(1300, 830), (1130, 690), (1010, 610), (900, 574), (800, 590), (728, 650)],
    [(560, 830), (700, 790), (830, 760), (880, 700), (840, 662), (774, 688)],
)
DEEP = (PRUSSIAN, PALE, MID, INDIGO, SKYBLUE, PRUSSIAN, CREAM)
FAR = (SKYBLUE, MID, PALE, MID)
NEAR = (PRUSSIAN, SKYBLUE, INDIGO, MID, PALE)


def picture() -> Image.Image:
    """Print the whole picture, back to front."""
    block = Block()
    sky(block)
    plovers(block, 176, 312)
    mountain(block, 404, 414, 98)
    swell(block, 418, 22, 2.0, (FAR, 5, 1.0))
    swell(block, 452, 36, 0.6, (FAR[::-1], 6, 1.4))
    swell(block, 505, 50, 4.4, (FAR, 6, 1.8))
    SECOND.bands(block, 11, (MID, PALE, PRUSSIAN, SKYBLUE), 2.4)
    breaker(block, SECOND, 44, 0.5, 26)
    swell(block, 580, 70, 3.2, (NEAR[::-1], 8, 2.2))
    GREAT.bands(block, 15, DEEP, 4.6)
    breaker(block, GREAT, 92, 0.5, 34)
    boat(block, 470, 600, 0.8, 0.12)
    swell(block, 690, 90, 1.4, (NEAR, 9, 3.2))
    FRONT.bands(block, 9, (INDIGO, SKYBLUE, PRUSSIAN, PALE, MID), 3.6)
    breaker(block, FRONT, 50, 0.5, 24)
    swell(block, 770, 84, 5.0, (DEEP, 7, 5.0))
    seal(block, 34, 40)
    return paper(block)


if __name__ == "__main__":
    run(picture, __file__)
