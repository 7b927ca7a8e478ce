"""Alarms of a lab: looked at when the test says, told to topics, buses and history as AWS tells them."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pgdrill.lab.lab import Lab
from pgdrill.lab.record import Settings
from tests.lab.labs import MakeLab
from tests.lab.roles import ACCOUNT

HOME, DR = "ap-southeast-1", "ap-northeast-1"
NOON = datetime(2026, 11, 20, 12, 0, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
SPACE = "pgdrill"


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


def publish(lab: Lab, value: float, at: datetime, *, suffix: str = "main", region: str = HOME) -> None:
    datum = {
        "MetricName": "Age",
        "Value": value,
        "Timestamp": at,
        "Dimensions": [{"Name": "Suffix", "Value": suffix}],
    }
    lab.client("cloudwatch", region).put_metric_data(Namespace=SPACE, MetricData=[datum])


def put(lab: Lab, name: str, *, region: str = HOME, **members: Any) -> None:
    """Put an alarm on ages over 10, of data points a minute long, one of one, missing data breaching."""
    defaults = {
        "Namespace": SPACE,
        "MetricName": "Age",
        "Dimensions": [{"Name": "Suffix", "Value": "main"}],
        "Statistic": "Maximum",
        "Period": 60,
        "EvaluationPeriods": 1,
        "Threshold": 10.0,
        "ComparisonOperator": "GreaterThanThreshold",
        "TreatMissingData": "breaching",
    }
    lab.client("cloudwatch", region).put_metric_alarm(AlarmName=name, **defaults | members)


def described(lab: Lab, name: str, region: str = HOME) -> Any:
    types = ["MetricAlarm", "CompositeAlarm"]
    found = lab.client("cloudwatch", region).describe_alarms(AlarmNames=[name], AlarmTypes=types)
    (alarm,) = found["MetricAlarms"] + found["CompositeAlarms"]
    return alarm


def state(lab: Lab, name: str, region: str = HOME) -> str:
    return str(described(lab, name, region)["StateValue"])


def topic(lab: Lab, name: str, region: str = HOME, *, service: str = "cloudwatch.amazonaws.com") -> str:
    """Make a topic that a service may publish to."""
    sns = lab.client("sns", region)
    arn = str(sns.create_topic(Name=name)["TopicArn"])
    allowed = {
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": "sns:Publish",
        "Resource": arn,
        "Condition": {"StringEquals": {"aws:SourceAccount": ACCOUNT}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    sns.set_topic_attributes(TopicArn=arn, AttributeName="Policy", AttributeValue=policy)
    return arn


def letters(lab: Lab, arn: str) -> list[Any]:
    return [letter for letter in lab.door.inbox() if letter["topic"] == arn]


def test_an_alarm_looks_at_its_own_dimensions_alone(lab: Lab) -> None:
    put(lab, "dimensions")
    publish(lab, 1, NOON - MINUTE)
    publish(lab, 99, NOON - MINUTE, suffix="other")
    lab.door.evaluate_alarms(NOON)
    assert state(lab, "dimensions") == "OK"
    publish(lab, 99, NOON)
    lab.door.evaluate_alarms(NOON + MINUTE)
    assert state(lab, "dimensions") == "ALARM"


def test_missing_data_breach_without_anything_arriving(lab: Lab) -> None:
    put(lab, "silence", MetricName="Never")
    lab.door.evaluate_alarms(NOON)
    alarm = described(lab, "silence")
    assert alarm["StateValue"] == "ALARM"
    assert alarm["StateReason"] == (
        "Threshold Crossed: no datapoints were received for 1 period and 1 missing datapoint was treated as "
        "[Breaching]."
    )
    assert alarm["StateUpdatedTimestamp"] == NOON


def test_an_alarm_of_another_region_is_of_another_region(lab: Lab) -> None:
    for region in (HOME, DR):
        put(lab, "regional", region=region, TreatMissingData="missing", MetricName="Age")
    publish(lab, 99, NOON + 5 * MINUTE, region=DR)
    lab.door.evaluate_alarms(NOON + 6 * MINUTE)
    assert state(lab, "regional", DR) == "ALARM"
    assert state(lab, "regional", HOME) != "ALARM"
