"""What the cost table counts is what is deployed."""

import re

import pytest

from functions import BY_NAME
from pgdrill.planning import cost
from pgdrill.watching import storage
from pgdrill.watching.ages import measure
from schedules import planned
from settings import load
from tests.infra.program import SETTINGS, Run
from tests.infra.roles import AWAY, HOME
from tests.unit.watching import world

CELLS = {HOME: cost.DRILL_ENDPOINTS + cost.PRODUCTION_ENDPOINTS, AWAY: cost.DRILL_ENDPOINTS}
# Started by what the other cell tells, which is as often.
AS_TOLD = {"hear": "watch", "copy, as told": "watch"}


@pytest.mark.parametrize(("region", "endpoints"), CELLS.items())
def test_endpoints_zones_and_keys_are_counted(whole: Run, region: str, endpoints: int) -> None:
    made = [one.inputs for one in whole.of("aws:ec2/vpcEndpoint:VpcEndpoint", region)]
    interfaces = [one for one in made if one["vpcEndpointType"] == "Interface"]
    assert len(interfaces) == endpoints
    assert {len(one["subnetIds"]) for one in interfaces} == {cost.ZONES}
    assert len(whole.of("aws:kms/key:Key", region)) == cost.KEYS


@pytest.mark.parametrize("primary", [True, False])
def test_each_round_is_as_often_and_as_large_as_its_schedule_and_function(*, primary: bool) -> None:
    counted = cost.ROUNDS | (cost.PRIMARY_ROUNDS | {"beat": cost.BEAT} if primary else cost.DR_ROUNDS)
    often = {
        one.job: _minutes(one.expression)
        for one in planned(load(SETTINGS), primary=primary)
        if one.database is None
    }
    assert {name: one.minutes for name, one in counted.items()} == {
        **often,
        **{name: often[told] for name, told in AS_TOLD.items() if name in counted},
    }
    for name, one in counted.items():
        function = BY_NAME.get(name.partition(",")[0])
        assert one.gb == (function.memory / 1024 if function else 0)


@pytest.mark.parametrize("region", CELLS)
def test_alarms_are_counted_by_the_metrics_that_they_look_at(whole: Run, region: str) -> None:
    looked_at = sum(
        sum("metric" in query for query in one.inputs.get("metricQueries", [{"metric": None}]))
        for one in whole.of("aws:cloudwatch/metricAlarm:MetricAlarm", region)
    )
    composite = len(whole.of("aws:cloudwatch/compositeAlarm:CompositeAlarm", region))
    of_cell, of_each = cost.ALARMS[region == HOME]
    assert of_cell + of_each == looked_at + 5 * composite


@pytest.mark.parametrize("region", CELLS)
def test_metrics_are_counted_that_a_look_publishes(region: str) -> None:
    seen = world.look(region, world.FIRST + 20 * world.DAY)
    gathered = storage.stored(seen.own, [], world.PLAN)
    metrics = measure(seen.model_copy(update={"stored": gathered}), world.PLAN)
    of_databases = sum("Database" in metric.dimensions for metric in metrics)
    assert (len(metrics) - of_databases, of_databases) == cost.METRICS[region == HOME]


def test_a_drill_is_reckoned_with_the_memory_of_what_reads() -> None:
    assert BY_NAME["examine"].memory / 1024 == cost.EXAMINE_GB


def _minutes(expression: str) -> float:
    rate = re.fullmatch(r"rate\((\d+) minutes?\)", expression)
    if rate:
        return float(rate[1])
    if re.fullmatch(r"cron\(\d+ \d+ \* \* \? \*\)", expression):
        return 1440
    assert re.fullmatch(r"cron\(\d+ \* \* \* \? \*\)", expression)  # each hour
    return 60
