import pytest
import torch
from torch.testing import assert_close

from fastnst.training.muon import Muon, orthogonalize


@pytest.mark.parametrize("shape", [(8, 8), (4, 36), (36, 4), (1, 9)])
def test_singular_values_become_alike_and_directions_stay(shape) -> None:
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0)) * 100
    result = orthogonalize(matrix)
    values = torch.linalg.svdvals(result)
    assert 0.6 < values.min() and values.max() < 1.3
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    rotated = left.mT @ result @ right.mT
    assert_close(rotated - torch.diag(rotated.diag()), torch.zeros_like(rotated), atol=2e-3, rtol=0)


def test_nothing_to_orthogonalize_stays_nothing() -> None:
    assert not orthogonalize(torch.zeros(3, 5)).any()


def test_the_rest_moves_as_with_torchs_adam() -> None:
    ours, theirs = (torch.nn.Parameter(torch.arange(6.0)) for _ in range(2))
    optimizers = Muon([], [ours], lr=0.1), torch.optim.Adam([theirs], lr=0.1)
    for step in range(5):
        for parameter, optimizer in zip((ours, theirs), optimizers, strict=True):
            optimizer.zero_grad()
            ((parameter - step) ** 3).sum().backward()
            optimizer.step()
    assert_close(ours, theirs)


def test_a_step_turns_filters_by_the_learning_rate_whatever_the_scale_of_the_gradient() -> None:
    moves = []
    for scale in (1.0, 1e-4):
        weight = torch.nn.Parameter(torch.zeros(4, 2, 3, 3))
        optimizer = Muon([weight], [], lr=0.01, ratio=2.0)
        weight.grad = scale * torch.randn(weight.shape, generator=torch.Generator().manual_seed(1))
        optimizer.step()
        moves.append(weight.detach().clone())
    assert_close(moves[0], moves[1], rtol=1e-3, atol=1e-4)
    values = torch.linalg.svdvals(moves[0].flatten(1))
    assert 0.6 * 0.02 < values.min() and values.max() < 1.3 * 0.02


def test_steps_do_not_depend_on_the_memory_layout() -> None:
    torch.manual_seed(0)
    start, gradients = torch.randn(6, 4, 3, 3), torch.randn(3, 6, 4, 3, 3)
    ended = []
    for layout in (torch.contiguous_format, torch.channels_last):
        filters = start.clone(memory_format=layout).requires_grad_()
        optimizer = Muon([filters], [])
        for gradient in gradients:
            filters.grad = gradient.clone(memory_format=layout)
            optimizer.step()
        assert filters.is_contiguous(memory_format=layout)
        ended.append(filters.detach())
    assert_close(ended[0], ended[1], rtol=1e-5, atol=1e-6)
    assert (ended[0] - start).abs().max() > 1e-3


def test_momentum_carries_on_and_its_state_can_be_saved_and_loaded() -> None:
    def make():
        torch.manual_seed(0)
        weight, shift = torch.nn.Parameter(torch.randn(4, 2, 3, 3)), torch.nn.Parameter(torch.zeros(4))
        return (weight, shift), Muon([weight], [shift], lr=0.01)

    def steps(parameters, optimizer, numbers):
        for number in numbers:
            for parameter in parameters:
                parameter.grad = torch.randn(parameter.shape, generator=torch.Generator().manual_seed(number))
            optimizer.step()

    whole, optimizer = make()
    steps(whole, optimizer, range(6))
    begun, optimizer = make()
    steps(begun, optimizer, range(3))
    resumed, another = make()
    with torch.no_grad():
        for new, old in zip(resumed, begun, strict=True):
            new.copy_(old)
    another.load_state_dict(optimizer.state_dict())
    steps(resumed, another, range(3, 6))
    for first, second in zip(whole, resumed, strict=True):
        assert torch.equal(first, second)


def test_a_closure_is_evaluated_with_gradients() -> None:
    weight = torch.nn.Parameter(torch.ones(2))
    optimizer = Muon([], [weight])

    def closure():
        loss = weight.sum()
        loss.backward()
        return loss

    assert optimizer.step(closure) == 2 and (weight < 1).all()


def test_steps_are_counted_exactly_in_a_state_that_was_loaded_for_weights_of_few_bits() -> None:
    weight = torch.zeros(3, dtype=torch.bfloat16, requires_grad=True)
    weight.grad = torch.ones_like(weight)
    optimizer, resumed = Muon([], [weight]), Muon([], [weight])
    optimizer.step()
    optimizer.state[weight]["step"] += 256
    resumed.load_state_dict(optimizer.state_dict())
    assert resumed.state[weight]["step"] == 257  # which bfloat16 does not have
