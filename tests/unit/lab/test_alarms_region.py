"""The alarms of a region follow their metrics and each other, and act once on each transition."""

import json
import time
from typing import Any

import pytest

from pgdrill.lab.cloudwatch import alarms
from pgdrill.lab.cloudwatch.alarms import Alarm, Region
from pgdrill.lab.cloudwatch.evaluation import State
from pgdrill.lab.cloudwatch.metrics import Metric, Metrics, Unknown

T0 = 1_790_000_040.0  # a whole minute
MINUTE, HOUR, DAY = 60, 3_600, 86_400
AGE = Metric("pgdrill", "Age", frozenset())


class Told:
    """A sink that writes down (time, alarm, state before, state after)."""

    def __init__(self) -> None:
        self.changes: list[tuple[float, str, str, str]] = []
        self.acts: list[tuple[float, str, str, str]] = []

    def changed(self, alarm: Alarm, before: Alarm, at: float) -> None:
        self.changes.append((at - T0, alarm["AlarmName"], before["StateValue"], alarm["StateValue"]))

    def act(self, alarm: Alarm, before: Alarm, at: float) -> None:
        self.acts.append((at - T0, alarm["AlarmName"], before["StateValue"], alarm["StateValue"]))


class Ground:
    """A region with what it is made of."""

    def __init__(self) -> None:
        self.alarms: dict[str, Alarm] = {}
        self.composites: dict[str, Alarm] = {}
        self.told = Told()
        self.metrics = Metrics()
        self.region = Region(self.metrics, lambda: self.alarms, lambda: self.composites, self.told)

    def put(self, name: str, **members: Any) -> Alarm:
        self.alarms[name] = shown(name) | metric_alarm() | members
        return self.alarms[name]

    def compose(self, name: str, rule: str, **members: Any) -> Alarm:
        self.composites[name] = shown(name) | {"AlarmRule": rule} | members
        return self.composites[name]

    def turn(self, name: str, state: str, after: float) -> None:
        """Bring a metric alarm to a state by hand, and what follows from it."""
        self.region.transit(self.alarms[name], State(state), "by hand", None, T0 + after)
        self.region.settle(T0 + after)

    def acted(self, name: str) -> list[tuple[float, str]]:
        return [(at, after) for at, alarm, _, after in self.told.acts if alarm == name]


def shown(name: str) -> Alarm:
    return {
        "AlarmName": name,
        "AlarmArn": f"arn:aws:cloudwatch:ap-southeast-1:000000000000:alarm:{name}",
        "StateValue": "INSUFFICIENT_DATA",
        "StateReason": "Unchecked: Initial alarm creation",
        "StateUpdatedTimestamp": T0,
        "AlarmConfigurationUpdatedTimestamp": T0,
    }


def metric_alarm() -> Alarm:
    return {
        "Namespace": "pgdrill",
        "MetricName": "Age",
        "Dimensions": [],
        "Statistic": "Maximum",
        "Period": 60,
        "EvaluationPeriods": 1,
        "Threshold": 10.0,
        "ComparisonOperator": "GreaterThanThreshold",
    }


@pytest.fixture
def ground() -> Ground:
    return Ground()


def test_windows_end_with_the_last_whole_minute(ground: Ground) -> None:
    """As in AWS's own example: asked at 17:04:40 about 5 minutes, the data point starts at 16:59:00."""
    alarm = ground.put("slides", Period=300)
    ground.metrics.put(AGE, T0 - 300, 99)
    ground.region.evaluate(T0 + 40)
    data = json.loads(alarm["StateReasonData"])
    assert alarm["StateValue"] == "ALARM"
    assert data["startDate"] == "2026-09-21T14:09:00.000+0000"
    assert (data["period"], data["recentDatapoints"], data["threshold"]) == (300, [99.0], 10.0)


