import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from fastnst.base.errors import Interrupted, TrainingError
from fastnst.images.read import load_image
from fastnst.networks.catalog import StyleFileError, find_style_file, read_info
from fastnst.networks.network import TransformationNetwork
from fastnst.networks.style_file import load_style
from fastnst.perception.calm import fine_detail
from fastnst.training import base, base_trainer
from fastnst.training.base import train_base
from fastnst.training.base_trainer import BaseTrainer
from fastnst.training.paintings import PaintingFolder
from fastnst.training.settings import BaseSettings, TrainSettings
from fastnst.training.train import train
from fastnst.universal.file import load_predictor, painting_side
from fastnst.universal.predictor import paint

SHIPPED_STYLE = find_style_file("great_wave").resolve()
SHAPE = {"half": 4, "quarter": 8, "num_blocks": 1}
QUICK = BaseSettings(
    paintings=("paintings",),
    data="photos",
    steps=6,
    crop_size=32,
    margin=8,
    visits=2,
    device="cpu",
    workers=0,
    quiet=True,
    name="any",
)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    """Seven photos and twenty paintings in an otherwise empty current folder, and a small network."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(base.PRESETS, "small", SHAPE)
    noise = torch.Generator().manual_seed(0)
    for kind, count in (("photos", 7), ("paintings", 20)):
        Path(kind).mkdir()
        for number in range(count):
            small = torch.randint(0, 256, (6, 6, 3), dtype=torch.uint8, generator=noise)
            Image.fromarray(small.numpy()).resize((64, 64)).save(f"{kind}/{number}.png")
    return tmp_path


def weights(name: str = "any") -> dict[str, torch.Tensor]:
    return load_file(f"checkpoints/{name}.safetensors")


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def test_a_training_writes_a_file_that_says_how_it_was_made() -> None:
    result = train_base(QUICK)
    info = read_info(Path("checkpoints/any.safetensors"))
    assert info["kind"] == "predictor" and info["steps"] == 6 and info["paintings"] == 4
    assert set(result["held_out"]) == {"total", "content", "style", "variation"}
    assert info["network"] == {**SHAPE, "num_styles": 1} and info["settings"]["paintings"] == ["paintings"]
    assert Path("runs/any/preview.png").exists() and not Path("runs/any/last.ckpt").exists()


@pytest.mark.parametrize(("asked", "side"), [(40, 40), (None, 48)])
def test_paintings_have_the_size_asked_for_and_the_file_says_it(asked, side, monkeypatch) -> None:
    seen = set()
    get = PaintingFolder.__getitem__

    def watched(self: PaintingFolder, number: int) -> torch.Tensor:
        painting = get(self, number)
        seen.add(tuple(painting.shape[-2:]))
        return painting

    monkeypatch.setattr(PaintingFolder, "__getitem__", watched)
    train_base(replace(QUICK, steps=1, crop_size=24, painting_size=asked))
    assert seen == {(side, side)} and painting_side(Path("checkpoints/any.safetensors")) == side


def test_an_interrupted_training_ends_as_if_it_had_run_through(monkeypatch) -> None:
    train_base(replace(QUICK, name="straight"))
    step = BaseTrainer.training_step

    def stop_at_3(self: BaseTrainer, *args: object) -> torch.Tensor:
        if self.global_step == 3:
            signal.raise_signal(signal.SIGTERM)
        return step(self, *args)

    monkeypatch.setattr(BaseTrainer, "training_step", stop_at_3)
    with pytest.raises(Interrupted, match="train-base --resume --name any"):
        train_base(QUICK)
    monkeypatch.setattr(BaseTrainer, "training_step", step)
    with pytest.raises(TrainingError, match="--margin 8, not 4"):
        train_base(replace(QUICK, resume=True, margin=4))
    train_base(BaseSettings(name="any", resume=True, quiet=True, device="cpu", workers=0))
    assert same(weights(), weights("straight"))


def test_a_training_goes_on_from_a_file_of_an_earlier_one() -> None:
    train_base(replace(QUICK, steps=1, learning_rate=1e-12, name="first"))
    train_base(replace(QUICK, steps=1, learning_rate=1e-12, seed=1, init_from="checkpoints/first.safetensors"))
    assert same(weights(), weights("first"))


def test_it_goes_on_with_the_network_of_the_file_whatever_the_preset(monkeypatch) -> None:
    train_base(replace(QUICK, steps=1, learning_rate=1e-12, name="first"))
    monkeypatch.setitem(base.PRESETS, "small", {**SHAPE, "half": 6})
    train_base(replace(QUICK, steps=1, learning_rate=1e-12, init_from="checkpoints/first.safetensors"))
    assert same(weights(), weights("first"))
    assert read_info(Path("checkpoints/any.safetensors"))["network"] == {**SHAPE, "num_styles": 1}
    with pytest.raises(StyleFileError, match="holds no predictor"):
        train_base(replace(QUICK, name="other", init_from=str(SHIPPED_STYLE)))


def test_every_photo_meets_another_painting_and_each_has_its_own_target(monkeypatch) -> None:
    seen = []
    targets = PaintingFolder.style_targets
    monkeypatch.setattr(
        PaintingFolder, "style_targets", lambda self, numbers: seen.append(tuple(numbers)) or targets(self, numbers)
    )
    train_base(replace(QUICK, steps=8, batch_size=3))
    training = [numbers for numbers in seen if max(numbers) < 4]
    assert len(set(training)) > 4 and {number for numbers in training for number in numbers} == {0, 1, 2, 3}
    held_out = [numbers for numbers in seen if max(numbers) >= 4]
    assert held_out and all(min(numbers) >= 4 for numbers in held_out)


def test_photos_of_a_step_share_a_painting_whose_style_they_have_together(monkeypatch) -> None:
    seen: list[tuple[int, ...]] = []
    targets = PaintingFolder.style_targets
    monkeypatch.setattr(
        PaintingFolder, "style_targets", lambda self, numbers: seen.append(tuple(numbers)) or targets(self, numbers)
    )
    train_base(replace(QUICK, steps=8, batch_size=3, style_per_photo=0.25))
    training = [numbers for numbers in seen if max(numbers) < 4]
    assert {len(numbers) for numbers in training} == {3} and all(len(set(numbers)) == 1 for numbers in training)
    assert len(set(training)) > 1
    together = weights()
    monkeypatch.setattr(base_trainer, "shared_layers", lambda targets: [])
    train_base(replace(QUICK, steps=8, batch_size=3, style_per_photo=0.25, force=True))
    assert not same(weights(), together)


@pytest.mark.long
def test_a_calm_training_puts_less_detail_into_even_photos() -> None:
    ramp = np.linspace(60, 200, 64, dtype=np.uint8)
    for number in range(7):
        Image.fromarray(np.roll(np.broadcast_to(ramp, (64, 64)), 9 * number, 1)).save(f"photos/{number}.png")
    even = torch.from_numpy(ramp / 255).float().expand(1, 3, 64, 64)
    found = {}
    for calm in (0.0, 300.0):
        train_base(replace(QUICK, steps=40, batch_size=2, learning_rate=0.01, calm=calm, name=f"calm-{calm:.0f}"))
        network, predictor = load_predictor(Path(f"checkpoints/calm-{calm:.0f}.safetensors"))
        numbers = predictor(predictor.statistics(load_image(Path("paintings/0.png"))))
        with torch.no_grad():
            found[calm] = float(fine_detail(paint(network, even, numbers))[..., 8:-8, 8:-8].mean())
    assert found[300.0] < 0.5 * found[0.0]


def test_the_border_has_a_loss_of_its_own(monkeypatch) -> None:
    weights_of = {}
    for weight in (0.0, 10.0):
        monkeypatch.setattr(base_trainer, "BORDER_WEIGHT", weight)
        train_base(replace(QUICK, steps=1, name=f"border {weight:.0f}"))
        weights_of[weight] = weights(f"border {weight:.0f}")
    assert not same(weights_of[0.0], weights_of[10.0])


def test_a_new_style_begins_as_it_is_predicted() -> None:
    train_base(QUICK)
    start = "checkpoints/any.safetensors"
    settings = {"data": "photos", "crop_size": 32, "margin": 0, "workers": 0, "quiet": True, "device": "cpu"}
    result = train(
        TrainSettings(style=(Path("paintings/3.png"),), init_from=start, steps=1, learning_rate=1e-12, **settings)
    )
    assert result["began_at"]["styles"] == ["predicted"]
    network, predictor = load_predictor(Path(start))
    photos = torch.rand(1, 3, 32, 32)
    # 3.png as it is for the first crops: they have 32 px, and the style image is not larger than its file
    painting = base.PaintingFolder(["paintings"], 64, statistics=predictor.statistics, style_targets=lambda image: {})
    number = next(n for n, path in enumerate(painting.paths) if path.name == "3.png")
    with torch.no_grad():
        wanted = paint(network, photos, predictor(painting.statistics([number])))
        assert (load_style(Path("checkpoints/3.safetensors")).network(photos) - wanted).abs().max() < 0.02


def test_a_gradient_that_is_no_number_ends_the_training(monkeypatch) -> None:
    targets = PaintingFolder.style_targets
    nothing = float("nan")
    monkeypatch.setattr(
        PaintingFolder,
        "style_targets",
        lambda self, numbers: {layer: matrix * nothing for layer, matrix in targets(self, numbers).items()},
    )
    with pytest.raises(TrainingError, match="a gradient is no number at step 0"):
        train_base(QUICK)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"paintings": ()}, "folders of paintings are needed"),
        ({"style_per_photo": 0.25}, "give --batch-size 2 or more"),
        ({"paintings": ("nowhere",)}, "nowhere: no such folder"),
        ({"paintings": ("photos",)}, "at least 17 paintings are needed, 16 of them held out; got 7"),
        ({"init_from": "missing.safetensors"}, "missing.safetensors: no such file"),
    ],
)
def test_what_cannot_be_used_is_refused_and_nothing_is_written(changes, message) -> None:
    with pytest.raises(TrainingError, match=message):
        train_base(replace(QUICK, **changes))
    assert not Path("checkpoints").exists()


def test_a_broken_painting_is_named() -> None:
    for path in Path("paintings").iterdir():
        path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(TrainingError, match=r"paintings.*\.png.*: take it out of the folder"):
        train_base(QUICK)


def test_networks_of_several_photos_paint_each_in_its_own_style() -> None:
    torch.manual_seed(0)
    network = TransformationNetwork(**SHAPE)
    photos = torch.rand(1, 3, 32, 32).expand(2, -1, -1, -1)
    numbers = torch.randn(2, 2 * sum(norm.scale.shape[1] for norm in network.norms))
    both = paint(network, photos, numbers)
    assert (both[0] - both[1]).abs().max() > 0.01
    assert (paint(network, photos[:1], numbers[1:]) - both[1:]).abs().max() < 1e-5
