"""Draw an original landscape in brush and ink, entirely by code.

Run: ``python -m fastnst.samples.draw_ink [OUT]`` (default: ``ink.jpg`` beside this file).

Washes fade into mist, strokes of many bristles run dry, and rice paper shows through.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from fastnst.samples.drawing import Canvas, Points, noise, picture_of, run, spline, taper
from fastnst.samples.inkbrush import FINE, HEIGHT, SEED, WIDTH, Scroll, bamboo, pine, ridge

PAPER = np.array([240.0, 228, 200])
INK = np.array([2.05, 1.95, 1.78])  # how strongly each channel is absorbed: a slightly warm black
RED = (178, 38, 30)

# Ridges, by their points across and down.
FAR = tuple(
    zip(
        (-40, 60, 330, 470, 520, 566, 640, 700, 790, 880, 930, 1080),
        (250, 190, 300, 240, 186, 240, 152, 262, 300, 236, 280, 250),
        strict=True,
    )
)
MIDDLE = tuple(
    zip(
        (-80, 40, 120, 330, 452, 560, 640, 760, 860, 1080),
        (300, 230, 270, 350, 312, 372, 340, 420, 380, 440),
        strict=True,
    )
)
GREAT = tuple(
    zip(
        (-60, 60, 134, 168, 200, 236, 276, 330, 360, 400, 470, 560, 660, 1100),
        (330, 300, 150, 92, 84, 128, 230, 262, 250, 330, 420, 452, 560, 700),
        strict=True,
    )
)


def mountain(scroll: Scroll, points: Points, rough: float, ink: float, fade: float, foot: float) -> None:
    """A range: its wash, a broken outline, and folds of dry strokes that fall from the crest on both sides."""
    rng = scroll.rng
    top = ridge(scroll, points, rough)
    scroll.wash(top, ink * 0.8, fade, foot)
    inside = np.flatnonzero(top < foot - 70)
    smooth = np.convolve(np.pad(top, 60, mode="edge"), np.ones(121) / 121, mode="valid")
    for _ in range(int(len(inside) * 0.3)):
        at = int(rng.choice(inside))
        slope = (smooth[min(at + 40, len(top) - 1)] - smooth[max(at - 40, 0)]) / 40
        x, y = at / FINE, top[at] + 4 + rng.exponential(fade * 0.55)
        length = rng.uniform(0.14, 0.42) * fade
        lean = (np.clip(0.5 * slope, -0.7, 0.7) + rng.normal(0, 0.10)) * length
        mid = (x + lean * 0.35 + rng.normal(0, 3), y + length * 0.5)
        path = spline([(x, y), mid, (x + lean, y + length)], 24)
        under = top[np.clip((path[:, 0] * FINE).astype(int), 0, len(top) - 1)]
        if y + length < foot - 74 and (path[:, 1] > under + 2).all():
            fading = np.exp(-(y - top[at]) / (fade * 0.9))
            scroll.stroke(path, rng.uniform(2.5, 10) * taper(24, 0.8) + 0.6, fading * rng.uniform(0.35, 1.0), 0.75)
    for start in range(0, len(top) - 60, 40):
        if top[start] < foot - 70 and rng.random() < 0.85:
            cols = np.arange(start, min(start + int(rng.integers(40, 120)), len(top)), 3)
            cols = cols[top[cols] < foot - 60]
            path = np.stack([cols / FINE, top[cols] + 1.0], axis=1)
            scroll.stroke(path, rng.uniform(1.4, 5.0) * taper(len(cols)) + 0.5, 0.9, 0.4)
    for at in rng.choice(inside, 60):
        size = rng.uniform(0.6, 1.0) * (3 + 9 * ink)
        x, y = at / FINE, top[at] + rng.uniform(0, 3)
        scroll.stroke(np.array([(x, y + 1), (x + 1, y - size)]), 1.3, 1.0, 0.1)
        for k in range(4):
            half = size * (0.22 + 0.12 * k)
            needle = np.linspace(
                (x - half, y - size + 3 + k * size * 0.2), (x + half, y - size + 3 + k * size * 0.2), 8
            )
            scroll.stroke(needle, taper(8) * size * 0.22 + 0.6, 0.9, 0.3)
    scroll.settle(ink * 0.95)


def clouds(scroll: Scroll) -> None:
    """Pale bands of cloud in broad, nearly dry strokes, and a flight of geese."""
    rng = scroll.rng
    for x, y, w in ((-30, 60, 300), (250, 40, 330), (330, 128, 250), (640, 74, 330), (-40, 150, 190), (690, 150, 300)):
        for k in range(7):
            start, wide = x + rng.uniform(-40, 60), w * rng.uniform(0.5, 1.0)
            t = np.linspace(0, 1, 60)
            path = np.stack([start + wide * t, y + 9 * k - 20 + 7 * np.sin(t * 5 + k + x)], axis=1)
            scroll.stroke(path, rng.uniform(5, 20) * taper(60, 0.7), rng.uniform(0.35, 0.9), 0.62)
    scroll.settle(0.17, 1.6)
    for k in range(9):
        at = np.array([700 + 21 * k, 150 - 11 * abs(k - 3) + rng.uniform(-4, 4)])
        for side in (-1, 1):
            wing = spline([(0, 0), (side * 5, -5), (side * 12, -3)], 12) + at
            scroll.stroke(wing, np.linspace(3.0, 0.8, 12), 0.9, 0.1)
    scroll.settle(0.9, 0.6)


def lake(scroll: Scroll) -> None:
    """A far shore with reeds, images of the peaks in the water, and ripples."""
    rng = scroll.rng
    for x, w, ink in ((40.0, 330.0, 1.0), (330.0, 250.0, 0.9), (610.0, 200.0, 0.5)):
        for k in range(16):
            y = 548.0 + 9 * k
            path = np.stack([x + w * (np.linspace(0, 1, 30) * 0.8 + rng.uniform(0, 0.2)), np.full(30, y)], axis=1)
            scroll.stroke(path, 11 * taper(30, 0.7), ink * (1 - k / 18) * rng.uniform(0.5, 1.0), 0.5)
    scroll.settle(0.34, 3.0)
    for _ in range(210):
        y = 530 + 190 * rng.uniform(0, 1) ** 0.85
        x, w = rng.uniform(20, WIDTH - 60), rng.uniform(30, 120) * (0.5 + (y - 500) / 220)
        t = np.linspace(0, 1, 24)
        path = np.stack([x + w * t, y + (1 + (y - 520) / 70) * np.sin(t * 8 + x)], axis=1)
        scroll.stroke(path, (1.2 + (y - 500) / 46) * taper(24), rng.uniform(0.25, 0.9), 0.7)
    scroll.settle(0.62, 1.0)
    for x0, w, y0 in ((640.0, 250.0, 518.0), (40.0, 190.0, 536.0)):
        for _ in range(26):
            x, y = x0 + w * rng.uniform(0, 1), y0 + rng.normal(0, 3)
            shore = np.linspace((x, y), (x + rng.uniform(30, 80), y + rng.uniform(-2, 2)), 14)
            scroll.stroke(shore, rng.uniform(2, 6) * taper(14), rng.uniform(0.5, 1), 0.6)
            for _ in range(3):
                bx = x + rng.uniform(0, 60)
                reed = spline([(bx, y), (bx + 2, y - 9), (bx + rng.normal(3, 4), y - rng.uniform(12, 24))], 10)
                scroll.stroke(reed, np.linspace(2.0, 0.6, 10), 0.8, 0.2)
    scroll.settle(0.75, 0.7)


def boat(scroll: Scroll, x: float, y: float) -> None:
    """A boat with one fisherman."""
    hull = spline([(x - 92, y - 20), (x - 50, y - 2), (x, y + 4), (x + 56, y - 2), (x + 96, y - 24)], 50)
    for k in range(3):
        scroll.stroke(hull - np.array([0, 4 * k]), (9 - 2 * k) * taper(50, 0.45) + 1, 1.0, 0.3)
    roof = spline([(x - 40, y - 8), (x - 26, y - 34), (x + 6, y - 38), (x + 24, y - 8)], 30)
    for k in range(6):
        scroll.stroke(roof + np.array([0, 3.6 * k]), 3.2 * taper(30, 0.3), 0.9, 0.4)
    scroll.stroke(spline([(x + 58, y - 8), (x + 50, y - 26), (x + 60, y - 38)], 20), np.linspace(17, 7, 20), 0.8, 0.2)
    scroll.stroke(spline([(x + 42, y - 37), (x + 60, y - 49), (x + 79, y - 36)], 20), 7.0 * taper(20) + 1, 1.0, 0.1)
    scroll.stroke(spline([(x + 58, y - 28), (x + 112, y - 62), (x + 158, y - 70)], 30), np.linspace(2.0, 1, 30), 1, 0.1)
    scroll.stroke(spline([(x + 158, y - 70), (x + 160, y - 40), (x + 157, y + 6)], 20), np.full(20, 0.8), 0.7, 0.1)
    scroll.settle(1.35, 0.7, veil=0.6)
    for k in range(9):
        path = np.linspace((x - 84 + 9 * k, y + 13 + 4 * k), (x + 76 - 6 * k, y + 13 + 4 * k), 20)
        scroll.stroke(path, 4.0 * taper(20), 0.8, 0.7)
    scroll.settle(0.6, 1.4)


def bank(scroll: Scroll) -> None:
    """Rocks in the near corner: a wet wash, split strokes down their faces, grass and dots of moss."""
    rng = scroll.rng
    for points, ink in (
        (
            [(-60, 566), (30, 552), (96, 560), (130, 600), (210, 612), (262, 660), (330, 676), (420, 760), (560, 900)],
            0.8,
        ),
        ([(-60, 616), (20, 604), (70, 616), (100, 652), (170, 664), (214, 716), (250, 760), (330, 900)], 1.3),
    ):
        top = ridge(scroll, points, 4)
        scroll.wash(top, ink * 0.62, 60)
        inside = np.flatnonzero(top < HEIGHT - 6)
        for at in rng.choice(inside, 120):
            x, y = at / FINE, top[at] + 3 + rng.exponential(26)
            lean, length = rng.normal(8, 7), rng.uniform(14, 44)
            path = spline([(x, y), (x + lean * 0.7, y + length * 0.4), (x + lean, y + length)], 18)
            scroll.stroke(path, rng.uniform(3, 13) * taper(18, 0.9), rng.uniform(0.3, 1.0), 0.85)
        outline = np.stack([inside[::4] / FINE, top[inside[::4]]], axis=1)
        scroll.stroke(outline, 5 * taper(len(outline), 0.3) * rng.uniform(0.5, 1.2, len(outline)), 1.0, 0.5)
        for at in rng.choice(inside, 46):
            x, y = at / FINE, top[at] + 3
            for _ in range(3):
                blade = spline([(x, y), (x + 2, y - 9), (x + rng.normal(4, 6), y - rng.uniform(10, 24))], 10)
                scroll.stroke(blade, np.linspace(2.2, 0.6, 10), 0.9, 0.2)
            for _ in range(2):
                scroll.layer.dot(x + rng.normal(0, 9), y + rng.uniform(2, 40), rng.uniform(1.2, 3.4), (235, 235, 235))
        scroll.settle(ink)


def signs(scroll: Scroll, x: float, y: float) -> None:
    """A column of invented running script."""
    rng = scroll.rng
    for k in range(5):
        cy = y + 40 * k
        for _ in range(4):
            a, b = rng.uniform(-13, 13, 2), rng.uniform(-13, 13, 2)
            c = (a + b) / 2 + rng.uniform(-9, 9, 2)
            path = spline([(x + p[0], cy + p[1]) for p in (a, c, b)], 22)
            scroll.stroke(path, 5.2 * np.linspace(1, 0.3, 22) * taper(22, 0.4) + 0.5, 1.0, 0.35)
        if k < 4:
            link = spline([(x + 4, cy + 8), (x - 3, cy + 20), (x + 2, cy + 30)], 14)
            scroll.stroke(link, np.linspace(2.6, 0.8, 14), 0.9, 0.3)
    scroll.settle(1.3, 0.6)


def paper(scroll: Scroll) -> Image.Image:
    """Sink the ink into warm rice paper with fibres, and press the seal."""
    rng = scroll.rng
    size = scroll.size
    fibre = 0.5 * noise(rng, size, 90, 700) + 0.4 * noise(rng, size, 900, 120) + noise(rng, size, 260, 260)
    sheet = PAPER * (1 + 0.012 * fibre + 0.02 * noise(rng, size, 5, 4))[..., None]
    inked = sheet * np.exp(-scroll.density[..., None] * INK)
    seal = Canvas((WIDTH, HEIGHT), FINE, SEED, (0, 0, 0))
    x, y = 380, 246
    seal.poly(np.array([(x, y), (x + 38, y + 1), (x + 37, y + 39), (x + 1, y + 38)]), (255, 255, 255))
    for a, b, c, d in (
        (8, 9, 30, 9),
        (19, 5, 19, 17),
        (8, 18, 30, 18),
        (9, 24, 9, 33),
        (9, 33, 30, 33),
        (30, 24, 30, 33),
    ):
        seal.line(np.array([(x + a, y + b), (x + c, y + d)], dtype=float), 2.8, (0, 0, 0))
    print_ = np.asarray(seal.image.convert("L"), dtype=np.float64) / 255
    cover = np.clip(print_ * (0.9 + 0.14 * scroll.tooth), 0, 1)[..., None]
    inked = inked * (1 - cover) + np.array(RED) * cover
    return picture_of(inked).resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS)


def picture() -> Image.Image:
    """Paint from the farthest peak to the near bank."""
    scroll = Scroll()
    clouds(scroll)
    mountain(scroll, FAR, 6, 0.26, 120, 440)
    mountain(scroll, MIDDLE, 7, 0.46, 120, 500)
    mountain(scroll, GREAT, 7, 0.95, 210, 540)
    lake(scroll)
    boat(scroll, 598, 590)
    bank(scroll)
    pine(
        scroll,
        [(84, 640), (118, 560), (100, 480), (160, 410), (236, 386), (290, 398)],
        32,
        [(44, 492), (196, 458), (92, 420), (236, 370), (318, 404), (166, 368), (276, 446)],
        25,
    )
    for x, lean, girth, ink, leaves in ((926, 0.06, 17, 0.36, 5), (1004, 0.05, 24, 1.0, 6)):
        bamboo(scroll, x, lean, girth, ink, leaves)
        scroll.settle(1.3, 0.7, veil=0.5)
    signs(scroll, 398, 54)
    return paper(scroll)


if __name__ == "__main__":
    run(picture, __file__, 88, full_colour=True)
