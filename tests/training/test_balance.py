import math

import pytest

from fastnst.training.balance import FROM, HIGHEST, LOWEST, TARGET, UNTIL, Balance


def errors(weight: float, ease: float) -> tuple[float, float]:
    """Content and style error of an imagined network that has learnt its weight: more weight, more content error."""
    return 0.2 * weight**0.4, ease * weight**-0.4


def run(ease: float, steps: int = 2000, balance: Balance | None = None, first: int = 0) -> Balance:
    balance = balance or Balance()
    for step in range(first, steps):
        balance.update(*errors(balance.weight, ease), step / steps)
    return balance


@pytest.mark.parametrize("ease", [0.03, 0.1, 0.3])
def test_the_errors_come_to_stand_in_the_fixed_ratio(ease) -> None:
    content, style = errors(run(ease).weight, ease)
    assert content / style == pytest.approx(TARGET, rel=0.15)


def test_the_ratio_can_be_another() -> None:
    content, style = errors(run(0.03, balance=Balance(target=36.0)).weight, 0.03)
    assert content / style == pytest.approx(36, rel=0.15)


def test_the_ratio_is_that_of_the_mean_errors_though_few_photos_have_most_of_the_style_error() -> None:
    balance = Balance()
    for step in range(4000):
        content, style = errors(balance.weight, 0.1)
        balance.update(content, style * (3.7 if step % 4 == 0 else 0.1), step / 4000)
    content, style = errors(balance.weight, 0.1)
    assert content / style == pytest.approx(TARGET, rel=0.15)


def test_a_style_that_is_hard_to_learn_gets_more_weight() -> None:
    assert run(0.3).weight > run(0.03).weight


def test_the_weight_moves_neither_at_the_start_nor_at_the_end_of_a_run() -> None:
    balance, weights = Balance(), {}
    for step in range(1000):
        weights[step] = balance.update(0.9, 0.01, step / 1000)
    assert all(weights[step] == 8.0 for step in range(int(1000 * FROM)))
    assert weights[int(1000 * FROM) + 2] < 8.0
    assert len({weights[step] for step in range(int(1000 * UNTIL) + 1, 1000)}) == 1


def test_the_weight_stays_in_its_bounds_whatever_the_errors() -> None:
    for content, style, bound in [(1e9, 0.0, LOWEST), (0.0, 1e9, HIGHEST)]:
        balance = Balance()
        for step in range(1000):
            balance.update(content, style, step / 1000)
        assert balance.weight == bound and math.isfinite(balance.weight)


def test_a_search_that_was_saved_goes_on_as_if_it_had_not_stopped() -> None:
    whole = run(0.1)
    half = Balance()
    for step in range(600):
        half.update(*errors(half.weight, 0.1), step / 2000)
    resumed = Balance()
    resumed.load_state_dict(half.state_dict())
    assert run(0.1, balance=resumed, first=600).weight == whole.weight
