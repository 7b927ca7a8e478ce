"""What is reckoned from deployed definitions is what the table of alarms promises, and grows with what they wait for."""

from datetime import timedelta
from typing import Any

import pytest

from pgdrill.watching import alarm_model, alarms, latency
from pgdrill.watching.alarm_model import ROUND, WATCH, Alarm, Subject, Where
from pgdrill.watching.alarms import ALARMS
from pgdrill.watching.latency import Rounds
from tests.unit.plans import plan
from tests.unit.snapshots import AWAY, HOME
from tests.unit.watching.alerting import NAMES
from tests.unit.watching.watchman import dimensions

MINUTE = timedelta(minutes=1)
ROUNDS = Rounds(every=WATCH, take=ROUND)


def deployed(name: str, **changes: Any) -> dict[str, Any]:
    """Return an alarm of the table as DescribeAlarms shows it."""
    alarm = alarms.BY_NAME[name]
    subject = Subject(plan(), AWAY if alarm.where is Where.DR else HOME, NAMES[alarm.scope], 60)
    request = alarm_model.request(alarm, subject, name, dimensions(alarm, subject))
    return request | {"ActionsEnabled": True, "AlarmActions": ["topic"]} | changes


@pytest.mark.parametrize("alarm", ALARMS, ids=lambda alarm: alarm.name)
def test_the_table_promises_what_the_definition_holds(alarm: Alarm) -> None:
    reckoned = latency.told_after(deployed(alarm.name), ROUNDS, alarm.allowance)
    assert reckoned == alarm.told_after(plan())


def test_more_data_points_longer_periods_and_slower_rounds_take_longer() -> None:
    usual = latency.told_after(deployed("drill-failed"), ROUNDS)
    more = deployed("drill-failed", DatapointsToAlarm=3, EvaluationPeriods=3)
    assert latency.told_after(more, ROUNDS) == usual + 10 * MINUTE
    assert latency.told_after(deployed("drill-failed"), Rounds(15 * MINUTE, ROUND)) == usual + 10 * MINUTE
    longer = deployed("function-errors", Period=3600, EvaluationPeriods=2, DatapointsToAlarm=2)
    assert (
        latency.told_after(longer, ROUNDS)
        == latency.told_after(deployed("function-errors"), ROUNDS) + 60 * MINUTE
    )


def test_an_average_waits_until_the_good_values_are_gone() -> None:
    usual, average = deployed("drill-failed"), deployed("drill-failed", Statistic="Average")
    assert latency.told_after(average, ROUNDS) == latency.told_after(usual, ROUNDS) + 5 * MINUTE


@pytest.mark.parametrize(
    ("changes", "refused"),
    [
        ({"AlarmActions": []}, "alarm 'unseen' tells nobody"),
        ({"ActionsEnabled": False}, "alarm 'unseen' tells nobody"),
        ({"Namespace": "Mine"}, "alarm 'unseen' looks at 'Mine', published nobody knows when"),
    ],
)
def test_an_alarm_of_which_nothing_can_be_said_is_refused(changes: dict[str, Any], refused: str) -> None:
    with pytest.raises(ValueError, match=r"^alarm 'unseen'") as error:
        latency.told_after(deployed("unseen", **changes), ROUNDS)
    assert str(error.value) == refused


@pytest.mark.parametrize(
    ("expression", "rhythm"),
    [("rate(5 minutes)", 5 * MINUTE), ("rate(1 minute)", MINUTE), ("rate(1 hour)", 60 * MINUTE)],
)
def test_a_rate_is_a_rhythm(expression: str, rhythm: timedelta) -> None:
    assert latency.every(expression) == rhythm


def test_a_calendar_is_no_rhythm() -> None:
    with pytest.raises(ValueError, match=r"^'cron\(0 1 \* \* \? \*\)' is no rate$"):
        latency.every("cron(0 1 * * ? *)")


def task(seconds: int, following: str | None = None, **more: Any) -> dict[str, Any]:
    way = {"Next": following} if following else {"End": True}
    return {"Type": "Task", "TimeoutSeconds": seconds} | way | more


def test_the_longest_way_through_a_machine_is_that_of_its_timeouts() -> None:
    machine: dict[str, Any] = {
        "StartAt": "Look",
        "States": {
            "Look": task(90, "Anything?", Arguments={"FunctionName": "look"}),
            "Anything?": {
                "Type": "Choice",
                "Choices": [{"Condition": "", "Next": "Many"}],
                "Default": "Done",
            },
            "Many": {
                "Type": "Map",
                "ItemProcessor": {"StartAt": "One", "States": {"One": task(7)}},
                "Next": "Both",
            },
            "Both": {
                "Type": "Parallel",
                "Branches": [{"StartAt": "One", "States": {"One": task(n)}} for n in (5, 11)],
                "Next": "Done",
            },
            "Done": {"Type": "Succeed"},
        },
    }
    assert latency.longest(machine, {}) == timedelta(seconds=90 + 7 + 11)
    assert latency.longest(machine, {"look": timedelta(seconds=40)}) == timedelta(seconds=40 + 7 + 11)
    assert latency.longest(machine | {"TimeoutSeconds": 60}, {}) == MINUTE


@pytest.mark.parametrize("state", [{"Type": "Wait", "Seconds": 5}, {"Type": "Task", "End": True}])
def test_a_state_that_may_take_any_time_is_refused(state: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"^state 'Look' may take any time$"):
        latency.longest({"StartAt": "Look", "States": {"Look": state}}, {})
