"""The forecast: a trend where there is one, its crossing, and what would help; nothing from too little."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgdrill.evidence.record import Examined, Summary
from pgdrill.model import Rto
from pgdrill.watching.forecast import LEAST, forecast, trend
from tests.unit.evidence.drills import START, drilled

WEEK = timedelta(days=7)
FOUR_HOURS = 14400.0


def drills(*seconds: float | None, grows: int = 0) -> list[Summary]:
    return [
        Summary.of(
            drilled(
                number,
                rto=Rto(usable=usable, verified=None, objective=FOUR_HOURS),
                examined=Examined(tables=1, rows=1, bytes=10**9 + grows * number),
            )
        )
        for number, usable in enumerate(seconds, start=1)
    ]


def test_a_recovery_that_slows_by_an_hour_a_month_crosses_four_hours_when_the_line_does() -> None:
    past = drills(*(7200 + 60 * 15 * week for week in range(6)))
    made = forecast(past, FOUR_HOURS, past[-1].started_at)
    assert made.rto is not None
    assert made.rto.per_day == pytest.approx(900 / 7)
    assert made.rto.now == pytest.approx(7200 + 900 * 5)
    assert made.rto.crosses_at == past[-1].started_at + timedelta(days=(14400 - 11700) / (900 / 7))


def test_what_helps_is_told_when_a_crossing_is_near_and_names_growth_where_there_is_growth() -> None:
    slower = [7200.0 + 900 * week for week in range(6)]
    grown = forecast(drills(*slower, grows=10**8), FOUR_HOURS, START)
    assert any("drop it, or split the database" in told for told in grown.helps)
    steady = forecast(drills(*slower), FOUR_HOURS, START)
    assert steady.helps
    assert not any("split" in told for told in steady.helps)


def test_a_steady_recovery_is_not_said_to_cross_anything() -> None:
    made = forecast(drills(900, 910, 890, 905, 900), FOUR_HOURS, START)
    assert made.rto is not None
    assert made.rto.crosses_at is None
    assert made.helps == ()


def test_one_that_is_over_the_objective_has_crossed_it_now() -> None:
    past = drills(15000, 15100, 15000, 15100)
    made = forecast(past, FOUR_HOURS, START)
    assert made.rto is not None
    assert made.rto.crosses_at == START


def test_too_few_drills_or_too_short_a_time_show_no_trend() -> None:
    assert forecast(drills(*[900.0] * (LEAST - 1)), FOUR_HOURS, START).rto is None
    hourly = [(START + timedelta(hours=hour), 900.0 + hour) for hour in range(10)]
    assert trend(hourly, FOUR_HOURS, START) is None


def test_drills_that_never_answered_have_no_part_in_the_trend() -> None:
    made = forecast(drills(900, None, 900, None, 900, 900), FOUR_HOURS, START)
    assert made.rto is not None
    assert made.rto.drills == 4


def test_one_odd_drill_does_not_bend_the_line() -> None:
    made = forecast(drills(900, 900, 14000, 900, 900, 900), FOUR_HOURS, START)
    assert made.rto is not None
    assert made.rto.per_day == 0


@given(
    st.lists(st.floats(min_value=1, max_value=1e6), min_size=LEAST, max_size=20),
    st.floats(min_value=1, max_value=1e6),
)
def test_a_crossing_lies_ahead_and_within_two_years_and_the_line_is_there_by_then(
    values: list[float], limit: float
) -> None:
    seen = [(START + number * WEEK, value) for number, value in enumerate(values)]
    found = trend(seen, limit, seen[-1][0])
    assert found is not None
    if found.crosses_at is not None and found.now < limit:
        days = (found.crosses_at - seen[-1][0]) / timedelta(days=1)
        assert 0 <= days <= 731
        assert found.now + days * found.per_day == pytest.approx(limit, rel=1e-3, abs=1e-3)
