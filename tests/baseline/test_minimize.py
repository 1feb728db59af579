from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from fastnst.baseline.minimize import FIRST_STEP, LINE_SEARCH, DivergedError, Iterate, Method, minimize
from fastnst.perception.perceptual_loss import Losses


def noise(*, seed: int = 0, low: float = 0.0, high: float = 1.0) -> Tensor:
    """An image of odd sides."""
    return low + (high - low) * torch.rand(1, 3, 13, 15, generator=torch.Generator().manual_seed(seed))


START = noise()
INSIDE = noise(seed=1, low=0.2, high=0.8)
BEYOND = noise(seed=1, low=-0.5, high=1.5)  # half of its pixels are out of range


class Objective:
    """Losses whose total is `function` of the image; notes every image and total that it was asked for."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        self.function = function
        self.images: list[Tensor] = []
        self.totals: list[float] = []

    def __call__(self, image: Tensor) -> Losses:
        total = self.function(image)
        self.images.append(image.detach().clone())
        self.totals.append(total.item())
        return Losses(total[None], 2 * total[None], 3 * total[None], 4 * total[None])


def bowl(lowest: Tensor) -> Objective:
    """A quadratic, 30 times as steep in one pixel as in another."""
    weights = torch.linspace(1, 30, lowest.numel()).view(lowest.shape)
    return Objective(lambda image: (weights * (image - lowest).square()).sum())


def valley() -> Objective:
    """Rosenbrock's function of neighbouring pixels: no quadratic, and slow for steepest descent."""

    def rosenbrock(image: Tensor) -> Tensor:
        first, second = image[..., :-1], image[..., 1:]
        return (100 * (second - first.square()).square() + (1 - first).square()).sum()

    return Objective(rosenbrock)


def states(objective: Callable[[Tensor], Losses], start: Tensor = START, **settings: object) -> list[Iterate]:
    return list(minimize(objective, start, Method(**settings)))


def totals(found: list[Iterate]) -> list[float]:
    return [state.losses.total.item() for state in found]


# --- What is found ---


@pytest.mark.parametrize("precondition", [0.0, 0.5])
@pytest.mark.parametrize("clamp", ["objective", "step", "end"])
def test_the_lowest_point_of_a_bowl_is_found(clamp, precondition) -> None:
    end = states(bowl(INSIDE), iterations=60, clamp=clamp, precondition=precondition)[-1]
    assert_close(end.best, INSIDE, atol=0.01, rtol=0)
    assert end.best_losses.total < 1e-4 * bowl(INSIDE).function(START)


@pytest.mark.parametrize(
    ("clamp", "precondition", "excess"), [("objective", 0.0, 1e-3), ("objective", 0.5, 1e-3), ("step", 0.0, 0.02)]
)
def test_where_the_lowest_point_is_out_of_range_the_border_is_found(clamp, precondition, excess) -> None:
    """Clamping behind the back of L-BFGS spoils its history: it comes close, not to the point."""
    end = states(bowl(BEYOND), iterations=60, clamp=clamp, precondition=precondition)[-1]
    lowest = bowl(BEYOND).function(BEYOND.clamp(0, 1))
    assert lowest <= end.best_losses.total < (1 + excess) * lowest


def test_pixels_that_start_out_of_range_come_back() -> None:
    end = states(bowl(INSIDE), noise(low=-1, high=2), iterations=60)[-1]
    assert_close(end.best, INSIDE, atol=0.01, rtol=0)


@pytest.mark.parametrize("clamp", ["objective", "step"])
def test_adam_finds_the_lowest_point_within_the_range(clamp) -> None:
    end = states(bowl(BEYOND), optimizer="adam", iterations=200, clamp=clamp)[-1]
    assert_close(end.best, BEYOND.clamp(0, 1), atol=0.02, rtol=0)


@pytest.mark.parametrize(
    "settings", [{}, {"precondition": 0.5}, {"clamp": "step"}, {"clamp": "end"}, {"optimizer": "adam"}]
)
def test_what_is_seen_is_an_image_whatever_the_start(settings) -> None:
    for state in states(bowl(BEYOND), noise(low=-1, high=2), **{"iterations": 4, **settings}):
        for image in (state.image, state.best):
            assert image.shape == START.shape and image.min() >= 0 and image.max() <= 1
        assert not any(value.requires_grad for value in (state.image, state.best, *state.losses, *state.best_losses))


# --- What is told of each iteration ---


