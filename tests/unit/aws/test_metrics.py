"""What is asked of CloudWatch is put together from as many answers as it gives, and a refusal says what is missing."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from pgdrill.aws import metrics
from pgdrill.aws.metrics import Query
from pgdrill.errors import NotRunnable

NOW = datetime(2026, 11, 24, 3, tzinfo=UTC)
DAY = timedelta(days=1)


class Client:
    """CloudWatch that answers each request in two pages, or refuses."""

    def __init__(self, refusal: Exception | None = None) -> None:
        self.asked: list[dict[str, Any]] = []
        self._refusal = refusal

    def get_paginator(self, operation: str) -> "Client":
        self._operation = operation
        return self

    def paginate(self, **asked: Any) -> Any:
        self.asked.append(asked)
        if self._refusal:
            raise self._refusal
        if self._operation == "describe_alarms":
            alarm = {"AlarmName": "a", "AlarmArn": "arn:a", "StateValue": "OK", "StateUpdatedTimestamp": NOW}
            whole = alarm | {
                "AlarmName": "c",
                "StateTransitionedTimestamp": NOW - DAY,
                "AlarmDescription": "why",
            }
            return [{"MetricAlarms": [alarm], "CompositeAlarms": []}, {"CompositeAlarms": [whole]}]
        ids = [query["Id"] for query in asked["MetricDataQueries"]]
        return [
            {"MetricDataResults": [{"Id": one, "Timestamps": [NOW], "Values": [2.0]} for one in ids]},
            {"MetricDataResults": [{"Id": one, "Timestamps": [NOW - DAY], "Values": [1.0]} for one in ids]},
        ]


def query(name: str, period: int = 300) -> Query:
    return Query(
        namespace="pgdrill", name=name, dimensions=(("Suffix", "lab"),), statistic="Maximum", period=period
    )


def test_pages_are_put_together_oldest_first() -> None:
    found = metrics.read(Client(), [query("SnapshotAge")], NOW - DAY, NOW)
    assert found == {query("SnapshotAge"): ((NOW - DAY, 1.0), (NOW, 2.0))}


def test_no_more_is_asked_at_once_than_cloudwatch_takes_and_of_one_period() -> None:
    client = Client()
    many = [query(f"m{number}", period) for period in (300, 3600) for number in range(501)]
    found = metrics.read(client, many, NOW - DAY, NOW)
    assert [len(one["MetricDataQueries"]) for one in client.asked] == [500, 1, 500, 1]
    for one in client.asked:
        assert len({each["MetricStat"]["Period"] for each in one["MetricDataQueries"]}) == 1
    assert set(found) == set(many)
    assert all(len(points) == 2 for points in found.values())


def test_alarms_of_both_kinds_are_told_with_since_when() -> None:
    found = metrics.alarms(Client(), "pgdrill-lab-")
    assert [(one.name, one.value, one.since, one.description) for one in found] == [
        ("a", "OK", NOW, ""),
        ("c", "OK", NOW - DAY, "why"),
    ]


@pytest.mark.parametrize(
    ("refusal", "known"),
    [
        (ClientError({"Error": {"Code": "AccessDenied"}}, "GetMetricData"), "AccessDenied"),
        (EndpointConnectionError(endpoint_url="https://example.com"), "EndpointConnectionError"),
    ],
)
def test_a_refusal_names_the_permission(refusal: Exception, known: str) -> None:
    with pytest.raises(NotRunnable) as refused:
        metrics.read(Client(refusal), [query("SnapshotAge")], NOW - DAY, NOW)
    assert (refused.value.message, refused.value.hint) == (
        f"cannot read metrics: {known}",
        "check region, credentials and AWS_ENDPOINT_URL, and that this role may call cloudwatch:GetMetricData",
    )
    with pytest.raises(NotRunnable) as refused:
        metrics.alarms(Client(refusal), "pgdrill-lab-")
    assert refused.value.message == f"cannot read alarms: {known}"
