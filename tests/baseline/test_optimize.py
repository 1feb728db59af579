import json
import logging
import re
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from interruptions import stopping
from PIL import ExifTags, Image
from torch import Tensor

import fastnst.baseline.optimize
from fastnst.base.errors import Interrupted, UserError
from fastnst.base.recipes import find_recipe, read_recipe
from fastnst.baseline.checks import output_of
from fastnst.baseline.minimize import DivergedError, Iterate, minimize
from fastnst.baseline.optimize import optimize
from fastnst.baseline.problem import loss_network_of, objective_of, read_inputs, resized
from fastnst.baseline.settings import OptimizeSettings
from fastnst.cli import main
from fastnst.images.read import load_image, read_picture
from fastnst.perception.architectures import NETWORKS
from fastnst.perception.loss_network import LossNetwork

CPU = torch.device("cpu")


@pytest.fixture(scope="session")
def weights(tmp_path_factory) -> Path:
    """A file with the random weights that `LossNetwork` has without any."""
    keys = {step.name: step.key for step in NETWORKS["vgg19"].plan()}
    state = {}
    for own, value in LossNetwork(("pool2",), weights=None).operations.state_dict().items():
        step, _, tensor = own.rpartition(".")
        state[f"{keys[step]}.{tensor}"] = value
    file = tmp_path_factory.mktemp("weights") / "vgg19.pth"
    torch.save(state, file)
    return file


