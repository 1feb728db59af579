"""The way of an image is kept: in a folder as it was, in a video that plays however the way ended."""

import os
import runpy
import sys
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from fastnst.base.errors import UserError
from fastnst.images.levels import to_tensor
from fastnst.images.read import load_image
from fastnst.video import frames
from fastnst.video.frames import Frames

RED, GREEN, GREY = (0.8, 0.2, 0.1), (0.1, 0.7, 0.3), (0.5, 0.5, 0.5)
SUFFIXES = (".mp4", ".mkv", ".mov", ".webm")


def plain(colour: tuple[float, float, float], height: int = 48, width: int = 64) -> Tensor:
    return torch.tensor(colour)[None, :, None, None].expand(1, 3, height, width)


def decoded(path: Path) -> Tensor:
    """All pictures of a video, `(B, 3, H, W)`, with the colours that its tags ask for."""
    with av.open(path) as container:
        pictures = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    return to_tensor(np.stack(pictures).astype(np.uint8))


def colours(video: Tensor) -> list[tuple[float, ...]]:
    return [tuple(round(float(value), 2) for value in image.mean(dim=(1, 2))) for image in video]


def test_a_folder_keeps_each_picture_as_it_is(tmp_path: Path, photo: Tensor) -> None:
    images = [photo, photo[..., :31, :45], 1 - photo]
    with Frames(tmp_path / "new" / "way", size=(20, 20)) as way:
        for image in images:
            way.add(image)
    assert sorted(os.listdir(tmp_path / "new" / "way")) == ["0001.png", "0002.png", "0003.png"]
    for index, image in enumerate(images):
        assert_close(load_image(tmp_path / "new" / "way" / f"{index + 1:04}.png"), image, atol=0.5 / 255, rtol=0)


