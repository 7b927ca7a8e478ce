"""Events reach a bus in another region, and state machines, as the role of the target may; else the dead-letter queue."""

import json
from typing import Any

import pytest

from pgdrill.lab.lab import Lab
from pgdrill.lab.record import Settings
from tests.lab.labs import MakeLab
from tests.lab.roles import ACCOUNT, Role, allow

HOME, DR = "ap-southeast-1", "ap-northeast-1"
BUS = f"arn:aws:events:{DR}:{ACCOUNT}:event-bus/between"
PATTERN = json.dumps({"source": ["pgdrill"]})


@pytest.fixture(scope="module")
def lab(make_lab: MakeLab) -> Lab:
    lab = make_lab()
    lab.up(Settings(auth=True))
    return lab


@pytest.fixture(scope="module")
def unbent(make_lab: MakeLab) -> Lab:
    lab = make_lab()
    lab.up(Settings(auth=True, bends=False))
    return lab


def queue(lab: Lab, name: str, region: str) -> tuple[str, str]:
    """Make a queue; return its URL and ARN."""
    url = lab.client("sqs", region).create_queue(QueueName=name)["QueueUrl"]
    return url, f"arn:aws:sqs:{region}:{ACCOUNT}:{name}"


def received(lab: Lab, url: str, region: str) -> list[Any]:
    found = lab.client("sqs", region).receive_message(QueueUrl=url, WaitTimeSeconds=0).get("Messages", [])
    return [json.loads(message["Body"]) for message in found]


def connect(lab: Lab, role: Role, name: str) -> tuple[str, str]:
    """Let a rule here forward to a bus there, and a rule there deliver to a queue; return both queues' URLs."""
    there = lab.client("events", DR)
    if name == "first":
        there.create_event_bus(Name="between")
    arrived, arrived_arn = queue(lab, f"{name}-arrived", DR)
    there.put_rule(Name=name, EventBusName="between", EventPattern=PATTERN)
    there.put_targets(Rule=name, EventBusName="between", Targets=[{"Id": "queue", "Arn": arrived_arn}])
    lost, lost_arn = queue(lab, f"{name}-lost", HOME)
    here = lab.client("events", HOME)
    here.put_rule(Name=name, EventPattern=PATTERN)  # the same name as there, as cells have
    target = {"Id": "bus", "Arn": BUS, "RoleArn": role.arn, "DeadLetterConfig": {"Arn": lost_arn}}
    here.put_targets(Rule=name, Targets=[target])
    return arrived, lost


def send(lab: Lab) -> str:
    entry = {"Source": "pgdrill", "DetailType": "inventory", "Detail": '{"points": 3}'}
    answer = lab.client("events", HOME).put_events(Entries=[entry])
    return str(answer["Entries"][0]["EventId"])


def test_an_event_crosses_to_the_other_region_as_its_role_may(lab: Lab) -> None:
    role = Role(lab, "forwarder", allow("events:PutEvents", BUS), service="events.amazonaws.com")
    arrived, lost = connect(lab, role, "first")
    sent = send(lab)
    (event,) = received(lab, arrived, DR)
    assert (event["id"], event["region"], event["detail"]) == (sent, HOME, {"points": 3})
    assert received(lab, lost, HOME) == []

    role.may(allow("events:PutEvents", BUS.replace("between", "other")))
    sent = send(lab)
    assert received(lab, arrived, DR) == []
    (event,) = received(lab, lost, HOME)
    assert event["id"] == sent
    lab.client("events").disable_rule(Name="first")


def test_a_role_that_does_not_trust_eventbridge_forwards_nothing(lab: Lab) -> None:
    role = Role(lab, "untrusting", allow("events:PutEvents"), service="scheduler.amazonaws.com")
    arrived, lost = connect(lab, role, "second")
    send(lab)
    assert received(lab, arrived, DR) == []
    assert len(received(lab, lost, HOME)) == 1
    lab.client("events").disable_rule(Name="second")


def test_rules_that_forward_to_each_other_end(lab: Lab) -> None:
    role = Role(lab, "looping", allow("events:PutEvents"), service="events.amazonaws.com")
    arrived, _ = connect(lab, role, "third")
    back = {"Id": "back", "Arn": f"arn:aws:events:{HOME}:{ACCOUNT}:event-bus/default", "RoleArn": role.arn}
    lab.client("events", DR).put_targets(Rule="third", EventBusName="between", Targets=[back])
    sent = send(lab)
    assert [event["id"] for event in received(lab, arrived, DR)] == [sent]
    lab.client("events").disable_rule(Name="third")


def test_the_bare_emulator_forwards_nothing(unbent: Lab) -> None:
    role = Role(unbent, "forwarder", allow("events:PutEvents", BUS), service="events.amazonaws.com")
    arrived, lost = connect(unbent, role, "first")
    send(unbent)
    assert received(unbent, arrived, DR) == []
    assert received(unbent, lost, HOME) == []