def test_a_data_point_that_is_not_over_is_not_looked_at(ground: Ground) -> None:
    ground.put("early", TreatMissingData="missing")
    ground.metrics.put(AGE, T0 + 1, 99)
    ground.region.evaluate(T0 + 59)
    assert ground.told.changes == []
    ground.region.evaluate(T0 + 60)
    assert ground.told.changes == [(60, "early", "INSUFFICIENT_DATA", "ALARM")]


@pytest.mark.parametrize(
    ("operator", "breaching"),
    [
        ("GreaterThanThreshold", [11]),
        ("GreaterThanOrEqualToThreshold", [10, 11]),
        ("LessThanThreshold", [9]),
        ("LessThanOrEqualToThreshold", [9, 10]),
    ],
)
def test_a_value_is_compared_as_the_operator_says(
    ground: Ground, operator: str, breaching: list[float]
) -> None:
    alarm = ground.put("compares", ComparisonOperator=operator)
    found = []
    for minute, value in enumerate((9, 10, 11), start=1):
        ground.metrics.put(AGE, T0 + minute * MINUTE, value)
        ground.region.evaluate(T0 + (minute + 1) * MINUTE)
        if alarm["StateValue"] == "ALARM":
            found.append(value)
    assert found == breaching


def test_m_of_n_need_not_be_one_after_another(ground: Ground) -> None:
    alarm = ground.put("m-of-n", EvaluationPeriods=3, DatapointsToAlarm=2)
    states = []
    for minute, value in enumerate((1, 99, 1, 99, 1, 1)):
        ground.metrics.put(AGE, T0 + minute * MINUTE, value)
        ground.region.evaluate(T0 + (minute + 1) * MINUTE)
        states.append(alarm["StateValue"])
    assert states == ["OK", "OK", "OK", "ALARM", "OK", "OK"]
    assert alarm["StateReason"] == (
        "Threshold Crossed: 2 out of the last 3 datapoints [1.0 (21/09/26 14:18:00), 1.0 (21/09/26 14:16:00)] were "
        "not greater than the threshold (10.0) (minimum 2 datapoints for ALARM -> OK transition)."
    )


def test_silence_is_told_after_one_period_where_gaps_are_filled(ground: Ground) -> None:
    """Missing data that breach are told of two periods later, since AWS looks that much further back."""
    stat = {"Metric": {"Namespace": "pgdrill", "MetricName": "Age"}, "Period": 300, "Stat": "Maximum"}
    queries = [
        {"Id": "age", "MetricStat": stat, "ReturnData": False},
        {"Id": "filled", "Expression": "FILL(age, 86400)", "ReturnData": True},
    ]
    plain = ground.put("plain", Period=300, TreatMissingData="breaching")
    filled = ground.put("filled", Metrics=queries, TreatMissingData="breaching")
    told: dict[str, int] = {}
    ground.metrics.put(AGE, T0, 1)
    for minute in range(1, 31):
        ground.region.evaluate(T0 + minute * MINUTE)
        for alarm in (plain, filled):
            if alarm["StateValue"] == "ALARM" and minute >= 5:
                told.setdefault(alarm["AlarmName"], minute)
    assert told == {"filled": 6, "plain": 16}


def test_an_alarm_acts_once_on_each_transition(ground: Ground) -> None:
    ground.put("acts")
    for minute, value in enumerate((1, 99, 99, 99, 1)):
        ground.metrics.put(AGE, T0 + minute * MINUTE, value)
        for second in (60, 70, 80):
            ground.region.evaluate(T0 + minute * MINUTE + second)
    assert ground.told.acts == [
        (60, "acts", "INSUFFICIENT_DATA", "OK"),
        (120, "acts", "OK", "ALARM"),
        (300, "acts", "ALARM", "OK"),
    ]


