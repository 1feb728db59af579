from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from PIL import Image
from project import ROOT
from torch import Tensor, nn
from torch.testing import assert_close

from fastnst.base.errors import UserError
from fastnst.base.recipes import recipe_departures
from fastnst.baseline import problem as recipe
from fastnst.baseline.minimize import Method
from fastnst.baseline.problem import (
    Inputs,
    loss_network_of,
    method_of,
    objective_of,
    perceptual_loss,
    read_inputs,
    resized,
    scales,
    shape_of,
    start_image,
    style_images,
)
from fastnst.baseline.settings import OptimizeSettings
from fastnst.cli import app
from fastnst.images.colors import LUMA
from fastnst.images.read import load_image, read_picture
from fastnst.perception.architectures import NETWORKS
from fastnst.perception.loss_network import LossNetwork
from fastnst.perception.objective import layer_weights

RECIPES = sorted(path.stem for path in (ROOT / "configs" / "optimize").glob("*.yaml"))
DEEPEST = {"vgg19": "relu5_2", "vgg16": "conv5_1", "densenet121": "conv2_block6_concat"}
CPU = torch.device("cpu")


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


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    """A photo, two styles of other shapes and masks of the photo's shape in an otherwise empty current folder."""
    monkeypatch.chdir(tmp_path)
    for seed, (name, width, height) in enumerate((("photo", 40, 30), ("style", 60, 30), ("other", 16, 24))):
        pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((width, height), Image.Resampling.BOX).save(f"{name}.png")
    left = np.zeros((30, 40), np.uint8)
    left[:, :10] = 255
    for name, mask in {"left": left, "right": 255 - left, "black": 0 * left, "white": 0 * left + 255}.items():
        Image.fromarray(mask).save(f"{name}.png")
    Image.fromarray(left).resize((80, 60)).save("large.png")
    Image.fromarray(left).resize((40, 40)).save("square.png")
    return tmp_path


def noise(height: int = 40, width: int = 48, *, seed: int = 0) -> Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed))


def parsed(*words: str) -> OptimizeSettings:
    """The settings that a command line stands for; nothing runs."""
    line = ["optimize", "photo.png", "--style", "style.png", *words]
    _, bound, _ = app.parse_args(line, exit_on_error=False, print_error=False)
    return bound.arguments["settings"]


def inputs_of(**settings: object) -> Inputs:
    config = OptimizeSettings(**{"style": (Path("style.png"),), **settings})
    return read_inputs(read_picture(Path("photo.png"), size=config.size), config, CPU)


# --- Words and numbers ---


@pytest.mark.parametrize(
    ("words", "weights"),
    [
        (["conv1_1:0.5", "conv2_1"], {"conv1_1": 0.5, "conv2_1": 1.0}),
        (["relu1_1:1e-3"], {"relu1_1": 0.001}),
        ([], {}),
    ],
)
def test_layers_have_the_weight_behind_the_colon_or_one(words, weights) -> None:
    assert layer_weights(words) == weights
    assert list(layer_weights(words)) == list(weights)


@pytest.mark.parametrize(
    "word", ["relu1_1:", "relu1_1:x", "relu1_1:-1", "relu1_1:0", "relu1_1:inf", "relu1_1:nan", "a"]
)
def test_a_weight_that_is_none_and_a_layer_twice_are_refused_with_the_word(word) -> None:
    with pytest.raises(UserError, match=f"named once each.*positive weight, got '{word}'"):
        layer_weights(["a", word])


@pytest.mark.parametrize(
    ("size", "count", "sizes"),
    [
        (512, None, [512]),
        (40, None, [40]),
        (513, None, [256, 513]),
        (1023, None, [512, 1023]),
        (1024, None, [256, 512, 1024]),
        (1024, 1, [1024]),
        (100, 3, [25, 50, 100]),
    ],
)
def test_sizes_double_from_at_least_256_unless_their_number_is_given(size, count, sizes) -> None:
    assert scales(size, count) == sizes


def test_numbers_for_other_pixels_become_numbers_for_images_from_0_to_1() -> None:
    numbers = {"learning_rate": 5.0, "adam_epsilon": 0.1, "adam_beta": 0.8}
    as_given, converted = (method_of(OptimizeSettings(**numbers, pixel_range=scale)) for scale in (None, 255.0))
    assert (as_given.learning_rate, as_given.epsilon, as_given.betas) == (5.0, 0.1, (0.8, 0.999))
    assert converted.learning_rate == pytest.approx(5 / 255)
    assert converted.epsilon == pytest.approx(0.1 * 255)  # a gradient by a value of 0 to 1 is 255 times as large
    assert converted.betas == as_given.betas


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


