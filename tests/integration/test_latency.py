"""How soon every deployed alarm is told, reckoned from what AWS answers of it and of what feeds it: under 15 minutes."""

import json
from datetime import timedelta
from typing import Any

import pytest

from pgdrill.plan import Plan
from pgdrill.watching import alarms, latency
from pgdrill.watching.alarm_model import ROUND, TOLD_WITHIN, WATCH, Alarm
from pgdrill.watching.alarms import BY_NAME
from pgdrill.watching.latency import Rounds
from tests.integration.deployed import Cell, Deployment

# What an age that is over its threshold is late for: the threshold less the rhythm of what comes too late.
RHYTHMS = {"ledger-silent": "beat", "other-cell-silent": "watch"}
# Where no schedule of ours says it: RDS ships its log, and the canary flies.
KNOWN = {"restorable-late": timedelta(minutes=5), "canary-missing": timedelta(days=1)}


@pytest.fixture(scope="module")
def plan(deployment: Deployment) -> Plan:
    return Plan.model_validate(deployment.plan)


def deployed(cell: Cell) -> dict[str, Any]:
    """Return the cell's metric alarms, by their names without the stem."""
    stem = f"pgdrill-{cell.suffix}-"
    found = cell.pages("cloudwatch", "describe_alarms", "MetricAlarms", AlarmNamePrefix=stem)
    return {one["AlarmName"].removeprefix(stem): one for one in found}


def kind(name: str) -> Alarm:
    return max((one for one in BY_NAME.values() if name.startswith(one.name)), key=lambda one: len(one.name))


def every(cell: Cell, thing: str) -> timedelta:
    name, group = f"pgdrill-{cell.suffix}-{thing}", cell["ScheduleGroup"]
    schedule = cell.client("scheduler").get_schedule(Name=name, GroupName=group)
    assert schedule["State"] == "ENABLED"
    return latency.every(schedule["ScheduleExpression"])


def timeouts(cell: Cell) -> dict[str, timedelta]:
    """Return by ARN how long each published function may run."""
    functions = cell.client("lambda")
    return {
        arn: timedelta(seconds=functions.get_function_configuration(FunctionName=arn)["Timeout"])
        for arn in cell.named("FunctionArn").values()
    }


def longest(cell: Cell, machine: str) -> timedelta:
    states = cell.client("stepfunctions")
    described = states.describe_state_machine(stateMachineArn=cell[f"{machine}MachineArn"])
    return latency.longest(json.loads(described["definition"]), timeouts(cell))


@pytest.fixture
def rounds(cell: Cell) -> Rounds:
    """How often the watch looks, and how long it takes until what it saw is published."""
    return Rounds(every(cell, "watch"), longest(cell, "Watch") + longest(cell, "Publish"))


def test_a_round_of_the_watch_takes_no_longer_than_the_table_says(rounds: Rounds) -> None:
    assert rounds.every == WATCH
    assert rounds.take <= ROUND


def test_the_alarms_of_the_table_are_deployed_and_no_others(cell: Cell, plan: Plan) -> None:
    names = {arn: name.lower() for name, arn in cell.named("FunctionArn").items()}
    functions = {names[arn]: int(limit.total_seconds()) for arn, limit in timeouts(cell).items()}
    machines = tuple(name.lower() for name in cell.named("MachineArn"))
    wanted = alarms.of_cell(plan, cell.region, functions, machines)
    assert set(deployed(cell)) == {
        f"{alarm.name}-{subject.name}" if subject.name else alarm.name for alarm, subject in wanted
    }


def test_every_alarm_is_told_within_fifteen_minutes_and_as_the_table_says(
    cell: Cell, plan: Plan, rounds: Rounds
) -> None:
    reckoned, promised = {}, {}
    for name, alarm in deployed(cell).items():
        of = kind(name)
        rhythm = every(cell, RHYTHMS[of.name]) if of.name in RHYTHMS else KNOWN.get(of.name)
        late = timedelta(seconds=alarm["Threshold"]) - rhythm if rhythm else timedelta(0)
        reckoned[name] = latency.told_after(alarm, rounds, late)
        promised[name] = of.told_after(plan)
    assert {name: took for name, took in reckoned.items() if took > promised[name]} == {}
    assert max(reckoned.values()) < TOLD_WITHIN
