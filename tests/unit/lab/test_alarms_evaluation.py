"""A metric alarm's state is what AWS's documented tables say of its data points."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgdrill.lab.cloudwatch.evaluation import EXTRA, Decision, Missing, State, decide

OK, ALARM, INSUFFICIENT = State.OK, State.ALARM, State.INSUFFICIENT_DATA
RETAIN = None
Row = tuple[int, str, int, State | None, State | None, State | None, State | None]
POINTS = {"0": False, "X": True, "-": None}

# Source: CloudWatch User Guide, "How alarm state is evaluated when data is missing": the evaluation periods are 3, the
# columns are how many must breach, the data points, how many are filled in, and the state by how missing data are
# treated: missing, ignore, breaching, notBreaching.
DOCUMENTED: list[Row] = [
    (3, "0 - X - X", 0, OK, OK, OK, OK),
    (3, "0 - - - -", 2, OK, OK, OK, OK),
    (3, "- - - - -", 3, INSUFFICIENT, RETAIN, ALARM, OK),
    (3, "0 X X - X", 0, ALARM, ALARM, ALARM, ALARM),
    (3, "- - X - -", 2, ALARM, RETAIN, ALARM, OK),
    (2, "0 - X - X", 0, ALARM, ALARM, ALARM, ALARM),
    (2, "0 0 X 0 X", 0, ALARM, ALARM, ALARM, ALARM),
    (2, "0 - X - -", 1, OK, OK, ALARM, OK),
    (2, "- - - - 0", 2, OK, OK, ALARM, OK),
    (2, "- - - X -", 2, ALARM, RETAIN, ALARM, OK),
]
TREATMENTS = (Missing.MISSING, Missing.IGNORE, Missing.BREACHING, Missing.NOT_BREACHING)


def read(text: str) -> list[bool | None]:
    return [POINTS[mark] for mark in text.split()]


@pytest.mark.parametrize("current", list(State))
@pytest.mark.parametrize("row", DOCUMENTED, ids=lambda row: f"{row[0]} of 3: {row[1]}")
def test_the_documented_rows_hold_whatever_the_state_was(row: Row, current: State) -> None:
    to_alarm, text, filled, *states = row
    for treatment, state in zip(TREATMENTS, states, strict=True):
        found = decide(read(text), 3, to_alarm, treatment, current)
        assert (found.state, found.filled) == (current if state is RETAIN else state, filled), treatment


@pytest.mark.parametrize("text", ["- - - - X", "- - - X -"])
@pytest.mark.parametrize("current", list(State))
def test_a_lone_breach_that_is_too_young_raises_no_alarm(text: str, current: State) -> None:
    assert decide(read(text), 3, 3, Missing.MISSING, current).state is current


def test_the_false_positive_that_waiting_avoids_is_avoided() -> None:
    for text in ("- - - X 0", "- - X - 0"):
        assert decide(read(text), 3, 3, Missing.MISSING, OK).state is OK


def test_a_missing_point_breaches_only_when_the_whole_range_is_missing() -> None:
    """So one of one is told after 1 + EXTRA periods, which is why alarms on silence fill their gaps instead."""
    assert decide(read("- 0 -"), 1, 1, Missing.BREACHING, OK).state is OK
    assert decide(read("0 - -"), 1, 1, Missing.BREACHING, OK).state is OK
    assert decide(read("- - -"), 1, 1, Missing.BREACHING, OK).state is ALARM


def test_a_decision_names_the_points_that_it_rests_on() -> None:
    assert decide(read("0 X X - X"), 3, 3, Missing.MISSING, OK) == Decision(ALARM, (1, 2, 4), 0)


periods = st.integers(1, 6)
ranges = periods.flatmap(
    lambda n: st.tuples(
        st.just(n),
        st.integers(1, n),
        st.lists(st.sampled_from([True, False, None]), min_size=n + EXTRA, max_size=n + EXTRA),
    )
)


@given(ranges, st.sampled_from(State))
def test_missing_data_that_breach_never_calm_what_good_ones_would_alarm(
    case: tuple[int, int, list[bool | None]], current: State
) -> None:
    n, m, points = case
    if decide(points, n, m, Missing.NOT_BREACHING, current).state is ALARM:
        assert all(decide(points, n, m, treatment, current).state is ALARM for treatment in Missing)


@given(ranges, st.sampled_from(State))
def test_where_enough_is_there_the_treatment_is_not_needed(
    case: tuple[int, int, list[bool | None]], current: State
) -> None:
    n, m, points = case
    whole = [bool(point) for point in points]
    newest = whole[-n:]
    expected = ALARM if sum(newest) >= m else OK
    assert {decide(whole, n, m, treatment, current).state for treatment in Missing} == {expected}


@given(ranges, st.sampled_from(Missing), st.sampled_from(State), st.data())
def test_a_breach_that_turns_good_never_raises_an_alarm(
    case: tuple[int, int, list[bool | None]], treatment: Missing, current: State, data: st.DataObject
) -> None:
    n, m, points = case
    breaching = [place for place, point in enumerate(points) if point]
    if not breaching or current is ALARM:
        return
    better = list(points)
    better[data.draw(st.sampled_from(breaching))] = False
    if decide(points, n, m, treatment, current).state is not ALARM:
        assert decide(better, n, m, treatment, current).state is not ALARM


@given(ranges, st.sampled_from(Missing), st.sampled_from(State))
def test_an_alarm_is_settled_by_its_own_state(
    case: tuple[int, int, list[bool | None]], treatment: Missing, current: State
) -> None:
    n, m, points = case
    once = decide(points, n, m, treatment, current).state
    assert decide(points, n, m, treatment, once).state is once
