"""Work in stages that go on side by side, with few items under way: a folder's photos are decoded, painted, encoded."""

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
) -> Generator[Result, None, None]:
    """What `map` gives, in its order, made in other threads while the caller deals with the results before.

    An error of the function is raised when its item is due. Python 3.14 has this as `Executor.map(buffersize=...)`.

    Args:
        function: Called in other threads.
        items: Asked for in the caller's.
        threads: So many.
        waiting: As many items are taken before their results are asked for; by default as many as threads.
        complete: After Ctrl-C, give what has begun before raising it again.
    """
    executor = ThreadPoolExecutor(threads)
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
        executor.shutdown(cancel_futures=True)  # what has begun is finished
