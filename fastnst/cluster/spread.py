"""A collection over the actors of a Ray cluster, by Ray Data: the only module that knows Ray."""

import logging
import math
import os
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import pyarrow as pa

# What a driver that was killed has asked for is kept for it, 180 seconds by default, and the next one waits meanwhile.
# Requests are repeated every 10 seconds. Read when ray.data is imported.
os.environ["RAY_DATA_AUTOSCALING_REQUEST_EXPIRE_TIME_S"] = "30"

import ray
from ray.data import ActorPoolStrategy, DataContext

from fastnst.base.errors import UserError
from fastnst.cluster.manifest import Entry
from fastnst.cluster.worker import Make, Worker

MOST = 64  # files of one task; what an actor has begun is begun again if it dies
SHARES = 8  # tasks an actor gets at least, so that all end together


@dataclass(frozen=True)
class Actors:
    """What each actor gets, and how many there are.

    Attributes:
        number: How many [as many as fit on the cluster].
        gpus: Of each, which may be a part of one.
        memory: Bytes of each: Ray places no more actors on a machine than fit, and an actor paints within it.
        in_flight: Files that each reads, and writes, at a time.
    """

    number: int | None = None
    gpus: float = 0.0
    memory: int = 2 * 2**30
    in_flight: int = 4


@contextmanager
def connected() -> Iterator[None]:
    """Use the cluster that RAY_ADDRESS names or that runs on this machine, or else a local one for this time.

    Raises:
        ConnectionError: There is no cluster at that address.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is reported to anybody
    ray.init(log_to_driver=False, logging_level=logging.ERROR)
    try:
        yield
    finally:
        ray.shutdown()


def spread(
    entries: Sequence[Entry], there: set[str], begin: Callable[[], Make], actors: Actors, *, force: bool
) -> Generator[pa.Table, None, None]:
    """Rows of `results.py`, a task's at a time, in the order in which tasks end. Needs `connected`.

    A task whose actor or machine died is begun again by Ray, elsewhere or when there is room.

    Args:
        entries: The files.
        there: Addresses of results that are there and are only looked at.
        begin: See `Worker`.
        actors: What they get.
        force: Whether results that are there are replaced.

    Raises:
        UserError: No machine of the cluster has room for an actor; or what `begin` raises.
    """
    number = actors.number or _room(actors)
    context = DataContext.get_current()
    context.enable_progress_bars = context.print_on_execution_start = False
    context.raise_original_map_exception = True  # as the cause of what is raised here
    context.execution_no_progress_timeout_s = -1  # a task of large pictures, or a cluster that is lent, may take hours
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    columns = [[entry.path for entry in entries], [entry.output for entry in entries]]
    table = pa.table([*columns, [entry.output in there for entry in entries]], names=["path", "output", "there"])
    size = max(1, min(MOST, len(entries) // (SHARES * number)))
    painted = ray.data.from_arrow(table, override_num_blocks=math.ceil(len(entries) / size)).map_batches(
        Worker,
        fn_constructor_args=[begin],
        fn_constructor_kwargs={"in_flight": actors.in_flight, "memory": actors.memory, "force": force},
        batch_size=None,
        batch_format="pyarrow",
        compute=ActorPoolStrategy(size=min(number, math.ceil(len(entries) / size)), max_tasks_in_flight_per_actor=2),
        num_cpus=1,
        num_gpus=actors.gpus,
        memory=actors.memory,
    )
    try:
        yield from painted.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0)
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, UserError):  # else its text is the traceback on the other machine
            raise error.cause from None
        raise


def _room(actors: Actors) -> int:
    """How many actors the machines of the cluster have room for."""
    needed = {"CPU": 1.0, "memory": float(actors.memory), **({"GPU": actors.gpus} if actors.gpus else {})}
    machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
    number = sum(int(min(has.get(name, 0.0) / amount for name, amount in needed.items())) for has in machines)
    if not number:
        graphics = f" and {actors.gpus:g} GPUs" if actors.gpus else ""
        raise UserError(
            f"no machine of the cluster has a core and {actors.memory / 2**30:g} GB{graphics} for an actor: "
            "lower --memory or --gpus, or say how many --actors a growing cluster will have"
        )
    return number
