"""What functions reply reaches people, rules, alarms and the other cell, each part whatever becomes of the others."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pgdrill.lab.lab import Lab
from pgdrill.lab.record import Settings
from pgdrill.messages import Event, Kind, Level, Message, Metric, Reply
from tests.lab.functions import ROLE
from tests.lab.labs import MakeLab, until
from tests.lab.machines import AWAY, BUS, HOME, SUFFIX, Letters, Machines

SOURCE = f"pgdrill.{SUFFIX}"


@pytest.fixture(scope="module")
def lab(make_lab: MakeLab) -> Lab:
    lab = make_lab()
    lab.up(Settings(waits=0))
    return lab


@pytest.fixture(scope="module")
def home(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Machines:
    return Machines(lab, tmp_path_factory.mktemp("home"), HOME)


@pytest.fixture(scope="module")
def away(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Machines:
    return Machines(lab, tmp_path_factory.mktemp("away"), AWAY)


def given(reply: Reply) -> dict[str, Any]:
    return {"reply": reply.model_dump(mode="json")}


def subscribed(machines: Machines, topic: str) -> Letters:
    letters = Letters(machines, f"to-{topic}")
    sns = machines.lab.client("sns", machines.region)
    sns.subscribe(TopicArn=machines.topics[topic], Protocol="sqs", Endpoint=letters.arn)
    return letters


def rule(machines: Machines, name: str, pattern: dict[str, Any], *targets: str) -> None:
    events = machines.lab.client("events", machines.region)
    events.put_rule(Name=name, EventBusName=BUS, EventPattern=json.dumps(pattern))
    listed = [{"Id": str(number), "Arn": arn, "RoleArn": ROLE} for number, arn in enumerate(targets)]
    events.put_targets(Rule=name, EventBusName=BUS, Targets=listed)


@pytest.fixture(scope="module")
def letters(home: Machines) -> dict[str, Letters]:
    found = {topic: subscribed(home, topic) for topic in home.topics}
    found["bus"] = Letters(home, "to-bus")
    rule(home, "all", {"source": [SOURCE]}, found["bus"].arn)
    return found


def datum(machines: Machines, name: str, **dimensions: str) -> list[tuple[float, str]]:
    """Return the values of a metric in the last minutes, with their units."""
    now = datetime.now(UTC)
    found = machines.lab.client("cloudwatch", machines.region).get_metric_statistics(
        Namespace="pgdrill",
        MetricName=name,
        Dimensions=[{"Name": key, "Value": value} for key, value in dimensions.items()],
        StartTime=now - timedelta(minutes=10),
        EndTime=now + timedelta(minutes=1),
        Period=600,
        Statistics=["Sum"],
    )
    return [(one["Sum"], one["Unit"]) for one in found["Datapoints"]]


def alarm(
    kind: Kind, topic: str = "point failed", level: Level = Level.ALARM, hint: str = "see why"
) -> Message:
    return Message(level=level, kind=kind, topic=topic, text=f"text of {topic}", hint=hint)


def happened(kind: str, **detail: str | float | None) -> Event:
    return Event(kind=kind, subject="a-thing", detail=detail)


def test_a_message_goes_to_the_topic_of_its_kind_with_its_hint(home: Machines, letters: Any) -> None:
    messages = (alarm(Kind.BACKUPS), alarm(Kind.DRILLS, "drill failed", hint=""))
    assert home.run("publish", given(Reply(messages=messages)))["status"] == "SUCCEEDED"
    (backups,), (drills,) = letters["backups"].take(1), letters["drills"].take(1)
    assert (backups["Subject"], backups["Message"]) == (
        "pgdrill test: point failed",
        "text of point failed\n\nsee why",
    )
    assert (drills["Subject"], drills["Message"]) == ("pgdrill test: drill failed", "text of drill failed")
    attributes = {name: each["Value"] for name, each in drills["MessageAttributes"].items()}
    assert attributes == {"level": "alarm", "topic": "drill failed"}


def test_a_note_wants_nobody(home: Machines, letters: Any) -> None:
    messages = (alarm(Kind.DRILLS, "noted", Level.NOTE), alarm(Kind.DRILLS, "warned", Level.WARNING))
    assert home.run("publish", given(Reply(messages=messages)))["status"] == "SUCCEEDED"
    (only,) = letters["drills"].take(1)
    assert only["Subject"] == "pgdrill test: warned"


@pytest.mark.parametrize("count", [1, 10, 23])
def test_every_event_reaches_the_bus_as_what_it_is(home: Machines, letters: Any, count: int) -> None:
    events = tuple(happened("PointDeleted", number=number, nothing=None) for number in range(count))
    assert home.run("publish", given(Reply(events=events)))["status"] == "SUCCEEDED"
    got = letters["bus"].take(count)
    assert {(one["source"], one["detail-type"]) for one in got} == {(SOURCE, "PointDeleted")}
    assert sorted(one["detail"]["number"] for one in got) == list(range(count))
    assert got[0]["detail"].keys() == {"subject", "number", "nothing"}


def test_a_metric_has_the_suffix_and_its_own_dimensions(home: Machines) -> None:
    metrics = (
        Metric(name="PointSeconds", value=12.5, unit="Seconds", dimensions={"Database": "shop"}),
        Metric(name="PointsTaken", value=1, unit="Count"),
    )
    assert home.run("publish", given(Reply(metrics=metrics)))["status"] == "SUCCEEDED"
    assert datum(home, "PointSeconds", Suffix=SUFFIX, Database="shop") == [(12.5, "Seconds")]
    assert datum(home, "PointsTaken", Suffix=SUFFIX) == [(1, "Count")]


def test_nothing_to_tell_is_nothing_told(home: Machines) -> None:
    assert home.run("publish", given(Reply()))["status"] == "SUCCEEDED"


def test_what_cannot_be_sent_keeps_nothing_else_from_being_told(home: Machines, letters: Any) -> None:
    lost = home.make("no-topic", "publish", topic_backups=f"{home.topics['backups']}-gone")
    reply = Reply(
        messages=(alarm(Kind.BACKUPS), alarm(Kind.DRILLS, "drill failed")),
        events=(happened("PointFailed"),),
        metrics=(Metric(name="PointsFailed", value=1, unit="Count"),),
    )
    ended = home.run(lost, given(reply))
    assert (ended["status"], ended["error"]) == ("FAILED", "Untold")
    (sent,) = letters["drills"].take(1)
    assert sent["Subject"] == "pgdrill test: drill failed"
    letters["bus"].take(1)
    assert datum(home, "PointsFailed", Suffix=SUFFIX) == [(1, "Count")]


def test_events_that_no_bus_takes_keep_no_metric_from_being_put(home: Machines) -> None:
    lost = home.make("no-bus", "publish", bus=home.topics["drills"])
    reply = Reply(events=(happened("PointFailed"),), metrics=(Metric(name="NoBus", value=1, unit="Count"),))
    ended = home.run(lost, given(reply))
    assert (ended["status"], ended["error"]) == ("FAILED", "Untold")
    assert datum(home, "NoBus", Suffix=SUFFIX) == [(1, "Count")]


def test_what_aws_cannot_read_fails_after_people_were_told(home: Machines, letters: Any) -> None:
    """`States.Runtime` runs no Catch, so messages go first."""
    wrong = {"name": "Age", "value": "much", "unit": "Seconds", "dimensions": {}}
    reply = Reply(messages=(alarm(Kind.BACKUPS),)).model_dump(mode="json") | {"metrics": [wrong]}
    ended = home.run("publish", {"reply": reply})
    assert (ended["status"], ended["error"]) == ("FAILED", "States.Runtime")
    letters["backups"].take(1)


def test_what_one_cell_tells_the_other_hears_and_copies(home: Machines, away: Machines) -> None:
    told = {"source": [SOURCE], "detail-type": ["InventoryTold"]}
    rule(home, "to-the-other-cell", told, away.bus)
    rule(away, "heard", told, away.arns["hear"], away.arns["copy"])
    event = happened("InventoryTold", region=HOME, suffix=SUFFIX, made_at="2026-11-23T19:00:00Z", sha256="d")
    home.script(watch={"reply": given(Reply(events=(event, happened("PointDeleted"))))["reply"], "parts": []})
    away.script(hear={"reply": None}, copy={"reply": None})
    home.run("watch", {"due_at": "2026-11-23T19:00:00Z"})
    until(lambda: set(away.called) == {"hear", "copy"}, seconds=20)
    heard = dict(away.calls)
    assert heard["hear"] == {"detail": {"subject": "a-thing", **event.detail}}
    assert datetime.fromisoformat(heard["copy"]["due_at"]) <= datetime.now(UTC)
    assert len(away.calls) == 2
    assert [one["status"] for name in ("hear", "copy") for one in away.executions(name)] == ["SUCCEEDED"] * 2
