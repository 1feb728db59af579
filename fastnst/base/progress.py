"""Progress bar: one line on stderr with the task, its progress and the time left."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

Item = TypeVar("Item")


def progress_bar(*, shown: bool = True) -> Progress:
    """A progress bar that disappears at the end; each of its tasks has a text `state`."""
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TextColumn("{task.fields[state]}", markup=False),
        TimeElapsedColumn(),
        TimeRemainingColumn(elapsed_when_finished=False),
        console=Console(stderr=True),
        transient=True,
        disable=not shown,
    )


def watched(progress: Progress, description: str, items: Iterable[Item], total: int) -> Iterator[Item]:
    """The items; if there are several, with a line in the progress bar."""
    task = progress.add_task(description, total=total, visible=total > 1, state="")
    try:
        for item in items:
            yield item
            progress.advance(task)
    finally:
        progress.remove_task(task)
