"""What CloudWatch says of an alarm: the reason of its state, the message to a topic, the event, the history. Pure.

Source: CloudWatch User Guide, "Alarm events and EventBridge" and "Notifying users on alarm changes".
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pgdrill.lab.cloudwatch.evaluation import Missing, State

Alarm = Mapping[str, Any]
_COMPARED = {
    "GreaterThanOrEqualToThreshold": "greater than or equal to",
    "GreaterThanThreshold": "greater than",
    "LessThanThreshold": "less than",
    "LessThanOrEqualToThreshold": "less than or equal to",
}
_FILLED = {Missing.BREACHING: "Breaching", Missing.NOT_BREACHING: "NonBreaching"}


@dataclass(frozen=True)
class Told:
    """Why a metric alarm has a new state. Data points are (start of the period, value), newest first."""

    old: State
    new: State
    telling: tuple[tuple[float, float], ...]
    evaluated: tuple[tuple[float, float], ...]
    filled: int
    periods: int
    to_alarm: int
    operator: str
    threshold: float
    missing: Missing
    period: int


def reason(told: Told) -> str:
    if told.new is State.INSUFFICIENT_DATA:
        return f"Insufficient Data: {_counted(told.filled, 'datapoint')} {_were(told.filled)} unknown."
    filling = _FILLED.get(told.missing)
    filled = ""
    if told.filled and filling:
        filled = (
            f" and {_counted(told.filled, 'missing datapoint')} {_were(told.filled)} treated as [{filling}]"
        )
    if not told.evaluated:
        return (
            f"Threshold Crossed: no datapoints were received for {_counted(told.periods, 'period')}{filled}."
        )
    shown = ", ".join(f"{value} ({_short(at)})" for at, value in told.telling)
    least = told.to_alarm if told.new is State.ALARM else told.periods - told.to_alarm + 1
    compared = f"{'' if told.new is State.ALARM else 'not '}{_COMPARED[told.operator]}"
    return (
        f"Threshold Crossed: {len(told.telling)} out of the last {told.periods} datapoints [{shown}] "
        f"{_were(len(told.telling))} {compared} the threshold ({told.threshold}){filled} "
        f"(minimum {_counted(least, 'datapoint')} for {told.old} -> {told.new} transition)."
    )


def reason_data(told: Told, at: float, alarm: Alarm) -> dict[str, Any]:
    """Return the reason for machines. `at` is when the alarm was evaluated."""
    oldest = told.evaluated[-1][0] if told.evaluated else None
    statistic = alarm.get("ExtendedStatistic") or alarm.get("Statistic")
    data = {
        "version": "1.0",
        "queryDate": stamp(at),
        "startDate": stamp(oldest) if oldest is not None else None,
        "statistic": statistic if not alarm.get("Metrics") else None,
        "period": told.period,
        "recentDatapoints": [value for _, value in reversed(told.evaluated)],
        "threshold": told.threshold,
        "evaluatedDatapoints": [{"timestamp": stamp(when), "value": value} for when, value in told.evaluated],
    }
    return {name: value for name, value in data.items() if value is not None}


def composite_reason(alarm: Alarm, children: Sequence[Alarm], state: State) -> tuple[str, dict[str, Any]]:
    """Return why a composite alarm has a new state, in words and for machines: its children, the newest first."""
    newest = sorted(children, key=lambda child: -float(child["StateUpdatedTimestamp"]))
    triggering = [
        {
            "arn": child["AlarmArn"],
            "state": {"value": child["StateValue"], "timestamp": stamp(child["StateUpdatedTimestamp"])},
        }
        for child in newest
    ]
    if not newest:
        return f"{alarm['AlarmArn']} was created and its alarm rule evaluates to {state}", {
            "triggeringAlarms": []
        }
    first = newest[0]
    when = _utc(first["StateUpdatedTimestamp"]).strftime("%A %d %B, %Y %H:%M:%S UTC")
    words = f"{first['AlarmArn']} transitioned to {first['StateValue']} at {when}"
    return words, {"triggeringAlarms": triggering}


def notification(
    alarm: Alarm, before: Alarm, at: float, *, account: str, region: str
) -> tuple[str, dict[str, Any]]:
    """Return subject and message of what a topic gets. `region` is the region's name, as in consoles."""
    subject = f'{alarm["StateValue"]}: "{alarm["AlarmName"]}" in {region}'
    message = {
        "AlarmName": alarm["AlarmName"],
        "AlarmDescription": alarm.get("AlarmDescription") or None,
        "AWSAccountId": account,
        "AlarmConfigurationUpdatedTimestamp": stamp(alarm["AlarmConfigurationUpdatedTimestamp"]),
        "NewStateValue": alarm["StateValue"],
        "NewStateReason": alarm["StateReason"],
        "StateChangeTime": stamp(at),
        "Region": region,
        "AlarmArn": alarm["AlarmArn"],
        "OldStateValue": before["StateValue"],
        "OKActions": list(alarm.get("OKActions") or ()),
        "AlarmActions": list(alarm.get("AlarmActions") or ()),
        "InsufficientDataActions": list(alarm.get("InsufficientDataActions") or ()),
    }
    if "AlarmRule" in alarm:
        data = json.loads(alarm.get("StateReasonData") or "{}")
        message["AlarmRule"] = alarm["AlarmRule"]
        message["TriggeringChildren"] = [
            {
                "Arn": child["arn"],
                "State": {"Value": child["state"]["value"], "Timestamp": child["state"]["timestamp"]},
            }
            for child in data.get("triggeringAlarms", [])
        ]
    else:
        message["Trigger"] = _trigger(alarm)
    return subject[:100], message


