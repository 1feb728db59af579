"""`fastnst optimize` as a command: what it says, what it refuses, and what is left when it is cut short."""

import json
import logging
import re
from pathlib import Path

import pytest
from interruptions import stopping
from pictures import light, make_image
from PIL import Image

import fastnst.baseline.optimize
from fastnst.base.errors import Interrupted, UserError
from fastnst.base.recipes import find_recipe, read_recipe
from fastnst.baseline.minimize import DivergedError
from fastnst.images.read import load_image

pytestmark = pytest.mark.usefixtures("photo_and_styles")


def files() -> dict[Path, bytes | bool]:
    return {path: path.is_dir() or path.read_bytes() for path in Path().rglob("*")}


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
