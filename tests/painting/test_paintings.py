"""`fastnst apply PHOTO --style PAINTING`: any painting at once, with the shipped network."""

import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from pictures import picture_of
from PIL import Image
from torch.testing import assert_close

from fastnst.base.errors import UserError
from fastnst.cli import main
from fastnst.images.levels import psnr
from fastnst.images.photos import existing_photo, resolve_photo
from fastnst.images.read import load_image, load_on_white, read_picture
from fastnst.images.write import save_image
from fastnst.networks.network import TransformationNetwork
from fastnst.painting.stylizer import Stylizer
from fastnst.universal.file import predicted_style, save_predictor
from fastnst.universal.painter import DEEPEST
from fastnst.universal.predictor import StylePredictor, numbers_of


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    """An empty current folder with a photo and two paintings."""
    monkeypatch.chdir(tmp_path)
    load_image(resolve_photo("sample:astronaut"), size=96)
    save_image(load_image(resolve_photo("sample:astronaut"), size=96), Path("photo.png"))
    save_image(load_image(resolve_photo("sample:wave"), size=96), Path("wave.jpg"))
    stripes = torch.linspace(0, 40, 80).sin().mul(0.4).add(0.5).expand(1, 3, 60, 80) * torch.tensor(
        [1.0, 0.5, 0.1]
    ).view(1, 3, 1, 1)
    save_image(stripes, Path("stripes.png"))
    return tmp_path


@pytest.fixture(scope="module")
def wave() -> Stylizer:
    return Stylizer("sample:wave", device="cpu")


@pytest.fixture
def photo() -> torch.Tensor:
    return load_image(Path("photo.png"))


def run(*words: str) -> int:
    with pytest.raises(SystemExit) as stop:
        main(["apply", *words])
    return int(stop.value.code or 0)


def loaded(path: str) -> torch.Tensor:
    return load_image(Path(path))


def test_a_photo_is_painted_like_a_painting_at_once_and_training_is_named(capsys) -> None:
    assert run("photo.png", "--style", "wave.jpg") == 0
    assert loaded("photo-wave.png").shape == (1, 3, 96, 96)
    assert "fastnst train --style wave.jpg" in capsys.readouterr().err


def test_blends_weigh_the_features_of_paintings() -> None:
    for name, style in {"one": "wave.jpg", "other": "stripes.png", "blend": "wave.jpg:0.5,stripes.png:0.5"}.items():
        assert run("photo.png", "--style", style, "-o", f"{name}.png") == 0
    means = {name: loaded(f"{name}.png").mean((0, 2, 3)) for name in ("one", "other", "blend")}
    assert (means["one"] - means["other"]).norm() > 0.1
    apart = [(means["blend"] - means[name]).norm() for name in ("one", "other")]
    assert max(apart) < 0.8 * (means["one"] - means["other"]).norm()


def test_strength_one_is_the_paper_s_alpha_of_0_6(wave, photo) -> None:
    assert torch.equal(wave(photo), wave(photo, alpha=0.6))
    assert torch.equal(wave(photo, strength=0.5), wave(photo, alpha=0.3))
    distances = [float((wave(photo, alpha=alpha) - photo).abs().mean()) for alpha in (0.0, 0.3, 0.6, 1.0)]
    assert distances == sorted(distances)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--style", "missing.jpg"), "missing.jpg: no such file"),
        (("--style", "wave.jpg:0.5,great_wave:0.5"), "not a painting"),
        (("--style", "great_wave", "--alpha", "0.5"), "--alpha is for paintings"),
        (("--style", "wave.jpg", "--alpha", "0.5", "--strength", "0.5"), "leave one out"),
        (("--style", "wave.jpg", "--alpha", "1.5"), "1.5"),
        (("--style", "wave.jpg", "--runtime", "openvino"), "painted by torch"),
        (("--style", "universal"), "paints like any picture"),
    ],
)
def test_what_cannot_be_painted_gets_one_line(words, message, capsys) -> None:
    assert run("photo.png", *words) == 2
    said = capsys.readouterr().err
    assert message in said and said.strip().count("\n") == 0
    assert sorted(Path().iterdir()) == [Path("photo.png"), Path("stripes.png"), Path("wave.jpg")]


