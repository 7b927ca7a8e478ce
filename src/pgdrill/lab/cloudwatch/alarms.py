"""The alarms of one region: their states at the times that they are told, and what follows from a transition.

An alarm is the dict that DescribeAlarms shows of it, and is changed in place. What happens to the world, an event, a
notification, is for the `Sink`. Windows slide: the newest ends with the last whole minute, for periods below a minute
with the last whole 10 seconds. That alarms over more than a day are looked at only hourly is left out.

Source: CloudWatch User Guide, "Alarm evaluation window", "Combining alarms" and "Suppressing composite alarm actions".
"""

import ast
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pgdrill.lab.cloudwatch import expressions, rules, wording
from pgdrill.lab.cloudwatch.evaluation import EXTRA, OPERATORS, Decision, Missing, State, decide
from pgdrill.lab.cloudwatch.metrics import Metric, Metrics, Stretch, Unknown, Vector, calculation
from pgdrill.lab.cloudwatch.mutes import Mute

Alarm = dict[str, Any]
HIGH_RESOLUTION = frozenset({10, 20, 30})
MINUTE, HOUR, DAY, WEEK = 60, 3_600, 86_400, 604_800
# Members that the lab would ignore, and so refuses.
REFUSED = ("EvaluationCriteria", "ThresholdMetricId")
STATE = ("StateValue", "StateReason", "StateReasonData", "StateUpdatedTimestamp")
# Under this key a composite alarm with a suppressor carries what it has to remember; clients do not see it.
MEMORY = "_Suppression"
# Under this one a muted alarm carries the state that was told last.
MUTED = "_Muted"
# And under this one a metric alarm carries when it was made, from when its warm-up counts.
CREATED = "_Created"


class Sink(Protocol):
    """What hears of alarms. `before` has the members `STATE` of the alarm as it was."""

    def changed(self, alarm: Alarm, before: Alarm, at: float) -> None:
        """Hear of a transition."""

    def act(self, alarm: Alarm, before: Alarm, at: float) -> None:
        """Perform the actions of an alarm's state, at once or when they are no longer suppressed."""


@dataclass(frozen=True)
class Query:
    """One metric, or an expression over others."""

    id: str
    metric: Metric | None = None
    statistic: str = ""
    unit: str | None = None
    expression: ast.expr | None = None


