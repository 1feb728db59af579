from collections.abc import Iterator

import pytest
import torch
from torch import Tensor


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Hundreds of tiny steps: two threads that wait for a busy core make DenseNet 300 times slower."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def noise() -> Tensor:
    return torch.rand(2, 3, 48, 40, generator=torch.Generator().manual_seed(1))
