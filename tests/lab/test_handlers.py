"""Points and drills by the handlers alone, called in a loop as state machines do, with what they hand on as JSON."""

import json
import os
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import Any

import pytest

from pgdrill import seal, slots
from pgdrill.drills.state import Drill
from pgdrill.errors import Busy, DrillError
from pgdrill.evidence import archive
from pgdrill.handlers import boundary
from pgdrill.handlers.boundary import Bug
from pgdrill.lab.lab import Lab
from pgdrill.messages import Reply
from pgdrill.model import JSON, Clock, Verdict
from pgdrill.points.inventory import Inventory
from pgdrill.points.taking import SEALS, Taking
from tests.lab.labs import until
from tests.lab.production import FEW, Production, environment

# Under 32 KiB, whatever the number of tables.
MOST = 32 * 1024
STEPS = {"restore", "observe", "unlock", "examine", "judge", "destroy"}


class Context:
    def get_remaining_time_in_millis(self) -> int:
        return 900_000


@pytest.fixture(scope="module")
def production(lab: Lab) -> Iterator[Production]:
    """A production, and the environment that its functions have in the primary cell."""
    with environment(lab):
        made = Production(lab, checks=FEW)
        instance = made.cell.rds.instance(made.database.instance)
        assert instance is not None
        known = made.database.model_copy(update={"host": instance.host, "port": instance.port})
        deploy(made, made.plan.model_copy(update={"databases": (known,)}))
        yield made


def deploy(production: Production, plan: Any) -> None:
    production.cell.store.put(plan.key(), plan.to_json().encode())
    os.environ.update(
        PGDRILL_PLAN=plan.key(), PGDRILL_BUCKET=plan.primary.evidence_bucket, PGDRILL_CELL="primary"
    )


def call(name: str, event: Mapping[str, JSON]) -> dict[str, JSON]:
    """Call a function as Lambda does, with JSON in and JSON out."""
    handler: boundary.Handler = import_module(f"pgdrill.handlers.{name}").handler
    answer = json.dumps(handler(json.loads(json.dumps(event)), Context()))
    assert len(answer) < MOST
    return dict(json.loads(answer))


def caught(name: str, event: Mapping[str, JSON]) -> dict[str, str]:
    """Call a function that raises, and return what a state machine's Catch has of it."""
    with pytest.raises((DrillError, Bug)) as raised:
        call(name, event)
    kind, text = type(raised.value).__name__, str(raised.value)
    return {"Error": kind, "Cause": json.dumps({"errorType": kind, "errorMessage": text, "stackTrace": []})}


def take(production: Production, due_at: datetime) -> tuple[Taking, Reply]:
    answer = call("take", {"due_at": due_at.isoformat(), "database": "shop"})
    while answer["reply"] is None:
        time.sleep(answer["taking"]["wait"])
        name = "seal" if answer["taking"]["next"] in SEALS else "take"
        answer = call(name, {"taking": answer["taking"]})
    return Taking.model_validate(answer["taking"]), Reply.model_validate(answer["reply"])


def begin(**wanted: str) -> dict[str, JSON]:
    return call("choose", {"due_at": now().isoformat(), "database": "shop", **wanted})


def conduct(answer: dict[str, JSON]) -> tuple[Drill, list[Reply]]:
    """Go on with a drill to its end; what a function raises is the judge's to note."""
    replies = []
    while answer["drill"]["next"] != "done":
        time.sleep(min(answer["drill"]["wait"], 1.0))
        assert answer["drill"]["next"] in STEPS
        answer = call(answer["drill"]["next"], {"drill": answer["drill"]})
        replies += [Reply.model_validate(answer["reply"])] if answer["reply"] else []
    return Drill.model_validate(answer["drill"]), replies


def now() -> datetime:
    return datetime.now(UTC)


# ------------------------------------------------------------------------------------------------- points


def test_a_slot_is_taken_sealed_and_told_and_a_second_time_found(production: Production) -> None:
    due_at = slots.slot_of(production.plan.points, now())
    done, reply = take(production, due_at)
    assert done.point == slots.point_id("pgdrill-lab-shop-", due_at)
    assert (done.sealed, done.unsealed) == (True, "")
    assert done.taken is not None
    assert all(seal.around(production.cell.store, "shop", done.taken))
    assert [event.kind for event in reply.events] == ["PointTaken", "InventoryTold"]
    told = production.cell.store.get(f"inventory/{production.plan.primary.region}.json")
    assert told is not None
    assert done.point in Inventory.model_validate_json(told).by_id()
    again, _ = take(production, due_at)
    assert again.taken == done.taken


def test_a_slot_that_is_over_is_told_as_not_taken(production: Production) -> None:
    over = slots.slot_of(production.plan.points, now()) - timedelta(days=1)
    event = {"due_at": over.isoformat(), "database": "shop"}
    error = caught("take", event)
    assert error["Error"] == "NotRunnable"
    answer = call("take", event | {"error": error})
    (message,) = Reply.model_validate(answer["reply"]).messages
    assert message.text.startswith(f"slot {slots.name(over)} is not now: it lasts until ")
    assert message.hint == "leave --slot out to take the slot of now, or take one out of turn with --now"


