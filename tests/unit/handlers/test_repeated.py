"""What lasts is not sent again and again: an alarm stands behind it, or it is told once.

Whoever is told the same every five minutes reads nothing any more, and no mute rule holds a message back.
"""

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import pgdrill
from pgdrill.cell import Cell
from pgdrill.errors import NotRunnable, Unavailable
from pgdrill.exporting import exports
from pgdrill.handlers import boundary, copy, export, hear, reap, retain, take
from pgdrill.handlers.boundary import function
from pgdrill.handlers.hear import Heard
from pgdrill.handlers.payloads import Due
from pgdrill.handlers.pointing import TakingRequest
from pgdrill.messages import ALARMED, URGENT, Reply
from pgdrill.model import Clock
from pgdrill.points import exchange, taking
from pgdrill.points.lasting import LASTING
from pgdrill.watching.alarms import BY_NAME
from tests.unit import cells
from tests.unit.drills.test_reaping import instance, lease
from tests.unit.memory import Memory
from tests.unit.plans import SMALL, plan
from tests.unit.points.regions import Region
from tests.unit.snapshots import EPOCH, HOME, copied, snapshot

NOW = EPOCH + timedelta(days=1)
DUE = {"due_at": NOW.isoformat()}
REFUSED = NotRunnable("not with this key", hint="see the key")
# What is told of one thing that happened: a slot, an export, a drill, a copy, or what was deleted.
OCCURRENCES = {
    "point taken", "point failed", "point unsealed", "points deleted", "copy done", "copy waits",
    "export done", "export incomplete", "export confronted",
    "drill {verdict.value}", "drill not judged", "drill skipped",
    "reply cut",
}  # fmt: skip


class Context:
    def get_remaining_time_in_millis(self) -> int:
        return 60_000


@pytest.fixture(autouse=True)
def _now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boundary, "clock", lambda _: Clock(now=NOW, remaining=lambda: 60.0, budget=60.0))


def answer(request: type[Any], work: Any, cell: Cell, event: Any = DUE) -> Reply:
    """Return what a function answers, as a state machine gets it."""
    return Reply.model_validate(function(request, work, lambda: cell)(event, Context())["reply"] or {})


def sent(reply: Reply) -> set[str]:
    return {message.topic for message in reply.messages if message.level in URGENT}


def topics(reply: Reply) -> set[str]:
    return {message.topic for message in reply.messages}


# ---------------------------------------------------------------------------------------- all there are


def test_every_topic_is_of_something_that_happened_or_lasts_and_is_not_repeated() -> None:
    source = "\n".join(path.read_text() for path in Path(pgdrill.__file__).parent.rglob("*.py"))
    found = set(re.findall(r'(?:\btopic=f?|Message\.of\(\s*)"([a-z][^"]+)"', source))
    assert found == OCCURRENCES | ALARMED.keys() | LASTING
    assert len(found) == len(OCCURRENCES) + len(ALARMED) + len(LASTING)


def test_every_alarm_that_stands_behind_a_topic_is_there() -> None:
    assert set(ALARMED.values()) <= BY_NAME.keys()


# ------------------------------------------------------------------------------------------- each function


def test_a_second_round_of_copies_sends_nothing_that_the_first_sent() -> None:
    """All at once: refusals, a copy that failed, one of another instance, no room, and a primary that fell silent."""
    hours = [snapshot(EPOCH + timedelta(hours=number)) for number in range(0, 24, 6)]
    _, doomed, elsewhere, spare = hours
    store, region = Memory(), Region(now=NOW, offered={one.id: one for one in hours}, limit=3)
    region.there = {
        doomed.id: copied(doomed, NOW, status="failed"),
        elsewhere.id: copied(snapshot(EPOCH + timedelta(hours=12), resource="db-0"), NOW),
        spare.id: copied(spare, NOW),
    }
    region.refusing = {"copy": REFUSED, "delete": Unavailable("not now", hint="ask again")}
    region.told(store, NOW - timedelta(hours=2))
    cell = region.cell(store)
    seen = exchange.gather(cell, NOW).model_copy(update={"snapshots": ()})
    assert exchange.keep_seen(cell, exchange.seen(cell), seen)
    replies = [answer(Due, copy.copy, cell) for _ in range(3)]
    assert sent(replies[0]) == {"copy ended", "copy refused", "copy of another instance"} == LASTING
    assert topics(replies[0]) - LASTING == {
        "copies late",
        "copy done",
        "other cell silent",
        "point not deleted",
        "quota exhausted",
    }
    assert [sent(reply) for reply in replies[1:]] == [set(), set()]
    assert topics(replies[2]) == topics(replies[0]) - {"copy done", "copy ended"}


