import json
import os
import re
import shutil
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from fastnst.base.errors import Interrupted, TrainingError, UserError
from fastnst.images import read
from fastnst.networks.catalog import read_info
from fastnst.networks.network import TransformationNetwork
from fastnst.networks.presets import PRESETS
from fastnst.networks.style_file import load_style
from fastnst.perception.losses import within
from fastnst.perception.objective import load_style_image, shrunk, style_side
from fastnst.perception.perceptual_loss import PerceptualLoss
from fastnst.training.run import Run
from fastnst.training.settings import TrainSettings
from fastnst.training.style_trainer import StyleTrainer, border_loss
from fastnst.training.train import train

SHALLOW = TrainSettings(
    style=(Path("style.png"),),
    data="photos",
    steps=6,
    network="live",
    style_layers=("relu1_2", "relu2_2"),
    content_layers=("relu2_2",),
    crop_size=48,
    style_size=64,
    learning_rate=2e-3,
    margin=16,
    init_from="none",
    style_per_photo=0.25,
    device="cpu",
    workers=0,
    quiet=True,
)


def stripes(size: int, period: int) -> Image.Image:
    down = np.arange(size)[:, None] * 2 * np.pi / period
    across = down.T
    waves = np.stack([down + across, 2 * down + 0 * across, across - down], -1)  # (size, size, 3)
    return Image.fromarray(np.uint8(127 + 120 * np.sin(waves)))


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    """A style image and eight photos in an otherwise empty current folder."""
    monkeypatch.chdir(tmp_path)
    stripes(80, 9).save("style.png")
    stripes(80, 5).rotate(90).save("other.png")
    stripes(12, 5).save("dot.png")
    Path("photos").mkdir()
    for number in range(8):
        stripes(64, 20 + 5 * number).save(f"photos/{number}.jpg")
    return tmp_path


def weights(name: str = "style") -> dict[str, torch.Tensor]:
    return load_file(f"checkpoints/{name}.safetensors")


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def test_losses_see_a_crop_and_the_network_its_margin_too(monkeypatch) -> None:
    sides: dict[bool, set[tuple[int, int]]] = {
        True: set(),
        False: set(),
    }  # photos, losses; by whether there are gradients
    losses = StyleTrainer.losses

    def framed(self, photos, styles, *, margin=0, draws=(), **targets):
        """A frame as wide as the margin changes no loss; one that is a pixel wider does."""
        found, border = losses(self, photos, styles, margin=margin, draws=draws, **targets)
        sides[torch.is_grad_enabled()].add((photos.shape[-1], margin))
        if torch.is_grad_enabled():
            for width, same in ((margin, True), (margin + 1, False)):
                network, self.network = self.network, Framed(self.network, width)
                assert torch.equal(losses(self, photos, styles, margin=margin)[0].total, found.total) == same
                self.network = network
        return found, border

    monkeypatch.setattr(StyleTrainer, "losses", framed)
    train(replace(SHALLOW, steps=4, eval_every=2, margin=5))
    crop = SHALLOW.crop_size
    assert (crop + 10, 5) in sides[True] and all(margin == 5 for _, margin in sides[True])
    assert sides[False] == {(crop, 0)}


class Framed(torch.nn.Module):
    """A network that paints a black frame."""

    def __init__(self, network, width) -> None:
        super().__init__()
        self.network, self.num_styles, self.width = network, network.num_styles, width

    def forward(self, images, style):
        painted = self.network(images, style).clone()
        inner = painted[..., self.width : -self.width, self.width : -self.width].clone()
        return torch.nn.functional.pad(inner, [self.width] * 4)


