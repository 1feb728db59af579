import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from interruptions import stopping
from PIL import Image

import fastnst.baseline.reconstruct
from fastnst.base.errors import Interrupted, UserError
from fastnst.baseline.minimize import DivergedError, Iterate, Method, minimize
from fastnst.baseline.reconstruct import FIGURE, OTHER_FIGURES, Reconstruction, blocks, expand, reconstruct, sheet
from fastnst.baseline.settings import ReconstructSettings
from fastnst.images.read import load_image
from fastnst.perception.architectures import NETWORKS
from fastnst.perception.loss_network import LossNetwork
from fastnst.perception.perceptual_loss import PerceptualLoss

DEEPEST = {"vgg19": "pool2", "densenet121": "conv2_block2_concat"}


@pytest.fixture(scope="session")
def weights(tmp_path_factory) -> dict[str, Path]:
    """Files with the random weights that `LossNetwork` has without any, by network."""
    folder, files = tmp_path_factory.mktemp("weights"), {}
    for name, deepest in DEEPEST.items():
        keys = {step.name: step.key for step in NETWORKS[name].plan()}
        state = {}
        for own, value in LossNetwork((deepest,), name=name, weights=None).operations.state_dict().items():
            step, _, tensor = own.rpartition(".")
            state[f"{keys[step]}.{tensor}"] = value
        files[name] = folder / f"{name}.pth"
        torch.save(state, files[name])
    return files


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    """A small picture in an otherwise empty current folder."""
    monkeypatch.chdir(tmp_path)
    across = np.linspace(0, 9, 40)[None, :, None] + np.arange(3)
    down = np.linspace(0, 5, 30)[:, None, None]
    Image.fromarray(np.uint8(127 + 120 * np.sin(across + down))).save("waves.png")
    Image.new("RGB", (40, 3)).save("thin.png")
    Path("broken.png").write_bytes(b"no picture")
    return tmp_path


@pytest.fixture
def run(weights):
    def run(image: str = "waves.png", **settings: object) -> dict:
        network = str(settings.get("loss_network", "vgg19"))
        defaults = {"layers": ("conv1_1", "conv1_2"), "iterations": 3, "device": "cpu", "quiet": True}
        given = {"loss_weights": weights.get(network), **defaults, **settings}
        return reconstruct(image, ReconstructSettings(**given))

    return run


def psnr(first: torch.Tensor, second: torch.Tensor) -> float:
    return -10 * (first - second).square().mean().log10().item()


# --- What words stand for ---


@pytest.mark.parametrize(
    ("words", "network", "layers"),
    [
        (["block2"], "vgg19", ["conv2_1", "relu2_1", "conv2_2", "relu2_2", "pool2"]),
        (["relu3_1", "conv1_1"], "vgg16", ["relu3_1", "conv1_1"]),
        (["block1_conv1", "block1"], "vgg19", ["block1_conv1", "conv1_1", "conv1_2", "relu1_2", "pool1"]),
        (["conv1_1", "conv1_1", "nothing"], "vgg19", ["conv1_1", "nothing"]),
        (["block1", "fire9"], "squeezenet1_1", ["conv1", "relu1", "pool1", "fire9"]),
        (["block1"], "densenet121", ["conv1_conv", "conv1_bn", "conv1_relu", "pool1"]),
        (["transition1", "pool2_pool"], "densenet121", ["transition1"]),
    ],
)
def test_words_become_layers_in_order_without_doubles(words, network, layers) -> None:
    assert expand(words, network) == layers


@pytest.mark.parametrize("network", NETWORKS)
def test_all_is_every_layer_once_and_the_blocks_are_its_parts(network) -> None:
    steps = [step.name for step in NETWORKS[network].plan()]
    assert expand(["all"], network) == expand(["all", *NETWORKS[network].aliases], network) == steps
    numbered = [name for name in blocks(network) if name.startswith("block")]
    assert expand(numbered, network) == steps
    assert len(numbered) == (4 if network.startswith("squeezenet") else 5)
    ends = [blocks(network)[name][-1] for name in numbered[:-1]]
    assert all(re.fullmatch(r"pool\d|pool\d_pool", end) for end in ends)


