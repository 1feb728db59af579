"""The perceptual loss: the weighted sum of its parts, for several styles, in regions, with an inset, and its errors."""

import pytest
import torch
from random_features import halves, noise
from torch import nn
from torch.testing import assert_close

from fastnst.perception.losses import (
    content_loss,
    gram_matrix,
    squared_distance,
    style_loss,
    total_variation,
)
from fastnst.perception.perceptual_loss import PerceptualLoss


def perceptual_loss(random_vgg, styles, **settings):
    return PerceptualLoss(
        random_vgg, styles, **{"content_layers": ["relu2_2"], "style_layers": ["relu1_2", "relu2_2"], **settings}
    )


@pytest.mark.parametrize("form", ["l2", "l1", "keras"])
@pytest.mark.parametrize(
    ("normalization", "pixel_range", "scale"),
    [("gatys", None, 255.0), ("pytorch", 4.43, 4.43), ("relative", None, 1.0)],
)
def test_total_variation_is_that_of_the_pixels_its_weight_was_chosen_for(
    random_vgg, photo, form, normalization, pixel_range, scale
) -> None:
    loss = perceptual_loss(
        random_vgg, [photo], normalization=normalization, pixel_range=pixel_range, variation=form, variation_weight=2.0
    )
    losses = loss(photo, loss.content_targets(photo))
    expected = total_variation(scale * photo, form) / (96 * 96 if normalization == "relative" else 1)
    assert_close(losses.variation, expected)
    assert_close(losses.total, 2 * expected)  # content and style are the photo's own


def test_keras_losses_are_averaged_over_layers_as_the_relative_ones(random_vgg, photo) -> None:
    weights = {"relu1_2": 1.0, "relu2_2": 3.0}
    for normalization in ("keras", "relative"):
        both, *single = (
            perceptual_loss(random_vgg, [photo.flip(3)], normalization=normalization, style_layers=layers)
            for layers in (weights, ["relu1_2"], ["relu2_2"])
        )
        styles = [loss(photo, loss.content_targets(photo)).style for loss in (both, *single)]
        assert_close(styles[0], (styles[1] + 3 * styles[2]) / 4)


def test_perceptual_loss_is_the_weighted_sum_of_its_parts(random_vgg, photo) -> None:
    style = photo.flip(3).roll(7, 2)
    weights = {"content_weight": 2.0, "style_weight": 3.0, "variation_weight": 5.0}
    loss = perceptual_loss(random_vgg, [style], normalization="relative", **weights)
    stylized = (photo * 0.5).clone()
    losses = loss(stylized, loss.content_targets(photo))
    maps, of_photo, of_style = random_vgg(stylized), random_vgg(photo), random_vgg(style)
    content = content_loss(maps["relu2_2"], of_photo["relu2_2"])
    grams = [style_loss(gram_matrix(maps[name]), gram_matrix(of_style[name])) for name in ("relu1_2", "relu2_2")]
    variation = total_variation(stylized) / (96 * 96)
    assert_close(losses.content, content)
    assert_close(losses.style, (grams[0] + grams[1]) / 2)
    assert_close(losses.variation, variation)
    assert_close(losses.total, 2 * content + 3 * (grams[0] + grams[1]) / 2 + 5 * variation)


def test_papers_normalizations_sum_over_layers_with_their_weights(random_vgg, photo) -> None:
    style = photo.flip(3)
    loss = perceptual_loss(random_vgg, [style], normalization="johnson", style_layers={"relu1_2": 0.5, "relu2_2": 2.0})
    maps, of_style = random_vgg(photo), random_vgg(style)
    expected = sum(
        weight * squared_distance(gram_matrix(maps[name]), gram_matrix(of_style[name]))
        for name, weight in {"relu1_2": 0.5, "relu2_2": 2.0}.items()
    )
    assert_close(loss(photo, loss.content_targets(photo)).style, expected)


def test_the_style_has_no_style_loss_and_the_photo_no_content_loss(random_vgg, photo) -> None:
    loss = perceptual_loss(random_vgg, [photo])
    losses = loss(photo, loss.content_targets(photo))
    assert losses.style.item() == 0
    assert losses.content.item() == 0


