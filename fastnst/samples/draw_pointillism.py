"""Draw an original river at evening in dots of divided colour, entirely by code.

Run: ``python -m fastnst.samples.draw_pointillism [OUT]`` (default: ``pointillism.jpg`` beside this file).

A scene is laid in flat, then covered with layers of dots. A dot has the colour below it, pulled to a pure pigment that
lies near, or now and then to the complement.
"""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageFilter

from fastnst.samples.drawing import Array, Canvas, Colour, noise, picture_of, run, spline

WIDTH, HEIGHT, FINE, SEED = 1024, 768, 3, 1886
HORIZON = 352
SUN = np.array([640.0, 232.0])
GROUND: Colour = (228, 204, 158)

PIGMENTS = np.array(
    [
        *[(252, 240, 200), (255, 222, 92), (250, 176, 44), (240, 122, 40), (222, 70, 52), (196, 44, 84)],
        *[(238, 150, 166), (168, 92, 166), (104, 64, 148), (60, 62, 150), (34, 84, 172), (66, 140, 208)],
        *[(150, 200, 226), (60, 164, 160), (28, 120, 98), (66, 142, 62), (142, 180, 60), (206, 208, 96), (44, 44, 92)],
    ],
    dtype=np.float64,
)
# Radius, spacing, how much of a pigment, and how far a pigment may lie from the colour.
LAYERS = ((9.5, 12.0, 0.72, 64.0), (7.2, 9.2, 0.64, 50.0), (5.0, 7.6, 0.56, 40.0), (3.4, 7.0, 0.56, 40.0))


def sky(canvas: Canvas) -> None:
    """Evening light round the sun, hills on the horizon and bars of cloud."""
    rng = canvas.rng
    yy, xx = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float64)
    away = np.hypot((xx - SUN[0]) * 0.75, (yy - SUN[1]) * 1.25) + 26 * noise(rng, canvas.size, 7, 9)
    stops = [0, 34, 76, 140, 230, 340, 560]
    tints = [(255, 250, 214), (255, 218, 92), (252, 168, 66), (242, 128, 96), (206, 124, 172), (112, 124, 206)]
    tints.append((40, 82, 172))
    levels = np.stack([np.interp(away, stops, [t[k] for t in tints]) for k in range(3)], axis=-1)
    canvas.image.paste(picture_of(levels))
    for left, y, w in (
        (120, 96, 300),
        (420, 60, 340),
        (860, 120, 300),
        (250, 190, 250),
        (920, 214, 240),
        (520, 140, 200),
    ):
        for k in range(7):
            u = rng.uniform(-0.5, 0.5)
            path = np.array([(left + u * w - w * 0.24, y + 7 * k - 20), (left + u * w + w * 0.24, y + 7 * k - 22)])
            near = np.hypot(*(path[0] - SUN)) < 420
            light = ((255, 204, 120), (246, 150, 112)) if near else ((250, 190, 178), (198, 160, 206))
            canvas.line(np.linspace(path[0], path[1], 20), 12 * np.sin(np.linspace(0, np.pi, 20)) + 2, light[k > 3])
    canvas.dot(SUN[0], SUN[1], 30, (255, 252, 224))
    x = np.linspace(0, WIDTH, 60)
    for base, high, colour in ((330, 46, (132, 128, 190)), (344, 30, (92, 106, 176))):
        top = np.stack([x, base - high * (0.5 + 0.5 * np.sin(x / 120 + base) * np.cos(x / 310))], axis=1)
        canvas.poly(np.vstack([top, [(WIDTH, HORIZON), (0, HORIZON)]]), colour)


def tree(canvas: Canvas, x: float, y: float, high: float, wide: float, warm: float = 0.0) -> None:
    """A crown of round masses on a trunk, violet and blue in the shade, yellow and orange towards the sun."""
    rng = canvas.rng
    canvas.line(np.array([(x, y - high * 0.35), (x + 2, y)]), wide * 0.16, (84, 50, 96))
    shades = [(36, 48, 104), (30, 92, 92), (58, 132, 62), (132, 172, 56), (226, 206, 84)]
    autumn = [(84, 40, 110), (150, 50, 84), (206, 82, 48), (240, 138, 48), (255, 206, 92)]
    side = np.sign(SUN[0] - x)
    for k, (dark, red) in enumerate(zip(shades, autumn, strict=True)):
        for _ in range((60, 60, 60, 60, 44)[k]):
            a, r = rng.uniform(0, 2 * np.pi), rng.uniform(0, 1) ** 0.6
            u, v = r * np.cos(a) * 0.5, r * np.sin(a) * 0.5
            px, py = x + wide * (u * 0.86 + side * 0.05 * (k - 1)), y - high * (0.58 - 0.84 * v) - high * 0.02 * k
            mix = tuple(int(d * (1 - warm) + e * warm) for d, e in zip(dark, red, strict=True))
            size = wide * 0.16 * (1.25 - 0.25 * k) * (1.1 - abs(v))
            if k < 2 or side * u * 5 + rng.normal(0, 0.8) > (k - 2.4) * 1.1:
                canvas.dot(px, py, size, (mix[0], mix[1], mix[2]))


