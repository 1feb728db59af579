import hashlib
import itertools
import json
import logging
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import fastnst.baseline.compare
import fastnst.baseline.contest
from fastnst.base.errors import Interrupted, UserError
from fastnst.baseline.compare import compare
from fastnst.baseline.contest import baseline_curve, equivalent_iterations, load_contest, mean_curve
from fastnst.baseline.minimize import Method, minimize
from fastnst.baseline.report import draw_curve, to_markdown
from fastnst.baseline.settings import CompareSettings
from fastnst.images.read import load_image
from fastnst.networks.catalog import StyleFileError
from fastnst.networks.network import TransformationNetwork
from fastnst.networks.style_file import load_style, save_style
from fastnst.painting.stylizer import Stylizer
from fastnst.perception.architectures import NETWORKS
from fastnst.perception.loss_network import LossNetwork
from fastnst.perception.perceptual_loss import PerceptualLoss
from fastnst.training.run import to_json
from fastnst.training.settings import TrainSettings

STYLE_LAYERS, CONTENT_LAYERS = ("relu1_1", "relu1_2"), ("relu2_1",)


def make_picture(path: Path, width: int, height: int) -> Path:
    """Coloured waves, different for each name."""
    path.parent.mkdir(exist_ok=True)
    across = np.linspace(0, 9, width)[None, :, None] + np.arange(3) * len(path.stem)
    down = np.linspace(0, len(path.stem), height)[:, None, None]
    Image.fromarray(np.uint8(127 + 120 * np.sin(across + down))).save(path)
    return path


def make_style(name: str, paintings: list[Path], **settings: object) -> None:
    """A style file as `train` writes it."""
    config = TrainSettings(
        style=tuple(paintings),
        style_size=40,
        style_layers=STYLE_LAYERS,
        content_layers=CONTENT_LAYERS,
        style_weight=3.0,
        tv_weight=0.5,
        loss_weights=Path("vgg.pth"),
    )
    torch.manual_seed(0)
    shape = {"half": 4, "quarter": 8, "num_blocks": 1, "num_styles": len(paintings)}
    network = TransformationNetwork(**shape)
    for index, parameter in enumerate(network.parameters()):
        parameter.data += 0.05 * torch.randn_like(parameter) * (index > 0)  # styles differ
    styles = [{"name": path.stem, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()} for path in paintings]
    info = {"name": name, "styles": styles, "network": shape, "settings": {**to_json(config), **settings}}
    save_style(Path(f"checkpoints/{name}.safetensors"), network, info)


@pytest.fixture(scope="module")
def workshop(tmp_path_factory) -> Path:
    """A folder with two paintings, style files, loss weights and photos; nothing in it changes."""
    folder = tmp_path_factory.mktemp("workshop")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        wave, night, noon = (make_picture(Path(name), 60, 48) for name in ("wave.png", "night.png", "at_noon.png"))
        make_style("wave", [wave])
        make_style("both", [night, noon])
        for name, size in {"photos/cat": (64, 64), "photos/rocket": (90, 64), "small/tiny": (40, 50)}.items():
            make_picture(Path(f"{name}.png"), *size)
        Path("photos/broken.jpg").write_bytes(b"no picture")
        Path("empty").mkdir()
        keys = {step.name: step.key for step in NETWORKS["vgg19"].plan()}
        state = LossNetwork(CONTENT_LAYERS, weights=None).operations.state_dict()
        named = {f"{keys[name.rpartition('.')[0]]}.{name.rpartition('.')[2]}": value for name, value in state.items()}
        torch.save(named, "vgg.pth")
    return folder


def run(*photos: str, output: Path, **settings: object) -> dict:
    defaults = {
        "style": "wave",
        "style_image": Path("wave.png"),
        "loss_weights": Path("vgg.pth"),
        "sizes": (64,),
        "timed_sizes": (),
        "iterations": 3,
        "device": "cpu",
        "quiet": True,
    }
    return compare(photos or ("photos/cat.png",), CompareSettings(**{**defaults, "output": output, **settings}))


