"""What `fastnst optimize` paints: its file, its styles, regions and colours, and the way from coarse to fine."""

import json
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from pictures import light, make_image
from PIL import ExifTags, Image

import fastnst.baseline.optimize
from fastnst.baseline.checks import output_of
from fastnst.baseline.minimize import Iterate, minimize
from fastnst.baseline.problem import loss_network_of, objective_of, read_inputs, resized
from fastnst.baseline.settings import OptimizeSettings
from fastnst.images.read import load_image, read_picture

pytestmark = pytest.mark.usefixtures("photo_and_styles")

CPU = torch.device("cpu")


# --- The result ---


def test_the_result_stands_beside_its_photo_and_is_better_than_the_start(run, settings) -> None:
    Path("photos").mkdir()
    make_image("photos/a.png")
    result = run("photos/a.png", iterations=8)
    assert result["output"] == "photos/a-dark-optimized.png"
    config = OptimizeSettings(**settings)
    inputs = read_inputs(read_picture(Path("photos/a.png"), size=512), config, CPU)
    objective = objective_of(loss_network_of(config, CPU), inputs, inputs.photo, config)
    found = load_image(Path(result["output"]))
    assert found.shape == inputs.photo.shape == (1, 3, 30, 40)
    start, end = objective(inputs.photo), objective(found)
    assert start.content.item() == 0
    assert result["losses"]["total"] < 0.7 * start.total.item()
    for name, value in end._asdict().items():
        assert result["losses"][name] == pytest.approx(value.item(), rel=0.02, abs=1e-3)  # of a file of 8 bits


def test_names_of_results() -> None:
    both = OptimizeSettings(style=(Path("art/dark.png"), Path("bright.jpg")))
    assert output_of("far/photo.jpeg", both) == Path("far/photo-dark+bright-optimized.png")
    assert output_of("sample:coffee", both) == Path("coffee-dark+bright-optimized.png")
    assert output_of("far/photo.jpeg", replace(both, output=Path("out.webp"))) == Path("out.webp")


def test_what_is_told_is_json_with_every_setting(run) -> None:
    result = run(output=Path("new/out.png"), seed=5)
    assert json.loads(json.dumps(result)) == result
    assert set(result) == {
        *("photo", "output", "width", "height", "sizes", "iterations", "evaluations"),
        *("losses", "seconds", "hardware", "versions", "settings"),
    }
    assert (result["photo"], result["output"]) == ("photo.png", "new/out.png")
    assert (result["width"], result["height"], result["sizes"]) == (40, 30, [40])
    assert result["iterations"] == 3 <= result["evaluations"]
    assert set(result["losses"]) == {"total", "content", "style", "variation"}
    assert set(result["settings"]) == {field.name for field in fields(OptimizeSettings)}
    assert result["settings"]["seed"] == 5 and result["settings"]["style"] == ["dark.png"]
    assert result["seconds"] >= 0 and result["hardware"] and result["versions"]["torch"]


def test_size_is_the_long_side(run) -> None:
    run(size=20, output=Path("out.png"))
    assert load_image(Path("out.png")).shape == (1, 3, 15, 20)


def test_alpha_and_camera_are_kept(run) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (30, 40, 4), dtype=np.uint8)
    exif = Image.Exif()
    exif[ExifTags.Base.Artist], exif[ExifTags.Base.Orientation] = "Ada", 1
    Image.fromarray(pixels).save("clear.png", exif=exif, dpi=(300, 300))
    run("clear.png", output=Path("out.png"))
    with Image.open("out.png") as image:
        assert np.array_equal(np.array(image)[..., 3], pixels[..., 3])
        assert image.getexif()[ExifTags.Base.Artist] == "Ada"
        assert image.info["dpi"] == pytest.approx((300, 300), abs=0.1)
        assert not np.array_equal(np.array(image)[..., :3], pixels[..., :3])


def test_what_cannot_be_seen_does_not_decide_what_is_seen(run) -> None:
    inputs = Path(__file__).parent.parent / "images" / "inputs"
    found = []
    for name in ("black", "magenta", "noise", "white"):
        run(str(inputs / f"cutout_{name}.png"), output=Path(f"{name}.png"), size=64)
        found.append(read_picture(Path(f"{name}.png")).levels)
    shown = found[0][0, 3] > 0
    assert shown.any() and not shown.all()
    for other in found[1:]:
        assert (found[0].int() - other.int())[
            :, :3, shown
        ].abs().max() <= 2  # scaled down with opacity, which is rounded


def test_a_turned_photo_is_painted_upright(run) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    make_image("turned.jpg", exif=exif)
    run("turned.jpg", output=Path("out.jpg"))
    with Image.open("out.jpg") as image:
        assert image.size == (30, 40) and image.getexif().get(ExifTags.Base.Orientation, 1) == 1


def test_the_same_seed_gives_the_same_file(run) -> None:
    for name, seed in {"a.png": 0, "b.png": 0, "c.png": 1}.items():
        run(output=Path(name), init="noise", seed=seed)
    first, second, third = (Path(name).read_bytes() for name in ("a.png", "b.png", "c.png"))
    assert first == second != third