def test_the_features_of_a_crop_that_comes_again_are_kept_and_change_nothing(monkeypatch) -> None:
    sides: list[int] = []
    content_targets, losses = PerceptualLoss.content_targets, StyleTrainer.losses

    def counted(self, photos):
        sides.append(photos.shape[-1])
        return content_targets(self, photos)

    def forgetful(self, photos, styles, *, margin=0, draws=(), **targets):
        return losses(self, photos, styles, margin=margin, **targets)

    monkeypatch.setattr(PerceptualLoss, "content_targets", counted)
    layers = {"style_layers": ("relu1_1",), "content_layers": ("relu1_2",)}
    ten = replace(SHALLOW, steps=24, batch_size=10, eval_every=1000, visits=4, **layers)  # three steps take turns
    train(ten)
    evaluations = 2  # before the first step and after the last one
    # The crops grow after 6 and after 14 steps: those of steps 6 to 11 and 12 to 14 come in two sizes.
    assert len(sides) - evaluations < 24 / 2
    count = len(sides)
    monkeypatch.setattr(StyleTrainer, "losses", forgetful)
    train(replace(ten, name="forgetful"))
    assert len(sides) - count == 24 + evaluations
    assert same(weights(), weights("forgetful"))


def test_training_lowers_the_loss_and_writes_a_style_file_that_describes_itself() -> None:
    before = train(replace(SHALLOW, steps=1, name="untrained"))
    result = train(replace(SHALLOW, steps=100))
    assert result["held_out"]["total"] < 0.8 * before["held_out"]["total"]
    info = read_info(Path(result["path"]))
    assert info["styles"][0]["name"] == "style" and len(info["styles"][0]["sha256"]) == 64
    assert (info["steps"], info["images"], info["settings"]["seed"]) == (100, 100, 0)
    assert info["data"]["photos"] == 7 and info["data"]["held_out"] == 1
    assert info["settings"]["style"] == ["style.png"] and info["settings"]["data"] == "photos"
    assert info["versions"]["torch"] == torch.__version__.partition("+")[0]
    assert info["preview"] and info["hardware"] and info["seconds"] > 0
    assert Path("runs/style/preview.png").exists()
    assert list(Path("runs/style").glob("events.*"))
    assert not Path("runs/style/last.ckpt").exists()


@pytest.mark.parametrize("bfloat16", [True, False])
def test_the_same_seed_gives_the_same_weights_and_another_seed_does_not(monkeypatch, bfloat16) -> None:
    monkeypatch.setattr("fastnst.training.train.multiplies_bfloat16", lambda _: bfloat16)
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        train(replace(SHALLOW, name=name, seed=seed, steps=4))
    assert same(weights("a"), weights("b"))
    assert not same(weights("a"), weights("c"))


def test_held_out_losses_are_in_float32_whatever_the_steps_are_in(monkeypatch) -> None:
    found = []
    for bfloat16 in (True, False):
        monkeypatch.setattr("fastnst.training.train.multiplies_bfloat16", lambda _, answer=bfloat16: answer)
        settings = replace(SHALLOW, name=f"precision{bfloat16}", steps=1, learning_rate=1e-9)
        result = train(settings)
        assert result["precision"] == ("bf16-mixed" if bfloat16 else "32-true")
        found.append(result["held_out"]["total"])
    assert found[0] == pytest.approx(found[1], rel=1e-4)


@pytest.mark.parametrize("batch_size", [1, 3])
def test_photos_of_one_colour_cost_nothing(batch_size) -> None:
    for colour in ("black", "white", "red"):
        Image.new("RGB", (64, 64), colour).save(f"photos/{colour}.png")
    together = train(replace(SHALLOW, batch_size=batch_size, steps=12))
    assert together["steps"] == 12 and together["held_out"]["content"] < 10
    shutil.rmtree("photos")
    Path("cards").mkdir()
    for colour in ("black", "white", "red"):
        Image.new("RGB", (64, 64), colour).save(f"cards/{colour}.png")
    alone = train(replace(SHALLOW, batch_size=batch_size, data="cards", name="alone"))
    assert alone["held_out"]["content"] == 0
    network = load_style("alone").network
    assert all(torch.isfinite(each).all() for each in network.state_dict().values())


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_and_resumed_run_ends_with_the_same_weights_bit_for_bit(monkeypatch, sent) -> None:
    train(replace(SHALLOW, name="whole"))
    step, handler = StyleTrainer.training_step, signal.getsignal(signal.SIGINT)

    def interrupted(self, batch, batch_idx):
        if self.global_step == 3:
            os.kill(os.getpid(), sent)
        return step(self, batch, batch_idx)

    monkeypatch.setattr(StyleTrainer, "training_step", interrupted)
    with pytest.raises(Interrupted, match="saved after step 4; go on with: fastnst train --resume --name style"):
        train(SHALLOW)
    assert not Path("checkpoints/style.safetensors").exists()
    assert signal.getsignal(signal.SIGINT) is handler
    monkeypatch.setattr(StyleTrainer, "training_step", step)
    assert train(TrainSettings(resume=True, name="style", quiet=True, workers=1))["steps"] == 6
    assert same(weights("whole"), weights("style"))


