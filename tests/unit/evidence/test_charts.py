"""The geometry of the report's pictures."""

from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgdrill.evidence import charts
from pgdrill.model import Rto, Stage, Verdict
from tests.unit.evidence.drills import START, drilled, never_started, summaries, torn_down

WIDE, NARROW = charts.TIMELINE


@given(st.floats(min_value=0.001, max_value=1e8), st.integers(min_value=2, max_value=8))
def test_an_axis_has_a_few_even_ticks_and_none_beyond_its_end(end: float, most: int) -> None:
    found = charts.ticks(end, most)
    assert found[0] == 0
    assert 1 <= len(found) <= most + 1
    assert found[-1] <= end * (1 + 1e-9)
    assert all(abs((after - before) - found[1]) < 1e-6 * end for before, after in pairwise(found))


def test_an_axis_of_minutes_is_cut_at_round_minutes() -> None:
    assert charts.ticks(600, 6) == [0, 120, 240, 360, 480, 600]


@pytest.mark.parametrize("layout", charts.TIMELINE)
def test_the_phases_follow_each_other_without_a_gap(layout: charts.Layout) -> None:
    picture = charts.timeline(drilled(), torn_down(drilled()), layout)
    assert picture is not None
    assert [phase.stage for phase in picture.phases] == [
        stage for stage in Stage if stage is not Stage.HANDED_OVER
    ][1:]
    assert picture.phases[0].x == layout.x(0)
    for before, after in pairwise(picture.phases):
        assert before.ended == after.began
        assert after.x <= before.x + before.width + 0.01
    last = picture.phases[-1]
    assert last.x + last.width == pytest.approx(layout.x(1), abs=0.2)


def test_the_teardown_ends_the_picture_once_the_instance_is_gone() -> None:
    without = charts.timeline(drilled(), torn_down(drilled(), gone_at=None), WIDE)
    gone = charts.timeline(drilled(), torn_down(drilled()), WIDE)
    assert without is not None
    assert gone is not None
    assert (without.total, gone.total) == (31.5, 37.9)


def test_a_phase_too_short_to_see_is_drawn_all_the_same() -> None:
    start = drilled().started_at
    instant = dict.fromkeys(set(Stage) - {Stage.HANDED_OVER}, start) | {
        Stage.GONE: start + timedelta(hours=9)
    }
    picture = charts.timeline(drilled(stages=instant), None, WIDE)
    assert picture is not None
    assert [phase.width for phase in picture.phases[:-1]] == [WIDE.least] * 6


def test_the_objective_is_drawn_where_it_lies_near_the_drill() -> None:
    near = charts.timeline(drilled(rto=Rto(usable=15.3, verified=None, objective=45)), None, WIDE)
    assert near is not None
    assert near.objective is not None
    assert near.objective.at == WIDE.x(1)


def test_an_objective_far_beyond_the_drill_does_not_press_it_to_nothing() -> None:
    far = charts.timeline(drilled(), None, WIDE)
    assert far is not None
    assert far.objective is None


def test_a_missed_objective_lies_inside_the_picture() -> None:
    missed = charts.timeline(drilled(rto=Rto(usable=15.3, verified=31.5, objective=10)), None, WIDE)
    assert missed is not None
    assert missed.objective is not None
    assert missed.usable is not None
    assert missed.objective.at < missed.usable.at


def test_a_restore_that_was_never_requested_has_no_timeline() -> None:
    assert charts.timeline(never_started(stages={}), None, WIDE) is None


def test_a_copy_that_never_answered_was_never_usable() -> None:
    picture = charts.timeline(never_started(), None, WIDE)
    assert picture is not None
    assert picture.usable is None
    assert [phase.stage for phase in picture.phases] == [Stage.ACCEPTED]


def test_stages_are_drawn_in_the_order_in_which_they_were_reached() -> None:
    stages = dict(drilled().stages)
    stages[Stage.HYDRATED] = START + timedelta(seconds=40)
    picture = charts.timeline(drilled(stages=stages), None, WIDE)
    assert picture is not None
    assert [phase.stage for phase in picture.phases][-2:] == [Stage.EXAMINED, Stage.HYDRATED]
    assert all(phase.seconds >= 0 for phase in picture.phases)


def test_a_trend_has_one_dot_a_drill_and_a_gap_where_nothing_was_measured() -> None:
    drills = summaries(9)
    picture = charts.trend(drills, charts.TREND[0])
    assert picture is not None
    assert [dot.drill for dot in picture.dots] == drills
    unmeasured = [index for index, dot in enumerate(picture.dots) if dot.y is None]
    assert unmeasured == [index for index, drill in enumerate(drills) if drill.rto_usable is None] == [5]
    assert [len(line.split()) for line in picture.lines] == [5, 3]


def test_a_slower_drill_lies_higher() -> None:
    picture = charts.trend(summaries(5), charts.TREND[0])
    assert picture is not None
    by_time = sorted(picture.dots, key=lambda dot: dot.drill.rto_usable or 0)
    heights = [dot.y for dot in by_time if dot.y is not None]
    assert heights == sorted(heights, reverse=True)
    assert all(0 <= height <= picture.bottom for height in heights)


def test_a_phone_shows_the_newest_drills_alone() -> None:
    drills = summaries(50)
    picture = charts.trend(drills, charts.TREND[1])
    assert picture is not None
    assert [dot.drill for dot in picture.dots] == drills[-charts.TREND[1].most :]


def test_a_trend_of_drills_that_measured_nothing_still_shows_their_verdicts() -> None:
    drills = [drill.model_copy(update={"rto_usable": None}) for drill in summaries(3)]
    picture = charts.trend(drills, charts.TREND[0])
    assert picture is not None
    assert [dot.y for dot in picture.dots] == [None, None, None]
    assert picture.lines == ()


def test_no_drill_no_trend() -> None:
    assert charts.trend([], charts.TREND[0]) is None


@pytest.mark.parametrize(
    ("value", "objective", "expected"),
    [
        (50, 100, charts.Bar(50, 100, over=False)),
        (100, 100, charts.Bar(100, 100, over=False)),
        (200, 100, charts.Bar(100, 50, over=True)),
        (0, 0, charts.Bar(0, 0, over=False)),
        (-3, 100, charts.Bar(0, 100, over=False)),
    ],
)
def test_a_bar_fills_up_to_its_objective_and_marks_it_when_it_is_passed(
    value: float, objective: float, expected: charts.Bar
) -> None:
    assert charts.bar(value, objective) == expected


def test_passed_drills_are_counted() -> None:
    drills = summaries(9)
    assert charts.passed(drills) == 7
    assert {drill.verdict for drill in drills} == {Verdict.PASSED, Verdict.FAILED, Verdict.INCONCLUSIVE}
