"""The alarms of a cell are those of the table, told to the topic of what they are about, and say whether it could recover."""

from typing import Any

import pulumi
import pytest

from alarms import Alarms, arguments
from naming import Names
from pgdrill.messages import Kind
from pgdrill.watching import alarms as table
from settings import load
from tests.infra.program import ACCOUNT, REGIONS, SETTINGS, Resource, Run, run

HOME, AWAY = REGIONS
METRIC, COMPOSITE = "aws:cloudwatch/metricAlarm:MetricAlarm", "aws:cloudwatch/compositeAlarm:CompositeAlarm"
TOPICS = {kind: f"arn:aws:sns:{HOME}:{ACCOUNT}:pgdrill-test-{kind}" for kind in Kind}
MACHINES = {
    thing: f"arn:aws:states:{HOME}:{ACCOUNT}:stateMachine:pgdrill-test-{thing}" for thing in ("take", "drill")
}


def deploy(region: str, settings: dict[str, Any] = SETTINGS) -> Run:
    def build() -> pulumi.Output[str]:
        names = Names("test", region, ACCOUNT)
        return Alarms("cell", load(settings), names, machines=MACHINES, topics=TOPICS).recoverable

    return run(build)


@pytest.fixture(scope="module")
def home() -> Run:
    return deploy(HOME)


@pytest.fixture(scope="module")
def away() -> Run:
    return deploy(AWAY)


def by_name(deployed: Run) -> dict[str, Resource]:
    return {one.inputs["name"]: one for one in deployed.of(METRIC)}


def test_every_alarm_of_the_table_is_deployed_in_its_cell(home: Run, away: Run) -> None:
    kinds = {alarm.name for alarm in table.ALARMS}
    here, there = set(by_name(home)), set(by_name(away))
    assert {kind for kind in kinds if any(kind in name for name in here | there)} == kinds
    assert {"pgdrill-test-snapshot-late-shop", "pgdrill-test-machine-failed-take"} <= here
    assert {"pgdrill-test-copy-late-shop", "pgdrill-test-function-errors-copy"} <= there
    assert "pgdrill-test-function-errors-beat" in here - there


def test_an_alarm_is_in_its_region_and_carries_the_tags(away: Run) -> None:
    for one in away.managed():
        assert one.inputs["region"] == AWAY
        assert one.inputs["tags"]["EnvironmentSuffix"] == "test"
        assert one.inputs["tags"]["Name"] == one.inputs.get("name", one.inputs.get("alarmName"))


def test_an_alarm_is_told_to_the_topic_of_what_it_is_about_and_its_first_data_to_nobody(home: Run) -> None:
    deployed = by_name(home)
    for name, kind in (
        ("drill-failed-shop", Kind.DRILLS),
        ("snapshot-late-shop", Kind.BACKUPS),
        ("backups-unheard", Kind.DRILLS),
        ("drills-unheard", Kind.BACKUPS),
    ):
        inputs = deployed[f"pgdrill-test-{name}"].inputs
        assert inputs["alarmActions"] == [TOPICS[kind]]
    assert not any("okActions" in one.inputs for one in deployed.values())
    assert all(one.inputs["alarmActions"] for one in deployed.values())


def test_an_alarm_looks_at_the_very_metric(home: Run) -> None:
    deployed = by_name(home)
    late = deployed["pgdrill-test-snapshot-late-shop"].inputs
    assert (late["namespace"], late["metricName"]) == ("pgdrill", "SnapshotAge")
    assert late["dimensions"] == {"Suffix": "test", "Database": "shop"}
    assert (late["threshold"], late["period"], late["treatMissingData"]) == (22_500, 300, "breaching")
    errors = deployed["pgdrill-test-function-errors-take"].inputs
    assert (errors["namespace"], errors["metricName"]) == ("AWS/Lambda", "Errors")
    assert errors["dimensions"] == {"FunctionName": "pgdrill-test-take"}


def test_alarms_on_schedules_and_what_is_set_aside_look_at_this_deployments(home: Run) -> None:
    deployed = by_name(home)
    failing = deployed["pgdrill-test-schedule-failing"].inputs["metricQueries"][0]["metric"]
    assert (failing["namespace"], failing["dimensions"]) == (
        "AWS/Scheduler",
        {"ScheduleGroup": "pgdrill-test"},
    )
    aside = deployed["pgdrill-test-undelivered"].inputs
    assert (aside["namespace"], aside["dimensions"]) == (
        "AWS/SQS",
        {"QueueName": "pgdrill-test-dead-letters"},
    )


@pytest.mark.parametrize("kind", Kind)
def test_what_a_topic_could_not_tell_is_looked_at_by_the_name_it_has(home: Run, kind: Kind) -> None:
    unheard = by_name(home)[f"pgdrill-test-{kind}-unheard"].inputs
    assert (unheard["namespace"], unheard["metricName"]) == ("AWS/SNS", "NumberOfNotificationsFailed")
    assert unheard["dimensions"] == {"TopicName": TOPICS[kind].rpartition(":")[2]}


def test_what_is_added_up_or_filled_is_an_expression(home: Run) -> None:
    failed = by_name(home)["pgdrill-test-machine-failed-take"].inputs["metricQueries"]
    assert [query["metric"]["metricName"] for query in failed[:3]] == [
        "ExecutionsFailed",
        "ExecutionsTimedOut",
        "ExecutionsAborted",
    ]
    assert failed[0]["metric"]["dimensions"] == {"StateMachineArn": MACHINES["take"]}
    assert failed[3] == {"id": "looked_at", "expression": "SUM(FILL(METRICS(), 0))", "returnData": True}
    silent = by_name(home)["pgdrill-test-watch-silent"].inputs
    assert silent["metricQueries"][-1]["expression"] == "FILL(m1, 0)"
    assert silent["warmUpConfiguration"] == {
        "warmUpPeriodDurationInMinutes": 15,
        "onlyStartEvaluatingAfterWarmUpPeriodEnds": True,
    }


def test_a_cell_says_whether_it_could_recover(home: Run) -> None:
    (whole,) = home.of(COMPOSITE)
    assert whole.inputs["alarmName"] == "pgdrill-test-unrecoverable"
    assert 'ALARM("pgdrill-test-drill-failed-shop")' in whole.inputs["alarmRule"]
    assert home.result == whole.outputs["arn"]


def test_many_databases_are_several_rules_of_alarms_that_are_there() -> None:
    databases = [{"name": f"d{n}", "instance": f"i{n}", "secret": "s"} for n in range(34)]
    network = {"vpc": "v", "subnets": ["a", "b"], "security_group": "g"}
    many = deploy(HOME, SETTINGS | {"database": databases, "primary": {"network": network}})
    rules = [one.inputs["alarmRule"] for one in many.of(COMPOSITE)]
    assert len(rules) == 3
    there = {*by_name(many), *(one.inputs["alarmName"] for one in many.of(COMPOSITE))}
    named = {part.split('"')[1] for rule in rules for part in rule.split(" ") if '"' in part}
    assert named <= there


def test_a_request_is_the_arguments_of_the_resource() -> None:
    assert arguments({"AlarmName": "a", "TreatMissingData": "ignore"}) == {
        "name": "a",
        "treat_missing_data": "ignore",
    }
