"""The only module that calls CloudWatch: puts metrics, and reads metrics and alarms.

Functions have no way there; state machines put metrics for them, and people read them.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from pgdrill.aws.refusal import code, not_told
from pgdrill.errors import NotRunnable
from pgdrill.messages import Metric
from pgdrill.model import Model, Moment

NAMESPACE = "pgdrill"
# Source: CloudWatch API reference, PutMetricData: 1,000 a request.
AT_ONCE = 1000
# Source: CloudWatch API reference, GetMetricData: 500 queries a request.
ASKED_AT_ONCE = 500


class State(Model):
    """An alarm as it stands. `value` is OK, ALARM or INSUFFICIENT_DATA."""

    name: str
    arn: str
    value: str
    since: Moment
    description: str = ""


class Query(Model):
    """A statistic of one metric; `period` in seconds."""

    namespace: str
    name: str
    dimensions: tuple[tuple[str, str], ...]
    statistic: str
    period: int


Points = tuple[tuple[datetime, float], ...]


def put(client: Any, suffix: str, metrics: tuple[Metric, ...]) -> None:
    """Put metrics, each with its suffix besides its own dimensions.

    Raises:
        NotRunnable, Unavailable: CloudWatch refused, or did not answer.
    """
    data = [_datum(suffix, metric) for metric in metrics]
    for first in range(0, len(data), AT_ONCE):
        try:
            client.put_metric_data(Namespace=NAMESPACE, MetricData=data[first : first + AT_ONCE])
        except (ClientError, BotoCoreError) as error:
            raise not_told("metrics", NAMESPACE, error) from error


def _datum(suffix: str, metric: Metric) -> dict[str, Any]:
    dimensions = {"Suffix": suffix} | metric.dimensions
    return {
        "MetricName": metric.name,
        "Value": metric.value,
        "Unit": metric.unit,
        "Dimensions": [{"Name": name, "Value": value} for name, value in dimensions.items()],
    }


def read(client: Any, queries: Iterable[Query], start: datetime, end: datetime) -> dict[Query, Points]:
    """Return what was measured from `start` to `end`, oldest first; () where nothing was.

    Raises:
        NotRunnable: CloudWatch refused, or did not answer.
    """
    found: dict[Query, list[tuple[datetime, float]]] = {query: [] for query in queries}
    by_period: dict[int, list[Query]] = {}
    for query in found:
        by_period.setdefault(query.period, []).append(query)
    for alike in by_period.values():
        for first in range(0, len(alike), ASKED_AT_ONCE):
            asked = alike[first : first + ASKED_AT_ONCE]
            for place, at, value in _results(client, asked, start, end):
                found[asked[place]].append((at, value))
    return {query: tuple(sorted(points)) for query, points in found.items()}


def _results(
    client: Any, asked: Sequence[Query], start: datetime, end: datetime
) -> Iterator[tuple[int, datetime, float]]:
    queries = [
        {
            "Id": f"q{place}",
            "MetricStat": {
                "Metric": {
                    "Namespace": query.namespace,
                    "MetricName": query.name,
                    "Dimensions": [{"Name": name, "Value": value} for name, value in query.dimensions],
                },
                "Period": query.period,
                "Stat": query.statistic,
            },
        }
        for place, query in enumerate(asked)
    ]
    try:
        pages = client.get_paginator("get_metric_data").paginate(
            MetricDataQueries=queries, StartTime=start, EndTime=end
        )
        for page in pages:
            for result in page["MetricDataResults"]:
                place = int(result["Id"][1:])
                for at, value in zip(result["Timestamps"], result["Values"], strict=True):
                    yield place, at, value
    except (ClientError, BotoCoreError) as error:
        raise _unread("metrics", "GetMetricData", error) from error


def alarms(client: Any, prefix: str) -> list[State]:
    """Return the alarms whose names begin so, composite ones as well.

    Raises:
        NotRunnable: CloudWatch refused, or did not answer.
    """
    try:
        pages = client.get_paginator("describe_alarms").paginate(
            AlarmNamePrefix=prefix, AlarmTypes=["MetricAlarm", "CompositeAlarm"]
        )
        return [
            State(
                name=alarm["AlarmName"],
                arn=alarm["AlarmArn"],
                value=alarm["StateValue"],
                since=alarm.get("StateTransitionedTimestamp") or alarm["StateUpdatedTimestamp"],
                description=alarm.get("AlarmDescription", ""),
            )
            for page in pages
            for kind in ("CompositeAlarms", "MetricAlarms")
            for alarm in page.get(kind, ())
        ]
    except (ClientError, BotoCoreError) as error:
        raise _unread("alarms", "DescribeAlarms", error) from error


def _unread(what: str, action: str, error: ClientError | BotoCoreError) -> NotRunnable:
    known = code(error) if isinstance(error, ClientError) else type(error).__name__
    return NotRunnable(
        f"cannot read {what}: {known}",
        hint=f"check region, credentials and AWS_ENDPOINT_URL, and that this role may call cloudwatch:{action}",
    )
