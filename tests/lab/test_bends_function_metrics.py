"""What CloudWatch counts of a function, whoever invokes it, and that a reservation is for all its versions."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pgdrill.lab.lab import Lab
from pgdrill.lab.record import Settings
from tests.lab.functions import deploy, execute, invoke, machine
from tests.lab.labs import MakeLab


@pytest.fixture(scope="module")
def unbent(make_lab: MakeLab) -> Lab:
    lab = make_lab()
    lab.up(Settings(bends=False))
    return lab


FAILS = "def handler(event, context): return 1 / 0"
RUNS = "def handler(event, context): return 1"


def sums(lab: Lab, function: str) -> dict[str, float]:
    """Return the sum of each count of a function's, where there is any."""
    found: dict[str, float] = {}
    now = datetime.now(UTC)
    for name in ("Invocations", "Errors", "Throttles"):
        points = lab.client("cloudwatch").get_metric_statistics(
            Namespace="AWS/Lambda",
            MetricName=name,
            Dimensions=[{"Name": "FunctionName", "Value": function}],
            StartTime=now - timedelta(minutes=5),
            EndTime=now + timedelta(minutes=5),
            Period=60,
            Statistics=["Sum"],
        )["Datapoints"]
        if points:
            found[name] = sum(point["Sum"] for point in points)
    return found


def called(lab: Lab, name: str, function: str) -> Any:
    """Call a function from a state machine, once; return the execution."""
    task = {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Arguments": {"FunctionName": function, "Payload": {}},
        "End": True,
    }
    return execute(lab, machine(lab, name, {"Call": task}))


@pytest.mark.parametrize(("source", "errors"), [(FAILS, 1), (RUNS, 0)], ids=["fails", "runs"])
def test_an_invocation_is_counted_once_whoever_makes_it(lab: Lab, source: str, errors: int) -> None:
    name = f"counted-{errors}"
    deploy(lab, name, source)
    called(lab, name, name)
    assert sums(lab, name) == {"Invocations": 1, "Errors": errors, "Throttles": 0}
    invoke(lab, name)
    assert sums(lab, name) == {"Invocations": 2, "Errors": 2 * errors, "Throttles": 0}


def test_the_bare_emulator_counts_what_comes_over_http_alone(unbent: Lab) -> None:
    deploy(unbent, "counted", RUNS)
    called(unbent, "counted", "counted")
    assert sums(unbent, "counted") == {}
    invoke(unbent, "counted")
    assert sums(unbent, "counted") == {"Invocations": 1, "Errors": 0, "Throttles": 0}


def test_a_version_of_a_function_without_concurrency_does_not_run_and_that_is_counted(lab: Lab) -> None:
    deploy(lab, "reserved", RUNS)
    client = lab.client("lambda")
    version = client.publish_version(FunctionName="reserved")["FunctionArn"]
    client.put_function_concurrency(FunctionName="reserved", ReservedConcurrentExecutions=0)
    ended = called(lab, "reserved", version)
    assert (ended["status"], ended["error"]) == ("FAILED", "Lambda.TooManyRequestsException")
    assert sums(lab, "reserved") == {"Throttles": 1}
    client.delete_function_concurrency(FunctionName="reserved")
    assert called(lab, "reserved-no-more", version)["status"] == "SUCCEEDED"


def test_the_bare_emulator_reserves_for_no_version(unbent: Lab) -> None:
    deploy(unbent, "reserved", RUNS)
    client = unbent.client("lambda")
    version = client.publish_version(FunctionName="reserved")["FunctionArn"]
    client.put_function_concurrency(FunctionName="reserved", ReservedConcurrentExecutions=0)
    assert called(unbent, "reserved", version)["status"] == "SUCCEEDED"
