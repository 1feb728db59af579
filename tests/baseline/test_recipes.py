"""Shipped recipes: their published numbers, and their losses written down again from the publications."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from pictures import noise
from project import ROOT
from torch import Tensor, nn
from torch.testing import assert_close

from fastnst.base.recipes import recipe_departures
from fastnst.baseline import problem as recipe
from fastnst.baseline.minimize import Method
from fastnst.baseline.problem import (
    loss_network_of,
    method_of,
    objective_of,
    perceptual_loss,
    read_inputs,
    resized,
)
from fastnst.baseline.settings import OptimizeSettings
from fastnst.cli import app
from fastnst.images.read import load_image, read_picture
from fastnst.perception.architectures import NETWORKS
from fastnst.perception.loss_network import LossNetwork

pytestmark = pytest.mark.usefixtures("photo_styles_and_masks")

CPU = torch.device("cpu")
RECIPES = sorted(path.stem for path in (ROOT / "configs" / "optimize").glob("*.yaml"))
DEEPEST = {"vgg19": "relu5_2", "vgg16": "conv5_1", "densenet121": "conv2_block6_concat"}


@pytest.fixture(scope="session")
def weights(tmp_path_factory) -> Callable[[str], Path]:
    """A file of random weights under torchvision's names, by network."""
    folder = tmp_path_factory.mktemp("weights")

    def saved(name: str) -> Path:
        file = folder / f"{name}.pth"
        if not file.exists():
            keys = {step.name: step.key for step in NETWORKS[name].plan()}
            state = LossNetwork((DEEPEST[name],), name=name, weights=None).operations.state_dict()
            parts = {own: own.rpartition(".") for own in state}
            torch.save({f"{keys[step]}.{tensor}": state[own] for own, (step, _, tensor) in parts.items()}, file)
        return file

    return saved


def parsed(*words: str) -> OptimizeSettings:
    """The settings that a command line stands for; nothing runs."""
    line = ["optimize", "photo.png", "--style", "style.png", *words]
    _, bound, _ = app.parse_args(line, exit_on_error=False, print_error=False)
    return bound.arguments["settings"]


def test_adam_on_pixels_of_any_scale_takes_the_same_way() -> None:
    """Five steps by hand on pixels from 0 to 255 end where the converted numbers end on pixels from 0 to 1."""
    pixels = (255 * noise()).requires_grad_()
    optimizer = torch.optim.Adam([pixels], lr=5.0, betas=(0.99, 0.999), eps=0.1)
    image = noise().requires_grad_()
    method = method_of(parsed("--recipe", "keras-vgg19"))
    converted = torch.optim.Adam([image], lr=method.learning_rate, betas=method.betas, eps=method.epsilon)
    for _ in range(5):
        for values, scale, steps in ((pixels, 255, optimizer), (image, 1, converted)):
            steps.zero_grad()
            (values / scale - 0.5).pow(4).sum().backward()  # with gradients so small that epsilon counts
            steps.step()
    assert_close(pixels.detach() / 255, image.detach())


# --- Shipped recipes: what was published ---

NUMBERS = {
    "gatys2016": {
        "padding": "zeros",
        "loss_network": "vgg19",
        "pooling": "avg",
        "unit_means": True,
        "init": "noise",
        "noise": (0, 1),
        "style_size": "photo",
        "tv_weight": 0,
    },
    "johnson-baseline": {
        "padding": "zeros",
        "loss_network": "vgg19",
        "pooling": "max",
        "unit_means": False,
        "init": "noise",
        "noise": (0, 1),
        "size": 256,
        "style_size": 256,
    },
    "keras-vgg19": {
        "padding": "zeros",
        "loss_network": "vgg19",
        "pooling": "max",
        "unit_means": False,
        "init": "photo",
        "size": 512,
        "style_size": 512,
        "tv_weight": 0,
    },
    "pytorch-vgg19": {
        "padding": "zeros",
        "loss_network": "vgg19",
        "pooling": "max",
        "unit_means": False,
        "init": "photo",
        "size": 400,
        "style_size": "stretch",
        "tv_weight": 0,
    },
    "vgg16-average": {
        "padding": "zeros",
        "loss_network": "vgg16",
        "pooling": "avg",
        "unit_means": False,
        "init": "normal",
        "noise": (0, 10),
        "size": 400,
        "tv_weight": 0,
    },
    "densenet121": {
        "padding": "zeros",
        "loss_network": "densenet121",
        "pooling": "max",
        "unit_means": False,
        "init": "noise",
        "noise": (-128, 127),
        "size": 400,
        "style_size": "stretch",
    },
}
METHODS = {  # in pixel values from 0 to 1
    "gatys2016": Method(iterations=500, clamp="end"),
    "johnson-baseline": Method(iterations=500, clamp="step"),
    "keras-vgg19": Method("adam", 1000, learning_rate=5 / 255, betas=(0.99, 0.999), epsilon=0.1 * 255, clamp="step"),
    "pytorch-vgg19": Method("adam", 3000, learning_rate=0.003 / 4.43, epsilon=1e-8 * 4.43, clamp="end"),
    "vgg16-average": Method("adam", 1000, learning_rate=2 / 255, epsilon=1e-8 * 255, clamp="end"),
    "densenet121": Method(iterations=20, history=10, rounds=80, evaluations=20, clamp="end"),
}


