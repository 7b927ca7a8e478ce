"""CloudWatch: alarms on metrics, and on other alarms."""

from typing import Any

from pgdrill.lab.deploy.aws import Aws
from pgdrill.lab.deploy.entry import Entry, Made, Outputs, Wanted, as_tags, retag

_BOTH = ("actionsEnabled", "alarmActions", "alarmDescription", "insufficientDataActions", "okActions")
_METRIC = (
    "comparisonOperator",
    "datapointsToAlarm",
    "evaluationPeriods",
    "extendedStatistic",
    "metricName",
    "namespace",
    "period",
    "statistic",
    "threshold",
    "treatMissingData",
    "unit",
    "warmUpConfiguration",
)
_SUPPRESSOR = {
    "alarm": "ActionsSuppressor",
    "waitPeriod": "ActionsSuppressorWaitPeriod",
    "extensionPeriod": "ActionsSuppressorExtensionPeriod",
}


def _metric_alarm(wanted: Wanted) -> dict[str, Any]:
    given = wanted.some(*_BOTH, *_METRIC, name="alarmName")
    if dimensions := wanted.take("dimensions"):
        given["dimensions"] = _dimensions(dimensions)
    if queries := wanted.take("metricQueries"):
        given["metrics"] = [_query(query) for query in queries]
    return given


def _composite_alarm(wanted: Wanted) -> dict[str, Any]:
    suppressor = wanted.take("actionsSuppressor") or {}
    given = wanted.some(*_BOTH, "alarmName", "alarmRule")
    return given | {_SUPPRESSOR[key]: value for key, value in suppressor.items()}


def _query(query: dict[str, Any]) -> dict[str, Any]:
    """Return a query as the API has it: what it says of a metric, its period and statistic stand apart there."""
    asked = {key: value for key, value in query.items() if key != "metric"}
    if metric := query.get("metric"):
        of = {key: value for key, value in metric.items() if key not in {"period", "stat", "unit"}}
        stat = {key: metric[key] for key in ("period", "stat", "unit") if key in metric}
        asked["metricStat"] = stat | {
            "metric": of | {"dimensions": _dimensions(metric.get("dimensions", {}))}
        }
    return asked


def _dimensions(dimensions: dict[str, str]) -> list[dict[str, str]]:
    return as_tags(dimensions, "Name", "Value")


def _create_metric(wanted: Wanted) -> tuple[str, Outputs]:
    given = _metric_alarm(wanted)
    wanted.call("cloudwatch", "put_metric_alarm", given, Tags=wanted.tags())
    return _made(wanted, str(given["alarmName"]), "MetricAlarm")


def _create_composite(wanted: Wanted) -> tuple[str, Outputs]:
    given = _composite_alarm(wanted)
    wanted.call("cloudwatch", "put_composite_alarm", given, Tags=wanted.tags())
    return _made(wanted, str(given["alarmName"]), "CompositeAlarm")


def _made(wanted: Wanted, name: str, kind: str) -> tuple[str, Outputs]:
    (found,) = wanted.call("cloudwatch", "describe_alarms", AlarmNames=[name], AlarmTypes=[kind])[f"{kind}s"]
    return name, {"arn": found["AlarmArn"]}


def _update_metric(wanted: Wanted, made: Made) -> Outputs:
    _retag(wanted, made)
    wanted.call("cloudwatch", "put_metric_alarm", _metric_alarm(wanted))
    return {}


def _update_composite(wanted: Wanted, made: Made) -> Outputs:
    _retag(wanted, made)
    wanted.call("cloudwatch", "put_composite_alarm", _composite_alarm(wanted))
    return {}


def _retag(wanted: Wanted, made: Made) -> None:
    """Set the tags by themselves: putting an alarm that is there leaves them as they are."""
    added, gone = retag(wanted, made)
    resource = {"ResourceARN": made.outputs["arn"]}
    if added:
        wanted.call("cloudwatch", "tag_resource", resource, Tags=as_tags(added))
    if gone:
        wanted.call("cloudwatch", "untag_resource", resource, TagKeys=gone)


def _delete(aws: Aws, made: Made) -> None:
    aws.client("cloudwatch").delete_alarms(AlarmNames=[made.id])


def _put_mute(wanted: Wanted) -> str:
    given = wanted.some("name", "description", "rule", "startDate", "expireDate")
    given["muteTargets"] = {"alarmNames": wanted.take("muteTargets")["alarmNames"]}
    wanted.call("cloudwatch", "put_alarm_mute_rule", given, Tags=wanted.tags())
    return str(given["name"])


def _create_mute(wanted: Wanted) -> tuple[str, Outputs]:
    name = _put_mute(wanted)
    found = wanted.call("cloudwatch", "get_alarm_mute_rule", AlarmMuteRuleName=name)
    return name, {"arn": found["AlarmMuteRuleArn"]}


def _update_mute(wanted: Wanted, _: Made) -> Outputs:
    _put_mute(wanted)
    return {}


def _delete_mute(aws: Aws, made: Made) -> None:
    aws.client("cloudwatch").delete_alarm_mute_rule(AlarmMuteRuleName=made.id)


ENTRIES = (
    Entry(
        "aws:cloudwatch/alarmMuteRule:AlarmMuteRule",
        _create_mute,
        _delete_mute,
        _update_mute,
        frozenset({"name"}),
    ),
    Entry(
        "aws:cloudwatch/metricAlarm:MetricAlarm",
        _create_metric,
        _delete,
        _update_metric,
        frozenset({"name"}),
    ),
    Entry(
        "aws:cloudwatch/compositeAlarm:CompositeAlarm",
        _create_composite,
        _delete,
        _update_composite,
        frozenset({"alarmName"}),
    ),
)
