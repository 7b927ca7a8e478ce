"""A moved clock tells moments of its own in real time, as they were, and never goes back."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgdrill.errors import NotRunnable
from pgdrill.lab.clock import LabClock

DAY = timedelta(days=1)


def test_a_clock_shows_the_real_time_until_it_is_moved() -> None:
    clock = LabClock()
    real = datetime.now(UTC)
    assert (clock.moved(real), clock.real(real)) == (real, real)
    assert abs(clock.now() - real) < timedelta(seconds=5)
    clock.move(DAY)
    assert abs(clock.now() - real - DAY) < timedelta(seconds=5)
    assert clock.moved(real) == real


def test_a_moment_that_was_passed_over_is_when_it_was_passed_over() -> None:
    clock = LabClock()
    before = datetime.now(UTC)
    clock.move(DAY)
    after = datetime.now(UTC)
    assert before <= clock.real(before + DAY / 2) <= after


@given(st.lists(st.integers(0, 10**6), max_size=5), st.integers(-(10**6), 2 * 10**6))
def test_what_is_told_in_real_time_was_shown_then(moves: list[int], seconds: int) -> None:
    clock = LabClock()
    for ahead in sorted(moves):
        clock.move(timedelta(seconds=ahead))
    moment = datetime.now(UTC) + timedelta(seconds=seconds)
    assert clock.real(clock.moved(moment)) == moment
    assert clock.moved(clock.real(moment)) >= moment


def test_a_clock_is_not_turned_back() -> None:
    clock = LabClock()
    clock.move(DAY)
    with pytest.raises(NotRunnable) as raised:
        clock.move(DAY / 2)
    assert raised.value.message == (
        "the lab's clock cannot go back: it is 86400 s ahead, and 43200 s are asked for"
    )
    assert clock.ahead == DAY


def test_a_kept_lab_goes_on_with_its_clock(tmp_path: Path) -> None:
    path = tmp_path / "clock.json"
    LabClock(path).move(DAY)
    kept = LabClock(path)
    kept.move(2 * DAY)
    assert LabClock(path).ahead == 2 * DAY
    now = datetime.now(UTC)
    assert LabClock(path).real(kept.moved(now)) == now
