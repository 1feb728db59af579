"""A painted video keeps what the video had beside its pictures: times, sound, subtitles, colours."""

import os
import threading
import time
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from clips import MS, make_clip, paint, pictures_of, times_of

from fastnst.base.errors import UserError
from fastnst.video.paint import ahead
from fastnst.video.reader import VideoReader

UNEVEN = (0, 40, 100, 130, 300, 310, 500)  # milliseconds


def sound_of(path: Path) -> list[tuple[bytes, int]]:
    """The packets of the sound: their bytes, and when they come, in milliseconds."""
    with av.open(path) as container:
        packets = [packet for packet in container.demux(audio=0) if packet.size]
        return [(bytes(packet), round(float(packet.pts * packet.time_base) * 1000)) for packet in packets]


@pytest.mark.parametrize("target", ["out.mp4", "out.mkv", "out.mov"])
def test_pictures_times_and_sound_are_those_of_the_source(tmp_path: Path, target: str) -> None:
    clip = make_clip(tmp_path / "clip.mkv", times=UNEVEN, sound="aac")
    assert paint(clip, tmp_path / target) == (64, 48)
    painted = pictures_of(tmp_path / target)
    assert painted.shape == (len(UNEVEN), 3, 48, 64)
    assert torch.allclose(painted, 1 - pictures_of(clip), atol=0.02)
    first = times_of(tmp_path / target)[0]  # of the sound, a little comes before 0, and some files begin with it
    assert [round(1000 * (time - first)) for time in times_of(tmp_path / target)] == list(UNEVEN)
    with av.open(tmp_path / target) as container:
        assert round(1000 * max(frame.duration * frame.time_base for frame in container.decode(video=0))) == 700
    sound = sound_of(tmp_path / target)
    assert [data for data, _ in sound] == [data for data, _ in sound_of(clip)]
    assert [when - round(1000 * first) for _, when in sound] == pytest.approx(
        [when - round(1000 * times_of(clip)[0]) for _, when in sound_of(clip)], abs=1
    )
    with av.open(tmp_path / target) as container:
        assert container.metadata["title"] == "a clip"
    assert sorted(os.listdir(tmp_path)) == sorted(["clip.mkv", target])


