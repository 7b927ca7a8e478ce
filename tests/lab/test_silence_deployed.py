"""A silence of the deployed system: in its time no alarm of either cell is told, after it what still stands is."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import pytest

from pgdrill.lab.deploy.deploy import deploy, settings
from pgdrill.lab.deploy.deployment import Deployment
from pgdrill.lab.lab import Lab
from pgdrill.lab.record import REGIONS, Settings
from tests.lab.labs import MakeLab

MINUTE = timedelta(minutes=1)
BEGINS = datetime.now(UTC).replace(second=0, microsecond=0)
ENDS = BEGINS + timedelta(hours=2)
SILENCE = {"begins": BEGINS.isoformat(), "ends": ENDS.isoformat(), "reason": "a new switch"}
SILENT = {(region, "pgdrill-main-watch-silent") for region in REGIONS}


class Story(NamedTuple):
    """What alarms were told of, by region and name, and which stood: in the silence, and after it."""

    told_within: set[tuple[str, str]]
    stood_within: set[tuple[str, str]]
    told_after: set[tuple[str, str]]


@pytest.fixture(scope="module")
def lab(make_lab: MakeLab) -> Lab:
    lab = make_lab()
    lab.up(Settings(auth=True))
    lab.door.hold_schedules()
    # Time passes through the door from before there are alarms, so that none is looked at before the silence.
    lab.door.evaluate_alarms(BEGINS)
    deploy(lab, settings() | {"notify": {"silence": [SILENCE]}})
    return lab


@pytest.fixture(scope="module")
def story(lab: Lab) -> Iterator[Story]:
    lab.door.evaluate_alarms(ENDS - MINUTE, since=BEGINS)
    within, stood = told(lab), standing(lab)
    lab.door.evaluate_alarms(ENDS + MINUTE, since=ENDS - MINUTE)
    yield Story(within, stood, told(lab) - within)
    lab.door.alarms_go_on()


def told(lab: Lab) -> set[tuple[str, str]]:
    letters = [letter for letter in lab.door.inbox() if letter["subject"].startswith("ALARM")]
    return {(letter["region"], json.loads(letter["text"])["AlarmName"]) for letter in letters}


def standing(lab: Lab) -> set[tuple[str, str]]:
    return {
        (region, alarm["AlarmName"])
        for region in REGIONS
        for page in lab.client("cloudwatch", region).get_paginator("describe_alarms").paginate()
        for alarm in page["MetricAlarms"]
        if alarm["StateValue"] == "ALARM"
    }


def test_every_alarm_of_a_cell_that_tells_anybody_is_muted(lab: Lab) -> None:
    made = Deployment.read(lab.directory).resources
    for region in REGIONS:
        here = [one for one in made if one.region == region]
        alarms = {one.id for one in here if one.inputs.get("alarmActions")}
        rules = [one.inputs for one in here if one.type.endswith(":AlarmMuteRule")]
        assert {name for rule in rules for name in rule["muteTargets"]["alarmNames"]} == alarms


def test_nothing_is_told_in_a_silence_though_alarms_stand(story: Story) -> None:
    assert story.told_within == set()
    assert story.stood_within >= SILENT


def test_what_still_stands_is_told_when_it_is_over(story: Story) -> None:
    assert story.told_after >= SILENT


def test_that_it_is_over_is_told_to_both_topics_of_both_cells(lab: Lab) -> None:
    (ends,) = {
        one.id.rpartition("/")[2]
        for one in Deployment.read(lab.directory).resources
        if one.type.endswith(":Schedule") and one.id.endswith("-ends")
    }
    for region in REGIONS:
        assert lab.door.fire(ends, ENDS, region=region)["undelivered"] == ""
    lab.door.settle()
    letters = [letter for letter in lab.door.inbox() if "silence ends" in letter["subject"]]
    assert {(letter["region"], letter["topic"].rpartition("-")[2]) for letter in letters} == {
        (region, topic) for region in REGIONS for topic in ("backups", "drills")
    }
    assert all("They were silent for: a new switch" in letter["text"] for letter in letters)
