"""Work in stages that go on side by side, with few items under way: a folder's photos are decoded, painted, encoded."""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_threads(
    function: Callable[[Item], Result], items: Iterable[Item], *, threads: int = 1
) -> Generator[Result, None, None]:
    """What `map` gives, in its order, made in other threads while the caller deals with the results before.

    As many items as threads are taken before their results are asked for. An error of the function is raised when its
    item is due. Python 3.14 has this as `Executor.map(buffersize=...)`.
    """
    executor = ThreadPoolExecutor(threads)
    waiting: deque[Future[Result]] = deque()
    try:
        for item in items:
            waiting.append(executor.submit(function, item))
            if len(waiting) > threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        executor.shutdown(cancel_futures=True)  # what has begun is finished
