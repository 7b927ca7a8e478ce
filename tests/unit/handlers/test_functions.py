"""What single functions do besides calling their step: begin, refuse, skip, and keep what they return small."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from pgdrill import ledger
from pgdrill.aws.snapshots import Quota, Snapshots
from pgdrill.cell import Cell
from pgdrill.checks.registry import ALL
from pgdrill.drills import drill as steps
from pgdrill.drills import examination
from pgdrill.drills.state import Drill, FactRef, Step
from pgdrill.errors import Busy, NotRunnable, PlanError, Unavailable
from pgdrill.evidence.record import Isolation, Trigger
from pgdrill.exporting import exports
from pgdrill.handlers import beat, boundary, choose, export, pointing, retain, seal, take
from pgdrill.handlers.boundary import function
from pgdrill.handlers.choose import ChooseRequest
from pgdrill.handlers.payloads import Due
from pgdrill.handlers.pointing import TakingRequest
from pgdrill.handlers.steps import DrillAnswer, DrillRequest, step
from pgdrill.model import Clock, Stage
from pgdrill.plan import DatabasePlan, Plan
from pgdrill.points import exchange, schedule, taking, telling
from pgdrill.points.inventory import Inventory
from tests.unit import cells
from tests.unit.memory import Memory
from tests.unit.plans import SMALL, plan
from tests.unit.snapshots import snapshot
from tests.unit.test_messages import size

NOW = datetime(2026, 11, 22, 7, 5, tzinfo=UTC)
SLOT = datetime(2026, 11, 22, 7, tzinfo=UTC)
PLAN = plan()
FREEZE = {
    "begins": "2026-11-22T00:00:00Z",
    "ends": "2026-11-23T00:00:00Z",
    "reason": "the year is being closed",
}
MOST = 32 * 1024
MANY = 200


def clock(now: datetime = NOW, seconds: float = 60.0) -> Clock:
    return Clock(now=now, remaining=lambda: seconds, budget=seconds)


def of_many() -> Plan:
    """Return a plan of 200 databases with names as long as they may be."""
    databases = [
        {"name": f"d{number:024d}", "instance": f"production-{number}", "secret": f"pgdrill/{number}"}
        for number in range(MANY)
    ]
    return Plan.model_validate(SMALL | {"database": databases})


# ------------------------------------------------------------------------------------------------- choose


def chosen(
    monkeypatch: pytest.MonkeyPatch, which: Plan, request: dict[str, Any], now: datetime = NOW
) -> DrillAnswer:
    """Begin a drill, with a step `choose` that chooses nothing: what it wants is what is looked at."""
    monkeypatch.setattr(steps, "choose", lambda drill, *_: drill.to(Step.RESTORE))
    cell, _ = cells.cell(which)
    return choose.choose(ChooseRequest.model_validate(request), cell, clock(now))


def test_what_is_due_says_what_is_drilled_and_the_clock_says_when(monkeypatch: pytest.MonkeyPatch) -> None:
    """A drill that is begun late is still the one that was due."""
    due = {"due_at": "2026-11-22T07:00:00Z", "database": "shop"}
    late = NOW + timedelta(days=7)
    wanted = schedule.wanted(PLAN, PLAN.primary, SLOT)
    assert wanted != schedule.wanted(PLAN, PLAN.primary, late)
    begun = chosen(monkeypatch, PLAN, due, late).drill
    assert begun is not None
    assert (begun.wanted, begun.trigger, begun.started_at) == (wanted, Trigger.SCHEDULE, late)
    assert len(begun.nonce) == 32
    again = chosen(monkeypatch, PLAN, due, late).drill
    assert again is not None
    assert again.nonce != begun.nonce


def test_what_somebody_wants_is_drilled_also_in_a_freeze(monkeypatch: pytest.MonkeyPatch) -> None:
    frozen = plan(drill={"freeze": [FREEZE]})
    due = {"due_at": "2026-11-22T07:00:00Z", "database": "shop"}
    begun = chosen(monkeypatch, frozen, due | {"wanted": "oldest"}).drill
    assert begun is not None
    assert (begun.wanted, begun.trigger) == ("oldest", Trigger.COMMAND)


def test_none_is_begun_that_is_due_in_a_freeze_and_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    frozen = plan(drill={"freeze": [FREEZE]})
    # Begun late, after the freeze: it was due within.
    due = {"due_at": "2026-11-22T07:00:00Z", "database": "shop"}
    answer = chosen(monkeypatch, frozen, due, NOW + timedelta(days=2))
    assert answer.drill is None
    assert answer.reply is not None
    assert [message.topic for message in answer.reply.messages] == ["drill skipped"]
    after = {"due_at": "2026-11-23T07:00:00Z", "database": "shop"}
    assert chosen(monkeypatch, frozen, after).drill is not None


def test_a_database_that_the_plan_does_not_have_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PlanError) as refused:
        chosen(monkeypatch, PLAN, {"due_at": "2026-11-22T07:00:00Z", "database": "shoe"})
    assert refused.value.message == "database 'shoe' is not in the plan"


@pytest.mark.parametrize("request_", [{}, {"due_at": "2026-11-22T07:00:00Z"}, {"database": "shop"}])
@pytest.mark.parametrize("kind", [ChooseRequest, TakingRequest])
def test_what_is_neither_begun_nor_to_begin_is_no_request(kind: type[Any], request_: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"give (drill|taking), or due_at and database"):
        kind.model_validate(request_)


# -------------------------------------------------------------------------------------------------- steps


def test_a_drill_that_is_somewhere_else_is_refused() -> None:
    cell, _ = cells.cell(PLAN)
    work = step(Step.RESTORE, steps.restore)
    with pytest.raises(ValueError, match="drill d-shop is to choose, not to restore"):
        work(DrillRequest(drill=small()), cell, clock())


def test_how_far_a_drill_is_is_kept_and_what_cannot_be_kept_does_not_end_it() -> None:
    cell, _ = cells.cell(PLAN, store := Memory())
    moved = step(Step.CHOOSE, lambda drill, *_: drill.to(Step.RESTORE))
    assert moved(DrillRequest(drill=small()), cell, clock()).drill == small().to(Step.RESTORE)
    assert (
        store.objects["drills/shop/d-shop/drill.json"] == small().to(Step.RESTORE).model_dump_json().encode()
    )

    class Down(Memory):
        def put(self, key: str, body: bytes, *, content_type: str = "") -> None:  # noqa: ARG002 - of the base
            raise Unavailable("no bucket", hint="look")

    cell, _ = cells.cell(PLAN, Down())
    assert moved(DrillRequest(drill=small()), cell, clock()).drill == small().to(Step.RESTORE)


# -------------------------------------------------------------------------------------------------- points


def test_a_schedule_that_fires_late_takes_the_slot_that_was_due() -> None:
    begun = take._due(
        TakingRequest(due_at=SLOT, database="shop"), cells.cell(PLAN)[0], clock(SLOT + timedelta(hours=5))
    )
    assert (begun.slot, begun.next) == ("2026-11-22T07Z", taking.Step.CHECK)


def test_a_step_of_the_other_function_is_refused_by_the_one_that_seals() -> None:
    cell, _ = cells.cell(PLAN)
    begun = taking.begin(PLAN, PLAN.database(None), SLOT, SLOT)
    with pytest.raises(ValueError, match="is to check, which is no seal"):
        seal.seal(TakingRequest(taking=begun), cell, clock())


def test_a_point_that_cannot_be_told_to_the_other_cell_is_told_all_the_same() -> None:
    cell, rds = cells.cell(PLAN)
    rds.add_client_error("describe_db_snapshots", "InternalFailure", http_status_code=500)
    done = taking.begin(PLAN, PLAN.database(None), SLOT, SLOT).to(taking.Step.DONE)
    answer = take.take(TakingRequest(taking=done), cell, clock())
    assert answer.reply is not None
    assert [event.kind for event in answer.reply.events] == ["PointTaken"]
    assert [message.topic for message in answer.reply.messages] == ["point taken", "inventory not told"]


# ------------------------------------------------------------------------------------------- many databases


def beaten(monkeypatch: pytest.MonkeyPatch, which: Plan, down: Sequence[str]) -> Any:
    """Beat without production: `down` do not answer."""

    def production(_: Cell, database: DatabasePlan, __: Clock) -> str:
        if database.name in down:
            raise Unavailable("does not answer", hint="look")
        return database.name

    beats: list[str] = []
    monkeypatch.setattr(Cell, "production", production)
    monkeypatch.setattr(ledger, "beat", lambda server, *_: beats.append(server))
    answer = beat.beat(Due(due_at=NOW), cells.cell(which)[0], clock())
    return sorted(beats), answer.reply


def test_each_ledger_is_beaten_whatever_becomes_of_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    database = dict(SMALL["database"][0])
    three = Plan.model_validate(
        SMALL
        | {
            "database": [
                database,
                database | {"name": "bank", "instance": "bank-production"},
                database | {"name": "dull", "instance": "dull-production", "ledger": "off"},
            ]
        }
    )
    beats, reply = beaten(monkeypatch, three, ["bank"])
    assert beats == ["shop"]
    assert [(metric.name, metric.value, metric.dimensions) for metric in reply.metrics] == [
        ("BeatsFailed", 1, {"Database": "bank"})
    ]
    assert (reply.events, reply.messages) == ((), ())


def test_a_beat_of_many_databases_that_are_all_down_tells_each(monkeypatch: pytest.MonkeyPatch) -> None:
    many = of_many()
    _, reply = beaten(monkeypatch, many, [database.name for database in many.databases])
    assert len(reply.metrics) == MANY
    assert reply.within(boundary.MOST) == reply


def test_exports_are_tended_in_turn_as_long_as_there_is_time(monkeypatch: pytest.MonkeyPatch) -> None:
    many = of_many()
    tended: list[str] = []

    def tend(_: Cell, database: DatabasePlan, *__: object) -> exports.Tended:
        tended.append(database.name)
        if len(tended) == 1:
            raise NotRunnable("no role", hint="look")
        return exports.Tended()

    monkeypatch.setattr(exports, "tend", tend)
    cell, rds = cells.cell(Plan.model_validate(many.model_dump(by_alias=True) | {"primary": ARCHIVING}))
    rds.add_response("describe_export_tasks", {"ExportTasks": []})
    left = iter([60.0] * 3)
    due_at = datetime.fromtimestamp(exports_turn(7), UTC)
    answer = export.export(
        Due(due_at=due_at), cell, Clock(now=NOW, remaining=lambda: next(left, 0.0), budget=60.0)
    )
    assert tended == [database.name for database in many.databases[7:10]]
    assert answer.reply is not None
    assert [(message.topic, message.text) for message in answer.reply.messages] == [
        ("exports not tended", "no role")
    ]


ARCHIVING = SMALL["primary"] | {"archive_bucket": "archive", "export_role": "arn:role"}


def exports_turn(turn: int) -> float:
    return (turn + 10 * MANY) * export.TURN.total_seconds()


def test_what_retention_has_no_time_for_is_left_to_the_next_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    cell, _ = cells.cell(PLAN)
    old = tuple(snapshot(SLOT - timedelta(days=days)) for days in (33, 32, 31, 0))
    inventory = Inventory(
        region=PLAN.primary.region,
        suffix="lab",
        made_at=NOW,
        quota=Quota(used=4, limit=100),
        snapshots=old,
    )
    monkeypatch.setattr(exchange, "gather", lambda *_: inventory)
    deleted: list[str] = []
    monkeypatch.setattr(Snapshots, "delete", lambda _, one: deleted.append(one.id))
    left = iter([60.0, 60.0])
    answer = retain.retain(
        Due(due_at=NOW), cell, Clock(now=NOW, remaining=lambda: next(left, 0.0), budget=60.0)
    )
    assert deleted == [one.id for one in old[:2]]
    assert answer.reply is not None
    assert [event.subject for event in answer.reply.events] == deleted


# -------------------------------------------------------------------------------------------------- sizes


def small() -> Drill:
    return Drill(
        id="d-shop",
        database="shop",
        source="shop-production",
        wanted="latest",
        trigger=Trigger.SCHEDULE,
        nonce="n" * 32,
        plan_sha256="0" * 64,
        started_at=NOW,
    )


def test_a_drill_is_small_however_much_it_has_measured() -> None:
    """It refers to facts, which grow with the tables, and holds none."""
    measures = {examination.measure_name(check) for check in ALL}
    facts = tuple(
        FactRef(
            measure=measure,
            key=f"drills/{'d' * 25}/20261122t060500000z-{'d' * 25}/facts/{measure}.json.gz",
            sha256="0" * 64,
            complete=True,
            seconds=12345.678,
            error="x" * 100,
        )
        for measure in measures
    )
    isolation = tuple(
        Isolation(property="p" * 30, expected="e" * 300, observed="o" * 300, ok=True) for _ in range(11)
    )
    full = small().model_copy(
        update={
            "facts": facts,
            "isolation": isolation,
            "point": snapshot(SLOT).point(),
            "stages": dict.fromkeys(Stage, NOW),
            "reason": "r" * 2000,
        }
    )
    assert len(full.model_dump_json()) < MOST // 2


def test_an_answer_of_many_messages_is_small() -> None:
    reply = telling.failed(
        taking.begin(PLAN, PLAN.database(None), SLOT, SLOT), Busy("x" * 1000, hint="y" * 1000)
    )
    answer = pointing.TakingAnswer(reply=sum([reply] * 99, reply))
    handler = function(Due, lambda *_: answer, lambda: cells.cell(PLAN)[0])
    out = handler({"due_at": NOW.isoformat()}, cast("boundary.Context", _Minute()))
    assert len(json.dumps(out)) < MOST
    assert answer.reply is not None
    assert size(answer.reply) > 2 * MOST


class _Minute:
    def get_remaining_time_in_millis(self) -> int:
        return 60_000
