import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.testing import assert_close

from fastnst.networks.network import (
    BlockConv2d,
    ConditionalInstanceNorm,
    ConvNorm,
    DeepBlock,
    ResidualConvNorm,
    TransformationNetwork,
    UpsampleConvNorm,
    contrast,
    pad,
    upsample_and_convolve,
)
from fastnst.networks.presets import PRESETS, NetworkName


def images(*size: int, batch: int = 1) -> torch.Tensor:
    return torch.rand(batch, 3, *size, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("size", [(16, 16), (17, 16), (18, 19), (61, 45), (64, 64), (31, 130)])
def test_output_has_the_size_of_the_input_and_lies_between_0_and_1(tiny_network, size) -> None:
    output = tiny_network(images(*size))
    assert output.shape == (1, 3, *size)
    assert 0 <= output.min() < output.max() <= 1


def test_johnson_preset_is_the_papers_network() -> None:
    network = TransformationNetwork(**PRESETS["johnson"])
    convolutions = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
    shapes = [(c.in_channels, c.out_channels, c.kernel_size[0], c.stride[0]) for c in convolutions]
    down = [(3, 32, 9, 1), (32, 64, 3, 2), (64, 128, 3, 2)]
    assert shapes == [*down, *[(128, 128, 3, 1)] * 10, (128, 64, 3, 1), (64, 32, 3, 1), (32, 3, 9, 1)]
    # 1,679,235 parameters with a bias in each of the 15 normed convolutions, which the norm would cancel
    assert sum(p.numel() for p in network.parameters()) == 1_679_235 - sum(c.out_channels for c in convolutions[:-1])


@pytest.mark.parametrize("name", PRESETS)
def test_maps_are_cut_as_they_pass_the_margin_and_the_picture_stays_equal(name) -> None:
    network = TransformationNetwork(**PRESETS[name]).double().eval()
    network.contrast = torch.ones(1, 1, 1, 1)
    for norm in network.norms:  # which alone see all of the maps
        norm.statistics = (torch.zeros_like(norm.scale[0]), torch.ones_like(norm.scale[0]))
        nn.init.normal_(norm.scale, 1.0, 0.1)
    sizes: list[int] = []
    for block in network.blocks:
        block.register_forward_hook(lambda module, given, maps: sizes.append(maps.shape[-1]))
    for margin in (5, network.reach, network.reach + 1, network.reach + 30):
        photo = images(2 * margin + 21, 2 * margin + 46).double()
        whole = network(photo)[..., margin:-margin, margin:-margin]
        sizes.clear()
        assert torch.equal(network(photo, margin=margin), whole)
    assert sizes == sorted(sizes, reverse=True) and sizes[-1] < (2 * margin + 46) // 4 < sizes[0] + 20
    # With less than what is seen, it is another picture.
    reaches = network._reaches()
    network._reaches = lambda: [reach - 2 * network.stride for reach in reaches]
    assert not torch.equal(network(photo, margin=margin), whole)


@pytest.mark.parametrize("size", [(1, 1), (5, 4), (8, 3)])
def test_upsampling_in_one_step_is_nearest_upsampling_and_a_convolution(size) -> None:
    layer = UpsampleConvNorm(3, 5, num_styles=1).double()
    maps = torch.randn(2, 3, *size, dtype=torch.float64, requires_grad=True)
    one_step = upsample_and_convolve(maps, layer.kernels())
    larger = F.pad(F.interpolate(maps, scale_factor=2.0, mode="nearest"), [1] * 4, mode="reflect")
    two_steps = F.conv2d(larger, layer.conv.weight)
    assert_close(one_step, two_steps)
    weights = torch.randn_like(two_steps)
    for of in (maps, layer.conv.weight):
        results = (one_step, two_steps)
        first, second = (torch.autograd.grad((each * weights).sum(), of, retain_graph=True)[0] for each in results)
        assert_close(first, second)


@pytest.mark.parametrize(("kernel", "size"), [(9, (2, 2)), (9, (16, 10)), (3, (4, 6))])
def test_a_convolution_in_blocks_is_the_convolution(kernel, size) -> None:
    blocks, plain = BlockConv2d(5, 3, kernel), nn.Conv2d(5, 3, kernel)
    plain.load_state_dict(blocks.state_dict())
    maps = torch.randn(2, 5, *(side + kernel - 1 for side in size), requires_grad=True)
    results = blocks(maps), plain(maps)
    assert results[0].shape == (2, 3, *size)
    assert_close(*results, rtol=0, atol=1e-5)
    weights = torch.randn_like(results[0])
    gradients = [
        torch.autograd.grad((result * weights).sum(), [maps, *conv.parameters()])
        for conv, result in zip((blocks, plain), results, strict=True)
    ]
    assert_close(*gradients, rtol=1e-4, atol=1e-4)  # sums over all pixels


def test_without_layers_at_full_resolution_pixels_are_folded_and_unfolded() -> None:
    network = TransformationNetwork(half=4, quarter=8, num_blocks=1)
    seen = []
    network.encoder[0].conv.register_forward_hook(lambda _, inputs, output: seen.append((inputs[0], output)))
    photos = images(18, 21)
    with torch.no_grad():
        network(photos)
    (folded, output) = seen[0]
    assert folded.shape == (1, 12, 12, 14) and output.shape == (1, 4, 10, 12)  # 20 x 24 folded, padded by one
    # channel 4 c + 2 (y % 2) + x % 2 at (y // 2, x // 2), after the padding
    assert folded[0, 4 * 1 + 2 * 1 + 0, 1 + 3, 1 + 5] == photos[0, 1, 2 * 3 + 1, 2 * 5]
    # row 19 and column 22 are those as far before the last one as they lie behind it
    assert folded[0, 4 * 1 + 2 * 1 + 0, 1 + 9, 1 + 5] == photos[0, 1, 15, 2 * 5]
    assert folded[0, 4 * 1 + 2 * 1 + 0, 1 + 3, 1 + 11] == photos[0, 1, 2 * 3 + 1, 18]


@pytest.mark.parametrize("preset", PRESETS)
def test_a_flat_photo_gives_a_flat_picture_without_a_grid(preset) -> None:
    torch.manual_seed(0)
    network = TransformationNetwork(**PRESETS[preset])
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith("norm.scale"):
                parameter.zero_()  # a norm makes rounding visible in flat maps
            if name.endswith("norm.shift"):
                parameter.normal_()  # so that the maps before the painter are flat, and not zero
        picture = network(torch.full((1, 3, 32, 40), 0.3))
    assert picture.flatten(2).std(2).max() < 1e-5


@pytest.mark.parametrize("preset", PRESETS)
def test_one_colour_stays_and_has_no_part_in_the_gradient(preset) -> None:
    torch.manual_seed(0)
    network = TransformationNetwork(**PRESETS[preset])
    colours = torch.tensor([[0.0, 0, 0], [1, 0, 0], [0.3, 0.5, 0.7], [1, 1, 1]])[..., None, None]
    cards = colours.expand(-1, -1, 70, 52).clone()
    cards[3, :, 40, 20] -= 1 / 255  # one pixel of one level less is no texture
    assert_close(network(cards), cards, rtol=0, atol=0)
    network(cards).square().sum().backward()
    assert all(torch.equal(each.grad, torch.zeros_like(each)) for each in network.parameters())


def test_a_photo_of_any_contrast_is_painted_whole_and_a_fade_ends_in_its_end() -> None:
    torch.manual_seed(0)
    network, photo, style = TransformationNetwork(half=4, quarter=8, num_blocks=1), images(64, 64), torch.ones(1, 1)
    assert torch.equal(network(photo), network.paint(photo, style))
    hazy = 0.7 + (photo - 0.5) * 0.1  # a deviation of 7 levels
    assert torch.equal(network(hazy), network.paint(hazy, style))
    fade = [photo * share for share in (0.08, 0.05, 0.03, 0.01, 0.001)]  # from 6 levels to 0.07
    assert_close(contrast(torch.cat(fade)), torch.cat([contrast(each) for each in fade]))
    shares = [contrast(each).item() for each in fade]
    assert shares == sorted(shares, reverse=True) and shares[0] == 1 and shares[-1] == 0 and 0 < shares[2] < 1
    for faded, share in zip(fade, shares, strict=True):
        assert_close(network(faded), faded + share * (network.paint(faded, style) - faded))


def test_every_style_is_painted_without_gradients() -> None:
    network = TransformationNetwork(half=4, quarter=8, num_blocks=1, num_styles=2)
    torch.nn.init.normal_(network.norms[0].scale)
    photo, rows = torch.rand(1, 3, 24, 20), torch.eye(2)
    first, second = network.in_every_style(photo)
    assert not first.requires_grad and not torch.allclose(first, second)
    torch.testing.assert_close(first, network(photo, rows[:1]))
    torch.testing.assert_close(second, network(photo, rows[1:]))


def test_deep_blocks_are_a_residual_at_half_the_resolution() -> None:
    network = TransformationNetwork(half=4, quarter=8, eighth=6, num_blocks=2, num_deep_blocks=1)
    assert [type(block).__name__ for block in network.blocks] == ["ResidualBlock", "DeepBlock", "ResidualBlock"]
    sizes = []
    network.blocks[1].blocks[0].register_forward_hook(lambda _, inputs, output: sizes.append(output.shape))
    assert network(images(30, 45)).shape == (1, 3, 30, 45)
    assert sizes == [(1, 6, 4, 6)]  # of 32 x 48
    nn.init.zeros_(network.blocks[1].up.norm.scale)
    style, maps = torch.ones(1, 1), torch.randn(1, 8, 8, 12)
    assert_close(network.blocks[1](maps, style), maps)


def test_a_checkerboard_in_the_deepest_maps_is_not_painted() -> None:
    """The finest wave that they can hold, along either side, would hatch flat regions every 16 px; longer ones pass."""
    torch.manual_seed(0)
    block, maps, style = DeepBlock(4, 6, 1, num_styles=1), torch.rand(1, 4, 24, 32), torch.ones(1, 1)
    inner = block.blocks[0](F.relu(block.down(maps, style)), style)
    rows, columns = torch.arange(12)[:, None], torch.arange(16)

    def painted(wave: torch.Tensor) -> torch.Tensor:
        block.blocks = nn.ModuleList([Given(inner + wave)])
        return block(maps, style)

    assert_close(painted(5.0 * (-1.0) ** (rows + columns)), painted(torch.zeros(())), rtol=1e-4, atol=1e-5)
    for wave in ((-1.0) ** (rows // 2 + columns), (-1.0) ** (rows // 2 + 0 * columns)):
        changed = painted(5.0 * wave) - painted(torch.zeros(()))
        assert (changed.abs().max() > 0.1) == (wave[0, 0] == wave[0, 1])


def test_waves_that_half_the_resolution_cannot_hold_become_long_ones_only_without_smoothing() -> None:
    wave = torch.cos(0.9 * torch.pi * torch.arange(40))  # of 2.2 places; every second place of it, one of 10
    changed = []
    for antialias in (0, 1):
        torch.manual_seed(0)
        sizes = {"full": 2, "half": 4, "quarter": 6, "eighth": 4, "num_blocks": 1, "num_deep_blocks": 1}
        network = TransformationNetwork(**sizes, antialias=antialias)
        layers = [m for m in network.modules() if isinstance(m, ConvNorm) and m.conv.stride == (2, 2)]
        for layer in layers:
            maps = torch.rand(1, layer.conv.in_channels, 40, 40)
            difference = layer(maps + wave, torch.ones(1, 1)) - layer(maps, torch.ones(1, 1))
            changed.append(difference.abs().mean().item())
    assert len(changed) == 6  # three layers halve the resolution
    assert max(changed[3:]) < 0.2 < 0.5 < min(changed[:3])


@pytest.mark.parametrize("full", [0, 3])
def test_with_a_skip_the_decoder_sees_what_the_encoder_saw_at_half_the_resolution(full) -> None:
    torch.manual_seed(0)
    network = TransformationNetwork(full=full, half=4, quarter=6, num_blocks=1, skip=1)
    seen = []
    network.decoder[0].skip.register_forward_hook(lambda _, inputs, output: seen.append(inputs[0]))
    network.encoder[-1].register_forward_hook(lambda _, inputs, output: seen.append(inputs[0]))
    photo = images(20, 29)
    first = network(photo)
    assert_close(seen[1], F.pad(seen[0], [1] * 4, mode="reflect"))
    with torch.no_grad():
        network.decoder[0].conv.weight.zero_()  # all that comes from a quarter of the resolution
    assert network(photo).std() > 0.1 * first.std()


class Given(nn.Module):
    """A block whose output is what it was given."""

    def __init__(self, maps: torch.Tensor) -> None:
        super().__init__()
        self.maps = maps

    def forward(self, maps: torch.Tensor, style: torch.Tensor) -> torch.Tensor:
        return self.maps


def test_presets_are_those_that_the_settings_offer() -> None:
    assert set(NetworkName.__args__) == set(PRESETS)


def test_conditional_instance_norm_is_instance_norm_with_the_scale_and_shift_of_the_style() -> None:
    norm = ConditionalInstanceNorm(5, 3)
    nn.init.normal_(norm.scale)
    nn.init.normal_(norm.shift)
    maps = torch.randn(2, 5, 6, 7)
    for index in range(3):
        style = torch.eye(3)[index : index + 1]
        expected = F.instance_norm(maps, weight=norm.scale[index], bias=norm.shift[index])
        assert_close(norm(maps, style), expected, rtol=1e-4, atol=1e-5)
    rows = norm(maps, torch.eye(3)[[2, 0]])
    assert_close(rows[:1], norm(maps[:1], torch.eye(3)[2:]), rtol=1e-4, atol=1e-5)
    assert_close(rows[1:], norm(maps[1:], torch.eye(3)[:1]), rtol=1e-4, atol=1e-5)


def test_gradients_of_the_conditional_norm_are_right() -> None:
    norm = ConditionalInstanceNorm(2, 2).double()
    maps = torch.randn(2, 2, 3, 3, dtype=torch.float64, requires_grad=True)
    style = torch.tensor([[0.3, 0.7], [1.0, 0.0]], dtype=torch.float64)

    def run(maps, scale, shift):
        return torch.func.functional_call(norm, {"scale": scale, "shift": shift}, (maps, style))

    parameters = (norm.scale.detach().requires_grad_(), norm.shift.detach().requires_grad_())
    assert torch.autograd.gradcheck(run, (maps, *parameters))


@pytest.mark.parametrize("styles", [[[1.0, 0.0]], [[1.0, 0.0], [0.0, 1.0], [0.3, 0.7]]], ids=["one for all", "each"])
def test_training_and_painting_norm_alike(styles) -> None:
    norm = ConditionalInstanceNorm(4, num_styles=2).double()
    with torch.no_grad():
        norm.scale.uniform_()
        norm.shift.uniform_()
    maps, styles = torch.rand(3, 4, 9, 8, dtype=torch.float64), torch.tensor(styles, dtype=torch.float64)

    trained = norm(maps, styles)  # with gradients, on a CPU, one image after the other
    with torch.no_grad():
        painted = norm(maps, styles)

    assert type(trained.grad_fn).__name__ == "CatBackward0"
    assert_close(trained, painted, rtol=0, atol=1e-12)


def test_mixing_weights_mix_scales_and_shifts() -> None:
    norm = ConditionalInstanceNorm(4, 2)
    nn.init.normal_(norm.scale)
    maps = torch.randn(1, 4, 5, 5)
    half = norm(maps, torch.tensor([[0.5, 0.5]]))
    ends = [norm(maps, torch.eye(2)[i : i + 1]) for i in range(2)]
    assert_close(half, (ends[0] + ends[1]) / 2, rtol=1e-4, atol=1e-5)


def test_an_image_does_not_depend_on_the_rest_of_the_batch(tiny_network) -> None:
    batch = images(24, 20, batch=3)
    assert_close(tiny_network(batch)[1:2], tiny_network(batch[1:2]), rtol=1e-4, atol=1e-5)


def test_a_network_with_several_styles_wants_one_chosen() -> None:
    network = TransformationNetwork(half=4, quarter=8, num_blocks=1, num_styles=2)
    with pytest.raises(ValueError, match="has 2 styles"):
        network(images(16, 16))


def test_styles_of_one_network_differ_once_their_norms_do() -> None:
    torch.manual_seed(0)
    network = TransformationNetwork(half=4, quarter=8, num_blocks=1, num_styles=2)
    photo = images(20, 20)
    first, second = (network(photo, torch.eye(2)[i : i + 1]) for i in range(2))
    assert torch.equal(first, second)
    with torch.no_grad():
        network.encoder[0].norm.scale[1] *= -1
    assert not torch.allclose(network(photo, torch.eye(2)[1:]), first, atol=1e-3)


@pytest.mark.parametrize("settings", [{"half": 0}, {"full": -1}, {"num_blocks": -1}, {"num_styles": 0}])
def test_impossible_networks_are_refused(settings) -> None:
    with pytest.raises(ValueError, match="at least"):
        TransformationNetwork(**settings)
    for values in ({"antialias": 1, "skip": 2}, {"antialias": 3, "skip": 1}):
        with pytest.raises(ValueError, match=r"antialias and skip must be 0 or 1, got antialias=[13], skip=[21]"):
            TransformationNetwork(**values)


@pytest.mark.parametrize("mode", ["reflect", "replicate"])
def test_padded_maps_keep_their_type_under_autocast(mode) -> None:
    maps = torch.randn(1, 4, 5, 6).bfloat16().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        assert F.pad(maps, [1] * 4, mode=mode).dtype == torch.float32  # else `pad` is not needed any more
        padded = pad(maps, [1] * 4, mode)
        assert torch.is_autocast_enabled("cpu")
    assert padded.dtype == torch.bfloat16 and torch.equal(padded, F.pad(maps, [1] * 4, mode=mode))
    padded.sum().backward()
    assert maps.grad is not None and maps.grad.sum() == padded.numel()


def test_all_maps_of_a_training_step_are_bfloat16_under_autocast(tiny_network) -> None:
    types: list[torch.dtype] = []
    for module in tiny_network.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_pre_hook(lambda _, inputs: types.append(inputs[0].dtype))
    with torch.autocast("cpu", torch.bfloat16):
        tiny_network(images(32, 32).requires_grad_())
    assert len(types) > 4 and types[0] == torch.float32  # the photo
    assert set(types[1:]) == {torch.bfloat16}


def test_input_is_not_changed(tiny_network) -> None:
    photo = images(18, 18)
    before = photo.clone()
    tiny_network(photo)
    assert torch.equal(photo, before)


@pytest.mark.parametrize("full", [0, 3])
def test_a_fine_layer_begins_as_nothing_and_then_draws_at_half_the_resolution(full) -> None:
    torch.manual_seed(0)
    sizes = {"full": full, "half": 4, "quarter": 6, "num_blocks": 1}
    plain, fine = TransformationNetwork(**sizes), TransformationNetwork(**sizes, fine=1)
    names = dict(zip(("decoder.1", "decoder.2"), ("decoder.2", "decoder.1"), strict=True))  # it comes before the last
    state = {names.get(name[:9], name[:9]) + name[9:]: value for name, value in plain.state_dict().items()}
    layer = fine.decoder[1]
    assert isinstance(layer, ResidualConvNorm)
    assert fine.load_state_dict(state, strict=False).missing_keys == [
        f"decoder.1.{name}" for name in layer.state_dict()
    ]
    photo, seen = images(32, 40), []
    assert torch.equal(fine(photo), plain(photo))
    layer.register_forward_hook(lambda _, inputs, output: seen.append(output.shape[2:]))
    nn.init.ones_(layer.norm.scale)
    assert not torch.allclose(fine(photo), plain(photo), atol=1e-3)
    assert [tuple(shape) for shape in seen] == [(18, 22)]  # of 36 x 44 px


def test_compiled_network_agrees_and_keeps_its_names(tiny_network) -> None:
    photo = images(20, 28)
    expected = tiny_network(photo)
    names = set(tiny_network.state_dict())
    tiny_network.compile(backend="eager", fullgraph=True)
    assert_close(tiny_network(photo), expected)
    assert set(tiny_network.state_dict()) == names