@pytest.fixture(autouse=True)
def inside(workshop, monkeypatch) -> None:
    monkeypatch.chdir(workshop)


@pytest.fixture(scope="module")
def whole(workshop, tmp_path_factory) -> tuple[dict, Path]:
    """A run with all it has: two photos and a broken one, losses and times."""
    output = tmp_path_factory.mktemp("whole") / "new"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(workshop)
        return run("photos", output=output, timed_sizes=(96, 64)), output


@pytest.mark.parametrize(
    ("curve", "value", "iterations"),
    [
        ([3, 2, 1], 2.5, 2),
        ([3, 2, 1], 2, 2),
        ([3, 2, 1], 9, 1),
        ([3, 2, 1], 0.5, None),
        ([3, 1, 2], 2, 2),
        ([], 1, None),
    ],
)
def test_a_pass_is_worth_the_first_iteration_that_is_as_good(curve, value, iterations) -> None:
    assert equivalent_iterations(curve, value) == iterations


def test_curves_are_averaged_iteration_by_iteration() -> None:
    assert mean_curve([[4, 2], [2, 1], [0, 0]]) == [2, 1]
    with pytest.raises(ValueError):
        mean_curve([[1, 2], [1]])


def test_the_baseline_falls_repeats_with_its_seed_and_ends_where_it_says() -> None:
    contest = load_contest("wave", Path("wave.png"), loss_weights=Path("vgg.pth"), device="cpu")
    photo = load_image(Path("photos/cat.png"))
    first, again, other = (
        baseline_curve(contest.objective, photo, Method(iterations=4), seed=seed) for seed in (1, 1, 2)
    )
    assert first.curve == again.curve != other.curve
    assert torch.equal(first.image, again.image)
    assert first.curve == sorted(first.curve, reverse=True) and first.curve[-1] < first.curve[0]
    assert first.evaluations >= first.iterations == len(first.curve) == 4
    losses = contest.objective(first.image, contest.objective.content_targets(photo))
    assert losses.total.item() == pytest.approx(first.curve[-1], rel=1e-5)


def test_where_the_optimiser_ends_early_its_last_picture_stays(monkeypatch) -> None:
    contest = load_contest("wave", Path("wave.png"), loss_weights=Path("vgg.pth"), device="cpu")
    shortened = lambda objective, start, method: minimize(objective, start, Method(iterations=2))  # noqa: E731
    monkeypatch.setattr("fastnst.baseline.contest.minimize", shortened)
    baseline = baseline_curve(contest.objective, load_image(Path("photos/cat.png")), Method(iterations=5))
    assert baseline.iterations == 2 and len(baseline.curve) == 5
    assert baseline.curve[1:] == [baseline.curve[1]] * 4 and baseline.curve[0] > baseline.curve[1]


def test_the_objective_is_that_of_the_training(whole) -> None:
    """Rebuilt by hand; the rocket's photo is cut to its middle, as the held-out photos of a training are."""
    result, _ = whole
    assert [photo["name"] for photo in result["sizes"][0]["photos"]] == ["cat.png", "rocket.png"]
    photo = load_image(Path("photos/rocket.png"))[..., 13:77]
    loss = PerceptualLoss(
        LossNetwork(CONTENT_LAYERS, weights=None, padding="replicate"),
        [load_image(Path("wave.png"), size=40)],
        content_layers=CONTENT_LAYERS,
        style_layers=STYLE_LAYERS,
        style_weight=3.0,
        variation_weight=0.5,
    )
    with torch.no_grad():
        targets = loss.content_targets(photo)
        network, untouched = (
            loss(load_style(Path("checkpoints/wave.safetensors")).network(photo), targets),
            loss(photo, targets),
        )
    told = result["sizes"][0]["photos"][1]
    for name in ("total", "content", "style", "variation"):
        assert told["network"][name] == pytest.approx(getattr(network, name).item(), rel=1e-4)
        assert told["photo"][name] == pytest.approx(getattr(untouched, name).item(), rel=1e-4, abs=1e-6)
    with torch.no_grad():
        inside = loss(load_style(Path("checkpoints/wave.safetensors")).network(photo), targets, inset=16)
    assert told["network_inside"] == pytest.approx(inside.total.item(), rel=1e-4)


