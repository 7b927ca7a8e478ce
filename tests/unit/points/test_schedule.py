from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from pgdrill.cell import Cell
from pgdrill.errors import NotRunnable
from pgdrill.evidence import archive
from pgdrill.messages import Level
from pgdrill.model import PointKind
from pgdrill.plan import Plan
from pgdrill.points import schedule
from pgdrill.points.coverage import CELL
from tests.unit.evidence.drills import START, drilled
from tests.unit.memory import Memory
from tests.unit.plans import plan

WEEK = timedelta(days=7)
FREEZE = {
    "begins": datetime(2026, 12, 18, tzinfo=UTC),
    "ends": datetime(2027, 1, 4, tzinfo=UTC),
    "reason": "the year is being closed",
}
FROZEN = plan(drill={"freeze": [FREEZE]})


def cell(store: Memory, window: tuple[datetime, datetime] | None, its: Plan | None = None) -> Cell:
    """A cell of which only store, plan and window are asked."""
    rds = SimpleNamespace(window=lambda _: window)
    return cast("Cell", SimpleNamespace(store=store, plan=its or plan(), rds=rds))


def wanted(its: Plan, weeks: range, *, dr: bool = False) -> list[str]:
    place = its.dr if dr else its.primary
    every = its.drill.dr_every if dr else its.drill.every
    return [schedule.wanted(its, place, START + number * every) for number in weeks]


def test_the_kinds_of_point_take_turns_and_every_second_is_of_the_window() -> None:
    turns = wanted(plan(), range(8))
    assert turns[:4] == turns[4:]
    assert sorted(turns[:4]) == ["latest", "oldest", "unproved", "unproved"]
    assert [turn == "unproved" for turn in turns[:2]] in ([True, False], [False, True])


def test_a_copy_has_no_window_so_both_ends_of_the_copies_take_turns() -> None:
    assert sorted(wanted(plan(), range(2), dr=True)) == ["latest", "oldest"]
    assert sorted(wanted(plan(drill={"point": "unproved"}), range(2), dr=True)) == ["latest", "oldest"]


@pytest.mark.parametrize("point", ["latest", "oldest", "restorable", "unproved"])
def test_a_point_that_the_plan_names_is_restored_each_time(point: str) -> None:
    assert set(wanted(plan(drill={"point": point}), range(4))) == {point}


def test_what_names_a_point_means_itself() -> None:
    its = plan()
    for name in ("latest", "restorable", "pgdrill-lab-shop-x", "2026-11-22T06:00:00Z"):
        assert schedule.meant(cell(Memory(), None), its.database(None), name, "d", START) == name


def test_unproved_means_a_moment_of_the_age_that_is_due_the_same_in_every_try() -> None:
    store, its = Memory(), plan()
    window = (START - WEEK, START - timedelta(minutes=5))
    point = drilled().point.model_copy(
        update={"kind": PointKind.PITR, "recovers_to": START - 10 * WEEK - timedelta(hours=166)}
    )
    # The oldest age was proved ten weeks ago, so the newest is due.
    archive.save(store, drilled(1, started_at=START - 10 * WEEK, point=point))
    aimed = [
        schedule.meant(cell(store, window), its.database(None), "unproved", drill, START)
        for drill in ("20991122t060500z-shop", "20991122t060500z-shop", "20991129t060500z-shop")
    ]
    assert aimed[0] == aimed[1] != aimed[2]
    assert (START - datetime.fromisoformat(aimed[0])) // CELL == 0


def test_after_a_drill_of_a_moment_it_is_told_how_much_of_the_window_is_proved() -> None:
    store, its = Memory(), plan()
    of_a_moment = drilled().point.model_copy(
        update={"kind": PointKind.PITR, "recovers_to": START - timedelta(hours=2)}
    )
    archive.save(store, drilled(point=of_a_moment))
    told = schedule.proved(store, its, drilled(point=of_a_moment), START)
    (metric,) = told.metrics
    assert (metric.name, metric.unit, metric.dimensions) == ("PitrProved", "Percent", {"Database": "shop"})
    assert metric.value == 3.6  # one of 28 cells
    assert schedule.proved(store, its, drilled(), START).metrics == ()


def test_unproved_without_a_window_is_not_runnable() -> None:
    with pytest.raises(NotRunnable) as refused:
        schedule.meant(cell(Memory(), None), plan().database(None), "unproved", "d", START)
    assert (refused.value.message, refused.value.hint) == (
        "instance 'shop-production' has no PITR window of which an age could be proved",
        "set its backup retention above 0 and wait for the first automated backup",
    )


@pytest.mark.parametrize(
    ("due", "frozen"),
    [
        (datetime(2026, 12, 17, 23, 59, tzinfo=UTC), False),
        (datetime(2026, 12, 18, tzinfo=UTC), True),
        (datetime(2027, 1, 3, 23, 59, tzinfo=UTC), True),
        (datetime(2027, 1, 4, tzinfo=UTC), False),
    ],
)
def test_no_drill_is_begun_in_a_freeze(due: datetime, frozen: bool) -> None:
    assert (schedule.frozen(FROZEN, due) is not None) == frozen
    assert schedule.frozen(plan(), due) is None


def skip(store: Memory, due: datetime) -> Any:
    freeze = schedule.frozen(FROZEN, due)
    assert freeze is not None
    return schedule.skip(store, FROZEN.database(None), freeze, due)


def test_a_drill_that_is_skipped_is_recorded_and_told_with_the_plans_reason() -> None:
    store, due = Memory(), datetime(2026, 12, 20, 6, tzinfo=UTC)
    reply = skip(store, due)
    assert reply.messages[0].level is Level.REPORT
    assert reply.messages[0].text == (
        "the drill of database 'shop' due at 2026-12-20 06:00 UTC was skipped: drills are frozen from"
        " 2026-12-18 00:00 to 2027-01-04 00:00 UTC: the year is being closed"
    )
    assert [metric.name for metric in reply.metrics] == ["DrillsSkipped"]
    (record,) = schedule.skipped(store, "shop")
    assert (record.due_at, record.reason) == (due, "the year is being closed")


def test_skipping_again_makes_no_second_record_and_old_ones_can_be_left_out() -> None:
    store, due = Memory(), datetime(2026, 12, 20, 6, tzinfo=UTC)
    for day in (0, 0, 7):
        skip(store, due + timedelta(days=day))
    assert len(list(schedule.skipped(store, "shop"))) == 2
    assert [r.due_at for r in schedule.skipped(store, "shop", since=due + timedelta(hours=1))] == [
        due + timedelta(days=7)
    ]
    assert list(schedule.skipped(store, "bank")) == []