def test_a_run_stopped_in_its_last_step_goes_on_without_another_one(monkeypatch) -> None:
    train(replace(SHALLOW, name="whole"))
    step = StyleTrainer.training_step

    def interrupted(self, batch, batch_idx):
        if self.global_step == 5:
            os.kill(os.getpid(), signal.SIGTERM)
        return step(self, batch, batch_idx)

    monkeypatch.setattr(StyleTrainer, "training_step", interrupted)
    with pytest.raises(Interrupted, match="after step 6"):
        train(SHALLOW)
    monkeypatch.setattr(StyleTrainer, "training_step", step)
    result = train(TrainSettings(resume=True, name="style", quiet=True))
    assert result["steps"] == 6 and result["held_out"]["total"] > 0
    assert same(weights("whole"), weights("style"))


def test_a_resumed_run_says_when_the_rest_of_its_time_is_over(monkeypatch, caplog) -> None:
    step, save = StyleTrainer.training_step, StyleTrainer.on_save_checkpoint

    def interrupted(self, batch, batch_idx):
        if self.global_step == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return step(self, batch, batch_idx)

    with monkeypatch.context() as patch:
        patch.setattr(StyleTrainer, "training_step", interrupted)
        patch.setattr(
            StyleTrainer, "on_save_checkpoint", lambda self, to: save(self, to) or to.update(spent_seconds=598.0)
        )
        with pytest.raises(Interrupted):
            train(replace(SHALLOW, steps=None, budget=600.0))
    began = time.time()
    with caplog.at_level("INFO", "fastnst"):
        train(TrainSettings(resume=True, name="style"))
    (told,) = re.findall(r"ends at about (\d+:\d+:\d+)", caplog.text)
    assert told in {time.strftime("%H:%M:%S", time.localtime(began + second)) for second in range(60)}