def test_a_second_pass_of_retention_sends_nothing() -> None:
    points = [copied(snapshot(EPOCH + timedelta(hours=number)), NOW) for number in (0, 6, 12)]
    region = Region(now=NOW, offered={}, there={one.id: one for one in points}, limit=2)
    cell = region.cell(Memory())
    done = answer(Due, retain.retain, cell)
    assert (topics(done), sent(done)) == (
        {"retention shortened", "quota exhausted", "points deleted"},
        set(),
    )
    region.there, region.refusing = {one.id: one for one in points}, {"delete": REFUSED}
    for _ in range(2):
        refused = answer(Due, retain.retain, cell)
        assert (topics(refused), sent(refused)) == ({"quota exhausted", "point not deleted"}, set())


def test_an_export_that_cannot_be_tended_sends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    archiving = plan(primary=SMALL["primary"] | {"archive_bucket": "archive", "export_role": "arn:role"})
    cell, rds = cells.cell(archiving)

    def tended(*_: object) -> Any:
        raise REFUSED

    monkeypatch.setattr(exports, "tend", tended)
    rds.add_response("describe_export_tasks", {"ExportTasks": []})
    reply = answer(Due, export.export, cell)
    assert (topics(reply), sent(reply)) == ({"exports not tended"}, set())


def test_an_inventory_that_does_not_come_with_s3_sends_nothing() -> None:
    cell, _ = cells.cell(plan(), Memory(), dr=True)
    event = {"detail": {"region": HOME, "suffix": "lab", "made_at": NOW.isoformat(), "sha256": "0" * 64}}
    reply = answer(Heard, hear.hear, cell, event)
    assert (topics(reply), sent(reply)) == ({"inventory not replicated"}, set())


def test_an_instance_that_is_reaped_or_not_sends_nothing_besides_its_alarm() -> None:
    cell, rds = cells.cell(plan())
    dead, busy = lease("dead", hours=-1000), lease("busy", hours=-1000)
    rds.add_response("describe_db_instances", {"DBInstances": [instance(dead), instance(busy)]})
    rds.add_response("describe_db_instances", {"DBInstances": [instance(dead)]})
    rds.add_response("delete_db_instance", {})
    rds.add_response("describe_db_instances", {"DBInstances": [instance(busy)]})
    rds.add_client_error("delete_db_instance", "InvalidDBInstanceState", "it is being created")
    reply = answer(Due, reap.reap, cell)
    assert (topics(reply), sent(reply)) == ({"instance reaped", "instance not reaped"}, set())


def test_a_point_that_cannot_be_told_to_the_other_cell_sends_nothing_of_that() -> None:
    cell, rds = cells.cell(plan())
    rds.add_client_error("describe_db_snapshots", "InternalFailure", http_status_code=500)
    done = taking.begin(cell.plan, cell.plan.database(None), NOW).to(taking.Step.DONE)
    reply = answer(TakingRequest, take.take, cell, {"taking": done.model_dump(mode="json")})
    assert (topics(reply), sent(reply)) == ({"point taken", "inventory not told"}, set())


def test_the_documentation_says_which_alarm_stands_behind_what() -> None:
    document = (Path(__file__).parents[3] / "docs/functions.md").read_text()
    rows = re.findall(r"^\| ((?:`[^`]+`(?:, )?)+) \| `([a-z-]+)` \|$", document, re.MULTILINE)
    assert {topic: alarm for row, alarm in rows for topic in re.findall("`([^`]+)`", row)} == ALARMED
    (once,) = re.findall(r"^(.+) are sent once for as long as they last", document, re.MULTILINE)
    assert set(re.findall("`([^`]+)`", once)) == LASTING
