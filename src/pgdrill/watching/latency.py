"""How soon a deployed alarm is told, reckoned from what AWS answers when it is asked what is deployed. Pure.

`pgdrill.watching.alarms` promises a time for every alarm. Here the same time comes from the definitions of the alarm,
of the schedule and the state machine that feed it, and of the function in between, so that the promise can be held
against a lab or an account; nothing of it comes from the plan or from the table of alarms.

What AWS says no number for is taken for a minute. Source: CloudWatch User Guide, "Alarm evaluation" and "Using math
expressions"; Lambda Developer Guide, "Monitoring"; Step Functions Developer Guide, "State machine structure".
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

Definition = Mapping[str, Any]
MINUTE = timedelta(minutes=1)
# Lambda and Step Functions send their counts when the minute that they are of is over.
PUBLISHED_BY_AWS = 2 * MINUTE
# SNS sent them every five minutes, and says one by now.
PUBLISHED_BY_SNS = 5 * MINUTE
# A window that slides ends with the last whole minute; alarms are looked at every minute; SNS delivers at once.
WHOLE_MINUTE = EVALUATED = DELIVERED = MINUTE
OWN = "pgdrill"
NAMESPACES = (OWN, "AWS/Lambda", "AWS/States", "AWS/SQS", "AWS/Scheduler", "AWS/Events", "AWS/SNS")
_RATE = re.compile(r"rate\((\d+) (minute|hour|day)s?\)")
_FILL = re.compile(r"FILL\(m1, \d+\)")
# With these one bad value in a period is enough, whatever else is in it.
AT_ONCE = frozenset(
    {
        ("Maximum", "GreaterThanThreshold"),
        ("Maximum", "GreaterThanOrEqualToThreshold"),
        ("Sum", "GreaterThanThreshold"),
        ("Sum", "GreaterThanOrEqualToThreshold"),
        ("Minimum", "LessThanThreshold"),
        ("Minimum", "LessThanOrEqualToThreshold"),
    }
)


@dataclass(frozen=True)
class Rounds:
    """How often something looks, and how long it takes at most until what it saw is published."""

    every: timedelta
    take: timedelta


def every(expression: str) -> timedelta:
    """Return the rhythm of a schedule.

    Raises:
        ValueError: it has none that is always the same.
    """
    found = _RATE.fullmatch(expression)
    if found is None:
        raise ValueError(f"{expression!r} is no rate")
    count, unit = found.groups()
    return timedelta(**{f"{unit}s": int(count)})


def longest(machine: Definition, functions: Mapping[str, timedelta]) -> timedelta:
    """Return how long an execution takes at most that neither fails nor repeats anything.

    `functions` are the timeouts of functions by ARN. Lists that a Map goes through are taken for one long.

    Raises:
        ValueError: a state waits, or may take any time.
    """
    states: Definition = machine["States"]

    def after(name: str | None, seen: tuple[str, ...] = ()) -> timedelta:
        if name is None or name in seen:
            return timedelta(0)
        state = states[name]
        ways = [state.get("Next"), state.get("Default"), *(one["Next"] for one in state.get("Choices", ()))]
        return _takes(name, state, functions) + max(after(way, (*seen, name)) for way in ways)

    whole = after(machine["StartAt"])
    return min(whole, timedelta(seconds=machine["TimeoutSeconds"])) if "TimeoutSeconds" in machine else whole


def _takes(name: str, state: Definition, functions: Mapping[str, timedelta]) -> timedelta:
    kind = state["Type"]
    if kind in {"Pass", "Choice", "Succeed", "Fail"}:
        return timedelta(0)
    if kind == "Map":
        return longest(state["ItemProcessor"], functions)
    if kind == "Parallel":
        return max(longest(branch, functions) for branch in state["Branches"])
    if kind != "Task" or "TimeoutSeconds" not in state:
        raise ValueError(f"state {name!r} may take any time")
    limit = timedelta(seconds=state["TimeoutSeconds"])
    invoked = functions.get((state.get("Arguments") or {}).get("FunctionName", ""))
    return limit if invoked is None else min(limit, invoked)


def told_after(alarm: Definition, rounds: Rounds, allowed: timedelta = timedelta(0)) -> timedelta:
    """Return what passes at most between the moment that counts and the notification.

    `alarm` is as DescribeAlarms shows it; `allowed` is what its threshold lets pass on purpose.

    Raises:
        ValueError: an alarm of which this cannot be said.
    """
    if not alarm["ActionsEnabled"] or not alarm["AlarmActions"]:
        raise ValueError(f"alarm {alarm['AlarmName']!r} tells nobody")
    namespace, statistic, period = _metric(alarm)
    wanted: int = alarm.get("DatapointsToAlarm", alarm["EvaluationPeriods"])
    seen = WHOLE_MINUTE + EVALUATED + DELIVERED
    if _filled(alarm):
        # The last data point before the silence came one round before the one that is missing.
        return rounds.take + wanted * period - rounds.every + seen
    by_aws = PUBLISHED_BY_SNS if namespace == "AWS/SNS" else PUBLISHED_BY_AWS
    published = rounds.every + rounds.take if namespace == OWN else by_aws
    at_once = (statistic, alarm["ComparisonOperator"]) in AT_ONCE
    whole = timedelta(0) if at_once else period
    return allowed + published + whole + seen + (wanted - 1) * period


def _metric(alarm: Definition) -> tuple[str, str, timedelta]:
    """Return namespace, statistic and period of the one metric, or of those that are added up."""
    stats = [query["MetricStat"] for query in alarm.get("Metrics", ()) if "MetricStat" in query]
    found = {(stat["Metric"]["Namespace"], stat["Stat"], stat["Period"]) for stat in stats} or {
        (alarm["Namespace"], alarm["Statistic"], alarm["Period"])
    }
    if len(found) != 1:
        raise ValueError(f"alarm {alarm['AlarmName']!r} looks at metrics of different kinds: {sorted(found)}")
    namespace, statistic, period = found.pop()
    if namespace not in NAMESPACES:
        raise ValueError(f"alarm {alarm['AlarmName']!r} looks at {namespace!r}, published nobody knows when")
    return namespace, statistic, timedelta(seconds=period)


def _filled(alarm: Definition) -> bool:
    """Tell whether periods without data have a value that breaches."""
    return any(_FILL.fullmatch(query.get("Expression", "")) for query in alarm.get("Metrics", ()))
