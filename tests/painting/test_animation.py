import io
from pathlib import Path

import numpy as np
import pytest
import torch
from icc_profiles import ADOBE_RGB, gamma, matrix_profile
from PIL import ExifTags, Image, ImageSequence
from torch import Tensor

from fastnst.images.levels import to_array
from fastnst.images.read import load_image, read_picture
from fastnst.images.srgb import srgb_profile
from fastnst.painting.animation import paint_animation, read_animation

DURATIONS = [100, 50, 200, 30]
LOOPS = {"GIF": 3, "WEBP": 4, "PNG": 4}  # GIF counts how often it starts again


def made_frames(*, transparent: bool) -> list[Image.Image]:
    """A bar that moves to the right, and below it a hole that grows."""
    frames = []
    for index in range(4):
        pixels = np.full((24, 32, 4), (40 * index, 0, 90, 255), np.uint8)
        pixels[:, 6 * index : 6 * index + 8, 1] = 200
        if transparent:
            pixels[14:, : 10 + 3 * index, 3] = 0
        frames.append(Image.fromarray(pixels if transparent else pixels[..., :3].copy()))
    return frames


def made_file(format: str, *, transparent: bool = False, **options: object) -> io.BytesIO:
    frames = made_frames(transparent=transparent)
    options = {"duration": DURATIONS, "loop": LOOPS.get(format, 0), **options}
    if format == "GIF" and transparent:
        options["disposal"] = 2
    if format == "WEBP":
        options["lossless"] = True
    frames[0].save(file := io.BytesIO(), format, save_all=True, append_images=frames[1:], **options)
    file.seek(0)
    return file


def negative(image: Tensor) -> Tensor:
    return torch.cat((255 - image[:, :3], image[:, 3:]), dim=1)


def painted(source: io.BytesIO, format: str, **options: object) -> io.BytesIO:
    source.seek(0)
    paint_animation(source, target := io.BytesIO(), negative, format=format, **options)
    target.seek(0)
    return target


def shown(file: io.BytesIO) -> list[np.ndarray]:
    """What a viewer shows: RGBA of each frame."""
    with Image.open(file) as image:
        return [np.array(frame.convert("RGBA")).astype(int) for frame in ImageSequence.Iterator(image)]


@pytest.mark.parametrize("transparent", [False, True])
@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG", "AVIF"])
def test_frames_times_plays_and_transparency_are_kept(format: str, transparent: bool) -> None:
    source = made_file(format, transparent=transparent, **({"quality": 100} if format == "AVIF" else {}))
    before, result = read_animation(source), painted(source, format, quality=100)
    after = read_animation(io.BytesIO(result.getvalue()))
    assert before.durations == after.durations == DURATIONS
    assert before.plays == after.plays == (0 if format == "AVIF" else 4)  # AVIF always starts again
    tolerance = {"GIF": 0, "PNG": 0, "WEBP": 12, "AVIF": 6}[format]  # lossy, with colour at half the resolution
    for frame, negative_frame in zip(made_frames(transparent=transparent), shown(result), strict=True):
        expected = np.array(frame.convert("RGBA")).astype(int)
        seen = expected[..., 3] > 0
        assert np.array_equal(negative_frame[..., 3], expected[..., 3])
        assert np.abs(255 - expected[..., :3] - negative_frame[..., :3])[seen].mean() <= tolerance


@pytest.mark.parametrize(("format", "result"), [("WEBP", "GIF"), ("GIF", "PNG"), ("PNG", "WEBP"), ("GIF", "AVIF")])
def test_another_format_tells_the_same(format: str, result: str) -> None:
    after = read_animation(painted(made_file(format, transparent=True), result))
    assert after.durations == DURATIONS
    assert after.plays == (0 if result == "AVIF" else 4)
    assert {frame.mode for frame in after.frames} == {"RGBA"}


def test_a_gif_that_plays_once_and_one_that_never_ends_stay_so() -> None:
    with Image.open(painted(made_file("GIF", loop=None), "GIF")) as once:
        assert "loop" not in once.info
    with Image.open(painted(made_file("GIF", loop=0), "GIF")) as for_ever:
        assert for_ever.info["loop"] == 0
    with Image.open(painted(made_file("GIF", loop=None), "WEBP")) as once:
        assert once.info["loop"] == 1


