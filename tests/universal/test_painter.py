"""The painter on the real network that is shipped, or on a tiny one where only sizes count."""

import pytest
import torch

from fastnst.images.levels import psnr
from fastnst.images.photos import resolve_photo
from fastnst.images.read import load_image
from fastnst.painting.tiles import painted
from fastnst.universal.autoencoder import LEVELS, Autoencoder
from fastnst.universal.file import load_autoencoder
from fastnst.universal.names import find_network
from fastnst.universal.painter import UniversalPainter
from fastnst.universal.transform import Moments, moments


@pytest.fixture(scope="module")
def shipped() -> Autoencoder:
    return load_autoencoder(find_network())


@pytest.fixture(scope="module")
def wave() -> torch.Tensor:
    return load_image(resolve_photo("sample:wave"), size=160)


@pytest.fixture(scope="module")
def painter(shipped, wave) -> UniversalPainter:
    return UniversalPainter(shipped, [(wave, 1.0)], deepest=LEVELS)


@torch.inference_mode()
def test_alpha_zero_is_the_reconstruction(painter, shipped, photo) -> None:
    wanted = photo
    for level in range(LEVELS, 0, -1):
        wanted = shipped.decode(shipped.encode(wanted, level)[-1], level).clamp(0, 1)
    torch.testing.assert_close(painter(photo, alpha=0.0), wanted, rtol=0, atol=1e-5)


@torch.inference_mode()
def test_a_painted_photo_has_the_colors_of_the_painting(painter, photo, wave) -> None:
    whole = painter(photo, alpha=1.0)
    own, theirs, before = (moments(image).mean for image in (whole, wave, photo))
    assert (own - theirs).norm() < 0.3 * (before - theirs).norm()
    assert whole.shape == photo.shape and 0 <= float(whole.min()) and float(whole.max()) <= 1


@torch.inference_mode()
@pytest.mark.parametrize("size", [(1, 1), (5, 40), (15, 15), (33, 17)])
@pytest.mark.parametrize("value", [0.0, 0.5, 1.0, None])
def test_flat_black_and_tiny_pictures_are_painted(painter, size, value) -> None:
    torch.manual_seed(0)
    picture = torch.rand(1, 3, *size) if value is None else torch.full((1, 3, *size), value)
    result = painter(picture)
    assert result.shape == picture.shape and bool(result.isfinite().all())


@torch.inference_mode()
def test_a_flat_painting_is_taken_too(shipped, photo) -> None:
    result = UniversalPainter(shipped, [(torch.full((1, 3, 8, 8), 0.5), 1.0)])(photo)
    assert bool(result.isfinite().all())


@torch.inference_mode()
def test_photos_of_a_batch_have_statistics_of_their_own(painter, photo) -> None:
    other = 1 - photo.flip(3)
    both = painter(torch.cat([photo, other]))
    torch.testing.assert_close(both, torch.cat([painter(photo), painter(other)]), rtol=0, atol=1e-5)


@torch.inference_mode()
def test_parts_are_painted_as_parts_of_a_whole(painter) -> None:
    """With statistics of all of the photo, a tile with its surroundings equals the same place of the whole."""
    photo = load_image(resolve_photo("sample:coffee"), size=500)
    size = (photo.shape[2], photo.shape[3])
    run = painter.measured_on(photo)
    tile = slice(100, 180), slice(230, 290)
    in_tiles = painted(run, lambda box: photo[..., *box], size, reach=painter.reach, stride=painter.stride)(tile)
    assert psnr(in_tiles, run(photo)[..., *tile]) > 70
    assert psnr(run(photo), painter(photo)) > 70


@torch.inference_mode()
@pytest.mark.long
def test_where_the_weight_is_zero_pixels_change_no_statistics(painter) -> None:
    photo = load_image(resolve_photo("sample:coffee"), size=512)
    where = torch.zeros(1, 1, *photo.shape[2:])
    where[..., :96] = 1
    other = photo.clone()
    other[..., 400:] = 1 - other[..., 400:]  # farther from there than any feature sees
    first, second = (painter.measured_on(each, where=where)(photo) for each in (photo, other))
    torch.testing.assert_close(first, second, rtol=0, atol=1e-4)
    all_over = [painter.measured_on(each)(photo) for each in (photo, other)]
    assert (all_over[0] - all_over[1]).abs().max() > 0.05


@torch.inference_mode()
def test_larger_strokes_come_from_a_larger_painting_and_each_size_is_decomposed_once(shipped, wave, photo) -> None:
    sizes = []
    network = Autoencoder(shipped.channels)
    network.load_state_dict(shipped.state_dict())
    encode = network.encode
    network.encode = lambda images, *levels: sizes.append(max(images.shape[2:])) or encode(images, *levels)
    painter = UniversalPainter(network.eval(), [(wave, 1.0)])
    for stroke in (1.0, 2.0, 1.0, 2.0):
        painter(photo, stroke=stroke)
    assert sorted(size for size in sizes if size != 96) == [512, 1024]


@torch.inference_mode()
def test_the_pictures_of_a_video_share_running_statistics(painter, shipped, photo) -> None:
    """A flash of light in one picture moves them by a tenth of the way."""
    flash = (photo * 1.3).clamp(0, 1)
    memory: dict[int, Moments] = {}
    steady = [painter(each, memory=memory) for each in (photo, photo, flash)]
    assert set(memory) == set(range(1, LEVELS + 1))
    torch.testing.assert_close(steady[0], steady[1])
    usual, bright = (moments(shipped.encode(each)[-1]).mean for each in (photo, flash))
    torch.testing.assert_close(memory[LEVELS].mean, 0.9 * usual + 0.1 * bright)
    assert not torch.equal(steady[2], painter(flash))
