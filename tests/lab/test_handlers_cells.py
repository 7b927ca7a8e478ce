"""The rounds of both cells by the handlers alone: exports, their confrontation, tellings, hearings, copies, retention."""

import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib import import_module

import pytest

from pgdrill.aws.export_tasks import ExportTask
from pgdrill.cell import Cell
from pgdrill.exporting import exports
from pgdrill.exporting.confrontation import Confrontation
from pgdrill.handlers.boundary import Handler
from pgdrill.lab.lab import Lab
from pgdrill.messages import Reply
from pgdrill.model import JSON, Verdict
from tests.lab.labs import until
from tests.lab.production import FEW, Production, environment


class Context:
    def get_remaining_time_in_millis(self) -> int:
        return 900_000


@pytest.fixture(scope="module")
def production(lab: Lab) -> Iterator[Production]:
    with environment(lab):
        made = Production(lab, checks=FEW)
        plan = made.plan
        os.environ.update(PGDRILL_PLAN=plan.key(), PGDRILL_BUCKET=plan.primary.evidence_bucket)
        os.environ["PGDRILL_CELL"] = "primary"
        for place in (plan.primary, plan.dr):
            Cell.open(plan, place).store.put(plan.key(), plan.to_json().encode())
        yield made


@contextmanager
def in_dr(production: Production) -> Iterator[None]:
    """Call functions as those of the DR cell."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PGDRILL_CELL", "dr")
        patch.setenv("PGDRILL_BUCKET", production.plan.dr.evidence_bucket)
        yield


def call(name: str, event: Mapping[str, JSON] | None = None) -> dict[str, JSON]:
    """Call a function as Lambda does; a schedule's event unless another is given."""
    handler: Handler = import_module(f"pgdrill.handlers.{name}").handler
    due = {"due_at": datetime.now(UTC).isoformat()}
    return dict(json.loads(json.dumps(handler(json.loads(json.dumps(event or due)), Context()))))


def told(answer: dict[str, JSON]) -> Reply:
    return Reply.model_validate(answer["reply"] or {})


def drilled(production: Production, *, confront: bool = True) -> tuple[dict[str, JSON], Reply]:
    """Conduct a drill of the point as the state machine of the primary does, confronted before it is judged."""
    answer = call(
        "choose",
        {"due_at": datetime.now(UTC).isoformat(), "database": "shop", "wanted": production.point.id},
    )
    reply = Reply()
    while answer["drill"]["next"] != "done":
        time.sleep(min(answer["drill"]["wait"], 1.0))
        if answer["drill"]["next"] == "judge" and confront:
            answer = call("confront", {"drill": answer["drill"]})
        answer = call(answer["drill"]["next"], {"drill": answer["drill"]})
        reply += told(answer)
    return answer["drill"], reply


def test_a_drill_without_an_export_of_its_point_is_not_confronted(production: Production) -> None:
    done, reply = drilled(production)
    assert (done["verdict"], done["confronted"]) == ("passed", "")
    assert [event.kind for event in reply.events] == ["DrillJudged"]


def test_an_export_that_agrees_with_the_copy_is_told_as_an_event_alone(production: Production) -> None:
    name = exports.start(production.cell, production.point, [])
    until(lambda: told(call("export")) == Reply() and not task(production, name).under_way)
    done, reply = drilled(production)
    assert (done["verdict"], done["confronted"]) == ("passed", name)
    assert [event.kind for event in reply.events] == ["DrillJudged", "ExportConfronted"]
    assert [message.topic for message in reply.messages] == ["drill passed"]
    kept = production.cell.store.get(f"exports/shop/{name}/confronted-{done['id']}.json")
    assert kept is not None
    outcome = Confrontation.model_validate_json(kept)
    assert (outcome.verdict, outcome.says) == (
        Verdict.PASSED,
        "the export and the restored copy tell the same",
    )


def test_an_export_that_lost_rows_is_convicted_by_a_copy_that_passes(production: Production) -> None:
    name = exports.of(production.cell, production.database)[0].id
    archive, s3 = production.cell.archive(), production.lab.client("s3")
    key = next(key for key in archive.keys(f"{name}/shop/public.orders/") if key.endswith(".parquet"))
    s3.delete_object(Bucket=archive.bucket, Key=key)
    done, reply = drilled(production)
    assert done["verdict"] == "passed"
    message = next(message for message in reply.messages if message.topic == "export confronted")
    assert message.level.value == "alarm"
    assert message.text.startswith(
        f"export {name!r} of database 'shop' against drill {done['id']}: the export is not what the snapshot was:"
        " the copy passed its own drill. export_"
    )


def test_what_one_cell_tells_the_other_hears_and_copies(production: Production) -> None:
    told_ = told(call("watch"))
    (event,) = told_.events
    assert (event.kind, event.subject) == ("InventoryTold", production.plan.primary.region)
    with in_dr(production):
        until(
            lambda: told(call("hear", {"detail": {"subject": event.subject, **event.detail}})).messages == ()
        )
        until(lambda: missing(told(call("copy"))) == 0.0)
        there = Cell.open(production.plan, production.plan.dr).snapshots.find(production.point.id)
        assert there is not None
        assert call("retain")["reply"]["events"] == []
        assert told(call("watch")).events[0].detail["points"] == 1
    assert call("retain")["reply"]["events"] == []
    assert production.cell.snapshots.find(production.point.id) is not None


def missing(reply: Reply) -> float:
    return next(metric.value for metric in reply.metrics if metric.name == "CopiesMissing")


def task(production: Production, name: str) -> ExportTask:
    return exports.find(production.cell, production.database, name)