def test_every_shipped_recipe_is_tested_here() -> None:
    assert set(RECIPES) == set(NUMBERS) == set(METHODS) == set(FORMULAS)


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_has_its_published_numbers_and_method(name) -> None:
    config = parsed("--recipe", name)
    assert {key: getattr(config, key) for key in NUMBERS[name]} == NUMBERS[name]
    method = method_of(config)
    unused = ("precondition",) if method.optimizer == "adam" else ("learning_rate", "epsilon")
    assert replace(method, **{key: getattr(Method(), key) for key in unused}) == METHODS[name]


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_says_in_sentences_what_it_cannot_reproduce(name) -> None:
    departures = recipe_departures(name)
    assert departures and all(isinstance(text, str) and len(text.split()) >= 5 for text in departures)


# --- Shipped recipes: their losses, written down again from the publications ---
# Nothing of fastnst.losses is used. x is the image, p the photo, s the style.


class Published(NamedTuple):
    """Parts without weights, then their weights in the total."""

    content: Tensor
    style: Tensor
    variation: Tensor | float
    weights: tuple[float, float, float]


def maps(network: LossNetwork, layer: str, *images: Tensor) -> list[Tensor]:
    """The features of each image, (channels, positions)."""
    return [network(image, [layer])[layer][0].flatten(1).double() for image in images]


def gatys(network: LossNetwork, x: Tensor, p: Tensor, s: Tensor) -> Published:
    """Equations 1, 3, 4, 5 and 7, on rectified activations."""
    features, target = maps(network, "relu4_2", x, p)
    content = ((features - target) ** 2).sum() / 2
    style = torch.tensor(0.0).double()
    for layer in ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"):
        f, a = maps(network, layer, x, s)
        n, m = f.shape
        style += ((f @ f.T - a @ a.T) ** 2).sum() / (4 * n**2 * m**2) / 5
    return Published(content, style, 0.0, (1e-3, 1, 0))


def johnson(network: LossNetwork, x: Tensor, p: Tensor, s: Tensor) -> Published:
    """Equations 2 to 5, style as a mean over C^2 as in the authors' code.

    Total variation as Mahendran and Vedaldi (2015) with beta = 2, of pixels from 0 to 255.
    """
    features, target = maps(network, "relu2_2", x, p)
    content = ((features - target) ** 2).sum() / features.numel()
    style = torch.tensor(0.0).double()
    for layer in ("relu1_2", "relu2_2", "relu3_3", "relu4_3"):
        f, a = maps(network, layer, x, s)
        style += torch.linalg.matrix_norm(f @ f.T / f.numel() - a @ a.T / a.numel()) ** 2 / len(f) ** 2
    variation = (255 * x).diff(dim=2).square().sum() + (255 * x).diff(dim=3).square().sum()
    return Published(content, style, variation, (1, 5, 1e-6))


def tensorflow(network: LossNetwork, x: Tensor, p: Tensor, s: Tensor) -> Published:
    """The tutorial's `gram_matrix`, `get_content_loss`, `get_style_loss` and `compute_loss`."""
    base, target = maps(network, "relu5_2", x, p)
    content = (base - target).square().mean()
    style = torch.tensor(0.0).double()
    for layer in ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"):
        f, a = maps(network, layer, x, s)
        n = f.shape[1]
        style += (1 / 5) * (f @ f.T / n - a @ a.T / n).square().mean()
    return Published(content, style, 0.0, (1e3, 1e-2, 0))


def udacity(network: LossNetwork, x: Tensor, p: Tensor, s: Tensor) -> Published:
    """The exercise's losses of features that are 57.6 times as small."""
    features, target = (values / 57.6 for values in maps(network, "conv4_2", x, p))
    content = torch.mean((features - target) ** 2)
    style = torch.tensor(0.0).double()
    for layer, weight in {"conv1_1": 1.0, "conv2_1": 0.7, "conv3_1": 0.5, "conv4_1": 0.3, "conv5_1": 0.2}.items():
        f, a = (values / 57.6 for values in maps(network, layer, x, s))
        d, hw = f.shape
        style += weight * torch.mean((f @ f.T - a @ a.T) ** 2) / (d * hw)
    return Published(content, style, 0.0, (1, 1e6, 0))


def course(network: LossNetwork, x: Tensor, p: Tensor, s: Tensor) -> Published:
    """Means of squares for content, Gram matrices over C H W, layers equally weighted."""
    features, target = maps(network, "conv4_2", x, p)
    content = (features - target).square().mean()
    style = torch.tensor(0.0).double()
    for layer in ("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1"):
        f, a = maps(network, layer, x, s)
        c, hw = f.shape
        style += (f @ f.T / (c * hw) - a @ a.T / (c * hw)).square().sum() / 5
    return Published(content, style, 0.0, (1, 1e3, 0))


