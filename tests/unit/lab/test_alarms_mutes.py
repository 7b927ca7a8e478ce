"""A muted alarm goes on being evaluated, tells nobody in that time, and then what it came to."""

from typing import Any

import pytest

from pgdrill.lab.cloudwatch.alarms import Region
from pgdrill.lab.cloudwatch.metrics import Unknown
from pgdrill.lab.cloudwatch.mutes import Mute, mute
from tests.unit.lab.test_alarms_region import HOUR, MINUTE, T0, Ground


def asked(expression: str = "at(2026-11-24T20:00)", duration: str = "PT2H", **more: Any) -> dict[str, Any]:
    schedule = {"Expression": expression, "Duration": duration, "Timezone": "UTC"}
    return {"Name": "quiet", "Rule": {"Schedule": schedule}, "MuteTargets": {"AlarmNames": ["a"]}} | more


@pytest.mark.parametrize(
    ("duration", "lasts"),
    [("PT1M", 60), ("PT2H", 7_200), ("PT2H30M", 9_000), ("P1DT1M", 86_460), ("P15D", 1_296_000)],
)
def test_a_rule_mutes_for_as_long_as_it_says(duration: str, lasts: float) -> None:
    made = mute(asked(duration=duration))
    assert made.ends - made.begins == lasts
    assert made.holds("a", made.begins)
    assert not made.holds("a", made.ends)
    assert not made.holds("a", made.begins - 1)
    assert not made.holds("b", made.begins)


def test_a_rule_that_expires_mutes_no_longer() -> None:
    begins = mute(asked()).begins
    assert mute(asked(ExpireDate=begins + 60)).ends == begins + 60


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (asked("cron(0 2 * * *)"), "the lab mutes once, at(...) in UTC, not cron(0 2 * * *)"),
        (asked(duration="P"), "'P' is no duration, such as PT2H"),
        (asked(duration="P15DT1M"), "alarms are muted for a minute to 15 days, not 15 days, 0:01:00"),
        (
            asked(MuteTargets={"AlarmNames": [str(number) for number in range(101)]}),
            "a rule mutes 100 alarms at most, not 101",
        ),
    ],
)
def test_what_aws_refuses_is_refused(rule: dict[str, Any], message: str) -> None:
    with pytest.raises(Unknown) as raised:
        mute(rule)
    assert str(raised.value) == message


@pytest.fixture
def ground() -> Ground:
    """A region with the alarm `a`, muted for the first hour."""
    made = Ground()
    quiet = Mute(frozenset({"a"}), T0, T0 + HOUR)
    made.region = Region(
        made.metrics, lambda: made.alarms, lambda: made.composites, made.told, mutes=lambda: [quiet]
    )
    made.put("a")
    made.put("b")
    return made


def test_a_muted_alarm_changes_and_tells_nobody_until_the_time_is_over(ground: Ground) -> None:
    for name in ("a", "b"):
        ground.turn(name, "ALARM", 10 * MINUTE)
    assert [name for _, name, _, _ in ground.told.changes] == ["a", "b"]
    assert ground.acted("a") == []
    assert ground.acted("b") == [(10 * MINUTE, "ALARM")]
    ground.region.settle(T0 + HOUR - 1)
    assert ground.acted("a") == []
    ground.region.settle(T0 + HOUR)
    ground.region.settle(T0 + HOUR + MINUTE)
    assert ground.acted("a") == [(HOUR, "ALARM")]


def test_what_is_well_again_when_the_time_is_over_was_never_told(ground: Ground) -> None:
    before = ground.alarms["a"]["StateValue"]
    ground.turn("a", "ALARM", 10 * MINUTE)
    ground.turn("a", before, 20 * MINUTE)
    ground.region.settle(T0 + HOUR)
    assert ground.acted("a") == []


def test_after_the_time_everything_is_told_at_once(ground: Ground) -> None:
    ground.turn("a", "ALARM", HOUR + MINUTE)
    assert ground.acted("a") == [(HOUR + MINUTE, "ALARM")]
