import hashlib
import json
import logging
import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from pgdrill.aws.store import Store
from pgdrill.cell import Cell
from pgdrill.errors import (
    Broken,
    Busy,
    DrillError,
    NotHandedOver,
    NotOurs,
    NotRunnable,
    PlanError,
    Unavailable,
)
from pgdrill.handlers import boundary
from pgdrill.handlers.boundary import Bug, function
from pgdrill.handlers.payloads import Answer, Due
from pgdrill.messages import Level, Message, Metric, Reply
from pgdrill.model import Clock
from tests.unit.cells import cell
from tests.unit.memory import Memory
from tests.unit.plans import plan

DUE = {"due_at": "2026-11-22T07:00:00Z"}
PLAN = plan()
AWAY = PLAN.dr.region


class Context:
    def __init__(self, *milliseconds: int) -> None:
        self._left = list(milliseconds)

    def get_remaining_time_in_millis(self) -> int:
        return self._left.pop(0) if len(self._left) > 1 else self._left[0]


MINUTE = Context(60_000)


def answering(answer: Answer | Exception) -> boundary.Handler:
    def work(_: Due, __: Cell, ___: Clock) -> Answer:
        if isinstance(answer, Exception):
            raise answer
        return answer

    return function(Due, work, lambda: cell(PLAN)[0])


# ------------------------------------------------------------------------------------------- what goes out


def test_what_is_to_be_told_goes_out_as_json() -> None:
    metric = Metric(name="PointsTaken", value=1, unit="Count")
    assert answering(Answer(reply=Reply(metrics=(metric,))))(DUE, MINUTE) == {
        "reply": {
            "metrics": [{"name": "PointsTaken", "value": 1.0, "unit": "Count", "dimensions": {}}],
            "events": [],
            "messages": [],
        }
    }


@pytest.mark.parametrize("reply", [None, Reply()])
def test_nothing_to_tell_is_null(reply: Reply | None) -> None:
    assert answering(Answer(reply=reply))(DUE, MINUTE) == {"reply": None}


def test_what_is_too_much_is_cut_and_all_of_it_stands_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    messages = tuple(
        Message(level=Level.WARNING, topic="t", text=f"{number} {'x' * 500}") for number in range(100)
    )
    with caplog.at_level(logging.INFO):
        out = answering(Answer(reply=Reply(messages=messages)))(DUE, MINUTE)
    assert boundary.MOST - 1024 < len(json.dumps(out, separators=(",", ":"))) < boundary.MOST
    assert out["reply"]["messages"][-1]["topic"] == "reply cut"
    (record,) = [record for record in caplog.records if record.message == "told"]
    assert len(record.__dict__["reply"]["messages"]) == 100


# ------------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize("kind", [Unavailable, Busy, NotOurs, PlanError, NotRunnable, Broken, NotHandedOver])
def test_an_error_leaves_with_its_class_and_its_hint(kind: type[DrillError]) -> None:
    with pytest.raises(kind) as raised:
        answering(kind("it is gone", hint="look for it"))(DUE, MINUTE)
    assert type(raised.value).__name__ == kind.__name__
    assert str(raised.value) == "it is gone (look for it)"


def test_a_bug_leaves_by_its_name_alone_and_its_log_says_where_without_its_message(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with pytest.raises(Bug) as raised:
        answering(ValueError("row: a secret"))(DUE, MINUTE)
    assert str(raised.value) == "ValueError was raised; the log of the function says where"
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__
    (record,) = caplog.records
    assert any("answering" in frame or "work" in frame for frame in record.__dict__["frames"])
    assert "secret" not in json.dumps(record.__dict__, default=str)


@pytest.mark.parametrize("event", [{}, DUE | {"colour": "red"}, {"due_at": "2026-11-22 07:00"}])
def test_what_is_no_request_is_a_bug_of_who_sent_it(event: dict[str, Any]) -> None:
    with pytest.raises(Bug) as raised:
        answering(Answer())(event, MINUTE)
    assert str(raised.value) == "ValidationError was raised; the log of the function says where"


# ------------------------------------------------------------------------------------------------- clock


def test_a_step_gets_the_time_of_its_function_less_what_writing_down_takes() -> None:
    clock = boundary.clock(Context(900_000, 900_000, 900_000, 500_000, 50_000))
    assert clock.budget == 840
    assert clock.remaining() == 840
    assert clock.remaining() == 440
    assert clock.remaining() == 0


def test_now_is_what_the_clock_of_the_container_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: 1795330800.5)
    assert boundary.clock(MINUTE).now == datetime(2026, 11, 22, 7, 0, 0, 500_000, UTC)


# --------------------------------------------------------------------------------------------------- cell


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    boundary._cell.cache_clear()
    yield
    boundary._cell.cache_clear()


@pytest.fixture
def deployed(monkeypatch: pytest.MonkeyPatch) -> Memory:
    """A function's environment, with the plan in its bucket."""
    bucket = Memory()
    bucket.put(PLAN.key(), PLAN.to_json().encode())
    monkeypatch.setattr(Store, "get", lambda _, key: bucket.get(key))
    for name, value in {"ACCESS_KEY_ID": "test", "SECRET_ACCESS_KEY": "test", "DEFAULT_REGION": AWAY}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("PGDRILL_PLAN", PLAN.key())
    monkeypatch.setenv("PGDRILL_BUCKET", PLAN.dr.evidence_bucket)
    monkeypatch.setenv("PGDRILL_CELL", "dr")
    monkeypatch.delenv("LAMBDA_TASK_ROOT", raising=False)
    return bucket


def test_a_function_opens_the_cell_that_its_environment_names_once_a_container(deployed: Memory) -> None:
    opened = boundary.open_cell()
    assert (opened.plan, opened.place) == (PLAN, PLAN.dr)
    assert opened.rds.region == AWAY
    assert boundary.open_cell() is opened


def test_production_is_verified_with_the_authorities_in_the_zip(
    deployed: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAMBDA_TASK_ROOT", "/var/task")
    monkeypatch.setenv("PGSSLROOTCERT", "/somebody/elses.pem")
    boundary.open_cell()
    assert os.environ["PGSSLROOTCERT"] == "/var/task/rds-ca.pem"


def refusal() -> tuple[str, str]:
    with pytest.raises(PlanError) as refused:
        boundary.open_cell()
    return refused.value.message, refused.value.hint


def test_a_function_without_its_environment_says_what_lacks(
    deployed: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PGDRILL_PLAN")
    monkeypatch.setenv("PGDRILL_CELL", "")
    assert refusal() == (
        "the function's environment lacks PGDRILL_PLAN, PGDRILL_CELL",
        "deploy the function anew",
    )


def test_a_cell_that_is_none_is_refused(deployed: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGDRILL_CELL", "third")
    assert refusal() == ("PGDRILL_CELL is 'third'", "it is primary or dr; deploy the function anew")


def test_a_plan_that_is_gone_or_altered_is_refused(deployed: Memory) -> None:
    key, bucket = PLAN.key(), PLAN.dr.evidence_bucket
    altered = deployed.objects[key].replace(b'"keep":"30d"', b'"keep":"1d"')
    assert altered != deployed.objects[key]
    deployed.objects[key] = altered
    digest = hashlib.sha256(altered).hexdigest()
    assert refusal() == (
        f"plan {key!r} in bucket {bucket!r} has SHA-256 {digest}: it was altered",
        "deploy anew, which writes it again",
    )
    del deployed.objects[key]
    assert refusal() == (
        f"there is no plan {key!r} in bucket {bucket!r}",
        "deploy anew, which writes it again",
    )
