"""Tools of the ink landscape: washes and strokes, laid as density on a scroll; ridges, pines and bamboo."""

from __future__ import annotations

import numpy as np
from PIL import ImageFilter

from fastnst.samples.drawing import Array, Canvas, Points, noise, normals, spline, taper

WIDTH, HEIGHT, FINE, SEED = 1024, 724, 2, 1350


class Scroll:
    """The sheet: the density of its ink, and a layer of strokes that is being brushed onto it."""

    def __init__(self) -> None:
        self.rng = np.random.default_rng(SEED)
        self.size = (WIDTH * FINE, HEIGHT * FINE)
        self.density = np.zeros(self.size[::-1])
        self.y, self.x = (v / FINE for v in np.mgrid[0 : self.size[1], 0 : self.size[0]])
        self.tooth = 0.5 * noise(self.rng, self.size, 700, 500) + 0.5 * noise(self.rng, self.size, 260, 330)
        self.layer = Canvas((WIDTH, HEIGHT), FINE, SEED, (0, 0, 0))

    def settle(self, strength: float, bleed: float = 0.8, veil: float = 0.0) -> None:
        """Let the strokes of the layer dry: they bleed, catch on the tooth of the paper, and may hide ink below."""
        drawn = self.layer.image.filter(ImageFilter.GaussianBlur(bleed)).convert("L")
        mask = np.asarray(drawn, dtype=np.float64) / 255
        mask = np.clip(mask * (1 + 0.10 * self.tooth), 0, 1)
        self.density *= 1 - veil * mask
        self.density += strength * mask
        self.layer = Canvas((WIDTH, HEIGHT), FINE, SEED, (0, 0, 0))

    def stroke(self, path: Array, width: float | Array, ink: float = 1.0, dry: float = 0.3) -> None:
        """A brush stroke: bristles side by side, each with its own load of ink, breaking up as the brush runs dry."""
        rng, n = self.rng, len(path)
        wide = np.broadcast_to(np.asarray(width, dtype=np.float64), (n,))
        across = normals(path)
        count = max(3, int(wide.max() * 1.5))
        u = np.linspace(0, 1, n)
        for f in np.linspace(-0.5, 0.5, count):
            load = rng.uniform(0.55, 1.15) - dry * (u**1.5) * rng.uniform(0.6, 1.5) - dry * 0.5 * abs(f)
            skip = np.interp(u, np.linspace(0, 1, 12), rng.normal(0, 1, 12)) * dry
            level = np.clip((load + skip * u) * ink, 0, 1)
            line = path + across * (f * wide)[:, None]
            hair = np.maximum(wide / count * 1.7, 0.7)
            wet = level > 0.24 * ink
            for a in range(0, n - 1, 3):
                b = min(a + 4, n)
                if wet[a]:
                    v, w = int(255 * level[a:b].mean()), round(float(hair[a]) * FINE)
                    self.layer.draw.line([(px, py) for px, py in line[a:b] * FINE], fill=(v, v, v), width=w)

    def wash(self, top: Array, strength: float, fade: float, foot: float = 9999.0) -> None:
        """Wet ink below a ridge (a height for each column), darkest there, thinning downwards into mist at the foot."""
        depth = self.y - top[None]
        cloud = noise(self.rng, self.size, 9, 12) + 0.6 * noise(self.rng, self.size, 26, 30)
        clear = np.clip((foot - self.y + 14 * cloud) / 110, 0, 1) ** 1.4
        inside = np.clip(depth / 1.4, 0, 1) * clear
        body, rim = (np.exp(-np.clip(depth, 0, None) / f) for f in (fade * np.exp(0.35 * cloud), 6.0))
        self.density *= 1 - 0.95 * inside
        self.density += strength * inside * (0.85 * body + 0.3 * rim) * (1 + 0.16 * cloud + 0.09 * self.tooth)


def ridge(scroll: Scroll, points: Points, rough: float) -> Array:
    """The height of a ridge for each canvas column, broken by crags."""
    path = spline(points, 800)
    x = np.arange(scroll.size[0]) / FINE
    order = np.argsort(path[:, 0])
    y = np.interp(x, path[order, 0], path[order, 1])
    for cells, size in ((14, 1.0), (40, 0.55), (120, 0.3), (400, 0.12)):
        y += rough * size * np.interp(x, np.linspace(0, WIDTH, cells), scroll.rng.normal(0, 1, cells))
    return np.asarray(y)


def needles(scroll: Scroll, x: float, y: float, size: float, ink: float) -> None:
    """A fan of pine needles, most of them upwards."""
    rng = scroll.rng
    for a in np.linspace(-176, -4, 15) + rng.normal(0, 4, 15):
        r = size * rng.uniform(0.7, 1.1) * (0.75 + 0.25 * np.sin(np.radians(-a)))
        tip = np.array([x + r * np.cos(np.radians(a)), y + r * 0.8 * np.sin(np.radians(a))])
        v = int(255 * ink * rng.uniform(0.7, 1.0))
        path = spline([(x, y), (np.array([x, y]) + tip) / 2 + rng.normal(0, 0.6, 2), tip], 6)
        scroll.layer.line(path, np.array([1.7, 1.6, 1.4, 1.2, 0.9, 0.5]) * (0.6 + size / 44), (v, v, v))