@pytest.mark.parametrize("precondition", [0.0, 0.5])
@pytest.mark.parametrize("clamp", ["objective", "step"])
@pytest.mark.parametrize("start", [START, 0.9 * BEYOND], ids=["in range", "out of range"])
def test_losses_are_those_of_the_image_beside_them(start, clamp, precondition) -> None:
    objective = bowl(BEYOND)
    for state in states(objective, start, iterations=12, clamp=clamp, precondition=precondition):
        for losses, image in ((state.losses, state.image), (state.best_losses, state.best)):
            expected = objective.function(image)
            assert_close(losses, Losses(expected, 2 * expected, 3 * expected, 4 * expected), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("settings", [{}, {"precondition": 0.5}, {"clamp": "end"}, {"optimizer": "adam"}])
def test_the_best_is_the_lowest_of_all_that_was_evaluated(settings) -> None:
    objective = valley()
    for state in minimize(objective, START, Method(**{"iterations": 15, **settings})):
        assert state.best_losses.total.item() == pytest.approx(min(objective.totals), rel=1e-6)
        assert state.best_losses.total <= state.losses.total


@pytest.mark.parametrize("settings", [{}, {"precondition": 0.5}, {"clamp": "step"}, {"optimizer": "adam"}])
def test_iterations_and_evaluations_are_counted_as_they_ran(settings) -> None:
    objective, count = bowl(BEYOND), 0
    for state in minimize(objective, START, Method(**{"iterations": 9, **settings})):
        count += 1
        assert (state.iteration, state.evaluations) == (count, len(objective.totals))
    assert count == 9


@pytest.mark.parametrize("precondition", [0.0, 0.5])
@pytest.mark.parametrize("clamp", ["objective", "end"])
def test_an_iteration_of_lbfgs_takes_about_one_evaluation(clamp, precondition) -> None:
    objective = bowl(INSIDE)
    end = states(objective, iterations=20, clamp=clamp, precondition=precondition)[-1]
    assert end.iteration == 20 and end.evaluations <= 20 + 5
    assert not any(torch.equal(first, second) for first, second in pairwise(objective.images))


@pytest.mark.parametrize("factor", [1e-6, 1e6])
def test_the_first_step_that_is_tried_changes_a_pixel_by_a_hundredth_whatever_the_scale_of_the_loss(factor) -> None:
    objective = Objective(lambda image: factor * (image - INSIDE).square().sum())
    states(objective, clamp="end", iterations=1)
    assert (objective.images[1] - START).abs().mean().item() == pytest.approx(FIRST_STEP, rel=1e-3)


# --- As published ---


def test_lbfgs_is_torchs_on_scaled_pixels_and_a_loss_that_begins_at_one() -> None:
    objective, reference = valley(), valley()
    unit, first = FIRST_STEP * START.numel(), valley().function(START)
    values = (START / unit).requires_grad_()
    optimizer = torch.optim.LBFGS(
        [values],
        max_iter=20,
        max_eval=1000,
        history_size=5,
        line_search_fn="strong_wolfe",
        tolerance_grad=0,
        tolerance_change=0,
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = reference(values * unit).total[0] / first
        loss.backward()
        return loss

    optimizer.step(closure)
    end = states(objective, iterations=20, history=5, clamp="end")[-1]
    assert objective.totals == pytest.approx(reference.totals, rel=1e-3)
    assert_close(end.image, (values * unit).detach().clamp(0, 1), atol=1e-3, rtol=0)


def test_lbfgs_is_no_worse_than_torchs_on_plain_pixels() -> None:
    image = START.clone().requires_grad_()
    optimizer = torch.optim.LBFGS([image], max_iter=20, history_size=20, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = valley().function(image)
        loss.backward()
        return loss

    optimizer.step(closure)
    end = states(valley(), iterations=20, clamp="end")[-1]
    assert end.losses.total < 1.02 * valley().function(image.detach())


@pytest.mark.parametrize("clamp", ["end", "step"])
def test_adam_is_torchs_on_plain_pixels(clamp) -> None:
    image = START.clone().requires_grad_()
    optimizer = torch.optim.Adam([image], lr=0.05, betas=(0.8, 0.99), eps=3.0)
    numbers = {"learning_rate": 0.05, "betas": (0.8, 0.99), "epsilon": 3.0, "precondition": 0.5}  # the last is L-BFGS's
    for state in minimize(bowl(BEYOND), START, Method(optimizer="adam", iterations=5, clamp=clamp, **numbers)):
        optimizer.zero_grad()
        loss = bowl(BEYOND).function(image)
        loss.backward()
        optimizer.step()
        if clamp == "step":
            image.data.clamp_(0, 1)
        assert_close(state.losses.total, loss.detach())
        assert_close(state.image, image.detach().clamp(0, 1))
    assert state.iteration == state.evaluations == 5


def test_preconditioning_saves_evaluations_where_a_loss_grows_with_frequency() -> None:
    """As it does to a perceptual loss: what is wrong in long waves is only seen by deep layers."""
    frequency = torch.hypot(torch.fft.fftfreq(32)[:, None], torch.fft.rfftfreq(33)).clamp(min=0.01)
    white = torch.randn(1, 3, 32, 33, generator=torch.Generator().manual_seed(0))
    natural = torch.fft.irfft2(torch.fft.rfft2(white) / frequency, s=(32, 33))  # amplitudes of 1 / f
    natural = 0.5 + 0.4 * natural / natural.abs().max()

    def distance(image: Tensor) -> Tensor:
        return (frequency * torch.fft.rfft2(image - natural).abs().square()).sum()

    def evaluations(precondition: float) -> int:
        start, method = torch.full_like(natural, 0.5), Method(iterations=80, precondition=precondition)
        goal = 1e-3 * distance(start)
        return next(
            state.evaluations for state in minimize(Objective(distance), start, method) if state.losses.total < goal
        )

    assert evaluations(0.5) < 0.7 * evaluations(0.0)


# --- Rounds and history ---


def test_a_round_ends_with_the_iteration_that_reaches_its_evaluations() -> None:
    limit, rounds, begun, before = 6, 0, 0, 0
    for state in minimize(valley(), START, Method(rounds=3, iterations=50, evaluations=limit)):
        assert before - begun < limit  # or the round would have ended already
        assert state.evaluations - before <= LINE_SEARCH
        before = state.evaluations
        if before - begun >= limit:
            rounds, begun = rounds + 1, before
    assert rounds == 3 and begun == before


def test_a_round_begins_where_the_last_one_ended_and_without_its_history() -> None:
    both = states(valley(), iterations=5, rounds=2)
    halfway = both[4]
    again, through = states(valley(), halfway.image, iterations=5), states(valley(), iterations=10)
    assert [state.iteration for state in both] == list(range(1, 11))
    assert totals(both)[:5] == totals(through)[:5]
    assert totals(both)[5:] == pytest.approx(totals(again), rel=0.02)  # of a loss scaled by another value
    assert totals(both)[5:] != pytest.approx(totals(through)[5:], rel=0.1)


def test_history_is_as_long_as_asked_for() -> None:
    short, long = (totals(states(valley(), iterations=10, history=history)) for history in (2, 20))
    assert short[:3] == long[:3]
    assert short[3:] != pytest.approx(long[3:], rel=0.01)


# --- Where it ends early ---


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
def test_what_was_good_is_told_before_a_loss_that_is_no_number(optimizer, bad) -> None:
    objective = bowl(INSIDE)

    def failing(image: Tensor) -> Losses:
        losses = objective(image)
        return losses._replace(total=losses.total * (bad if len(objective.totals) > 6 else 1))

    found: list[Iterate] = []
    with pytest.raises(DivergedError, match="no number after 6 evaluations"):
        found.extend(minimize(failing, START, Method(optimizer=optimizer)))
    assert found[-1].evaluations <= 6
    assert_close(objective.function(found[-1].best), found[-1].best_losses.total)
    assert found[-1].best_losses.total < objective.function(START)


def test_a_loss_that_is_no_number_from_the_start_tells_nothing() -> None:
    with pytest.raises(DivergedError, match="no number after 0 evaluations: nan"):
        next(minimize(Objective(lambda image: image.sum() * float("nan")), START, Method()))


@pytest.mark.parametrize("settings", [{}, {"rounds": 3}, {"precondition": 0.5}, {"clamp": "step"}])
def test_a_start_that_nothing_improves_is_the_only_state(settings) -> None:
    (state,) = states(Objective(lambda image: 7 + 0 * image.sum()), **settings)
    assert (state.iteration, state.evaluations) == (0, 1)
    assert state.losses.total == state.best_losses.total == 7
    assert_close(state.image, START)
    assert_close(state.best, START)


@pytest.mark.parametrize("precondition", [0.0, 0.5])
def test_a_start_that_is_perfect_but_for_rounding_is_kept(precondition) -> None:
    end = states(bowl(START), iterations=5, precondition=precondition)[-1]
    assert_close(end.best, START)


def test_lbfgs_ends_where_no_step_makes_the_loss_smaller() -> None:
    assert states(bowl(INSIDE), iterations=500)[-1].iteration < 200


# --- The start, and what was told ---


@pytest.mark.parametrize("settings", [{}, {"precondition": 0.5}, {"clamp": "step"}, {"optimizer": "adam"}])
def test_the_start_is_not_changed_and_its_layout_in_memory_does_not_matter(settings) -> None:
    starts = {
        "plain": START.clone(),
        "transposed": START.mT.contiguous().mT,
        "channels last": START.to(memory_format=torch.channels_last),
        "with a gradient": START.clone().requires_grad_(),
    }
    found = {name: states(bowl(BEYOND), start, **{"iterations": 5, **settings})[-1] for name, start in starts.items()}
    for name, start in starts.items():
        assert torch.equal(start.detach(), START) and start.grad is None
        assert_close(found[name].image, found["plain"].image)


def test_states_already_told_do_not_change() -> None:
    later = minimize(valley(), START, Method(iterations=6))
    first = next(later)
    image, best, total = first.image.clone(), first.best.clone(), first.losses.total.item()
    list(later)
    assert torch.equal(first.image, image) and torch.equal(first.best, best) and first.losses.total == total


def test_gradients_are_taken_even_where_they_are_switched_off() -> None:
    with torch.no_grad():
        assert totals(states(bowl(INSIDE), iterations=3))[-1] < bowl(INSIDE).function(START)