def test_an_alarm_whose_actions_are_disabled_changes_and_does_not_act(ground: Ground) -> None:
    ground.put("silenced", ActionsEnabled=False)
    ground.compose("above", "ALARM(silenced)", ActionsEnabled=False)
    ground.metrics.put(AGE, T0, 99)
    ground.region.evaluate(T0 + 60)
    assert [name for _, name, _, _ in ground.told.changes] == ["silenced", "above"]
    assert ground.told.acts == []


@pytest.mark.parametrize(("patient", "first"), [(False, 120), (True, 300)])
def test_an_alarm_waits_for_data_while_it_warms_up(ground: Ground, *, patient: bool, first: int) -> None:
    warming = {"WarmUpPeriodDurationInMinutes": 5, "OnlyStartEvaluatingAfterWarmUpPeriodEnds": patient}
    ground.put("warms", TreatMissingData="breaching", WarmUpConfiguration=warming, **{alarms.CREATED: T0})
    ground.metrics.put(AGE, T0 + 60, 1)
    for minute in range(10):
        ground.region.evaluate(T0 + minute * MINUTE)
    after = "OK" if first == 120 else "ALARM"
    assert ground.told.changes[0] == (first, "warms", "INSUFFICIENT_DATA", after)


def test_an_expression_may_need_one_that_comes_later(ground: Ground) -> None:
    stat = {"Metric": {"Namespace": "pgdrill", "MetricName": "Age"}, "Period": 60, "Stat": "Maximum"}
    queries = [
        {"Id": "twice", "Expression": "half * 4"},
        {"Id": "half", "Expression": "age / 2", "ReturnData": False},
        {"Id": "age", "MetricStat": stat, "ReturnData": False},
    ]
    alarm = ground.put("chain", Metrics=queries)
    ground.metrics.put(AGE, T0, 6)
    ground.region.evaluate(T0 + 60)
    assert json.loads(alarm["StateReasonData"])["recentDatapoints"] == [12.0]


@pytest.mark.parametrize(
    ("members", "why"),
    [
        ({"Period": 45}, "a period is 10, 20, 30 or a multiple of 60 seconds, not 45"),
        (
            {"Period": 300, "EvaluationPeriods": 289},
            "periods of 300 seconds may be evaluated over 86400 seconds",
        ),
        (
            {"Period": 3600, "EvaluationPeriods": 169},
            "periods of 3600 seconds may be evaluated over 604800 seconds",
        ),
        ({"DatapointsToAlarm": 2}, "2 of 1 data points cannot breach"),
        ({"ComparisonOperator": "GreaterThanUpperThreshold"}, "the lab does not compare by"),
        ({"ThresholdMetricId": "band"}, "the lab does not evaluate alarms with ThresholdMetricId"),
        (
            {"EvaluationWindow": {"WallClockWindow": {}}},
            "the lab evaluates alarms with sliding windows alone",
        ),
        ({"Statistic": "Median"}, "the lab has no statistic 'Median'"),
        ({"Metrics": [{"Id": "e1", "Expression": "m1"}]}, "an alarm watches one expression or metric"),
    ],
)
def test_an_alarm_that_cannot_be_evaluated_is_refused(members: Alarm, why: str) -> None:
    with pytest.raises(Unknown, match=why):
        alarms.definition(metric_alarm() | members)


def test_a_composite_follows_its_children_and_theirs(ground: Ground) -> None:
    ground.put("a")
    ground.put("b")
    ground.compose("top", "ALARM(both) OR FALSE")
    ground.compose("both", "ALARM(a) AND ALARM(b)")
    ground.region.settle(T0)
    ground.turn("a", "ALARM", 60)
    ground.turn("b", "ALARM", 120)
    ground.turn("a", "OK", 180)
    assert ground.acted("top") == [(0, "OK"), (120, "ALARM"), (180, "OK")]
    assert ground.composites["both"]["StateReason"] == (
        f"{ground.alarms['a']['AlarmArn']} transitioned to OK at Monday 21 September, 2026 14:17:00 UTC"
    )