@pytest.mark.parametrize(("size", "inset"), [(64, 16), (100, 25), (256, 56), (512, 56)])
def test_no_more_than_half_of_a_side_is_left_out(size, inset) -> None:
    assert fastnst.baseline.compare._inset(size) == inset


def test_an_optimiser_that_ends_early_keeps_its_last_picture_inside_too(monkeypatch) -> None:
    started = fastnst.baseline.contest.minimize
    monkeypatch.setattr("fastnst.baseline.contest.minimize", lambda *given: itertools.islice(started(*given), 2))
    (photo,) = run(output=Path("early"), iterations=4)["sizes"][0]["photos"]
    assert photo["iterations"] == 2
    assert len(photo["curve_inside"]) == 4 and photo["curve_inside"][1:] == [photo["curve_inside"][1]] * 3


def test_means_are_those_of_the_photos_and_the_curve_is_that_of_the_optimiser(whole) -> None:
    (entry,) = whole[0]["sizes"]
    photos = entry["photos"]
    assert entry["num_photos"] == len(photos) == 2
    for who in ("photo", "network", "optimizer"):
        for part, value in entry["mean"][who].items():
            assert value == pytest.approx(sum(photo[who][part] for photo in photos) / 2, rel=1e-5)
    assert entry["curve"] == pytest.approx(mean_curve([photo["curve"] for photo in photos]), rel=1e-5)
    assert entry["curve"][-1] == pytest.approx(entry["mean"]["optimizer"]["total"], rel=1e-5)
    assert len(entry["curve"]) == 3 and entry["evaluations_per_iteration"] >= 1
    assert entry["network_inside"] == pytest.approx(sum(photo["network_inside"] for photo in photos) / 2, rel=1e-5)
    assert entry["curve_inside"] == pytest.approx(mean_curve([photo["curve_inside"] for photo in photos]), rel=1e-5)
    worth = equivalent_iterations(entry["curve_inside"], entry["network_inside"])
    assert entry["equivalent_iterations_inside"] == worth
    for one, network in [(entry, entry["mean"]["network"]), *((photo, photo["network"]) for photo in photos)]:
        assert one["equivalent_iterations"] == equivalent_iterations(one["curve"], network["total"])


def test_times_are_ratios_of_rounds(whole) -> None:
    times = whole[0]["times"]
    assert [entry["size"] for entry in times] == [64, 96]  # 96 is larger than any photo
    for entry in times:
        assert entry["rounds"] >= 5
        for what in ("pass_seconds", "iteration_seconds", "ratio"):
            assert 0 < entry[what]["lowest"] <= entry[what]["median"] <= entry[what]["highest"]
        for number, at in entry["iterations"].items():
            assert at["seconds"] == pytest.approx(int(number) * entry["iteration_seconds"]["median"], rel=1e-4)
            assert at["ratio"] == pytest.approx(int(number) * entry["ratio"]["median"], rel=1e-4)
        assert list(entry["iterations"]) == ["100", "300", "500"]


def test_json_markdown_and_pictures_are_there_and_agree(whole) -> None:
    result, folder = whole
    assert result["output"] == str(folder)
    assert sorted(path.name for path in folder.iterdir()) == [
        *("compare.json", "compare.md", "curve_64.png", "sheet_64.png")
    ]
    told = json.loads((folder / "compare.json").read_text())
    assert told == {key: value for key, value in result.items() if key not in ("markdown", "output")}
    assert told["complete"] and told["failed"] == 1
    assert (folder / "compare.md").read_text() == result["markdown"] == to_markdown(told)
    (entry,) = told["sizes"]
    for who in ("photo", "network", "optimizer"):
        assert f"| {entry['mean'][who]['total']:.4g} | {entry['mean'][who]['content']:.4g} |" in result["markdown"]
    digests = {Path("photos", photo["name"]): photo["sha256"] for photo in told["photos"]}
    assert all(hashlib.sha256(path.read_bytes()).hexdigest() == digest for path, digest in digests.items())
    with Image.open(folder / "sheet_64.png") as sheet, Image.open(folder / "curve_64.png") as plot:
        assert sheet.width >= 4 * 64 and sheet.height >= 2 * 64  # four pictures for each of two photos
        colours = {colour for _, colour in plot.convert("RGB").getcolors(2**24)}
        assert {(31, 78, 121), (192, 57, 43)} <= colours  # the optimiser's curve, the network's line