def test_each_image_is_measured_against_its_own_style_and_photo(random_vgg, photo) -> None:
    other = photo.roll(31, 3) * 0.7
    loss = perceptual_loss(random_vgg, [photo, other])
    pair = torch.cat([photo, other])
    both = loss(pair, loss.content_targets(pair.flip(0)), torch.tensor([[0.0, 1.0], [1.0, 0.0]]))
    first = loss(photo, loss.content_targets(other), torch.tensor([[0.0, 1.0]]))
    second = loss(other, loss.content_targets(photo), torch.tensor([[1.0, 0.0]]))
    assert_close(both.total, torch.cat([first.total, second.total]), rtol=1e-4, atol=1e-6)


def test_a_blend_of_styles_is_the_blend_of_their_gram_matrices(random_vgg, photo) -> None:
    first, second = photo.flip(3).roll(7, 2), photo * 0.4
    loss = perceptual_loss(random_vgg, [first, second], normalization="johnson", style_layers=["relu1_2"])
    image, targets = photo.roll(13, 2), loss.content_targets(photo)
    gram, *grams = (gram_matrix(random_vgg(picture)["relu1_2"]) for picture in (image, first, second))
    blend = 0.25 * grams[0] + 0.75 * grams[1]
    assert_close(loss(image, targets, torch.tensor([[0.25, 0.75]])).style, squared_distance(gram, blend))
    assert_close(loss(image, targets).style, squared_distance(gram, (grams[0] + grams[1]) / 2))
    alone = perceptual_loss(random_vgg, [second], normalization="johnson", style_layers=["relu1_2"])
    assert_close(loss(image, targets, torch.tensor([[0.0, 1.0]])).style, alone(image, targets).style)


def test_with_an_inset_what_is_at_the_border_does_not_count(random_vgg, photo) -> None:
    """relu2_2 sees 7 px to a side; the 16 px of the inset are eight positions of it."""
    loss = perceptual_loss(random_vgg, [photo.flip(3)], style_weight=3.0, variation_weight=5.0)
    targets, image = loss.content_targets(photo), photo.roll(5, 2)
    spoilt = torch.zeros_like(image)
    spoilt[..., 9:-9, 9:-9] = image[..., 9:-9, 9:-9]
    for part, other in zip(loss(image, targets, inset=16), loss(spoilt, targets, inset=16), strict=True):
        assert_close(part, other)
    assert loss(spoilt, targets).total > 1.1 * loss(image, targets).total
    maps, of_photo = random_vgg(image)["relu2_2"][..., 8:-8, 8:-8], targets["relu2_2"][..., 8:-8, 8:-8]
    inside = loss(image, targets, inset=16)
    assert_close(inside.content, content_loss(maps, of_photo))
    assert_close(inside.variation, total_variation(image[..., 16:-16, 16:-16]) / 64**2)


# --- Regions ---


class Pixels(nn.Module):
    """A loss network whose only layer is the image: no position sees another one."""

    def forward(self, images: torch.Tensor, layers: object = None) -> dict[str, torch.Tensor]:
        return {"pixels": images}


def test_halves_that_show_their_own_styles_have_no_style_loss() -> None:
    styles = [noise(1, 3, 6, 4).float(), noise(1, 3, 6, 4, seed=1).float()]
    settings = {"content_layers": (), "style_layers": ["pixels"], "normalization": "relative"}
    loss = PerceptualLoss(Pixels(), styles, **settings, regions=halves(6, 8))
    assert loss(torch.cat(styles, 3), {}).style.item() < 1e-10
    swapped = loss(torch.cat(styles[::-1], 3), {}).style
    first, second = (gram_matrix(style) for style in styles)
    assert_close(swapped, (style_loss(first, second) + style_loss(second, first)) / 2)


def test_a_style_reaches_only_its_region_and_counts_by_its_area() -> None:
    image = noise(1, 3, 6, 8).float().requires_grad_()
    style = noise(1, 3, 5, 5, seed=1).float()
    left = halves(6, 8)[:1]
    settings = {"content_layers": (), "style_layers": ["pixels"], "normalization": "relative"}
    loss = PerceptualLoss(Pixels(), [style], **settings, regions=left)
    losses = loss(image, {})
    losses.style.sum().backward()
    assert image.grad is not None
    assert image.grad[..., :4].all() and not image.grad[..., 4:].any()
    assert_close(losses.style, style_loss(gram_matrix(image[..., :4]), gram_matrix(style)) / 2)


