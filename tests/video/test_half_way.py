"""A video is never lost half-way: interrupted, damaged, on a full disk, or no video at all."""

import os
import signal
from pathlib import Path

import av
import pytest
from clips import interrupting, make_clip, paint, times_of

from fastnst.base.errors import Interrupted, UserError
from fastnst.video.writer import VideoWriter


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
    with pytest.raises(OSError, match=r"out\.mp4 cannot be written: no space is left: make room"):
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


def test_damaged_sound_that_is_coded_anew_is_left_out_and_counted(tmp_path: Path, told) -> None:
    clip = make_clip(tmp_path / "clip.mkv", sound="aac")
    with av.open(clip) as container:
        data = [bytes(packet) for packet in container.demux(audio=0)][5]
    clip.write_bytes(clip.read_bytes().replace(data, b"\xff" * len(data)))
    paint(clip, tmp_path / "out.webm")
    assert len(times_of(tmp_path / "out.webm")) == 6
    assert told() == [f"{clip}: 1 damaged packets were left out"]


def test_sound_whose_times_jump_back_is_left_out_and_counted(tmp_path: Path, told) -> None:
    clip, joined = make_clip(tmp_path / "clip.mkv", sound="aac"), tmp_path / "joined.mkv"
    data = clip.read_bytes()
    first = data.index(b"\x1f\x43\xb6\x75")  # of Matroska: here pictures and sound begin
    joined.write_bytes(data[: data.rindex(b"\x1c\x53\xbb\x6b")] + data[first:])  # behind them is their table
    paint(joined, tmp_path / "out.mkv")
    assert len(times_of(tmp_path / "out.mkv")) > 6
    (line,) = told()
    assert line.startswith(f"{joined}: ") and line.endswith(" damaged packets were left out")


@pytest.mark.parametrize("content", [b"no video at all", b""], ids=["text", "empty"])
def test_a_file_that_is_no_video_is_told_in_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "clip.mp4").write_bytes(content)
    with pytest.raises(UserError, match=r"clip\.mp4: Invalid data") as caught:
        paint(tmp_path / "clip.mp4", tmp_path / "out.mp4")
    assert "\n" not in str(caught.value)
    assert os.listdir(tmp_path) == ["clip.mp4"]


def test_a_writer_that_cannot_begin_leaves_nothing_and_one_line(tmp_path: Path, monkeypatch) -> None:
    def fail(*_: object) -> None:
        raise av.error.InvalidDataError(1, "no such thing")

    clip = make_clip(tmp_path / "clip.mkv")
    monkeypatch.setattr(VideoWriter, "_keep", fail)
    with pytest.raises(UserError, match=r"out\.mkv: no such thing"):
        paint(clip, tmp_path / "out.mkv")
    assert os.listdir(tmp_path) == ["clip.mkv"]
