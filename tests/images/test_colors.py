import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from fastnst.images.colors import luminance, match_colors, match_luminance, with_colors_of

LUMA = torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)


def soft_noise(*shape: int, seed: int) -> Tensor:
    """Correlated colours well inside [0, 1], so that no match is clamped."""
    noise = torch.rand(*shape, generator=torch.Generator().manual_seed(seed))
    mix = torch.tensor([[0.10, 0.05, 0.00], [0.03, 0.12, 0.02], [0.00, 0.04, 0.06]]).roll(seed, 0)
    return 0.4 + torch.einsum("cd,bdhw->bchw", mix, noise)


def moments(images: Tensor) -> tuple[Tensor, Tensor]:
    pixels = images[0].flatten(1).double()
    return pixels.mean(1), pixels.cov(correction=0)


def test_luminance_is_grey_and_leaves_grey_images_alone() -> None:
    images = torch.rand(2, 3, 5, 7)
    grey = luminance(images)
    assert_close(grey, (images * LUMA).sum(1, keepdim=True).expand(2, 3, 5, 7))
    assert_close(luminance(grey), grey)
    assert luminance(torch.ones(1, 3, 2, 2)).max() <= 1


def test_kept_colors_have_the_photos_chroma_and_the_styles_luma() -> None:
    photo, stylized = 0.3 + 0.2 * torch.rand(1, 3, 8, 8), 0.3 + 0.2 * torch.rand(1, 3, 8, 8)
    kept = with_colors_of(photo, stylized)
    assert_close((kept * LUMA).sum(1), (stylized * LUMA).sum(1))
    assert_close(kept[:, 0] - kept[:, 2], photo[:, 0] - photo[:, 2])  # differences of channels carry the colour


def test_matched_luminance_has_the_photos_mean_and_deviation_and_the_styles_pattern() -> None:
    style, photo = soft_noise(1, 3, 31, 20, seed=0), soft_noise(1, 3, 24, 40, seed=1)
    matched, before, target = match_luminance(style, photo), luminance(style), luminance(photo)
    assert matched.shape == style.shape and matched.dtype == torch.float32
    assert_close(matched[:, 0], matched[:, 2])
    assert_close(matched.mean(), target.mean())
    assert_close(matched.std(correction=0), target.std(correction=0))
    assert_close((matched - matched.mean()) / matched.std(), (before - before.mean()) / before.std())


def test_matched_colors_have_the_photos_mean_and_covariance() -> None:
    style, photo = soft_noise(1, 3, 31, 20, seed=0), soft_noise(1, 3, 24, 40, seed=1)
    matched = match_colors(style, photo)
    assert matched.shape == style.shape and matched.dtype == torch.float32
    for found, expected in zip(moments(matched), moments(photo), strict=True):
        assert_close(found, expected, rtol=1e-5, atol=1e-7)  # float32 pixels


def test_colors_that_match_already_stay() -> None:
    style = soft_noise(1, 3, 12, 12, seed=0)
    assert_close(match_colors(style, style), style)
    assert_close(match_luminance(style, style), luminance(style))


def test_each_style_of_a_batch_is_matched_by_itself() -> None:
    styles, photo = soft_noise(2, 3, 9, 9, seed=0), soft_noise(1, 3, 8, 8, seed=1)
    assert_close(match_colors(styles, photo)[1:], match_colors(styles[1:], photo))


def test_matches_stay_between_0_and_1() -> None:
    mostly_dark, black_and_white = torch.rand(1, 3, 16, 16) ** 4, torch.rand(1, 3, 16, 16).round()
    for match in (match_colors, match_luminance):
        matched = match(mostly_dark, black_and_white)
        assert matched.min() >= 0 and matched.max() == 1


def test_a_grey_style_keeps_its_pattern_and_gets_no_colored_noise() -> None:
    grey, photo = luminance(soft_noise(1, 3, 20, 20, seed=0)), soft_noise(1, 3, 20, 20, seed=1)
    matched = match_colors(grey, photo)
    assert_close(moments(matched)[0], moments(photo)[0], rtol=1e-5, atol=1e-7)
    values, _ = torch.linalg.eigh(moments(matched)[1])
    assert values[1] < 1e-6 * values[2]  # one direction: light and dark


@pytest.mark.parametrize("match", [match_colors, match_luminance])
def test_a_style_of_one_color_becomes_the_photos_mean(match) -> None:
    photo = soft_noise(1, 3, 20, 20, seed=1)
    matched = match(torch.full((1, 3, 6, 6), 0.2), photo)
    target = photo if match is match_colors else luminance(photo)
    assert_close(matched, target.mean((2, 3), keepdim=True).expand_as(matched))


@pytest.mark.parametrize("match", [match_colors, match_luminance])
def test_a_photo_of_one_color_leaves_only_that(match) -> None:
    matched = match(soft_noise(1, 3, 6, 6, seed=0), torch.full((1, 3, 5, 5), 0.7))
    assert_close(matched, torch.full_like(matched, 0.7))


def test_faint_noise_in_a_style_does_not_become_strong_colors() -> None:
    faint = 0.5 + 1e-4 * torch.randn(1, 3, 20, 20, generator=torch.Generator().manual_seed(0))
    photo = soft_noise(1, 3, 20, 20, seed=1)
    assert moments(match_colors(faint, photo))[1].trace() < 0.01 * moments(photo)[1].trace()


def test_the_images_are_not_changed() -> None:
    style, photo = torch.rand(1, 3, 8, 8), torch.rand(1, 3, 8, 8)
    before = style.clone(), photo.clone()
    for function in (match_colors, match_luminance, with_colors_of):
        function(style, photo)
    assert torch.equal(style, before[0]) and torch.equal(photo, before[1])