def cluster(scroll: Scroll, at: Array, ink: float, leaves: int) -> None:
    """Leaves that hang from one point, each a single pressed and lifted stroke."""
    rng = scroll.rng
    for angle in np.linspace(62, 176, leaves) + rng.normal(0, 11, leaves):
        a, length = np.radians(angle), rng.uniform(38, 76)
        tip = at + length * np.array([np.cos(a), np.sin(a)])
        mid = at + length * 0.5 * np.array([np.cos(a - 0.12), np.sin(a - 0.12)])
        u = np.linspace(0, 1, 26)
        press = rng.uniform(7, 11) * np.minimum(u / 0.3, 1) ** 0.8 * (1 - u) ** 0.7 * 1.3
        scroll.stroke(spline([at, mid, tip], 26), press + 0.5, ink * rng.uniform(0.65, 1.0), 0.22)


def pine(scroll: Scroll, control: Points, girth: float, boughs: Points, size: float) -> None:
    """A pine: a trunk of dry bark strokes, and boughs that reach from it to clouds of needles."""
    rng = scroll.rng
    trunk = spline(control, 90)
    width = girth * (1 - 0.78 * np.linspace(0, 1, 90))
    scroll.stroke(trunk, width, 0.62, 0.3)
    for side in (-0.46, 0.46):
        scroll.stroke(trunk + normals(trunk) * (width * side)[:, None], width * 0.16 + 1.0, 1.0, 0.35)
    for k in range(4, 84, 2):
        at = trunk[k] + normals(trunk)[k] * width[k] * rng.uniform(-0.36, 0.36)
        bend = spline([(at[0] - width[k] * 0.16, at[1] + 3), at, (at[0] + width[k] * 0.18, at[1] + 4)], 8)
        scroll.stroke(bend, taper(8) * (1 + girth * 0.06), 1.0, 0.2)
    scroll.settle(1.25, veil=0.7)
    for bx, by in boughs:
        k = int(np.argmin(np.hypot(trunk[:, 0] - bx, (trunk[:, 1] - by) * 1.4) + np.where(width > 0.5, 0, 99)))
        root = trunk[max(k - 4, 0)]
        mid = (root[0] * 0.5 + bx * 0.5, root[1] * 0.35 + by * 0.65 + 5)
        branch = spline([root, mid, (bx, by)], 26)
        scroll.stroke(branch, np.linspace(max(width[k] * 0.26, 3.4), 2.4, 26), 0.95, 0.3)
        spread = size * 1.6
        for u in np.linspace(-1, 1, 11) + rng.normal(0, 0.1, 11):
            needles(scroll, bx + u * spread, by - (1 - u * u) * size * 0.55 + rng.normal(0, size * 0.16), size, 0.95)
    scroll.settle(1.15, 0.7)
    for bx, by in boughs:
        for _ in range(9):
            x, y = bx + rng.uniform(-1.9, 0.9) * size, by - rng.uniform(-0.1, 0.9) * size
            path = np.linspace((x, y), (x + size * 1.1, y + rng.uniform(-3, 3)), 14)
            scroll.stroke(path, size * 0.5 * taper(14), 0.7, 0.1)
    scroll.settle(0.36, 6.0)


def bamboo(scroll: Scroll, x: float, lean: float, girth: float, ink: float, leaves: int) -> None:
    """A culm in sections, each one dry stroke, and groups of pointed leaves."""
    rng = scroll.rng
    y, section = HEIGHT + 20.0, 92.0
    while y > -20:
        top = (x + lean * section, y - section)
        path = np.linspace((x, y - 3), top, 40)
        pinch = girth * (0.86 + 0.2 * np.abs(np.linspace(-1, 1, 40)) ** 3)
        scroll.stroke(path, pinch, ink * 0.72, 0.62)
        joint = spline([(x - girth * 0.62, y - 4), (x, y + 1), (x + girth * 0.62, y - 5)], 12)
        scroll.stroke(joint, 2.4 * taper(12) + 1.2, ink, 0.1)
        if rng.random() < 0.85:
            twig = spline([(x, y), (x - 34, y - 30), (x - 78 - rng.uniform(0, 30), y - 30 + rng.uniform(-20, 16))], 20)
            scroll.stroke(twig, np.linspace(2.4, 1.0, 20), ink, 0.2)
            for k in (8, 13, 19):
                cluster(scroll, twig[k], ink, leaves)
        x, y, section, lean, girth = top[0], top[1], section * 0.985, lean - 0.022, girth * 0.965
    cluster(scroll, np.array([x, y]), ink, leaves + 2)
