from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgdrill.model import PointKind, Verdict
from pgdrill.points import coverage
from pgdrill.points.coverage import CELL, Age
from tests.unit.checks.cases import NOON

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
WEEK = 7 * DAY


@dataclass(frozen=True)
class Drilled:
    drill: str
    started_at: datetime
    recovers_to: datetime
    verdict: Verdict = Verdict.PASSED
    kind: PointKind = PointKind.PITR


def drilled(hours: float, ago: timedelta = DAY, **changes: object) -> Drilled:
    """A drill some time ago of a moment that was `hours` old then."""
    started = NOON - ago
    made = Drilled(f"{started:%Y%m%dt%H%M%S}", started, started - hours * HOUR)
    return replace(made, **changes)  # type: ignore[arg-type]  # fields by name


def told(*past: Drilled, window: timedelta = WEEK) -> dict[int, tuple[Verdict, str | None]]:
    """Return from_hours -> what is known, of the cells of which something is."""
    cells = coverage.ages(past, NOON, window)
    return {
        cell.from_hours: (cell.verdict, cell.shown.drill if cell.shown else None)
        for cell in cells
        if cell.tried
    }


def test_a_window_of_a_week_has_28_ages_and_none_is_proved_at_first() -> None:
    cells = coverage.ages((), NOON, WEEK)
    assert [(cell.from_hours, cell.to_hours) for cell in cells] == [(6 * n, 6 * n + 6) for n in range(28)]
    assert {cell.verdict for cell in cells} == {Verdict.NOT_ASKED}
    assert coverage.proved(cells) == 0
    assert [len(day) for day in coverage.days(cells)] == [4] * 7


@pytest.mark.parametrize(("hours", "cell"), [(0, 0), (5.99, 0), (6, 6), (47.5, 42), (167.9, 162)])
def test_a_drill_proves_the_age_that_its_moment_had_when_it_began(hours: float, cell: int) -> None:
    past = drilled(hours, ago=3 * DAY)
    assert told(past) == {cell: (Verdict.PASSED, past.drill)}


@pytest.mark.parametrize(
    "past",
    [
        drilled(168),
        drilled(-1),
        drilled(5, kind=PointKind.SNAPSHOT),
        drilled(5, kind=PointKind.COPY),
        drilled(5, ago=-HOUR),
    ],
    ids=["beyond the window", "in the future", "snapshot", "copy", "begun later"],
)
def test_what_is_no_drill_of_the_window_proves_no_age(past: Drilled) -> None:
    assert told(past) == {}


def test_the_last_pass_stands_until_a_failure_and_is_proved_again_by_a_pass() -> None:
    first = drilled(7, 9 * DAY)
    unsure = drilled(8, 8 * DAY, verdict=Verdict.INCONCLUSIVE)
    failed = drilled(9, 7 * DAY, verdict=Verdict.FAILED)
    again = drilled(10, 6 * DAY)
    assert told(unsure) == {6: (Verdict.INCONCLUSIVE, unsure.drill)}
    assert told(first, unsure) == {6: (Verdict.PASSED, first.drill)}
    assert told(first, unsure, failed) == {6: (Verdict.FAILED, failed.drill)}
    assert told(again, failed, unsure, first) == {6: (Verdict.PASSED, again.drill)}


def due(past: Sequence[Drilled], among: Sequence[int] | None = None) -> int:
    return coverage.longest_unproved(coverage.ages(past, NOON, WEEK), among)


def test_the_ends_of_the_window_are_due_first_and_then_its_middle() -> None:
    oldest, newest = drilled(165), drilled(1)
    assert due([]) == 27
    assert due([oldest]) == 0
    assert due([oldest, newest]) in {13, 14}


def test_an_age_that_did_not_pass_waits_until_all_others_were_tried_and_comes_before_those_proved() -> None:
    others = [drilled(6 * n + 1, ago=(40 - n) * DAY) for n in range(28) if n != 5]
    failed = drilled(31, ago=60 * DAY, verdict=Verdict.FAILED)
    assert due([failed]) != 5
    assert due([failed, *others]) == 5
    assert due([*others, drilled(31)]) == 0


