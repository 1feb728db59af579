"""Statistics that photos match together: their values, their gradients, and that processes agree."""

import pytest
import torch
from torch import Tensor

from fastnst.perception.perceptual_loss import Losses
from fastnst.training.pooled import RATE, PooledStatistics

TARGETS = {"colors": torch.zeros(2, 2, 2), "shallow": torch.zeros(2, 3, 3), "deep": torch.zeros(2, 5, 6)}
FIRST, SECOND = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])


def alone(values: Tensor) -> Tensor:
    return values


def step(pooled: PooledStatistics, *values: float, style: int = 0) -> Tensor:
    """What photos whose statistics are these numbers everywhere get, `(len(values),)`."""
    found = torch.tensor(values)[:, None, None].expand(-1, 3, 3)
    mixed = pooled.mixed("shallow", found, (FIRST, SECOND)[style])
    pooled.update(torch.full((len(values),), style), slice(0, len(values)), alone)
    return mixed[:, 0, 0]


def test_the_first_photo_of_a_style_is_by_itself() -> None:
    pooled = PooledStatistics(TARGETS, 0.25)
    assert step(pooled, 4.0).tolist() == [4.0]
    assert step(pooled, 8.0, style=1).tolist() == [8.0]
    assert step(pooled, 8.0).tolist() == [0.25 * 8 + 0.75 * 4]


def test_the_mean_is_plain_at_first_and_then_running() -> None:
    pooled = PooledStatistics(TARGETS, 0.0)
    for number in range(20):
        step(pooled, float(number))
    assert step(pooled, 0.0).item() == pytest.approx(9.5)
    for _ in range(400):
        step(pooled, 3.0)
    step(pooled, 4.0)
    assert step(pooled, 0.0).item() == pytest.approx(3 + RATE, abs=1e-4)


def test_colors_are_each_photos_own_unless_they_are_all_there_is() -> None:
    pooled, only = PooledStatistics(TARGETS, 0.0), PooledStatistics({"colors": TARGETS["colors"]}, 0.0)
    for statistics, expected in ((pooled, 5.0), (only, 1.0)):
        for value in (1.0, 5.0):
            mixed = statistics.mixed("colors", torch.full((1, 2, 2), value), FIRST)
            statistics.update(torch.tensor([0]), slice(0, 1), alone)
        assert mixed.tolist() == torch.full((1, 2, 2), expected).tolist()


def test_photos_that_match_a_style_together_are_left_as_they_are() -> None:
    """A calm photo and a busy one: each by itself would be pulled to the style, their mean is the style's."""
    pooled = PooledStatistics(TARGETS, 0.0)
    for _ in range(200):
        step(pooled, 0.0, 2.0)
    calm = torch.zeros(1, 3, 3, requires_grad=True)
    (pooled.mixed("shallow", calm, FIRST) - 1.0).square().sum().backward()
    assert calm.grad is not None
    assert calm.grad.abs().max() < 1e-5

    each = PooledStatistics(TARGETS, 1.0)
    for _ in range(200):
        step(each, 0.0, 2.0)
    calm.grad = None
    (each.mixed("shallow", calm, FIRST) - 1.0).square().sum().backward()
    assert calm.grad is not None
    assert calm.grad.tolist() == torch.full((1, 3, 3), -2.0).tolist()


def test_a_photo_gets_the_whole_gradient() -> None:
    pooled = PooledStatistics(TARGETS, 0.25)
    step(pooled, 1.0)
    found = torch.ones(1, 3, 3, requires_grad=True)
    pooled.mixed("shallow", found, FIRST).sum().backward()
    assert found.grad is not None
    assert found.grad.tolist() == torch.ones(1, 3, 3).tolist()


def test_processes_that_share_a_step_agree_with_one(seed: int = 0) -> None:
    torch.manual_seed(seed)
    found = {
        "colors": torch.rand(5, 2, 2).double(),
        "shallow": torch.rand(5, 3, 3).double(),
        "deep": torch.rand(5, 5, 6).double(),
    }
    styles = torch.tensor([0, 1, 0, 1, 0])
    shares = [slice(0, 2), slice(2, 5)]
    one, *several = [PooledStatistics(TARGETS, 0.5).double() for _ in range(3)]
    for _ in range(2):
        for pooled, own in [(one, slice(0, 5)), *zip(several, shares, strict=True)]:
            for layer, values in found.items():
                pooled.mixed(layer, values[own], torch.eye(2)[styles[own]])
        one.update(styles, slice(0, 5), alone)
        sums: list[Tensor] = []
        # What a process adds is known by updating a copy of the others; gloo itself is used in test_processes.
        for pooled, own in zip(several, shares, strict=True):
            seen: list[Tensor] = []
            copy = PooledStatistics(TARGETS, 0.5).double()
            copy.load_state_dict(pooled.state_dict())
            copy._found = dict(pooled._found)
            copy.update(styles, own, lambda values, seen=seen: seen.append(values) or values)  # type: ignore[misc]
            sums = [a + b for a, b in zip(sums, seen, strict=True)] if sums else seen
        for pooled, own in zip(several, shares, strict=True):
            left = iter(sums)
            pooled.update(styles, own, lambda values, left=left: next(left))  # type: ignore[misc]
    for name, values in one.state_dict().items():
        for pooled in several:
            torch.testing.assert_close(pooled.state_dict()[name], values, rtol=1e-12, atol=0)


def test_means_have_the_order_of_the_layers() -> None:
    """Processes send each other their buffers one by one, so a set's order, another one in each, would not do."""
    names = [f"layer_{number}" for number in range(20)]
    pooled = PooledStatistics({name: torch.zeros(1, 2, 2) for name in names}, 0.5)
    assert [name for name, _ in pooled.named_buffers()] == [*(f"mean_{name}" for name in names), "seen"]


def test_a_style_that_photos_share_counts_more() -> None:
    losses = Losses(*(torch.tensor([value]) for value in (7.0, 2.0, 0.5, 0.0)))  # 2 + 10 x 0.5
    assert PooledStatistics(TARGETS, 0.25).weighed(losses, 10.0).total.tolist() == [2 + 1.75 * 10 * 0.5]
    assert PooledStatistics(TARGETS, 1.0).weighed(losses, 10.0).total.tolist() == [7.0]
