import logging
from types import SimpleNamespace

import pytest
import torch

from fastnst.training.alarms import Alarms


def watch(painters, losses, *, names=("a",), allowed=None, steps=200) -> list[str]:
    """The warnings of a run whose styles paint and cost as told: losses are functions of progress."""
    alarms = Alarms(torch.full((2, 3, 8, 8), 0.5), list(names), allowed or [0.0] * len(names))
    network = SimpleNamespace(in_every_style=lambda photos: [paint(photos) for paint in painters])
    module = SimpleNamespace(device=torch.device("cpu"), network=network)
    for step in range(1, steps + 1):
        style = (step - 1) % len(names)
        trainer = SimpleNamespace(global_step=step, is_global_zero=True)
        module.progress = step / steps
        outputs = {"styles": torch.tensor([style]), "style_losses": torch.tensor([losses[style](step / steps)])}
        alarms.on_train_batch_end(trainer, module, outputs, None, step)
    return alarms.said


def falling(progress: float) -> float:
    return 2.0 * 0.02**progress


def as_it_is(photos: torch.Tensor) -> torch.Tensor:
    return photos


def test_a_run_that_goes_well_says_nothing() -> None:
    assert watch([as_it_is], [falling]) == []


def test_a_style_that_is_not_learnt() -> None:
    (said,) = watch([as_it_is], [lambda _: 1.5])
    assert "style loss of a has hardly fallen" in said and "1.5" in said


def test_a_resumed_run_is_judged_by_its_beginning() -> None:
    first, second = (Alarms(torch.rand(2, 3, 8, 8), ["a"], [0.0]) for _ in range(2))
    trainer, module = SimpleNamespace(global_step=1000, is_global_zero=True), SimpleNamespace(progress=0.1)
    first.on_train_batch_end(
        trainer, module, {"styles": torch.tensor([0]), "style_losses": torch.tensor([9.0])}, None, 0
    )
    second.load_state_dict(first.state_dict())
    second._recent[0] = 0.9  # it has fallen to a tenth, though the resumed run has seen nothing of that
    assert second._losses() == []


def test_black_and_white_pictures() -> None:
    (said,) = watch([lambda photos: (photos > torch.rand_like(photos)).float()], [falling])
    assert said.startswith("100% of the values") and "--learning-rate" in said


def test_a_black_and_white_style_may_give_black_and_white_pictures() -> None:
    assert watch([torch.zeros_like], [falling], allowed=[0.9]) == []


def test_two_styles_that_give_the_same_pictures() -> None:
    (said,) = watch([as_it_is, as_it_is], [falling, falling], names=("a", "b"))
    assert "a and b give almost the same pictures" in said
    assert watch([as_it_is, lambda photos: photos / 2], [falling, falling], names=("a", "b")) == []


def test_a_style_that_the_others_swallow() -> None:
    slow = [falling, lambda progress: 2.0 * 0.4**progress]
    said = watch([as_it_is, lambda photos: photos / 2], slow, names=("a", "b"), steps=400)
    assert any("b is learnt much worse" in line for line in said) and not any(line.startswith("a is") for line in said)


def test_warnings_reach_the_user_once(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="fastnst"):
        watch([as_it_is], [lambda _: 1.5])
    assert sum("hardly fallen" in record.message for record in caplog.records) == 1
