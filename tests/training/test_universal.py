import json
import signal
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from fastnst.base.errors import Interrupted, TrainingError
from fastnst.networks.catalog import read_info
from fastnst.training import universal
from fastnst.training.settings import UniversalSettings
from fastnst.training.universal import train_universal
from fastnst.training.universal_trainer import UniversalTrainer, fit_last_layer, relative_error
from fastnst.universal.autoencoder import FULL, Autoencoder, vgg19
from fastnst.universal.file import load_autoencoder

QUICK = UniversalSettings(
    data="photos", steps=6, crop_size=32, batch_size=5, visits=2, device="cpu", workers=0, quiet=True, name="any"
)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    """Seven photos in an otherwise empty current folder."""
    monkeypatch.chdir(tmp_path)
    Path("photos").mkdir()
    noise = torch.Generator().manual_seed(0)
    for number in range(7):
        small = torch.randint(0, 256, (6, 6, 3), dtype=torch.uint8, generator=noise)
        Image.fromarray(small.numpy()).resize((64, 64)).save(f"photos/{number}.jpg")
    return tmp_path


@pytest.fixture
def small_teacher(monkeypatch) -> None:
    """A teacher of few channels: VGG19 takes seconds."""

    def few() -> Autoencoder:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(1)
            return Autoencoder((4, 5, 6, 7, 8))

    monkeypatch.setattr(universal, "vgg19", few)


def weights(name: str = "any") -> dict[str, torch.Tensor]:
    return load_file(f"checkpoints/{name}.safetensors")


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def test_a_training_writes_a_file_that_says_how_it_was_made(small_teacher) -> None:
    result = train_universal(QUICK)
    info = read_info(Path("checkpoints/any.safetensors"))
    assert info["kind"] == "universal" and info["steps"] == 6 and info["data"]["photos"] == 6
    assert sorted(result["held_out"]) == [f"psnr_{level}" for level in range(1, 6)]
    assert load_autoencoder(Path("checkpoints/any.safetensors")).channels == (16, 32, 64, 128, 128)
    assert Path("runs/any/preview.png").exists() and not Path("runs/any/last.ckpt").exists()
    assert "photos" not in json.dumps(info["settings"]["init_from"])


def test_the_error_falls() -> None:
    torch.manual_seed(0)
    module = UniversalTrainer(Autoencoder((4, 6, 8, 8, 8)), Autoencoder((4, 6, 8, 8, 8)), schedule=None, clock=None)
    optimizer = torch.optim.Adam([each for each in module.parameters() if each.requires_grad], lr=3e-3)
    photos, losses = torch.rand(5, 3, 32, 32), []
    for _ in range(30):
        errors = module.errors(photos, [1, 2, 3, 4, 5])
        losses.append(sum(errors.values()))
        optimizer.zero_grad()
        losses[-1].backward()
        optimizer.step()
    assert losses[-1] < 0.7 * losses[0]


def test_decoding_the_levels_together_gives_each_photo_its_own_image() -> None:
    torch.manual_seed(0)
    module = UniversalTrainer(Autoencoder((4, 6, 8, 8, 8)), None, schedule=None, clock=None)
    photos, levels = torch.rand(6, 3, 32, 32), [2, 5, 1, 3, 5, 4]
    features = module.network.encode(photos)
    images, _ = module._decoded(features, features, levels)
    for place, level in enumerate(levels):
        wanted = module.network.decode(features[level - 1][[place]], level)
        torch.testing.assert_close(images[[place]], wanted, rtol=1e-4, atol=1e-4)


def test_the_error_of_features_moves_the_decoder_and_not_the_encoder() -> None:
    module = UniversalTrainer(Autoencoder((4, 6, 8, 8, 8)), None, schedule=None, clock=None)
    module.network.encoder.requires_grad_(True)
    features = module._encoded_by_a_fixed_encoder(module.network.decode(torch.rand(1, 8, 2, 2), 5))
    features[-1].sum().backward()
    assert all(each.grad is None for each in module.network.encoder.parameters())
    assert any(each.grad.abs().sum() > 0 for each in module.network.decoder.parameters())


