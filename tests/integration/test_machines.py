"""The deployed machines: each runs, errors of real functions take their ways, and payloads stay small."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.integration.deployed import Cell, execute, until

# Of what travels from state to state, whatever the number of tables.
MOST = 32 * 1024
PASSES = ("Retain", "Watch", "Reap")


def moment(ago: timedelta = timedelta()) -> str:
    return (datetime.now(UTC) - ago).strftime("%Y-%m-%dT%H:%M:%SZ")


def history(cell: Cell, execution: str) -> list[Any]:
    return list(cell.pages("stepfunctions", "get_execution_history", "events", executionArn=execution))


def since(cell: Cell, name: str, began: datetime, **dimensions: str) -> float:
    """Return the sum of a metric's values."""
    found = cell.client("cloudwatch").get_metric_statistics(
        Namespace="pgdrill",
        MetricName=name,
        Dimensions=[
            {"Name": key, "Value": value} for key, value in ({"Suffix": cell.suffix} | dimensions).items()
        ],
        StartTime=began - timedelta(minutes=1),
        EndTime=datetime.now(UTC) + timedelta(minutes=1),
        Period=60,
        Statistics=["Sum"],
    )
    return float(sum(one["Sum"] for one in found["Datapoints"]))


@pytest.mark.parametrize("name", PASSES)
def test_a_pass_of_either_cell_runs_to_its_end(cell: Cell, name: str) -> None:
    done = execute(cell, name, {"due_at": moment()})
    assert done["status"] == "SUCCEEDED", done


@pytest.mark.parametrize(
    ("name", "given"),
    [("Beat", {}), ("Seal", {"database": "shop"}), ("Export", {})],
    ids=["beat", "seal", "export"],
)
def test_a_pass_of_the_primary_cell_runs_to_its_end(primary: Cell, name: str, given: dict[str, str]) -> None:
    done = execute(primary, name, {"due_at": moment()} | given)
    assert done["status"] == "SUCCEEDED", done


def test_a_telling_is_heard_in_the_other_region_and_begins_a_round_of_copies(primary: Cell, dr: Cell) -> None:
    began = datetime.now(UTC)
    assert execute(primary, "Watch", {"due_at": moment()})["status"] == "SUCCEEDED"

    def ended(name: str) -> set[str]:
        found = dr.pages(
            "stepfunctions", "list_executions", "executions", stateMachineArn=dr[f"{name}MachineArn"]
        )
        return {one["status"] for one in found if one["startDate"] >= began - timedelta(seconds=1)}

    for name in "Hear", "Copy":
        until(lambda name=name: "SUCCEEDED" in ended(name))  # type: ignore[misc] # its default is the name of now
        assert "FAILED" not in ended(name)


def test_a_slot_that_is_over_is_not_taken_and_that_is_told(primary: Cell) -> None:
    began = datetime.now(UTC)
    over = {"due_at": moment(timedelta(days=2)), "database": "shop"}
    ended = execute(primary, "Take", over)
    assert (ended["status"], ended["error"]) == ("FAILED", "NotRunnable")
    assert " is not now: " in json.loads(ended["cause"])["errorMessage"]
    until(lambda: since(primary, "PointsFailed", began, Database="shop") >= 1)


def test_a_second_drill_is_busy_and_leaves_the_first_alone(primary: Cell) -> None:
    states, asked = (
        primary.client("stepfunctions"),
        {"due_at": moment(), "database": "shop", "wanted": "latest"},
    )
    first = states.start_execution(stateMachineArn=primary["DrillMachineArn"], input=json.dumps(asked))[
        "executionArn"
    ]

    def exited(name: str) -> bool:
        return any(
            event.get("stateExitedEventDetails", {}).get("name") == name for event in history(primary, first)
        )

    until(lambda: exited("Restore"))
    ended = execute(primary, "Drill", asked)
    assert (ended["status"], ended["error"]) == ("FAILED", "Busy")
    until(lambda: states.describe_execution(executionArn=first)["status"] != "RUNNING")
    done = states.describe_execution(executionArn=first)
    assert done["status"] == "SUCCEEDED", done
    passed = [
        len(details[part].encode())
        for event in history(primary, first)
        for details in (event.get("stateEnteredEventDetails", {}), event.get("stateExitedEventDetails", {}))
        for part in ("input", "output")
        if part in details
    ]
    assert passed
    assert max(passed) < MOST


def test_a_drill_whose_instance_is_deleted_meanwhile_proves_nothing_and_leaves_nothing(primary: Cell) -> None:
    states, rds = primary.client("stepfunctions"), primary.client("rds")
    asked = {"due_at": moment(), "database": "shop", "wanted": "latest"}
    drill = states.start_execution(stateMachineArn=primary["DrillMachineArn"], input=json.dumps(asked))[
        "executionArn"
    ]

    def temporary() -> list[Any]:
        found = rds.describe_db_instances()["DBInstances"]
        return [one for one in found if "-drill-" in one["DBInstanceIdentifier"]]

    until(lambda: any(one["DBInstanceStatus"] == "available" for one in temporary()))
    (instance,) = temporary()
    rds.delete_db_instance(
        DBInstanceIdentifier=instance["DBInstanceIdentifier"],
        SkipFinalSnapshot=True,
        DeleteAutomatedBackups=True,
    )
    until(lambda: states.describe_execution(executionArn=drill)["status"] != "RUNNING")
    done = states.describe_execution(executionArn=drill)
    assert done["status"] == "SUCCEEDED", done
    ended = json.loads(done["output"])["drill"]
    assert (ended["next"], ended["verdict"]) == ("done", "inconclusive")
    assert ended["evidence_sha256"]
    assert temporary() == []