def _trigger(alarm: Alarm) -> dict[str, Any]:
    of = {
        "EvaluationPeriods": alarm["EvaluationPeriods"],
        "DatapointsToAlarm": alarm.get("DatapointsToAlarm"),
        "ComparisonOperator": alarm["ComparisonOperator"],
        "Threshold": alarm["Threshold"],
        "TreatMissingData": alarm.get("TreatMissingData") or "missing",
        "EvaluateLowSampleCountPercentile": alarm.get("EvaluateLowSampleCountPercentile") or "",
    }
    if of["DatapointsToAlarm"] is None:
        del of["DatapointsToAlarm"]
    if alarm.get("Metrics"):
        return of | {"Metrics": [_query(each) for each in alarm["Metrics"]]}
    extended = alarm.get("ExtendedStatistic")
    statistic = (
        {"StatisticType": "ExtendedStatistic", "ExtendedStatistic": extended}
        if extended
        else {"StatisticType": "Statistic", "Statistic": alarm["Statistic"].upper()}
    )
    return (
        {"MetricName": alarm["MetricName"], "Namespace": alarm["Namespace"]}
        | statistic
        | {"Unit": alarm.get("Unit"), "Dimensions": _dimensions(alarm.get("Dimensions"))}
        | {"Period": alarm["Period"]}
        | of
    )


def _query(query: Mapping[str, Any]) -> dict[str, Any]:
    shown = {name: query[name] for name in ("Expression", "Id", "Label") if query.get(name)}
    if query.get("MetricStat"):
        stat = query["MetricStat"]
        of = dict(stat["Metric"]) | {"Dimensions": _dimensions(stat["Metric"].get("Dimensions"))}
        shown["MetricStat"] = {"Metric": of, "Period": stat["Period"], "Stat": stat["Stat"]}
    return shown | {"ReturnData": query.get("ReturnData", True)}


def _dimensions(dimensions: Sequence[Mapping[str, str]] | None) -> list[dict[str, str]]:
    return [{"value": each["Value"], "name": each["Name"]} for each in dimensions or ()]


def event_detail(alarm: Alarm, before: Alarm) -> dict[str, Any]:
    """Return the detail of the event "CloudWatch Alarm State Change"."""
    configuration: dict[str, Any] = {}
    if alarm.get("AlarmDescription"):
        configuration["description"] = alarm["AlarmDescription"]
    if "AlarmRule" in alarm:
        configuration["alarmRule"] = alarm["AlarmRule"]
        if alarm.get("ActionsSuppressor"):
            for name in (
                "ActionsSuppressor",
                "ActionsSuppressorWaitPeriod",
                "ActionsSuppressorExtensionPeriod",
            ):
                configuration[name[0].lower() + name[1:]] = alarm[name]
    else:
        configuration["metrics"] = _metrics(alarm)
    return {
        "alarmName": alarm["AlarmName"],
        "state": _state(alarm),
        "previousState": _state(before),
        "configuration": configuration,
    }


def _metrics(alarm: Alarm) -> list[dict[str, Any]]:
    if not alarm.get("Metrics"):
        statistic = alarm.get("ExtendedStatistic") or alarm["Statistic"]
        stat = {"period": alarm["Period"], "stat": statistic}
        return [{"id": "m1", "metricStat": {"metric": _metric(alarm), **stat}, "returnData": True}]
    metrics = []
    for query in alarm["Metrics"]:
        shown: dict[str, Any] = {
            name.lower(): query[name] for name in ("Id", "Expression", "Label") if query.get(name)
        }
        if query.get("MetricStat"):
            stat = query["MetricStat"]
            shown["metricStat"] = {
                "metric": _metric(stat["Metric"]),
                "period": stat["Period"],
                "stat": stat["Stat"],
            }
        metrics.append(shown | {"returnData": query.get("ReturnData", True)})
    return metrics


def _metric(of: Mapping[str, Any]) -> dict[str, Any]:
    dimensions = {each["Name"]: each["Value"] for each in of.get("Dimensions") or ()}
    return {"dimensions": dimensions, "name": of["MetricName"], "namespace": of["Namespace"]}


def _state(alarm: Alarm) -> dict[str, Any]:
    state = {"value": alarm["StateValue"], "reason": alarm.get("StateReason")}
    if alarm.get("StateReasonData"):
        state["reasonData"] = alarm["StateReasonData"]
    if alarm.get("StateUpdatedTimestamp") is not None:
        state["timestamp"] = stamp(alarm["StateUpdatedTimestamp"])
    for name in ("ActionsSuppressedBy", "ActionsSuppressedReason"):
        if alarm.get(name):
            state[name[0].lower() + name[1:]] = alarm[name]
    return state


def history_data(alarm: Alarm, before: Alarm) -> str:
    """Return what DescribeAlarmHistory shows of a transition."""

    def state(of: Alarm) -> dict[str, Any]:
        shown = {"stateValue": of["StateValue"], "stateReason": of.get("StateReason")}
        if of.get("StateReasonData"):
            shown["stateReasonData"] = json.loads(of["StateReasonData"])
        return shown

    kind = "CompositeAlarm" if "AlarmRule" in alarm else "MetricAlarm"
    told = {"version": "1.0", "type": kind, "oldState": state(before), "newState": state(alarm)}
    return json.dumps(told)


def stamp(at: float) -> str:
    """Return a time as CloudWatch writes it in messages: `2026-11-23T18:00:00.000+0000`."""
    return _utc(at).strftime("%Y-%m-%dT%H:%M:%S.") + f"{_utc(at).microsecond // 1000:03d}+0000"


def _short(at: float) -> str:
    return _utc(at).strftime("%d/%m/%y %H:%M:%S")


def _utc(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _were(count: int) -> str:
    return "was" if count == 1 else "were"
