import json
import math
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from fastnst.base.errors import UserError
from fastnst.bench.checks import check_look
from fastnst.bench.look import (
    CONTENT_LAYERS,
    NETWORK,
    STYLE_LAYERS,
    Judge,
    Look,
    bench_look,
    blurred,
    color,
    direction,
    fog,
    frame,
    lattice,
    middle,
    saturation,
)
from fastnst.bench.settings import BenchLookSettings
from fastnst.images.photos import SAMPLE_STYLE, resolve_photo
from fastnst.images.read import load_image
from fastnst.images.write import save_image
from fastnst.perception.loss_network import LossNetwork


@pytest.fixture(scope="module")
def coffee() -> torch.Tensor:
    return middle(load_image(resolve_photo("sample:coffee")), 256)


@pytest.fixture(scope="module")
def loss_network() -> LossNetwork:
    return LossNetwork((*STYLE_LAYERS, *CONTENT_LAYERS), name=NETWORK, weights=None)


def waves(period: float, angle: float, size: int = 256) -> torch.Tensor:
    """Stripes `(1, 3, H, W)` around 0; the angle, in degrees, is that of their normal."""
    place = torch.arange(size).float()
    across, down = (torch.tensor(angle).deg2rad().cos(), torch.tensor(angle).deg2rad().sin())
    phase = 2 * torch.pi * (place * across + place[:, None] * down) / period
    return torch.sin(phase).expand(1, 3, size, size)


def test_the_lattice_is_the_deviation_of_what_repeats_in_flat_regions() -> None:
    flat, amplitude = torch.full((1, 3, 256, 256), 0.5), 0.05
    assert lattice(flat, flat) == 0
    found = lattice(flat + amplitude * waves(8, 30), flat)
    assert found == pytest.approx(amplitude / 2**0.5, rel=0.15)
    noise = amplitude * torch.randn(1, 3, 256, 256, generator=torch.Generator().manual_seed(0))
    assert lattice(flat + noise, flat) < 0.4 * found
    assert lattice(flat + amplitude * waves(40, 30), flat) < 0.2 * found  # a stroke


def test_a_lattice_is_looked_for_where_the_photo_is_flat() -> None:
    photo = torch.full((1, 3, 256, 256), 0.5)
    photo[..., :192, :] += 0.2 * torch.randn(1, 3, 192, 256, generator=torch.Generator().manual_seed(0))
    painted = torch.full((1, 3, 256, 256), 0.5)
    painted[..., :128, :] += 0.1 * waves(8, 0)[..., :128, :]
    assert lattice(painted, photo) < 1e-3 < lattice(painted.flip(2), photo)


def test_a_frame_is_what_the_borders_of_many_pictures_have_in_common(coffee) -> None:
    framed = coffee.clone()
    framed[:, 0, :16] += 0.2
    assert frame([coffee, coffee], [coffee, coffee]) == 0
    assert frame([framed], [coffee]) == pytest.approx(0.2 * 16 * 256 / (256**2 - 224**2), rel=1e-3)
    other = coffee.clone()
    other[:, 0, :16] -= 0.2
    assert frame([framed, other], [coffee, coffee]) < 1e-6


def test_direction_tells_whether_strokes_follow_the_photo() -> None:
    along, across = waves(20, 30), waves(20, 120)
    assert direction(along, along) == pytest.approx(1, abs=0.01)
    assert direction(waves(9, 30), along) > 0.9
    assert direction(across, along) < -0.9


def test_saturation_is_the_share_of_the_ends(coffee) -> None:
    assert saturation(torch.tensor([0.0, 0.5, 1.0, 0.005]).view(1, 1, 2, 2)) == 0.75


@pytest.mark.long
def test_the_judge_knows_the_painting_at_any_size_and_the_photo(loss_network, coffee) -> None:
    judge = Judge(loss_network, SAMPLE_STYLE)
    for size in (384, 768):
        assert max(judge.style(load_image(SAMPLE_STYLE, size=size))) < 1e-6
    assert min(judge.style(coffee)) > 0.1 and judge.content(coffee, coffee) == 0
    assert judge.content(blurred(coffee), coffee) > judge.content((0.5 * coffee + 0.2).clamp(0, 1), coffee)