@pytest.mark.parametrize("tile", [0, 128])
def test_a_mask_leaves_the_rest_of_the_photo_and_its_region_has_statistics_of_its_own(wave, tile) -> None:
    photo = load_image(resolve_photo("sample:coffee"), size=512)
    mask = torch.zeros(1, 1, *photo.shape[2:])
    mask[..., :96] = 1
    painted = wave(photo, strength=mask, tile=tile)
    torch.testing.assert_close(painted[..., 96:], photo[..., 96:])
    other = photo.clone()
    other[..., 400:] = 1 - other[..., 400:]  # farther from the region than any feature sees
    again = wave(other, strength=mask, tile=tile)
    torch.testing.assert_close(again[..., :96], painted[..., :96], rtol=0, atol=1e-4)
    assert (painted[..., :96] - photo[..., :96]).abs().mean() > 0.02


def test_colors_can_stay(wave, photo) -> None:
    kept = wave(photo, keep_colors=True)
    assert (kept.mean((2, 3)) - photo.mean((2, 3))).abs().max() < (
        wave(photo).mean((2, 3)) - photo.mean((2, 3))
    ).abs().max()


def test_tiles_share_the_statistics_of_the_whole_photo_and_leave_no_seam(wave) -> None:
    photo = load_image(resolve_photo("sample:coffee"), size=400)
    one, several = wave(photo, tile=4096), wave(photo, tile=96)
    assert float((one - several).abs().max()) <= 1 / 255
    assert psnr(one, wave(photo, tile=0)) > 25


def test_deep_and_transparent_pictures_keep_their_depth_and_opacity() -> None:
    deep = torch.linspace(0.1, 0.9, 40).expand(1, 3, 30, 40)
    save_image(picture_of(deep, depth=16), Path("deep.png"))
    Image.fromarray(np.dstack([np.full((30, 40, 3), 90, np.uint8), np.full((30, 40), 77, np.uint8)])).save("glass.png")
    assert run("deep.png", "glass.png", "--style", "wave.jpg", "-o", "out") == 0
    assert read_picture(Path("out/deep.png")).levels.dtype == torch.uint16
    assert bool((read_picture(Path("out/glass.png")).levels[:, 3] == 77).all())


def test_animations_are_painted_with_running_statistics(monkeypatch) -> None:
    frames = [Image.open("photo.png").resize((40, 40)).rotate(10 * turn) for turn in range(3)]
    frames[0].save("moving.gif", save_all=True, append_images=frames[1:], duration=50)
    memories = []
    paint = Stylizer.paint
    monkeypatch.setattr(Stylizer, "paint", lambda self, *a, **k: memories.append(k["memory"]) or paint(self, *a, **k))
    assert run("moving.gif", "--style", "wave.jpg", "-o", "out.gif") == 0
    with Image.open("out.gif") as image:
        assert image.n_frames == 3
    assert len(memories) == 3 and all(
        memory is memories[0] and set(memory) == set(range(1, DEEPEST + 1)) for memory in memories
    )


def test_alpha_with_a_trained_style_is_refused_in_python_too(photo, sky) -> None:
    with pytest.raises(UserError, match="alpha is for paintings"):
        Stylizer(sky, weights={"day": 1}, device="cpu")(photo, alpha=0.5)


def test_the_first_line_for_a_newcomer(caplog) -> None:
    logging.getLogger("fastnst").propagate = True
    assert run("sample:astronaut", "--style", "sample:wave", "--size", "128", "-o", "out.png") == 0
    assert loaded("out.png").shape == (1, 3, 128, 128)


def halves() -> None:
    """The masks left.png and right.png, each half of the photo."""
    for name, start in {"left": 0, "right": 48}.items():
        mask = np.zeros((96, 96), np.uint8)
        mask[:, start : start + 48] = 255
        Image.fromarray(mask).save(f"{name}.png")


