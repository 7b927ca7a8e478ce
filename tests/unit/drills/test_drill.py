"""The time that a recovery takes begins when RDS is first asked, whatever it answers."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import cast

import pytest

from pgdrill.cell import Cell
from pgdrill.drills import conduct, drill, outcome
from pgdrill.drills.state import Drill, Step
from pgdrill.errors import Unavailable
from pgdrill.evidence.record import Purpose, Trigger
from pgdrill.handlers import boundary, restore
from pgdrill.model import JSON, Clock, Lease, Recovered, Stage
from tests.unit.memory import Memory
from tests.unit.plans import plan
from tests.unit.snapshots import HOME, snapshot

NOW = datetime(2026, 11, 22, 6, tzinfo=UTC)
FULL = Unavailable("InsufficientDBInstanceCapacity", hint="ask again")
LEASE = Lease(instance="i", drill="d1", database="shop", expires_at=NOW + timedelta(hours=6))


class Passing:
    """A clock on which a minute passes with every step, and what is waited."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self, wait: float) -> Clock:
        self.now += timedelta(minutes=1, seconds=wait)
        return Clock(now=self.now, remaining=lambda: 60.0, budget=60.0)


@pytest.fixture
def refusals() -> list[Unavailable]:
    """What RDS answers, before it takes a restore."""
    return []


@pytest.fixture
def cell(monkeypatch: pytest.MonkeyPatch, refusals: list[Unavailable]) -> Cell:
    def restored(*_: object) -> None:
        if refusals:
            raise refusals.pop()

    monkeypatch.setattr(outcome, "asked_for", lambda *_: (None, None))
    place = SimpleNamespace(region=HOME)
    rds = SimpleNamespace(restore=restored, region=HOME)
    return cast("Cell", SimpleNamespace(plan=plan(), place=place, rds=rds, store=Memory()))


def begun(**changes: object) -> Drill:
    return Drill(
        id="d1",
        database="shop",
        source="shop-production",
        wanted="latest",
        trigger=Trigger.COMMAND,
        nonce="n",
        plan_sha256="0" * 64,
        started_at=NOW,
        next=Step.RESTORE,
        point=snapshot(NOW).point(),
        held=LEASE,
    ).model_copy(update=changes)


def kept(cell: Cell) -> Drill:
    return conduct.resume(cell, "shop", "d1")


@pytest.fixture
def _until_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a drill stop once RDS has taken its restore."""
    monkeypatch.setitem(drill.STEPS, Step.OBSERVE, lambda one, *_: one.to(Step.DONE))


@pytest.mark.usefixtures("_until_accepted")
def test_the_time_that_rds_refuses_is_time_that_a_recovery_takes(
    cell: Cell, refusals: list[Unavailable]
) -> None:
    refusals += [FULL] * 3
    done = conduct.run(begun(), cell, Passing(), lambda *_: None)
    assert done.stages[Stage.REQUESTED] == NOW + timedelta(minutes=1)
    # The fifth step takes it, after waits of 1, 2 and 4 seconds.
    assert done.stages[Stage.ACCEPTED] == NOW + timedelta(minutes=5, seconds=7)


@pytest.mark.usefixtures("_until_accepted")
def test_a_recovery_that_is_resumed_hours_later_counts_from_when_it_first_asked(
    cell: Cell, refusals: list[Unavailable]
) -> None:
    refusals += [FULL] * 6
    mark = Recovered(instance="i", drill="d1", database="shop")
    with pytest.raises(Unavailable):
        conduct.run(begun(purpose=Purpose.RECOVERY, held=mark), cell, Passing(), lambda *_: None)
    assert (kept(cell).next, kept(cell).requested_at) == (Step.RESTORE, NOW + timedelta(minutes=1))
    later = Passing()
    later.now = NOW + timedelta(hours=3)
    done = conduct.run(kept(cell), cell, later, lambda *_: None)
    assert done.stages[Stage.REQUESTED] == NOW + timedelta(minutes=1)
    # Its last try was to be followed by a wait of 16 seconds.
    assert done.stages[Stage.ACCEPTED] == NOW + timedelta(hours=3, minutes=1, seconds=16)


def test_a_step_that_is_asked_again_gets_the_drill_that_knows_since_when(
    cell: Cell, refusals: list[Unavailable], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a state machine asks: with the same payload."""
    passing = Passing()
    monkeypatch.setattr(boundary, "clock", lambda _: passing(0))
    monkeypatch.setattr(boundary, "open_cell", lambda: cell)

    def call(one: Drill) -> dict[str, JSON]:
        return restore.handler({"drill": one.model_dump(mode="json")}, cast("boundary.Context", None))

    noted = Drill.model_validate(call(begun())["drill"])
    assert (noted.next, noted.wait, noted.stages) == (Step.RESTORE, 0, {})
    refusals += [FULL] * 2
    for _ in range(2):
        with pytest.raises(Unavailable):
            call(noted)
    taken = Drill.model_validate(call(noted)["drill"])
    assert taken.next is Step.OBSERVE
    assert taken.stages == {
        Stage.REQUESTED: NOW + timedelta(minutes=1),
        Stage.ACCEPTED: NOW + timedelta(minutes=4),
    }
