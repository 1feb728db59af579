"""`fastnst apply - --frame-size 640x480`: raw RGB frames from standard input to standard output, for ffmpeg."""

import logging
import sys
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from fastnst.base.progress import progress_bar
from fastnst.images.formats import ImageError
from fastnst.images.levels import as_channels
from fastnst.painting.jobs import STDIO, Job
from fastnst.painting.settings import ApplySettings
from fastnst.painting.studio import Studio, Work

log = logging.getLogger("fastnst")


def paint_raw(settings: ApplySettings) -> None:
    """Stylize frames of `frame_size`, RGB with 8 bits, row by row without padding, until the input ends.

    Raises:
        ImageError: The input ends within a frame; the frames before it were written.
    """
    assert settings.frame_size is not None
    with progress_bar(shown=False) as progress:
        look = Studio.of(settings, progress).moving(Work(Job(STDIO, STDIO), STDIO, STDIO))
        count = 0
        for frame in _frames(sys.stdin.buffer, *settings.frame_size):
            painted = look(as_channels(frame))
            sys.stdout.buffer.write(painted[0].permute(1, 2, 0).contiguous().numpy().tobytes())
            sys.stdout.buffer.flush()
            count += 1
    log.info("%d frames", count)


def _frames(source: BinaryIO, width: int, height: int) -> Iterator[np.ndarray[tuple[int, ...], np.dtype[np.uint8]]]:
    """Frames `(H, W, 3)`."""
    size = width * height * 3
    while data := source.read(size):
        if len(data) < size:
            raise ImageError(f"the input ends within a frame: {len(data)} bytes of {size} for {width}x{height} in RGB")
        yield np.frombuffer(data, np.uint8).reshape(height, width, 3)
