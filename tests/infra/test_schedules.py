"""What starts when, for any legal plan: every slot is met, nothing else falls on one, all in UTC."""

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from ministack.services import eventbridge

from pgdrill import slots
from pgdrill.errors import PlanError
from schedules import DAY, Planned, drilling, planned
from settings import Settings, load
from tests.infra.program import SETTINGS, Resource, Run

SCHEDULE = "aws:scheduler/schedule:Schedule"
EVERY = ("1h", "2h", "3h", "4h", "6h", "8h", "12h", "24h")
MIDNIGHT = datetime(2026, 11, 23, tzinfo=UTC)


def settings(**changed: Any) -> Settings:
    return load(SETTINGS | changed)


def times(expression: str, since: datetime, until: datetime) -> list[datetime]:
    """Return when a cron expression fires, as an independent reader of it says."""
    fields = eventbridge._parse_cron_fields(expression)
    found, moment = [], eventbridge._cron_next_fire(fields, since - timedelta(minutes=1))
    while moment is not None and moment < until:
        found.append(moment)
        moment = eventbridge._cron_next_fire(fields, moment)
    return found


def of(given_settings: Settings, job: str, *, primary: bool = True) -> Planned:
    return next(one for one in planned(given_settings, primary=primary) if one.job == job)


plans = st.builds(
    lambda every, minute: settings(points={"every": every, "offset": f"{minute % (60 * int(every[:-1]))}m"}),
    st.sampled_from(EVERY),
    st.integers(0, 1439),
)


@given(plan=plans)
@hypothesis_settings(max_examples=60, deadline=None)
def test_a_point_is_taken_at_every_slot_and_at_no_other_time(plan: Settings) -> None:
    fired = times(of(plan, "take").expression, MIDNIGHT, MIDNIGHT + DAY)
    assert fired == list(slots.slots(plan.points, MIDNIGHT, MIDNIGHT + DAY))


@given(plan=plans)
@hypothesis_settings(max_examples=60, deadline=None)
def test_a_seal_is_taken_half_way_between_two_slots(plan: Settings) -> None:
    fired = times(of(plan, "seal").expression, MIDNIGHT, MIDNIGHT + DAY)
    halves = {
        (slot + plan.points.every / 2).time() for slot in slots.slots(plan.points, MIDNIGHT, MIDNIGHT + DAY)
    }
    assert {moment.time() for moment in fired} == halves
    assert len(fired) == DAY // plan.points.every


@given(plan=plans, name=st.from_regex(r"[a-z][a-z0-9]{0,24}", fullmatch=True), primary=st.booleans())
@hypothesis_settings(max_examples=60, deadline=None)
def test_a_drill_falls_on_no_slot_and_no_seal(plan: Settings, name: str, primary: bool) -> None:  # drawn
    database = plan.databases[0].model_copy(update={"name": name})
    every = plan.drill.every if primary else plan.drill.dr_every
    fired = times(drilling(plan, database, "drill.every", every), MIDNIGHT, MIDNIGHT + 62 * DAY)
    assert len(fired) >= (8 if primary else 2)
    for moment in fired:
        after = moment - slots.slot_of(plan.points, moment)
        assert after in {plan.points.every / 4, plan.points.every * 3 / 4}


@given(plan=plans)
@hypothesis_settings(max_examples=60, deadline=None)
def test_retention_runs_each_hour_clear_of_slots(plan: Settings) -> None:
    fired = times(of(plan, "retain").expression, MIDNIGHT, MIDNIGHT + DAY)
    assert len(fired) == 24
    for moment in fired:
        slot = slots.slot_of(plan.points, moment)
        assert min(moment - slot, slot + plan.points.every - moment) >= timedelta(minutes=5)


@pytest.mark.parametrize(
    ("every", "days", "least", "most"),
    [("1d", 30, 30, 30), ("7d", 70, 10, 10), ("30d", 365, 12, 12), ("90d", 365, 4, 4), ("365d", 730, 2, 2)],
)
def test_a_drill_comes_as_often_as_the_plan_says(every: str, days: int, least: int, most: int) -> None:
    plan = settings(drill={"every": every})
    fired = times(of(plan, "drill").expression, MIDNIGHT, MIDNIGHT + days * DAY)
    assert least <= len(fired) <= most


