"""Threads that paint, the queue before them, and the styles that stay in memory. Knows nothing of HTTP."""

import asyncio
import math
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache, partial
from io import BytesIO
from time import perf_counter
from typing import Any, BinaryIO
from weakref import WeakValueDictionary

import torch

from fastnst.base.memory import give_back
from fastnst.images.read import load_on_white, read_picture
from fastnst.images.write import save_image
from fastnst.networks.style_file import StyleFile
from fastnst.painting.stylizer import Stylizer
from fastnst.serving.settings import ServeSettings
from fastnst.serving.uploads import FORMATS, Upload, most_pixels
from fastnst.universal.file import painting_side, predicted_style
from fastnst.universal.names import find_network

FIRST_GUESS = 1.0  # seconds a photo takes, until some were painted
GIVE_BACK_EVERY = 5.0  # seconds
SHARE = 0.1  # of a new measurement in the running mean


class Busy(Exception):
    """The queue is full, or a client has as many photos in it as it may.

    Attributes:
        seconds: When to come again, a whole number.
    """

    def __init__(self, message: str, seconds: int) -> None:
        super().__init__(message)
        self.seconds = seconds


class Stopped(Exception):
    """Nobody waits for this picture any longer."""


@dataclass(frozen=True)
class Painted:
    """A stylized photo as a file.

    Attributes:
        data: The file.
        format: A key of `FORMATS`.
        size: Width and height in pixels.
        seconds: Time it took, without waiting.
    """

    data: bytes
    format: str
    size: tuple[int, int]
    seconds: float


@dataclass
class Work:
    """An order that was taken.

    Attributes:
        upload: It is closed when the work is over.
        client: Whose photo it is.
        step: What is done now: its pictures are looked at, or it is painted.
        stop: Set when nobody waits any longer: it is not begun, or it ends at the next strip or tile.
    """

    upload: Upload
    client: str
    step: "Future[Any]"
    stop: threading.Event = field(default_factory=threading.Event)


