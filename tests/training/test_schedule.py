import pytest

from fastnst.training.schedule import BudgetClock, Schedule, StepClock


class FakeTime:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock_time(monkeypatch) -> FakeTime:
    fake = FakeTime()
    monkeypatch.setattr("fastnst.training.schedule.time", fake)
    return fake


def test_a_step_clock_counts_steps() -> None:
    clock = StepClock(10, started=0.0)
    assert [clock.progress(step) for step in (0, 5, 10, 20)] == [0, 0.5, 1, 1]
    assert not clock.is_over(9)
    assert clock.is_over(10)


def test_a_budget_ends_half_a_step_around_its_time_with_the_reserve_left(clock_time) -> None:
    clock = BudgetClock(60.0, started=clock_time.now)
    clock.reserve = 10.0
    step = 0
    while not clock.is_over(step):
        clock_time.now += 2.0
        step += 1
    assert abs(clock.spent() - 50.0) <= 1.0
    assert clock.progress(step) == pytest.approx(clock.spent() / 50.0, abs=0.03)


def test_a_resumed_budget_goes_on_at_the_same_point(clock_time) -> None:
    clock = BudgetClock(60.0, started=clock_time.now)
    clock.spent_before = 30.0
    assert clock.progress(0) == pytest.approx(0.5)
    assert clock.spent() == pytest.approx(30.0)


def test_learning_rate_rises_stays_and_falls_to_almost_nothing() -> None:
    schedule = Schedule(1e-3, 256, warmup_steps=10, decay=0.5)
    assert schedule.learning_rate_at(0.0, 0) == pytest.approx(1e-4)
    assert schedule.learning_rate_at(0.4, 100) == pytest.approx(1e-3)
    assert schedule.learning_rate_at(0.75, 100) == pytest.approx(5e-4)
    assert 0 < schedule.learning_rate_at(1.0, 100) < 3e-5


def test_crops_keep_their_size_unless_they_are_to_grow() -> None:
    assert {Schedule(1e-3, 200).crop_size_at(p / 100) for p in range(101)} == {200}
    seen = [Schedule(1e-3, 200, growth=((0.3, 0.5), (0.6, 0.75))).crop_size_at(p / 100) for p in range(101)]
    assert seen == sorted(seen) and set(seen) == {96, 144, 200}


def test_small_crops_stay_at_least_32_and_never_exceed_the_final_size() -> None:
    assert Schedule(1e-3, 40, growth=((0.5, 0.25),)).crop_size_at(0.1) == 32
    assert Schedule(1e-3, 34, growth=((0.5, 0.95),)).crop_size_at(0.1) == 32
    assert Schedule(1e-3, 34, growth=((0.5, 0.95),)).crop_size_at(0.5) == 34
