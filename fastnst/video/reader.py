"""`VideoReader`: pictures of a video file as tensors with their times; sound and subtitles stay packets.

Knows nothing of networks. PyAV is imported when a video is read.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from torch import Tensor

from fastnst.base.errors import reason_for
from fastnst.base.files import open_file
from fastnst.images.levels import Bytes, to_tensor

if TYPE_CHECKING:
    from av import Packet as AnyPacket
    from av import VideoFrame, VideoStream
    from av.container import InputContainer
    from av.stream import Stream

    Packet: TypeAlias = AnyPacket[Stream]
from fastnst.video.formats import LARGEST_FRAME, OPENING, VideoError

BT709, BT601, LIMITED, FULL = 1, 5, 1, 2  # FFmpeg's numbers of matrices and ranges

# FFmpeg's numbers of the matrices that its scaler knows, and the scaler's own.
_MATRICES = {1: 1, 4: 4, 5: 5, 6: 5, 7: 7, 9: 9, 10: 9}


@dataclass(frozen=True, kw_only=True)
class Form:
    """Format of a video's pictures.

    Attributes:
        width: Pixels, as the viewer sees it (turned).
        height: Likewise.
        rate: Pictures per second, on average.
        unit: Of time, in seconds.
        aspect: Width of a pixel by its height; 0 if unknown.
        matrix: Of the colours, as `primaries` and `curve` in FFmpeg's numbers (those of ITU-T H.273; 2: unknown).
        range: 1 for black at 16 and white at 235, 2 for the whole byte, 0 if unknown.
    """

    width: int
    height: int
    rate: Fraction
    unit: Fraction
    aspect: Fraction = Fraction(0)
    matrix: int = BT709
    primaries: int = BT709
    curve: int = BT709
    range: int = LIMITED

    @property
    def coding(self) -> tuple[int, int]:
        """Matrix and range in the scaler's numbers; what is unknown is what players take it for."""
        return _MATRICES.get(self.matrix, BT709 if self.height >= 720 else BT601), self.range or LIMITED


@dataclass(frozen=True)
class Shot:
    """A picture of a video: `(1, 3, H, W)` in [0, 1], and when it appears and for how long, in units of its form."""

    image: Tensor
    start: int
    duration: int = 0  # 0: unknown


Item: TypeAlias = "Shot | Packet"


def load_pyav(path: Path) -> ModuleType:
    """PyAV, or a VideoError that says how to install it."""
    try:
        import av
        import av.video.reformatter
    except ImportError as error:
        raise VideoError(f"{path}: a video needs PyAV: pip install 'fastnst[video]'") from error
    return av


@contextmanager
def errors_told(path: Path, *, writes: bool = False) -> Iterator[None]:
    """FFmpeg's errors become a VideoError of one line; of a file that is written, it says what helps."""
    from av.error import FFmpegError

    try:
        yield
    except FFmpegError as error:
        if writes and isinstance(error, OSError) and (reason := reason_for(error)):
            raise VideoError(f"{path} cannot be written: {reason}") from error
        raise VideoError(f"{path}: {error.strerror or type(error).__name__}") from error


