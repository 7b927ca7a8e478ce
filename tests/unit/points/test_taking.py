from datetime import UTC, datetime, timedelta

import pytest

from pgdrill.errors import Broken, NotRunnable
from pgdrill.points import taking, telling
from pgdrill.points.taking import Step
from tests.unit.plans import plan

PLAN = plan()  # every 6 h from 01:00
SHOP = PLAN.database(None)
SLOT = datetime(2026, 11, 22, 7, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def test_a_point_of_a_slot_is_named_after_it() -> None:
    begun = taking.begin(PLAN, SHOP, SLOT + 5 * MINUTE, SLOT)
    assert (begun.point, begun.slot) == ("pgdrill-lab-shop-2026-11-22t07z", "2026-11-22T07Z")
    assert begun.ask_until == SLOT + timedelta(hours=6)


def test_a_point_out_of_turn_is_named_after_its_moment_and_has_no_slot() -> None:
    begun = taking.begin(PLAN, SHOP, SLOT + 5 * MINUTE)
    assert (begun.point, begun.slot) == ("pgdrill-lab-shop-20261122t070500000z", None)


@pytest.mark.parametrize(
    ("now", "slot"),
    [
        (SLOT, SLOT),
        (SLOT + timedelta(hours=5, minutes=58), SLOT),
        (SLOT - timedelta(seconds=59), SLOT),
        (SLOT - timedelta(seconds=61), SLOT - timedelta(hours=6)),
    ],
)
def test_a_clock_that_is_a_little_behind_means_the_slot_that_is_due(now: datetime, slot: datetime) -> None:
    assert taking.slot_now(PLAN, now) == slot
    assert taking.begin(PLAN, SHOP, now, slot).point.endswith(f"t{slot:%H}z")


@pytest.mark.parametrize("now", [SLOT - 2 * MINUTE, SLOT + timedelta(hours=6)])
def test_a_slot_that_is_not_now_is_refused(now: datetime) -> None:
    with pytest.raises(NotRunnable) as refused:
        taking.begin(PLAN, SHOP, now, SLOT)
    assert refused.value.message == (
        f"slot 2026-11-22T07Z is not now: it lasts until 2026-11-22T13Z, and it is {now:%Y-%m-%d %H:%M} UTC"
    )


def test_waits_grow_and_begin_anew_with_the_next_step() -> None:
    waiting = taking.begin(PLAN, SHOP, SLOT, SLOT)
    waits = []
    for _ in range(20):
        waiting = waiting.again("busy")
        waits.append(waiting.wait)
    assert waits == sorted(waits)
    assert (waits[0], waits[-1]) == (taking.POLL, taking.POLL_MOST)
    assert waiting.to(Step.AWAIT).wait == 0


def test_what_is_told_of_a_failure_names_slot_and_step() -> None:
    begun = taking.begin(PLAN, SHOP, SLOT, SLOT)
    reply = telling.failed(begun, Broken("it is gone", hint="look"))
    assert reply.events[0].detail == {
        "database": "shop",
        "slot": "2026-11-22T07Z",
        "step": "check",
        "error": "Broken",
        "message": "it is gone",
    }
    assert [(m.level.value, m.text, m.hint) for m in reply.messages] == [("alarm", "it is gone", "look")]
    assert [(m.name, m.value) for m in reply.metrics] == [("PointsFailed", 1)]


def test_what_is_told_of_a_point_is_how_long_it_took() -> None:
    begun = taking.begin(PLAN, SHOP, SLOT, SLOT)
    reply = telling.taken(begun, SLOT + 3 * MINUTE)
    assert {(m.name, m.value) for m in reply.metrics} == {("PointsTaken", 1), ("PointSeconds", 180.0)}
    assert [(m.level.value, m.text) for m in reply.messages] == [
        ("report", "recovery point 'pgdrill-lab-shop-2026-11-22t07z' of database 'shop' is there")
    ]
    unsealed = telling.taken(begun.model_copy(update={"unsealed": "no secret"}), SLOT)
    assert [m.text for m in unsealed.messages] == [
        "recovery point 'pgdrill-lab-shop-2026-11-22t07z' has no seal of its own: no secret"
    ]