def test_lower_is_better_in_all_that_counts() -> None:
    good = Look(0.1, 0.1, content=0.5, lattice=0.0, frame=0.0, saturation=0.0, direction=1.0, fog=0.1, color=9.0)
    for worse in ("gram", "moments", "lattice", "fog"):
        assert good._replace(**{worse: 1.0}).score > good.score
    assert good._replace(color=5.0).score > good.score


def test_fog_is_detail_that_is_gone_and_none_that_is_new() -> None:
    grey = torch.rand(1, 1, 256, 256, generator=torch.Generator().manual_seed(0)).expand(-1, 3, -1, -1)
    foggy = grey.clone()
    foggy[..., :128] = 0.5 + 0.1 * (grey[..., :128] - 0.5)  # a tenth of the deviation in one half
    assert fog(grey, grey) == 0 == fog(0.2 + 1.5 * grey, grey)
    assert fog(foggy, grey) == pytest.approx(math.log(10) / 2, rel=0.1)


def test_colours_that_differ_count_and_one_tint_does_not() -> None:
    tinted = torch.rand(1, 1, 64, 64).expand(-1, 3, -1, -1) * torch.tensor([1.0, 0.9, 0.8]).view(1, 3, 1, 1)
    halves = torch.zeros(1, 3, 64, 64)
    halves[:, 0, :, :32], halves[:, 2, :, 32:] = 1.0, 1.0
    assert color(tinted) < 3 < 30 < color(halves)


@pytest.mark.long
def test_styles_folders_and_controls_are_judged_side_by_side(
    loss_network, coffee, tmp_path, monkeypatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({f"{k}": v for k, v in torchvision_names(loss_network).items()}, "judge.pth")
    save_image(coffee, Path("theirs/coffee.png"))
    settings = BenchLookSettings(
        style_image=Path("sample:wave"),
        judge=Path("judge.pth"),
        style=("great_wave_live",),
        pictures=(Path("theirs"),),
        photo=("sample:coffee",),
        size=256,
        controls=True,
        sheet=Path("sheet.png"),
        output=Path("look.json"),
        json=True,
    )
    result = bench_look(settings)
    assert json.loads(capsys.readouterr().out) == json.loads(Path("look.json").read_text()) == result
    means = result["means"]
    assert set(means) == {"great_wave_live", "theirs", "photo", "blurred photo"}
    assert means["theirs"]["content"] < 0.01 and means["photo"]["content"] == 0
    assert means["great_wave_live"]["content"] > 0.1
    assert load_image(Path("sheet.png")).shape[-1] > 4 * 256
    with pytest.raises(UserError, match=r"sheet.png exists: choose another --sheet"):
        bench_look(replace(settings, output=None))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pictures": ("theirs",)}, "theirs: no picture called astronaut, as the photo is"),
        ({"pictures": ("empty",)}, "no photos in empty"),
        ({"photo": ("theirs", "again")}, "again/coffee.png and theirs/coffee.png have one name: rename one"),
        ({"style": ()}, "nothing to judge: give --style, --pictures or both"),
        ({"style": ("great_wav",)}, "did you mean great_wave"),
        ({"judge": "none.pth"}, "none.pth: no such file"),
        ({"sheet": "sheet.xyz"}, "sheet.xyz: expected a name ending in .png"),
        ({"sheet": "file/sheet.png"}, "file is no folder that can be written to"),
        ({"output": "file/look.json"}, "file is no folder that can be written to"),
    ],
)
def test_mistakes_are_told_before_any_work(changes, message, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    for place in ("theirs/coffee.png", "again/coffee.png"):
        save_image(torch.rand(1, 3, 128, 128), Path(place))
    Path("empty").mkdir()
    Path("file").touch()
    settings = {"style": ("great_wave",), "style_image": "sample:wave", "judge": "file", "photo": ("sample:astronaut",)}
    with pytest.raises(UserError, match=re.escape(message)):
        check_look(BenchLookSettings(**{**settings, **changes}))


def torchvision_names(network: LossNetwork) -> dict[str, torch.Tensor]:
    """The tensors of a loss network as a file of weights has them."""
    names = {"conv1": "features.0"}
    keys = dict(zip(range(2, 10), (3, 4, 5, 7, 8, 9, 10, 12), strict=True))
    for fire, key in keys.items():
        for part in ("squeeze", "expand1x1", "expand3x3"):
            names[f"fire{fire}_{part}"] = f"features.{key}.{part}"
    state = network.operations.state_dict()
    return {f"{names[name.rpartition('.')[0]]}.{name.rpartition('.')[2]}": value for name, value in state.items()}