def test_any_painting_at_once_takes_part(whole) -> None:
    result, folder = whole
    (entry,) = result["sizes"]
    contest = load_contest("wave", Path("wave.png"), loss_weights=Path("vgg.pth"), device="cpu")
    photo = load_image(Path("photos/cat.png"))
    painted = Stylizer(str(Path("wave.png").absolute()), device="cpu")(photo)
    expected = contest.objective(painted, contest.objective.content_targets(photo)).mean()
    (cat,) = (each for each in entry["photos"] if each["name"] == "cat.png")
    assert cat["at_once"]["total"] == pytest.approx(expected.total.item(), rel=1e-3)
    assert cat["at_once"] != cat["network"]
    mean = entry["mean"]["at_once"]["total"]
    assert mean == pytest.approx(np.mean([each["at_once"]["total"] for each in entry["photos"]]), rel=1e-5)
    assert entry["equivalent_iterations_at_once"] == equivalent_iterations(entry["curve"], mean)
    assert all(time["at_once_seconds"]["median"] > 0 for time in result["times"])
    assert f"| any painting at once | {mean:.4g} | " in result["markdown"]
    with Image.open(folder / "sheet_64.png") as sheet:
        assert sheet.width >= 5 * 64


def test_without_the_network_for_any_painting_the_others_are_compared(tmp_path, monkeypatch) -> None:
    def missing() -> Path:
        raise StyleFileError("no universal.safetensors")

    monkeypatch.setattr("fastnst.painting.stylizer.find_network", missing)
    result = run(output=tmp_path / "out", timed_sizes=(64,))
    assert result["sizes"][0]["mean"].keys() == {"photo", "network", "optimizer"}
    assert "| any painting at once |" not in result["markdown"]
    assert "at_once_seconds" not in result["times"][0] and (tmp_path / "out/sheet_64.png").exists()


def test_a_pass_that_is_never_reached_is_worth_more_than_all_iterations(whole) -> None:
    result = json.loads(json.dumps(whole[0]))
    (entry,) = result["sizes"]
    for reached, text in ((2, "**2** iterations"), (None, "**> 3** iterations")):
        entry["equivalent_iterations"] = reached
        assert text in to_markdown(result)
        assert draw_curve(entry).startswith(b"\x89PNG")
    for reached, text in ((2, "| {:,.0f} |"), (None, "| > {:,.0f} |")):
        entry["equivalent_iterations"] = reached
        row = next(line for line in to_markdown(result).splitlines() if line.startswith("| 64 | ") and " to " in line)
        assert row.endswith(text.format((reached or 3) * result["times"][0]["ratio"]["median"]))


def test_the_same_seed_gives_the_same_numbers(tmp_path) -> None:
    first, again, other = (
        run(output=tmp_path / name, seed=seed)["sizes"] for name, seed in (("a", 0), ("b", 0), ("c", 1))
    )
    assert first == again != other


def test_a_photo_smaller_than_a_size_is_left_out_with_a_line(tmp_path, caplog) -> None:
    with caplog.at_level(logging.INFO, "fastnst"):
        result = run("photos/cat.png", "small", output=tmp_path / "out", sizes=(64, 32))
    assert [(entry["size"], entry["num_photos"]) for entry in result["sizes"]] == [(32, 2), (64, 1)]
    assert caplog.messages == ["tiny.png: short side of 40 px, left out at 64 px"]