def far_bank(canvas: Canvas) -> None:
    """Trees and poplars along the other side of the river."""
    rng = canvas.rng
    for x in range(-10, 560, 30):
        tree(canvas, x + rng.uniform(-9, 9), HORIZON + 4, rng.uniform(44, 84), rng.uniform(46, 64), rng.uniform(0, 0.7))
    for x in range(716, 1050, 44):
        tree(canvas, x + rng.uniform(-9, 9), HORIZON + 4, rng.uniform(36, 70), rng.uniform(46, 66), rng.uniform(0, 0.9))
    for i in range(4):
        tree(canvas, 800 + 61 * i, HORIZON + 8, 196 + 30 * i, 50 + 4 * i, 0.5 * (i % 2))


def water(canvas: Canvas) -> None:
    """The river: what stands above it, mirrored and broken by ripples, with a path of light below the sun."""
    rng = canvas.rng
    above = np.asarray(canvas.image, dtype=np.float64)
    y, x = np.mgrid[0 : HEIGHT - HORIZON, 0:WIDTH].astype(np.float64)
    swing = 3 + y * 0.045
    wave = np.sin(y * 14 / (8 + y * 0.06) + 2.5 * noise(rng, (WIDTH, HEIGHT - HORIZON), 14, 40))
    rows = np.clip(HORIZON - 1 - y * 0.84 - swing * wave, 0, HORIZON - 1).astype(int)
    cols = np.clip(x + swing * 1.6 * wave, 0, WIDTH - 1).astype(int)
    mirror = above[rows, cols] * (0.92, 0.95, 1.0) * 0.78 + np.array([40.0, 92, 168]) * 0.22
    glint = np.exp(-(((x - SUN[0]) / (26 + 0.22 * y)) ** 2)) * np.clip(wave + 0.75, 0, 1)
    trough = np.clip(-wave - 0.35, 0, 1) * 0.5
    mirror += (np.array([255.0, 206, 110]) - mirror) * (0.85 * glint)[..., None]
    mirror += (np.array([46.0, 70, 150]) - mirror) * trough[..., None]
    canvas.image.paste(picture_of(mirror), (0, HORIZON))


def sailing_boat(canvas: Canvas, x: float, y: float, k: float) -> None:
    """A boat with two sails, and its image in the water."""
    for flip, fade in ((-0.8, 0.45), (1.0, 0.0)):

        def place(points: list[tuple[float, float]], flip: float = flip) -> Array:
            return np.array(points) * (k, k * flip) + (x, y)

        def tint(colour: Colour, fade: float = fade) -> Colour:
            r, g, b = (int(c * (1 - fade) + w * fade) for c, w in zip(colour, (84, 104, 170), strict=True))
            return r, g, b

        canvas.poly(place([(-4, -12), (-8, -112), (-66, -16)]), tint((255, 236, 190)))
        canvas.poly(place([(2, -12), (-4, -100), (50, -14)]), tint((240, 132, 60)))
        canvas.poly(place([(-70, -10), (62, -10), (44, 8), (-52, 8)]), tint((92, 40, 96)))


def near_bank(canvas: Canvas) -> None:
    """A meadow in the corner, with flowers, bushes and two large trees."""
    rng = canvas.rng
    edge = spline([(-20, 520), (140, 540), (300, 590), (400, 650), (470, 720), (560, 790)], 80)
    canvas.poly(np.vstack([edge + np.array([16, 10]), [(-20, HEIGHT + 20)]]), (70, 60, 130))
    canvas.poly(np.vstack([edge, [(-20, HEIGHT + 20)]]), (120, 168, 62))
    for _ in range(1300):
        t, d = rng.integers(0, 80), rng.uniform(0, 1) ** 1.3
        x, y = edge[t] * (1 - d) + np.array([rng.uniform(-20, 420), HEIGHT + 30]) * d
        shade = 0.5 + 0.5 * np.sin(x / 74 + y / 38)
        colour = ((36, 104, 90), (70, 146, 62), (170, 192, 66), (236, 210, 92), (60, 72, 140))[
            int(np.clip(shade * 4 + rng.normal(0, 0.5), 0, 4))
        ]
        canvas.line(np.array([(x, y), (x + rng.uniform(-4, 9), y - rng.uniform(8, 26))]), 7.0, colour)
    for _ in range(170):
        t, d = rng.integers(0, 80), rng.uniform(0.05, 0.95)
        x, y = edge[t] * (1 - d) + np.array([rng.uniform(-20, 400), HEIGHT + 20]) * d
        tints = ((222, 60, 70), (250, 240, 214), (238, 140, 172), (250, 170, 44), (150, 80, 170))
        canvas.dot(x, y, rng.uniform(4, 7), tints[rng.integers(5)])
    for x, y, high, wide, warm in ((56, 566, 480, 210, 0.1), (238, 560, 250, 118, 0.9), (-30, 650, 250, 170, 0.0)):
        canvas.line(np.array([(x - 6, y - high * 0.5), (x, y)]), wide * 0.1 + 4, (84, 46, 104))
        tree(canvas, x, y - high * 0.1, high, wide, warm)


