"""A `Stylizer` paints in tiles what it paints as a whole, where memory asks for it, and two tiles at once."""

import os
import signal
import threading
from collections.abc import Iterator

import pytest
import torch
from tiny_networks import NETWORKS, image_of, network_of, reader
from torch import Tensor
from torch.testing import assert_close

from fastnst.base.boxes import Box, cut
from fastnst.bench.settings import BenchTilesSettings
from fastnst.bench.tiles import bench_tiles, compare
from fastnst.images.levels import as_channels, from_levels, to_levels
from fastnst.images.photos import resolve_photo
from fastnst.images.read import load_image
from fastnst.images.write import save_image
from fastnst.networks.network import TransformationNetwork
from fastnst.networks.presets import PRESETS
from fastnst.networks.style_file import StyleFile, save_style
from fastnst.painting import passes as module
from fastnst.painting.stylizer import Stylizer


@pytest.fixture
def stylizer() -> Stylizer:
    return stylizer_of(network_of("folded, deep"))


def stylizer_of(network: TransformationNetwork) -> Stylizer:
    return Stylizer(StyleFile(network, {"name": "wave", "styles": [{"name": "wave"}]}), device="cpu")


def photo_of(*size: int, dtype: torch.dtype = torch.uint8) -> Tensor:
    return to_levels(image_of(*size), dtype)


def difference(first: Tensor, second: Tensor) -> float:
    """The largest, in shares of the full scale."""
    return (from_levels(first) - from_levels(second)).abs().max().item()


@pytest.mark.parametrize("stroke", [1.0, 2.0, 3.0, 0.6])
def test_a_small_photo_in_tiles_is_the_photo_as_a_whole(stylizer, stroke) -> None:
    photo = photo_of(51, 1290)  # longer than a block, also when it is shrunk
    whole = stylizer(photo, stroke=stroke, tile=0)
    assert whole.shape == photo.shape and from_levels(whole).std() > 0.05
    assert difference(stylizer(photo, stroke=stroke, tile=64), whole) < 1.1 / 255


def test_calm_tiles_belong_to_their_picture(stylizer) -> None:
    """A part without texture is painted as it is in the whole; a picture without texture stays as it is."""
    photo = image_of(96, 150)
    photo[..., :75] = 0.4
    assert_close(stylizer.paint(photo, tile=48), stylizer.paint(photo, tile=0), rtol=0, atol=2e-4)
    assert (stylizer.paint(photo, tile=48) - photo)[..., :40].abs().max() > 0.01
    card = torch.full((1, 3, 96, 150), 0.4)
    for tile in (0, 48):
        assert torch.equal(stylizer.paint(card, tile=tile), card)


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_paints_the_same_in_tiles(name) -> None:
    torch.manual_seed(3)
    stylizer, photo = stylizer_of(TransformationNetwork(**PRESETS[name]).eval()), photo_of(123, 171)
    whole = stylizer(photo, tile=0)
    assert from_levels(whole).std() > 0.05
    assert difference(stylizer(photo, tile=96), whole) < 1.1 / 255


@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16, torch.float32])
def test_strength_colours_masks_and_opacity_are_the_same_in_tiles(stylizer, dtype) -> None:
    photo = to_levels(torch.cat((image_of(50, 61), image_of(50, 61)[:, :1]), dim=1), dtype)
    level = {torch.uint8: 1.1 / 255, torch.uint16: 3 / 65535, torch.float32: 1e-5}[dtype]
    mask = (torch.arange(61) > 30).float().expand(1, 1, 50, 61)
    for settings in ({}, {"strength": 0.4}, {"keep_colors": True}, {"strength": mask}):
        whole, tiled = (stylizer(photo, tile=tile, **settings) for tile in (0, 24))
        assert whole.dtype == dtype and torch.equal(tiled[:, 3], photo[:, 3])
        assert difference(whole, tiled) < level
        as_floats = stylizer(from_levels(photo)[:, :3], **settings)
        assert difference(whole[:, :3], as_floats) < level
    assert torch.equal(tiled[..., :31], photo[..., :31])
    assert difference(tiled[..., 31:], photo[..., 31:]) > 0.1
    assert torch.equal(stylizer(photo, strength=0.0, tile=64), photo)


