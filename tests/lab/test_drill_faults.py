"""Whatever happens to a drill, it ends properly: judged, never passed unproved, and nothing left."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pgdrill.cell import Cell
from pgdrill.drills import conduct
from pgdrill.drills.state import Drill, Step
from pgdrill.errors import Busy, NotRunnable, Unavailable
from pgdrill.evidence import archive
from pgdrill.lab.lab import Lab
from pgdrill.model import Clock, Lease, Stage, Verdict
from tests.lab.production import FEW, Production, clock, environment, tick

STEPS = [step for step in Step if step not in {Step.HAND_OVER, Step.DONE}]
TEMPORARY = "pgdrill-lab-drill-shop"


@pytest.fixture(scope="module")
def production(lab: Lab) -> Iterator[Production]:
    with environment(lab):
        yield Production(lab, checks=FEW)


@pytest.fixture(autouse=True)
def _nothing_is_left(production: Production) -> Iterator[None]:
    yield
    production.lab.door.clear_faults()
    assert production.leased() == []


def _verdicts(evidence: Any) -> dict[str, Verdict]:
    return {f.check: f.verdict for f in evidence.findings if f.verdict is not Verdict.PASSED}


def test_a_drill_never_touches_production(production: Production) -> None:
    calls: list[tuple[str, dict[str, Any]]] = []
    cell = Cell.open(production.plan)
    for module in (cell.rds, cell.store, cell.keys):
        module._client.meta.events.register(
            "provide-client-params.*.*", lambda params, model, **_: calls.append((model.name, params))
        )
    before = production.sessions()
    conduct.run(production.begin(), cell, tick, lambda *_: None)
    reading = {
        name
        for name, _ in calls
        if name.startswith(("Describe", "Get", "List", "GenerateMac", "Sign", "PutObject"))
    }
    changing = {name: params for name, params in calls if name not in reading}
    assert set(changing) == {"RestoreDBInstanceFromDBSnapshot", "ModifyDBInstance", "DeleteDBInstance"}
    assert {params["DBInstanceIdentifier"] for params in changing.values()} == {TEMPORARY}
    assert production.sessions() == before


def test_no_password_is_in_what_travels_or_is_stored(production: Production) -> None:
    seen: list[str] = []
    done = conduct.run(
        production.begin(), production.cell, tick, lambda drill, _: seen.append(drill.model_dump_json())
    )
    password = production.cell.keys.password(TEMPORARY, done.nonce)
    stored = [production.cell.store.get(key) or b"" for key in production.cell.store.keys("")]
    assert len(stored) > 5
    assert not [text for text in seen if password in text]
    assert not [body for body in stored if password.encode() in body]
    assert max(len(text) for text in seen) < 32 * 1024


@pytest.mark.parametrize("step", STEPS)
def test_a_drill_killed_at_a_step_goes_on_where_it_was(production: Production, step: Step) -> None:
    begun = _killed_at(production, step)
    key = f"drills/{begun.database}/{begun.id}/drill.json"
    if step is Step.CHOOSE:
        assert production.cell.store.get(key) is None
        assert production.leased() == []
        return
    resumed = conduct.resume(production.cell, "shop", begun.id)
    assert resumed.next is step
    done = conduct.run(resumed, production.cell, tick, lambda *_: None)
    assert done.verdict is Verdict.PASSED


@pytest.mark.parametrize("step", [Step.OBSERVE, Step.EXAMINE, Step.DESTROY])
def test_what_a_killed_drill_left_is_reaped_once_its_lease_has_expired(
    production: Production, step: Step
) -> None:
    begun = _killed_at(production, step)
    now = datetime.now(UTC)
    assert conduct.reap(production.cell, now, None, tick, lambda _: None) == []
    with pytest.raises(Busy) as refused:
        production.drill()
    assert refused.value.message.startswith(f"database 'shop' is being drilled by {begun.id} until ")
    gone = conduct.reap(production.cell, now + timedelta(hours=7), None, tick, lambda _: None)
    assert [lease.drill for lease in gone] == [begun.id]


def test_a_dead_drill_can_be_reaped_by_name(production: Production) -> None:
    begun = _killed_at(production, Step.EXAMINE)
    with pytest.raises(NotRunnable) as refused:
        conduct.reap(production.cell, datetime.now(UTC), "nobody", tick, lambda _: None)
    assert (refused.value.message, refused.value.hint) == (
        "drill 'nobody' holds no lease",
        f"leases are held by: {begun.id}",
    )
    gone = conduct.reap(production.cell, datetime.now(UTC), begun.id, tick, lambda _: None)
    assert [lease.drill for lease in gone] == [begun.id]


def test_the_next_drill_ends_one_whose_lease_has_expired(production: Production) -> None:
    _killed_at(production, Step.EXAMINE)

    def later(wait: float) -> Clock:
        now = tick(wait)
        return replace(now, now=now.now + timedelta(hours=7))

    done = conduct.run(production.begin(), production.cell, later, lambda *_: None)
    assert done.verdict is Verdict.PASSED


def test_an_interrupt_destroys_what_was_made(production: Production) -> None:
    said = []

    def interrupt(drill: Drill, text: str) -> None:
        said.append(text)
        if drill.next is Step.EXAMINE:
            raise KeyboardInterrupt

    begun = production.begin()
    with pytest.raises(KeyboardInterrupt):
        conduct.run(begun, production.cell, tick, interrupt)
    assert production.leased() == []
    assert [text for text in said if text.startswith("cut off")] == [
        (
            "cut off; RDS deletes nothing that is still being created, so this can take a while;"
            f" cut off again, it is left to: pgdrill drill reap --drill {begun.id}"
        ),
        "cut off, and nothing is left",
    ]
    with pytest.raises(NotRunnable) as refused:
        conduct.resume(production.cell, "shop", begun.id)
    assert (refused.value.message, refused.value.hint) == (
        f"drill '{begun.id}' was cut off before its verdict, and its instance is gone",
        "begin another with: pgdrill drill run",
    )


def test_throttling_is_waited_out(production: Production) -> None:
    """Six refusals of one call are more than botocore tries by itself."""
    failures = [
        {"action": action, "times": times}
        for action, times in (
            ("RestoreDBInstanceFromDBSnapshot", 6),
            ("ModifyDBInstance", 2),
            ("DeleteDBInstance", 2),
            ("DescribeDBInstances", 2),
        )
    ]
    production.lab.door.set_faults({"failures": failures})
    assert production.drill().verdict is Verdict.PASSED


def test_a_quota_leaves_the_backup_unproved_not_failed(production: Production) -> None:
    failure = {"action": "RestoreDBInstance*", "code": "InstanceQuotaExceeded", "message": "40", "times": 99}
    production.lab.door.set_faults({"failures": [failure]})
    evidence = production.drill()
    assert evidence.verdict is Verdict.INCONCLUSIVE
    reachable = next(f for f in evidence.findings if f.check == "reachable")
    assert reachable.reason == (
        f"cannot restore '{production.point.id}' as '{TEMPORARY}': InstanceQuotaExceeded: 40"
    )
    assert "rows" in _verdicts(evidence)


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        ("incompatible-restore", Verdict.FAILED),
        ("failed", Verdict.FAILED),
        ("insufficient-capacity", Verdict.INCONCLUSIVE),
        ("incompatible-network", Verdict.INCONCLUSIVE),
    ],
)
def test_a_restore_that_ends_badly_is_judged_by_what_it_says(
    production: Production, status: str, verdict: Verdict
) -> None:
    production.lab.door.set_faults({"doomed": [{"identifier": TEMPORARY, "status": status}]})
    evidence = production.drill()
    assert evidence.verdict is verdict
    assert f"the instance ended in status '{status}'" in evidence.verdict_reason


def test_a_restore_that_never_ends_is_given_up_and_is_not_a_pass(production: Production) -> None:
    production.lab.door.set_faults({"stuck": [{"identifier": TEMPORARY, "status": "creating"}]})
    hours = iter(range(100))

    def running(wait: float) -> Clock:
        return replace(tick(min(wait, 0.05)), now=datetime.now(UTC) + timedelta(hours=next(hours)))

    seen: list[Drill] = []

    def report(drill: Drill, _: str) -> None:
        seen.append(drill)
        if drill.next is Step.DESTROY:
            production.lab.door.clear_faults()

    done = conduct.run(production.begin(), production.cell, running, report)
    assert done.verdict is Verdict.INCONCLUSIVE
    assert done.problem is not None
    assert done.problem.message.startswith(f"instance '{TEMPORARY}' is still 'creating' after 5:")


def test_an_instance_that_is_not_isolated_is_not_opened(production: Production) -> None:
    """The plan asks for a security group; RDS attached another: nothing is examined, nothing passes."""
    cell = production.cell
    strange = cell.place.place.model_copy(update={"security_groups": ("sg-0123456789abcdef0",)})

    class Deaf:
        """An RDS that ignores the security groups it is given, as a careless default does."""

        def __getattr__(self, name: str) -> Any:
            return getattr(production.cell.rds, name)

        def restore(self, point: Any, held: Any, place: Any, shape: Any, tags: Any) -> None:
            assert place is strange
            production.cell.rds.restore(point, held, cell.place.place, shape, tags)

    deaf = replace(cell, place=cell.place.model_copy(update={"place": strange}), rds=Deaf())  # type: ignore[arg-type]
    done = conduct.run(production.begin(), deaf, tick, lambda *_: None)
    evidence = archive.load(cell.store, done.id, done.database)
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert "the instance is not as it was asked for: security groups is " in evidence.verdict_reason
    assert Stage.FIRST_LOGIN not in evidence.stages


def test_a_store_that_is_down_does_not_leave_an_instance_behind(production: Production) -> None:
    class Down:
        def __getattr__(self, name: str) -> Any:
            return getattr(production.cell.store, name)

        def put(self, key: str, *_: Any, **__: Any) -> None:
            raise Unavailable(f"cannot write {key!r}", hint="")

    cell = replace(production.cell, store=Down())  # type: ignore[arg-type]
    quick = iter([clock()] * 1000)
    done = conduct.run(production.begin(), cell, lambda _: next(quick), lambda *_: None)
    assert done.next is Step.DONE
    assert done.verdict is Verdict.INCONCLUSIVE


def test_an_instance_that_somebody_deletes_meanwhile_is_told(production: Production) -> None:
    done_by_hand = False

    def meddle(drill: Drill, _: str) -> None:
        nonlocal done_by_hand
        if drill.next is Step.EXAMINE and not done_by_hand:
            done_by_hand = True
            assert isinstance(drill.held, Lease)
            while not production.cell.rds.delete(drill.held):
                tick(0.05)

    evidence = production.drill(report=meddle)
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert f"instance '{TEMPORARY}' is gone before its drill ended" in evidence.verdict_reason


def test_a_drill_that_is_done_cannot_be_continued(production: Production) -> None:
    done = conduct.run(production.begin(), production.cell, tick, lambda *_: None)
    with pytest.raises(NotRunnable) as refused:
        conduct.resume(production.cell, "shop", done.id)
    assert (refused.value.message, refused.value.hint) == (
        f"drill '{done.id}' is done",
        f"see it with: pgdrill evidence show {done.id}",
    )
    with pytest.raises(NotRunnable) as unknown:
        conduct.resume(production.cell, "shop", "none")
    assert unknown.value.message == "no drill 'none' of database 'shop'"


_KILLED = """
import os, sys
from pathlib import Path
from pgdrill.drills import conduct
from pgdrill.cell import Cell
from pgdrill.plan import Plan
from pgdrill.drills.state import Drill
from tests.lab.production import tick

def die(drill, text):
    if drill.next == sys.argv[2]:
        os._exit(9)

conduct.run(Drill.model_validate_json(sys.stdin.read()), Cell.open(Plan.load(Path(sys.argv[1]))), tick, die)
"""


def _killed_at(production: Production, step: Step) -> Drill:
    """Run a drill in a process of its own that ends like one that is killed just before a step."""
    begun = production.begin()
    ended = subprocess.run(
        [sys.executable, "-c", _KILLED, str(production.lab.plan_path), step.value],
        input=begun.model_dump_json(),
        text=True,
        check=False,
        timeout=60,
    )
    assert ended.returncode == 9
    return begun