class Painters:
    """A fixed number of threads that paint, and a queue of limited length.

    Args:
        settings: Of the service.
    """

    def __init__(self, settings: ServeSettings) -> None:
        self._settings = settings
        # All cores that the process may use, together; each thread of torch's has a team of its own.
        self._cores = torch.get_num_threads()
        team = max(1, self._cores // settings.threads)
        self._checks = ThreadPoolExecutor(settings.threads, "checker")  # a bad picture need not wait for good ones
        self._pool = ThreadPoolExecutor(settings.threads, "painter", partial(torch.set_num_threads, team))
        self._loaded = lru_cache(settings.styles_in_memory)(self._load)
        self._loading: WeakValueDictionary[str, threading.Lock] = WeakValueDictionary()  # of styles asked for now
        self._lock = threading.Lock()
        self._taken = 0  # painted now, or waiting
        self._taken_of: Counter[str] = Counter()  # the same of each client that has any
        self._mean = FIRST_GUESS
        self._gave_back = perf_counter()

    @property
    def waiting(self) -> int:
        """Photos that wait for a thread."""
        return max(0, self._taken - self._settings.threads)

    @property
    def painting(self) -> int:
        """Photos that are painted now."""
        return min(self._taken, self._settings.threads)

    @property
    def seconds(self) -> int:
        """When one more photo may be begun, a whole number."""
        return max(1, math.ceil(self._mean * (self.waiting + 1) / self._settings.threads))

    def check_room(self, client: str = "") -> None:
        """Raise `Busy` if one more photo of this client would not be taken."""
        if self._taken >= self._settings.threads + self._settings.queue:
            raise Busy("too many photos are waiting", self.seconds)
        most = self._settings.photos_per_client
        if most is not None and self._taken_of[client] >= most:
            raise Busy(f"too many photos of one client: {most} may wait or be painted at once", self.seconds)

    def take(self, upload: Upload, client: str = "") -> Work:
        """Begin to look at a photo, or let it wait; the place that it has now is free after `drop`.

        Raises:
            Busy: There is no room for it, and the files are left as they are.
        """
        with self._lock:
            self.check_room(client)
            self._taken += 1
            self._taken_of[client] += 1
        return Work(upload, client, self._checks.submit(upload.check, self._settings))

    async def get(self, work: Work) -> Painted:
        """The result.

        Raises:
            TimeoutError: It took longer than allowed.
            Refusal: A picture is not within the limits.
            UserError: The photo is damaged, or cannot be written in the format asked for.
        """
        async with asyncio.timeout(self._settings.seconds):
            await asyncio.wrap_future(work.step)
            work.step = painted = self._pool.submit(self._paint, work.upload, work.stop)
            return await asyncio.wrap_future(painted)

    def drop(self, work: Work) -> None:
        """Stop work that nobody waits for, once; its files are closed when its thread is done with them."""
        work.stop.set()
        work.step.cancel()
        work.step.add_done_callback(lambda _: self._finished(work))

    def load_usual(self) -> None:
        """Load the style of requests that name none.

        Raises:
            UserError: There is no such device, or the style cannot be painted there.
        """
        self._stylizer(self._settings.style)

    def warm_up(self) -> None:
        """Paint a small picture in the usual style, so that the first request does not wait for that."""
        self._pool.submit(lambda: self._stylizer(self._settings.style).paint(torch.rand(1, 3, 64, 64))).result()

    def close(self) -> None:
        """Wait for the pictures that are being painted, and end the threads."""
        self._checks.shutdown(cancel_futures=True)
        self._pool.shutdown(cancel_futures=True)

    def _stylizer(self, style: str) -> Stylizer:
        """A style, which one thread loads while others that want the same one wait."""
        with self._lock:
            loading = self._loading.setdefault(style, threading.Lock())
        with loading:
            return self._loaded(style)

    def _load(self, style: str) -> Stylizer:
        return self._stylizer_of(style)

    def _stylizer_of(self, style: str | StyleFile) -> Stylizer:
        settings = self._settings
        before = torch.get_num_threads()
        torch.set_num_threads(self._cores)  # for OpenVINO, which paints one picture at a time, whoever asks for it
        try:
            return Stylizer(style, device=settings.device, runtime=settings.runtime, precision=settings.precision)
        finally:
            torch.set_num_threads(before)

    def _like(self, painting: BinaryIO) -> Stylizer:
        """The style that is predicted from a painting."""
        file = find_network(instant=True)
        pixels = load_on_white(painting, size=painting_side(file), edge=min)
        return self._stylizer_of(predicted_style(file, [(pixels, 1.0)]))

    def _finished(self, work: Work) -> None:
        work.upload.close()
        with self._lock:
            self._taken -= 1
            self._taken_of[work.client] -= 1
            if not self._taken_of[work.client]:
                del self._taken_of[work.client]

    def _give_back(self) -> None:
        """Give memory back where nobody waits; under load only now and then, since getting it again takes time."""
        now = perf_counter()
        if self._taken <= 1 or now - self._gave_back > GIVE_BACK_EVERY:
            self._gave_back = now
            give_back()

    def _paint(self, upload: Upload, stop: threading.Event) -> Painted:
        if stop.is_set():
            raise Stopped
        started, order = perf_counter(), upload.order

        def until_stopped(parts: Iterable[Any]) -> Iterator[Any]:
            for part in parts:
                if stop.is_set():
                    raise Stopped
                yield part

        try:
            stylizer = self._like(upload.painting) if upload.painting else self._stylizer(order.style)
            most = most_pixels(self._settings)
            photo = read_picture(upload.photo, size=order.size, max_pixels=most, watch=until_stopped)
            parts = stylizer.parts(
                photo.part,
                (1, photo.image.bands, *photo.size),
                photo.dtype,
                strength=order.strength,
                keep_colors=order.keep_colors,
                watch=until_stopped,
            )
            format = order.format or (photo.format or "").lower()
            format = format if format in FORMATS else "png"
            result = BytesIO()
            save_image(photo.painted(parts), result, format=format, quality=order.quality, stylized=True)
        finally:
            self._give_back()
        seconds = perf_counter() - started
        self._mean += SHARE * (seconds - self._mean)
        return Painted(result.getvalue(), format, (photo.size[1], photo.size[0]), seconds)
