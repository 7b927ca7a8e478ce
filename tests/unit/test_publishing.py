import json
from typing import Any

import pytest
from botocore.stub import Stubber

from pgdrill import publishing
from pgdrill.cell import Cell
from pgdrill.errors import NotRunnable, Unavailable
from pgdrill.messages import Event, Kind, Level, Message, Metric, Reply
from pgdrill.plan import Plan
from tests.unit import cells
from tests.unit.clients import scripted
from tests.unit.plans import SMALL

BACKUPS = "arn:aws:sns:ap-southeast-1:000000000000:pgdrill-lab-backups"
DRILLS = "arn:aws:sns:ap-southeast-1:000000000000:pgdrill-lab-drills"
TOLD = {"bus": "pgdrill-lab", "backups_topic": BACKUPS, "drills_topic": DRILLS}

METRIC = Metric(name="CopyAge", value=7, unit="Seconds", dimensions={"Database": "shop"})
EVENT = Event(kind="PointTaken", subject="p", detail={"slot": "2026-11-22T07Z"})
ALARM = Message(level=Level.ALARM, topic="point failed", text="it is gone", hint="look")
WARNING = Message(level=Level.WARNING, kind=Kind.DRILLS, topic="drill inconclusive", text="not proved")
NOTE = Message(level=Level.NOTE, topic="copy waits", text="later")


class Scripts:
    """A cell whose clients answer from scripts, one a service."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **place: str) -> None:
        plan = Plan.model_validate(SMALL | {"primary": SMALL["primary"] | place})
        made = {service: scripted(service) for service in ("sns", "events", "cloudwatch")}
        self.scripts: dict[str, Stubber] = {service: script for service, (_, script) in made.items()}
        self.cell: Cell = cells.cell(plan)[0]
        monkeypatch.setattr(Cell, "client", lambda _, service: made[service][0])

    def done(self) -> None:
        for script in self.scripts.values():
            script.assert_no_pending_responses()


def sent(topic: str, message: Message, text: str) -> dict[str, Any]:
    return {
        "TopicArn": topic,
        "Subject": f"pgdrill lab: {message.topic}",
        "Message": text,
        "MessageAttributes": {
            "level": {"DataType": "String", "StringValue": message.level.value},
            "topic": {"DataType": "String", "StringValue": message.topic},
        },
    }


def test_each_part_goes_where_it_belongs_and_a_note_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    scripts = Scripts(monkeypatch, **TOLD)
    for topic, message, text in (
        (BACKUPS, ALARM, "it is gone\n\nlook"),
        (DRILLS, WARNING, "not proved"),
    ):
        scripts.scripts["sns"].add_response("publish", {"MessageId": "1"}, sent(topic, message, text))
    scripts.scripts["events"].add_response(
        "put_events",
        {"FailedEntryCount": 0, "Entries": [{"EventId": "1"}]},
        {
            "Entries": [
                {
                    "EventBusName": "pgdrill-lab",
                    "Source": "pgdrill.lab",
                    "DetailType": "PointTaken",
                    "Detail": json.dumps({"subject": "p", "slot": "2026-11-22T07Z"}),
                }
            ]
        },
    )
    scripts.scripts["cloudwatch"].add_response(
        "put_metric_data",
        {},
        {
            "Namespace": "pgdrill",
            "MetricData": [
                {
                    "MetricName": "CopyAge",
                    "Value": 7.0,
                    "Unit": "Seconds",
                    "Dimensions": [
                        {"Name": "Suffix", "Value": "lab"},
                        {"Name": "Database", "Value": "shop"},
                    ],
                }
            ],
        },
    )
    reply = Reply(metrics=(METRIC,), events=(EVENT,), messages=(ALARM, WARNING, NOTE))
    assert publishing.publish(scripts.cell, reply) == ()
    scripts.done()


def test_a_plan_that_names_no_bus_and_no_topic_is_told_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    scripts = Scripts(monkeypatch)
    reply = Reply(metrics=(METRIC,), events=(EVENT,), messages=(ALARM, WARNING, NOTE))
    assert publishing.publish(scripts.cell, reply) == ()


def test_events_are_put_ten_and_metrics_a_thousand_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    scripts = Scripts(monkeypatch, **TOLD)
    for _ in range(3):
        scripts.scripts["events"].add_response("put_events", {"FailedEntryCount": 0, "Entries": []})
    for _ in range(2):
        scripts.scripts["cloudwatch"].add_response("put_metric_data", {})
    assert publishing.publish(scripts.cell, Reply(metrics=(METRIC,) * 1001, events=(EVENT,) * 21)) == ()
    scripts.done()


def test_what_is_refused_hinders_nothing_else_and_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    scripts = Scripts(monkeypatch, **TOLD)
    scripts.scripts["sns"].add_client_error("publish", "AuthorizationError")
    scripts.scripts["events"].add_response(
        "put_events",
        {"FailedEntryCount": 1, "Entries": [{"EventId": "1"}, {"ErrorCode": "ThrottlingException"}]},
    )
    scripts.scripts["cloudwatch"].add_client_error("put_metric_data", "InternalFailure", http_status_code=500)
    refused = publishing.publish(
        scripts.cell, Reply(metrics=(METRIC,), events=(EVENT, EVENT), messages=(ALARM,))
    )
    assert [(type(error), error.message, error.hint) for error in refused] == [
        (
            NotRunnable,
            f"cannot tell messages to {BACKUPS!r}: AuthorizationError",
            "check bus and topics in the plan, and that this role may publish to them",
        ),
        (
            Unavailable,
            "cannot tell events to 'pgdrill-lab': ThrottlingException",
            "the same call may pass later",
        ),
        (Unavailable, "cannot tell metrics to 'pgdrill': InternalFailure", "the same call may pass later"),
    ]
    scripts.done()
