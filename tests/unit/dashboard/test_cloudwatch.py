"""What CloudWatch is given is within its limits, refers to what is there, and calculates what the page does."""

import json
import re
from typing import Any

import pytest

from pgdrill.dashboard import cloudwatch
from pgdrill.dashboard.board import COLUMNS
from pgdrill.dashboard.sections import board
from tests.unit.dashboard.example import ACCOUNT, cell_of
from tests.unit.plans import plan
from tests.unit.snapshots import AWAY, HOME


def body(region: str, databases: int = 2) -> Any:
    named = [
        {"name": f"db{number}", "instance": f"db{number}", "secret": "pgdrill/db"}
        for number in range(databases)
    ]
    return json.loads(cloudwatch.body(board(cell_of(region, plan(database=named))), ACCOUNT))


def metrics(widget: dict[str, Any]) -> list[list[Any]]:
    found: list[list[Any]] = widget["properties"].get("metrics", [])
    return found


def titled(region: str, title: str, databases: int = 2) -> dict[str, Any]:
    (found,) = (
        one["properties"]
        for one in body(region, databases)["widgets"]
        if one["properties"].get("title", "").split(" · ")[0] == title
    )
    return dict(found)


@pytest.mark.parametrize("databases", [1, 2, 10, 11, 200])
@pytest.mark.parametrize("region", [HOME, AWAY])
def test_it_is_within_what_cloudwatch_takes(region: str, databases: int) -> None:
    widgets = body(region, databases)["widgets"]
    drawn = [sum(isinstance(entry[0], str) for entry in metrics(one)) for one in widgets]
    assert len(widgets) <= cloudwatch.MOST_WIDGETS
    assert max(drawn) <= cloudwatch.MOST_METRICS_A_WIDGET
    assert sum(drawn) <= cloudwatch.MOST_METRICS
    for one in widgets:
        if one["type"] == "alarm":
            assert 1 <= len(one["properties"]["alarms"]) <= 100
        assert all(len(entry[-1].get("expression", "")) <= 1024 for entry in metrics(one))


@pytest.mark.parametrize("databases", [2, 200])
def test_no_two_widgets_lie_on_each_other(databases: int) -> None:
    taken: set[tuple[int, int]] = set()
    for one in body(HOME, databases)["widgets"]:
        assert one["x"] + one["width"] <= COLUMNS
        cells = {
            (x, y)
            for x in range(one["x"], one["x"] + one["width"])
            for y in range(one["y"], one["y"] + one["height"])
        }
        assert not cells & taken
        taken |= cells


def test_an_expression_names_what_stands_in_its_widget_and_no_id_stands_twice() -> None:
    for databases in (1, 2, 11):
        for one in body(HOME, databases)["widgets"]:
            ids = [entry[-1]["id"] for entry in metrics(one)]
            assert len(ids) == len(set(ids))
            for entry in metrics(one):
                assert set(re.findall(r"\bm\d+\b", entry[-1].get("expression", ""))) <= set(ids)


def test_an_age_is_shown_in_hours_with_the_line_in_hours() -> None:
    shown = titled(HOME, "Newest usable snapshot")
    assert [entry for entry in shown["metrics"] if "db1" in entry or len(entry) == 1] == [
        [{"expression": "m2/3600", "id": "e3", "label": "db0"}],
        ["pgdrill", "SnapshotAge", "Database", "db1", "Suffix", "lab", {"id": "m4", "stat": "Maximum", "visible": False}],
        [{"expression": "m4/3600", "id": "e5", "label": "db1"}],
    ]  # fmt: skip
    assert shown["annotations"]["horizontal"] == [
        {"label": "snapshot-late", "value": 6.25, "color": cloudwatch.LIMIT, "fill": "above"}
    ]


def test_where_less_is_worse_the_bad_side_is_below() -> None:
    (line,) = titled(HOME, "Room under the quota of manual snapshots")["annotations"]["horizontal"]
    assert (line["label"], line["fill"]) == ("quota-near", "below")


def test_of_many_databases_the_worst_are_searched_for() -> None:
    assert titled(HOME, "Newest usable snapshot", 11)["metrics"] == [
        [
            {
                "expression": 'SORT(SEARCH(\'{pgdrill,"Database","Suffix"} MetricName="SnapshotAge" Suffix="lab"\','
                " 'Maximum', 300)/3600, MAX, DESC, 10)",
                "id": "worst",
            }
        ]
    ]


def test_counts_of_all_databases_are_added_up_with_gaps_as_nothing() -> None:
    entries = titled(HOME, "Drills by verdict")["metrics"]
    assert [entry[0]["expression"] for entry in entries if len(entry) == 1] == [
        "SUM(FILL([m2,m3],0))",
        "SUM(FILL([m5,m6],0))",
        "SUM(FILL([m8,m9],0))",
    ]


def test_what_a_drill_measured_holds_until_the_next_one() -> None:
    shown = titled(HOME, "Read by drills")
    assert shown["metrics"][1] == [{"expression": "FILL(m2, REPEAT)/1e+09", "id": "e3", "label": "db0"}]
    assert (shown["start"], shown["period"]) == ("-P84D", 86400)


def test_the_same_plan_makes_the_same_bytes() -> None:
    boards = [cloudwatch.body(board(cell_of(HOME)), ACCOUNT) for _ in range(2)]
    assert boards[0] == boards[1]
