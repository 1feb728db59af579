import pytest
import torch
from torch import nn
from torch.testing import assert_close

from fastnst.perception.losses import (
    content_loss,
    gram_matrix,
    guided_gram_matrix,
    moment_matrix,
    moments,
    moments_loss,
    squared_distance,
    style_loss,
    total_variation,
)
from fastnst.perception.normalizations import NORMALIZATIONS, Sizes
from fastnst.perception.perceptual_loss import PerceptualLoss


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def gram_by_loops(features: torch.Tensor) -> torch.Tensor:
    batch, channels, height, width = features.shape
    gram = torch.zeros(batch, channels, channels, dtype=features.dtype)
    for b in range(batch):
        for c in range(channels):
            for d in range(channels):
                for h in range(height):
                    for w in range(width):
                        gram[b, c, d] += features[b, c, h, w] * features[b, d, h, w]
    return gram / (channels * height * width)


def test_gram_matrix_agrees_with_loops() -> None:
    features = noise(2, 3, 4, 5)
    assert_close(gram_matrix(features), gram_by_loops(features))


def test_gram_matrix_has_the_value_worked_out_by_hand() -> None:
    features = torch.tensor([[[[1.0, 2.0]], [[3.0, 4.0]]]])  # two channels, two positions: (1 2) and (3 4)
    # sums of products: 1+4, 3+8, 9+16; divided by C H W = 4
    assert_close(gram_matrix(features), torch.tensor([[[1.25, 2.75], [2.75, 6.25]]]))


def test_gram_matrix_does_not_change_when_the_image_is_tiled() -> None:
    features = noise(1, 3, 4, 4)
    assert_close(gram_matrix(features.repeat(1, 1, 3, 2)), gram_matrix(features))


def test_gram_matrix_stays_in_float32_under_autocast() -> None:
    features = 300 * noise(1, 4, 512, 512).float()  # the sums are far beyond float16, and bfloat16 has 8 bits
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(gram_matrix(features), gram_without_autocast(features))
        assert gram_matrix(features.bfloat16()).dtype == torch.float32
        assert gram_matrix(features.half()).isfinite().all()


def gram_without_autocast(features: torch.Tensor) -> torch.Tensor:
    with torch.autocast("cpu", enabled=False):
        return gram_matrix(features)


def test_gradients_of_the_losses_are_right() -> None:
    features, target = noise(2, 3, 4, 4).requires_grad_(), noise(2, 3, 4, 4, seed=1)
    assert torch.autograd.gradcheck(lambda x: content_loss(x, target), features)
    assert torch.autograd.gradcheck(lambda x: style_loss(gram_matrix(x), gram_matrix(target)), features)
    assert torch.autograd.gradcheck(total_variation, features)


def test_content_loss_agrees_with_loops_and_with_a_value_by_hand() -> None:
    features, target = noise(2, 3, 2, 2), noise(2, 3, 2, 2, seed=1)
    for b in range(2):
        pairs = list(zip(features[b].flatten().tolist(), target[b].flatten().tolist(), strict=True))
        expected = sum((f - t) ** 2 for f, t in pairs) / (sum(t**2 for _, t in pairs) + 1e-8)
        assert content_loss(features, target)[b].item() == pytest.approx(expected, rel=1e-5)
    one = content_loss(torch.tensor([[[[3.0, 1.0]]]]), torch.tensor([[[[1.0, 2.0]]]]))  # (4 + 1) / (1 + 4)
    assert_close(one, torch.tensor([1.0]))


def test_style_loss_agrees_with_loops_and_with_a_value_by_hand() -> None:
    first, second = noise(1, 3, 4, 5), noise(1, 3, 6, 2, seed=1)
    a, b = gram_by_loops(first), gram_by_loops(second)
    expected = sum((a[0, i, j] - b[0, i, j]) ** 2 for i in range(3) for j in range(3)) / sum(
        b[0, i, j] ** 2 for i in range(3) for j in range(3)
    )
    assert style_loss(gram_matrix(first), gram_matrix(second))[0].item() == pytest.approx(float(expected), rel=1e-5)
    # Grams 4 and 1 of one channel: (4 - 1)^2 / 1^2
    by_hand = style_loss(gram_matrix(torch.full((1, 1, 2, 2), 2.0)), gram_matrix(torch.ones(1, 1, 3, 3)))
    assert_close(by_hand, torch.tensor([9.0]))


def test_style_loss_of_the_style_itself_is_zero_and_of_nothing_is_one() -> None:
    gram = gram_matrix(noise(1, 3, 4, 4))
    assert style_loss(gram, gram).item() == 0
    assert style_loss(torch.zeros_like(gram), gram).item() == pytest.approx(1, rel=1e-5)


def test_total_variation_agrees_with_loops_and_vanishes_on_a_flat_image() -> None:
    images = noise(2, 3, 4, 5)
    expected = torch.zeros(2, dtype=torch.float64)
    for b in range(2):
        for c in range(3):
            for h in range(4):
                for w in range(5):
                    if h + 1 < 4:
                        expected[b] += (images[b, c, h + 1, w] - images[b, c, h, w]) ** 2
                    if w + 1 < 5:
                        expected[b] += (images[b, c, h, w + 1] - images[b, c, h, w]) ** 2
    assert_close(total_variation(images), expected)
    assert total_variation(torch.full((1, 3, 8, 8), 0.3)).item() == 0