@pytest.mark.parametrize("damaged", ["last.ckpt", "settings.json"])
def test_damaged_files_of_a_run_get_one_clear_line(monkeypatch, damaged) -> None:
    monkeypatch.setattr(StyleTrainer, "on_train_batch_end", lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(Interrupted):
        train(SHALLOW)
    path = Path("runs/style") / damaged
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(TrainingError, match=rf"{damaged} is damaged: start anew with --force"):
        train(TrainSettings(resume=True, name="style", quiet=True))


def test_a_resumed_run_refuses_other_photos(monkeypatch) -> None:
    monkeypatch.setattr(StyleTrainer, "on_train_batch_end", lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(Interrupted):
        train(SHALLOW)
    stripes(64, 11).save("photos/new.jpg")
    with pytest.raises(UserError, match="other photos than when the run was started"):
        train(TrainSettings(resume=True, name="style", quiet=True))


def test_force_loses_no_unfinished_run_to_bad_settings(monkeypatch) -> None:
    monkeypatch.setattr(StyleTrainer, "on_train_batch_end", lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(Interrupted):
        train(SHALLOW)
    with pytest.raises(UserError, match="nowhere"):
        train(replace(SHALLOW, force=True, data="nowhere"))
    assert Run("style").checkpoint.exists()


def test_a_sample_photo_can_be_the_style() -> None:
    result = train(replace(SHALLOW, style=(Path("sample:coffee"),), steps=1))
    assert result["name"] == "coffee" and result["styles"][0]["name"] == "coffee"


def test_a_resumed_run_refuses_settings_that_contradict_it(monkeypatch) -> None:
    monkeypatch.setattr(StyleTrainer, "on_train_batch_end", lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(Interrupted):
        train(SHALLOW)
    with pytest.raises(TrainingError, match=r"started with --style-weight 10\.0, not 3\.0"):
        train(TrainSettings(resume=True, name="style", style_weight=3.0))
    with pytest.raises(TrainingError, match="unfinished run: --resume"):
        train(SHALLOW)
    with pytest.raises(TrainingError, match="no unfinished run in runs/other"):
        train(TrainSettings(resume=True, name="other"))


def test_a_checkpoint_holds_no_loss_network_and_loads_without_running_code(monkeypatch) -> None:
    monkeypatch.setattr(StyleTrainer, "on_train_batch_end", lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(Interrupted):
        train(SHALLOW)
    checkpoint = torch.load(Run("style").checkpoint, weights_only=True)
    own = {name for name in checkpoint["state_dict"] if not name.startswith("pooled.")}  # Gram matrices of photos
    assert own == {f"network.{name}" for name in _network_names()}
    assert Run("style").checkpoint.stat().st_size < 12e6


def _network_names() -> set[str]:
    from fastnst.networks.network import TransformationNetwork
    from fastnst.networks.presets import PRESETS

    return set(TransformationNetwork(**PRESETS["small"]).state_dict())


def test_several_styles_make_one_file_whose_styles_differ() -> None:
    pair = (Path("style.png"), Path("other.png"))
    result = train(replace(SHALLOW, style=pair, steps=60, learning_rate=2e-2))
    style = load_style(Path(result["path"]))
    assert style.style_names == ("style", "other") and style.info["name"] == "style_other"
    photo = torch.rand(1, 3, 40, 40)
    first, second = (style.network(photo, torch.eye(2)[i : i + 1]) for i in range(2))
    assert (first - second).abs().max() > 0.01
    assert {"total", "total_0", "total_1"} <= result["held_out"].keys()


def test_a_new_style_can_start_from_a_style_file() -> None:
    train(replace(SHALLOW, style=(Path("style.png"), Path("other.png")), name="pair", steps=40))
    pair = weights("pair")
    train(replace(SHALLOW, name="next", init_from="pair", steps=1, learning_rate=1e-9))
    began_at = read_info(Path("checkpoints/next.safetensors"))["began_at"]
    assert began_at["name"] == "pair" and began_at["styles"] == ["style"]  # of that image, not of the other
    for name, tensor in weights("next").items():
        expected = pair[name][:1] if ".norm." in name else pair[name]
        assert torch.allclose(tensor, expected, atol=1e-6), name
    with pytest.raises(UserError, match="a network of another size"):
        train(replace(SHALLOW, name="big", init_from="pair", network="johnson"))


def test_a_resumed_run_does_not_need_the_style_it_began_at(monkeypatch) -> None:
    train(replace(SHALLOW, name="old", steps=1))
    beginning = replace(SHALLOW, init_from="old", steps=4)
    train(replace(beginning, name="whole"))
    with monkeypatch.context() as patch, pytest.raises(Interrupted):
        patch.setattr(StyleTrainer, "on_train_batch_end", lambda *_: os.kill(os.getpid(), signal.SIGTERM))
        train(beginning)
    Path("checkpoints/old.safetensors").unlink()
    result = train(TrainSettings(resume=True, name="style", quiet=True))
    assert result["began_at"]["name"] == "old" and result["began_at"]["styles"] == ["style"]
    assert same(weights("whole"), weights("style"))


def test_a_wrong_start_is_told_before_photos_are_looked_for() -> None:
    with pytest.raises(UserError, match="no style named 'nothing'"):
        train(replace(SHALLOW, init_from="nothing", data="nowhere"))


def test_a_budget_ends_on_time_and_reports_its_own_length() -> None:
    train(replace(SHALLOW, steps=1, name="warm"))  # pays for imports and thread pools
    result = train(replace(SHALLOW, steps=None, budget=5.0))
    assert 4.0 < result["seconds"] < 5.3  # half a second is kept for writing, which tiny runs do not need
    assert result["steps"] > 5


def test_a_loss_that_is_no_number_stops_the_run_with_a_sentence_and_keeps_the_last_good_state(monkeypatch) -> None:
    step = StyleTrainer.training_step

    def spoiled(self, batch, batch_idx):
        result = step(self, batch, batch_idx)
        return {**result, "loss": result["loss"] * float("nan")} if self.global_step == 4 else result

    monkeypatch.setattr(StyleTrainer, "training_step", spoiled)
    with pytest.raises(TrainingError, match="no number at step 4; try a lower --learning-rate; the last good state"):
        train(replace(SHALLOW, save_every=0.01))
    checkpoint = torch.load(Run("style").checkpoint, weights_only=True)
    assert checkpoint["global_step"] == 4
    assert all(tensor.isfinite().all() for tensor in checkpoint["state_dict"].values())
    assert not Path("checkpoints/style.safetensors").exists()


def test_a_loss_that_explodes_stops_the_run() -> None:
    module = StyleTrainer.__new__(StyleTrainer)
    torch.nn.Module.__init__(module)
    module._first_losses, module._recent_loss = [], 0.0
    module._fabric, module._trainer = None, None
    for loss in [4.0] * 30:
        module._refuse_divergence(loss)
    with pytest.raises(TrainingError, match="grew from 4 to"):
        for loss in [40.0] * 100:
            module._refuse_divergence(loss)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"style": ()}, "a style image is needed"),
        ({"budget": 10.0}, "exclude each other"),
        ({"style_weight": "auto", "normalization": "gatys"}, "needs relative losses"),
        ({"style": (Path("style.png"), Path("photos/style.png"))}, "rename one"),
        ({"name": "a/b"}, "a name has none of"),
        ({"style": (Path("dot.png"),)}, r"dot\.png: the style image needs 16 pixels"),
        ({"style": (Path("missing.png"),)}, "missing.png"),
        ({"data": "nowhere"}, "no such folder"),
        ({"init_from": "nothing"}, "no style named 'nothing'"),
        ({"style_layers": ("relu9_9",)}, "relu9_9"),
        ({"loss_weights": Path("none.pth")}, "none.pth"),
    ],
)
def test_what_cannot_be_trained_is_said_at_once_and_leaves_nothing(settings, message) -> None:
    with pytest.raises((UserError, OSError), match=message):
        train(replace(SHALLOW, **settings))
    assert not Path("runs").exists() and not Path("checkpoints").exists()


def test_an_existing_style_file_is_only_replaced_by_force() -> None:
    train(replace(SHALLOW, steps=1))
    before = Path("checkpoints/style.safetensors").read_bytes()
    with pytest.raises(TrainingError, match="exists: choose another --name, or --force"):
        train(SHALLOW)
    assert Path("checkpoints/style.safetensors").read_bytes() == before
    train(replace(SHALLOW, steps=2, force=True))
    assert Path("checkpoints/style.safetensors").read_bytes() != before


def test_unreadable_photos_are_skipped_and_counted(caplog) -> None:
    for number in range(3):
        Path(f"photos/broken{number}.jpg").write_bytes(b"no picture")
    with caplog.at_level("INFO", logger="fastnst"):
        train(replace(SHALLOW, steps=12))
    assert "unreadable photos were skipped" in caplog.text


def test_a_style_file_does_not_tell_where_its_maker_keeps_files(tmp_path) -> None:
    settings = replace(SHALLOW, style=(tmp_path / "style.png",), data=str(tmp_path / "photos"), steps=1)
    train(replace(settings, name="start"))
    train(replace(settings, init_from=str(tmp_path / "checkpoints/start.safetensors")))
    assert str(tmp_path).encode() not in Path("checkpoints/style.safetensors").read_bytes()
    assert str(tmp_path) in Run("style").settings.read_text()  # the run itself needs it to go on


def test_settings_of_a_run_are_kept_as_json() -> None:
    train(replace(SHALLOW, steps=1))
    assert json.loads(Run("style").settings.read_text())["crop_size"] == 48


def test_adam_alone_can_be_asked_for(monkeypatch) -> None:
    made = []
    configure = StyleTrainer.configure_optimizers
    monkeypatch.setattr(StyleTrainer, "configure_optimizers", lambda self: made.append(configure(self)) or made[-1])
    for optimizer in ("adam", "muon"):
        train(replace(SHALLOW, name=optimizer, optimizer=optimizer, steps=2))
    assert [type(optimizer).__name__ for optimizer in made] == ["Adam", "Muon"]
    assert not same(weights("adam"), weights("muon"))
    filters = [len(parameter.shape) for parameter in made[1].param_groups[0]["params"]]
    assert set(filters) == {4} and len(filters) == 15  # all convolutions, the skip among them, but the painter


def test_style_weight_auto_finds_a_weight_and_says_it_in_the_file() -> None:
    result = train(replace(SHALLOW, style_weight="auto", steps=30))
    found = result["settings"]["style_weight"]
    assert found != 8.0 and 0.5 <= found <= 64.0
    held_out = result["held_out"]
    assert held_out["total"] == pytest.approx(held_out["content"] + found * held_out["style"], rel=1e-3)


def test_a_search_for_the_style_weight_is_resumed_bit_for_bit(monkeypatch) -> None:
    searching = replace(SHALLOW, style_weight="auto", steps=24)
    train(replace(searching, name="whole"))
    step = StyleTrainer.training_step

    def interrupted(self, batch, batch_idx):
        if self.global_step == 8:
            os.kill(os.getpid(), signal.SIGTERM)
        return step(self, batch, batch_idx)

    monkeypatch.setattr(StyleTrainer, "training_step", interrupted)
    with pytest.raises(Interrupted):
        train(replace(searching, name="parts"))
    monkeypatch.setattr(StyleTrainer, "training_step", step)
    train(TrainSettings(resume=True, name="parts", quiet=True))
    assert same(weights("whole"), weights("parts"))
    first, second = (read_info(Path(f"checkpoints/{name}.safetensors"))["settings"] for name in ("whole", "parts"))
    assert first["style_weight"] == second["style_weight"]


@pytest.mark.parametrize(
    ("shape", "expected", "before"),
    [
        ((400, 1000), 1000, 480),
        ((800, 1000), 640, 384),
        ((1000, 600), 853, 384),
        ((600, 3000), 2560, 960),
        ((30, 300), 300, 300),
        ((300, 15_000), 8192, 8192),
    ],
)
def test_the_size_of_a_style_image_follows_from_its_shape(shape, expected, before) -> None:
    Image.new("RGB", shape[::-1], "white").save("painting.png")
    image = load_style_image(Path("painting.png"))
    assert max(load_style_image(Path("painting.png"), None).shape[-2:]) == before  # in files without a size
    assert max(image.shape[-2:]) == expected and max(load_style_image(Path("painting.png"), 60).shape[-2:]) == 60
    assert max(shrunk(image, 0.5).shape[-2:]) == round(expected / 2)


def test_the_size_is_in_the_header_of_a_painting() -> None:
    Image.effect_noise((900, 300), 50).save("painting.png")
    Path("cut.png").write_bytes(Path("painting.png").read_bytes()[:500])
    assert (
        style_side(Path("cut.png"), None) == 576
        and style_side(Path("cut.png"), "auto") == 900
        and style_side(Path("cut.png"), 4000) == 900
    )
    with pytest.raises(UserError, match=r"cut\.png: damaged image"):
        load_style_image(Path("cut.png"), None)


def test_a_painting_is_decoded_once(monkeypatch) -> None:
    paths = []
    original = read.read_picture
    monkeypatch.setattr(read, "read_picture", lambda path, **size: paths.append(path.name) or original(path, **size))
    train(replace(SHALLOW, steps=1, quiet=False))
    assert paths.count("style.png") == 1


def test_the_border_loss_sees_the_border_alone_and_teaches_the_picture_without_surroundings() -> None:
    alone, surrounded = torch.zeros(2, 3, 8, 10, requires_grad=True), torch.zeros(2, 3, 8, 10, requires_grad=True)
    with torch.no_grad():
        surrounded[1, :, 2:-2, 2:-2] = 5.0
        surrounded[0, :, 0] = 0.5  # 10 of the 56 pixels of the border
    losses = border_loss(alone, surrounded, 2)
    assert losses.tolist() == pytest.approx([0.25 * 10 / 56, 0.0])
    losses.sum().backward()
    assert alone.grad is not None and alone.grad.any() and surrounded.grad is None


@pytest.mark.slow
def test_a_network_paints_a_border_as_it_would_inside_a_larger_photo(monkeypatch) -> None:
    def frame(name: str) -> float:
        """How much the border of a picture differs from the same place in the picture of a larger photo.

        Of large ones: in small ones the norms' statistics change with the border, which no network can help.
        """
        network = load_style(Path(f"checkpoints/{name}.safetensors")).network.eval()
        photo = torch.from_numpy(np.asarray(stripes(256, 20)) / 255).permute(2, 0, 1)[None].float()
        with torch.no_grad():
            return float(border_loss(network(within(photo, 8)), within(network(photo), 8), 8))

    for number in range(8):  # large enough that there is more of them around a crop
        stripes(96, 20 + 5 * number).save(f"photos/{number}.jpg")
    monkeypatch.setattr("fastnst.training.style_trainer.BORDER_EVERY", 1)
    frames = dict.fromkeys((0.0, 100.0), 0.0)
    for weight, seed in product(frames, (0, 1)):
        monkeypatch.setattr("fastnst.training.style_trainer.BORDER_WEIGHT", weight)
        train(replace(SHALLOW, steps=100, margin=8, seed=seed, name=f"{weight:.0f}-{seed}"))
        frames[weight] += frame(f"{weight:.0f}-{seed}")
    assert frames[100.0] < 0.85 * frames[0.0]


def test_the_border_of_every_style_is_looked_at(monkeypatch) -> None:
    seen = []
    network = StyleTrainer.losses

    def losses(self, photos, styles, *, margin=0, draws=(), **targets):
        calls = []
        with monkeypatch.context() as patched:
            patched.setattr(
                "fastnst.training.style_trainer.border_loss", lambda *given: calls.append(1) or border_loss(*given)
            )
            found = network(self, photos, styles, margin=margin, draws=draws, **targets)
        if margin:
            seen.append((int(styles[0]), bool(calls)))
        return found

    monkeypatch.setattr(StyleTrainer, "losses", losses)
    train(replace(SHALLOW, style=(Path("style.png"), Path("other.png")), steps=16, margin=8))
    assert sorted(style for style, looked in seen if looked) == [0, 0, 1, 1]


@pytest.mark.parametrize("name", PRESETS)
def test_no_network_sees_beyond_the_default_margin(name) -> None:
    assert TransformationNetwork(**PRESETS[name]).reach <= TrainSettings().margin


def test_a_style_that_is_not_there_is_named_in_one_line() -> None:
    with pytest.raises(UserError, match=r"^nosuch\.png: no such file$"):
        train(replace(SHALLOW, style=(Path("nosuch.png"),)))


def test_a_training_runs_in_a_thread_and_its_settings_take_text_for_paths() -> None:
    """As in a notebook or a program with a window: signals are left to the main thread."""
    settings = replace(SHALLOW, style="style.png", steps=1)  # type: ignore[arg-type]
    with ThreadPoolExecutor(1) as pool:
        result = pool.submit(train, settings, folder=Path("elsewhere")).result()
    assert Path(result["path"]) == Path("elsewhere/checkpoints/style.safetensors") and Path(result["path"]).exists()


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed."),
        RuntimeError("received 0 items of ancdata"),
        ConnectionResetError(104, "Connection reset by peer"),
        EOFError(),
    ],
)
def test_a_process_that_dies_while_a_photo_is_on_its_way_is_told_in_a_line(monkeypatch, error) -> None:
    """What Python and torch raise then depends on how far the photo has come."""

    def fit(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("pytorch_lightning.Trainer.fit", fit)
    with pytest.raises(TrainingError, match="a process that decodes photos died"):
        train(SHALLOW)


def test_photos_share_the_style_only_where_a_training_starts_from_a_trained_network() -> None:
    first = train(replace(SHALLOW, style_per_photo=None))
    assert first["settings"]["style_per_photo"] == 1
    again = train(replace(SHALLOW, name="again", init_from="style", style_per_photo=None))
    assert again["settings"]["style_per_photo"] == 0.25
    asked = train(replace(SHALLOW, name="asked", style_per_photo=0.0))
    assert asked["settings"]["style_per_photo"] == 0
