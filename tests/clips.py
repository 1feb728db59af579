"""Videos as tests make them, paint them and look at them."""

import signal
import time
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from torch import Tensor

from fastnst.base.progress import progress_bar
from fastnst.images.levels import to_tensor
from fastnst.video.paint import paint_video

MS = Fraction(1, 1000)


def make_clip(
    path: Path,
    *,
    times: Sequence[int] = tuple(range(0, 240, 40)),
    size: tuple[int, int] = (64, 48),
    codec: str = "libx264",
    sound: str | None = None,
    rotation: int | None = None,
    colours: tuple[int, int] = (1, 1),  # matrix and range
    quadrants: bool = False,
) -> Path:
    """A clip whose pictures grow brighter, in grey, or have a red corner at the top left; sound is a tone."""
    width, height = size
    with av.open(path, "w") as container:
        container.metadata["title"] = "a clip"
        stream = container.add_stream(codec, rate=25, options={"crf": "10"} if codec != "mpeg4" else {"qmin": "1"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        context = stream.codec_context
        context.time_base = MS if codec != "mpeg4" else Fraction(1, 25)
        context.colorspace, context.color_range = colours
        context.color_primaries = context.color_trc = 1
        context.flags |= 1 << 8  # pictures say how long they are shown
        if rotation is not None:
            stream.set_display_rotation(rotation)
        tone = container.add_stream(sound, rate=48000, layout="mono") if sound else None
        for number, start in enumerate(times):
            array = np.full((height, width, 3), 20 + 20 * (number % 10), np.uint8)
            if quadrants:
                array[: height // 2, : width // 2] = (200, 30, 30)
            frame = av.VideoFrame.from_ndarray(array).reformat(
                format="yuv420p", dst_colorspace=colours[0], dst_color_range=colours[1]
            )
            frame.pts, frame.time_base = (start, MS) if codec != "mpeg4" else (number, Fraction(1, 25))
            frame.duration = 700 if start == times[-1] and codec != "mpeg4" else 0
            container.mux(stream.encode(frame))
        if tone is not None:
            wave = (np.sin(np.arange(24000) / 20) * 0.3).astype(np.float32)[None]
            chunk = av.AudioFrame.from_ndarray(wave, "fltp", "mono")
            chunk.sample_rate, chunk.pts = 48000, 0
            container.mux(tone.encode(chunk))
            container.mux(tone.encode(None))
        container.mux(stream.encode(None))
    return path


def paint(source: Path, target: Path, painter=lambda image: 1 - image, **settings: object) -> tuple[int, int]:
    with progress_bar(shown=False) as progress:
        return paint_video(source, target, painter, progress=progress, **settings)


def interrupting(after: int, action=lambda: signal.raise_signal(signal.SIGINT)):
    """A painter that interrupts the work at a picture."""
    count = 0

    def painter(image: Tensor) -> Tensor:
        nonlocal count
        count += 1
        if count == after:
            action()
        time.sleep(0.002)
        return image

    return painter


def times_of(path: Path) -> list[float]:
    with av.open(path) as container:
        return [round(float(frame.time), 3) for frame in container.decode(video=0)]


def pictures_of(path: Path) -> Tensor:
    with av.open(path) as container:
        arrays = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    return to_tensor(np.stack(arrays).astype(np.uint8))