def test_several_paintings_in_several_regions() -> None:
    halves()
    plain = ("photo.png", "--feather", "0")
    assert run(*plain, "--style", "wave.jpg", "--mask", "left.png", "-o", "one.png") == 0
    assert run(*plain, "--style", "stripes.png", "--mask", "right.png", "-o", "other.png") == 0
    both = (*plain, "--style", "wave.jpg", "--mask", "left.png", "--region", "right.png=stripes.png")
    assert run(*both, "-o", "both.png") == 0
    assert run(*plain, "--style", "wave.jpg", "--region", "right.png=stripes.png", "-o", "rest.png") == 0
    assert run(*both, "--tile", "64", "-o", "tiles.png") == 0
    one, other, both_, rest, tiles = (loaded(f"{name}.png") for name in ("one", "other", "both", "rest", "tiles"))
    for picture in (both_, rest):  # what no region covers is the first painting's, with statistics of its own
        torch.testing.assert_close(picture[..., :48], one[..., :48], rtol=0, atol=1.1 / 255)
        torch.testing.assert_close(picture[..., 48:], other[..., 48:], rtol=0, atol=1.1 / 255)
    assert (one - other).abs().mean() > 0.05 and psnr(tiles, both_) > 20


def test_a_later_region_covers_an_earlier_one_and_a_trained_style_may_be_one() -> None:
    halves()
    Image.new("L", (96, 96), 255).save("all.png")
    words = ("photo.png", "--feather", "0", "--style", "great_wave")
    assert run(*words, "--region", "left.png=wave.jpg", "--region", "all.png=stripes.png", "-o", "covered.png") == 0
    assert run("photo.png", "--style", "stripes.png", "-o", "stripes-alone.png") == 0
    torch.testing.assert_close(loaded("covered.png"), loaded("stripes-alone.png"), rtol=0, atol=1.1 / 255)
    assert run(*words, "--region", "left.png=wave.jpg", "-o", "mixed.png") == 0
    assert run("photo.png", "--style", "great_wave", "-o", "trained.png") == 0
    torch.testing.assert_close(loaded("mixed.png")[..., 48:], loaded("trained.png")[..., 48:], rtol=0, atol=1.1 / 255)
    assert (loaded("mixed.png") - loaded("trained.png"))[..., :48].abs().mean() > 0.02


@pytest.mark.parametrize("steady", [False, True])
def test_regions_of_an_animation_have_running_statistics_of_their_own(steady) -> None:
    halves()
    frames = [Image.open("photo.png").rotate(10 * turn) for turn in range(3)]
    frames[0].save("moving.png", save_all=True, append_images=frames[1:], duration=50)
    words = ("moving.png", "--feather", "0", *(["--steady"] if steady else []), "--style")
    assert run(*words, "wave.jpg", "--mask", "left.png", "-o", "one.png") == 0
    assert run(*words, "wave.jpg", "--mask", "left.png", "--region", "right.png=stripes.png", "-o", "both.png") == 0
    with Image.open("one.png") as one, Image.open("both.png") as both:
        for at in (0, 2):
            one.seek(at)
            both.seek(at)
            first, second = (np.asarray(each.convert("RGB")).astype(int) for each in (one, both))
            if not steady:
                assert np.abs(first - second)[:, :48].max() <= 2
            assert np.abs(first - second)[:, 48:].mean() > 10


@pytest.mark.parametrize(
    ("region", "message"),
    [
        ("left.png", "a region is written mask.png=style, got 'left.png'"),
        ("left.png=", "a region is written mask.png=style"),
        ("none.png=wave.jpg", "none.png: no such file"),
        ("left.png=none.jpg", "none.jpg: no such file"),
        ("tall.png=wave.jpg", "photo.png: mask tall.png is 20x96 and the photo 96x96"),
    ],
)
def test_a_region_that_cannot_be_painted_gets_one_line(region, message, capsys) -> None:
    halves()
    Image.new("L", (20, 96), 255).save("tall.png")
    assert run("photo.png", "--style", "wave.jpg", "--region", region, "-o", "out.png") == 2
    assert message in capsys.readouterr().err
    assert not Path("out.png").exists()
    assert run("photo.png", "--style", "wave.jpg", "--region", "left.png=wave.jpg", "-o", "left.png", "--force") == 2


