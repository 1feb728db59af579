"""A painted video keeps what the video had beside its pictures, and is never lost half-way."""

import json
import logging
import os
import signal
import threading
import time
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from fastnst.base.errors import Interrupted, UserError
from fastnst.base.progress import progress_bar
from fastnst.images.levels import to_tensor
from fastnst.images.masks import Mask
from fastnst.images.photos import resolve_photo
from fastnst.networks.network import TransformationNetwork
from fastnst.networks.style_file import save_style
from fastnst.painting.apply import apply
from fastnst.painting.settings import ApplySettings
from fastnst.video.paint import ahead, paint_video
from fastnst.video.reader import VideoReader
from fastnst.video.writer import VideoWriter

MS = Fraction(1, 1000)
UNEVEN = (0, 40, 100, 130, 300, 310, 500)  # milliseconds


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


def times_of(path: Path) -> list[float]:
    with av.open(path) as container:
        return [round(float(frame.time), 3) for frame in container.decode(video=0)]


def pictures_of(path: Path) -> Tensor:
    with av.open(path) as container:
        arrays = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    return to_tensor(np.stack(arrays).astype(np.uint8))


def sound_of(path: Path) -> list[tuple[bytes, int]]:
    """The packets of the sound: their bytes, and when they come, in milliseconds."""
    with av.open(path) as container:
        packets = [packet for packet in container.demux(audio=0) if packet.size]
        return [(bytes(packet), round(float(packet.pts * packet.time_base) * 1000)) for packet in packets]


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture):
    """What was warned of."""
    monkeypatch.setattr(logging.getLogger("fastnst"), "propagate", True)
    monkeypatch.setattr(logging.getLogger("fastnst"), "handlers", [])
    return lambda: [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


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


def make_moving_clip(path: Path) -> Path:
    """A bright texture that fades while it moves: what is blended with the picture before is seen."""
    texture = np.random.default_rng(0).integers(0, 2, (6, 12)).repeat(8, 0).repeat(8, 1) * 200
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "1"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(6):
            grey = (texture[:, number : number + 64] * (1 - number / 8)).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(grey[..., None].repeat(3, 2))))
        container.mux(stream.encode(None))
    return path


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


@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
def test_ctrl_c_leaves_a_video_that_plays(tmp_path: Path, suffix: str) -> None:
    clip = make_clip(tmp_path / "clip.mkv", times=range(0, 4000, 40), sound="aac")
    before = signal.getsignal(signal.SIGINT)
    for name in (f"out.partial{suffix}", f"out.partial1{suffix}"):
        with pytest.raises(Interrupted, match=name.replace(".", r"\.")):
            paint(clip, tmp_path / f"out{suffix}", painter=interrupting(after=30))
        assert 20 < len(times_of(tmp_path / name)) < 50
    assert signal.getsignal(signal.SIGINT) is before
    assert sorted(os.listdir(tmp_path)) == ["clip.mkv", f"out.partial{suffix}", f"out.partial1{suffix}"]


def test_an_error_half_way_keeps_what_was_painted(tmp_path: Path, told) -> None:
    clip = make_clip(tmp_path / "clip.mkv", times=range(0, 800, 40))

    def fail() -> None:
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        paint(clip, tmp_path / "out.mp4", painter=interrupting(after=12, action=fail))
    assert len(times_of(tmp_path / "out.partial.mp4")) == 11
    assert "the first 11 pictures are in" in told()[0]
    with pytest.raises(RuntimeError, match="a bug"):
        paint(clip, tmp_path / "none.mp4", painter=interrupting(after=1, action=fail))
    assert sorted(os.listdir(tmp_path)) == ["clip.mkv", "out.partial.mp4"]


def test_a_full_disk_leaves_nothing_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("fastnst.base.files.os.replace", full)
    with pytest.raises(OSError, match="No space left"):
        paint(make_clip(tmp_path / "clip.mkv"), tmp_path / "out.mp4")
    assert os.listdir(tmp_path) == ["clip.mkv"]


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])


def test_a_damaged_video_is_painted_as_far_as_it_goes(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mkv", times=range(0, 4000, 40), quadrants=True)
    cut_short(clip)
    paint(clip, tmp_path / "out.mp4")
    assert 30 < len(times_of(tmp_path / "out.mp4")) < 100


def test_damaged_pictures_are_left_out_and_counted(tmp_path: Path, told) -> None:
    clip = make_clip(tmp_path / "clip.webm", codec="libvpx-vp9")
    with av.open(clip) as container:
        data = [bytes(packet) for packet in container.demux(video=0)][3]
    clip.write_bytes(clip.read_bytes().replace(data, bytes(len(data))))
    paint(clip, tmp_path / "out.mp4")
    assert len(times_of(tmp_path / "out.mp4")) == 5
    assert told() == [f"{clip}: 1 damaged packets were left out"]


@pytest.mark.parametrize("content", [b"no video at all", b""], ids=["text", "empty"])
def test_a_file_that_is_no_video_is_told_in_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "clip.mp4").write_bytes(content)
    with pytest.raises(UserError, match=r"clip\.mp4: Invalid data") as caught:
        paint(tmp_path / "clip.mp4", tmp_path / "out.mp4")
    assert "\n" not in str(caught.value)
    assert os.listdir(tmp_path) == ["clip.mp4"]


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


