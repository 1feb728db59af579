"""`fastnst apply --camera`: the stylized picture of a camera, a video file or a stream, in a window."""

import logging
import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from fractions import Fraction
from functools import partial
from pathlib import Path
from queue import Empty, Queue
from threading import Event, Thread
from typing import Any

from torch import Tensor

from fastnst.base.errors import UserError
from fastnst.base.files import check_place
from fastnst.images.levels import Bytes, to_array, to_tensor
from fastnst.painting.settings import ApplySettings
from fastnst.painting.stylizer import Stylizer
from fastnst.video.flow import load_opencv
from fastnst.video.formats import check_container
from fastnst.video.reader import Form, Shot
from fastnst.video.steady import Steady
from fastnst.video.writer import VideoWriter

NEEDS = "a camera needs OpenCV and pygame: pip install 'fastnst[live]'"
SILENCE = 10.0  # seconds without a picture, after which the camera counts as gone
LAST_READ = 2.0  # seconds to wait for the last picture when the camera is closed
RATE_OVER = 30  # pictures

# Flags that do not apply to a camera.
OF_FILES = ("mask", "region", "feather", "stroke", "tile", "format", "quality", "skip_existing", "json")
MILLISECOND = Fraction(1, 1000)
log = logging.getLogger("fastnst")


def paint_live(photos: Sequence[str], settings: ApplySettings) -> int:
    """Show the stylized pictures of a camera in a window until it is closed or `q` or Esc is pressed.

    Args:
        photos: Must be empty.
        settings: `camera` has a number, a file or an address, or is empty for camera 0. The pictures are also written
            to the video file `output`, if it is given.

    Returns:
        Number of pictures shown.

    Raises:
        UserError: No such camera, no screen, an output that must not be replaced, or a flag that is for files.
    """
    if photos:
        raise UserError(f"--camera takes no photos, got {photos[0]}")
    for name in OF_FILES:
        if getattr(settings, name) != getattr(ApplySettings, name):
            raise UserError(f"--{name.replace('_', '-')} is for files, not for --camera: leave it out")
    source = settings.camera[0] if settings.camera else "0"
    if settings.output is not None:
        check_container(settings.output)
        if settings.output.resolve() == Path(source).resolve():
            raise UserError(f"{settings.output} is what --camera reads: choose another --output")
        check_place(settings.output)
        if settings.output.exists() and not settings.force:
            raise UserError(f"{settings.output} exists: --force replaces it")
    stylizer = Stylizer(
        settings.style,
        device=settings.device,
        runtime=settings.runtime,
        precision=settings.precision,
        instant=settings.instant,
    )
    look: Callable[..., Tensor] = partial(stylizer, keep_colors=settings.keep_colors)
    paint = partial(Steady(look) if settings.steady else look, strength=settings.strength)
    started = time.perf_counter()
    times: deque[float] = deque(maxlen=RATE_OVER)
    number = 0
    with (
        closing(Camera(source, size=settings.size)) as camera,
        closing(Window(settings.style)) as window,
        closing(Recording(settings.output, replace=settings.force)) as recording,
        suppress(KeyboardInterrupt),  # Ctrl-C ends it too
    ):
        for number, photo in enumerate(camera, 1):
            picture = paint(photo)
            times.append(time.perf_counter())
            recording.add(picture, times[-1] - started)
            rate = (len(times) - 1) / (times[-1] - times[0]) if number > 1 else 0.0
            if not window.show(picture, f"{rate:.1f} frames/s"):
                break
    log.info("%d frames, %.1f frames/s", number, number / (time.perf_counter() - started))
    return number


