import psutil
import pytest
import torch
from torch import Tensor, nn

from fastnst.base.memory import available_memory, is_out_of_memory, saved_bytes
from fastnst.perception.loss_network import LossNetwork
from fastnst.perception.perceptual_loss import PerceptualLoss

CPU = torch.device("cpu")
MIB = 2**20


def test_available_memory_is_positive_and_below_the_total() -> None:
    assert 0 < available_memory(CPU) < psutil.virtual_memory().total


@pytest.mark.parametrize(
    ("error", "ran_out"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), True),
        (MemoryError("Unable to allocate 4.00 TiB for an array"), True),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried 4 bytes"), True),
        (RuntimeError("std::bad_alloc"), True),
        (RuntimeError("a graph that fails"), False),
    ],
)
def test_memory_that_ran_out_is_told_from_other_errors(error, ran_out) -> None:
    assert is_out_of_memory(error) is ran_out


def test_saved_bytes_of_two_convolutions_are_those_counted_by_hand() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.Sigmoid(), nn.Conv2d(4, 2, 1)).requires_grad_(False)
    image = torch.rand(1, 3, 5, 7)

    def objective(image: Tensor) -> Tensor:
        return network(image).square().sum()

    # What the gradient reads: the inputs of both convolutions (3 and 4 channels; the second is also the output of the
    # sigmoid, one storage) and of the square (2 channels).
    assert saved_bytes(objective, image) == (3 + 4 + 2) * 5 * 7 * 4


def test_saved_bytes_leave_the_image_and_its_gradient_alone() -> None:
    image = torch.rand(1, 3, 4, 4, requires_grad=True)
    before = image.detach().clone()
    with torch.no_grad():
        assert saved_bytes(lambda image: image.square().sum(), image) == 3 * 4 * 4 * 4
    assert image.grad is None
    assert torch.equal(image, before)


def test_saved_bytes_of_a_perceptual_loss_grow_with_the_number_of_pixels() -> None:
    loss = PerceptualLoss(LossNetwork(["relu4_3"], weights=None), [torch.rand(1, 3, 32, 32)])

    def needed(side: int) -> int:
        image = torch.rand(1, 3, side, side)
        targets = loss.content_targets(image)
        return saved_bytes(lambda pixels: loss(pixels, targets).total.sum(), image)

    # What does not grow, the Gram matrices, is what is left of a difference of two sizes.
    assert needed(128) - needed(64) == pytest.approx(4 * (needed(64) - needed(32)), rel=1e-3)
