"""Winograd's convolutions are those of torch, forward and backward, and are taken where they gain."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from fastnst.perception import winograd
from fastnst.perception.loss_network import LossNetwork

NNPACK = pytest.mark.skipif(not torch._nnpack_available(), reason="this torch has no NNPACK")


@pytest.fixture
def everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a CPU that gains."""
    monkeypatch.setattr(winograd, "_gains", lambda: True)


def relative(ours: Tensor, theirs: Tensor) -> float:
    return float((ours - theirs).detach().norm() / theirs.detach().norm())


@NNPACK
@pytest.mark.parametrize("size", [(3, 3), (4, 7), (8, 8), (33, 21), (66, 66)])
@pytest.mark.parametrize("channels", [(3, 5), (16, 16)])
def test_a_convolution_and_its_gradient_are_torchs_to_six_digits(size, channels) -> None:
    maps, weight = torch.randn(2, channels[0], *size), torch.randn(channels[1], channels[0], 3, 3)
    bias = torch.randn(channels[1])
    exact = F.conv2d(maps.double(), weight.double(), bias.double())
    assert relative(winograd.convolve(maps, weight, bias), exact.float()) < 1e-5
    gradient = torch.randn_like(exact)
    there = torch.nn.grad.conv2d_input(maps.shape, weight.double(), gradient)
    assert relative(winograd.input_gradient(gradient.float(), weight), there.float()) < 1e-5


@NNPACK
@pytest.mark.usefixtures("everywhere")
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_a_loss_network_has_the_same_features_and_gradient(layout, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    network = LossNetwork(["relu1_1", "relu2_2"], weights=None, padding="replicate").to(memory_format=layout)
    image = torch.rand(2, 3, 40, 36).to(memory_format=layout).requires_grad_()

    def results() -> list[Tensor]:
        features = network(image)
        loss = sum(maps.square().mean() for maps in features.values())
        return [*features.values(), *torch.autograd.grad(loss, image)]

    taken, convolve = [], winograd.convolve
    monkeypatch.setattr(winograd, "convolve", lambda *given, **more: taken.append(1) or convolve(*given, **more))
    ours = results()
    assert len(taken) == 8  # four layers, there and back
    monkeypatch.setattr(winograd, "_gains", lambda: False)
    (*features, gradient), (*direct, directly) = ours, results()
    assert all(relative(own, theirs) < 1e-5 for own, theirs in zip(features, direct, strict=True))
    assert relative(gradient, directly) < 2e-2  # rounding decides which of nearly equal values a max pooling takes
    assert len(taken) == 8


@NNPACK
def test_the_values_of_an_image_do_not_depend_on_its_batch() -> None:
    maps, weight = torch.randn(3, 8, 20, 20), torch.randn(8, 8, 3, 3)
    together = winograd.convolve(maps, weight, None)
    assert all(torch.equal(together[i : i + 1], winograd.convolve(maps[i : i + 1], weight, None)) for i in range(3))


@pytest.mark.usefixtures("everywhere")
def test_what_does_not_fit_is_left_to_torch() -> None:
    maps, weight = torch.zeros(1, 4, 9, 9), torch.zeros(4, 4, 3, 3)
    assert winograd.fits(maps, weight, (1, 1))
    assert not winograd.fits(maps, weight, (2, 2))
    assert not winograd.fits(maps, torch.zeros(4, 4, 5, 3), (1, 1))
    assert not winograd.fits(maps.double(), weight.double(), (1, 1))
    assert not winograd.fits(maps[:0], weight, (1, 1))
    assert not winograd.fits(torch.zeros(1, 64, 1, 1).expand(1, 64, 513, 512), weight, (1, 1))
    with torch.autocast("cpu", torch.bfloat16):
        assert not winograd.fits(maps, weight, (1, 1))
