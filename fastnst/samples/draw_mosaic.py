"""Draw an original peacock in the manner of a Byzantine mosaic, entirely by code.

Run: ``python -m fastnst.samples.draw_mosaic [OUT]`` (default: ``mosaic.jpg`` beside this file).

A cartoon is drawn first, flat. Tesserae then follow its outlines in rows, as in opus vermiculatum, and each takes the
colour under its middle.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from PIL import Image

from fastnst.samples.drawing import Array, Canvas, Colour, arc, run, spline
from fastnst.samples.tesserae import TILE, distance, lay, seeds

WIDTH, HEIGHT, SEED = 1024, 820, 547

GOLD: Colour = (214, 166, 66)
BRIGHT: Colour = (240, 205, 112)
BRONZE: Colour = (156, 104, 44)
ULTRAMARINE: Colour = (28, 48, 138)
NIGHT: Colour = (20, 26, 72)
AZURE: Colour = (52, 118, 186)
TURQUOISE: Colour = (64, 158, 160)
EMERALD: Colour = (34, 104, 78)
OLIVE: Colour = (112, 132, 62)
TERRACOTTA: Colour = (186, 82, 48)
WINE: Colour = (120, 36, 42)
IVORY: Colour = (238, 226, 196)

HUB = np.array([512.0, 592.0])
RINGS = ((412, 17), (334, 15), (256, 12), (180, 9))
NIMBUS = (504.0, 276.0, 118.0)


class Cartoon:
    """The flat design: colours, and in a second picture the outlines that rows of tiles follow."""

    def __init__(self) -> None:
        self.colours = Canvas((WIDTH, HEIGHT), 1, SEED, GOLD)
        self.lines = Canvas((WIDTH, HEIGHT), 1, SEED, (0, 0, 0))

    def fill(self, points: Array, colour: Colour, outline: bool = True) -> None:
        """A region, which covers the outlines of what lies below it."""
        self.colours.poly(points, colour)
        if outline:
            self.lines.poly(points, (0, 0, 0))
            self.rule(np.vstack([points, points[:1]]))

    def rule(self, path: Array) -> None:
        """An outline without a colour of its own."""
        self.lines.draw.line([(float(x), float(y)) for x, y in path], fill=(255, 255, 255), width=1)

    def band(self, path: Array, width: float, colour: Colour) -> None:
        """A band of one colour; rows run along its middle if it is one tile wide."""
        self.colours.line(path, width, colour)
        mask = Canvas((WIDTH, HEIGHT), 1, SEED, (0, 0, 0))
        mask.line(path, width, (255, 255, 255))
        inside = np.asarray(mask.image)[..., 0] > 0
        edge = inside & ~(
            np.roll(inside, 1, 0) & np.roll(inside, -1, 0) & np.roll(inside, 1, 1) & np.roll(inside, -1, 1)
        )
        lines = np.array(self.lines.image)
        lines[inside] = 0
        lines[edge] = 255
        self.lines.image.paste(Image.fromarray(lines))


def fan(cartoon: Cartoon) -> None:
    """The spread tail: barbs that radiate from the hub, and rings of eyes over them; roundels above."""
    for x in (150, WIDTH - 150):
        for k, colour in enumerate((ULTRAMARINE, IVORY, WINE, AZURE, BRIGHT)):
            cartoon.fill(arc((x, 154), 54 - k * TILE, 54 - k * TILE), colour, outline=k == 0)
    cartoon.fill(arc(HUB, 462, 462, 0, (174, 366)), NIGHT)
    for i, angle in enumerate(np.linspace(177, 363, 33)):
        ends = (angle - 2.9, angle + 2.9)
        wedge = np.vstack([arc(HUB, 449, 449, 0, ends), arc(HUB, 140, 140, 0, ends)[::-1]])
        cartoon.fill(wedge, (EMERALD, TURQUOISE, ULTRAMARINE, TURQUOISE)[i % 4])
    for radius, count in RINGS:
        for angle in np.linspace(180, 360, count):
            x, y = HUB + radius * np.array([np.cos(np.radians(angle)), np.sin(np.radians(angle))])
            if np.hypot(x - NIMBUS[0], y - NIMBUS[1]) > NIMBUS[2] + 24:
                for k, colour in enumerate((BRIGHT, TERRACOTTA, AZURE, NIGHT)):
                    r = 37 - k * TILE
                    cartoon.fill(arc((x, y), r, 0.94 * r, angle), colour, outline=k == 0)
    for shrink, colour in ((0.0, WINE), (13.0, IVORY)):
        cartoon.fill(arc((NIMBUS[0], NIMBUS[1]), NIMBUS[2] - shrink, NIMBUS[2] - shrink), colour)


def body(cartoon: Cartoon) -> None:
    """Legs, breast, neck and head, with a crest of five plumes."""
    for dx in (-24, 24):
        cartoon.band(spline([(512 + dx * 0.8, 650), (512 + dx, 690), (512 + dx * 1.3, 734)], 30), 13, TERRACOTTA)
        for toe in (-30, 0, 30):
            cartoon.band(spline([(512 + dx * 1.3, 728), (512 + dx * 1.3 + toe, 748)], 10), 12.5, TERRACOTTA)
    for side in (-1, 1):
        for k, colour in enumerate((BRIGHT, TERRACOTTA, BRIGHT, WINE)):
            wing = arc((515 + side * 82, 556), 50 - k * TILE, 92 - k * 1.5 * TILE, side * 14)
            cartoon.fill(wing, colour, outline=k == 0)
    left = [(476, 300), (478, 370), (484, 430), (466, 490), (436, 552), (444, 626), (512, 684)]
    right = [(512, 684), (580, 628), (594, 552), (564, 490), (548, 430), (554, 370), (552, 300)]
    cartoon.fill(np.vstack([spline(left, 90), spline(right, 90)]), ULTRAMARINE)
    for k, colour in enumerate((AZURE, TURQUOISE, AZURE, BRIGHT)):
        cartoon.fill(arc((515, 566), 58 - k * 1.5 * TILE, 82 - k * 2 * TILE), colour, outline=k == 0)
    for y, colour in ((430, BRIGHT), (443, TERRACOTTA), (456, BRIGHT)):
        reach = 33 + (y - 430) * 0.4
        cartoon.band(spline([(515 - reach, y - 7), (515, y + 6), (515 + reach, y - 7)], 30), 12.5, colour)
    crown = np.array([514.0, 268])
    for angle in (-158, -124, -90, -56, -22):
        tip = crown + 80 * np.array([np.cos(np.radians(angle)), np.sin(np.radians(angle))])
        cartoon.band(np.linspace(crown, tip, 12), 12.5, NIGHT)
        cartoon.fill(arc(tip, 15, 15), AZURE)
    cartoon.fill(arc((514, 290), 45, 42), ULTRAMARINE)
    cartoon.fill(np.array([(474, 280), (474, 312), (420, 322), (444, 284)], dtype=float), TERRACOTTA)
    cartoon.fill(arc((502, 284), 22, 19), BRIGHT)
    cartoon.fill(arc((501, 284), 8, 8), NIGHT, outline=False)


def meadow(cartoon: Cartoon) -> None:
    """The ground in waves of green, with pomegranates on it."""
    x = np.linspace(0, WIDTH, 80)
    for base, colour in ((640, OLIVE), (672, EMERALD), (704, OLIVE), (734, BRONZE)):
        top = np.stack([x, base + 8 * np.sin(x / 70 + base)], axis=1)
        cartoon.fill(np.vstack([top, [(WIDTH, HEIGHT), (0, HEIGHT)]]), colour)
    for side in (-1, 1):
        for dx in (150, 262, 374):
            at, y = 512 + side * dx, 686 + 6 * np.sin(dx)
            cartoon.band(spline([(at, y + 26), (at - side * 3, y + 42), (at, y + 60)], 20), 13, NIGHT)
            for turn in (-1, 1):
                cartoon.fill(arc((at + turn * 36, y + 38), 27, 11, -32 * turn), TURQUOISE)
            for k, colour in enumerate((WINE, TERRACOTTA, IVORY)):
                cartoon.fill(arc((at, y), 31 - k * TILE, 29 - k * TILE), colour, outline=k == 0)


def frame(cartoon: Cartoon) -> None:
    """A chain of lozenges and discs between plain rows."""
    edge = 6 * TILE
    outer = np.array([(-9, -9), (WIDTH + 9, -9), (WIDTH + 9, HEIGHT + 9), (-9, HEIGHT + 9), (-9, -9)], dtype=float)
    inner = np.array([(edge, edge), (WIDTH - edge, edge), (WIDTH - edge, HEIGHT - edge), (edge, HEIGHT - edge)])
    inner = np.vstack([inner, inner[:1]])
    for canvas, colour in ((cartoon.colours, NIGHT), (cartoon.lines, (0, 0, 0))):
        canvas.poly(np.vstack([outer, inner[::-1]]), colour)
    cartoon.rule(inner)
    for a, b in pairwise(inner):
        step = (b - a) / np.hypot(*(b - a))
        out = np.array([step[1], -step[0]])
        cartoon.band(np.array([a - step * 13, b + step * 13]) + out * 6.5, 13, BRIGHT)
        corner, length = a + (out - step) * 37, np.hypot(*(b - a)) + 74
        count = round(length / 78)
        for k in range(count):
            at = corner + step * length * k / count
            for shrink, colour in ((1.0, TERRACOTTA), (0.5, IVORY)):
                lozenge = np.array([step * 31, out * 23, -step * 31, -out * 23]) * shrink + at
                cartoon.fill(lozenge, colour, outline=shrink == 1.0)
            cartoon.fill(arc(at + step * length / count / 2, 7, 7), BRIGHT)


def tones(tiles: Array, flat: Array, rng: np.random.Generator) -> Array:
    """The colour of each tile: that of the cartoon, lighter or darker, warmer or colder; gold glitters."""
    x, y = np.clip(tiles[:, 0].astype(int), 0, WIDTH - 1), np.clip(tiles[:, 1].astype(int), 0, HEIGHT - 1)
    colour = flat[y, x].astype(np.float64)
    gold = (colour[:, 0] > 190) & (colour[:, 2] < 130) & (colour[:, 1] > 140)
    value = rng.normal(1, np.where(gold, 0.13, 0.14))
    value = np.where(gold & (rng.random(len(tiles)) < 0.12), rng.choice([0.62, 1.3], len(tiles)), value)
    colour = colour * value[:, None] + rng.normal(0, 9, colour.shape)
    swap = rng.random(len(tiles)) < 0.03
    colour[swap] = colour[swap] * 0.5 + np.array(rng.choice([TURQUOISE, IVORY, TERRACOTTA], swap.sum())) * 0.5
    return np.asarray(np.clip(colour, 8, 250))


def picture() -> Image.Image:
    """Draw the cartoon and lay it in tiles."""
    cartoon = Cartoon()
    meadow(cartoon)
    fan(cartoon)
    body(cartoon)
    frame(cartoon)
    rng = cartoon.colours.rng
    tiles = seeds(distance(np.asarray(cartoon.lines.image, dtype=np.float64)[..., 0]), rng)
    return lay(tiles, tones(tiles, np.asarray(cartoon.colours.image), rng), (WIDTH, HEIGHT), rng)


if __name__ == "__main__":
    run(picture, __file__, 68, full_colour=True)