@pytest.mark.parametrize(("tv_form", "power"), [("l2", 2), ("l1", 1), ("keras", 2.5)])
def test_total_variation_is_that_of_pixels_of_the_scale_given(random_vgg, photo, tv_form, power) -> None:
    layers = {"style_layers": ("relu1_2",), "content_layers": (), "tv_weight": 1.0, "tv_form": tv_form}
    plain, scaled = (
        perceptual_loss(random_vgg, [photo], None, OptimizeSettings(**layers, pixel_range=scale))(photo, {}).variation
        for scale in (None, 4.43)
    )
    assert_close(scaled, plain * 4.43**power)


# --- Where it begins ---


def test_uniform_noise_spans_its_range_over_the_full_scale() -> None:
    photo = noise(100, 100)
    config = OptimizeSettings(init="noise", noise=(-128.0, 127.0), pixel_range=255.0)
    start = start_image(inputs_of(), photo, config)
    assert start.shape == photo.shape
    assert -128 / 255 <= start.min() < -127 / 255 and 126 / 255 < start.max() <= 127 / 255
    assert start.mean().item() == pytest.approx(-0.5 / 255, abs=0.01)
    plain = start_image(inputs_of(), photo, OptimizeSettings(init="noise"))
    assert 0 <= plain.min() < 0.01 and 0.99 < plain.max() <= 1


def test_normal_noise_has_its_mean_and_deviation_over_the_full_scale() -> None:
    config = OptimizeSettings(init="normal", noise=(100.0, 10.0), pixel_range=255.0)
    start = start_image(inputs_of(), noise(100, 100), config)
    assert start.mean().item() == pytest.approx(100 / 255, abs=0.001)
    assert start.std().item() == pytest.approx(10 / 255, rel=0.03)
    assert start.max() > start.mean() + 3 * 10 / 255  # no uniform noise


@pytest.mark.parametrize("init", ["noise", "normal"])
def test_noise_is_its_seeds(init) -> None:
    first, again, other = (
        start_image(inputs_of(), noise(), OptimizeSettings(init=init, seed=seed)) for seed in (3, 3, 4)
    )
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_it_begins_with_a_copy_of_the_photo_or_with_an_image_brought_to_its_size() -> None:
    inputs = inputs_of()
    start = start_image(inputs, inputs.photo, OptimizeSettings())
    assert torch.equal(start, inputs.photo) and start.data_ptr() != inputs.photo.data_ptr()
    inputs = inputs_of(init="other.png")
    expected = resized(load_image(Path("other.png")), inputs.photo.shape)
    assert_close(start_image(inputs, inputs.photo, OptimizeSettings(init="other.png")), expected)


# --- Styles ---


@pytest.mark.parametrize(
    ("style_size", "full", "half"),
    [
        (20, (10, 20), (5, 10)),
        ("photo", (20, 40), (10, 20)),
        ("stretch", (30, 40), (15, 20)),
    ],
)
def test_styles_have_the_size_asked_for_and_shrink_with_the_photo(style_size, full, half) -> None:
    inputs, config = inputs_of(), OptimizeSettings(style_size=style_size)
    for photo, size in ((inputs.photo, full), (resized(inputs.photo, torch.Size((1, 3, 15, 20))), half)):
        (style,) = style_images(inputs, photo, config)
        assert style.shape == (1, 3, *size)


def test_a_style_as_large_as_the_photo_may_grow() -> None:
    inputs, config = inputs_of(style=(Path("other.png"),)), OptimizeSettings(style_size="photo")
    (style,) = style_images(inputs, inputs.photo, config)
    assert style.shape == (1, 3, 40, 27)


def test_only_lightness_counts_where_the_photos_colours_are_kept() -> None:
    settings = {"keep_colors": "luminance", "style_size": 20}
    inputs = inputs_of(**settings)
    photo = load_image(Path("photo.png"))
    luma = (photo * torch.tensor(LUMA).view(1, 3, 1, 1)).sum(1, keepdim=True)
    assert_close(inputs.photo, luma.expand(-1, 3, -1, -1), atol=1e-6, rtol=0)
    (style,) = style_images(inputs, inputs.photo, OptimizeSettings(**settings))
    assert torch.equal(style[:, 0], style[:, 1]) and torch.equal(style[:, 0], style[:, 2])
    assert style.mean().item() == pytest.approx(luma.mean().item(), abs=0.01)
    assert style.std().item() == pytest.approx(luma.std().item(), rel=0.05)  # a few values are clamped


def test_a_recoloured_style_has_the_photos_mean_and_covariance() -> None:
    settings = {"keep_colors": "histogram", "style_size": 60}
    reddish = Image.fromarray(np.uint8(np.array(Image.open("photo.png")) * [0.3, 0.1, 0.1] + [130, 100, 100]))
    reddish.save("photo.png")
    inputs = inputs_of(**settings)
    assert_close(inputs.photo, load_image(Path("photo.png")))
    (style,) = style_images(inputs, inputs.photo, OptimizeSettings(**settings))
    for first, second in ((style, inputs.photo), (1 - style, 1 - inputs.photo)):
        colors, expected = first[0].flatten(1), second[0].flatten(1)
        assert_close(colors.mean(1), expected.mean(1), atol=1e-3, rtol=0)
        assert_close(colors.cov(), expected.cov(), atol=1e-4, rtol=0.02)


