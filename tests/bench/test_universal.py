import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from fastnst.base.errors import UserError
from fastnst.bench.settings import BenchUniversalSettings
from fastnst.bench.universal import ENCODING, Yardstick, bench_universal
from fastnst.images.photos import resolve_photo
from fastnst.images.read import load_image
from fastnst.images.write import save_image
from fastnst.universal.autoencoder import Autoencoder
from fastnst.universal.file import save_autoencoder

CHANNELS = {"1": 4, "2": 4, "3": 5, "4": 6, "5": 6}


@pytest.fixture
def yardstick(tmp_path) -> Path:
    """A file with the names and the order of the real one, few channels and random weights."""
    torch.manual_seed(0)
    tensors = {}
    for level in range(1, 6):
        below = 3
        tensors[f"encoder{level}.conv0.weight"] = torch.eye(3)[..., None, None].contiguous()
        tensors[f"encoder{level}.conv0.bias"] = torch.zeros(3)
        for name in ENCODING[: ENCODING.index(f"{level}1") + 1]:
            own = CHANNELS[name[0]]
            for part, (inputs, outputs) in {"encoder": (below, own), "decoder": (own, below)}.items():
                tensors[f"{part}{level}.conv{name}.weight"] = torch.randn(outputs, inputs, 3, 3) / (3 * inputs**0.5)
                tensors[f"{part}{level}.conv{name}.bias"] = torch.zeros(outputs)
            below = own
    save_file(tensors, tmp_path / "yardstick.safetensors")
    return tmp_path / "yardstick.safetensors"


@pytest.fixture
def network(tmp_path) -> Path:
    info = {"name": "any", "network": {"channels": [4, 4, 5, 6, 6], "encoder": "slim"}}
    save_autoencoder(tmp_path / "any.safetensors", Autoencoder((4, 4, 5, 6, 6)), info)
    return tmp_path / "any.safetensors"


def test_the_yardstick_decodes_each_level_to_the_photo_s_size_and_paints(yardstick, photo) -> None:
    other = Yardstick(yardstick)
    for level in range(1, 6):
        assert other.decode(other.encode(photo, level), level).shape == photo.shape
    assert other.paint(photo, 1 - photo).shape == photo.shape


def test_another_file_is_no_yardstick(sky) -> None:
    with pytest.raises(UserError, match="five slim encoders"):
        Yardstick(sky)


def test_both_are_measured_photo_by_photo_and_timed_in_one_run(yardstick, network, tmp_path, capsys) -> None:
    (tmp_path / "photos").mkdir()
    for name in ("astronaut", "coffee"):
        save_image(load_image(resolve_photo(f"sample:{name}"), size=70), tmp_path / "photos" / f"{name}.png")
    settings = BenchUniversalSettings(
        data=str(tmp_path / "photos"), network=network, yardstick=yardstick, size=64, rounds=2, json=True
    )
    bench_universal(settings)
    result = json.loads(capsys.readouterr().out)
    assert set(result["photos"]) == {"astronaut", "coffee"}
    for name in ("ours", "yardstick"):
        rows = [result["photos"][photo][name] for photo in ("astronaut", "coffee")]
        assert result["mean"][name] == pytest.approx([sum(each) / 2 for each in zip(*rows, strict=True)], abs=0.011)
    assert result["painting"]["yardstick"]["ratio"] == 1 and result["painting"]["ours"]["ratio"] > 0