@pytest.mark.parametrize("every", ["10d", "36h", "1h"])
def test_a_rhythm_that_no_calendar_has_is_an_error(every: str) -> None:
    with pytest.raises(PlanError) as raised:
        list(planned(settings(drill={"dr_every": every}), primary=False))
    assert raised.value.message == f"drill.dr_every {every} is no rhythm of a calendar"
    assert raised.value.hint == "write 1d, 7d, 30d, 90d, 182d or 365d: daily, weekly, monthly, and so on"


def test_another_database_moves_no_drill() -> None:
    one = SETTINGS["database"][0]
    more = settings(database=[one | {"name": "a"}, one, one | {"name": "z"}])
    moved = {each.database: each.expression for each in planned(more, primary=True) if each.job == "drill"}
    assert moved["shop"] == of(settings(), "drill").expression
    assert len(moved) == 3


def test_what_the_plan_turns_off_has_no_schedule() -> None:
    one = SETTINGS["database"][0]
    plan = settings(exports={"schedule": "off"}, database=[one | {"ledger": "off"}])
    jobs = {each.job for each in planned(plan, primary=True)}
    assert {each.job for each in planned(settings(), primary=True)} - jobs == {"export", "beat"}


# Deployed ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cell", ["primary", "dr"])
def test_a_cell_has_the_schedules_that_the_plan_makes(whole: Run, cell: str) -> None:
    primary = cell == "primary"
    deployed = {one.inputs["name"]: one.inputs["scheduleExpression"] for one in _of(whole, cell)}
    expected = {
        f"pgdrill-test-{each.job}" + (f"-{each.database}" if each.database else ""): each.expression
        for each in planned(settings(), primary=primary)
    }
    assert deployed == expected
    assert ("pgdrill-test-copy" in deployed) != primary


@pytest.mark.parametrize("cell", ["primary", "dr"])
def test_a_schedule_starts_its_machine_in_utc_on_the_minute_and_loses_nothing(whole: Run, cell: str) -> None:
    machines = {one.outputs["arn"] for one in whole.of("aws:sfn/stateMachine:StateMachine")}
    queue = whole.one("aws:sqs/queue:Queue", f"{cell}-dead-letters").outputs["arn"]
    for one in _of(whole, cell):
        made = one.inputs
        job = made["name"].removeprefix("pgdrill-test-").partition("-")[0]
        assert made["scheduleExpressionTimezone"] == "UTC"
        assert made["flexibleTimeWindow"] == {"mode": "OFF"}
        assert made["groupName"] == "pgdrill-test"
        assert made["kmsKeyArn"] == whole.one("aws:kms/key:Key", f"{cell}-storage").outputs["arn"]
        target = made["target"]
        assert target["arn"].endswith(f":stateMachine:pgdrill-test-{job}")
        assert target["arn"] in machines
        assert target["roleArn"].endswith(f":role/pgdrill-test-scheduler-{made['region']}")
        assert target["deadLetterConfig"] == {"arn": queue}
        assert 60 <= target["retryPolicy"]["maximumEventAgeInSeconds"] <= 86_400
        assert 0 < target["retryPolicy"]["maximumRetryAttempts"] <= 185
        passed = json.loads(target["input"])
        assert passed.pop("due_at") == "<aws.scheduler.scheduled-time>"
        assert passed == ({"database": "shop"} if made["name"].endswith("-shop") else {})


def test_a_rate_is_spelled_as_scheduler_takes_it(whole: Run) -> None:
    spelled = {one.inputs["scheduleExpression"] for one in whole.of(SCHEDULE)}
    assert all(re.fullmatch(r"rate\((1 minute|\d+ minutes)\)|cron\([\d,*? A-Z]+\)", one) for one in spelled)


def _of(run: Run, cell: str) -> list[Resource]:
    return [one for one in run.of(SCHEDULE) if one.name.startswith(f"{cell}-")]
