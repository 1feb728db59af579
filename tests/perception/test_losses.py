"""Losses and total variation against loops, values by hand and the formulas of the papers."""

import pytest
import torch
from random_features import halves, noise
from torch.testing import assert_close

from fastnst.perception.losses import (
    content_loss,
    gram_matrix,
    guided_gram_matrix,
    moment_matrix,
    moments,
    moments_loss,
    style_loss,
    total_variation,
)
from fastnst.perception.normalizations import NORMALIZATIONS, Sizes


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


def test_relative_losses_do_not_depend_on_the_scale_of_the_features() -> None:
    features, target = noise(1, 3, 4, 5), noise(1, 3, 4, 5, seed=1)
    assert_close(content_loss(1000 * features, 1000 * target), content_loss(features, target))
    assert_close(
        style_loss(gram_matrix(1000 * features), gram_matrix(1000 * target)),
        style_loss(gram_matrix(features), gram_matrix(target)),
    )


# --- Regions ---


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
