from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError

from pgdrill.aws.refusal import translated
from pgdrill.aws.snapshots import Snapshot
from pgdrill.cell import Cell
from pgdrill.errors import Broken, NotRunnable, Unavailable
from pgdrill.model import Clock
from pgdrill.points import taking, telling
from pgdrill.points.taking import Step
from tests.unit.evidence.drills import drilled
from tests.unit.plans import plan
from tests.unit.snapshots import snapshot

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


@pytest.mark.parametrize(("every", "hours"), [("1h", 1), ("6h", 6), ("12h", 6), ("24h", 6)])
def test_a_busy_instance_is_asked_until_the_slot_ends_and_for_six_hours_at_most(
    every: str, hours: int
) -> None:
    planned = plan(points={"every": every, "offset": "0h"})
    slot = datetime(2026, 11, 22, tzinfo=UTC)
    assert taking.begin(planned, SHOP, slot, slot).ask_until == slot + timedelta(hours=hours)


# ---------------------------------------------------------------------------------------------- patience


class Snapshots:
    """RDS with one snapshot, or none."""

    def __init__(self, there: Snapshot | None = None) -> None:
        self.there = there

    def find(self, _: str) -> Snapshot | None:
        return self.there

    def take(self, *_: object) -> bool:
        return True


def cell(there: Snapshot | None = None, status: str = "available") -> Cell:
    instance = SimpleNamespace(
        id="shop-production", resource_id="db-1", status=status, encrypted=True, kms_key="key"
    )
    return cast(
        "Cell",
        SimpleNamespace(
            plan=PLAN,
            snapshots=Snapshots(there),
            rds=SimpleNamespace(instance=lambda _: instance),
            keys=SimpleNamespace(customer_managed=lambda _: True),
        ),
    )


class Refusing(Snapshots):
    """RDS that refuses a snapshot with this code."""

    def __init__(self, code: str) -> None:
        super().__init__()
        self.code = code

    def take(self, *_: object) -> bool:
        refused = {"Error": {"Code": self.code, "Message": "not in available state."}}
        error = ClientError(cast("Any", refused), "CreateDBSnapshot")
        raise translated("take snapshot of", "shop-production", error) from error


def refused(code: str, state: str) -> Cell:
    """Return a cell whose RDS refuses a snapshot, and whose instance's key is in this state."""
    made = cell()
    keys = SimpleNamespace(customer_managed=lambda _: True, state=lambda _: state)
    return cast("Cell", SimpleNamespace(**vars(made) | {"snapshots": Refusing(code), "keys": keys}))


def clock(after: timedelta) -> Clock:
    return Clock(now=SLOT + after, remaining=lambda: 60.0, budget=60)


MAKING = snapshot(SLOT, status="creating", progress=50, recovers_to=None)
LATE = timedelta(hours=4, minutes=5)


def test_a_snapshot_that_was_asked_for_late_has_as_long_as_any_other() -> None:
    waiting = taking.begin(PLAN, SHOP, SLOT, SLOT).to(Step.ASK, sealed=True)
    asked = taking.ask(waiting, cell(), clock(LATE))
    assert (asked.next, asked.asked_at) == (Step.AWAIT, SLOT + LATE)
    for after in (MINUTE, taking.PATIENCE):
        again = taking.await_(asked, cell(MAKING), clock(LATE + after))
        assert (again.next, again.said) == (Step.AWAIT, "creating, 50 %")
    with pytest.raises(Broken) as ended:
        taking.await_(asked, cell(MAKING), clock(LATE + taking.PATIENCE + MINUTE))
    assert ended.value.message == "snapshot 'pgdrill-lab-shop-2026-11-22t07z' is not available after 4:00:00"


def test_a_snapshot_that_is_found_is_waited_for_from_then_on() -> None:
    begun = taking.begin(PLAN, SHOP, SLOT, SLOT)
    found = taking.check(begun, cell(MAKING), clock(LATE))
    assert (found.next, found.asked_at, found.said) == (Step.AWAIT, SLOT + LATE, "it was taken already")
    assert taking.await_(found, cell(MAKING), clock(LATE + taking.PATIENCE)).next is Step.AWAIT


@pytest.mark.parametrize("state", ["Disabled", "PendingDeletion", "not there"])
def test_an_instance_whose_key_is_off_is_not_waited_for(state: str) -> None:
    begun = taking.begin(PLAN, SHOP, SLOT).to(Step.ASK, sealed=True)
    with pytest.raises(NotRunnable) as ended:
        taking.ask(begun, refused("InvalidDBInstanceState", state), clock(MINUTE))
    assert (ended.value.message, ended.value.hint) == (
        f"instance 'shop-production' cannot be snapshotted: its key 'key' is {state}",
        "what the instance holds is encrypted with that key: enable it, or cancel its deletion, at once",
    )


@pytest.mark.parametrize(
    ("code", "state"), [("InvalidDBInstanceState", "Enabled"), ("ThrottlingException", "Disabled")]
)
def test_an_instance_that_is_refused_for_another_reason_is_asked_again(code: str, state: str) -> None:
    begun = taking.begin(PLAN, SHOP, SLOT).to(Step.ASK, sealed=True)
    waiting = taking.ask(begun, refused(code, state), clock(MINUTE))
    assert (waiting.next, waiting.wait > 0) == (Step.ASK, True)
    assert waiting.said == f"cannot take snapshot of 'shop-production': {code}: not in available state."


def test_what_does_not_answer_is_asked_as_long_as_a_busy_instance() -> None:
    begun = taking.begin(PLAN, SHOP, SLOT, SLOT)

    def silent(_: str) -> None:
        raise Unavailable("no answer", hint="ask again")

    deaf = cast("Cell", SimpleNamespace(plan=PLAN, rds=SimpleNamespace(instance=silent)))
    ticks = iter([timedelta(0), LATE, timedelta(hours=6), timedelta(hours=6, minutes=1)])
    with pytest.raises(Unavailable):
        taking.run(begun, deaf, (), lambda _: clock(next(ticks)), lambda _: None)
    assert next(ticks, None) is None


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
    point = drilled().point.model_copy(update={"recovers_to": SLOT, "created_at": SLOT + MINUTE})
    done = begun.model_copy(update={"taken": point})
    reply = telling.taken(done, SLOT + 3 * MINUTE)
    assert {(m.name, m.value) for m in reply.metrics} == {("PointsTaken", 1), ("PointSeconds", 180.0)}
    assert [(m.level.value, m.text) for m in reply.messages] == [
        (
            "report",
            f"recovery point {done.point!r} of database 'shop' is there, which recovers to {SLOT:%F %T} UTC",
        )
    ]
    repeated = done.model_copy(update={"begun_at": SLOT + 2 * MINUTE})
    assert telling.taken(repeated, SLOT + 3 * MINUTE).metrics == ()
    unsealed = telling.taken(begun.model_copy(update={"unsealed": "no secret"}), SLOT)
    assert [m.text for m in unsealed.messages] == [
        "recovery point 'pgdrill-lab-shop-2026-11-22t07z' has no seal of its own: no secret"
    ]