def test_regions_hold_at_every_layer_of_a_real_network(random_vgg, photo) -> None:
    styles = [photo, 1 - photo.flip(2)]
    loss = perceptual_loss(random_vgg, styles, content_layers=(), regions=halves(96, 96))
    right_way = torch.cat([styles[0][..., :48], styles[1][..., 48:]], 3)
    wrong_way = torch.cat([styles[1][..., :48], styles[0][..., 48:]], 3)
    assert loss(right_way, {}).style < 0.5 * loss(wrong_way, {}).style


# --- A part without layers ---


@pytest.mark.parametrize(
    ("settings", "part"),
    [
        ({"content_layers": (), "style_layers": ["relu1_1"]}, "content"),
        ({"content_layers": ["relu1_1"], "style_layers": ()}, "style"),
    ],
)
def test_a_part_without_layers_is_zero_and_nothing_is_computed_for_it(random_vgg, photo, settings, part) -> None:
    ran: list[str] = []
    hooks = [
        operation.register_forward_hook(lambda *_, name=name: ran.append(name))
        for name, operation in random_vgg.operations.items()
    ]
    loss = perceptual_loss(random_vgg, [] if part == "style" else [photo.flip(3)], **settings)
    losses = loss(photo * 0.5, loss.content_targets(photo))
    for hook in hooks:
        hook.remove()
    assert getattr(losses, part).item() == 0 and losses.total.item() > 0
    assert ran == ["conv1_1"] * 2  # once for the target, once for the image; a ReLU is not called as a module


def test_inputs_are_not_changed_and_nothing_of_the_loss_network_gets_a_gradient(random_vgg, photo) -> None:
    loss = perceptual_loss(random_vgg, [photo.flip(3)])
    stylized = (photo * 0.9).clone().requires_grad_()
    before = stylized.detach().clone()
    loss(stylized, loss.content_targets(photo)).mean().total.backward()
    assert torch.equal(stylized.detach(), before)
    assert stylized.grad is not None and stylized.grad.abs().sum() > 0
    assert all(not p.requires_grad and p.grad is None for p in loss.parameters())
    assert not any(name.startswith("style_") for name in loss.state_dict())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"normalization": "gatis"}, "relative, moments, gatys, johnson"),
        ({"style_weight": -1.0}, "must not be negative"),
        ({"style_layers": {"relu1_2": 0.0}}, "not all zero"),
        ({"content_layers": (), "style_layers": ()}, "at least one layer"),
        ({"regions": torch.zeros(1, 1, 96, 96)}, "at least one pixel, got an empty one"),
        ({"regions": torch.ones(2, 1, 96, 96)}, "a region for each of 1 styles, got 2"),
    ],
)
def test_wrong_settings_are_named(random_vgg, photo, settings, message) -> None:
    with pytest.raises(ValueError, match=message):
        perceptual_loss(random_vgg, [photo], **settings)


def test_a_loss_without_a_style_is_refused(random_vgg) -> None:
    with pytest.raises(ValueError, match="at least one style image"):
        perceptual_loss(random_vgg, [])


@pytest.mark.parametrize("normalization", ["relative", "moments"])
def test_a_style_is_matched_by_itself_mixed_and_in_its_region(normalization, random_vgg) -> None:
    styles = [torch.rand(1, 3, 40, 40, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1)]
    layers = {"content_layers": (), "style_layers": ("relu1_2", "relu2_2"), "normalization": normalization}
    loss = PerceptualLoss(random_vgg, styles, **layers)
    own = [loss(styles[0], {}, torch.eye(2)[i : i + 1]).style.item() for i in (0, 1)]
    assert own[0] < 1e-9 < own[1]
    halves = torch.zeros(2, 1, 40, 80)
    halves[0, ..., :40], halves[1, ..., 40:] = 1, 1
    regional = PerceptualLoss(random_vgg, styles, **layers, regions=halves)
    right, wrong = (torch.cat(pair, 3) for pair in (styles, styles[::-1]))
    assert regional(right, {}).style < 0.5 * regional(wrong, {}).style