def test_relative_errors_are_per_photo() -> None:
    wanted = torch.tensor([[[[3.0, 4.0]]], [[[1.0, 0.0]]]])
    assert relative_error(0 * wanted, wanted).tolist() == pytest.approx([1, 1])
    assert relative_error(1.1 * wanted, wanted).tolist() == pytest.approx([0.01, 0.01])


def test_a_run_that_was_stopped_and_resumed_ends_with_the_same_weights(small_teacher, monkeypatch) -> None:
    train_universal(replace(QUICK, name="straight"))
    step = UniversalTrainer.training_step

    def stopping(self, batch, batch_idx):
        if self.global_step == 2:
            signal.raise_signal(signal.SIGINT)
        return step(self, batch, batch_idx)

    monkeypatch.setattr(UniversalTrainer, "training_step", stopping)
    with pytest.raises(Interrupted, match="train-universal --resume --name any"):
        train_universal(QUICK)
    monkeypatch.setattr(UniversalTrainer, "training_step", step)
    with pytest.raises(TrainingError, match="unfinished"):
        train_universal(QUICK)
    with pytest.raises(TrainingError, match="--crop-size 32"):
        train_universal(replace(QUICK, resume=True, crop_size=48))
    train_universal(UniversalSettings(name="any", resume=True, quiet=True, device="cpu", workers=0))
    assert same(weights(), weights("straight"))


def test_a_training_goes_on_from_the_file_of_an_earlier_one(small_teacher) -> None:
    train_universal(replace(QUICK, steps=1, learning_rate=1e-12, name="first"))
    train_universal(
        replace(QUICK, steps=1, learning_rate=1e-12, name="second", init_from="checkpoints/first.safetensors")
    )
    first, second = weights("first"), weights("second")
    for name in first.keys() - {"decoder.0.0.weight", "decoder.0.0.bias"}:  # the last layer, fitted at the end
        torch.testing.assert_close(first[name], second[name], rtol=0, atol=1e-3)
    train_universal(replace(QUICK, steps=1, learning_rate=1e-12, seed=1, name="other"))
    assert not torch.allclose(first["encoder.2.0.weight"], weights("other")["encoder.2.0.weight"], atol=1e-2)


@pytest.mark.long
def test_vgg19_itself_can_be_the_encoder_and_only_its_decoder_is_trained_and_written() -> None:
    train_universal(replace(QUICK, steps=2, batch_size=2, encoder="vgg19"))
    assert all(name.startswith("decoder.") for name in weights())
    loaded, fresh = load_autoencoder(Path("checkpoints/any.safetensors")), vgg19()
    assert loaded.channels == FULL
    assert same(dict(loaded.encoder.state_dict()), dict(fresh.encoder.state_dict()))


def test_the_last_layer_is_fitted_by_least_squares() -> None:
    torch.manual_seed(0)
    network = Autoencoder((12, 6, 8, 8, 8))
    photos = torch.rand(3, 3, 32, 32)

    def error(level: int) -> float:
        with torch.no_grad():
            return float((network.decode(network.encode(photos)[level - 1], level) - photos).square().mean())

    before = [error(level) for level in range(1, 6)]
    fit_last_layer(network, photos)
    after = [error(level) for level in range(1, 6)]
    assert all(now < earlier for now, earlier in zip(after, before, strict=True))
    # No other weights are better for the sum that is minimised.
    total = 30 * after[0] + sum(after[1:])
    for _ in range(3):
        with torch.no_grad():
            change = 1e-3 * torch.randn_like(network.decoder[0][0].weight)
            network.decoder[0][0].weight.add_(change)
            assert 30 * error(1) + sum(error(level) for level in range(2, 6)) > total
            network.decoder[0][0].weight.sub_(change)