def test_composites_in_a_circle_end(ground: Ground) -> None:
    ground.compose("one", "NOT ALARM(two)")
    ground.compose("two", "ALARM(one)")
    ground.region.settle(T0)
    assert len(ground.told.changes) <= 4


# What follows is CloudWatch User Guide, "Suppressing composite alarm actions", with waiting and extension of 6 minutes.
WAIT = {"ActionsSuppressor": "suppressor"} | dict.fromkeys(
    ("ActionsSuppressorWaitPeriod", "ActionsSuppressorExtensionPeriod"), 360
)


def suppressed(ground: Ground, *turns: tuple[float, str, str]) -> list[tuple[float, str]]:
    """Turn the child or the suppressor at minutes, all OK at the start; return when the composite acted."""
    for name in ("child", "suppressor"):
        ground.put(name, StateValue="OK")
    ground.compose("composite", "ALARM(child)", StateValue="OK", **WAIT)
    due = {minute: (name, state) for minute, name, state in turns}
    for minute in range(31):
        ground.region.settle(T0 + minute * MINUTE)
        if minute in due:
            ground.turn(*due[minute], minute * MINUTE)
    return [(at / MINUTE, state) for at, state in ground.acted("composite")]


def test_actions_are_taken_after_the_wait_period(ground: Ground) -> None:
    assert suppressed(ground, (2, "child", "ALARM")) == [(8, "ALARM")]


def test_actions_are_suppressed_by_an_alarm_that_comes_while_waiting(ground: Ground) -> None:
    assert suppressed(ground, (2, "child", "ALARM"), (4, "suppressor", "ALARM")) == []
    assert ground.composites["composite"]["ActionsSuppressedBy"] == "Alarm"
    assert ground.composites["composite"]["StateValue"] == "ALARM"


def test_what_is_over_before_the_wait_period_is_not_told(ground: Ground) -> None:
    assert suppressed(ground, (2, "child", "ALARM"), (6, "child", "OK")) == []
    assert "ActionsSuppressedBy" not in ground.composites["composite"]


def test_actions_are_taken_after_the_extension_period(ground: Ground) -> None:
    turns = [(1, "suppressor", "ALARM"), (4, "child", "ALARM"), (8, "suppressor", "OK")]
    assert suppressed(ground, *turns) == [(14, "ALARM")]


def test_what_is_over_within_the_extension_period_is_not_told(ground: Ground) -> None:
    turns = [(1, "suppressor", "ALARM"), (4, "child", "ALARM"), (8, "suppressor", "OK"), (10, "child", "OK")]
    assert suppressed(ground, *turns) == []


def test_without_a_suppressor_in_alarm_both_ways_are_told(ground: Ground) -> None:
    assert suppressed(ground, (2, "child", "ALARM"), (12, "child", "OK")) == [(8, "ALARM"), (18, "OK")]


def test_a_week_of_sixty_alarms_passes_in_a_second_or_two(ground: Ground) -> None:
    """Every five minutes a datum for each, and a look; one alarm fires on the one day that is made bad."""
    names = [Metric("pgdrill", "Age", frozenset({("Database", f"d{number}")})) for number in range(60)]
    for metric in names:
        dimensions = [{"Name": name, "Value": value} for name, value in metric.dimensions]
        ground.put(f"age-{dimensions[0]['Value']}", Dimensions=dimensions, Period=300)
    began = time.perf_counter()
    for at in range(0, 7 * DAY, 300):
        for metric in names:
            bad = metric is names[7] and 3 * DAY <= at < 4 * DAY
            ground.metrics.put(metric, T0 + at, 99 if bad else 1)
        ground.region.evaluate(T0 + at + 300)
    took = time.perf_counter() - began
    alarmed = [(at // DAY, name) for at, name, _, after in ground.told.acts if after == "ALARM"]
    assert alarmed == [(3, "age-d7")]
    assert took < 15, f"{took:.1f} s"
