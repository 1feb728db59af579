"""`fastnst bench video`: flicker and time of a stylized clip, with and without `--steady`.

The clip is rendered, so that its motion is known: a camera pans, zooms and turns over a photo, and a part of another
photo moves in front of it.
"""

import math
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from rich.table import Table
from torch import Tensor
from torch.nn import functional as F

from fastnst.base.devices import measured_on
from fastnst.base.progress import progress_bar
from fastnst.bench.report import check_output, report, summarize
from fastnst.bench.settings import BenchVideoSettings
from fastnst.images.photos import resolve_photo
from fastnst.images.read import load_image
from fastnst.painting.stylizer import Stylizer
from fastnst.video.flow import Motion, warping_error
from fastnst.video.frames import Frames
from fastnst.video.paint import paint_video
from fastnst.video.steady import Steady

BACKGROUND, OBJECT = "sample:coffee", "sample:chelsea"
SECOND = 24  # pictures
NOISE = 0.01  # standard deviation, as of a camera in good light
Matrix = NDArray[np.float64]  # (3, 3), homogeneous: pixels of a picture to pixels of a photo
Points = NDArray[np.float64]  # (H, W, 2): x and y for each pixel
Paint = Callable[[Tensor], Tensor]
Seconds = dict[str, list[float]]


class Clip(NamedTuple):
    """Photos `(1, 3, H, W)` in [0, 1] and the true motion of each but the first."""

    photos: list[Tensor]
    motions: list[Motion]


def bench_video(settings: BenchVideoSettings) -> dict[str, Any]:
    """Measure warping error and time of a clip, with and without `--steady`; print a table or JSON.

    Returns:
        Errors, seconds a picture, frames per second from file to file, hardware and versions.
    """
    check_output(settings.output)
    stylizer = Stylizer(settings.style)
    clip = render_clip(settings.frames, settings.width, settings.height)
    for photo in clip.photos:  # warms up: `auto` changes to the runtime that a long video gets
        stylizer(photo)
    pictures, seconds = _paint_in_turn(_ways(stylizer), clip.photos)
    errors = {name: warping_error(painted, clip.motions) for name, painted in pictures.items()}
    result = {
        "what": f"{settings.style}, {settings.frames} frames of {settings.width}x{settings.height} px",
        "warping_error": {**errors, "photos": warping_error(clip.photos, clip.motions)},
        "error_ratio": errors["steady"] / errors["plain"],
        "detail_ratio": _detail(pictures["steady"]) / _detail(pictures["plain"]),
        "painting": {name: summarize(times[1:], seconds["plain"][1:]) for name, times in seconds.items()},
        "frames_per_second": file_to_file(_ways(stylizer), clip.photos),
        **measured_on(stylizer.device, "av", "opencv-python-headless"),
    }
    report(result, _table(result), output=settings.output, as_json=settings.json)
    return result


def _ways(stylizer: Stylizer) -> dict[str, Paint]:
    """Ways to paint a video from its start; each has running statistics of its own where a painting has them."""
    return {"plain": partial(stylizer, memory={}), "steady": Steady(partial(stylizer, memory={}))}


def render_clip(num_photos: int, width: int, height: int) -> Clip:
    """The clip and its true motion, which is not trusted where something was hidden and at the object's soft edge."""
    layers = [load_image(resolve_photo(name)) for name in (BACKGROUND, OBJECT)]
    pixels = np.stack(np.meshgrid(np.arange(width), np.arange(height)), -1).astype(np.float64)  # (H, W, 2)
    noise = torch.Generator().manual_seed(0)
    photos, motions = [], []
    before: list[Matrix] = []
    for number in range(num_photos):
        views = _views(math.sin(number / SECOND), layers, width, height)
        background, moving = (_seen(layer, _moved(pixels, view)) for layer, view in zip(layers, views, strict=True))
        cover = _cover(_moved(pixels, views[1]))
        photo = torch.lerp(background, moving, torch.from_numpy(cover).float())
        photos.append((photo + NOISE * torch.randn(photo.shape, generator=noise)).clamp(0, 1))
        if before:
            motions.append(_true_motion(pixels, cover, views, before))
        before = views
    return Clip(photos, motions)


