"""A state machine in the lab ends when its time is over, and decides on booleans alone, as AWS's do."""

import json
from typing import Any

import pytest

from pgdrill.lab.lab import Lab
from pgdrill.lab.record import Settings
from tests.lab.functions import ROLE, execute
from tests.lab.labs import MakeLab


@pytest.fixture(scope="module")
def lab(make_lab: MakeLab) -> Lab:
    lab = make_lab()
    lab.up(Settings())
    return lab


@pytest.fixture(scope="module")
def unbent(make_lab: MakeLab) -> Lab:
    lab = make_lab()
    lab.up(Settings(bends=False))
    return lab


def run(lab: Lab, name: str, **definition: Any) -> Any:
    made = lab.client("stepfunctions").create_state_machine(
        name=name, definition=json.dumps({"QueryLanguage": "JSONata"} | definition), roleArn=ROLE
    )
    return execute(lab, made["stateMachineArn"], {})


def waiting(then: dict[str, Any]) -> dict[str, Any]:
    return {
        "StartAt": "Wait",
        "States": {"Wait": {"Type": "Wait", "Seconds": 2, "Next": "Then"}, "Then": then},
    }


FAILS = {"Type": "Fail", "Error": "Wrong", "Cause": "why"}
SUCCEEDS = {"Type": "Succeed"}


@pytest.mark.parametrize("then", [SUCCEEDS, FAILS], ids=["succeeds", "fails"])
def test_an_execution_ends_when_its_time_is_over(lab: Lab, then: dict[str, Any]) -> None:
    ended = run(lab, f"over-{then['Type']}", TimeoutSeconds=1, **waiting(then))
    assert ended["status"] == "TIMED_OUT"
    assert "error" not in ended
    client = lab.client("stepfunctions")
    events = client.get_execution_history(executionArn=ended["executionArn"])["events"]
    assert [event["type"] for event in events][-1] == "ExecutionTimedOut"


def test_the_bare_emulator_lets_it_run(unbent: Lab) -> None:
    assert run(unbent, "over", TimeoutSeconds=1, **waiting(SUCCEEDS))["status"] == "SUCCEEDED"


def test_an_execution_within_its_time_ends_as_it_does(lab: Lab) -> None:
    assert (
        run(lab, "within", TimeoutSeconds=60, StartAt="Then", States={"Then": SUCCEEDS})["status"]
        == "SUCCEEDED"
    )
    ended = run(lab, "within-fails", TimeoutSeconds=60, StartAt="Then", States={"Then": FAILS})
    assert (ended["status"], ended["error"]) == ("FAILED", "Wrong")


def choosing(condition: str) -> dict[str, Any]:
    choice = {"Type": "Choice", "Choices": [{"Condition": condition, "Next": "Yes"}], "Default": "No"}
    return {"StartAt": "Which", "States": {"Which": choice, "Yes": SUCCEEDS, "No": FAILS}}


def test_a_condition_that_is_no_boolean_fails_its_state(lab: Lab, unbent: Lab) -> None:
    ended = run(lab, "text", **choosing("{% 'yes' %}"))
    assert ended["error"] == "States.QueryEvaluationError"
    assert ended["cause"] == (
        "The JSONata expression specified for the field 'Condition' returned an unexpected result type."
        " Expected 'boolean' for value: \"yes\""
    )
    assert run(unbent, "text", **choosing("{% 'yes' %}"))["status"] == "SUCCEEDED"


def test_a_condition_that_is_one_decides(lab: Lab) -> None:
    assert run(lab, "true", **choosing("{% 1 = 1 %}"))["status"] == "SUCCEEDED"
    assert run(lab, "false", **choosing("{% 1 = 2 %}"))["error"] == "Wrong"
