"""`Worker`: reads files, makes results of them and writes these, side by side. An actor of Ray holds one."""

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import pyarrow as pa

from fastnst.base.cgroups import limit_memory
from fastnst.base.pipeline import in_threads
from fastnst.cluster.places import Places
from fastnst.cluster.results import FAILED, FOUND, MADE, SCHEMA


@dataclass(frozen=True)
class Item:
    """A file on its way to its result.

    Attributes:
        data: Content of the file, then of its result.
        error: Why there is no result.
        status: As in the rows of `results.py`.
        seconds: Time it took, without waiting for others.
    """

    path: str
    output: str
    data: bytes = b""
    error: str | None = None
    status: str = MADE
    seconds: float = 0.0

    def row(self) -> dict[str, Any]:
        """The row of `results.py`."""
        if self.error is not None:
            return {**self._named(), "status": FAILED, "error": self.error.removeprefix(f"{self.path}: ")}
        return {**self._named(), "status": self.status, "bytes": len(self.data), "hash": _hash(self.data)}

    def _named(self) -> dict[str, Any]:
        return {"path": self.path, "output": self.output, "seconds": round(self.seconds, 3)}


Make = Callable[[Iterator[Item]], Iterator[Item]]  # results of files, in order; an item with an error stays as it is


class Worker:
    """Makes results of the files of one table after another.

    A result that is there by the time it is to be written was made before another actor or an earlier start died: it is
    left, and its row tells of it. So each file gets one result, however often Ray starts its work again.

    Args:
        begin: Gives what makes results. It is called in the actor, with the first table, so that its errors arrive in
            the driver as they are.
        in_flight: Files read at a time, and results written at a time.
        memory: Bytes that this process may take.
        force: Whether results that are there are replaced.
    """

    def __init__(self, begin: Callable[[], Make], *, in_flight: int, memory: int, force: bool) -> None:
        self._begin, self._in_flight, self._memory, self._force = begin, in_flight, memory, force

    @cached_property
    def _make(self) -> Make:
        limit_memory(self._memory)
        return self._begin()

    @cached_property
    def _places(self) -> Places:
        return Places()

    def __call__(self, table: pa.Table) -> pa.Table:
        """The rows of a table with the columns path, output, and there: whether a result was found when listing."""
        items = [Item(row["path"], row["output"], status=FOUND if row["there"] else MADE) for row in table.to_pylist()]
        old, new = ([each for each in items if (each.status == FOUND) is there] for there in (True, False))
        threads = self._in_flight
        rows = [item.row() for item in in_threads(self._look, old, threads=threads)]
        with (
            closing(in_threads(self._read, new, threads=threads)) as read,
            closing(in_threads(self._write, self._make(read) if new else iter(()), threads=threads)) as written,
        ):
            rows += [item.row() for item in written]
        return pa.Table.from_pylist(rows, schema=SCHEMA)

    def _look(self, item: Item) -> Item:
        return _timed(item, lambda: replace(item, data=self._places.read(item.output), status=FOUND))

    def _read(self, item: Item) -> Item:
        return _timed(item, lambda: replace(item, data=self._places.read(item.path)))

    def _write(self, item: Item) -> Item:
        if item.error is not None:
            return item

        def write() -> Item:
            try:
                self._places.create(item.output, item.data, replace=self._force)
            except FileExistsError:
                return self._look(item)
            return item

        return _timed(item, write)


def _timed(item: Item, stage: Callable[[], Item]) -> Item:
    """The item after a stage, with the time that this took; an OSError is the item's."""
    started = time.perf_counter()
    try:
        done = stage()
    except OSError as error:
        done = replace(item, data=b"", error=" ".join(str(error).split()))
    return replace(done, seconds=item.seconds + time.perf_counter() - started)


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