def test_shares_are_parts_of_their_sum_and_equal_where_left_out(random_vgg) -> None:
    styles = (Path("style.png"), Path("other.png"))
    layers = {"style_layers": ("relu1_2",), "content_layers": ("relu2_2",), "style_size": 16}
    inputs = inputs_of(style=styles)

    def style_loss(*shares: float) -> Tensor:
        config = OptimizeSettings(style=styles, style_shares=shares, **layers)
        return objective_of(random_vgg, inputs, inputs.photo, config)(inputs.photo).style

    assert_close(style_loss(1, 3), style_loss(0.25, 0.75))
    assert_close(style_loss(), style_loss(2, 2))
    assert abs(style_loss(1, 3) - style_loss(3, 1)) > 1e-3 * style_loss(1, 3)
    alone = inputs_of(style=styles[:1])
    of_first = objective_of(random_vgg, alone, alone.photo, OptimizeSettings(style=styles[:1], **layers))
    assert_close(style_loss(1, 1e-9), of_first(inputs.photo).style)


# --- Regions ---


def test_the_last_style_has_what_the_masks_leave() -> None:
    styles = (Path("style.png"), Path("other.png"))
    regions = inputs_of(style=styles, mask=(Path("left.png"),)).regions
    assert regions is not None and regions.shape == (2, 1, 30, 40)
    assert regions[0, 0, :, :10].min() == 1 and regions[0, 0, :, 10:].max() == 0
    assert torch.equal(regions[1], 1 - regions[0])
    both = inputs_of(style=styles, mask=(Path("left.png"), Path("right.png"))).regions
    assert both is not None and torch.equal(both, regions)
    (alone,) = inputs_of(mask=(Path("left.png"),)).regions  # one style, in its region only
    assert torch.equal(alone, regions[0])
    assert inputs_of().regions is None


def test_a_mask_of_another_size_is_brought_to_the_photos() -> None:
    regions = inputs_of(mask=(Path("large.png"),)).regions
    assert regions is not None and regions.shape == (1, 1, 30, 40)
    assert regions[0, 0, :, :9].min() > 0.99 and regions[0, 0, :, 11:].max() < 0.01


def test_regions_shrink_with_the_photo(random_vgg) -> None:
    styles = (Path("style.png"), Path("other.png"))
    inputs = inputs_of(style=styles, mask=(Path("left.png"),))
    config = OptimizeSettings(style=styles, style_layers=("relu1_2",), content_layers=(), style_size=16)
    half = resized(inputs.photo, torch.Size((1, 3, 15, 20)))
    image = half.clone().requires_grad_()
    objective_of(random_vgg, inputs, half, config)(image).style.sum().backward()
    assert image.grad is not None and image.grad.abs().sum((0, 1)).all()


@pytest.mark.parametrize(
    ("styles", "masks", "message"),
    [
        (2, ["left", "right", "white"], "2 styles need a mask each, or one fewer, got 3"),
        (3, ["left"], "3 styles need a mask each, or one fewer, got 1"),
        (2, ["square"], "square.png: a mask has the shape of the photo, 40x30 here, got 40x40"),
        (2, ["black"], "black.png: the mask is black all over"),
        (2, ["white"], "leave no room for the last style"),
        (2, ["photo.txt"], "photo.txt.png: no such file"),
    ],
)
def test_masks_that_do_not_fit_are_refused(styles, masks, message) -> None:
    with pytest.raises(UserError, match=message):
        inputs_of(style=(Path("style.png"),) * styles, mask=tuple(Path(f"{name}.png") for name in masks))


def test_a_style_that_cannot_be_read_is_told_of_with_the_other_inputs() -> None:
    with pytest.raises(UserError, match=r"missing\.png: no such file"):
        inputs_of(style=(Path("style.png"), Path("missing.png")))


# --- Sizes ---


def test_resizing_keeps_shape_range_and_an_image_of_the_right_size() -> None:
    image = (noise(60, 80) > 0.5).float()
    assert resized(image, torch.Size((1, 3, 60, 80))) is image
    for height, width in ((30, 40), (90, 120)):
        other = resized(image, torch.Size((1, 3, height, width)))
        assert other.shape == (1, 3, height, width)
        assert other.min() >= 0 and other.max() <= 1
        assert other.mean().item() == pytest.approx(image.mean().item(), abs=0.02)


@pytest.mark.parametrize(
    ("height", "width", "size", "expected"), [(30, 40, 20, (15, 20)), (40, 30, 80, (80, 60)), (1, 500, 100, (1, 100))]
)
def test_a_shape_has_the_long_side_asked_for(height, width, size, expected) -> None:
    assert shape_of(noise(height, width), size) == (1, 3, *expected)


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
