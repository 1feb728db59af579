"""What a step learns from: crops, their margin and border, the weight of the style, the optimiser."""

import os
import shutil
import signal
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from small_training import SHALLOW, same, stripes, weights

from fastnst.base.errors import Interrupted, TrainingError
from fastnst.networks.catalog import read_info
from fastnst.networks.network import TransformationNetwork, within
from fastnst.networks.presets import PRESETS
from fastnst.networks.style_file import load_style
from fastnst.perception.perceptual_loss import PerceptualLoss
from fastnst.training.settings import TrainSettings
from fastnst.training.style_trainer import StyleTrainer, border_loss
from fastnst.training.train import train

pytestmark = pytest.mark.usefixtures("style_and_photos")


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

    def forward(self, images, style, *, margin=0):
        painted = self.network(images, style, margin=margin)
        inner = within(painted, self.width - margin)  # what is left of the frame when the margin is gone
        return torch.nn.functional.pad(inner, [self.width - margin] * 4)


@pytest.mark.long
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


@pytest.mark.parametrize(
    ("bfloat16", "layout"), [(True, torch.channels_last), (False, torch.contiguous_format)], ids=["bfloat16", "float32"]
)
def test_filters_and_their_gradients_lie_as_the_precision_wants_it(bfloat16, layout, monkeypatch) -> None:
    monkeypatch.setattr("fastnst.training.train.multiplies_bfloat16", lambda device: bfloat16)
    found = []

    def look(self: StyleTrainer, *_: object) -> None:
        filters = self.network.encoder[1].conv.weight
        assert filters.shape[1] > 1 and filters.grad is not None
        found.append([each.is_contiguous(memory_format=layout) for each in (filters, filters.grad)])

    monkeypatch.setattr(StyleTrainer, "on_before_optimizer_step", look)
    train(replace(SHALLOW, steps=2))
    assert found == [[True, True]] * 2
    assert all(weight.isfinite().all() for weight in weights().values())


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
