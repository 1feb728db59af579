import pytest
import torch
from torch.testing import assert_close

from fastnst.losses import (
    NORMALIZATIONS,
    PerceptualLoss,
    content_loss,
    gram_matrix,
    squared_distance,
    style_loss,
    total_variation,
)


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


def test_gatys_normalization_is_the_papers() -> None:
    features, target = noise(1, 3, 4, 5), noise(1, 3, 4, 5, seed=1)
    gatys = NORMALIZATIONS["gatys"]
    flat, flat_target = features[0].flatten(1), target[0].flatten(1)
    assert gatys.content(features, target).item() == pytest.approx(((flat - flat_target) ** 2).sum().item() / 2)
    n, m = flat.shape  # eq. 4: 1 / (4 N^2 M^2) sum (G - A)^2 with undivided matrices
    expected = ((flat @ flat.T - flat_target @ flat_target.T) ** 2).sum().item() / (4 * n**2 * m**2)
    assert gatys.style(gram_matrix(features), gram_matrix(target)).item() == pytest.approx(expected)
    # 0 to 255: one step of 1 / 255 between two pixels of one channel is one unit
    assert gatys.variation(torch.tensor([[[[0.0, 1 / 255]]]])).item() == pytest.approx(1)


def test_johnson_normalization_is_the_papers() -> None:
    features, target = noise(1, 3, 4, 5), noise(1, 3, 4, 5, seed=1)
    johnson = NORMALIZATIONS["johnson"]
    assert johnson.content(features, target).item() == pytest.approx(((features - target) ** 2).mean().item())
    expected = ((gram_by_loops(features) - gram_by_loops(target)) ** 2).sum().item()
    assert johnson.style(gram_matrix(features), gram_matrix(target)).item() == pytest.approx(expected)


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
    loss = perceptual_loss(random_vgg, [style], content_weight=2.0, style_weight=3.0, variation_weight=5.0)
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
    both = loss(pair, loss.content_targets(pair.flip(0)), torch.tensor([1, 0]))
    first = loss(photo, loss.content_targets(other), torch.tensor([1]))
    second = loss(other, loss.content_targets(photo), torch.tensor([0]))
    assert_close(both.total, torch.cat([first.total, second.total]), rtol=1e-4, atol=1e-6)


def test_inputs_are_not_changed_and_nothing_of_the_loss_network_gets_a_gradient(random_vgg, photo) -> None:
    loss = perceptual_loss(random_vgg, [photo.flip(3)])
    stylized = (photo * 0.9).clone().requires_grad_()
    before = stylized.detach().clone()
    loss(stylized, loss.content_targets(photo)).mean().total.backward()
    assert torch.equal(stylized.detach(), before)
    assert stylized.grad is not None and stylized.grad.abs().sum() > 0
    assert all(not p.requires_grad and p.grad is None for p in loss.parameters())
    assert not any(name.startswith("gram") for name in loss.state_dict())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"normalization": "gatis"}, "relative, gatys, johnson"),
        ({"style_weight": -1.0}, "must not be negative"),
        ({"style_layers": {"relu1_2": 0.0}}, "not all zero"),
    ],
)
def test_wrong_settings_are_named(random_vgg, photo, settings, message) -> None:
    with pytest.raises(ValueError, match=message):
        perceptual_loss(random_vgg, [photo], **settings)


def test_a_loss_without_a_style_is_refused(random_vgg) -> None:
    with pytest.raises(ValueError, match="at least one style image"):
        perceptual_loss(random_vgg, [])
