"""Videos of strangers: pictures too large, playlists that name other files, headers that promise too much."""

import resource
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from fastnst.cli import main
from fastnst.video.formats import LARGEST_FRAME, VideoError
from fastnst.video.reader import Shot, VideoReader


def clip(path: Path, size: tuple[int, int] = (64, 48), sounds: int = 0) -> Path:
    """Ten grey pictures, and so many sounds."""
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for _ in range(sounds):
            container.add_stream("pcm_s16le", rate=8000, layout="mono")
        for number in range(10):
            frame = av.VideoFrame.from_ndarray(np.full((size[1], size[0], 3), 20 * number, np.uint8))
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def wide_clip(path: Path) -> Path:
    """One grey picture of 16,384 x 256 pixels."""
    with av.open(path, "w") as container:
        stream = container.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = 16384, 256, "yuvj420p"
        frame = av.VideoFrame.from_ndarray(np.full((256, 16384, 3), 99, np.uint8))
        container.mux(stream.encode(frame.reformat(format="yuvj420p")))
        container.mux(stream.encode())
    return path


@contextmanager
def little(seconds: float = 10, kilobytes: int = 200_000) -> Iterator[None]:
    """Processor time and memory that may be taken inside."""
    started, before = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    assert time.process_time() - started < seconds
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < kilobytes


def pictures(path: Path, **limits: int) -> list[tuple[int, ...]]:
    """The sizes of all pictures that are read."""
    reader = VideoReader(path, **limits)
    try:
        return [tuple(item.image.shape[-2:]) for item in reader if isinstance(item, Shot)]
    finally:
        reader.close()


def test_larger_pictures_than_allowed_are_refused_before_they_are_decoded(tmp_path, capsys, monkeypatch) -> None:
    path = clip(tmp_path / "clip.mp4")
    assert len(pictures(path, max_pixels=64 * 48)) == 10
    with pytest.raises(VideoError, match=r"pictures of 64 x 48, and the limit for videos is 0\.003 meg"):
        pictures(path, max_pixels=3000)
    assert LARGEST_FRAME >= 7680 * 4320
    monkeypatch.setattr("fastnst.video.reader.LARGEST_FRAME", 3000)
    with pytest.raises(SystemExit) as stop:
        main(["apply", str(path), "--style", "great_wave_live", "-o", str(tmp_path / "out.mp4"), "--device", "cpu"])
    assert stop.value.code == 2 and "the limit for videos" in capsys.readouterr().err


def test_a_larger_picture_in_the_middle_is_left_out(tmp_path) -> None:
    small, large = clip(tmp_path / "a.ts").read_bytes(), clip(tmp_path / "b.ts", (640, 480)).read_bytes()
    (tmp_path / "both.ts").write_bytes(small + large)
    assert len(pictures(tmp_path / "both.ts")) > 10  # larger ones are shrunk to the first
    read = pictures(tmp_path / "both.ts", max_pixels=64 * 48)
    assert set(read) == {(48, 64)} and 5 < len(read) <= 10  # the last ones before an error may be lost


@pytest.mark.parametrize(
    "text",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nclip.ts\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile clip.ts\n",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n",
    ],
    ids=["playlist", "list of files", "address"],
)
def test_a_playlist_that_names_other_files_is_no_video(tmp_path, text) -> None:
    clip(tmp_path / "clip.ts")
    (tmp_path / "list.mp4").write_text(text)
    with pytest.raises(VideoError, match=r"list\.mp4"):
        VideoReader(tmp_path / "list.mp4")


def test_of_a_thousand_streams_the_first_64_are_read_at_once(tmp_path) -> None:
    path = clip(tmp_path / "many.mkv", sounds=999)
    with little(seconds=2, kilobytes=50_000):
        reader = VideoReader(path)
        assert len(reader.container.streams) == 64
        assert sum(isinstance(item, Shot) for item in reader) == 10
        reader.close()


def test_a_header_that_says_16384_pixels_a_side_takes_no_memory(tmp_path) -> None:
    path = wide_clip(tmp_path / "wide.mkv")
    assert pictures(path) == [(256, 16384)]
    data = path.read_bytes()
    high = struct.pack(">H", 16000)  # of a picture of more, FFmpeg has no notion
    starts = (b"\xff\xc0\0\x11\x08", b"\xb0\x82\x40\0\xba\x82")  # of the JPEG picture, of the file
    for start, message in zip(starts, ("no picture in it can be read", "pictures of 16384 x 16000"), strict=True):
        assert data.count(start) == 1
        place = data.index(start) + len(start)
        data = data[:place] + high + data[place + 2 :]
        path.write_bytes(data)
        with little(), pytest.raises(VideoError, match=message):
            pictures(path)


def test_a_million_pictures_in_the_header_take_no_more_than_those_in_the_file(tmp_path) -> None:
    data = bytearray(clip(tmp_path / "clip.mp4").read_bytes())
    times, sizes = data.index(b"stts") + 12, data.index(b"stsz") + 12
    data[times : times + 4] = struct.pack(">I", 10**6)
    data[sizes : sizes + 4] = struct.pack(">I", 10**6)
    path = tmp_path / "long.mp4"
    path.write_bytes(data)
    with little():
        try:
            assert len(pictures(path)) <= 10
        except VideoError as error:
            assert "\n" not in str(error)