def test_l1_and_keras_total_variation_agree_with_loops() -> None:
    images = noise(2, 3, 4, 5)
    absolute, keras = torch.zeros(2, dtype=torch.float64), torch.zeros(2, dtype=torch.float64)
    for b in range(2):
        for c in range(3):
            for h in range(4):
                for w in range(5):
                    down = (images[b, c, h + 1, w] - images[b, c, h, w]).abs() if h + 1 < 4 else None
                    across = (images[b, c, h, w + 1] - images[b, c, h, w]).abs() if w + 1 < 5 else None
                    absolute[b] += sum(slope for slope in (down, across) if slope is not None)
                    if down is not None and across is not None:
                        keras[b] += (down**2 + across**2) ** 1.25
    assert_close(total_variation(images, "l1"), absolute)
    assert_close(total_variation(images, "keras"), keras)


def test_forms_of_total_variation_have_the_values_worked_out_by_hand() -> None:
    image = torch.tensor([[[[0.0, 3.0], [4.0, 4.0]]]])  # across 3, 0; down 4, 1
    by_hand = {"l1": 8.0, "l2": 26.0, "keras": 25.0**1.25}  # keras: the top left pixel alone, 9 + 16
    for form, value in by_hand.items():
        assert total_variation(image, form).item() == pytest.approx(value)
        assert total_variation(torch.full((1, 3, 8, 8), 0.3), form).item() == 0


@pytest.mark.parametrize("form", ["l2", "l1", "keras"])
def test_gradient_of_each_form_of_total_variation_is_right_and_finite_on_a_flat_image(form) -> None:
    assert torch.autograd.gradcheck(lambda x: total_variation(x, form), noise(1, 2, 4, 4).requires_grad_())
    flat = torch.full((1, 3, 4, 4), 0.5, requires_grad=True)
    total_variation(flat, form).sum().backward()
    assert flat.grad is not None and not flat.grad.any()


# --- Numbers as the papers have them; Gram matrices here are undivided, from flat maps (channels, positions) ---


def sizes_of(features: torch.Tensor, pixels: int = 80) -> Sizes:
    return Sizes(features.shape[1], features[0, 0].numel(), pixels)


def test_gatys_normalization_is_the_papers() -> None:
    features, target = noise(1, 3, 4, 5), noise(1, 3, 4, 5, seed=1)
    gatys = NORMALIZATIONS["gatys"]
    flat, flat_target = features[0].flatten(1), target[0].flatten(1)
    assert gatys.content(features, target).item() == pytest.approx(((flat - flat_target) ** 2).sum().item() / 2)
    n, m = flat.shape  # eq. 4: 1 / (4 N^2 M^2) sum (G - A)^2 with undivided matrices
    expected = ((flat @ flat.T - flat_target @ flat_target.T) ** 2).sum().item() / (4 * n**2 * m**2)
    found = gatys.style(gram_matrix(features), gram_matrix(target), sizes_of(features))
    assert found.item() == pytest.approx(expected)


def test_johnson_normalization_is_the_papers() -> None:
    features, target = noise(1, 3, 4, 5), noise(1, 3, 4, 5, seed=1)
    johnson = NORMALIZATIONS["johnson"]
    assert johnson.content(features, target).item() == pytest.approx(((features - target) ** 2).mean().item())
    expected = ((gram_by_loops(features) - gram_by_loops(target)) ** 2).sum().item()
    found = johnson.style(gram_matrix(features), gram_matrix(target), sizes_of(features))
    assert found.item() == pytest.approx(expected)


def test_keras_normalization_is_the_examples() -> None:
    features, target = noise(1, 3, 4, 5), noise(1, 3, 4, 5, seed=1)
    keras = NORMALIZATIONS["keras"]
    assert keras.content(features, target).item() == pytest.approx(((features - target) ** 2).sum().item())
    flat, flat_target = features[0].flatten(1), target[0].flatten(1)
    height, width = 8, 10  # of the image
    expected = ((flat @ flat.T - flat_target @ flat_target.T) ** 2).sum().item() / (4 * 3**2 * (height * width) ** 2)
    found = keras.style(gram_matrix(features), gram_matrix(target), sizes_of(features, height * width))
    assert found.item() == pytest.approx(expected)


def test_pytorch_normalization_is_the_exercises() -> None:
    features, target = noise(1, 3, 4, 5), noise(1, 3, 4, 5, seed=1)
    pytorch = NORMALIZATIONS["pytorch"]
    assert pytorch.content(features, target).item() == pytest.approx(((features - target) ** 2).mean().item())
    flat, flat_target = features[0].flatten(1), target[0].flatten(1)
    d, h, w = features.shape[1:]
    expected = ((flat @ flat.T - flat_target @ flat_target.T) ** 2).mean().item() / (d * h * w)
    found = pytorch.style(gram_matrix(features), gram_matrix(target), sizes_of(features))
    assert found.item() == pytest.approx(expected)


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