def keras(network: LossNetwork, x: Tensor, p: Tensor, s: Tensor) -> Published:
    """The example's `content_loss`, `style_loss` and `total_variation_loss`."""
    base, combination = maps(network, "conv2_block3_0_relu", p, x)
    content = (combination - base).square().sum()
    height, width = x.shape[2:]
    style = torch.tensor(0.0).double()
    for block in range(1, 7):
        f, a = maps(network, f"conv2_block{block}_concat", x, s)
        style += (a @ a.T - f @ f.T).square().sum() / (4.0 * 3**2 * (height * width) ** 2) / 6
    pixels = 255 * x.double()
    down = (pixels[:, :, : height - 1, : width - 1] - pixels[:, :, 1:, : width - 1]).square()
    across = (pixels[:, :, : height - 1, : width - 1] - pixels[:, :, : height - 1, 1:]).square()
    return Published(content, style, (down + across).pow(1.25).sum(), (4, 5e5, 1e-4))


FORMULAS: dict[str, Callable[..., Published]] = {
    "gatys2016": gatys,
    "johnson-baseline": johnson,
    "keras-vgg19": tensorflow,
    "pytorch-vgg19": udacity,
    "vgg16-average": course,
    "densenet121": keras,
}


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_has_the_losses_of_its_publication(name, weights, monkeypatch) -> None:
    monkeypatch.setattr(recipe, "sample_photos", lambda: {"photo": Path("photo.png"), "style": Path("style.png")})
    config = parsed("--recipe", name)
    config = parsed("--recipe", name, "--loss-weights", str(weights(config.loss_network)))
    network = loss_network_of(config, CPU)
    poolings = [step for step in network.operations.values() if isinstance(step, nn.MaxPool2d | nn.AvgPool2d)]
    assert {type(step) for step in poolings} == {nn.AvgPool2d if config.pooling == "avg" else nn.MaxPool2d}

    image, photo, style = noise(), noise(seed=1), noise(seed=2)
    content, texture, variation, (of_content, of_style, of_variation) = FORMULAS[name](network, image, photo, style)

    def total(**settings: float) -> float:
        loss = perceptual_loss(network, [style], None, replace(config, **settings))
        return loss(image, loss.content_targets(photo)).total.item()

    # One part alone, too: a sum hides what is small in it.
    alone = {"content_weight": 0.0, "style_weight": 0.0, "tv_weight": 0.0}
    for part, expected in {
        "content_weight": of_content * content.item(),
        "style_weight": of_style * texture.item(),
        "tv_weight": of_variation * float(variation),
    }.items():
        assert total(**{**alone, part: getattr(config, part)}) == pytest.approx(expected, rel=1e-4)
    expected = of_content * content + of_style * texture + of_variation * variation
    assert total() == pytest.approx(expected.item(), rel=1e-4)

    loss = perceptual_loss(network, [style], None, config)
    losses = loss(image, loss.content_targets(photo))  # told of the features as they are
    assert losses.content.item() == pytest.approx(config.feature_scale**2 * content.item(), rel=1e-4)
    assert losses.style.item() == pytest.approx(config.feature_scale**4 * texture.item(), rel=1e-4)


def test_gatys_filters_have_mean_one_on_the_sample_photos(weights, monkeypatch) -> None:
    monkeypatch.setattr(recipe, "sample_photos", lambda: {"photo": Path("photo.png"), "other": Path("other.png")})
    network = loss_network_of(parsed("--recipe", "gatys2016", "--loss-weights", str(weights("vgg19"))), CPU)
    (first,), (second,) = (maps(network, "conv3_1", load_image(Path(name))) for name in ("photo.png", "other.png"))
    means = torch.cat([first, second], 1).relu().mean(1)
    assert_close(means.median(), torch.tensor(1.0).double(), rtol=1e-3, atol=0)
    assert means.max() < 1.001


@pytest.mark.parametrize("name", ["keras-vgg19", "densenet121"])
def test_a_recipes_objective_is_its_loss_for_the_style_brought_to_size(name, weights) -> None:
    config = parsed("--recipe", name)
    network = loss_network_of(replace(config, loss_weights=weights(config.loss_network)), CPU)
    inputs = read_inputs(read_picture(Path("photo.png")), config, CPU)
    photo = resized(inputs.photo, torch.Size((1, 3, 36, 48)))
    style = load_image(Path("style.png"))
    if name == "densenet121":
        style = resized(style, photo.shape)
    losses = objective_of(network, replace(inputs, photo=photo), photo, config)(noise(36, 48))
    loss = perceptual_loss(network, [style], None, config)
    assert_close(losses.total, loss(noise(36, 48), loss.content_targets(photo)).total)