@pytest.fixture
def style(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The current folder is empty but for the style `wave` in ./checkpoints."""
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    network = {"half": 4, "quarter": 8, "num_blocks": 1, "num_styles": 1}
    info = {"name": "wave", "styles": [{"name": "wave"}], "network": network}
    save_style(Path("checkpoints/wave.safetensors"), TransformationNetwork(**network), info)


def run(*names: str, **settings: object) -> int:
    return apply(names, ApplySettings(**{"style": "wave", "quiet": True, "device": "cpu", **settings}))


def test_apply_paints_videos_among_photos_and_goes_on_after_broken_ones(style, capsys) -> None:
    os.makedirs("in/deep")
    make_clip(Path("in/deep/clip.mov"))
    make_clip(Path("in/old.avi"), codec="mpeg4")
    Path("in/broken.mp4").write_bytes(b"nothing")
    Path("in/photo.png").write_bytes(Path(resolve_photo("sample:coins")).read_bytes())
    assert run("in", output=Path("out"), size=40, json=True) == 1
    painted = sorted(path.relative_to("out").as_posix() for path in Path("out").rglob("*.*"))
    assert painted == ["deep/clip.mov", "old.mp4", "photo.png"]
    lines = {line["photo"]: line for line in map(json.loads, capsys.readouterr().out.splitlines())}
    assert lines["in/deep/clip.mov"]["width"] == 40
    assert "in/broken.mp4" in lines["in/broken.mp4"]["error"]


def test_strength_and_steadiness_count(style) -> None:
    clip = make_clip(Path("clip.mp4"), quadrants=True)
    run("clip.mp4", output=Path("photo.mp4"), strength=0.0)
    assert (pictures_of(Path("photo.mp4")) - pictures_of(clip)).abs().mean() < 0.01
    run("clip.mp4")
    run("clip.mp4", output=Path("steady.mp4"), steady=True)
    plain, steady = pictures_of(Path("clip-wave.mp4")), pictures_of(Path("steady.mp4"))
    assert (plain - pictures_of(clip)).abs().mean() > 0.05
    assert (plain[0] - steady[0]).abs().mean() < 0.01 < (plain[1:] - steady[1:]).abs().mean()


@pytest.mark.usefixtures("style")
@pytest.mark.parametrize("settings", [{"mask": Path("mask.png"), "feather": 0}, {"strength": 0.0}])
def test_steady_leaves_the_photo_where_it_shall_stay(settings) -> None:
    moving = make_moving_clip(Path("moving.mkv"))
    Image.fromarray(np.tile(np.arange(64) < 32, (48, 1))).save("mask.png")
    run(moving.name, output=Path("out.mkv"), steady=True, quality=100, **settings)
    kept = (pictures_of(Path("out.mkv")) - pictures_of(moving)).abs()[..., 40:]
    assert kept.mean() < 0.01


@pytest.mark.usefixtures("style")
def test_a_mask_is_fitted_once_to_a_video(monkeypatch) -> None:
    make_clip(Path("clip.mp4"))
    Image.new("L", (64, 48), "white").save("mask.png")
    fitted, calls = Mask.fitted, []
    monkeypatch.setattr(Mask, "fitted", lambda *given: calls.append(given) or fitted(*given))
    run("clip.mp4", mask=Path("mask.png"))
    assert len(calls) == 1


@pytest.mark.usefixtures("style")
def test_a_format_for_a_video_is_told_to_be_for_photos(told) -> None:
    make_clip(Path("clip.mp4"))
    run("clip.mp4", format="png")
    assert told() == ["--format is for photos: videos have that of --output, or their own"]


def test_a_writer_that_cannot_begin_leaves_nothing_and_one_line(tmp_path: Path, monkeypatch) -> None:
    def fail(*_: object) -> None:
        raise av.error.InvalidDataError(1, "no such thing")

    clip = make_clip(tmp_path / "clip.mkv")
    monkeypatch.setattr(VideoWriter, "_keep", fail)
    with pytest.raises(UserError, match=r"out\.mkv: no such thing"):
        paint(clip, tmp_path / "out.mkv")
    assert os.listdir(tmp_path) == ["clip.mkv"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"output": Path("there.mp4")}, r"there\.mp4 exists: --force replaces it"),
        ({"output": Path("clip.mp4"), "force": True}, "is one of the photos"),
        ({"output": Path("out.png")}, r"expected a name ending in \.mp4, \.mkv, \.mov, \.webm, got '\.png'"),
        ({"output": Path("-")}, "takes one stylized image and nothing else, got a video"),
        ({"style": "none"}, "none"),
    ],
)
def test_what_cannot_be_done_is_told_before_the_work(style, settings, message) -> None:
    make_clip(Path("clip.mp4"), times=(0,))
    Path("there.mp4").write_bytes(b"mine")
    with pytest.raises(UserError, match=message):
        run("clip.mp4", **settings)
    assert sorted(os.listdir()) == ["checkpoints", "clip.mp4", "there.mp4"]
    assert Path("there.mp4").read_bytes() == b"mine"


def test_ctrl_c_ends_the_command_with_130(style, monkeypatch, capsys) -> None:
    from fastnst.cli import main

    make_clip(Path("clip.mp4"), times=range(0, 1200, 40))
    monkeypatch.setattr("fastnst.painting.apply.Stylizer.paint", lambda *_, **__: painter(_[1]))
    painter = interrupting(after=10)
    with pytest.raises(SystemExit) as stop:
        main(["apply", "clip.mp4", "--style", "wave", "-o", "out.mp4"])
    assert stop.value.code == 130
    assert "out.partial.mp4" in capsys.readouterr().err
    assert 5 < len(times_of(Path("out.partial.mp4"))) < 30