def _views(time: float, layers: list[Tensor], width: int, height: int) -> list[Matrix]:
    """Matrices from pixels of a picture to pixels of the background's and the object's photo, at a time."""
    views = []
    for layer, zoom, angle, across, down in (
        (layers[0], 0.62 + 0.11 * time, 0.1 * time, 0.42 + 0.16 * time, 0.56 - 0.1 * time),
        (layers[1], 0.95 - 0.1 * time, -0.15 * time, 0.74 - 0.5 * time, 0.5 + 0.1 * math.sin(3 * time)),
    ):
        scale = zoom * layer.shape[-2] / height
        cosine, sine = scale * math.cos(angle), scale * math.sin(angle)
        turn = np.array([[cosine, -sine], [sine, cosine]])
        centre = np.array([across * layer.shape[-1], down * layer.shape[-2]])
        place = centre - turn @ np.array([(width - 1) / 2, (height - 1) / 2])
        views.append(np.vstack((np.column_stack((turn, place)), (0, 0, 1))))
    return views


def _moved(points: Points, matrix: Matrix) -> Points:
    return points @ matrix[:2, :2].T + matrix[:2, 2]


def _cover(places: Points) -> NDArray[np.float64]:
    """1 where the object is, at places `(H, W, 2)` of its photo, with a soft edge: an ellipse around the cat's face."""
    distance = np.square((places - (225, 140)) / (95, 105)).sum(-1)
    cover: NDArray[np.float64] = np.clip(25 * (1 - distance) + 0.5, 0, 1)
    return cover


def _seen(photo: Tensor, places: Points) -> Tensor:
    """The photo at its places `(H, W, 2)`."""
    size = torch.tensor([photo.shape[-1] - 1.0, photo.shape[-2] - 1.0])
    grid = 2 * torch.from_numpy(places).float()[None] / size - 1
    return F.grid_sample(photo, grid, "bicubic", "reflection", align_corners=True)


def _true_motion(pixels: Points, cover: NDArray[np.float64], views: list[Matrix], before: list[Matrix]) -> Motion:
    is_object = cover > 0.5
    back = [_moved(pixels, np.linalg.inv(old) @ view) for old, view in zip(before, views, strict=True)]
    places = np.where(is_object[..., None], back[1], back[0])
    was_object = _cover(_moved(places, before[1])) > 0.5
    is_inside = ((places >= 0) & (places <= pixels[-1, -1])).all(-1)
    trust = is_inside & (was_object == is_object) & ((cover == 0) | (cover == 1))
    flow = (places - pixels).astype(np.float32)
    return Motion(flow, torch.from_numpy(trust.astype(np.float32))[None, None])


def _paint_in_turn(painters: dict[str, Paint], photos: list[Tensor]) -> tuple[dict[str, list[Tensor]], Seconds]:
    """All stylized pictures and their seconds; the painters take turns, so that other work slows all of them."""
    pictures: dict[str, list[Tensor]] = {name: [] for name in painters}
    seconds: Seconds = {name: [] for name in painters}
    with progress_bar() as bar:
        for photo in bar.track(photos, task_id=bar.add_task("painting", total=len(photos), state="")):
            for name, paint in painters.items():
                started = time.perf_counter()
                pictures[name].append(paint(photo))
                seconds[name].append(time.perf_counter() - started)
    return pictures, seconds


def file_to_file(painters: Mapping[str, Paint], photos: list[Tensor]) -> dict[str, float]:
    """Frames per second from a video file to a video file, decoding and encoding included."""
    rates = {}
    with tempfile.TemporaryDirectory() as folder, progress_bar() as bar:
        source, target = Path(folder, "clip.mp4"), Path(folder, "painted.mp4")
        with Frames(source) as frames:
            for photo in photos:
                frames.add(photo)
        for name, paint in painters.items():
            started = time.perf_counter()
            paint_video(source, target, paint, progress=bar)
            rates[name] = round(len(photos) / (time.perf_counter() - started), 2)
    return rates


def _detail(pictures: list[Tensor]) -> float:
    """Mean difference between neighbouring pixels, which blending lowers."""
    return sum(float(picture.diff(dim=-1).abs().mean()) for picture in pictures) / len(pictures)


def _table(result: dict[str, Any]) -> Table:
    table = Table("", "warping error", "seconds a picture", "times plain", "frames/s", box=None, title=result["what"])
    for name, row in result["painting"].items():
        error, rate = result["warping_error"][name], result["frames_per_second"][name]
        table.add_row(name, f"{error:.5f}", f"{row['median_seconds']:.4f}", f"{row['ratio']:.2f}", f"{rate:.1f}")
    return table
