"""`VideoWriter`: a video file of pictures with their times and another video's sound, subtitles and metadata.

Knows nothing of networks. PyAV is imported when a video is written.
"""

import logging
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch.nn.functional as F

from fastnst.base.errors import told_of
from fastnst.base.files import give_name, make_folder
from fastnst.base.partials import partial_in
from fastnst.images.levels import to_array
from fastnst.images.metadata import MARK
from fastnst.video.reader import FULL, Form, Item, Shot, VideoReader, errors_told, load_pyav

if TYPE_CHECKING:
    from av import AudioStream, Packet, VideoFrame, VideoStream
    from av.container import OutputContainer
    from av.stream import Stream
from fastnst.video.formats import CONTAINERS, VideoError, check_container

# The setting of constant quality, the worst it takes, the default, and what else is set. The default is hardly to be
# told from the pictures. x264's own preset takes 3.3 times as long for 0.4 dB and larger files (brush-like texture).
_QUALITY: dict[str, tuple[str, int, int, dict[str, str]]] = {
    "libx264": ("crf", 51, 18, {"preset": "veryfast"}),
    "mpeg4": ("qmax", 31, 2, {"qmin": "1"}),
    "libvpx-vp9": ("crf", 63, 24, {"cpu-used": "4", "row-mt": "1"}),
}
_FRAME_DURATION = 1 << 8  # FFmpeg's flag: pictures say how long they are shown
_WRITTEN_ANEW = ("major_brand", "minor_version", "compatible_brands", "encoder", "duration", "rotate")
log = logging.getLogger("fastnst")