@dataclass(frozen=True)
class Definition:
    """What a metric alarm looks at. `watched` is the id of the query that its threshold is for.

    `warm` is when its warm-up ends, at the latest unless `patient`, and -inf where it has none.
    """

    queries: tuple[Query, ...]
    watched: str
    period: int
    periods: int
    to_alarm: int
    operator: str
    threshold: float
    missing: Missing
    warm: float = -math.inf
    patient: bool = False

    def is_warm(self, at: float, points: Sequence[bool | None]) -> bool:
        """Tell whether the alarm is evaluated yet: its warm-up is over, or there are data enough."""
        enough = sum(point is not None for point in points[-self.periods :]) == self.periods
        return at >= self.warm or (enough and not self.patient)

    def range_at(self, at: float) -> Stretch:
        """Return the evaluation range."""
        step = 10 if self.period in HIGH_RESOLUTION else 60
        count = self.periods + EXTRA
        return Stretch(at // step * step - count * self.period, self.period, count)


def values(metrics: Metrics, queries: Iterable[Query], over: Stretch) -> dict[str, Vector]:
    """Return by id what each query is in each period. `queries` are `ordered`."""
    found: dict[str, Vector] = {}
    fetched: list[Vector] = []
    for query in queries:
        if query.metric is not None:
            found[query.id] = metrics.vector(query.metric, query.statistic, over, query.unit)
            fetched.append(found[query.id])
        elif query.expression is not None:
            found[query.id] = expressions.evaluate(query.expression, found, fetched, over.count)
    return found


def definition(alarm: Alarm) -> Definition:
    """Return what a metric alarm looks at.

    Raises:
        Unknown: the lab cannot evaluate such an alarm.
    """
    for name in REFUSED:
        if alarm.get(name):
            raise Unknown(f"the lab does not evaluate alarms with {name}")
    if "WallClockWindow" in (alarm.get("EvaluationWindow") or {}):
        raise Unknown("the lab evaluates alarms with sliding windows alone")
    if alarm.get("EvaluateLowSampleCountPercentile") == "ignore":
        raise Unknown("the lab evaluates percentiles of however few samples")
    if alarm.get("ComparisonOperator") not in OPERATORS:
        raise Unknown(f"the lab does not compare by {alarm.get('ComparisonOperator')!r}")
    queries, watched, period = queries_of(alarm)
    warming = alarm.get("WarmUpConfiguration") or {}
    _see_limits(period, int(alarm["EvaluationPeriods"]), alarm.get("DatapointsToAlarm"))
    return Definition(
        queries=queries,
        watched=watched,
        period=period,
        periods=int(alarm["EvaluationPeriods"]),
        to_alarm=int(alarm.get("DatapointsToAlarm") or alarm["EvaluationPeriods"]),
        operator=alarm["ComparisonOperator"],
        threshold=float(alarm["Threshold"]),
        missing=Missing(alarm.get("TreatMissingData") or "missing"),
        warm=alarm[CREATED] + MINUTE * warming["WarmUpPeriodDurationInMinutes"]
        if warming and CREATED in alarm
        else -math.inf,
        patient=bool(warming.get("OnlyStartEvaluatingAfterWarmUpPeriodEnds")),
    )


def _see_limits(period: int, periods: int, to_alarm: int | None) -> None:
    """Refuse what AWS refuses. Source: CloudWatch API reference, PutMetricAlarm."""
    if period not in HIGH_RESOLUTION and (period < MINUTE or period % MINUTE):
        raise Unknown(f"a period is 10, 20, 30 or a multiple of 60 seconds, not {period}")
    longest = WEEK if period >= HOUR else DAY
    if period * periods > longest:
        raise Unknown(
            f"periods of {period} seconds may be evaluated over {longest} seconds, not {period * periods}"
        )
    if to_alarm is not None and not 1 <= to_alarm <= periods:
        raise Unknown(f"{to_alarm} of {periods} data points cannot breach")


def queries_of(alarm: Alarm) -> tuple[tuple[Query, ...], str, int]:
    """Return an alarm's queries, expressions after what they need, the id of the watched one, and the period."""
    if not alarm.get("Metrics"):
        statistic = alarm.get("ExtendedStatistic") or alarm["Statistic"]
        calculation(statistic)
        of = metric(alarm["Namespace"], alarm["MetricName"], alarm.get("Dimensions"))
        return (Query("m1", of, statistic, alarm.get("Unit")),), "m1", int(alarm["Period"])
    queries = [query(each) for each in alarm["Metrics"]]
    watched = [each["Id"] for each in alarm["Metrics"] if each.get("ReturnData", True)]
    stats = [each["MetricStat"] for each in alarm["Metrics"] if each.get("MetricStat")]
    periods = {int(each["Period"]) for each in stats}
    if len(watched) != 1 or len(periods) != 1:
        raise Unknown("an alarm watches one expression or metric, over metrics of one period")
    return ordered(queries), watched[0], periods.pop()


def query(asked: Mapping[str, Any]) -> Query:
    """Return a MetricDataQuery.

    Raises:
        Unknown: the lab does not evaluate its statistic or expression.
    """
    if asked.get("Expression"):
        return Query(asked["Id"], expression=expressions.parse(asked["Expression"]))
    stat = asked["MetricStat"]
    calculation(stat["Stat"])
    of = stat["Metric"]
    named = metric(of["Namespace"], of["MetricName"], of.get("Dimensions"))
    return Query(asked["Id"], named, stat["Stat"], stat.get("Unit"))


def metric(namespace: str, name: str, dimensions: list[dict[str, str]] | None) -> Metric:
    return Metric(namespace, name, frozenset((each["Name"], each["Value"]) for each in dimensions or ()))


def ordered(queries: list[Query]) -> tuple[Query, ...]:
    """Put every expression behind what it needs."""
    ordered = [query for query in queries if query.expression is None]
    waiting = [query for query in queries if query.expression is not None]
    while waiting:
        known = {query.id for query in ordered}
        ready = [each for each in waiting if each.expression and expressions.names(each.expression) <= known]
        if not ready:
            raise Unknown(f"expression {waiting[0].id!r} needs an id that is not there")
        ordered += ready
        waiting = [each for each in waiting if each not in ready]
    return tuple(ordered)


class Region:
    """The alarms and metrics of one region. `alarms` and `composites` are by name, and may change meanwhile."""

    def __init__(
        self,
        metrics: Metrics,
        alarms: Callable[[], Mapping[str, Alarm]],
        composites: Callable[[], Mapping[str, Alarm]],
        sink: Sink,
        mutes: Callable[[], Iterable[Mute]] = tuple,
    ) -> None:
        self.metrics = metrics
        self._mutes = mutes
        self._alarms = alarms
        self._composites = composites
        self._sink = sink
        self._definitions: dict[str, tuple[Alarm, Definition]] = {}

    def evaluate(self, at: float) -> None:
        """Bring every alarm to its state at a time. Times are to be given in order."""
        for alarm in self._alarms().values():
            self._evaluate(alarm, at)
        self.settle(at)

    def settle(self, at: float) -> None:
        """Bring the composite alarms to what their rules say now; those that turn in a circle are left."""
        composites = self._composites()
        for _ in composites:
            changed = [alarm for alarm in composites.values() if self._follow(alarm, at)]
            if not changed:
                break
        for alarm in composites.values():
            self._release(alarm, at)
        self._unmute(at)

    def transit(self, alarm: Alarm, state: State, reason: str, data: Any, at: float) -> None:
        """Bring an alarm to a state. `data` is what is to be read of the reason by machines, or None."""
        before = {name: alarm.get(name) for name in STATE}
        alarm |= {
            "StateValue": state.value,
            "StateReason": reason,
            "StateUpdatedTimestamp": at,
            "StateTransitionedTimestamp": at,
        }
        alarm.pop("StateReasonData", None)
        if data is not None:
            alarm["StateReasonData"] = json.dumps(data, separators=(",", ":"))
        self.announce(alarm, before, at)

    def announce(self, alarm: Alarm, before: Alarm, at: float) -> None:
        """Tell of a transition that has been made, and act on it unless that is suppressed."""
        self._sink.changed(alarm, before, at)
        if alarm.get("ActionsSuppressor"):
            memory = alarm.setdefault(MEMORY, {"announced": before["StateValue"]})
            memory["changed"] = at
        elif self._muted(alarm, at):
            alarm.setdefault(MUTED, before["StateValue"])
        elif alarm.get("ActionsEnabled", True):
            self._sink.act(alarm, before, at)

    def _muted(self, alarm: Alarm, at: float) -> bool:
        return any(mute.holds(alarm["AlarmName"], at) for mute in self._mutes())

    def _unmute(self, at: float) -> None:
        """Tell of what muted alarms came to, once their time is over."""
        for alarm in (*self._alarms().values(), *self._composites().values()):
            if MUTED in alarm and not self._muted(alarm, at):
                told = alarm.pop(MUTED)
                if told != alarm["StateValue"] and alarm.get("ActionsEnabled", True):
                    self._sink.act(alarm, {"StateValue": told}, at)

    def state(self, name: str) -> State | None:
        alarm = self._alarms().get(name) or self._composites().get(name)
        return State(alarm["StateValue"]) if alarm else None

    def _evaluate(self, alarm: Alarm, at: float) -> None:
        current = State(alarm["StateValue"])
        watched = self._definition(alarm)
        over = watched.range_at(at)
        found = values(self.metrics, watched.queries, over)[watched.watched]
        breaks = OPERATORS[watched.operator]
        points = [None if value is None else bool(breaks(value, watched.threshold)) for value in found]
        if not watched.is_warm(at, points):
            return
        decision = decide(points, watched.periods, watched.to_alarm, watched.missing, current)
        if decision.state is not current:
            seen = [
                (at, value, point is (decision.state is State.ALARM))
                for at, value, point in zip(over.starts(), found, points, strict=True)
            ]
            told = _told(watched, decision, current, [seen[place] for place in reversed(decision.evaluated)])
            reason = wording.reason(told)
            self.transit(alarm, decision.state, reason, wording.reason_data(told, at, alarm), at)

    def _definition(self, alarm: Alarm) -> Definition:
        """Return an alarm's definition, read anew only where the alarm was put anew."""
        known = self._definitions.get(alarm["AlarmName"])
        if known is None or known[0] is not alarm:
            known = self._definitions[alarm["AlarmName"]] = (alarm, definition(alarm))
        return known[1]

    def _follow(self, alarm: Alarm, at: float) -> bool:
        rule = rules.parse(alarm["AlarmRule"])
        state = State.ALARM if rule.holds(self.state) else State.OK
        if state == alarm["StateValue"]:
            return False
        children = [self._alarms().get(name) or self._composites().get(name) for name in rule.names]
        there = [child for child in children if child]
        reason, data = wording.composite_reason(alarm, there, state)
        self.transit(alarm, state, reason, data, at)
        return True

    def _release(self, alarm: Alarm, at: float) -> None:
        """Perform actions that were held back, once neither the suppressor nor a period holds them."""
        suppressor = alarm.get("ActionsSuppressor")
        if not suppressor:
            return
        memory = alarm.setdefault(MEMORY, {"announced": alarm["StateValue"]})
        suppressing = self.state(suppressor.split(":", 6)[-1]) is State.ALARM
        if memory.get("suppressing") and not suppressing:
            memory["released"] = at
        memory["suppressing"] = suppressing
        by = _held_by(alarm, memory, at, suppressing=suppressing)
        for name in ("ActionsSuppressedBy", "ActionsSuppressedReason"):
            alarm.pop(name, None)
        if memory["announced"] == alarm["StateValue"]:
            return
        if by:
            alarm |= {"ActionsSuppressedBy": by, "ActionsSuppressedReason": f"Actions suppressed by {by}"}
            return
        before, memory["announced"] = memory["announced"], alarm["StateValue"]
        if alarm.get("ActionsEnabled", True):
            self._sink.act(alarm, {"StateValue": before}, at)


def _held_by(alarm: Alarm, memory: Alarm, at: float, *, suppressing: bool) -> str | None:
    if suppressing:
        return "Alarm"
    released, changed = memory.get("released"), memory.get("changed")
    if released is not None and at < released + int(alarm.get("ActionsSuppressorExtensionPeriod") or 0):
        return "ExtensionPeriod"
    if changed is not None and at < changed + int(alarm.get("ActionsSuppressorWaitPeriod") or 0):
        return "WaitPeriod"
    return None


def _told(
    watched: Definition, decision: Decision, old: State, seen: list[tuple[float, float | None, bool]]
) -> wording.Told:
    """Return what a reason tells. `seen` are the evaluated data points, newest first, and whether they make the state."""
    evaluated = [(at, value, makes) for at, value, makes in seen if value is not None]
    return wording.Told(
        old=old,
        new=decision.state,
        telling=tuple((at, value) for at, value, makes in evaluated if makes),
        evaluated=tuple((at, value) for at, value, _ in evaluated),
        filled=decision.filled,
        periods=watched.periods,
        to_alarm=watched.to_alarm,
        operator=watched.operator,
        threshold=watched.threshold,
        missing=watched.missing,
        period=watched.period,
    )
