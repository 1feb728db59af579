"""Loss networks scaled so that the mean activation of each filter is one."""

from typing import Any

import pytest
import torch
from loss_networks import DEEPEST, torchvision_network
from torch import Tensor, nn

from fastnst.perception.loss_network import LossNetwork

pytestmark = pytest.mark.usefixtures("one_thread")


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
