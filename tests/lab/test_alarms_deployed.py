"""The alarms of a cell, made in the lab of what the Pulumi program registers: quiet while the watch tells that all is well."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pulumi
import pytest

from alarms import Alarms
from naming import Names
from pgdrill.lab.deploy import entries
from pgdrill.lab.deploy.aws import clients
from pgdrill.lab.deploy.deployment import Deployment
from pgdrill.lab.deploy.materializer import Materializer, Registration
from pgdrill.lab.lab import Lab
from pgdrill.messages import Kind
from pgdrill.watching.ages import measure
from pgdrill.watching.alarms import BY_NAME
from settings import load
from tests.infra.program import SETTINGS, run
from tests.lab.roles import ACCOUNT
from tests.unit.plans import plan
from tests.unit.watching.world import MINUTE, look

HOME = "ap-southeast-1"
PLAN = plan(stack={"suffix": "test"})
MACHINE = f"arn:aws:states:{HOME}:{ACCOUNT}:stateMachine:pgdrill-test-take"


@pytest.fixture(scope="module")
def topic(lab: Lab) -> str:
    return str(lab.client("sns").create_topic(Name="pgdrill-test-backups")["TopicArn"])


@pytest.fixture(scope="module")
def deployed(lab: Lab, topic: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A lab with the alarms of the primary cell; all are deleted at the end."""
    directory = tmp_path_factory.mktemp("alarms")
    made = materializer(lab, directory)
    for registration in registered(topic):
        made.register(registration)
    Deployment(resources=made.deployed()).write(directory)
    yield lab
    materializer(lab, directory).destroy()
    assert described(lab) == {}


def registered(topic: str) -> list[Registration]:
    """Return what the component registers under mocks."""

    def build() -> pulumi.Output[str]:
        names, topics = Names("test", HOME, ACCOUNT), dict.fromkeys(Kind, topic)
        return Alarms("cell", load(SETTINGS), names, machines={"take": MACHINE}, topics=topics).recoverable

    made = run(build).managed()
    return [Registration(f"urn:{one.typ}::{one.name}", one.typ, one.name, one.inputs) for one in made]


def materializer(lab: Lab, directory: Path) -> Materializer:
    made = clients(lab.environment["AWS_ENDPOINT_URL"])
    return Materializer(entries.BY_TYPE, made, HOME, Deployment.read(directory))


def described(lab: Lab) -> dict[str, Any]:
    pages = lab.client("cloudwatch").get_paginator("describe_alarms")
    found = list(pages.paginate(AlarmTypes=["MetricAlarm", "CompositeAlarm"]))
    alarms = [alarm for page in found for alarm in page["MetricAlarms"] + page["CompositeAlarms"]]
    return {alarm["AlarmName"]: alarm for alarm in alarms}


def publish(lab: Lab, at: datetime) -> None:
    """Publish what a look at that moment measures, as the state machine does."""
    data = [
        {
            "MetricName": metric.name,
            "Value": metric.value,
            "Unit": metric.unit,
            "Timestamp": at,
            "Dimensions": [
                {"Name": name, "Value": value}
                for name, value in ({"Suffix": "test"} | metric.dimensions).items()
            ],
        }
        for metric in measure(look(HOME, at), PLAN)
    ]
    lab.client("cloudwatch").put_metric_data(Namespace="pgdrill", MetricData=data)


def test_a_cell_is_quiet_while_all_is_well_and_silence_is_told_first(deployed: Lab, topic: str) -> None:
    begins = datetime.now(UTC).replace(second=0, microsecond=0) + MINUTE
    looks = [begins + minutes * MINUTE for minutes in range(0, 31, 5)]
    for at in looks:
        publish(deployed, at)
    deployed.door.evaluate_alarms(looks[-1] + MINUTE, since=begins - MINUTE)
    alarms = described(deployed)
    standing = {name for name, alarm in alarms.items() if alarm["StateValue"] == "ALARM"}
    assert standing == set()
    assert alarms["pgdrill-test-snapshot-late-shop"]["StateValue"] == "OK"
    assert alarms["pgdrill-test-unrecoverable"]["StateValue"] == "OK"

    missing = looks[-1] + timedelta(minutes=5)
    deployed.door.evaluate_alarms(missing + 10 * MINUTE, since=looks[-1] + MINUTE)
    told = [letter for letter in deployed.door.inbox() if letter["subject"].startswith("ALARM")]
    (letter,) = [one for one in told if letter_of(one)["AlarmName"] == "pgdrill-test-watch-silent"]
    assert [letter_of(one)["AlarmName"] for one in told] == ["pgdrill-test-watch-silent"]
    assert letter["topic"] == topic
    after = datetime.fromisoformat(letter["when"]) - missing
    assert timedelta(0) < after <= BY_NAME["watch-silent"].told_after(PLAN)
    assert letter_of(letter)["AlarmDescription"].startswith(f"{HOME}: the watch does not report.")
    assert described(deployed)["pgdrill-test-unrecoverable"]["StateValue"] == "ALARM"


def letter_of(letter: Any) -> Any:
    return json.loads(letter["text"])
