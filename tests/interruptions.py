from collections.abc import Iterator

from fastnst.baseline.minimize import Iterate, minimize


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