class VideoReader:
    """A video's pictures and its other packets in the order of the file: `for item in VideoReader(path)`, once.

    Pictures are turned upright; damaged ones are left out and counted. Times begin at 0.

    Args:
        path: A file of any container and codec that PyAV reads.
        size: Long side of the pictures in pixels; larger ones are shrunk.
        max_pixels: A file whose pictures have more is refused before one is decoded [40 million, and never more].

    Attributes:
        form: Format of the pictures.
        num_damaged: Packets that could not be decoded so far.

    Raises:
        VideoError: No such file, no video in it, or PyAV is missing.
    """

    def __init__(self, path: Path, *, size: int | None = None, max_pixels: int | None = None) -> None:
        av = load_pyav(path)
        with errors_told(path), suppress(FileNotFoundError):  # which FFmpeg tells
            open_file(path).close()
        with errors_told(path):
            self.container: InputContainer = av.open(str(path), metadata_errors="replace", container_options=OPENING)
        self.path = path
        self.num_damaged = 0
        self.stream = self._find_stream()
        self._limit(min(max_pixels or LARGEST_FRAME, LARGEST_FRAME))
        self.stream.thread_type = av.codec.context.ThreadType.AUTO
        # Broadcasts begin at any time; players show them from 0.
        self._begin = Fraction(max(0, self.container.start_time or 0), av.time_base)
        self._end = 0  # of the last picture
        self._scaler = av.video.reformatter.VideoReformatter()
        items = self._decoded()
        head: list[Any] = []
        while not head or not isinstance(head[-1], av.VideoFrame):  # sound may come first
            if (item := next(items, None)) is None:
                raise VideoError(f"{path}: no picture in it can be read")
            head.append(item)
        self._stored_size, self.form = self._measure(head[-1], size)
        self._items = chain(head, items)

    def __iter__(self) -> Iterator[Item]:
        """The pictures and packets."""
        from av import VideoFrame

        for item in self._items:
            yield self._shot(item) if isinstance(item, VideoFrame) else self._from_zero(item)

    @property
    def num_pictures(self) -> int | None:
        """Number of pictures, exact or estimated; None if the file does not say."""
        microseconds = self.container.duration
        return self.stream.frames or (round(microseconds / 1_000_000 * self.form.rate) if microseconds else None)

    @property
    def has_opacity(self) -> bool:
        """Whether the file has opacity, which is not read."""
        format = self.stream.codec_context.format
        of_pixels = format is not None and any(component.is_alpha for component in format.components)
        return of_pixels or self.stream.metadata.get("alpha_mode") == "1"  # beside the pixels, as VP9 has it

    def close(self) -> None:
        """Close the file; nothing more can be read."""
        self.container.close()

    def _find_stream(self) -> "VideoStream":
        """The first video stream that is not an album cover."""
        from av.stream import Disposition

        for stream in self.container.streams.video:
            if not stream.disposition & Disposition.attached_pic and stream.codec_context:
                return stream
        raise VideoError(f"{self.path}: there is no video in it")

    def _limit(self, pixels: int) -> None:
        """Refuse larger pictures, those in the middle of the file too."""
        context = self.stream.codec_context
        if context.width * context.height > pixels:
            sides, most = f"{context.width} x {context.height}", f"{pixels / 1e6:g} megapixels"
            raise VideoError(f"{self.path}: pictures of {sides}, and the limit for videos is {most}")
        context.options = {"max_pixels": str(pixels)}

    def _decoded(self) -> "Iterator[VideoFrame | Packet]":
        from av.error import InvalidDataError

        with errors_told(self.path):
            for packet in self.container.demux():
                if packet.stream is self.stream:
                    try:
                        yield from self.stream.decode(packet)
                    except InvalidDataError:
                        self.num_damaged += 1
                elif packet.size:  # empty ones mark the end
                    yield packet

    def _measure(self, frame: "VideoFrame", size: int | None) -> tuple[tuple[int, int], Form]:
        """Width and height before pictures are turned, and the form after."""
        width, height = frame.width, frame.height
        if size and size < max(width, height):
            width, height = (max(2, 2 * round(side * size / max(width, height) / 2)) for side in (width, height))
        aspect = self.stream.sample_aspect_ratio or Fraction(0)
        is_turned = _upright(np.zeros((1, 2), np.uint8), frame).shape == (2, 1)
        form = Form(
            width=height if is_turned else width,
            height=width if is_turned else height,
            rate=self.stream.average_rate or self.stream.guessed_rate or Fraction(25),
            unit=self.stream.time_base or Fraction(1, 90_000),
            aspect=1 / aspect if aspect and is_turned else aspect,
            matrix=BT709 if frame.format.is_rgb else frame.colorspace,
            primaries=frame.color_primaries,
            curve=frame.color_trc,
            range=LIMITED if frame.format.is_rgb else frame.color_range,
        )
        return (width, height), form

    def _shot(self, frame: "VideoFrame") -> Shot:
        (width, height), (matrix, range) = self._stored_size, self.form.coding
        with errors_told(self.path):
            picture = self._scaler.reformat(
                frame,
                *(width, height, "rgb24", matrix, matrix),
                src_color_range=range,
                dst_color_range=FULL,
                interpolation="BILINEAR" if (width, height) == (frame.width, frame.height) else "LANCZOS",
                threads=1,
            )
        start = self._end if frame.pts is None else frame.pts - self._units_before(self.form.unit)
        self._end = start + max(1, frame.duration)
        return Shot(to_tensor(_upright(picture.to_ndarray(), frame)), start, frame.duration)

    def _from_zero(self, packet: "Packet") -> "Packet":
        units = self._units_before(packet.time_base)
        packet.pts = None if packet.pts is None else packet.pts - units
        packet.dts = None if packet.dts is None else packet.dts - units
        return packet

    def _units_before(self, unit: Fraction) -> int:
        """Units of time before the file begins."""
        return round(self._begin / unit)


def _upright(image: Bytes, frame: "VideoFrame") -> Bytes:
    """An image `(H, W, ...)` turned and mirrored in right angles as the frame's display matrix says.

    It sends column x to a x + c y and row y to b x + d y.
    """
    matrix: Any = frame.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return image
    a, b, _, c, d = np.frombuffer(matrix, np.int32)[:5].tolist()
    if abs(b) > abs(a):
        image, a, d = image.swapaxes(0, 1), c, b
    return image[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1]