@pytest.mark.parametrize("suffix", [*SUFFIXES, ".MP4"])
def test_a_video_holds_every_picture_in_order_and_in_its_colour(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / "new" / f"way{suffix}"
    with Frames(path, fps=10) as way:
        for colour in (RED, GREEN, GREY, RED):
            way.add(plain(colour))
    assert os.listdir(path.parent) == [path.name]
    video = decoded(path)
    assert video.shape == (4, 3, 48, 64)
    for found, expected in zip(colours(video), (RED, GREEN, GREY, RED), strict=True):
        assert found == pytest.approx(expected, abs=0.03)
    with av.open(path) as container:
        stream = container.streams.video[0]
        assert stream.average_rate == 10
        assert [round(float(frame.time), 2) for frame in container.decode(stream)] == [0, 0.1, 0.2, 0.3]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_video_says_which_colours_it_holds(tmp_path: Path, suffix: str) -> None:
    with Frames(tmp_path / f"way{suffix}") as way:
        way.add(plain(RED))
    with av.open(tmp_path / f"way{suffix}") as container:
        frame = next(container.decode(video=0))
    assert (frame.colorspace, frame.color_primaries, frame.color_trc, frame.color_range) == (1, 1, 1, 1)  # BT.709


def test_a_photo_looks_the_same_in_a_video(tmp_path: Path, photo: Tensor) -> None:
    with Frames(tmp_path / "way.mp4") as way:
        way.add(photo)
    difference = (decoded(tmp_path / "way.mp4") - photo).abs()
    assert difference.mean() < 0.03  # colour is kept at half the size


def test_pictures_of_any_size_become_the_size_of_the_video(tmp_path: Path, photo: Tensor) -> None:
    with Frames(tmp_path / "way.mp4", size=(80, 60)) as way:
        for image in (plain(RED, 15, 20), photo[..., :72, :], plain(GREEN, 120, 160)):
            way.add(image)
    video = decoded(tmp_path / "way.mp4")
    assert video.shape == (3, 3, 60, 80)
    assert colours(video)[0] == pytest.approx(RED, abs=0.03)
    assert colours(video)[2] == pytest.approx(GREEN, abs=0.03)
    expected = torch.nn.functional.interpolate(photo[..., :72, :], (60, 80), mode="area")
    assert (video[1:2] - expected).abs().mean() < 0.05


def test_without_a_size_the_first_picture_gives_it(tmp_path: Path) -> None:
    with Frames(tmp_path / "way.mkv") as way:
        way.add(plain(RED, 30, 40))
        way.add(plain(RED, 60, 80))
    assert decoded(tmp_path / "way.mkv").shape == (2, 3, 30, 40)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_odd_side_grows_by_a_copy_of_its_last_pixels(tmp_path: Path, suffix: str) -> None:
    image = torch.linspace(0, 1, 45).expand(1, 3, 31, 45)
    with Frames(tmp_path / f"way{suffix}", size=(45, 31)) as way:
        way.add(image)
    video = decoded(tmp_path / f"way{suffix}")
    assert video.shape == (1, 3, 32, 46)
    assert_close(video[..., :31, :45], image, atol=0.03, rtol=0)
    assert video[..., 45].mean() > 0.95
    assert_close(video[..., 31, :], video[..., 30, :], atol=0.03, rtol=0)


def test_the_simpler_codec_serves_where_the_better_is_missing(tmp_path: Path, monkeypatch, photo: Tensor) -> None:
    monkeypatch.setattr(av, "codecs_available", {"mpeg4"})
    with Frames(tmp_path / "way.mkv") as way:
        way.add(photo)
    with av.open(tmp_path / "way.mkv") as container:
        assert container.streams.video[0].codec_context.name == "mpeg4"
        frame = next(container.decode(video=0))
    assert (frame.colorspace, frame.color_range) == (1, 1)
    assert (decoded(tmp_path / "way.mkv") - photo).abs().mean() < 0.03


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_video_cut_short_still_plays(tmp_path: Path, suffix: str, error: type[BaseException]) -> None:
    path = tmp_path / f"way{suffix}"

    def run() -> None:
        with Frames(path) as way:
            for _ in range(7):
                way.add(plain(GREEN))
            assert not path.exists()  # never half a video under its name
            raise error

    with pytest.raises(error):
        run()
    assert os.listdir(tmp_path) == [path.name]
    assert colours(decoded(path)) == [pytest.approx(GREEN, abs=0.03)] * 7


@pytest.mark.parametrize("name", ["way", "new/way.mp4"])
def test_without_a_picture_nothing_is_left(tmp_path: Path, name: str) -> None:
    with Frames(tmp_path / name):
        pass
    assert not os.listdir(tmp_path)


def test_a_failure_at_the_end_keeps_the_old_video_and_leaves_nothing(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "way.mp4"
    path.write_bytes(b"old")

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("fastnst.base.files.os.replace", fail)
    with pytest.raises(OSError, match="disk full"), Frames(path, force=True) as way:
        way.add(plain(RED))
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["way.mp4"]


def test_an_existing_video_is_replaced_only_by_force(tmp_path: Path) -> None:
    path = tmp_path / "way.mp4"
    path.write_bytes(b"old")
    with pytest.raises(UserError, match=r"way\.mp4 exists: --force replaces it"):
        Frames(path)
    with Frames(path, force=True):
        pass
    assert path.read_bytes() == b"old"
    with Frames(path, force=True) as way:
        way.add(plain(RED))
    assert len(decoded(path)) == 1


def test_a_folder_with_files_is_written_into_only_by_force_and_keeps_them(tmp_path: Path, photo: Tensor) -> None:
    Frames(tmp_path)  # empty
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "0001.png").write_text("old")
    with pytest.raises(UserError, match="is not empty: --force writes into it"):
        Frames(tmp_path)
    with Frames(tmp_path, force=True) as way:
        way.add(photo)
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert load_image(tmp_path / "0001.png").shape == photo.shape


def make_folder(path: Path) -> None:
    path.mkdir()


def make_file(path: Path) -> None:
    path.touch()


@pytest.mark.parametrize(
    ("name", "make", "said"),
    [
        ("way.mp4", make_folder, "expected a video, found a folder"),
        ("way", make_file, "expected a folder, found a file"),
        ("way.gif", None, r"ending in \.mp4, \.mkv, \.mov, \.webm, got '\.gif'"),
    ],
)
def test_a_target_that_cannot_be_written_is_refused_at_once(
    tmp_path: Path, name: str, make: Callable[[Path], None] | None, said: str
) -> None:
    if make:
        make(tmp_path / name)
    with pytest.raises(UserError, match=said) as caught:
        Frames(tmp_path / name, force=True)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["way", "way.mp4"])
def test_wrong_numbers_and_shapes_are_told(tmp_path: Path, name: str, photo: Tensor) -> None:
    with pytest.raises(UserError, match="fps must be at least 1, got 0"):
        Frames(tmp_path / name, fps=0)
    for wrong in (photo[0], torch.cat((photo, photo)), photo[:, :1]):
        with pytest.raises(ValueError, match=r"expected one image \(1, 3, H, W\), got"), Frames(tmp_path / name) as way:
            way.add(wrong)
    assert not os.listdir(tmp_path)


def test_a_picture_is_not_changed_and_may_need_gradients_and_be_half_as_exact(tmp_path: Path, photo: Tensor) -> None:
    image = photo.clone().to(torch.bfloat16).requires_grad_()
    with Frames(tmp_path / "way.mp4", size=(31, 31)) as way:
        way.add(image)
    assert decoded(tmp_path / "way.mp4").shape == (1, 3, 32, 32)
    assert torch.equal(image.detach(), photo.to(torch.bfloat16))


def test_only_a_video_needs_pyav(tmp_path: Path, monkeypatch, photo: Tensor) -> None:
    for name in [name for name in sys.modules if name == "av" or name.startswith("av.")]:
        monkeypatch.setitem(sys.modules, name, None)  # as if it were not installed
    module = runpy.run_path(str(frames.__file__))
    with module["Frames"](tmp_path / "way") as way:
        way.add(photo)
    assert os.listdir(tmp_path / "way") == ["0001.png"]
    with pytest.raises(UserError, match=r"pip install 'fastnst\[video\]'"):
        module["Frames"](tmp_path / "way.mp4")