def test_each_photo_of_a_batch_has_its_own_statistics(stylizer) -> None:
    photos = torch.cat((image_of(48, 64), image_of(48, 64).flip(3) ** 2))
    strength = torch.tensor([0.3, 0.9]).view(2, 1, 1, 1).expand(2, 1, 48, 64)
    for settings in ({}, {"stroke": 2.0}, {"strength": strength}, {"strength": 0.5}):
        for tile in (0, 24):
            both = stylizer(photos, tile=tile, **settings)
            second = {**settings, "strength": strength[1:]} if settings.get("strength") is strength else settings
            assert difference(both[1:], stylizer(photos[1:], **second)) < 1e-5


def test_tiny_photos_take_strokes_and_tiles(stylizer) -> None:
    assert stylizer(photo_of(50, 61)[..., :3, :5], stroke=4, tile=64).shape == (1, 3, 3, 5)


def test_the_numbers_of_an_array_stay_in_its_layout(stylizer) -> None:
    array = photo_of(40, 50)[0].permute(1, 2, 0).contiguous().numpy()
    painted = stylizer(as_channels(array))[0].permute(1, 2, 0)
    assert painted.is_contiguous() and painted.shape == array.shape


def test_an_exported_file_paints_whole_pictures_only(stylizer) -> None:
    whole = stylizer._pass._whole
    stylizer._pass = module.TrainedPass(
        lambda photos: whole(photos), "wave", stylizer.device
    )  # as for an exported file
    photo = photo_of(50, 61)
    assert difference(stylizer(photo, stroke=2.0), stylizer(photo, stroke=2.0, tile=0)) == 0
    with pytest.raises(ValueError, match="exported files paint pictures as a whole; for tiles use the style"):
        stylizer(photo, tile=64)


def test_large_strokes_are_painted_small_and_painted_over_at_most_twice_as_large() -> None:
    network = network_of("folded")
    stylizer, photo = stylizer_of(network), photo_of(128, 128)
    sizes = []
    network.register_forward_pre_hook(lambda _, inputs: sizes.append(inputs[0].shape[-1]))
    for stroke, expected in ((1, [128]), (2, [64, 128]), (5, [26, 51, 102, 128]), (0.5, [256])):
        sizes.clear()
        stylizer(photo, stroke=stroke)
        assert sizes == expected


def test_tiles_are_used_when_memory_asks_for_them(stylizer, monkeypatch) -> None:
    photo = photo_of(200, 300)
    counts = []

    def watch(boxes):
        counts.append(len(boxes))
        return boxes

    for free in (1e9, 1e5):
        monkeypatch.setattr(module, "available_memory", lambda _, free=free: free)
        stylizer(photo, watch=watch)
        stylizer(photo, watch=watch, tile=0)
        stylizer(photo, watch=watch, tile=100)
    assert counts == [1, 1, 6, 6, 1, 6]


@pytest.fixture
def two_cores() -> Iterator[None]:
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(1)


def painters_of(network: TransformationNetwork) -> list[tuple[int, int]]:
    """Of each tile that will be painted, the thread and the size of its team."""
    found = []

    def note(*_) -> None:
        found.append((threading.get_ident(), torch.get_num_threads()))

    network.register_forward_pre_hook(note)
    return found


def test_two_tiles_at_once_are_one_after_the_other_to_the_bit(two_cores) -> None:
    network, both = network_of("folded, deep"), threading.Barrier(2, timeout=60)
    stylizer, photo, here = stylizer_of(network), image_of(150, 131), threading.get_ident()
    painters = painters_of(network)

    def meet(*_) -> None:
        if threading.get_ident() != here:
            both.wait()

    network.register_forward_pre_hook(meet)
    found = list(stylizer.parts(reader(photo), photo.shape, torch.float32, tile=66))  # 6 tiles, two by two
    assert [box for box, _ in found] == cut((150, 131), 66)
    assert {team for thread, team in painters if thread != here} == {1}
    assert len({thread for thread, _ in painters} - {here}) == 2 and torch.get_num_threads() == 2
    torch.set_num_threads(1)
    alone = list(stylizer.parts(reader(photo), photo.shape, torch.float32, side_by_side=False, tile=66))
    assert all(torch.equal(one, other) for (_, one), (_, other) in zip(alone, found, strict=True))


