"""What the settings of `fastnst optimize` stand for: numbers, where it begins, styles, regions, sizes."""

from pathlib import Path

import numpy as np
import pytest
import torch
from pictures import noise
from PIL import Image
from torch import Tensor
from torch.testing import assert_close

from fastnst.base.errors import UserError
from fastnst.baseline.problem import (
    Inputs,
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
from fastnst.images.colors import LUMA
from fastnst.images.read import load_image, read_picture
from fastnst.perception.objective import layer_weights

pytestmark = pytest.mark.usefixtures("photo_styles_and_masks")

CPU = torch.device("cpu")


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
