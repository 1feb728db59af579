"""A bounded pipeline of threads: stages that run at once, with few items in memory."""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from fastnst.base.errors import Interrupted

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_threads(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    threads: int = 1,
    waiting: int | None = None,
    complete: bool = False,
    start: Callable[[], None] | None = None,
) -> Generator[Result, None, None]:
    """Like `map`, in order, but computed in other threads while the caller handles earlier results.

    An error of the function is raised in place of its result. Python 3.14 has this as `Executor.map(buffersize=...)`.

    Args:
        function: Called in other threads.
        items: Iterated in the caller's thread.
        threads: Number of threads.
        waiting: Number of items started before their results are asked for; by default the number of threads.
        complete: After Ctrl-C, yield the results of started items before raising it again.
        start: Called in each of the threads before anything else.
    """
    executor = ThreadPoolExecutor(threads, initializer=start)
    begun: deque[Future[Result]] = deque()

    def first() -> Result:
        result = begun[0].result()
        begun.popleft()
        return result

    try:
        for item in items:
            begun.append(executor.submit(function, item))
            if len(begun) > (waiting or threads):
                yield first()
        while begun:
            yield first()
    except (KeyboardInterrupt, Interrupted):
        if complete:
            yield from (each.result() for each in begun)
        raise
    finally:
        executor.shutdown(cancel_futures=True)  # started items are finished
