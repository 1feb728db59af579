"""Stylizing of video files: decoding, stylizing and encoding run at once, each in a thread."""

import dataclasses
import logging
import signal
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from itertools import count, repeat, takewhile
from pathlib import Path
from typing import TypeVar, cast

from rich.progress import Progress
from torch import Tensor

from fastnst.base.errors import Interrupted
from fastnst.base.pipeline import in_threads
from fastnst.video.reader import Item, Shot, VideoReader
from fastnst.video.writer import VideoWriter

AHEAD = 4  # pictures and packets between two threads; a picture of 4K takes 100 MB
log = logging.getLogger("fastnst")
T = TypeVar("T")


def paint_video(
    source: Path,
    target: Path,
    paint: Callable[[Tensor], Tensor],
    *,
    size: int | None = None,
    max_pixels: int | None = None,
    quality: int | None = None,
    replace: bool = True,
    progress: Progress,
) -> tuple[int, int]:
    """Stylize a video's pictures; sound, subtitles, times, colour coding and metadata are kept.

    Args:
        source: A file of any container and codec that PyAV reads.
        target: A file of one of the `CONTAINERS`; it appears whole, at the end. After Ctrl-C or an error, the pictures
            so far are in a playable file with `.partial` before its suffix.
        paint: Function from a picture `(1, 3, H, W)` in [0, 1] to one of the same size; called in order.
        size: Long side of the pictures in pixels; larger ones are shrunk.
        max_pixels: Of a picture; see `VideoReader`.
        quality: From 1 to 100; by default almost without visible loss.
        replace: Whether to replace an existing file.
        progress: Shows the number of pictures done, frames per second and the time left.

    Returns:
        Width and height of the pictures.

    Raises:
        VideoError: The source cannot be read, or the target cannot be written.
        Interrupted: Ctrl-C or SIGTERM.
    """

    def painted(item: Item) -> Item:
        return dataclasses.replace(item, image=paint(item.image)) if isinstance(item, Shot) else item

    started = time.perf_counter()
    with closing(VideoReader(source, size=size, max_pixels=max_pixels)) as reader:
        writer = VideoWriter(target, reader.form, quality=quality, source=reader, replace=replace)
        try:
            with (
                _stop_signals() as stopped,
                closing(ahead(reader)) as read,
                closing(ahead(map(painted, read))) as items,
            ):
                for item in _watched(progress, items, reader):
                    writer.write(item)
                    if stopped.is_set():
                        raise Interrupted(f"{source}: stopped")
            if target.exists() and not replace:  # what was painted is kept under another name
                raise FileExistsError(f"{target} exists by now: --force replaces it")
            writer.finish()
        except BaseException as error:
            kept = _keep(writer)
            if isinstance(error, Interrupted):
                raise Interrupted(f"{error}; {kept}") from None
            log.error("%s: %s", source, kept)
            raise
    if reader.has_opacity:
        log.warning("%s: its opacity is not kept; frames as PNG files with opacity keep it", source)
    if damaged := reader.num_damaged + writer.num_damaged:
        log.warning("%s: %d damaged packets were left out", source, damaged)
    rate = writer.num_pictures / (time.perf_counter() - started)
    log.info("%s: %d frames, %.1f frames/s", target, writer.num_pictures, rate)
    return reader.form.width, reader.form.height


def ahead(items: Iterable[T], size: int = AHEAD) -> Generator[T, None, None]:
    """The same items, computed in another thread, at most `size` of them ahead."""
    iterator, end = iter(items), object()
    with closing(in_threads(lambda _: next(iterator, end), repeat(None), waiting=size)) as made:
        yield from cast(Iterator[T], takewhile(lambda item: item is not end, made))


def _keep(writer: VideoWriter) -> str:
    """Finish an interrupted video under a free name; returns a message about it."""
    target = writer.target
    names = (target.with_suffix(f".partial{number or ''}{target.suffix}") for number in count())
    partial = next(name for name in names if not name.exists())
    try:
        if writer.num_pictures:
            writer.finish(partial)
            return f"the first {writer.num_pictures} pictures are in {partial}"
    except (ValueError, OSError):  # such as a full disk
        pass
    writer.discard()
    return "nothing was written"


def _watched(progress: Progress, items: Iterable[Item], reader: VideoReader) -> Iterator[Item]:
    """The items, with a line in the progress bar."""
    task = progress.add_task(reader.path.name, total=reader.num_pictures, state="")
    started, done = time.perf_counter(), 0
    try:
        for item in items:
            yield item
            if isinstance(item, Shot):
                done += 1
                progress.update(task, advance=1, state=f"{done / (time.perf_counter() - started):.1f} frames/s")
    finally:
        progress.remove_task(task)


@contextmanager
def _stop_signals() -> Iterator[threading.Event]:
    """An event that the first Ctrl-C or SIGTERM sets; a second one acts as usual. For the main thread."""
    stopped = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stopped
        return
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def restore() -> None:
        for number, handler in handlers.items():
            signal.signal(number, handler)

    def stop(*_: object) -> None:
        stopped.set()
        restore()

    for number in handlers:
        signal.signal(number, stop)
    try:
        yield stopped
    finally:
        restore()
