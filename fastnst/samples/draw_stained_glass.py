"""Draw an original window of stained glass, entirely by code.

Run: ``python -m fastnst.samples.draw_stained_glass [OUT]`` (default: ``stained_glass.jpg`` beside this file).

Leads are drawn over a flat cartoon. What lies between leads is a piece of glass, with a colour, a streak and a light of
its own.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from PIL import Image, ImageFilter
from skimage.measure import label

from fastnst.samples.drawing import Array, Canvas, Colour, arc, noise, picture_of, run, spline

WIDTH, HEIGHT, FINE, SEED = 768, 1024, 2, 1144
SUN = np.array([384.0, 352.0])

RUBY: Colour = (190, 18, 38)
ROSE: Colour = (232, 84, 104)
CRIMSON: Colour = (128, 10, 44)
AMBER: Colour = (250, 168, 28)
LEMON: Colour = (255, 226, 96)
ORANGE: Colour = (240, 104, 22)
COBALT: Colour = (22, 62, 186)
MIDNIGHT: Colour = (20, 28, 104)
AZURE: Colour = (58, 140, 226)
ICE: Colour = (176, 222, 240)
EMERALD: Colour = (10, 128, 80)
MOSS: Colour = (96, 156, 40)
PINE: Colour = (8, 82, 74)
TEAL: Colour = (20, 150, 158)
VIOLET: Colour = (98, 44, 152)
PEARL: Colour = (250, 240, 206)


class Window:
    """Colours of the glass, and over them the leads in black on white."""

    def __init__(self) -> None:
        self.glass = Canvas((WIDTH, HEIGHT), FINE, SEED, COBALT)
        self.leads = Canvas((WIDTH, HEIGHT), FINE, SEED, (255, 255, 255))
        self.rng = self.glass.rng

    def pane(self, points: Array, colour: Colour, lead: float = 5.0) -> None:
        """A piece with a lead round it; it covers the leads below."""
        self.glass.poly(points, colour)
        self.leads.poly(points, (255, 255, 255))
        self.lead(np.vstack([points, points[:1]]), lead)

    def lead(self, path: Array, width: float = 5.0) -> None:
        """A lead whose width swells and shrinks a little, with solder at its ends."""
        n = len(path)
        swell = width * (1 + 0.22 * np.sin(np.linspace(0, 1, n) * self.rng.uniform(4, 12) + self.rng.uniform(0, 6)))
        self.leads.brush(path, swell, (0, 0, 0))
        for x, y in (path[0], path[-1]):
            self.leads.dot(x, y, 0.62 * width, (0, 0, 0))


def polar(radius: float | Array, angle: float | Array) -> Array:
    """Points round the sun; angles in degrees."""
    a = np.radians(angle)
    return np.asarray(SUN + np.stack([radius * np.cos(a), radius * np.sin(a)], axis=-1))


def sky(window: Window) -> None:
    """Rays cut by wavering rings, warm near the sun and night blue at the corners."""
    rng = window.rng
    count = 28
    tilt = np.concatenate([rng.uniform(-2.6, 2.6, count), [0]])
    tilt[-1] = tilt[0]
    rings = np.array([92, 178, 252, 340, 436, 540, 900])
    tints: list[tuple[Colour, ...]] = [
        (LEMON, AMBER),
        (AMBER, RUBY, ORANGE),
        (RUBY, COBALT, VIOLET, COBALT),
        (COBALT, AZURE, MIDNIGHT),
    ]
    tints += [(AZURE, MIDNIGHT, COBALT), (MIDNIGHT, COBALT, VIOLET)]
    for k in range(5, -1, -1):
        for i in range(count):
            shift = rng.uniform(-16, 16, 2) + 16 * (i % 2)
            sides = []
            for j, way in ((i, 1), (i + 1, -1)):
                r = np.linspace(rings[k], rings[k + 1] + shift[1], 20)[::way]
                sides.append(polar(r, 360 * j / count + tilt[j] + 2.2 * np.sin(r / 75 + 1.7 * (j % count))))
            window.pane(np.vstack(sides), tints[k][(i + k) % len(tints[k])], 3.4 + 0.5 * k + 1.6 * (i % 2))


def sun(window: Window) -> None:
    """A disc of swirling petals in a crown of flames."""
    for i in range(16):
        a, size = 22.5 * i, 168.0 if i % 2 == 0 else 138.0
        left = spline([polar(84, a - 11), polar(112, a - 8), polar(size, a + 7)], 24)
        right = spline([polar(size, a + 7), polar(118, a + 8), polar(84, a + 11)], 24)
        window.pane(np.vstack([left, right]), (ORANGE, LEMON)[i % 2], 5.0)
    window.pane(arc(SUN, 88, 88), AMBER, 7.0)
    for i in range(9):
        r = np.linspace(0, 86, 30)
        one, two = polar(r, 40 * i + 0.55 * r), polar(r, 40 * (i + 1) + 0.55 * r)
        window.pane(np.vstack([one, two[::-1]]), (AMBER, LEMON, ORANGE)[i % 3], 4.0)
    window.lead(arc(SUN, 88, 88), 7.0)
    window.pane(arc(SUN, 27, 27), RUBY, 5.0)


def hills(window: Window) -> None:
    """Ranges of hills, each cut into fields by curves that run down from its ridge."""
    rng = window.rng
    ranges = (
        (600, 44, 150, 0.6, (VIOLET, COBALT, TEAL), 58),
        (676, 40, 190, 2.4, (TEAL, EMERALD, PINE), 64),
        (760, 34, 160, 4.4, (EMERALD, MOSS, PINE, TEAL), 70),
        (856, 26, 210, 1.2, (MOSS, EMERALD, AMBER, PINE), 62),
    )
    for base, high, wide, phase, colours, field in ranges:
        x = np.linspace(-20, WIDTH + 20, 160)
        ridge = np.stack([x, base + high * np.sin(x / wide * 2 + phase) * np.cos(x / 310 + phase)], axis=1)
        window.pane(np.vstack([ridge, [(WIDTH + 20, HEIGHT + 20), (-20, HEIGHT + 20)]]), colours[0], 6.5)
        cuts = np.arange(-60, WIDTH + 200, field) + rng.uniform(-16, 16, len(np.arange(-60, WIDTH + 200, field)))
        for i, cut in enumerate(cuts[:-1]):
            sides = []
            for at in (cut, cuts[i + 1]):
                y0 = float(np.interp(at, x, ridge[:, 1]))
                sides.append(spline([(at, y0), (at - 22, y0 + 60), (at - 70, y0 + 140), (at - 76, y0 + 260)], 30))
            top = ridge[(x > cut) & (x < cuts[i + 1])]
            window.pane(np.vstack([sides[0][::-1], top, sides[1]]), colours[i % len(colours)], 4.0)
        window.lead(ridge, 6.5)


def river(window: Window) -> None:
    """A winding river in waved bands of blue and white glass."""
    left = spline([(378, 606), (344, 664), (424, 730), (318, 812), (388, 900), (270, 1040)], 90)
    right = spline([(404, 606), (412, 664), (506, 734), (452, 818), (520, 900), (500, 1040)], 90)
    window.pane(np.vstack([left, right[::-1]]), AZURE, 6.0)
    bands = np.linspace(0, 1, 4)
    colours = (COBALT, ICE, TEAL, AZURE, ICE, COBALT, AZURE)
    for k in range(3):
        steps = np.linspace(0, 89, 7 + k % 2).astype(int)
        for i, (a, b) in enumerate(pairwise(steps)):
            one, two = (left[a : b + 1] * (1 - t) + right[a : b + 1] * t for t in bands[k : k + 2])
            window.pane(np.vstack([one, two[::-1]]), colours[(2 * i + 3 * k) % 7], 3.4)
    for path in (left, right):
        window.lead(path, 6.0)


def lily(window: Window, x: float, y: float, size: float, lean: float, colours: tuple[Colour, Colour]) -> None:
    """A lily on its stem: two long leaves, six petals with curled tips and a rib each, and stamens."""
    foot = (x - lean * 90, 1030.0)
    stem = spline([(x, y), (x + lean * 14, y + 110), foot], 40)
    for side in (-1, 1):
        out = foot[0] + side * size * 1.0
        tip = (out + side * size * 0.5, y + 130 - 24 * side)
        back = spline([(foot[0], 1030), (foot[0] + side * size * 0.35, y + 230), tip], 30)
        front = spline([tip, (out - side * 6, y + 250), (foot[0] + side * 40, 1030)], 30)
        rib = (back + front[::-1]) / 2
        window.pane(np.vstack([back, rib[::-1]]), EMERALD, 5.0)
        window.pane(np.vstack([rib, front]), MOSS, 4.0)
    window.glass.line(stem, 13, MOSS)
    window.leads.line(stem, 20, (0, 0, 0))
    window.leads.line(stem, 11, (255, 255, 255))
    for i, angle in enumerate((-90, 176, 4, -136, -44, 90)):
        a = np.radians(angle + 16 * lean)
        ahead, across = np.array([np.cos(a), np.sin(a)]), np.array([-np.sin(a), np.cos(a)])
        bow = across * (np.sign(np.cos(a)) if abs(np.cos(a)) > 0.2 else 0.4)
        at, wide, reach = np.array([x, y]), size * 0.30, size * (0.62 if i == 5 else 1.12)
        end = at + ahead * reach + bow * size * 0.3
        one = spline([at, at + ahead * reach * 0.5 + across * wide, end], 24)
        two = spline([end, at + ahead * reach * 0.5 - across * wide, at], 24)
        rib = (one + two[::-1]) / 2
        window.pane(np.vstack([one, rib[::-1]]), colours[i % 2], 5.0)
        window.pane(np.vstack([rib, two]), colours[1 - i % 2], 3.6)
    window.pane(arc((x, y - 2), size * 0.17, size * 0.15), LEMON, 4.4)


def border(window: Window) -> None:
    """A frame of small pieces under a heavy lead."""
    rng, edge = window.rng, 46.0
    colours = (RUBY, AMBER, CRIMSON, EMERALD, RUBY, COBALT)
    for side, (length, flip) in enumerate(((WIDTH, 0), (HEIGHT, 1), (WIDTH, 0), (HEIGHT, 1))):
        count = length // 64
        cuts = np.linspace(0, length, count + 1) + np.concatenate([[0], rng.uniform(-7, 7, count - 1), [0]])
        lo, hi = (0.0, edge) if side in (0, 3) else ((HEIGHT if side == 2 else WIDTH) - edge, 1100.0)
        for i, (a, b) in enumerate(pairwise(cuts)):
            quad = np.array([(a, lo), (b, lo), (b, hi), (a, hi)])
            window.pane(quad[:, ::-1] if flip else quad, colours[(i + 2 * side) % 6], 5.0)
    for x in (edge / 2, WIDTH - edge / 2):
        for y in (edge / 2, HEIGHT - edge / 2):
            window.pane(arc((x, y), edge / 2, edge / 2, 45, (0, 359)), AMBER, 6.0)
    for inset, count, tints in ((edge + 22, 46, (AMBER, PEARL, AMBER, LEMON)), (edge, 0, (AMBER,))):
        frame = np.array(
            [(inset, inset), (WIDTH - inset, inset), (WIDTH - inset, HEIGHT - inset), (inset, HEIGHT - inset)]
        )
        for a, b in zip(frame, np.roll(frame, -1, axis=0), strict=True):
            step = (b - a) / np.hypot(*(b - a))
            out = np.array([step[1], -step[0]]) * 22
            cuts = np.linspace(0, np.hypot(*(b - a)), round(np.hypot(*(b - a)) / count) + 1) if count else np.zeros(1)
            for i in range(len(cuts) - 1):
                c, d = a + step * cuts[i], a + step * cuts[i + 1]
                window.pane(np.array([c, d, d + out, c + out]), tints[i % 4], 3.0)
            window.lead(np.linspace(a, b, 40), 6 if count else 11)


def shine(window: Window) -> Image.Image:
    """Light through the glass: a tint, a gradient, streaks and bubbles for each piece, and round leads with a glint."""
    rng = window.rng
    wide, high = WIDTH * FINE, HEIGHT * FINE
    leads = window.leads.image.convert("L").filter(ImageFilter.GaussianBlur(1.1))
    lead = 1 - np.asarray(leads, dtype=np.float64) / 255
    pieces = np.asarray(label(lead < 0.5, connectivity=1))
    count = int(pieces.max()) + 1
    flat = np.asarray(window.glass.image, dtype=np.float64)
    area = np.maximum(np.bincount(pieces.ravel(), minlength=count), 1)
    yy, xx = np.mgrid[0:high, 0:wide]
    mean = [np.bincount(pieces.ravel(), v.ravel(), minlength=count) / area for v in (xx, yy, *np.moveaxis(flat, 2, 0))]
    tint = np.stack(mean[2:], axis=1) * rng.normal(1, 0.13, (count, 1)) + rng.normal(0, 10, (count, 3))
    turn = rng.uniform(0, 2 * np.pi, count)
    along = (xx - mean[0][pieces]) * np.cos(turn)[pieces] + (yy - mean[1][pieces]) * np.sin(turn)[pieces]
    reach = np.sqrt(area)[pieces]
    streaks = [noise(rng, (wide, high), a, b) for a, b in ((7, 90), (70, 9), (30, 34))]
    kind = rng.integers(0, 3, count)[pieces]
    streak = np.choose(kind, streaks) + 0.35 * noise(rng, (wide, high), 260, 340)
    soft = Image.fromarray((255 * lead).astype(np.uint8)).filter(ImageFilter.GaussianBlur(11))
    shade = np.asarray(soft, dtype=np.float64) / 255
    light = 1.10 + 0.26 * np.clip(along / reach, -1.2, 1.2) + 0.09 * streak - 0.62 * shade
    light *= 1.04 - 0.16 * np.hypot(xx / FINE - SUN[0], yy / FINE - SUN[1]) / 600
    other = np.clip(np.roll(tint, 1, axis=1) * 0.38 + tint * 0.8 + 6, 0, 255)
    blend = np.clip(0.24 + 0.34 * streak, 0, 0.75)[..., None]
    glass = (tint[pieces] * (1 - blend) + other[pieces] * blend) * light[..., None]
    glass += 120 * np.clip(light - 1.16, 0, 1)[..., None] + 26 * np.clip(streak - 1.0, 0, 2)[..., None]
    round_ = np.asarray(Image.fromarray((255 * lead).astype(np.uint8)).filter(ImageFilter.GaussianBlur(4)), dtype=float)
    slope = np.gradient(round_)
    metal = 26 + 1.5 * np.clip(-(slope[0] + slope[1]), -10, 26) + 6 * noise(rng, (wide, high), 300, 400)
    whole = glass + (metal[..., None] * np.array([0.92, 0.95, 1.05]) - glass) * lead[..., None]
    return picture_of(whole).resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS)


def picture() -> Image.Image:
    """Cut and lead the window, back to front, and let light through it."""
    window = Window()
    sky(window)
    sun(window)
    hills(window)
    river(window)
    lily(window, 186, 742, 118, -0.4, (RUBY, CRIMSON))
    lily(window, 606, 772, 112, 0.4, (VIOLET, PEARL))
    lily(window, 276, 888, 80, 0.2, (ORANGE, AMBER))
    border(window)
    return shine(window)


if __name__ == "__main__":
    run(picture, __file__, 86, full_colour=True)
