"""One of several processes that train, for `training/test_processes.py`. Everything is computed in float64."""

import json
import os
import sys
from pathlib import Path

import torch

from fastnst.cli import main
from fastnst.training import train as training
from fastnst.training.data import PhotoDataModule
from fastnst.training.style_trainer import StyleTrainer


def train_in_float64(words: tuple[str, ...], number: int, variables: dict[str, str], at: int, sent: int) -> None:
    """Run the command in the current folder, where files tell its losses; at a step it sends itself a signal."""
    in_float32, preview = PhotoDataModule.on_after_batch_transfer, training._preview

    def in_float64(self, batch, index):
        found = in_float32(self, batch, index)
        return found._replace(photos=found.photos.double())

    PhotoDataModule.on_after_batch_transfer = in_float64
    training.StyleTrainer = lambda *given, **named: StyleTrainer(*given, **named).double()
    training._preview = lambda network: preview(network.float())
    training._precision = lambda settings: "64-true"
    os.environ |= variables
    sys.stderr = Path(f"said{number}").open("w", buffering=1)
    told = Path(f"told{number}").open("w", buffering=1)
    trainers: list[torch.nn.Module] = []

    def judged(self: StyleTrainer, loss: float) -> None:
        told.write(f"{self.global_step} {loss!r}\n")
        trainers[:] = [self]
        if self.global_step == at:
            os.kill(os.getpid(), sent)

    StyleTrainer._refuse_divergence = judged  # type: ignore[method-assign]
    try:
        main([*words, "--quiet"])
    except SystemExit as end:
        if end.code == 0:
            found = {name: value.item() for name, value in trainers[0].trainer.callback_metrics.items()}
            Path(f"held_out{number}").write_text(json.dumps({key: found[key] for key in found if "held_out" in key}))
        sys.exit(end.code)
