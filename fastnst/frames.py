"""The pictures on the way to an image: a folder of PNG files, or a video that plays even if the way was cut short.

Knows nothing of optimisations. Only a video needs PyAV, which is imported when one is wanted.
"""

import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Self

import torch.nn.functional as F
from torch import Tensor

from fastnst.errors import UserError
from fastnst.images import save_image, to_array

if TYPE_CHECKING:
    from av.container import OutputContainer
    from av.video.stream import VideoStream

# FFmpeg's name of the container, and the codecs for it, the best first.
_CONTAINERS = {
    ".mp4": ("mp4", ("libx264", "mpeg4")),
    ".mkv": ("matroska", ("libx264", "mpeg4")),
    ".mov": ("mov", ("libx264", "mpeg4")),
    ".webm": ("webm", ("libvpx-vp9",)),
}
# Constant quality, hardly to be told from the pictures.
_QUALITY = {
    "libx264": {"crf": "18"},
    "mpeg4": {"qmin": "2", "qmax": "2"},
    "libvpx-vp9": {"crf": "24", "cpu-used": "4", "row-mt": "1"},
}
_BT709, _LIMITED = 1, 1  # FFmpeg's numbers: for matrix, primaries and curve; for black at 16 and white at 235


class Frames:
    """A place for pictures, one after the other: `with Frames(Path("way.mp4")) as frames: frames.add(image)`.

    A video appears whole when the block is left, by an exception and Ctrl-C too; without a picture nothing appears.

    Args:
        target: A folder (a name without a suffix) for `0001.png` and so on, or a .mp4, .mkv, .mov or .webm file.
        size: Width and height of a video in pixels, by default those of its first picture; an odd one grows by one.
            A folder keeps each picture as it is.
        fps: Pictures per second of a video.
        force: Replace an existing video, or write into a folder that is not empty, where other files stay.

    Raises:
        UserError: The suffix is unknown, the target exists, or PyAV is missing.
    """

    def __init__(
        self, target: Path, *, size: tuple[int, int] | None = None, fps: int = 25, force: bool = False
    ) -> None:
        if fps < 1:
            raise UserError(f"fps must be at least 1, got {fps}")
        _check_target(target, force=force)
        self._target = target
        self._video = _Video(target, size=size, fps=fps) if target.suffix else None
        self._count = 0

    def __enter__(self) -> Self:
        """The place itself; nothing is written yet."""
        return self

    def __exit__(self, *_: object) -> None:
        """Finish the video, whatever happened."""
        if self._video:
            self._video.finish()

    def add(self, image: Tensor) -> None:
        """The next picture, `(1, 3, H, W)`, sRGB in [0, 1], of any size; a video stretches it to its own."""
        if image.ndim != 4 or image.shape[:2] != (1, 3):
            raise ValueError(f"expected one image (1, 3, H, W), got {tuple(image.shape)}")
        if self._video:
            self._video.write(image)
        else:
            save_image(image, self._target / f"{self._count + 1:04}.png")
        self._count += 1


class _Video:
    """A video file, written under a hidden name beside its own and renamed when it is finished."""

    def __init__(self, target: Path, *, size: tuple[int, int] | None, fps: int) -> None:
        try:
            from av import codecs_available
        except ImportError as error:
            raise UserError(f"{target}: a video needs PyAV: pip install 'fastnst[video]'") from error
        self._format, codecs = _CONTAINERS[target.suffix.lower()]
        self._codec = next((codec for codec in codecs if codec in codecs_available), codecs[-1])
        self._target, self._size, self._fps = target, size, fps
        self._partial = target.with_name(f".{secrets.token_hex(6)}.partial")
        self._opened: tuple[OutputContainer, VideoStream] | None = None

    def write(self, image: Tensor) -> None:
        from av import VideoFrame

        self._size = width, height = self._size or (image.shape[-1], image.shape[-2])
        picture = VideoFrame.from_ndarray(to_array(_fitted(image, width, height))[0])
        self._opened = container, stream = self._opened or self._open(picture.width, picture.height)
        frame = picture.reformat(format="yuv420p", dst_colorspace=_BT709, dst_color_range=_LIMITED)
        container.mux(stream.encode(frame))

    def finish(self) -> None:
        try:
            if self._opened:
                container, stream = self._opened
                with container:
                    container.mux(stream.encode(None))
                os.replace(self._partial, self._target)
        finally:
            self._partial.unlink(missing_ok=True)

    def _open(self, width: int, height: int) -> "tuple[OutputContainer, VideoStream]":
        import av

        self._target.parent.mkdir(parents=True, exist_ok=True)
        container = av.open(self._partial, "w", format=self._format)
        stream = container.add_stream(self._codec, rate=self._fps, options=_QUALITY[self._codec])
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        context = stream.codec_context
        context.colorspace = context.color_primaries = context.color_trc = _BT709
        context.color_range = _LIMITED
        return container, stream


def _check_target(target: Path, *, force: bool) -> None:
    """Before any work: a name that tells what to write, and nothing there that would be lost."""
    suffix = target.suffix.lower()
    if suffix and suffix not in _CONTAINERS:
        known = ", ".join(_CONTAINERS)
        raise UserError(f"{target}: expected a folder or a name ending in {known}, got {target.suffix!r}")
    if target.exists() and target.is_dir() == bool(suffix):
        raise UserError(f"{target}: expected a {'video, found a folder' if suffix else 'folder, found a file'}")
    if target.is_file() and not force:
        raise UserError(f"{target} exists: --force replaces it")
    if target.is_dir() and any(target.iterdir()) and not force:
        raise UserError(f"{target} is not empty: --force writes into it")


def _fitted(image: Tensor, width: int, height: int) -> Tensor:
    """Resized, and an odd side made even, as 4:2:0 colour needs it, by repeating its last pixels."""
    if image.shape[-2:] != (height, width):
        image = F.interpolate(image.detach().float(), (height, width), mode="bicubic", antialias=True)
    return F.pad(image, (0, width % 2, 0, height % 2), mode="replicate")
