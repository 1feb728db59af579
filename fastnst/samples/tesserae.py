"""Tools of the mosaic: rows of tesserae that follow lines, and the laying of them in grout."""

from __future__ import annotations

import numpy as np
from PIL import Image
from skimage.measure import find_contours

from fastnst.samples.drawing import Array, Size, noise, picture_of

TILE = 10.5  # from the middle of a row to the next, in pixels
FINE = 2  # canvas pixels per pixel while tiles are laid
GROUT = np.array([104.0, 90, 74])


def distance(mask: Array) -> Array:
    """Distance of each pixel to the nearest one of the mask, up to 160 pixels."""
    y = np.arange(len(mask))[:, None]
    above = np.maximum.accumulate(np.where(mask > 0, y, -9999), axis=0)
    below = np.minimum.accumulate(np.where(mask > 0, y, 9999)[::-1], axis=0)[::-1]
    column = np.minimum(np.minimum(y - above, below - y), 400).astype(np.float64) ** 2
    best = column.copy()
    for dx in range(1, 160):
        best[:, dx:] = np.minimum(best[:, dx:], column[:, :-dx] + dx * dx)
        best[:, :-dx] = np.minimum(best[:, :-dx], column[:, dx:] + dx * dx)
    return np.sqrt(best)


def seeds(field: Array, rng: np.random.Generator) -> Array:
    """Middles and directions (x, y, dx, dy) of tiles along the level lines of the field, then in the gaps."""
    taken = np.zeros(field.shape, dtype=bool)
    high, wide = field.shape
    yy, xx = np.mgrid[-8:9, -8:9]
    found: list[tuple[float, float, float, float]] = []

    def place(x: float, y: float, dx: float, dy: float) -> None:
        row, col, norm = round(y), round(x), float(np.hypot(dx, dy))
        if norm < 1e-6:
            dx, dy, norm = 1.0, 0.0, 1.0
        if not taken[row, col]:
            u, v = xx * dx + yy * dy, yy * dx - xx * dy
            stamp = np.maximum(np.abs(u), np.abs(v)) < 0.68 * TILE * norm
            rows, cols = np.clip(yy[stamp] + row, 0, high - 1), np.clip(xx[stamp] + col, 0, wide - 1)
            taken[rows, cols] = True
            found.append((x, y, dx / norm, dy / norm))

    for level in np.arange(0.5, field.max() / TILE, 1.0) * TILE:
        for line in find_contours(field, level):
            gap = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(line, axis=0).T))])
            count = round(gap[-1] / (TILE * 1.06))
            at = (np.arange(count) + 0.5 + rng.uniform(-0.12, 0.12, count)) * gap[-1] / max(count, 1)
            x, y = (np.interp(at, gap, line[:, k]) for k in (1, 0))
            dx, dy = (np.interp(at + 3, gap, line[:, k]) - np.interp(at - 3, gap, line[:, k]) for k in (1, 0))
            for i in range(count):
                place(float(x[i]), float(y[i]), float(dx[i]), float(dy[i]))
    fall, across = np.gradient(field, axis=0), np.gradient(field, axis=1)
    for row, col in rng.permutation(np.argwhere(~taken)):
        place(float(col), float(row), float(-fall[row, col]), float(across[row, col]))
    return np.array(found)


def lay(tiles: Array, colours: Array, shape: Size, rng: np.random.Generator) -> Image.Image:
    """Lay the tiles: each owns the pixels nearest to it in its own square metric, less a joint of grout."""
    wide, high = shape[0] * FINE, shape[1] * FINE
    best, second = np.full((high, wide), 99.0), np.full((high, wide), 99.0)
    owner = np.zeros((high, wide), dtype=int)
    reach = int(1.25 * TILE * FINE)
    stretch = rng.uniform(0.92, 1.08, len(tiles))
    tilt = rng.normal(0, 0.06, len(tiles))
    for i, (x, y, dx, dy) in enumerate(tiles):
        dx, dy = dx * np.cos(tilt[i]) - dy * np.sin(tilt[i]), dx * np.sin(tilt[i]) + dy * np.cos(tilt[i])
        cx, cy = int(x * FINE), int(y * FINE)
        part = (slice(max(cy - reach, 0), cy + reach + 1), slice(max(cx - reach, 0), cx + reach + 1))
        b, s, o = best[part], second[part], owner[part]
        yy = (np.arange(b.shape[0]) + part[0].start)[:, None] / FINE - y
        xx = (np.arange(b.shape[1]) + part[1].start)[None] / FINE - x
        d = np.maximum(np.abs(xx * dx + yy * dy) * stretch[i], np.abs(yy * dx - xx * dy) / stretch[i])
        s[:] = np.minimum(s, np.maximum(b, d))
        o[d < b] = i
        b[:] = np.minimum(b, d)
    joint = np.clip((np.minimum((second - best) / 2, 0.64 * TILE - best) - 0.55) * 1.6, 0, 1)
    size = (wide, high)
    tone = colours[owner] * (1 + 0.05 * noise(rng, size, 340, 270))[..., None]
    yy, xx = np.mgrid[0:high, 0:wide] / FINE
    lean = rng.normal(0, 0.012, (2, len(tiles)))
    slope = (xx - tiles[owner, 0]) * (lean[0][owner] - 0.006) + (yy - tiles[owner, 1]) * (lean[1][owner] - 0.010)
    tone *= (1 + slope)[..., None]
    light = np.gradient(joint)
    tone += 34 * np.clip(light[0] + light[1], -1, 1)[..., None]
    grout = GROUT * (1 + 0.10 * noise(rng, size, 500, 400))[..., None]
    grout *= (0.62 + 0.38 * np.clip(second - best, 0, 1))[..., None]
    whole = picture_of(grout + (tone - grout) * joint[..., None])
    return whole.resize(shape, Image.Resampling.LANCZOS)