def test_a_dense_block_has_two_names_and_ends_before_the_transition() -> None:
    layers = expand(["denseblock2"], "densenet121")
    assert layers == expand(["conv3"], "densenet121") and len(layers) == 12 * 7
    assert (layers[0], layers[-1]) == ("conv3_block1_0_bn", "conv3_block12_concat")


def test_the_figures_layers_are_there_from_shallow_to_deep() -> None:
    for network in NETWORKS:
        order = [step.name for step in NETWORKS[network].plan()]
        for kind in ("content", "style"):
            places = [order.index(layer) for layer in OTHER_FIGURES.get(network, FIGURE[kind])]
            assert len(places) == 5 and places == sorted(places)


# --- What is found ---


def test_content_of_a_shallow_layer_gives_the_image_back(run) -> None:
    (layer,) = run(layers=("conv1_1",), iterations=60)["layers"]
    photo, found = load_image(Path("waves.png")), load_image(Path("waves-content/01_conv1_1.png"))
    noise = torch.rand(photo.shape, generator=torch.Generator().manual_seed(0))
    assert psnr(photo, found) > psnr(photo, noise) + 15 and psnr(photo, found) > 25
    assert layer["content"] < 1e-3 * layer["content_of_noise"]


def test_the_loss_of_the_file_is_the_loss_that_is_written_down(run, weights) -> None:
    entries = run(kind="style", layers=("relu1_1", "relu1_2"), iterations=8, tv_weight=0.5)["layers"]
    network = LossNetwork(("relu1_2",), weights=weights["vgg19"])
    loss = PerceptualLoss(
        network,
        [load_image(Path("waves.png"))],
        content_layers=(),
        style_layers=("relu1_1", "relu1_2"),
        style_weight=1.0,
        variation_weight=0.5,
    )
    again = loss(load_image(Path("waves-style", entries[1]["file"])), {})
    assert entries[1]["style"] == pytest.approx(again.style.item(), rel=0.02)  # of a file of 8 bits
    assert entries[1]["loss"] == pytest.approx(again.total.item(), rel=0.02)
    assert entries[1]["style"] < 0.2 * entries[1]["style_of_noise"]


def test_sets_of_style_grow_and_layers_of_content_stand_alone(run) -> None:
    words = ("relu1_1", "relu2_1", "conv1_1")
    grown = [entry["layers"] for entry in run(kind="style", layers=words, iterations=1)["layers"]]
    assert grown == [["relu1_1"], ["relu1_1", "relu2_1"], ["relu1_1", "relu2_1", "conv1_1"]]
    alone = [entry["layers"] for entry in run(kind="content", layers=words, iterations=1)["layers"]]
    assert alone == [["relu1_1"], ["relu2_1"], ["conv1_1"]]


def test_densenet_goes_by_kerass_names(run) -> None:
    words = ("conv1_relu", "conv2_block1_0_relu", "conv2_block1_concat")
    result = run(loss_network="densenet121", layers=words, size=32, iterations=4)
    assert [entry["file"] for entry in result["layers"]] == [f"0{n}_{word}.png" for n, word in enumerate(words, 1)]
    assert all(entry["content"] < 0.9 * entry["content_of_noise"] for entry in result["layers"])


def test_pooling_changes_what_lies_behind_it(run) -> None:
    by_pooling = [
        run(layers=("pool1",), iterations=1, output=Path(name), pooling=name)["layers"][0]["content_of_noise"]
        for name in ("max", "avg")
    ]
    assert by_pooling[0] != pytest.approx(by_pooling[1], rel=0.01)


def test_the_same_seed_gives_the_same_files_and_a_layer_does_not_depend_on_those_before_it(run) -> None:
    run(output=Path("a"))
    run(output=Path("b"), layers=("conv1_2",))
    run(output=Path("c"), layers=("conv1_2",), seed=1)
    first, second, third = (
        Path(name).read_bytes() for name in ("a/02_conv1_2.png", "b/01_conv1_2.png", "c/01_conv1_2.png")
    )
    assert first == second != third