def test_relative_losses_do_not_depend_on_the_scale_of_the_features() -> None:
    features, target = noise(1, 3, 4, 5), noise(1, 3, 4, 5, seed=1)
    assert_close(content_loss(1000 * features, 1000 * target), content_loss(features, target))
    assert_close(
        style_loss(gram_matrix(1000 * features), gram_matrix(1000 * target)),
        style_loss(gram_matrix(features), gram_matrix(target)),
    )


def perceptual_loss(random_vgg, styles, **settings):
    return PerceptualLoss(
        random_vgg, styles, **{"content_layers": ["relu2_2"], "style_layers": ["relu1_2", "relu2_2"], **settings}
    )


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


def halves(height: int, width: int) -> torch.Tensor:
    """Two masks, left and right."""
    left = torch.zeros(1, 1, height, width)
    left[..., : width // 2] = 1
    return torch.cat([left, 1 - left])


def test_a_guide_of_ones_changes_nothing_whatever_its_brightness() -> None:
    features = noise(2, 3, 4, 6)
    for brightness in (1.0, 0.3):
        guide = torch.full((1, 1, 8, 12), brightness, dtype=torch.float64)
        assert_close(guided_gram_matrix(features, guide), gram_matrix(features))


def test_a_mask_of_one_half_gives_the_gram_matrix_of_that_half() -> None:
    features = noise(1, 3, 4, 6)
    left, right = halves(8, 12).double()
    assert_close(guided_gram_matrix(features, left[None]), gram_matrix(features[..., :3]))
    assert_close(guided_gram_matrix(features, right[None]), gram_matrix(features[..., 3:]))


def test_a_soft_guide_weighs_features_by_its_square_over_the_mean_square() -> None:
    features, guide = noise(1, 2, 3, 4), noise(1, 1, 3, 4, seed=1)
    flat, weights = features[0].flatten(1), guide.flatten() ** 2
    expected = (flat * weights / weights.mean()) @ flat.T / flat.numel()
    assert_close(guided_gram_matrix(features, guide)[0], expected)


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


# Moments: mean and covariance apart.


def test_moments_equal_a_loop_written_from_their_definition() -> None:
    features = torch.rand(2, 3, 4, 5, dtype=torch.float64)
    mean, covariance = moments(features)
    for b in range(2):
        places = [features[b, :, y, x] for y in range(4) for x in range(5)]
        average = sum(places) / 20
        spread = sum(torch.outer(place - average, place - average) for place in places) / 20
        torch.testing.assert_close(mean[b], average)
        torch.testing.assert_close(covariance[b], spread)


def test_moments_do_not_change_when_the_image_is_tiled_and_the_covariance_not_with_an_offset() -> None:
    features = torch.rand(1, 4, 6, 6, dtype=torch.float64)
    mean, covariance = moments(features)
    torch.testing.assert_close(moments(features.repeat(1, 1, 2, 3)), (mean, covariance))
    torch.testing.assert_close(moments(features + 5), (mean + 5, covariance))


def test_moments_have_the_gradient_of_their_formula() -> None:
    features = torch.rand(1, 3, 4, 4, dtype=torch.float64, requires_grad=True)
    guide = torch.rand(1, 1, 8, 8, dtype=torch.float64)
    assert torch.autograd.gradcheck(moments, (features,))
    assert torch.autograd.gradcheck(lambda maps: moments(maps, guide), (features,))


def test_guided_moments_are_those_of_the_region() -> None:
    features = torch.rand(1, 3, 6, 8, dtype=torch.float64)
    torch.testing.assert_close(moments(features, torch.ones(1, 1, 12, 16, dtype=torch.float64)), moments(features))
    left = torch.zeros(1, 1, 12, 16, dtype=torch.float64)
    left[..., :8] = 1
    torch.testing.assert_close(moments(features, left), moments(features[..., :4]))


def test_the_moments_loss_is_the_mean_of_two_relative_errors_and_zero_for_the_style_itself() -> None:
    found, wanted = (moment_matrix(torch.rand(1, 3, 5, 5, dtype=torch.float64)) for _ in range(2))
    assert moments_loss(wanted, wanted).item() == 0
    parts = [(a - b).square().sum() / b.square().sum() for a, b in zip(split(found), split(wanted), strict=True)]
    torch.testing.assert_close(moments_loss(found, wanted), (sum(parts) / 2)[None], rtol=1e-6, atol=0)


def test_a_style_of_one_colour_asks_for_no_texture_with_a_finite_loss() -> None:
    flat, image = torch.full((1, 3, 8, 8), 0.5), torch.rand(1, 3, 8, 8).requires_grad_()
    assert moments_loss(moment_matrix(flat), moment_matrix(flat)).item() == 0
    loss = moments_loss(moment_matrix(image), moment_matrix(flat))
    loss.sum().backward()
    assert 0.1 < loss.item() < 1e4 and image.grad is not None and image.grad.isfinite().all()


def split(matrix: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return matrix[..., :-1], matrix[..., -1]


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
