"""The checkpoint of a run, looked at before Lightning takes it: it may be damaged, or a stranger's.

`weights_only=True` runs no code from it. Here, nothing is allocated that its tensors do not fill.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor

from fastnst.base.archives import check_archive
from fastnst.base.errors import TrainingError, told_of


class Begun(Callback):
    """Whether the steps of a run have begun, so that what is raised is no fault of its checkpoint."""

    is_so = False

    def on_sanity_check_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note it."""
        self.is_so = True

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note it."""
        self.is_so = True


def checked_checkpoint(path: Path, module: LightningModule) -> Path:
    """The checkpoint, if it can be read and is one of such a module.

    Raises:
        TrainingError: It is damaged, or another's.
        OSError: It cannot be read.
    """
    try:
        with told_of(path, reads=True):
            check_archive(path)
            state = torch.load(path, map_location="cpu", weights_only=True)
        _check_fit(state, module)
    except OSError:  # not its fault: it may be whole, and must not be given up
        raise
    except Exception as error:  # torch raises errors of many kinds for a damaged file
        raise TrainingError(f"{path} is damaged: start anew with --force") from error
    return path


def _check_fit(state: dict[str, Any], module: LightningModule) -> None:
    """Refuse weights of another module, and tensors that are larger than what the file holds of them."""
    shapes = {name: value.shape for name, value in module.state_dict().items()}
    if {name: value.shape for name, value in state["state_dict"].items()} != shapes:
        raise ValueError("other tensors")
    for each in _tensors(state):
        if each.numel() * each.element_size() > each.untyped_storage().nbytes():
            raise ValueError("a tensor that is larger than its storage")
    if not all(each.isfinite().all() for each in state["state_dict"].values()):
        raise ValueError("weights that are no numbers")


def _tensors(value: Any) -> Iterator[Tensor]:
    """All tensors in lists and dictionaries; those of a file refer to no list that holds them."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict | list | tuple):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _tensors(each)