def test_a_seal_between_points_is_taken_once(production: Production) -> None:
    event = {"due_at": now().isoformat(), "database": "shop"}
    before = seal.stored(production.cell.store, "shop")
    assert call("seal", event) == {"reply": None, "taking": None}
    assert call("seal", event) == {"reply": None, "taking": None}
    (made,) = seal.stored(production.cell.store, "shop")[len(before) :]
    assert made.point.startswith("between-")
    assert seal.broken(production.cell.store, "shop") == []


def test_every_ledger_is_beaten_and_a_database_that_does_not_answer_is_told(production: Production) -> None:
    assert call("beat", {"due_at": now().isoformat()}) == {"reply": None}
    dead = production.database.model_copy(
        update={"name": "dead", "instance": "dead", "host": "127.0.0.1", "port": 1}
    )
    with environment(production.lab):
        deploy(production, production.plan.model_copy(update={"databases": (production.database, dead)}))
        (metric,) = Reply.model_validate(call("beat", {"due_at": now().isoformat()})["reply"]).metrics
    assert (metric.name, metric.dimensions) == ("BeatsFailed", {"Database": "dead"})


# ------------------------------------------------------------------------------------------------- drills


def test_a_healthy_point_passes_and_nothing_is_left(production: Production) -> None:
    done, replies = conduct(begin(wanted=production.point.id))
    assert done.verdict is Verdict.PASSED, done.reason
    evidence = archive.load(production.cell.store, done.id, "shop")
    teardown = archive.load_teardown(production.cell.store, evidence)
    assert teardown is not None
    assert (evidence.plan_sha256, teardown.gone_at is not None) == (
        os.environ["PGDRILL_PLAN"].removeprefix("plan/").removesuffix(".json"),
        True,
    )
    assert [message.topic for reply in replies for message in reply.messages] == ["drill passed"]
    assert production.leased() == []


def test_a_drill_whose_examination_is_a_bug_is_judged_inconclusive_and_destroyed(
    production: Production, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = begin(wanted=production.point.id)
    while answer["drill"]["next"] != "examine":
        time.sleep(min(answer["drill"]["wait"], 1.0))
        answer = call(answer["drill"]["next"], {"drill": answer["drill"]})

    def broken(*_: object) -> None:
        raise RuntimeError("a row of somebody's")

    with monkeypatch.context() as patch:
        patch.setattr("pgdrill.drills.drill.opened", broken)
        error = caught("examine", {"drill": answer["drill"]})
    done, _ = conduct(call("judge", {"drill": answer["drill"], "error": error}))
    assert done.verdict is Verdict.INCONCLUSIVE
    assert done.reason.startswith("reachable: Bug ended the step")
    evidence = archive.load(production.cell.store, done.id, "shop")
    (reachable,) = (finding for finding in evidence.findings if finding.check == "reachable")
    assert (reachable.reason, reachable.hint) == (
        "Bug ended the step",
        "see the log of the function that ran it",
    )
    assert "somebody" not in archive.render(production.cell.store, evidence)
    assert production.leased() == []


def test_a_drill_that_cannot_be_judged_is_destroyed_and_told(production: Production) -> None:
    answer = restored(production)
    error = {"Error": "Lambda.Unknown", "Cause": "The function ran out of memory"}
    done, replies = conduct(call("destroy", {"drill": answer["drill"], "error": error}))
    assert (done.verdict, done.reason) == (Verdict.INCONCLUSIVE, "not judged: Lambda.Unknown ended the step")
    assert [message.topic for reply in replies for message in reply.messages] == ["drill not judged"]
    assert production.leased() == []


def test_a_second_drill_of_the_database_is_refused_and_touches_nothing(production: Production) -> None:
    first = restored(production)
    try:
        error = caught("choose", {"due_at": now().isoformat(), "database": "shop"})
        assert error["Error"] == Busy.__name__
        assert len(production.leased()) == 1
    finally:
        done, _ = conduct(call("destroy", {"drill": first["drill"] | {"next": "destroy"}}))
    assert done.next == "done"


def test_an_expired_lease_is_reaped_in_passes_that_wait_for_nothing(production: Production) -> None:
    made = restored(production)["drill"]
    assert call("reap", {"due_at": now().isoformat()}) == {"reply": None}
    until(lambda: observed(made) == "unlock")
    late = now() + production.plan.drill.lease
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(boundary, "clock", lambda _: Clock(now=late, remaining=lambda: 60.0, budget=60))
        (message,) = Reply.model_validate(call("reap", {"due_at": late.isoformat()})["reply"]).messages
        until(lambda: call("reap", {"due_at": late.isoformat()}) == {"reply": None})
    assert message.topic == "instance reaped"
    until(lambda: production.leased() == [])


def restored(production: Production) -> dict[str, JSON]:
    """Return what came of asking RDS for an instance, once it was noted since when."""
    noted = call("restore", {"drill": begin(wanted=production.point.id)["drill"]})["drill"]
    assert noted["next"] == "restore"
    return call("restore", {"drill": noted})


def observed(drill: JSON) -> str:
    return str(call("observe", {"drill": drill})["drill"]["next"])
