"""A silence mutes every alarm that tells somebody, in its time alone, and both topics hear of its begin and end."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pgdrill.lab.cloudwatch.mutes import mute
from pgdrill.messages import Kind, Reply
from pgdrill.sections import Silence
from settings import load
from silences import ahead, schedule
from tests.infra.program import REGIONS, SETTINGS, Run, program

MUTE, ALARM = "aws:cloudwatch/alarmMuteRule:AlarmMuteRule", "aws:cloudwatch/metricAlarm:MetricAlarm"
SCHEDULE = "aws:scheduler/schedule:Schedule"
NOW = datetime.now(UTC).replace(second=0, microsecond=0)
BEGINS, ENDS = NOW + timedelta(days=1), NOW + timedelta(days=1, hours=2, minutes=30)


def silence(begins: datetime, ends: datetime) -> dict[str, str]:
    return {"begins": begins.isoformat(), "ends": ends.isoformat(), "reason": "storage is exchanged"}


@pytest.fixture(scope="module")
def silenced() -> Run:
    """The whole program with a silence ahead, and one that is over."""
    over = silence(NOW - timedelta(days=2), NOW - timedelta(days=1))
    return program(SETTINGS | {"notify": {"silence": [silence(BEGINS, ENDS), over]}})


def mutes(run: Run, region: str) -> list[dict[str, Any]]:
    return [one.inputs for one in run.of(MUTE, region)]


@pytest.mark.parametrize("region", REGIONS)
def test_every_alarm_is_muted_in_that_time_and_in_no_other(silenced: Run, region: str) -> None:
    asked = [
        mute(
            {
                "Rule": {
                    "Schedule": {name.capitalize(): value for name, value in one["rule"]["schedule"].items()}
                },
                "MuteTargets": {"AlarmNames": one["muteTargets"]["alarmNames"]},
                "ExpireDate": datetime.fromisoformat(one["expireDate"]).timestamp(),
            }
        )
        for one in mutes(silenced, region)
    ]
    assert {(one.begins, one.ends) for one in asked} == {(BEGINS.timestamp(), ENDS.timestamp())}
    assert {name for one in asked for name in one.names} == {
        one.inputs["name"] for one in silenced.of(ALARM, region)
    }


@pytest.mark.parametrize("region", REGIONS)
def test_begin_and_end_are_told_to_both_topics_with_the_reason(silenced: Run, region: str) -> None:
    made = [one.inputs for one in silenced.of(SCHEDULE, region) if "silence" in one.inputs["name"]]
    assert {one["scheduleExpression"] for one in made} == {
        f"at({moment:%Y-%m-%dT%H:%M:%S})" for moment in (BEGINS, ENDS)
    }
    for one in made:
        assert one["target"]["arn"].endswith(":stateMachine:pgdrill-test-publish")
        reply = Reply.model_validate(json.loads(one["target"]["input"])["reply"])
        assert {message.kind for message in reply.messages} == set(Kind)
        assert all("storage is exchanged" in message.text for message in reply.messages)


@pytest.mark.parametrize("region", REGIONS)
def test_only_who_tells_of_silences_may_start_what_tells(whole: Run, silenced: Run, region: str) -> None:
    cell = "primary" if region == REGIONS[0] else "dr"
    publish = ":stateMachine:pgdrill-test-publish"
    may = [
        publish in json.dumps(run.one("aws:iam/rolePolicy:RolePolicy", f"{cell}-scheduler").inputs["policy"])
        for run in (whole, silenced)
    ]
    assert may == [False, True]


def test_nothing_is_muted_without_a_silence(whole: Run) -> None:
    assert whole.of(MUTE) == []


def test_what_is_over_is_taken_away() -> None:
    settings = load(SETTINGS | {"notify": {"silence": [silence(BEGINS, ENDS)]}})
    assert ahead(settings, ENDS - timedelta(minutes=1)) == list(settings.notify.silences)
    assert ahead(settings, ENDS) == []


@pytest.mark.parametrize(
    ("minutes", "duration"),
    [(1, "PT1M"), (120, "PT2H"), (150, "PT2H30M"), (1440, "P1D"), (21_600, "P15D"), (1501, "P1DT1H1M")],
)
def test_a_time_is_written_as_cloudwatch_takes_it(minutes: int, duration: str) -> None:
    one = Silence(begins=BEGINS, ends=BEGINS + timedelta(minutes=minutes), reason="storage is exchanged")
    assert schedule(one)["duration"] == duration
