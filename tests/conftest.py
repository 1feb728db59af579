import os
from collections.abc import Iterator

import pytest
import torch

from fastnst.images import load_image, resolve_photo
from fastnst.loss_network import LossNetwork
from fastnst.minimize import Iterate, minimize
from fastnst.network import TransformationNetwork

os.environ["HF_HUB_OFFLINE"] = "1"  # read by huggingface_hub when it is first imported: nothing is downloaded
torch.set_num_threads(1)  # tiny tensors: threads only wait for each other, and hinder whoever else uses the cores


@pytest.fixture
def tiny_network() -> TransformationNetwork:
    torch.manual_seed(0)
    return TransformationNetwork(half=4, quarter=8, num_blocks=1)


@pytest.fixture(scope="session")
def random_vgg() -> LossNetwork:
    return LossNetwork(("relu1_2", "relu2_2"), weights=None)


@pytest.fixture(scope="session")
def photo() -> torch.Tensor:
    """The astronaut, (1, 3, 96, 96)."""
    return load_image(resolve_photo("sample:astronaut"), size=96)


def stopping(error: BaseException, *, after: int):
    """`minimize`, but an error comes after so many iterations in all."""
    count = 0

    def stopped(*arguments) -> Iterator[Iterate]:
        nonlocal count
        for iterate in minimize(*arguments):
            if count == after:
                raise error
            count += 1
            yield iterate

    return stopped
