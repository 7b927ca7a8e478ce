"""The dashboard that is deployed is the one that the plan describes, and shows what is there."""

from datetime import UTC, datetime, timedelta

import pytest

from pgdrill.dashboard.board import Board
from pgdrill.dashboard.cell import Cell as Described
from pgdrill.dashboard.readings import read
from pgdrill.dashboard.sections import board
from pgdrill.plan import Plan
from tests.integration.deployed import Cell, Deployment, execute, until


@pytest.fixture(name="described")
def _described(deployment: Deployment, cell: Cell) -> Board:
    """The board as the plan that the functions read has it; what is deployed is made of the settings."""
    names = {
        which: [thing.lower() for thing in cell.named(f"{which}Arn")] for which in ("Function", "Machine")
    }
    return board(
        Described(
            plan=Plan.model_validate(deployment.plan),
            region=cell.region,
            account=cell.account,
            bucket=cell["EvidenceBucket"],
            functions=dict.fromkeys(names["Function"], 0),
            machines=tuple(names["Machine"]),
        )
    )


def test_the_deployed_dashboard_shows_every_alarm_that_the_plan_asks_for(
    cell: Cell, described: Board
) -> None:
    found = cell.client("cloudwatch").get_dashboard(DashboardName=described.name)["DashboardBody"]
    arns = {f"arn:aws:cloudwatch:{cell.region}:{cell.account}:alarm:{name}" for name in described.alarms()}
    assert {arn for arn in arns if f'"{arn}"' not in found} == set()
    there = {
        alarm["AlarmName"]
        for kind in ("MetricAlarm", "CompositeAlarm")
        for alarm in cell.pages("cloudwatch", "describe_alarms", f"{kind}s", AlarmTypes=[kind])
    }
    assert set(described.alarms()) - there == set()


def test_what_the_watch_publishes_is_what_the_dashboard_shows(cell: Cell, described: Board) -> None:
    execute(cell, "Watch", {"due_at": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"})
    stem = described.name.removesuffix(cell.region)

    def empty() -> set[str]:
        now = datetime.now(UTC) + timedelta(minutes=5)
        readings = read(cell.client("cloudwatch"), described, stem, now)
        return {chart.title for chart in described.charts() if not readings.lines(chart)}

    until(lambda: "Looks of the watch" not in empty())
    measured = {chart.title for chart in described.charts()} - empty()
    shared = {"Since a drill last passed", "What the watch found wrong", "Stored, by kind: estimate"}
    own = {"Newest usable snapshot"} if cell.name == "primary" else {"Newest usable copy"}
    assert shared | own <= measured