def test_sound_that_the_container_cannot_hold_is_coded_anew(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", sound="aac")
    paint(clip, tmp_path / "out.webm")
    with av.open(tmp_path / "out.webm") as container:
        assert container.streams.audio[0].codec_context.name == "opus"
        samples = sum(frame.samples for frame in container.decode(audio=0))
    assert samples == pytest.approx(24000, abs=2500)


def add_extras(clip: Path, target: Path) -> Path:
    """The clip with a cover, a chapter and a subtitle."""
    with av.open(clip) as source, av.open(target, "w") as container:
        pictures = container.add_stream_from_template(source.streams.video[0], opaque=True)
        subtitles = container.add_mux_stream("subrip")
        subtitles.metadata["language"] = "fra"
        container.set_chapters([{"id": 1, "start": 0, "end": 80, "time_base": MS, "metadata": {"title": "one"}}])
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = pictures
                container.mux(packet)
        line = av.Packet(b"Bonjour")
        line.pts, line.dts, line.duration, line.time_base, line.stream = 40, 40, 80, MS, subtitles
        container.mux(line)
    return target


def test_subtitles_and_chapters_are_kept_or_what_is_lost_is_told(tmp_path: Path, told) -> None:
    clip = add_extras(make_clip(tmp_path / "clip.mkv"), tmp_path / "extras.mkv")
    paint(clip, tmp_path / "out.mkv")
    with av.open(tmp_path / "out.mkv") as container:
        (line,) = [packet for packet in container.demux(subtitles=0) if packet.size]
        assert (bytes(line), line.pts, line.duration) == (b"Bonjour", 40, 80)
        assert container.streams.subtitles[0].language == "fra"
        assert [chapter["metadata"]["title"] for chapter in container.chapters()] == ["one"]
    assert not told()
    paint(clip, tmp_path / "out.mp4")
    assert len(times_of(tmp_path / "out.mp4")) == 6
    (message,) = told()
    assert "out.mp4 cannot hold" in message and "subtitle" in message


@pytest.mark.parametrize(
    ("name", "codec"), [("a.webm", "libvpx-vp9"), ("a.avi", "mpeg4"), ("a.ts", "libx264"), ("a.mpg", "mpeg2video")]
)
def test_other_containers_and_codecs_are_read(tmp_path: Path, name: str, codec: str) -> None:
    clip = make_clip(tmp_path / name, codec="mpeg4" if codec == "mpeg2video" else codec)
    paint(clip, tmp_path / "out.mp4")
    assert times_of(tmp_path / "out.mp4") == [0.0, 0.04, 0.08, 0.12, 0.16, 0.2]
    assert torch.allclose(pictures_of(tmp_path / "out.mp4"), 1 - pictures_of(clip), atol=0.02)


@pytest.mark.parametrize(
    ("rotation", "corner"), [(0, (0, 0)), (90, (1, 0)), (180, (1, 1)), (-90, (0, 1))], ids=["0", "90", "180", "-90"]
)
def test_a_turned_video_is_turned_upright(tmp_path: Path, rotation: int, corner: tuple[int, int]) -> None:
    clip = make_clip(tmp_path / "clip.mp4", times=(0, 40), rotation=rotation, quadrants=True)
    with av.open(clip) as container:
        assert next(container.decode(video=0)).rotation in (rotation, rotation - 360)
    size = paint(clip, tmp_path / "out.mkv", painter=lambda image: image)
    assert size == ((48, 64) if rotation % 180 else (64, 48))
    with av.open(tmp_path / "out.mkv") as container:
        assert next(container.decode(video=0)).rotation == 0
    red = pictures_of(tmp_path / "out.mkv")[0, 0]
    height, width = red.shape
    down, right = corner
    rows = slice(down * height // 2, (down + 1) * height // 2)
    columns = slice(right * width // 2, (right + 1) * width // 2)
    inside = red[rows, columns]
    assert inside.mean() > 0.6
    assert (red.sum() - inside.sum()) / (red.numel() - inside.numel()) < 0.2


@pytest.mark.parametrize("matrix", [1, 5, 9])
@pytest.mark.parametrize("range_", [1, 2])
def test_colours_are_coded_as_in_the_source(tmp_path: Path, matrix: int, range_: int) -> None:
    clip = make_clip(tmp_path / "clip.mp4", times=(0, 40), colours=(matrix, range_), quadrants=True)
    paint(clip, tmp_path / "out.mp4", painter=lambda image: image)
    planes = []
    for path in (clip, tmp_path / "out.mp4"):
        with av.open(path) as container:
            frame = next(container.decode(video=0))
        assert (frame.colorspace, frame.color_range, frame.color_primaries, frame.color_trc) == (matrix, range_, 1, 1)
        planes.append(frame.to_ndarray().astype(int))
    assert np.abs(planes[0] - planes[1]).mean() < 1.5  # levels; another matrix or range makes it ten


def test_the_network_sees_the_colours_that_were_meant(tmp_path: Path) -> None:
    seen = []
    for suffix, codec, colours in (
        *(("mp4", "libx264", (1, 1)), ("mp4", "libx264", (5, 2))),
        *(("webm", "libvpx-vp9", (5, 1)), ("webm", "libvpx-vp9", (1, 2))),
    ):
        clip = make_clip(tmp_path / f"clip.{suffix}", times=(0,), codec=codec, colours=colours, quadrants=True)
        paint(clip, tmp_path / "out.mp4", painter=lambda image: seen.append(image) or image)
    for image in seen:
        assert image[0, :, 10, 10].tolist() == pytest.approx([200 / 255, 30 / 255, 30 / 255], abs=0.03)


def test_odd_sides_grow_by_one(tmp_path: Path) -> None:
    with av.open(tmp_path / "clip.webm", "w") as container:
        stream = container.add_stream("libvpx-vp9", rate=25)
        stream.width, stream.height, stream.pix_fmt = 61, 45, "yuv420p"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(np.full((45, 61, 3), 90, np.uint8))))
        container.mux(stream.encode(None))
    shapes = []
    paint(tmp_path / "clip.webm", tmp_path / "out.mp4", painter=lambda image: shapes.append(image.shape) or image)
    assert shapes == [(1, 3, 45, 61)]
    assert pictures_of(tmp_path / "out.mp4").shape == (1, 3, 46, 62)


def test_a_size_shrinks_and_a_quality_counts(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4")
    assert paint(clip, tmp_path / "small.mp4", size=32) == (32, 24)
    assert paint(clip, tmp_path / "as_is.mp4", size=100) == (64, 48)
    assert pictures_of(tmp_path / "small.mp4").shape == (6, 3, 24, 32)
    noise = torch.rand(1, 3, 48, 64, generator=torch.Generator().manual_seed(0))
    for quality in (10, 90):
        paint(clip, tmp_path / f"{quality}.mkv", painter=lambda image: noise, quality=quality)
    assert os.path.getsize(tmp_path / "10.mkv") < os.path.getsize(tmp_path / "90.mkv") / 3


def test_sound_alone_is_no_video(tmp_path: Path) -> None:
    with av.open(tmp_path / "song.mp4", "w") as container:
        stream = container.add_stream("aac", rate=48000, layout="mono")
        chunk = av.AudioFrame.from_ndarray(np.zeros((1, 4800), np.float32), "fltp", "mono")
        chunk.sample_rate = 48000
        container.mux(stream.encode(chunk))
        container.mux(stream.encode(None))
    with pytest.raises(UserError, match="there is no video in it"):
        VideoReader(tmp_path / "song.mp4")


def test_times_begin_at_zero(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.ts", times=(1400, 1440, 1500))
    assert times_of(clip) == [1.4, 1.44, 1.5]
    paint(clip, tmp_path / "out.mkv")
    assert times_of(tmp_path / "out.mkv") == [0.0, 0.04, 0.1]


def test_items_are_made_in_another_thread_a_few_ahead() -> None:
    made: list[int] = []

    def make():
        for number in range(100):
            made.append(number)
            yield number, threading.current_thread()

    items = ahead(make(), 3)
    number, thread = next(items)
    assert number == 0 and thread is not threading.current_thread()
    time.sleep(0.05)
    assert len(made) == 4
    items.close()
    assert len(made) == 4
    assert [number for number, _ in ahead(make(), 3)] == list(range(100))

    def fail():
        yield 1
        raise ValueError("broken")

    items = ahead(fail())
    assert next(items) == 1
    with pytest.raises(ValueError, match="broken"):
        next(items)
