"""`fastnst apply` on videos, among photos, and what it refuses before the work."""

import json
import os
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from clips import interrupting, make_clip, pictures_of, times_of
from PIL import Image

from fastnst.base.errors import UserError
from fastnst.images.masks import Mask
from fastnst.images.photos import resolve_photo
from fastnst.networks.network import TransformationNetwork
from fastnst.networks.style_file import save_style
from fastnst.painting.apply import apply
from fastnst.painting.settings import ApplySettings


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
    monkeypatch.setattr("fastnst.painting.stylizer.Stylizer.paint", lambda *_, **__: painter(_[1]))
    painter = interrupting(after=10)
    with pytest.raises(SystemExit) as stop:
        main(["apply", "clip.mp4", "--style", "wave", "-o", "out.mp4"])
    assert stop.value.code == 130
    assert "out.partial.mp4" in capsys.readouterr().err
    assert 5 < len(times_of(Path("out.partial.mp4"))) < 30