def flow(x: Array, y: Array) -> Array:
    """The angle in which dots are a little longer: round the sun in the sky, level in the water."""
    around = np.arctan2(y - SUN[1], x - SUN[0]) + np.pi / 2
    return np.where(y < HORIZON, around, 0.0)


def divide(colour: Array, amount: float, reach: float, rng: np.random.Generator) -> Array:
    """Colours pulled to pigments drawn at random, near ones most often, and some of them to their complements."""
    apart = ((colour[:, None] - PIGMENTS[None]) ** 2).sum(-1)
    chance = np.cumsum(np.exp(-(apart - apart.min(1, keepdims=True)) / (2 * reach**2)), axis=1)
    pick = (chance < rng.random((len(colour), 1)) * chance[:, -1:]).sum(1)
    out = colour * (1 - amount) + PIGMENTS[pick] * amount
    grey = out.mean(1, keepdims=True)
    other = rng.random(len(out)) < 0.07
    out[other] = (grey - 0.8 * (out - grey))[other]
    return np.asarray(grey + 1.16 * (out - grey) + rng.normal(0, 6, out.shape))


def dots(scene: Array, canvas: Canvas) -> None:
    """Cover the canvas, layer by layer, smaller dots over larger."""
    rng = canvas.rng
    ring = np.linspace(0, 2 * np.pi, 11)[:-1]
    for radius, gap, amount, reach in LAYERS:
        y, x = (v.ravel() for v in np.mgrid[0 : HEIGHT + gap : gap * 0.88, 0 : WIDTH + gap : gap])
        x = x + np.where((y / (gap * 0.88)).round() % 2 == 0, 0, gap / 2) + rng.uniform(-0.3, 0.3, len(x)) * gap
        y = y + rng.uniform(-0.3, 0.3, len(y)) * gap
        keep = rng.random(len(x)) < (0.95, 0.84, 0.66, 0.5)[LAYERS.index((radius, gap, amount, reach))]
        x, y = x[keep], y[keep]
        cols, rows = np.clip(x, 0, WIDTH - 1).astype(int), np.clip(y, 0, HEIGHT - 1).astype(int)
        colours = np.clip(divide(scene[rows, cols], amount, reach, rng), 0, 255).astype(int)
        size, turn = radius * rng.uniform(0.55, 0.8, len(x)), flow(x, y) + rng.normal(0, 0.3, len(x))
        for i in rng.permutation(len(x)):
            r = size[i] * (1 + rng.uniform(-0.1, 0.1, 10))
            u, v = r * 1.22 * np.cos(ring), r * 0.86 * np.sin(ring)
            c, s = np.cos(turn[i]), np.sin(turn[i])
            blob = np.stack([x[i] + u * c - v * s, y[i] + u * s + v * c], axis=1)
            canvas.poly(blob, (int(colours[i, 0]), int(colours[i, 1]), int(colours[i, 2])))


def picture() -> Image.Image:
    """Lay in the scene and cover it with dots."""
    plan = Canvas((WIDTH, HEIGHT), 1, SEED, GROUND)
    sky(plan)
    far_bank(plan)
    water(plan)
    sailing_boat(plan, 566, 470, 0.9)
    sailing_boat(plan, 742, 396, 0.42)
    near_bank(plan)
    scene = np.asarray(plan.image.filter(ImageFilter.GaussianBlur(1.6)), dtype=np.float64)
    canvas = Canvas((WIDTH, HEIGHT), FINE, SEED, GROUND)
    dots(scene, canvas)
    weave = 1 + 0.01 * noise(canvas.rng, canvas.size, 512, 40) + 0.01 * noise(canvas.rng, canvas.size, 40, 384)
    return picture_of(canvas.reduced() * weave[..., None])


if __name__ == "__main__":
    run(picture, __file__, 74, full_colour=True)