def make_image(
    path: str, size: tuple[int, int] = (40, 30), *, low: int = 0, high: int = 256, **options: object
) -> None:
    """Coarse noise, so that smaller sizes show it too."""
    pixels = np.random.default_rng(len(path)).integers(low, high, (4, 5, 3), dtype=np.uint8)
    Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC).save(path, **options)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    """A photo and two styles, dark and bright, in an otherwise empty current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(logging.getLogger("fastnst"), "handlers", [])  # of commands in other tests, long closed
    make_image("photo.png")
    make_image("dark.png", (32, 24), high=90)
    make_image("bright.png", (24, 32), low=160)
    return tmp_path


@pytest.fixture
def settings(weights) -> dict:
    """Small ones."""
    return {
        "style": (Path("dark.png"),),
        "style_size": 32,
        "style_layers": ("relu1_1", "relu2_1"),
        "content_layers": ("relu1_2",),
        "loss_weights": weights,
        "iterations": 3,
        "device": "cpu",
        "quiet": True,
    }


@pytest.fixture
def run(settings):
    def run(photo: str = "photo.png", **given: object) -> dict:
        return optimize(photo, OptimizeSettings(**{**settings, **given}))

    return run


@pytest.fixture
def command(weights, capsys):
    """The command line: its exit code, standard output and standard error."""

    def command(*words: str) -> tuple[int, str, str]:
        small = ["--style-layers", "relu1_1", "--content-layers", "relu1_2", "--iterations", "2", "--device", "cpu"]
        with pytest.raises(SystemExit) as stop:
            main(["optimize", *words, "--loss-weights", str(weights), *small])
        return int(stop.value.code), *capsys.readouterr()

    return command


def files() -> dict[Path, bytes | bool]:
    return {path: path.is_dir() or path.read_bytes() for path in Path().rglob("*")}


def light(image: Tensor) -> float:
    return image.mean().item()


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


# --- Cut short ---


@pytest.mark.parametrize("after", [2, 4])
def test_ctrl_c_writes_the_best_so_far_at_full_size(run, monkeypatch, after) -> None:
    """After two iterations at the coarse of two scales of three, and after one more than that."""
    monkeypatch.setattr(fastnst.baseline.optimize, "minimize", stopping(KeyboardInterrupt(), after=after))
    with pytest.raises(Interrupted, match=f"stopped after {after} iterations; the best image so far is out.png"):
        run(scales=2, output=Path("out.png"))
    found = load_image(Path("out.png"))
    assert found.shape == (1, 3, 30, 40)
    assert light(found) < light(load_image(Path("photo.png"))) - 0.01


def test_ctrl_c_before_the_first_iteration_writes_nothing(run, monkeypatch) -> None:
    monkeypatch.setattr(fastnst.baseline.optimize, "minimize", stopping(KeyboardInterrupt(), after=0))
    before = files()
    with pytest.raises(Interrupted, match="nothing was written"):
        run()
    assert files() == before


def test_a_loss_that_is_no_number_keeps_the_best_before_it(run, monkeypatch, caplog) -> None:
    caplog.set_level(logging.INFO, logger="fastnst")
    logging.getLogger("fastnst").addHandler(caplog.handler)
    monkeypatch.setattr(fastnst.baseline.optimize, "minimize", stopping(DivergedError("no number any more"), after=2))
    result = run(output=Path("out.png"))
    assert result["iterations"] == 2 and Path("out.png").exists()
    assert "no number any more; the best image before that is kept" in caplog.text
    monkeypatch.setattr(fastnst.baseline.optimize, "minimize", stopping(DivergedError("no number at all"), after=0))
    with pytest.raises(DivergedError, match="no number at all"):
        run(output=Path("other.png"))
    assert not Path("other.png").exists()


# --- What is refused ---


@pytest.mark.parametrize(
    ("photo", "given", "message"),
    [
        ("photo.png", {"style": ()}, "a style image is needed"),
        ("photo.png", {"style": (Path("missing.png"),)}, "missing.png: no such file"),
        ("photo.png", {"style": (Path("broken.png"),)}, "broken.png: not an image"),
        ("photo.png", {"style": (Path("sample:nobody"),)}, "no sample photo 'nobody'"),
        ("missing.png", {}, "missing.png: no such file"),
        ("broken.png", {}, "broken.png: not an image"),
        ("photo.png", {"output": Path("square.png")}, "square.png exists: choose another --output, or --force"),
        ("photo.png", {"output": Path("photo.png"), "force": True}, "photo.png is the photo or a style image"),
        ("photo.png", {"output": Path("dark.png"), "force": True}, "dark.png is the photo or a style image"),
        ("photo.png", {"output": Path("square.png/out.png")}, "square.png is no folder that can be written to"),
        ("photo.png", {"scales": 9}, "9 scales of 40 px would begin below 16 px: at most 2 fit"),
        ("photo.png", {"output": Path("out.bmp")}, "out.bmp: expected a name ending in .png"),
        ("photo.png", {"output": Path("out")}, "got no suffix"),
        ("photo.png", {"style_layers": ("relu9_1",)}, "vgg19 has no layer 'relu9_1'"),
        ("photo.png", {"content_layers": ("relu1_1:-1",)}, "positive weight, got 'relu1_1:-1'"),
        ("photo.png", {"style_layers": (), "content_layers": ()}, "at least one layer"),
        ("photo.png", {"loss_network": "vgg11"}, "no loss network 'vgg11'"),
        ("photo.png", {"loss_weights": Path("broken.png")}, "broken.png is not a weight file"),
        ("photo.png", {"loss_weights": Path("missing.pth")}, "missing.pth"),
        ("photo.png", {"mask": (Path("square.png"),)}, "a mask has the shape of the photo, 40x30 here, got 16x16"),
        ("photo.png", {"mask": (Path("photo.png"),) * 2}, "1 styles need a mask each, or one fewer, got 2"),
        ("photo.png", {"style_shares": (1.0, 2.0)}, "a share for each of 1 styles, got 2"),
        ("photo.png", {"style_shares": (1.0,), "mask": (Path("photo.png"),)}, "give one of the two"),
        ("photo.png", {"style_weight": 0.0, "content_weight": 0.0}, "both zero: nothing to optimise"),
        ("photo.png", {"feature_scale": 57.6}, "relative losses do not change with --feature-scale"),
        ("photo.png", {"recipe": "nothing"}, "no settings file 'nothing'; known names: .*gatys2016"),
        ("photo.png", {"init": "missing.png"}, "missing.png: no such file"),
        ("photo.png", {"frames": Path("full")}, "full is not empty: --force"),
        ("photo.png", {"frames": Path("way.gif")}, "expected a folder or a name ending in .mp4"),
        ("photo.png", {"device": "tpu"}, "device tpu is not there"),
        ("thin.png", {"style_layers": ("pool2",)}, "pool2 of vgg19 needs images of at least 4 px"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line_before_anything_is_written(run, photo, given, message) -> None:
    Image.new("L", (16, 16), 255).save("square.png")
    Image.new("RGB", (40, 3)).save("thin.png")
    Path("broken.png").write_bytes(b"no picture")
    Path("full").mkdir()
    Path("full/letter.txt").write_text("mine")
    before = files()
    with pytest.raises((UserError, OSError), match=message) as error:
        run(photo, **given)
    assert "\n" not in str(error.value)
    assert files() == before


def test_force_replaces_the_file(run) -> None:
    make_image("out.png", (5, 5))
    run(output=Path("out.png"), force=True)
    assert load_image(Path("out.png")).shape == (1, 3, 30, 40)


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
def test_a_photo_too_large_for_the_memory_is_told_with_a_size_that_fits(run, monkeypatch, optimizer) -> None:
    Image.linear_gradient("L").resize((1400, 1000)).save("huge.png")
    free = fastnst.baseline.optimize.FIXED + 1_200_000_000
    monkeypatch.setattr(fastnst.baseline.optimize, "available_memory", lambda _: free)
    large = {"size": 1400, "optimizer": optimizer, "style_layers": ("relu1_1",), "content_layers": ("relu1_1",)}
    before = files()
    with pytest.raises(
        UserError, match=r"1400x1000 pixels need about \d\.\d GB .* 1\.2 GB are free: --size \d+ fits"
    ) as error:
        run("huge.png", **large)
    assert files() == before
    fits = int(re.search(r"--size (\d+)", str(error.value)).group(1))
    monkeypatch.setattr(fastnst.baseline.optimize, "minimize", stopping(KeyboardInterrupt(), after=0))
    assert 600 < fits < 1400
    with pytest.raises(Interrupted):  # it has begun
        run("huge.png", **{**large, "size": fits, "scales": 4})


# --- The command ---


def test_json_is_one_object_alone_on_stdout(command) -> None:
    code, out, err = command("photo.png", "--style", "dark.png", "--output", "out.png", "--json")
    assert code == 0 and out.count("\n") == 1
    result = json.loads(out)
    assert result["output"] == "out.png" and result["iterations"] == 2
    assert "optimising 'photo.png' at 40x30 px" in err


def test_without_json_the_result_is_one_line_on_stderr(command) -> None:
    code, out, err = command("photo.png", "--style", "dark.png", "--output", "out.png")
    assert (code, out) == (0, "")
    assert re.search(r"^out.png: 2 iterations, \d evaluations in \d+ s; total [\d.]+, content ", err, re.MULTILINE)
    assert command("photo.png", "--style", "dark.png", "--quiet", "--output", "other.png") == (0, "", "")


def test_a_flag_wins_over_the_recipe_and_its_departures_are_told(command) -> None:
    words = ["photo.png", "--style", "dark.png", "--recipe", "keras-vgg19", "--style-weight", "7", "--json"]
    code, out, err = command(*words)
    assert code == 0
    settings = json.loads(out)["settings"]
    assert settings["style_weight"] == 7 and settings["iterations"] == 2  # flags
    assert (settings["content_weight"], settings["optimizer"], settings["recipe"]) == (1000, "adam", "keras-vgg19")
    for departure in read_recipe(find_recipe("keras-vgg19", "optimize"))["departures"]:
        assert f"departs from keras-vgg19: {departure}" in err


def test_a_recipe_may_be_a_file(command) -> None:
    Path("mine.yaml").write_text("style-weight: 3\ntv-form: l1\n")
    code, out, _ = command("photo.png", "--style", "dark.png", "--recipe", "mine.yaml", "--json")
    assert code == 0
    assert (json.loads(out)["settings"]["style_weight"], json.loads(out)["settings"]["tv_form"]) == (3, "l1")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["photo.png", "--style", "dark.png", "--recipe", "nothing"], "known names: densenet121, gatys2016, johnson"),
        (["photo.png"], "a style image is needed"),
        (["photo.png", "--style", "dark.png", "--clamp", "never"], "never"),
        (["photo.png", "--style", "dark.png", "--sytle-size", "20"], "style-size"),
        (["photo.png", "--style", "dark.png", "--size", "8"], "size"),
    ],
)
def test_bad_usage_is_one_line_and_exit_code_2(command, words, message) -> None:
    before = files()
    code, out, err = command(*words)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1 and message in err
    assert files() == before


def test_ctrl_c_is_exit_code_130_and_one_line(command, monkeypatch) -> None:
    monkeypatch.setattr(fastnst.baseline.optimize, "minimize", stopping(KeyboardInterrupt(), after=1))
    code, out, err = command("photo.png", "--style", "dark.png", "--quiet", "--output", "out.png")
    assert (code, out) == (130, "") and err.count("\n") == 1
    assert "stopped after 1 iterations; the best image so far is out.png" in err and Path("out.png").exists()


def test_a_full_disk_under_the_frames_does_not_cost_the_image(run, monkeypatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(fastnst.baseline.optimize.Frames, "add", full)
    with pytest.raises(OSError, match="No space left"):
        run(output=Path("out.png"), frames=Path("way"), frame_every=1)
    assert load_image(Path("out.png")).shape == (1, 3, 30, 40)


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