class Camera:
    """Photos `(1, 3, H, W)` in [0, 1]: always the newest of a camera, or all of a file.

    Args:
        source: The number of a camera, a video file, or the address of a stream.
        size: Long side in pixels; larger photos are shrunk.

    Raises:
        UserError: No such camera, or OpenCV is missing.
    """

    def __init__(self, source: str, *, size: int | None = None) -> None:
        self._cv2: Any = load_opencv(NEEDS)
        self._cv2.utils.logging.setLogLevel(self._cv2.utils.logging.LOG_LEVEL_SILENT)  # errors are reported below
        self._source, self._size = source, size
        self._stopped = Event()
        self._thread: Thread | None = None
        self._capture = self._cv2.VideoCapture(int(source) if source.isdecimal() else source)
        if not self._capture.isOpened():
            raise UserError(f"camera {source}: cannot be opened")

    def __iter__(self) -> Iterator[Tensor]:
        """Iterate over the photos, until the camera is gone."""
        pictures = self._all() if Path(self._source).is_file() else self._newest()
        for picture in pictures:
            scale = min(1.0, self._size / max(picture.shape)) if self._size else 1.0
            if scale < 1:
                picture = self._cv2.resize(picture, None, fx=scale, fy=scale, interpolation=self._cv2.INTER_AREA)
            yield to_tensor(picture[..., ::-1])  # from BGR

    def close(self) -> None:
        """Release the camera, after the last read."""
        self._stopped.set()
        if self._thread:
            self._thread.join(LAST_READ)
        self._capture.release()

    def _all(self) -> Iterator[Bytes]:
        while not self._stopped.is_set() and (answer := self._capture.read())[0]:
            yield answer[1]

    def _newest(self) -> Iterator[Bytes]:
        """The newest pictures: a thread reads on and only the last picture is kept, so that nothing old is shown."""
        waiting: Queue[Bytes | None] = Queue(1)

        def read() -> None:
            for picture in self._all():
                with suppress(Empty):
                    waiting.get_nowait()
                waiting.put(picture)
            if not self._stopped.is_set():
                waiting.put(None)

        self._thread = Thread(target=read, daemon=True)
        self._thread.start()
        try:
            while (picture := waiting.get(timeout=SILENCE)) is not None:
                yield picture
        except Empty:
            raise UserError(f"camera {self._source}: no picture for {SILENCE:.0f} s") from None


class Window:
    """A window on the screen.

    Args:
        title: The title, which is followed by the state.

    Raises:
        UserError: No screen, or pygame is missing.
    """

    def __init__(self, title: str) -> None:
        os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
        try:
            import pygame
        except ImportError as error:
            raise UserError(NEEDS) from error
        self._pygame: Any = pygame
        self._title = title
        try:
            pygame.display.init()
        except pygame.error as error:
            raise UserError(f"a window cannot be opened: {error}") from error
        if pygame.display.get_driver() in ("dummy", "offscreen") and "SDL_VIDEODRIVER" not in os.environ:
            raise UserError("a window cannot be opened: there is no screen")
        self._surface: Any = None

    def show(self, picture: Tensor, state: str) -> bool:
        """Show a picture `(1, 3, H, W)` in [0, 1]; False after the window was closed or `q` or Esc was pressed."""
        pygame, (height, width) = self._pygame, picture.shape[-2:]
        if self._surface is None:
            self._surface = pygame.display.set_mode((width, height), pygame.RESIZABLE)
        pygame.display.set_caption(f"{self._title}: {state} (q ends)")
        image = pygame.image.frombuffer(to_array(picture)[0], (width, height), "RGB")
        place = image.get_rect().fit(self._surface.get_rect())
        self._surface.blit(pygame.transform.scale(image, place.size), place)
        pygame.display.flip()
        return not any(map(self._ends, pygame.event.get()))

    def close(self) -> None:
        """Close the window."""
        self._pygame.display.quit()

    def _ends(self, event: Any) -> bool:
        pygame = self._pygame
        keys = (pygame.K_q, pygame.K_ESCAPE)
        return event.type == pygame.QUIT or (event.type == pygame.KEYDOWN and event.key in keys)


class Recording:
    """A video file of the pictures and their times, if one was asked for; it appears when it is closed."""

    def __init__(self, target: Path | None, *, replace: bool = False) -> None:
        self._target, self._replace = target, replace
        self._writer: VideoWriter | None = None

    def add(self, picture: Tensor, seconds: float) -> None:
        """Add the next picture, `(1, 3, H, W)` in [0, 1], at so many seconds after the beginning."""
        if self._target is None:
            return
        form = Form(width=picture.shape[-1], height=picture.shape[-2], rate=Fraction(30), unit=MILLISECOND)
        self._writer = self._writer or VideoWriter(self._target, form, replace=self._replace)
        self._writer.write(Shot(picture, round(seconds / MILLISECOND)))

    def close(self) -> None:
        """Finish the file."""
        if self._writer:
            self._writer.finish()
