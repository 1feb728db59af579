import threading
import time

import pytest

from fastnst.base.pipeline import in_threads


@pytest.mark.parametrize("threads", [1, 3])
def test_results_come_in_order_from_other_threads_and_few_items_are_taken_ahead(threads) -> None:
    taken: list[int] = []

    def numbers():
        for number in range(50):
            taken.append(number)
            yield number

    def slow_if_even(number: int) -> tuple[int, threading.Thread]:
        time.sleep(0.002 if number % 2 == 0 else 0)
        return number, threading.current_thread()

    results = in_threads(slow_if_even, numbers(), threads=threads)
    assert taken == []
    for place, (number, thread) in enumerate(results):
        assert number == place and thread is not threading.current_thread()
        assert len(taken) <= place + threads + 1
    assert place == 49


def test_an_error_is_raised_when_its_item_is_due() -> None:
    results = in_threads(lambda number: 1 // number, [1, 1, 0, 1])
    assert [next(results), next(results)] == [1, 1]
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_what_has_begun_is_finished_when_the_results_are_no_longer_wanted() -> None:
    done: list[int] = []

    def work(number: int) -> None:
        time.sleep(0.02)
        done.append(number)

    results = in_threads(work, range(100))
    next(results)
    results.close()
    count = len(done)
    time.sleep(0.05)
    assert 1 <= count == len(done) <= 2


@pytest.mark.parametrize("complete", [False, True])
def test_ctrl_c_comes_after_what_has_begun_only_if_that_is_wanted(complete) -> None:
    def numbers():
        yield from range(3)
        raise KeyboardInterrupt

    given = []
    with pytest.raises(KeyboardInterrupt):
        for number in in_threads(lambda number: number, numbers(), complete=complete):
            given.append(number)
    assert given == ([0, 1, 2] if complete else [0, 1])