class VideoWriter:
    """A video file, written under a hidden name until `finish` renames it.

    Args:
        target: The file; its suffix is one of `CONTAINERS`.
        form: Format of its pictures; an odd side grows by a copy of its last pixels, for 4:2:0 colour.
        quality: From 1 to 100; by default almost without visible loss.
        source: A video whose other streams, metadata and chapters are kept; what the container cannot hold is logged.
        replace: Whether a file of its name may be replaced.

    Attributes:
        num_pictures: Number of pictures written so far.
        num_damaged: Packets of other streams that were left out so far, since they could not be decoded or written.

    Raises:
        VideoError: The suffix is unknown, or PyAV is missing.
    """

    def __init__(
        self,
        target: Path,
        form: Form,
        *,
        quality: int | None = None,
        source: VideoReader | None = None,
        replace: bool = True,
    ) -> None:
        check_container(target)
        av = load_pyav(target)
        format, codecs = CONTAINERS[target.suffix.lower()]
        codec = next((codec for codec in codecs if codec in av.codecs_available), codecs[-1])
        self.target, self.form, self._replace = target, form, replace
        self.num_pictures = self.num_damaged = 0
        self._failed = False  # then FFmpeg must not be asked for more: without a header it ends the process
        self._stack = ExitStack()
        with told_of(target):
            self._partial = self._stack.enter_context(partial_in(make_folder(target.parent)))
        self._last = -1  # start of the last picture
        self._scaler = av.video.reformatter.VideoReformatter()
        self._copied: dict[int, Stream] = {}  # by their places in the source
        self._recoded: dict[int, AudioStream] = {}
        try:
            with errors_told(target, writes=True):
                self._container: OutputContainer = av.open(str(self._partial), "w", format=format)
                self._stream = self._add_pictures(codec, quality)
                self._container.metadata["comment"] = MARK
                if source:
                    self._keep(source)
        except BaseException:
            self.discard()
            raise

    def write(self, item: Item) -> None:
        """The next picture, `(1, 3, H, W)` of the form's size, or a packet of the source."""
        with errors_told(self.target, writes=True):
            try:
                self._write(item)
            except BaseException:
                self._failed = True
                raise

    def _write(self, item: Item) -> None:
        from av.error import ArgumentError

        if isinstance(item, Shot):
            self._container.mux(self._stream.encode(self._frame(item)))
            self.num_pictures += 1
        else:
            self._container.start_encoding()  # once; what is wrong with a header is no fault of the packet
            try:
                self._pass_on(item)
            except ArgumentError:  # its times jump back
                self.num_damaged += 1

    def _pass_on(self, packet: "Packet[Stream]") -> None:
        """Sound or subtitles of the source, copied or coded anew."""
        from av.error import FFmpegError

        if packet.stream_index in self._copied:
            packet.stream = self._copied[packet.stream_index]
            self._container.mux(packet)
        elif packet.stream_index in self._recoded:
            try:
                sounds: list[Any] = packet.decode()
            except FFmpegError:  # each decoder has its own
                self.num_damaged += 1
                return
            for sound in sounds:
                self._container.mux(self._recoded[packet.stream_index].encode(sound))

    def finish(self, target: Path | None = None) -> None:
        """End the file properly and give it its name, or another.

        Raises:
            FileExistsError: A file of that name is there by now, and must not be replaced.
            VideoError: The disk is full, or something could not be written before.
        """
        if self._failed:
            self.discard()
            raise VideoError(f"{self.target} cannot be written")
        try:
            with errors_told(self.target, writes=True), self._container:
                self._container.mux(self._stream.encode(None))
                for stream in self._recoded.values():
                    self._container.mux(stream.encode(None))
            with told_of(self.target):
                give_name(self._partial, target or self.target, replace=self._replace)
        finally:
            self._stack.close()

    def discard(self) -> None:
        """Leave nothing behind."""
        with suppress(Exception):  # the end of a file that goes away may fail in any way
            self._container.close()
        self._stack.close()

    def _add_pictures(self, codec: str, quality: int | None) -> "VideoStream":
        form = self.form
        stream: Any = self._container.add_stream(codec, rate=form.rate, options=_options(codec, quality))
        stream.width, stream.height = form.width + form.width % 2, form.height + form.height % 2
        stream.pix_fmt = "yuv420p"
        context = stream.codec_context
        context.time_base = form.unit
        context.flags |= _FRAME_DURATION
        context.colorspace, context.color_primaries, context.color_trc = form.matrix, form.primaries, form.curve
        context.color_range = form.range
        if form.aspect:
            context.sample_aspect_ratio = form.aspect
        return stream  # type: ignore[no-any-return]

    def _frame(self, shot: Shot) -> "VideoFrame":
        from av import VideoFrame

        matrix, range = self.form.coding
        even = F.pad(shot.image, (0, self.form.width % 2, 0, self.form.height % 2), mode="replicate")
        frame = self._scaler.reformat(
            VideoFrame.from_ndarray(to_array(even)[0]),
            *(None, None, "yuv420p", matrix, matrix),
            src_color_range=FULL,
            dst_color_range=range,
            threads=1,
        )
        form = self.form
        frame.colorspace, frame.color_primaries, frame.color_trc = form.matrix, form.primaries, form.curve
        frame.color_range = form.range
        frame.time_base = form.unit
        frame.pts = self._last = max(shot.start, self._last + 1)  # codecs refuse two pictures at one time
        frame.duration = shot.duration
        return frame  # type: ignore[no-any-return]

    def _keep(self, source: VideoReader) -> None:
        """Prepare the source's other streams; take its metadata and chapters."""
        lost = []
        own: Stream | None
        for stream in source.container.streams:
            if stream is source.stream:
                own = self._stream
            elif own := self._copy(stream):
                self._copied[stream.index] = own
            elif own := self._recode(stream):
                self._recoded[stream.index] = own
            else:
                lost.append(f"{stream.type} {stream.name or ''}".strip())
                continue
            own.metadata.update(_kept(stream.metadata))
            own.disposition = stream.disposition
        if lost:
            log.warning("%s cannot hold of %s: %s", self.target, source.path, ", ".join(lost))
        kept = _kept(source.container.metadata)
        said = [kept.pop(name) for name in list(kept) if name.lower() == "comment"]  # in Matroska it is COMMENT
        self._container.metadata.update(kept)
        self._container.metadata["comment"] = "; ".join([*said, MARK])
        self._container.set_chapters(source.container.chapters())

    def _copy(self, stream: "Stream") -> "Stream | None":
        """A stream for the same packets; None if the container does not take them."""
        if stream.type in ("data", "unknown"):
            return None
        with suppress(ValueError):
            copied: Stream = self._container.add_stream_from_template(stream, opaque=True)
            return copied
        return None

    def _recode(self, stream: "Stream") -> "AudioStream | None":
        """A stream for sound that is coded anew; None if it is no sound or cannot be decoded."""
        sound: Any = stream.codec_context
        if stream.type != "audio" or sound is None:
            return None
        codec, rate = ("libopus", 48_000) if self._container.format.name == "webm" else ("aac", sound.sample_rate)
        recoded: Any = self._container.add_stream(codec, rate=rate, layout=sound.layout.name, bit_rate=192_000)
        return recoded  # type: ignore[no-any-return]


def _options(codec: str, quality: int | None) -> dict[str, str]:
    setting, worst, default, others = _QUALITY[codec]
    value = default if quality is None else max(1, round(worst * (1 - quality / 100)))
    return {setting: str(value), **others}


def _kept(metadata: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in metadata.items() if name.lower() not in _WRITTEN_ANEW}
