"""The dashboard of a cell shows what is deployed there, in its own region, within what CloudWatch takes."""

import json
from typing import Any

import pulumi
import pytest

from alarms import Alarms
from dashboard import Dashboard
from machines import of_cell
from naming import Names
from pgdrill.messages import Kind
from settings import load
from tests.infra.program import ACCOUNT, REGIONS, SETTINGS, Run, run

HOME, AWAY = REGIONS
DASHBOARD = "aws:cloudwatch/dashboard:Dashboard"
TOPICS = {kind: f"arn:aws:sns:{HOME}:{ACCOUNT}:pgdrill-test-{kind}" for kind in Kind}


def deploy(region: str) -> Run:
    def build() -> pulumi.Output[str]:
        names, settings = Names("test", region, ACCOUNT), load(SETTINGS)
        machines = of_cell(primary=region == HOME)
        arns = {thing: names.arn("states", f"stateMachine:{names.thing(thing)}") for thing in machines}
        Dashboard("cell", settings, names, machines=tuple(machines))
        return Alarms("cell", settings, names, machines=arns, topics=TOPICS).recoverable

    return run(build)


@pytest.fixture(scope="module", params=REGIONS)
def cell(request: pytest.FixtureRequest) -> tuple[str, Run]:
    return request.param, deploy(request.param)


def body(deployed: Run) -> Any:
    (one,) = deployed.of(DASHBOARD)
    return json.loads(one.inputs["dashboardBody"])


def test_a_dashboard_is_named_after_its_region_since_dashboards_have_none(cell: tuple[str, Run]) -> None:
    region, deployed = cell
    (one,) = deployed.of(DASHBOARD, region)
    assert one.inputs["dashboardName"] == f"pgdrill-test-{region}"


def test_every_alarm_that_is_deployed_is_on_it_and_no_other(cell: tuple[str, Run]) -> None:
    region, deployed = cell
    shown = {
        arn
        for widget in body(deployed)["widgets"]
        if widget["type"] == "alarm"
        for arn in widget["properties"]["alarms"]
    }
    names = {
        one.inputs.get("name") or one.inputs.get("alarmName")
        for one in deployed.managed()
        if "Alarm" in one.typ
    }
    assert shown == {f"arn:aws:cloudwatch:{region}:{ACCOUNT}:alarm:{name}" for name in names}


def test_every_metric_that_an_alarm_looks_at_is_drawn_as_the_alarm_sees_it(cell: tuple[str, Run]) -> None:
    _, deployed = cell
    drawn = {
        (entry[0], entry[1], tuple(sorted(zip(entry[2:-1:2], entry[3:-1:2], strict=True))))
        for widget in body(deployed)["widgets"]
        for entry in widget["properties"].get("metrics", ())
        if isinstance(entry[0], str)
    }
    watched = set()
    for one in deployed.of("aws:cloudwatch/metricAlarm:MetricAlarm"):
        queries = [query["metric"] for query in one.inputs.get("metricQueries", ()) if "metric" in query]
        for of in queries or [one.inputs]:
            watched.add((of["namespace"], of["metricName"], tuple(sorted(of["dimensions"].items()))))
    assert watched - drawn == set()
    assert len(watched) > 40


def test_a_line_is_where_the_alarm_speaks(cell: tuple[str, Run]) -> None:
    region, deployed = cell
    kind, unit = ("snapshot-late", 3600) if region == HOME else ("copy-late", 3600)
    (alarm,) = (
        one
        for one in deployed.of("aws:cloudwatch/metricAlarm:MetricAlarm")
        if one.inputs["name"] == f"pgdrill-test-{kind}-shop"
    )
    lines = {
        line["label"]: line["value"]
        for widget in body(deployed)["widgets"]
        for line in widget["properties"].get("annotations", {}).get("horizontal", ())
    }
    assert lines[kind] == alarm.inputs["threshold"] / unit


def test_a_widget_asks_its_own_region(cell: tuple[str, Run]) -> None:
    region, deployed = cell
    asked = {
        widget["properties"]["region"] for widget in body(deployed)["widgets"] if widget["type"] == "metric"
    }
    assert asked == {region}


def test_it_leads_to_evidence_and_to_what_to_do(cell: tuple[str, Run]) -> None:
    region, deployed = cell
    words = "\n".join(
        widget["properties"]["markdown"] for widget in body(deployed)["widgets"] if widget["type"] == "text"
    )
    assert f"s3/buckets/pgdrill-test-evidence-{ACCOUNT}-{region}?region={region}&prefix=evidence/" in words
    assert f"arn:aws:states:{region}:{ACCOUNT}:stateMachine:pgdrill-test-drill" in words
    assert "docs/alerting.md" in words
    assert "docs/recovery.md" in words
