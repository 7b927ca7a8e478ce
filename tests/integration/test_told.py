"""What is told reaches who subscribes: the canary, what AWS tells of itself, and what a function replies."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.integration.deployed import Cell, execute, until


class Letters:
    """A queue of the test's own behind a topic, for everything that is told there."""

    def __init__(self, cell: Cell, topic: str) -> None:
        self._sqs, self._sns = cell.client("sqs"), cell.client("sns")
        name = f"pgdrill-{cell.suffix}-told-{topic.lower()}"
        self._url = self._sqs.create_queue(QueueName=name)["QueueUrl"]
        arn = self._sqs.get_queue_attributes(QueueUrl=self._url, AttributeNames=["QueueArn"])
        self.arn = arn["Attributes"]["QueueArn"]
        topic_arn = cell[f"{topic}TopicArn"]
        policy = {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"Service": "sns.amazonaws.com"},
                    "Action": "sqs:SendMessage",
                    "Resource": self.arn,
                    "Condition": {"ArnEquals": {"aws:SourceArn": topic_arn}},
                }
            ],
        }
        self._sqs.set_queue_attributes(QueueUrl=self._url, Attributes={"Policy": json.dumps(policy)})
        told = self._sns.subscribe(
            TopicArn=topic_arn, Protocol="sqs", Endpoint=self.arn, ReturnSubscriptionArn=True
        )
        self._subscription = told["SubscriptionArn"]
        self.read: list[dict[str, Any]] = []

    def look(self) -> list[dict[str, Any]]:
        """Return all that came so far, as SNS wraps it."""
        got = self._sqs.receive_message(QueueUrl=self._url, MaxNumberOfMessages=10).get("Messages", [])
        for one in got:
            self.read.append(json.loads(one["Body"]))
            self._sqs.delete_message(QueueUrl=self._url, ReceiptHandle=one["ReceiptHandle"])
        return self.read

    def close(self) -> None:
        self._sns.unsubscribe(SubscriptionArn=self._subscription)
        self._sqs.delete_queue(QueueUrl=self._url)


@pytest.fixture
def backups(primary: Cell) -> Iterator[Letters]:
    letters = Letters(primary, "Backups")
    yield letters
    letters.close()


@pytest.fixture
def drills(primary: Cell) -> Iterator[Letters]:
    letters = Letters(primary, "Drills")
    yield letters
    letters.close()


def moment() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def test_the_canary_arrives_and_is_written_down_for_the_watch(cell: Cell) -> None:
    due_at = moment()
    done = execute(cell, "Canary", {"due_at": due_at})
    assert done["status"] == "SUCCEEDED", (done.get("error"), done.get("cause"))
    key = f"canary/{cell.region}.json"
    body = cell.client("s3").get_object(Bucket=cell["EvidenceBucket"], Key=key)["Body"].read()
    written = json.loads(body)
    assert written["due_at"] == due_at
    assert written["arrived_at"] >= due_at[:16]


def test_who_is_told_everything_gets_the_canary_as_a_sign_of_life(primary: Cell, backups: Letters) -> None:
    assert execute(primary, "Canary", {"due_at": moment()})["status"] == "SUCCEEDED"
    until(lambda: bool(backups.look()))
    (told,) = backups.read
    assert told["Subject"] == f"pgdrill {primary.suffix}: canary"
    assert told["Message"].startswith(f"The daily sign of life of {primary.region}")
    assert told["MessageAttributes"]["level"]["Value"] == "note"


def test_an_execution_that_fails_is_told_by_the_fast_path(primary: Cell, drills: Letters) -> None:
    failed = execute(primary, "Reap", {})
    assert failed["status"] == "FAILED"
    arn = failed["executionArn"]
    until(lambda: any(arn in one["Message"] for one in drills.look()))
    (told,) = (one for one in drills.read if arn in one["Message"])
    assert told["Message"].startswith(
        f'"pgdrill {primary.suffix}: in {primary.region} the execution {arn} ended'
    )
    assert "ended: FAILED, at " in told["Message"]


def test_a_drill_that_loses_its_instance_to_somebody_else_is_told_and_leaves_it_alone(
    primary: Cell, drills: Letters
) -> None:
    """Whose it is nobody knows, so there is no evidence; the failed execution is what tells."""
    states, rds = primary.client("stepfunctions"), primary.client("rds")
    asked = {"due_at": moment(), "database": "shop", "wanted": "latest"}
    arn = states.start_execution(stateMachineArn=primary["DrillMachineArn"], input=json.dumps(asked))[
        "executionArn"
    ]

    def temporary() -> list[Any]:
        found = rds.describe_db_instances()["DBInstances"]
        return [one for one in found if "-drill-" in one["DBInstanceIdentifier"]]

    until(lambda: bool(temporary()))
    (instance,) = temporary()
    tags = [tag["Key"] for tag in instance["TagList"]]
    rds.remove_tags_from_resource(ResourceName=instance["DBInstanceArn"], TagKeys=tags)
    until(lambda: states.describe_execution(executionArn=arn)["status"] != "RUNNING")
    ended = states.describe_execution(executionArn=arn)
    assert (ended["status"], ended["error"]) == ("FAILED", "NotOurs")
    until(lambda: any(arn in one["Message"] and "FAILED" in one["Message"] for one in drills.look()))
    assert [one["DBInstanceIdentifier"] for one in temporary()] == [instance["DBInstanceIdentifier"]]
    until(lambda: temporary()[0]["DBInstanceStatus"] == "available")
    rds.delete_db_instance(DBInstanceIdentifier=instance["DBInstanceIdentifier"], SkipFinalSnapshot=True)
    until(lambda: not temporary())


def test_a_result_is_told_in_words_with_attributes_to_filter_on(primary: Cell, drills: Letters) -> None:
    message = {
        "level": "report",
        "kind": "drills",
        "topic": "drill passed",
        "text": "drill x of database 'shop': passed: it is whole",
        "hint": "report: https://example.com",
        "attributes": {"verdict": "passed", "database": "shop", "rto": 1234},
    }
    reply = {"metrics": [], "events": [], "messages": [message]}
    assert execute(primary, "Publish", {"reply": reply})["status"] == "SUCCEEDED"
    until(lambda: bool(drills.look()))
    (told,) = drills.read
    assert told["Message"] == f"{message['text']}\n\n{message['hint']}"
    attributes = {name: (one["Type"], one["Value"]) for name, one in told["MessageAttributes"].items()}
    assert attributes == {
        "verdict": ("String", "passed"),
        "database": ("String", "shop"),
        "rto": ("Number", "1234"),
        "level": ("String", "report"),
        "topic": ("String", "drill passed"),
    }


def test_an_alarm_that_is_set_by_hand_is_told_with_what_to_do(primary: Cell, backups: Letters) -> None:
    name = f"pgdrill-{primary.suffix}-key-unusable"
    cloudwatch = primary.client("cloudwatch")
    cloudwatch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="tried")
    until(lambda: any(name in one["Message"] for one in backups.look()))
    told = json.loads(next(one["Message"] for one in backups.read if name in one["Message"]))
    assert told["NewStateValue"] == "ALARM"
    assert "Do: " in told["AlarmDescription"]
    cloudwatch.set_alarm_state(AlarmName=name, StateValue="OK", StateReason="tried")