@pytest.mark.parametrize(
    ("free", "cores", "tile", "threads"),
    [(8e9, 2, 64, 2), (8e9, 1, 64, 0), (8e9, 2, 150, 0), (1e6, 2, 64, 0), (1e5, 2, None, 0)],
)
def test_two_tiles_at_once_need_cores_and_memory_for_both(free, cores, tile, threads, two_cores, monkeypatch) -> None:
    monkeypatch.setattr(module, "available_memory", lambda _: free)
    torch.set_num_threads(cores)
    network = network_of("folded, deep")
    painters = painters_of(network)
    stylizer_of(network)(photo_of(150, 131), tile=tile)
    assert len({thread for thread, _ in painters} - {threading.get_ident()}) == threads


def test_ctrl_c_ends_tiles_at_once_after_those_that_have_begun(stylizer, two_cores) -> None:
    photo, asked, threads = image_of(300, 300), [], threading.active_count()

    def read(box: Box) -> Tensor:
        if threading.current_thread() is not threading.main_thread():
            asked.append(box)
            if len(asked) == 5:
                os.kill(os.getpid(), signal.SIGINT)
        return photo[..., *box]

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it
    try:
        with pytest.raises(KeyboardInterrupt):
            list(stylizer.parts(read, photo.shape, torch.float32, tile=64))
    finally:
        signal.signal(signal.SIGINT, before)
    assert len(asked) < 20 and torch.get_num_threads() == 2 and threading.active_count() == threads  # of 50


@pytest.mark.parametrize("error", [OSError("damaged"), KeyboardInterrupt()])
def test_an_error_ends_tiles_at_once_as_it_is(stylizer, two_cores, error) -> None:
    photo, asked, threads = image_of(300, 300), [], threading.active_count()

    def read(box: Box) -> Tensor:
        if threading.current_thread() is not threading.main_thread():
            asked.append(box)
            if len(asked) > 4:
                raise error
        return photo[..., *box]

    given = []
    with pytest.raises(type(error)) as found:
        for part in stylizer.parts(read, photo.shape, torch.float32, tile=64):
            given.append(part)
    assert found.value is error and len(given) < len(asked) < 10
    assert torch.get_num_threads() == 2 and threading.active_count() == threads


@pytest.mark.parametrize("name", PRESETS)
def test_a_tile_of_every_preset_fits_the_memory_that_it_is_meant_for(name, monkeypatch) -> None:
    monkeypatch.setattr(module, "available_memory", lambda _: 2**33)
    network = TransformationNetwork(**PRESETS[name])
    stylizer = stylizer_of(network)
    for stroke in (1.0, 3.0, 0.5):
        tile = stylizer.tile((1, 3, 8000, 12000), stroke=stroke)
        side = tile / min(1.0, stroke) + 2 * network.reach
        assert 400 * min(1.0, stroke) < tile
        assert side**2 * 16 * network.values_per_pixel < module.TILE_PASS
    assert stylizer.tile((1, 3, 1000, 1500)) == 0
    assert stylizer.tile((20, 3, 1000, 1500)) > 0


def test_the_bench_compares_what_is_painted(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(module, "MOST_PIECES", 2)
    network = network_of("folded")
    info = {"name": "wave", "styles": [{"name": "wave"}], "network": {**NETWORKS["folded"], "num_styles": 1}}
    save_style(tmp_path / "wave.safetensors", network, info)
    settings = {"style": str(tmp_path / "wave.safetensors"), "size": 320, "tile": 128, "json": True}
    sheet = tmp_path / "sheet.png"
    (tmp_path / "sub").mkdir()
    for name, sample in {"a.png": "coffee", "sub/a.png": "astronaut"}.items():
        save_image(load_image(resolve_photo(f"sample:{sample}"), size=64), tmp_path / name)
    photos = (str(tmp_path / "a.png"), str(tmp_path / "sub/a.png"))
    assert bench_tiles(BenchTilesSettings(photo=photos, **settings))["photos"].keys() == set(photos)
    result = bench_tiles(BenchTilesSettings(photo=("sample:coffee",), output=sheet, **settings))
    assert 15 < result["photos"]["sample:coffee"]["psnr"] < 60
    assert 0 < result["photos"]["sample:coffee"]["mean_shift"] < 0.1
    assert sheet.exists()
    same = torch.full((1, 3, 4, 4), 0.5)
    assert compare(same, same + torch.tensor([0.1, 0, 0]).view(1, 3, 1, 1)) == {"psnr": 24.77, "mean_shift": 0.1}