def test_of_the_ages_all_proved_the_one_proved_longest_ago_is_due() -> None:
    past = [drilled(6 * n + 1, ago=((n * 11) % 28 + 1) * DAY) for n in range(28)]
    oldest = min(past, key=lambda one: one.started_at)
    assert due(past) == (oldest.started_at - oldest.recovers_to) // CELL


def test_only_what_the_window_reaches_is_chosen_among() -> None:
    assert due([], [2, 3]) == 3


def window(back: timedelta, until: timedelta = timedelta(minutes=5)) -> tuple[datetime, datetime]:
    return NOON - back, NOON - until


def test_the_moment_is_the_same_for_the_same_drill_and_another_for_another() -> None:
    cells = coverage.ages((), NOON, WEEK)
    first = coverage.aim(cells, NOON, *window(WEEK), seed="a")
    assert first == coverage.aim(cells, NOON, *window(WEEK), seed="a")
    assert first != coverage.aim(cells, NOON, *window(WEEK), seed="b")


def test_a_window_that_does_not_reach_back_yet_is_aimed_at_where_it_does() -> None:
    cells = coverage.ages((), NOON, WEEK)
    target = coverage.aim(cells, NOON, *window(8 * HOUR), seed="a")
    assert target is not None
    assert NOON - 8 * HOUR < target <= NOON - 6 * HOUR


def test_the_age_that_is_due_is_one_that_the_window_reaches() -> None:
    cells = coverage.ages((), NOON, WEEK)
    short, whole = (coverage.due(cells, NOON, *window(back)) for back in (8 * HOUR, WEEK + HOUR))
    assert short == cells[1]
    assert whole == cells[27]
    assert coverage.due(cells, NOON, NOON - 9 * DAY, NOON - 8 * DAY) is None


def test_a_window_of_no_length_is_aimed_at_where_it_is_and_one_out_of_reach_not_at_all() -> None:
    cells = coverage.ages((), NOON, WEEK)
    moment = (NOON - HOUR, NOON - HOUR)
    assert coverage.aim(cells, NOON, *moment, seed="a") == NOON - HOUR
    assert coverage.aim(cells, NOON, NOON - 9 * DAY, NOON - 8 * DAY, seed="a") is None


@given(
    st.integers(1, 35),
    st.floats(0.01, 40),
    st.floats(0, 30),
    st.timedeltas(timedelta(0), 400 * DAY),
    st.text(max_size=20),
)
def test_what_is_aimed_at_lies_in_the_window_in_whole_seconds_and_in_the_age_that_is_due(
    days: int, back: float, until: float, later: timedelta, seed: str
) -> None:
    now = NOON + later
    earliest, latest = now - (back + until) * HOUR, now - until * HOUR
    cells = coverage.ages((), now, days * DAY)
    target = coverage.aim(cells, now, earliest, latest, seed)
    if target is None:
        # No whole second of the plan's window between the two.
        assert latest - earliest < timedelta(seconds=2) or latest <= now - days * DAY + timedelta(seconds=2)
        return
    assert target.microsecond == 0
    assert earliest <= target <= latest
    assert 0 <= (now - target) // CELL < len(cells)


@pytest.mark.parametrize("every", [DAY, 2 * WEEK])
def test_drills_that_pass_prove_every_age_of_the_week_in_28_of_them_and_begin_again(every: timedelta) -> None:
    past: list[Drilled] = []
    order: list[int] = []
    for number in range(56):
        now = NOON + number * every
        cells: tuple[Age, ...] = coverage.ages(past, now, WEEK)
        target = coverage.aim(cells, now, now - WEEK, now - timedelta(minutes=5), seed=str(number))
        assert target is not None
        past.append(Drilled(str(number), now, target))
        order.append((now - target) // CELL)
    assert sorted(order[:28]) == list(range(28))
    assert order[28:] == order[:28]
