"""State machines as they are deployed: whole definitions, published versions, everything under the cell's key."""

import json
import re
from datetime import timedelta

import pytest

from canary import CANARY
from functions import of_cell
from machines import NONE, PUBLISH, invoked
from machines import of_cell as machines_of
from pgdrill.sections import LONGEST_LEASE
from tests.infra import definitions
from tests.infra.program import ACCOUNT, Run
from tests.infra.roles import AWAY, HOME

MACHINE, LOGS = "aws:sfn/stateMachine:StateMachine", "aws:cloudwatch/logGroup:LogGroup"
CELLS = {"primary": HOME, "dr": AWAY}
EACH = [
    pytest.param(cell, machine, id=f"{cell}-{machine}")
    for cell in CELLS
    for machine in machines_of(primary=cell == "primary")
]


@pytest.mark.parametrize(("cell", "machine"), EACH)
def test_a_definition_is_whole_and_names_published_versions(whole: Run, cell: str, machine: str) -> None:
    text = whole.one(MACHINE, f"{cell}-{machine}-machine").inputs["definition"]
    assert "${" not in text
    assert json.loads(text)["QueryLanguage"] == "JSONata"
    named = set(re.findall(r"arn:aws:lambda:[^\"']+", text))
    there = {function.name for function in of_cell(primary=cell == "primary")}
    assert named == {
        f"arn:aws:lambda:{CELLS[cell]}:{ACCOUNT}:function:pgdrill-test-{name}:1"
        for name in invoked(machine)
        if name in there
    }


@pytest.mark.parametrize("cell", CELLS)
def test_no_drill_holds_a_lease_that_outlives_its_machine(whole: Run, cell: str) -> None:
    definition = json.loads(whole.one(MACHINE, f"{cell}-drill-machine").inputs["definition"])
    assert timedelta(seconds=definition["TimeoutSeconds"]) == LONGEST_LEASE + timedelta(hours=1)


def test_a_cell_without_a_function_says_so_where_the_definition_looks(whole: Run) -> None:
    assert f"'{NONE}'" in json.dumps(json.loads(whole.one(MACHINE, "dr-drill-machine").inputs["definition"]))
    for cell in CELLS:
        for machine in machines_of(primary=cell == "primary"):
            missing = set(invoked(machine)) - {one.name for one in of_cell(primary=cell == "primary")}
            assert missing == ({"confront"} if (cell, machine) == ("dr", "drill") else set())


@pytest.mark.parametrize(("cell", "machine"), EACH)
def test_history_and_log_are_under_the_cells_key_and_hold_no_payload(
    whole: Run, cell: str, machine: str
) -> None:
    made = whole.one(MACHINE, f"{cell}-{machine}-machine").inputs
    key = whole.one("aws:kms/key:Key", f"{cell}-storage").outputs["arn"]
    assert (made["type"], made["name"]) == ("STANDARD", f"pgdrill-test-{machine}")
    assert made["encryptionConfiguration"]["type"] == "CUSTOMER_MANAGED_KMS_KEY"
    assert made["encryptionConfiguration"]["kmsKeyId"] == key
    log = whole.one(LOGS, f"{cell}-{machine}-machine")
    assert log.inputs["name"] == f"/aws/vendedlogs/states/pgdrill-test-{machine}"
    assert log.inputs["kmsKeyId"] == key
    assert made["loggingConfiguration"] == {
        "level": "ERROR",
        "includeExecutionData": False,
        "logDestination": f"{log.outputs['arn']}:*",
    }


@pytest.mark.parametrize("cell", CELLS)
def test_all_that_invoke_functions_start_the_one_that_publishes(whole: Run, cell: str) -> None:
    publish = f"arn:aws:states:{CELLS[cell]}:{ACCOUNT}:stateMachine:pgdrill-test-{PUBLISH}"
    for machine in machines_of(primary=cell == "primary"):
        text = whole.one(MACHINE, f"{cell}-{machine}-machine").inputs["definition"]
        assert (publish in text) == (machine not in {PUBLISH, CANARY})


@pytest.mark.parametrize("cell", CELLS)
def test_a_drill_that_ends_without_evidence_is_told_at_once_and_has_an_alarm_behind_it(
    whole: Run, cell: str
) -> None:
    """What is Busy or NotOurs leads to neither judgement nor reply; the failed execution is what tells."""
    states = definitions.load("drill")["States"]
    silent = {
        name: catch["Next"]
        for name, state in states.items()
        for catch in state.get("Catch", ())
        if {"Busy", "NotOurs"} & set(catch["ErrorEquals"])
    }
    assert {"Restore", "Observe", "Unlock", "Examine", "Confront", "Judge"} == set(silent)
    assert {states[then]["Type"] for then in silent.values()} == {"Fail"}
    # Caught nowhere, an error ends an execution as it does in a Fail.
    assert all("Catch" not in states[name] for name in ("Choose", "Destroy"))

    arn = f"arn:aws:states:{CELLS[cell]}:{ACCOUNT}:stateMachine:pgdrill-test-drill"
    pattern = json.loads(
        whole.one("aws:cloudwatch/eventRule:EventRule", f"{cell}-drills-execution-failed").inputs[
            "eventPattern"
        ]
    )["detail"]
    assert arn in pattern["stateMachineArn"]
    assert "FAILED" in pattern["status"]
    topic = whole.one("aws:sns/topic:Topic", f"{cell}-drills").outputs["arn"]
    assert (
        whole.one("aws:cloudwatch/eventTarget:EventTarget", f"{cell}-drills-execution-failed").inputs["arn"]
        == topic
    )
    (behind,) = (
        one.inputs
        for one in whole.of("aws:cloudwatch/metricAlarm:MetricAlarm", CELLS[cell])
        if one.inputs["name"] == "pgdrill-test-machine-failed-drill"
    )
    looked_at = [one["metric"] for one in behind["metricQueries"] if "metric" in one]
    assert ("ExecutionsFailed", {"StateMachineArn": arn}) in [
        (one["metricName"], one["dimensions"]) for one in looked_at
    ]
    # The table of alarms has one kind for all machines: drills' are told on the topic of backups too.
    assert behind["alarmActions"] == [whole.one("aws:sns/topic:Topic", f"{cell}-backups").outputs["arn"]]
