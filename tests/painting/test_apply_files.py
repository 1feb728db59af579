"""`fastnst apply` on files of every kind: what goes in comes out, painted."""

import io
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tifffile
import torch
from icc_profiles import ADOBE_RGB, gamma, grey_profile, matrix_profile
from pictures import alpha_of, depth_of, picture_of
from PIL import Image, ImageSequence

from fastnst.images.read import read_picture
from fastnst.images.write import save_image
from fastnst.networks.network import TransformationNetwork
from fastnst.networks.style_file import save_style
from fastnst.painting.apply import apply
from fastnst.painting.settings import ApplySettings


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty current folder with the style `wave` in ./checkpoints."""
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    network = {"half": 4, "quarter": 8, "num_blocks": 1, "num_styles": 1}
    info = {"name": "wave", "styles": [{"name": "wave"}], "network": network}
    save_style(Path("checkpoints/wave.safetensors"), TransformationNetwork(**network), info)


def run(*photos: str, **settings: object) -> int:
    return apply(photos, ApplySettings(**{"style": "wave", "quiet": True, "device": "cpu", **settings}))


def make_deep_photo(path: str, *, height: int = 60, width: int = 80) -> torch.Tensor:
    """Smooth colours of 16 bit, with alpha: `(1, 4, H, W)`."""
    down, across = torch.meshgrid(torch.linspace(0.1, 0.9, height), torch.linspace(0, 1, width), indexing="ij")
    channels = torch.stack((down, across, 0.9 - down * across, across))[None]
    save_image(picture_of(channels, depth=16), Path(path))
    return channels


def make_gif(path: str, *, transparent: bool = False) -> None:
    frames = []
    for index in range(3):
        pixels = np.full((24, 32, 4), (80 * index, 90, 200, 255), np.uint8)
        pixels[16:, 8 * index : 8 * index + 12, 1] = 220
        pixels[:12, : 8 + 8 * index, 3] = 0 if transparent else 255
        frames.append(Image.fromarray(pixels))
    options = {"duration": [100, 50, 70], "loop": 0, "disposal": 2}
    frames[0].save(path, save_all=True, append_images=frames[1:], **options)


def make_mask(path: str, size: tuple[int, int] = (40, 30)) -> None:
    """White on the left half."""
    mask = Image.new("L", size)
    mask.paste(255, (0, 0, size[0] // 2, size[1]))
    mask.save(path)


def pixels_of(path: str) -> np.ndarray:
    with Image.open(path) as image:
        return np.array(image).astype(int)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_more_than_256_levels_go_through_the_network(suffix: str) -> None:
    channels = make_deep_photo(f"photo{suffix}")
    run(f"photo{suffix}", output=Path(f"same{suffix}"), strength=0.0)
    same = read_picture(Path(f"same{suffix}"))
    assert alpha_of(same) is not None
    assert float((torch.cat((same.pixels, alpha_of(same)), 1) - channels).abs().max()) < 0.51 / 65535
    run(f"photo{suffix}", output=Path(f"painted{suffix}"))
    painted = read_picture(Path(f"painted{suffix}"))
    assert depth_of(painted) == 16 and torch.equal(alpha_of(painted), alpha_of(same))
    assert len((painted.pixels[0, 0] * 65535).round().unique()) > 1000
    run(f"photo{suffix}", output=Path("painted.webp"))
    assert depth_of(read_picture(Path("painted.webp"))) == 8


@pytest.mark.parametrize("settings", [{}, {"strength": 0.4}, {"keep_colors": True}, {"mask": Path("mask.png")}])
def test_tiles_paint_the_same_file_with_all_that_it_has(settings) -> None:
    make_deep_photo("plain.png", height=90, width=120)
    make_mask("mask.png", (120, 90))
    with Image.open("plain.png") as image:
        image.load()
        image.save("eight.png", icc_profile=matrix_profile(ADOBE_RGB, gamma(2.2)))
    values = np.random.default_rng(0).integers(0, 65536, (90, 120, 4)).astype(np.uint16)
    profile = matrix_profile(ADOBE_RGB, gamma(2.2))
    extra = [("InterColorProfile", "B", len(profile), profile, True)]
    tifffile.imwrite("deep.tif", values, photometric="rgb", extrasamples=["unassalpha"], extratags=extra)
    for name, depth in {"eight.png": 8, "deep.tif": 16}.items():
        for tile in (0, 64):
            run(name, output=Path(f"{tile}-{name}"), tile=tile, **settings)
        whole, tiled = (read_picture(Path(f"{tile}-{name}")) for tile in (0, 64))
        assert depth_of(whole) == depth_of(tiled) == depth and torch.equal(alpha_of(whole), alpha_of(tiled))
        assert float((whole.pixels - tiled.pixels).abs().max()) < (1.1 / 255 if depth == 8 else 5 / 65535)


def test_another_library_sees_16_bit_in_the_painted_file() -> None:
    make_deep_photo("photo.tif")
    run("photo.tif", output=Path("out.tif"))
    values = tifffile.imread("out.tif")
    assert (values.dtype, values.shape) == (np.uint16, (60, 80, 4))


def test_kept_colours_are_those_of_16_bit_and_alpha_stays() -> None:
    channels = make_deep_photo("photo.png")
    run("photo.png", output=Path("out.png"), keep_colors=True)
    result = read_picture(Path("out.png"))
    assert alpha_of(result) is not None
    assert float((alpha_of(result) - channels[:, 3:]).abs().max()) < 0.51 / 65535
    inside = ((result.pixels > 0) & (result.pixels < 1)).all(1)  # clamped ones change their colour
    assert inside.float().mean() > 0.2
    shift = (result.pixels - channels[:, :3])[0, :, inside[0]]
    assert float((shift - shift[:1]).abs().max()) < 2.1 / 65535  # rounded four times; I and Q are the photo's
    assert float(shift.abs().max()) > 0.01


def test_an_animation_is_painted_and_stays_one(capsys: pytest.CaptureFixture[str]) -> None:
    make_gif("in.gif", transparent=True)
    assert run("in.gif", json=True) == 0
    assert json.loads(capsys.readouterr().out)["width"] == 32
    before, after = read_picture(Path("in.gif")), read_picture(Path("in-wave.gif"))
    assert after.frames == 3 and torch.equal(alpha_of(before), alpha_of(after))
    with Image.open("in-wave.gif") as image:
        assert (image.info["loop"], image.info["duration"]) == (0, 100)
    run("in.gif", output=Path("small.webp"), size=16)
    with Image.open("small.webp") as image:
        assert (image.size, image.n_frames) == ((16, 12), 3)  # type: ignore[attr-defined]


def test_a_still_format_takes_the_first_frame_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    make_gif("in.gif")
    pages = [Image.new("RGB", (32, 24), color) for color in ("red", "blue")]
    pages[0].save("pages.tif", save_all=True, append_images=pages[1:])
    for photo in ("in.gif", "pages.tif"):
        run(photo, output=Path(f"{photo}.jpg"), strength=0.0, quality=100)
    assert [record.getMessage() for record in caplog.records] == [
        "in.gif: only the first of 3 pictures is painted",
        "pages.tif: only the first of 2 pictures is painted",
    ]
    assert np.abs(pixels_of("in.gif.jpg")[4, 20] - (0, 90, 200)).max() < 4


def test_an_animation_goes_from_standard_input_to_standard_output(monkeypatch, capsysbinary) -> None:
    make_gif("in.gif")
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(Path("in.gif").read_bytes())))
    run("-", output=Path("-"), format="webp")
    with Image.open(io.BytesIO(capsysbinary.readouterr().out)) as image:
        assert (image.format, image.n_frames) == ("WEBP", 3)  # type: ignore[attr-defined]


def test_a_mask_leaves_the_rest_of_the_photo_as_it_was() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    Image.fromarray(noise).save("photo.png")
    make_mask("mask.png", (80, 60))
    run("photo.png", output=Path("whole.png"))
    run("photo.png", output=Path("hard.png"), mask=Path("mask.png"), feather=0)
    run("photo.png", output=Path("soft.png"), mask=Path("mask.png"), feather=8)
    photo, whole, hard, soft = (pixels_of(f"{name}.png") for name in ("photo", "whole", "hard", "soft"))
    assert np.array_equal(hard[:, :19], whole[:, :19]) and np.array_equal(hard[:, 21:], photo[:, 21:])
    assert not np.array_equal(whole[:, 21:], photo[:, 21:])
    edge = np.abs(soft - photo)[:, 16:24].mean() / np.abs(whole - photo)[:, 16:24].mean()
    assert edge == pytest.approx(0.5, abs=0.1)
    assert np.array_equal(soft[:, 38:], photo[:, 38:])


def test_a_mask_of_another_shape_fails_the_photos_that_it_does_not_fit(caplog: pytest.LogCaptureFixture) -> None:
    Path("in").mkdir()
    for name, size in {"fits": (40, 30), "larger": (80, 60), "tall": (30, 40)}.items():
        Image.new("RGB", size, "teal").save(f"in/{name}.png")
    make_gif("in/moves.gif")
    make_mask("mask.png")
    assert run("in", output=Path("out"), mask=Path("mask.png")) == 1
    (record,) = caplog.records
    assert record.getMessage().startswith("in/tall.png: mask mask.png is 40x30 and the photo 30x40: ")
    assert sorted(path.name for path in Path("out").iterdir()) == ["fits.png", "larger.png", "moves.gif"]
    before, after = read_picture(Path("in/moves.gif")), read_picture(Path("out/moves.gif"))
    assert float((before.pixels - after.pixels)[..., 20:].abs().max()) < 0.01
    assert float((before.pixels - after.pixels)[..., :10].abs().max()) > 0.1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"feather": 3.0}, "--feather is the soft edge of a --mask, and there is none"),
        ({"mask": Path("missing.png")}, "missing.png: no such file"),
        ({"mask": Path("black.png")}, "black everywhere"),
    ],
)
def test_a_mask_that_cannot_be_used_is_told_of_before_anything_is_written(settings, message) -> None:
    Image.new("RGB", (40, 30), "teal").save("photo.png")
    Image.new("L", (40, 30)).save("black.png")
    with pytest.raises(ValueError, match=message):
        run("photo.png", output=Path("out.png"), **settings)
    assert not Path("out.png").exists()


@pytest.mark.parametrize("transparent", [False, True])
def test_steady_is_for_animations_too(transparent: bool, caplog: pytest.LogCaptureFixture) -> None:
    make_gif("in.gif", transparent=transparent)
    run("in.gif", output=Path("plain.png"))
    run("in.gif", output=Path("steady.png"), steady=True)
    plain, steady = (frames_of(f"{name}.png") for name in ("plain", "steady"))
    assert np.array_equal(plain[0], steady[0]) and not np.array_equal(plain[1], steady[1])
    assert all(np.array_equal(a[..., 3], b[..., 3]) for a, b in zip(plain, steady, strict=True))
    assert caplog.records == []


def test_steady_with_photos_is_told_once_to_be_for_videos(caplog: pytest.LogCaptureFixture) -> None:
    for name in ("a.png", "b.png"):
        Image.new("RGB", (40, 30), "teal").save(name)
    run("a.png", "b.png", output=Path("out"), steady=True)
    (record,) = caplog.records
    assert record.getMessage() == "--steady is for videos and animations: photos are painted without"


def frames_of(path: str) -> list[np.ndarray]:
    with Image.open(path) as image:
        return [np.array(frame.convert("RGBA")) for frame in ImageSequence.Iterator(image)]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"style": "wave.onnx", "tile": 64}, "wave.onnx: exported files paint pictures as a whole"),
        ({"runtime": "openvino", "tile": 64}, "--tile paints with torch: leave out --runtime openvino"),
    ],
)
def test_tiles_that_cannot_be_had_are_told_of_before_any_work(settings, message) -> None:
    Image.new("RGB", (40, 30), "teal").save("photo.png")
    Path("wave.onnx").write_bytes(b"an exported file")
    with pytest.raises(ValueError, match=message):
        run("photo.png", **settings)


def test_a_photo_keeps_its_profile_if_it_is_one_for_rgb_and_else_a_line_says_so(caplog) -> None:
    wide = matrix_profile(ADOBE_RGB, gamma(2.2))
    Image.new("RGB", (40, 30), (120, 150, 110)).save("wide.png", icc_profile=wide)
    Image.new("L", (40, 30), 90).save("grey.png", icc_profile=grey_profile(gamma(1.8)))
    assert run("wide.png", "grey.png", profile="keep", output=Path("out"), strength=0.0) == 0
    with Image.open("out/wide.png") as image:
        assert image.info["icc_profile"] == wide
        assert np.abs(np.array(image, int)[..., :3] - (120, 150, 110)).max() <= 1
    with Image.open("out/grey.png") as image:
        assert image.info["icc_profile"] != wide and image.mode == "RGB"
    assert caplog.messages == ["grey.png: its profile is not one for RGB pixels: the result is sRGB"]