def test_times_that_gif_cannot_hold_do_not_drift() -> None:
    frames = made_frames(transparent=False) * 3
    frames[0].save(file := io.BytesIO(), "PNG", save_all=True, append_images=frames[1:], duration=1000 / 30)
    durations = read_animation(painted(file, "GIF")).durations
    assert set(durations) == {30, 40} and sum(durations) == 400
    assert read_animation(painted(file, "PNG")).durations == pytest.approx([33, 34, 33] * 4, abs=1)


def test_frames_that_only_say_what_changes_are_painted_whole() -> None:
    """GIF files hold a rectangle a frame; what it leaves alone stays from the frame before."""
    ground = Image.new("RGB", (20, 20), "red")
    changed = ground.copy()
    changed.paste("blue", (5, 5, 9, 9))
    ground.save(file := io.BytesIO(), "GIF", save_all=True, append_images=[changed])
    for frame in shown(painted(file, "PNG")):
        assert frame[0, 0].tolist() == [0, 255, 255, 255]
    assert frame[6, 6].tolist() == [255, 255, 0, 255]


def test_a_hole_that_opens_later_is_kept() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (24, 32, 4), dtype=np.uint8)  # as many colours as a palette has
    whole, hole = pixels.copy(), pixels.copy()
    whole[..., 3] = hole[..., 3] = 255
    hole[14:, :13, 3] = 0
    frames = [Image.fromarray(frame) for frame in (whole, hole)]
    frames[0].save(file := io.BytesIO(), "PNG", save_all=True, append_images=frames[1:])
    for format in ("GIF", "PNG", "WEBP"):
        first, second = shown(painted(file, format))
        assert (first[..., 3] == 255).all()
        assert np.array_equal(second[..., 3], hole[..., 3])


def test_a_picture_for_viewers_without_animation_is_no_frame() -> None:
    frames = made_frames(transparent=False)
    rest = {"append_images": frames, "default_image": True, "duration": DURATIONS}
    Image.new("RGB", frames[0].size, "white").save(file := io.BytesIO(), "PNG", save_all=True, **rest)
    file.seek(0)
    animation = read_animation(file)
    assert len(animation.frames) == 4 and animation.durations == DURATIONS
    assert animation.frames[0].getpixel((31, 0)) == (0, 0, 90)


def test_each_frame_goes_through_the_profile() -> None:
    profile = matrix_profile(ADOBE_RGB, gamma(1.0))
    frames = read_animation(made_file("PNG", icc_profile=profile)).frames
    for frame, found in zip(made_frames(transparent=False), frames, strict=True):
        frame.save(still := io.BytesIO(), "PNG", icc_profile=profile)
        still.seek(0)
        assert np.array_equal(to_array(load_image(still))[0], np.array(found))
        assert not np.array_equal(np.array(frame), np.array(found))


@pytest.mark.parametrize("format", ["WEBP", "PNG", "AVIF"])
def test_camera_and_profile_stand_in_the_file(format: str) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "Camera"
    like = read_picture(made_file("PNG", exif=exif))
    data = painted(made_file("PNG"), format, like=like).getvalue()
    with Image.open(io.BytesIO(data)) as saved:
        assert saved.getexif()[ExifTags.Base.Make] == "Camera"
    with Image.open(io.BytesIO(data)) as saved:
        assert saved.info["icc_profile"] == srgb_profile()
    assert format != "WEBP" or b"Exif\0\0" not in data  # belongs to JPEG


def test_large_frames_are_shrunk_and_the_file_appears_with_its_folder(tmp_path: Path) -> None:
    width, height = paint_animation(made_file("PNG"), tmp_path / "new" / "out.webp", negative, format="WEBP", size=16)
    assert (width, height) == (16, 12)
    with Image.open(tmp_path / "new" / "out.webp") as saved:
        assert (saved.size, saved.n_frames) == ((16, 12), 4)  # type: ignore[attr-defined]
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["out.webp"]
