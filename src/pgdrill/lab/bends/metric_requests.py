"""How CloudWatch's metrics are put, listed and told in the lab, in the place of the emulator's own ways.

Is no bend itself: `alarms` puts these functions where the emulator's were. Data of any age are taken, and kept.

Source: CloudWatch API reference, ListMetrics, GetMetricStatistics, GetMetricData.
"""

from collections.abc import Callable
from typing import Any

from ministack.services import cloudwatch

from pgdrill.lab.bends.watch import WATCH, Body, now
from pgdrill.lab.cloudwatch import alarms
from pgdrill.lab.cloudwatch.metrics import Metric, Stretch, Unknown

Answer = tuple[int, dict[str, str], bytes]
Handler = Callable[[Any, Body, bool, bool], Answer]


def refused(message: str, is_cbor: bool, is_json: bool) -> Any:
    return cloudwatch._error("ValidationError", message, 400, use_json=is_json, use_cbor=is_cbor)  # type: ignore[no-untyped-call] # noqa: SLF001


def store(  # noqa: PLR0917 # the emulator's own parameters
    namespace: str,
    name: str,
    dims: dict[str, str],
    at: float,
    unit: str,
    value: float | None,
    values: list[float] | None,
    counts: list[float] | None,
    stat_values: dict[str, float] | None,
) -> None:
    metrics = WATCH.region().metrics
    metric = Metric(namespace, name, frozenset(dims.items()))
    with WATCH.lock:
        if values is not None:
            for each, count in zip(values, counts or [1.0] * len(values), strict=True):
                metrics.put(metric, at, float(each), count=float(count), unit=unit)
        elif stat_values is not None:
            row = tuple(float(stat_values[each]) for each in ("SampleCount", "Sum", "Minimum", "Maximum"))
            metrics.put_set(metric, at, row, unit=unit)  # type: ignore[arg-type] # these four
        else:
            metrics.put(metric, at, float(value or 0), unit=unit)


def record(
    namespace: str,
    metric_name: str,
    value: float,
    unit: str = "None",
    dimensions: dict[str, str] | None = None,
) -> None:
    store(namespace, metric_name, dimensions or {}, now(), unit, value, None, None, None)


def answering(answer: Callable[[Body], Body]) -> Handler:
    """Return a handler of requests in CBOR and JSON, which is what boto3 and the AWS CLI send."""

    def handle(_: Any, body: Body, is_cbor: bool, is_json: bool = False) -> Any:
        if not (is_cbor or is_json):
            return refused("the lab tells of metrics in CBOR or JSON alone", is_cbor, is_json)
        try:
            with WATCH.lock:
                told = answer(body)
        except (KeyError, Unknown) as error:
            return refused(str(error), is_cbor, is_json)
        encode = cloudwatch._cbor_ok if is_cbor else cloudwatch._json_ok  # noqa: SLF001
        return encode(_stamped(told) if is_cbor else told)

    return handle


def _stamped(told: Body) -> Body:
    """Return an answer with its times as CBOR has them."""
    for point in told.get("Datapoints", ()):
        point["Timestamp"] = cloudwatch._cbor_timestamp(point["Timestamp"])  # type: ignore[no-untyped-call] # noqa: SLF001
    for result in told.get("MetricDataResults", ()):
        result["Timestamps"] = [cloudwatch._cbor_timestamp(at) for at in result["Timestamps"]]  # type: ignore[no-untyped-call] # noqa: SLF001
    return told


def list_metrics(body: Body) -> Body:
    asked = body.get("Dimensions") or []
    found = [
        metric
        for metric in WATCH.region().metrics.listed()
        if body.get("Namespace") in {None, "", metric.namespace}
        and body.get("MetricName") in {None, "", metric.name}
        and all(
            any(
                name == each["Name"] and each.get("Value") in {None, "", value}
                for name, value in metric.dimensions
            )
            for each in asked
        )
    ]
    return {
        "Metrics": [
            {
                "Namespace": metric.namespace,
                "MetricName": metric.name,
                "Dimensions": [{"Name": name, "Value": value} for name, value in sorted(metric.dimensions)],
            }
            for metric in found
        ]
    }


def _stretch(body: Body, period: int) -> Stretch:
    """Return the periods asked for; they are those of the clock."""
    start = cloudwatch._parse_ts(body["StartTime"])  # type: ignore[no-untyped-call] # noqa: SLF001
    end = cloudwatch._parse_ts(body["EndTime"])  # type: ignore[no-untyped-call] # noqa: SLF001
    first = start // period * period
    return Stretch(first, period, max(0, int(-(-(end - first) // period))))


def get_metric_statistics(body: Body) -> Body:
    over = _stretch(body, int(body["Period"]))
    metric = alarms.metric(body["Namespace"], body["MetricName"], body.get("Dimensions"))
    metrics = WATCH.region().metrics
    asked = {"": body.get("Statistics", ()), "ExtendedStatistics": body.get("ExtendedStatistics", ())}
    points: list[Body] = []
    for unit in [body["Unit"]] if body.get("Unit") else metrics.units(metric):
        made: dict[float, Body] = {}
        for where, names in asked.items():
            for name in names:
                for at, value in zip(over.starts(), metrics.vector(metric, name, over, unit), strict=True):
                    if value is not None:
                        point = made.setdefault(at, {"Timestamp": at, "Unit": unit})
                        (point.setdefault(where, {}) if where else point)[name] = value
        points += made.values()
    return {"Label": body["MetricName"], "Datapoints": points}


def get_metric_data(body: Body) -> Body:
    """Answer newest first, unless asked otherwise, as AWS does."""
    asked = body.get("MetricDataQueries", [])
    periods = {int(each["MetricStat"]["Period"]) for each in asked if each.get("MetricStat")}
    if len(periods) != 1:
        raise Unknown("the lab answers queries of one period")
    over = _stretch(body, periods.pop())
    queries = alarms.ordered([alarms.query(each) for each in asked])
    found = alarms.values(WATCH.region().metrics, queries, over)
    step = 1 if body.get("ScanBy") == "TimestampAscending" else -1
    results = []
    for each in asked:
        if each.get("ReturnData", True):
            values = [*zip(over.starts(), found[each["Id"]], strict=True)][::step]
            there = [(at, value) for at, value in values if value is not None]
            results.append(
                {
                    "Id": each["Id"],
                    "Label": each.get("Label") or _label(each),
                    "Timestamps": [at for at, _ in there],
                    "Values": [value for _, value in there],
                    "StatusCode": "Complete",
                }
            )
    return {"MetricDataResults": results}


def _label(query: Body) -> str:
    return str(query["MetricStat"]["Metric"]["MetricName"] if query.get("MetricStat") else query["Id"])
