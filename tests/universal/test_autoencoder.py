import pytest
import torch

from fastnst.networks.catalog import StyleFileError
from fastnst.perception.loss_network import LossNetwork
from fastnst.universal.autoencoder import LEVELS, SIZES, Autoencoder, reach, vgg19
from fastnst.universal.file import load_autoencoder, save_autoencoder

CHANNELS = (3, 4, 4, 5, 6)


@pytest.fixture
def tiny() -> Autoencoder:
    torch.manual_seed(0)
    return Autoencoder(CHANNELS).requires_grad_(False).eval()


def test_the_levels_have_the_channels_and_sizes_of_a_vgg_and_each_decodes_to_the_photo_s_size(tiny) -> None:
    photo = torch.rand(2, 3, 48, 64)
    features = tiny.encode(photo)
    sizes = [(2, channels, 48 >> level, 64 >> level) for level, channels in enumerate(CHANNELS)]
    assert [tuple(each.shape) for each in features] == sizes
    assert all(tiny.decode(each, level).shape == photo.shape for level, each in enumerate(features, 1))
    assert len(tiny.encode(photo, 2)) == 2


def test_its_encoder_can_be_vgg19_itself(photo) -> None:
    layers = [f"relu{level}_1" for level in range(1, LEVELS + 1)]
    with torch.inference_mode():
        found, wanted = vgg19().encode(photo, 4), LossNetwork(layers[:4])(photo)
    for own, theirs, size, edge in zip(found, wanted.values(), SIZES, (2, 3, 4, 5), strict=False):
        inner = (..., slice(edge, -edge), slice(edge, -edge))  # padding differs: zeros there
        torch.testing.assert_close(own[inner] * size, theirs[inner], rtol=1e-3, atol=1e-2)


@pytest.mark.parametrize("level", range(1, LEVELS + 1))
def test_no_pixel_acts_from_farther_than_the_reach(tiny, level) -> None:
    photo = torch.rand(1, 3, 2 * reach(LEVELS) // 16 * 16, 32)
    other = photo.clone()
    other[..., 0, :] = 1 - other[..., 0, :]
    first, second = (tiny.decode(tiny.encode(each, level)[-1], level) for each in (photo, other))
    changed = (first - second).abs().amax((0, 1, 3)).nonzero()
    assert 0 < int(changed.max()) <= reach(level)


def test_a_file_brings_back_the_weights_and_draws_no_random_numbers(tiny, tmp_path) -> None:
    info = {"name": "any", "network": {"channels": list(CHANNELS), "encoder": "slim"}}
    save_autoencoder(tmp_path / "any.safetensors", tiny, info)
    state = torch.get_rng_state()
    loaded = load_autoencoder(tmp_path / "any.safetensors")
    assert torch.equal(state, torch.get_rng_state())
    for own, theirs in zip(loaded.parameters(), tiny.parameters(), strict=True):
        torch.testing.assert_close(own, theirs.half().float())


def test_a_trained_style_or_a_broken_file_is_refused(tiny, sky, tmp_path) -> None:
    with pytest.raises(StyleFileError, match="trained style"):
        load_autoencoder(sky)
    info = {"name": "any", "network": {"channels": [3, 4, 4, 5, 7], "encoder": "slim"}}
    save_autoencoder(tmp_path / "any.safetensors", tiny, info)
    with pytest.raises(StyleFileError, match="do not fit"):
        load_autoencoder(tmp_path / "any.safetensors")