def test_of_several_styles_the_image_tells_which(tmp_path) -> None:
    for style, image in (("both", "night.png"), ("both", "at_noon.png"), ("night", "night.png")):
        contest = load_contest(style, Path(image), loss_weights=Path("vgg.pth"), device="cpu")
        assert contest.sources["style"] == Path(image).stem
    network = load_style(Path("checkpoints/both.safetensors")).network
    photo = load_image(Path("photos/cat.png"))
    assert torch.allclose(contest.stylizer(photo), network(photo, torch.tensor([[1.0, 0.0]])), atol=2e-5)


@pytest.mark.parametrize(
    ("photos", "settings", "message"),
    [
        (["photos/cat.png"], {"style_image": Path("night.png")}, "night.png is not the picture that wave was trained"),
        (["photos/cat.png"], {"style": "night"}, "wave.png is not the picture that night was trained on"),
        (["photos/cat.png"], {"style": "night:0.5,at_noon:0.5"}, "a mix has no objective"),
        (["photos/cat.png"], {"style": "both"}, "wave.png is not the picture that night or at_noon was trained on"),
        (["photos/cat.png"], {"style": "dusk"}, "no style named 'dusk'"),
        (["photos/cat.png"], {"loss_weights": None}, "loss weights from vgg.pth: give it as --loss-weights"),
        (["photos/cat.png"], {"sizes": (128, 256)}, "no photo has a short side of 128 px"),
        (["photos/broken.jpg"], {}, "none of 1 photos can be read"),
        (["photos/cat.png", "missing.png"], {}, "missing.png: no such file"),
        (["empty"], {}, "no photo in empty"),
    ],
)
def test_what_cannot_be_compared_is_said_before_any_work(photos, settings, message, tmp_path) -> None:
    with pytest.raises(UserError, match=message):
        run(*photos, output=tmp_path / "out", **settings)
    assert not (tmp_path / "out").exists()


def test_a_file_that_does_not_tell_its_settings_has_no_objective(tmp_path) -> None:
    info = {"name": "bare", "styles": load_style(Path("checkpoints/wave.safetensors")).info["styles"]}
    shape = {"half": 4, "quarter": 8, "num_blocks": 1, "num_styles": 1}
    save_style(tmp_path / "bare.safetensors", TransformationNetwork(**shape), {**info, "network": shape})
    with pytest.raises(UserError, match="does not tell how it was trained"):
        run(output=tmp_path / "out", style=str(tmp_path / "bare.safetensors"))


def test_without_matplotlib_nothing_begins(tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(UserError, match=r"pip install 'fastnst\[plot\]'"):
        run(output=tmp_path / "out")


def test_a_folder_with_something_in_it_needs_force(tmp_path) -> None:
    kept = tmp_path / "mine.txt"
    kept.write_text("mine")
    with pytest.raises(FileExistsError, match="--force"):
        run(output=tmp_path)
    with pytest.raises(NotADirectoryError, match="found a file"):
        run(output=kept, force=True)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
    run(output=tmp_path, force=True)
    assert kept.read_text() == "mine" and (tmp_path / "compare.json").exists()


def test_ctrl_c_keeps_the_sizes_that_are_done(tmp_path, monkeypatch) -> None:
    def interrupted(*arguments: object, **settings: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(fastnst.baseline.compare, "time_both", interrupted)
    with pytest.raises(Interrupted, match="out"):
        run(output=tmp_path / "out", timed_sizes=(64,))
    told = json.loads((tmp_path / "out" / "compare.json").read_text())
    assert len(told["sizes"]) == 1 and not told["times"] and not told["complete"]
    assert (tmp_path / "out" / "sheet_64.png").exists() and (tmp_path / "out" / "compare.md").exists()
    monkeypatch.setattr(fastnst.baseline.compare, "compare_losses", interrupted)
    with pytest.raises(Interrupted, match="nothing was written"):
        run(output=tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_the_folder_is_named_after_the_style(tmp_path, monkeypatch) -> None:
    for name in ("checkpoints", "photos", "vgg.pth", "wave.png"):
        (tmp_path / name).symlink_to(Path(name).resolve())
    monkeypatch.chdir(tmp_path)
    assert run(output=None, iterations=1)["output"] == "compare-wave"
    assert Path("compare-wave/compare.md").exists()
