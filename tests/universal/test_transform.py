"""Whitening and colouring against the equations of Li et al. (2017)."""

import math

import pytest
import torch

from fastnst.universal.transform import Moments, moments, pooled, transfer


def maps(channels: int, positions: int, *, rank: int | None = None, seed: int = 0) -> torch.Tensor:
    """Correlated features `(1, C, 1, P)` with a mean, of a rank."""
    generator = torch.Generator().manual_seed(seed)
    mix = torch.randn(channels, rank or channels, generator=generator)
    values = mix @ torch.randn(rank or channels, positions, generator=generator)
    return (values + 3 * torch.randn(channels, 1, generator=generator))[None, :, None]


def relative(found: torch.Tensor, wanted: torch.Tensor) -> float:
    return float((found - wanted).norm() / wanted.norm())


def loops(content: list[list[float]], style: list[list[float]], alpha: float) -> list[list[float]]:
    """Equations 2 to 4, index by index; only the eigenvectors come from a library."""
    channels, positions = len(content), len(content[0])

    def statistics(features):
        mean = [sum(row) / len(row) for row in features]
        covariance = [
            [
                sum((features[i][p] - mean[i]) * (features[j][p] - mean[j]) for p in range(len(features[0])))
                / len(features[0])
                for j in range(channels)
            ]
            for i in range(channels)
        ]
        values, vectors = torch.linalg.eigh(torch.tensor(covariance, dtype=torch.float64))
        return mean, values.tolist(), vectors.tolist()

    mean_c, values_c, vectors_c = statistics(content)
    mean_s, values_s, vectors_s = statistics(style)
    result = [[0.0] * positions for _ in range(channels)]
    for p in range(positions):
        centred = [content[c][p] - mean_c[c] for c in range(channels)]
        whitened = [0.0] * channels
        for k in range(channels):
            along = sum(vectors_c[c][k] * centred[c] for c in range(channels)) / math.sqrt(values_c[k])
            for c in range(channels):
                whitened[c] += vectors_c[c][k] * along
        colored = [0.0] * channels
        for k in range(channels):
            along = sum(vectors_s[c][k] * whitened[c] for c in range(channels)) * math.sqrt(values_s[k])
            for c in range(channels):
                colored[c] += vectors_s[c][k] * along
        for c in range(channels):
            result[c][p] = alpha * (colored[c] + mean_s[c]) + (1 - alpha) * content[c][p]
    return result


@pytest.mark.parametrize("alpha", [0.0, 0.6, 1.0])
def test_the_transform_is_that_of_the_equations(alpha) -> None:
    content, style = maps(4, 30), maps(4, 20, seed=1)
    painted = transfer(moments(content), [(moments(style), 1.0)], alpha)(content)
    wanted = torch.tensor(loops(content[0, :, 0].tolist(), style[0, :, 0].tolist(), alpha))
    torch.testing.assert_close(painted[0, :, 0], wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("rank", [12, 5])
def test_whitened_features_have_the_identity_as_covariance_on_the_directions_that_are_there(rank) -> None:
    found = moments(maps(12, 400, rank=rank))
    whitening, (_, vectors) = found.whitening(), found.directions
    assert vectors.shape[1] == rank
    assert relative(whitening @ found.covariance @ whitening.mT, vectors @ vectors.mT) < 1e-4


@pytest.mark.parametrize("rank", [12, 5])
def test_colored_features_have_the_mean_and_covariance_of_the_painting(rank) -> None:
    content, style = maps(12, 500), moments(maps(12, 400, rank=rank, seed=1))
    painted = moments(transfer(moments(content), [(style, 1.0)], 1.0)(content))
    assert relative(painted.covariance, style.covariance) < 1e-4
    assert relative(painted.mean, style.mean) < 1e-4


def test_directions_that_a_photo_lacks_are_not_blown_up() -> None:
    content = maps(12, 400, rank=5) + 1e-4 * maps(12, 400, seed=3)  # rank 5, and a little noise
    style = moments(maps(12, 400, seed=1))
    painted = transfer(moments(content), [(style, 1.0)], 1.0)(content)
    assert torch.linalg.matrix_rank(moments(painted).covariance, rtol=1e-3) == 5


def test_alpha_zero_changes_nothing_and_a_photo_as_its_own_painting_neither() -> None:
    content = maps(8, 300)
    own, other = moments(content), moments(maps(8, 300, seed=1))
    assert torch.equal(transfer(own, [(other, 1.0)], 0.0)(content), content)
    assert relative(transfer(own, [(own, 1.0)], 1.0)(content), content) < 1e-5


def test_features_of_one_color_become_the_mean_of_the_painting() -> None:
    style = moments(maps(6, 300, seed=1))
    for value in (0.0, 2.7):
        content = torch.full((1, 6, 5, 5), value)
        painted = transfer(moments(content), [(style, 1.0)], 1.0)(content)
        torch.testing.assert_close(
            painted.double(), style.mean.view(1, 6, 1, 1).expand_as(painted), rtol=1e-5, atol=1e-5
        )


def test_of_several_paintings_the_colored_features_are_blended() -> None:
    content = maps(6, 300)
    styles = [moments(maps(6, 300, seed=seed)) for seed in (1, 2)]
    own = moments(content)
    each = [transfer(own, [(style, 1.0)], 0.6)(content) for style in styles]
    blend = transfer(own, [(styles[0], 0.75), (styles[1], 0.25)], 0.6)(content)
    torch.testing.assert_close(blend, 0.75 * each[0] + 0.25 * each[1], rtol=1e-4, atol=1e-4)


def test_a_weight_counts_a_position_as_often() -> None:
    features = maps(5, 40).view(1, 5, 5, 8)
    half = torch.zeros(1, 1, 5, 8)
    half[..., :4] = 1
    found, wanted = moments(features, half), moments(features[..., :4])
    torch.testing.assert_close(found.covariance, wanted.covariance)
    torch.testing.assert_close(found.mean, wanted.mean)
    with pytest.raises(ValueError, match="weight above 0"):
        moments(features, 0 * half)


def test_moments_of_parts_are_pooled_to_those_of_the_whole() -> None:
    features = maps(5, 90).view(1, 5, 9, 10)
    whole, parts = moments(features), pooled(moments(part) for part in features.split((2, 7), 2))
    torch.testing.assert_close(parts.covariance, whole.covariance)
    torch.testing.assert_close(parts.mean, whole.mean)
    assert parts.weight == whole.weight == 90


def test_float32_features_far_from_zero_keep_their_small_directions() -> None:
    """A covariance in float32 would lose them: its rounding errors are as large."""
    found = moments(1000 + maps(4, 5000))
    exact = moments(1000.0 + maps(4, 5000).double())
    assert relative(found.covariance, exact.covariance) < 1e-4
    assert isinstance(found, Moments)