def test_threads_that_share_a_stylizer_paint_what_one_paints() -> None:
    photos = [load_image(resolve_photo(f"sample:{name}"), size=64) for name in ("coffee", "chelsea", "rocket")]
    looks = [{"stroke": stroke, "tile": tile} for stroke in (1.0, 1.5) for tile in (0, 64)]
    tasks = [(photo, look) for photo in photos for look in looks]
    alone = Stylizer("wave.jpg", device="cpu")
    expected = [alone(photo, **look) for photo, look in tasks]
    shared = Stylizer("wave.jpg", device="cpu")  # nothing of its paintings is computed yet
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda task: shared(task[0], **task[1]), 2 * tasks))
    assert all(torch.equal(one, other) for one, other in zip(found, 2 * expected, strict=True))


def test_a_mask_is_read_box_by_box(wave, photo) -> None:
    mask = torch.zeros(1, 1, 96, 96)
    mask[..., 10:60, 5:40] = 0.5
    boxes = []

    def read(box):
        boxes.append((box[0].stop - box[0].start, box[1].stop - box[1].start))
        return mask[..., *box]

    parts = wave.parts(lambda box: photo[..., *box], photo.shape, torch.float32, strength=read, tile=64)
    painted = torch.empty_like(photo)
    for box, part in parts:
        painted[..., *box] = part
    torch.testing.assert_close(painted, wave.paint(photo, strength=mask, tile=64), rtol=0, atol=0)
    assert (painted - photo)[..., 60:, :].abs().max() == 0 and (painted - photo)[..., 10:60, 5:40].abs().mean() > 0.01


def test_a_large_mask_is_never_read_whole(wave) -> None:
    photo = torch.rand(1, 3, 700, 900)
    largest = []

    def read(box):
        height, width = (side.stop - side.start for side in box)
        largest.append(height * width)
        return torch.ones(1, 1, height, width) if box[1].start < 200 else torch.zeros(1, 1, height, width)

    parts = wave.parts(lambda box: photo[..., *box], photo.shape, torch.float32, strength=read, tile=128)
    next(parts)
    assert max(largest) <= 512 * 512


@pytest.fixture
def predictor_here() -> Path:
    """A small predictor in ./checkpoints."""
    torch.manual_seed(0)
    shape = {"half": 4, "quarter": 8, "num_blocks": 1}
    network = TransformationNetwork(**shape)
    predictor = StylePredictor(numbers_of(network))
    torch.nn.init.normal_(predictor.predict.weight, std=0.1)
    path = Path("checkpoints/predictor.safetensors")
    info = {"name": "predictor", "network": {**shape, "num_styles": 1}, "painting_side": 64}
    save_predictor(path, network, predictor, info)
    return path


def test_an_instant_style_is_painted_by_the_predicted_network(predictor_here) -> None:
    photo = torch.rand(1, 3, 48, 64)
    side = load_on_white(existing_photo("sample:wave"), size=64, edge=min)
    expected = predicted_style(predictor_here, [(side, 1.0)]).network
    with torch.no_grad():
        assert_close(Stylizer("sample:wave", instant=True).paint(photo), expected(photo), rtol=0, atol=1e-5)
    assert run("photo.png", "--style", "sample:wave", "--instant", "--quiet") == 0
    assert run("photo.png", "--style", "sample:wave", "--instant", "--tile", "128", "-o", "t.png") == 0
    assert Path("t.png").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--style great_wave --instant", "--instant predicts a style from a painting"),
        ("--style sample:wave --instant --alpha 0.3", "--alpha is for universal style transfer"),
    ],
)
def test_what_contradicts_instant_is_refused(arguments, message, predictor_here, capsys) -> None:
    assert run("photo.png", *arguments.split()) == 2
    assert message in capsys.readouterr().err


def test_without_a_predictor_instant_says_how_to_train_one(predictor_here, monkeypatch, capsys) -> None:
    monkeypatch.setattr("fastnst.networks.catalog.style_folders", list)
    assert run("photo.png", "--style", "sample:wave", "--instant") == 2
    assert "train it: fastnst train-base" in capsys.readouterr().err
    with pytest.raises(UserError, match="this style is none"):
        Stylizer(predicted_style(predictor_here, [(torch.rand(1, 3, 64, 64), 1.0)]), instant=True)
