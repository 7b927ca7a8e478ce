"""A dashboard answers what a woken person asks, in that order, and leaves out what a cell has not."""

import re

import pytest
import typer.main

from pgdrill.cli import app
from pgdrill.dashboard.board import COLUMNS, Board, Chart, Numbers, Row, Unit, Words
from pgdrill.dashboard.sections import board
from pgdrill.watching import alarms
from tests.unit.dashboard.example import PLAN, cell_of
from tests.unit.plans import plan
from tests.unit.snapshots import AWAY, HOME

HERE, THERE = board(cell_of(HOME)), board(cell_of(AWAY))


def titles(of: Board) -> list[str]:
    return [chart.title for chart in of.charts()]


def test_whether_it_is_recoverable_comes_first() -> None:
    assert [section.title for section in HERE.sections if section.rows] == [
        "Can we recover?",
        "What there is to recover from",
        "What drills proved",
        "What storage costs",
        "The system itself",
        "Running now",
    ]
    first = HERE.sections[0].rows[0].widgets[0]
    assert first.names == ("pgdrill-lab-unrecoverable",)  # type: ignore[union-attr] # a widget of alarms
    assert HERE.recoverable == "pgdrill-lab-unrecoverable"


def test_a_cell_shows_what_it_has_and_not_what_the_other_one_has() -> None:
    assert "Newest usable snapshot" in titles(HERE)
    assert "Newest usable copy" not in titles(HERE)
    assert "Newest usable copy" in titles(THERE)
    assert not {
        "Newest usable snapshot",
        "Last beat of the ledger",
        "Ages of the PITR window that are proved",
    } & {*titles(THERE)}


def test_what_the_plan_has_not_is_not_drawn() -> None:
    quiet = plan(exports={"schedule": "off"}, database=[{**_database("shop"), "ledger": "off"}])
    shown = titles(board(cell_of(HOME, quiet)))
    assert not {"Newest exported point", "Last beat of the ledger"} & {*shown}
    assert "Newest usable snapshot" in shown


def _database(name: str) -> dict[str, str]:
    return {"name": name, "instance": f"{name}-production", "secret": "pgdrill/shop"}


@pytest.mark.parametrize("region", [HOME, AWAY])
def test_every_metric_that_an_alarm_of_ours_looks_at_is_on_the_board(region: str) -> None:
    cell = cell_of(region)
    shown = board(cell)
    numbers = [one for widget in shown.widgets() if isinstance(widget, Numbers) for one in widget.numbers]
    series = [*(one.series for one in numbers), *(one for chart in shown.charts() for one in chart.series)]
    drawn = {metric.name for one in series for metric in one.metrics}
    made = alarms.of_cell(PLAN, region, cell.functions, cell.machines)
    assert {metric for alarm, _ in made for metric in alarm.metrics} - drawn == set()


def test_a_limit_is_the_threshold_of_the_alarm_that_it_is_named_after() -> None:
    for region, shown in ((HOME, HERE), (AWAY, THERE)):
        thresholds = {
            alarm.name: alarm.threshold(subject)
            for alarm, subject in alarms.of_cell(PLAN, region, {"take": 60}, ("take",))
        }
        limits = [(limit, chart.per) for chart in shown.charts() for limit in chart.limits if limit.alarm]
        assert len(limits) > 10
        for limit, per in limits:
            assert limit.value * per == pytest.approx(thresholds[limit.alarm])


def test_the_recovery_time_is_drawn_by_its_stages_against_the_objective() -> None:
    (chart,) = (chart for chart in HERE.charts() if chart.title == "shop: recovery time by stage")
    stages = {dict(one.metrics[0].dimensions)["Stage"] for one in chart.series}
    assert stages == {"accepted", "available", "first_login", "first_query"}
    assert (chart.unit, chart.limits[0].value) == (Unit.MINUTES, 240.0)


def test_rpo_is_drawn_by_its_three_numbers() -> None:
    (chart,) = (chart for chart in HERE.charts() if chart.title == "bank: data that would have been lost")
    names = {one.metrics[0].name for one in chart.series}
    assert names == {"RpoWorstCase", "RpoExposure", "RpoLagOfPoint"}


def test_a_bound_is_called_a_bound_and_an_estimate_an_estimate() -> None:
    of_storage = next(section for section in HERE.sections if section.title == "What storage costs")
    (row, _) = of_storage.rows
    assert all("estimate" in one.title or "upper bound" in one.title for one in row.widgets)
    bound = row.widgets[2]
    assert isinstance(bound, Chart)
    assert {one.label: one.metrics[0].name for one in bound.series} == {
        "upper bound": "StorageDollarsAtMost",
        "estimate": "StorageDollars",
    }


def test_with_many_databases_there_is_no_row_for_each() -> None:
    many = plan(database=[_database(f"db{number}") for number in range(11)])
    shown = titles(board(cell_of(HOME, many)))
    assert "db3: recovery time by stage" not in shown
    assert "Recovery time" in shown


def test_every_command_that_it_tells_somebody_to_type_exists() -> None:
    known = typer.main.get_command(app)
    for shown in (HERE, THERE):
        words = [widget for widget in shown.widgets() if isinstance(widget, Words)]
        commands = [
            command
            for widget in words
            for sentence in widget.sentences
            for command in re.findall(r"`pgdrill ([a-z -]+)`", sentence)
        ]
        assert len(commands) > 5
        for command in commands:
            current = known
            for name in command.partition(" --")[0].split():
                if hasattr(current, "commands") and name != "latest":
                    current = current.commands[name]


def test_a_row_that_is_too_wide_is_a_mistake() -> None:
    with pytest.raises(ValueError, match=f"one: a row is {COLUMNS} columns wide"):
        Row((Words("one", (), width=20), Words("two", (), width=5)))