# --- What is written ---


def test_the_folder_holds_images_sheet_and_losses(run) -> None:
    result = run()
    folder = Path("waves-content")
    names = {path.name for path in folder.iterdir()}
    assert names == {"01_conv1_1.png", "02_conv1_2.png", "sheet.png", "losses.json"}
    assert {**json.loads((folder / "losses.json").read_text()), "output": "waves-content"} == result
    assert (result["image"], result["kind"], result["loss_network"]) == ("waves.png", "content", "vgg19")
    assert (result["width"], result["height"], result["seed"]) == (40, 30, 0)
    assert result["complete"] and result["hardware"] and result["versions"]["torch"]
    assert result["loss_weights"] == "vgg19.pth"
    for entry in result["layers"]:
        assert load_image(folder / entry["file"]).shape == (1, 3, 30, 40)
        assert entry["iterations"] == 3 <= entry["evaluations"] and entry["seconds"] > 0
        assert entry["loss"] == entry["content"]


def test_size_is_the_long_side_and_a_sample_needs_no_file(run) -> None:
    run("sample:coffee", size=32, kind="style", layers=("relu1_1",))
    assert load_image(Path("coffee-style/01_relu1_1.png")).shape == (1, 3, 21, 32)


def test_a_sheet_has_rows_of_six_the_image_first() -> None:
    photo = torch.zeros(1, 3, 24, 32)
    numbers = (1.0, 0.1, 1.0, 1, 1, 1.0)
    found = [Reconstruction((f"conv1_{n}",), torch.full_like(photo, n / 20), *numbers) for n in range(8)]
    (short,), (one,), (two,) = sheet(photo, found[:2], "t"), sheet(photo, found[:5], "t"), sheet(photo, found[:6], "t")
    assert one.shape[2] == two.shape[2] > short.shape[2] and one.shape[1] == short.shape[1]
    assert 1.5 * one.shape[1] < two.shape[1] < 2.1 * one.shape[1]
    torch.testing.assert_close(two[:, : one.shape[1]], one)
    below = two[:, one.shape[1] :]
    assert below[:, :, below.shape[2] // 5 :].min() == 1  # paper beside the seventh image
    assert (below - 0.25).abs().min() < 0.01  # 5 / 20
    assert (one == 0).all(0).sum() >= 24 * 32


def test_captions_name_layer_and_distance_and_only_the_first_row_has_the_title(monkeypatch) -> None:
    seen = []

    def written(rows, *, columns, title):
        seen.append((title, columns))
        return torch.ones(1, 3, 9, 9)

    monkeypatch.setattr(fastnst.baseline.reconstruct, "contact_sheet", written)
    layers, numbers = [f"conv{n}_1" for n in range(1, 7)], (1.0, 0.01234, 1.0, 1, 1, 1.0)
    found = [Reconstruction(tuple(layers[:n]), torch.ones(1, 3, 9, 9), *numbers) for n in range(1, 7)]
    sheet(torch.ones(1, 3, 9, 9), found, "waves")
    assert [title for title, _ in seen] == ["waves", ""]
    assert seen[0][1][:3] == ["original", "conv1_1 0.012", "+ conv2_1 0.012"] and seen[1][1] == ["+ conv6_1 0.012"]


def test_progress_is_shown_on_stderr_unless_quiet_or_json(run, capsys, monkeypatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich takes any file for a terminal
    run(quiet=True)
    run(quiet=False, json=True, force=True)
    assert capsys.readouterr() == ("", "")
    run(quiet=False, force=True)
    out, shown = capsys.readouterr()
    assert not out and "conv1_2  loss" in shown


# --- What is refused, and what a stop keeps ---


@pytest.mark.parametrize(
    ("image", "settings", "message"),
    [
        ("waves.png", {"layers": ("conv1_1", "conv9_1")}, "vgg19 has no layer 'conv9_1'"),
        ("waves.png", {"layers": ("block9",)}, "vgg19 has no layer 'block9'"),
        ("waves.png", {"loss_network": "vgg11"}, "no loss network 'vgg11'"),
        ("waves.png", {"loss_weights": Path("broken.png")}, "broken.png is not a weight file"),
        ("waves.png", {"output": Path("thin.png")}, "thin.png: expected a folder, found a file"),
        ("waves.png", {"output": Path("thin.png"), "force": True}, "expected a folder, found a file"),
        ("waves.png", {"output": Path("full")}, "full is not empty: --force"),
        ("waves.png", {"device": "tpu"}, "device tpu is not there"),
        ("missing.png", {}, "missing.png: no such file"),
        ("broken.png", {}, "broken.png: not an image"),
        ("sample:nobody", {}, "no sample photo 'nobody'"),
        ("thin.png", {"layers": ("conv1_1", "pool2")}, "pool2 of vgg19 needs images of at least 4 px"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line_before_anything_is_written(run, image, settings, message) -> None:
    Path("full").mkdir()
    Path("full/letter.txt").write_text("mine")
    before = {path: path.is_dir() or path.read_bytes() for path in Path().rglob("*")}
    with pytest.raises((UserError, OSError), match=message) as error:
        run(image, **settings)
    assert "\n" not in str(error.value)
    assert {path: path.is_dir() or path.read_bytes() for path in Path().rglob("*")} == before


def test_force_replaces_files_of_the_same_names_and_leaves_others(run) -> None:
    Path("waves-content").mkdir()
    Path("waves-content/01_conv1_1.png").write_text("old")
    Path("waves-content/letter.txt").write_text("mine")
    run(force=True)
    assert load_image(Path("waves-content/01_conv1_1.png")).shape == (1, 3, 30, 40)
    assert Path("waves-content/letter.txt").read_text() == "mine"


def test_ctrl_c_keeps_what_is_done_and_the_best_of_what_is_under_way(run, monkeypatch) -> None:
    whole = run(layers=("conv1_1", "conv1_2", "relu1_2"), output=Path("whole"))
    said = "stopped at conv1_2, iteration 1: 2 of 3 images, .* are in waves-content"
    with monkeypatch.context() as patch, pytest.raises(Interrupted, match=said):
        patch.setattr(fastnst.baseline.reconstruct, "minimize", stopping(KeyboardInterrupt(), after=4))
        run(layers=("conv1_1", "conv1_2", "relu1_2"))
    folder = Path("waves-content")
    names = {path.name for path in folder.iterdir()}
    assert names == {"01_conv1_1.png", "02_conv1_2.png", "sheet.png", "losses.json"}
    assert (folder / "01_conv1_1.png").read_bytes() == Path("whole/01_conv1_1.png").read_bytes()
    kept = json.loads((folder / "losses.json").read_text())
    assert not kept["complete"] and [entry["iterations"] for entry in kept["layers"]] == [3, 1]
    assert kept["layers"][1]["content"] > whole["layers"][1]["content"]
    run(layers=("conv1_2",), iterations=1, output=Path("one"))
    assert (folder / "02_conv1_2.png").read_bytes() == Path("one/01_conv1_2.png").read_bytes()


def test_ctrl_c_before_the_first_iteration_says_that_there_is_nothing(run, monkeypatch) -> None:
    monkeypatch.setattr(fastnst.baseline.reconstruct, "minimize", stopping(KeyboardInterrupt(), after=0))
    with pytest.raises(Interrupted, match="nothing was written"):
        run()
    assert not list(Path("waves-content").iterdir())


def test_each_image_is_there_as_soon_as_it_is_found_and_an_error_keeps_it(run, monkeypatch) -> None:
    there = []

    def watched(objective, start, method: Method) -> Iterator[Iterate]:
        there.append(Path("waves-content/01_conv1_1.png").exists())
        if there[-1]:
            raise DivergedError("the loss is no number")
        return minimize(objective, start, method)

    monkeypatch.setattr(fastnst.baseline.reconstruct, "minimize", watched)
    with pytest.raises(DivergedError):
        run()
    assert there == [False, True]
    kept = json.loads(Path("waves-content/losses.json").read_text())
    assert not kept["complete"] and [entry["layers"] for entry in kept["layers"]] == [["conv1_1"]]