@pytest.mark.parametrize(
    "given",
    [
        {"optimizer": "adam"},
        {"optimizer": "adam", "learning_rate": 0.2, "iterations": 12},
        {"normalization": "gatys", "style_weight": 1e3, "precondition": 0.0, "history": 5},
        {"normalization": "keras", "tv_form": "keras", "tv_weight": 1e-4, "clamp": "end"},
        {"normalization": "pytorch", "feature_scale": 57.6, "clamp": "step"},
        {"normalization": "johnson", "tv_form": "l1", "tv_weight": 1e-6, "rounds": 2, "evaluations": 2},
        {"unit_means": True, "pooling": "avg"},
        {"init": "bright.png", "content_layers": ()},
        {"style_layers": (), "style_weight": 0.0, "init": "normal", "noise": (0.5, 0.1)},
    ],
)
def test_every_way_to_paint_makes_the_loss_smaller(run, monkeypatch, given) -> None:
    monkeypatch.setattr("fastnst.baseline.problem.sample_photos", lambda: {"photo": Path("photo.png")})
    seen: list[float] = []

    def watched(*arguments) -> Iterator[Iterate]:
        for iterate in minimize(*arguments):
            seen.append(iterate.losses.total.item())
            yield iterate

    monkeypatch.setattr(fastnst.baseline.optimize, "minimize", watched)
    result = run(**{"iterations": 6, **given})
    assert result["losses"]["total"] == pytest.approx(min(seen))
    assert min(seen) < 0.95 * seen[0]
    assert load_image(Path(result["output"])).shape == (1, 3, 30, 40)


# --- Styles, regions, colours ---


def test_shares_pull_towards_their_styles(run) -> None:
    styles, found = (Path("dark.png"), Path("bright.png")), {}
    for name, shares in {"dark": (9.0, 1.0), "equal": (), "bright": (1.0, 9.0)}.items():
        run(style=styles, style_shares=shares, content_weight=0.0, iterations=12, output=Path(f"{name}er.png"))
        found[name] = light(load_image(Path(f"{name}er.png")))
    assert found["dark"] + 0.05 < found["equal"] < found["bright"] - 0.05


def test_masks_send_each_style_to_its_region(run) -> None:
    left = np.zeros((30, 40), np.uint8)
    left[:, :20] = 255
    Image.fromarray(left).save("left.png")
    styles = (Path("dark.png"), Path("bright.png"))
    run(style=styles, mask=(Path("left.png"),), content_weight=0.0, iterations=12, output=Path("out.png"))
    found = load_image(Path("out.png"))
    assert light(found[..., :18]) + 0.2 < light(found[..., 22:])


def test_kept_luminance_leaves_the_photos_chroma(run) -> None:
    make_image("muted.png", low=100, high=150)
    run("muted.png", keep_colors="luminance", init="noise", noise=(0.3, 0.7), output=Path("out.png"))
    photo, found = load_image(Path("muted.png")), load_image(Path("out.png"))
    chroma = torch.tensor([[0.595716, -0.274453, -0.321263], [0.211456, -0.522591, 0.311135]])  # I and Q of NTSC
    difference = torch.einsum("qc,bchw->bqhw", chroma, found - photo)
    inside = ((found > 0) & (found < 1)).all(1)
    assert inside.float().mean() > 0.9
    assert difference.abs().amax(1)[inside].max() < 1 / 255
    assert (found - photo).abs().mean() > 0.05


def test_a_recoloured_style_paints_in_the_photos_colours(run) -> None:
    photo = load_image(Path("photo.png"))
    means = {}
    for keep in ("none", "histogram"):
        run(keep_colors=keep, content_weight=0.0, iterations=12, output=Path(f"{keep}.png"))
        means[keep] = light(load_image(Path(f"{keep}.png")))
    assert abs(means["histogram"] - light(photo)) < 0.5 * abs(means["none"] - light(photo))


# --- From coarse to fine, and the way there ---


def test_scales_go_from_coarse_to_fine_and_keep_the_photos_detail(run, monkeypatch) -> None:
    starts, ends = [], []

    def watched(objective, start, method) -> Iterator[Iterate]:
        starts.append(start)
        for iterate in minimize(objective, start, method):
            yield iterate
        ends.append(iterate)

    monkeypatch.setattr(fastnst.baseline.optimize, "minimize", watched)
    result = run(scales=2, optimizer="adam", learning_rate=0.4)  # so large that the last image is not the best
    assert result["sizes"] == [20, 40] and result["iterations"] == 6 <= result["evaluations"]
    assert [start.shape for start in starts] == [(1, 3, 15, 20), (1, 3, 30, 40)]
    photo = load_image(Path("photo.png"))
    coarse = resized(photo, starts[0].shape)
    assert torch.equal(starts[0], coarse)
    detail = photo - resized(coarse, photo.shape)
    torch.testing.assert_close(starts[1], resized(ends[0].best, photo.shape) + detail)
    assert not torch.equal(ends[0].best, ends[0].image)
    assert (result["width"], result["height"]) == (40, 30)


def test_frames_show_the_way(run) -> None:
    run(frames=Path("way"), frame_every=2, iterations=6, scales=2)
    frames = sorted(Path("way").iterdir())
    assert [path.name for path in frames] == [f"{n:04}.png" for n in range(1, 7)]
    shapes = [load_image(path).shape[2:] for path in frames]
    assert shapes == [(15, 20)] * 3 + [(30, 40)] * 3
    assert len({path.read_bytes() for path in frames}) == 6


def test_a_video_has_the_size_of_the_result_from_the_start(run) -> None:
    av = pytest.importorskip("av")
    run(frames=Path("way.mp4"), frame_every=1, iterations=2, scales=2)
    with av.open("way.mp4") as video:
        assert [(frame.width, frame.height) for frame in video.decode(video=0)] == [(40, 30)] * 4


def test_progress_is_shown_on_stderr_unless_quiet_or_json(run, capsys, monkeypatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich takes any file for a terminal
    run(output=Path("a.png"))
    run(output=Path("b.png"), quiet=False, json=True)
    assert capsys.readouterr() == ("", "")
    run(output=Path("c.png"), quiet=False)
    out, shown = capsys.readouterr()
    assert not out and "optimising at 40 px" in shown and "style" in shown
