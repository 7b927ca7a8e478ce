"""What a deployment says of itself is flat, whole, and leads to what was made."""

import re

import pytest

from functions import of_cell
from machines import of_cell as machines_of
from pgdrill.plan import Plan
from tests.infra.program import ACCOUNT, SETTINGS, Run, program
from tests.infra.roles import AWAY, HOME

CELLS = {"primary": HOME, "dr": AWAY}
# Without a database of its own there is none to name.
EMPTY = {"drDatabaseInstances", "drDatabaseArns"}
ABOUT = (
    "Region", "EvidenceBucket", "ArchiveBucket", "LogBucket", "StorageKeyArn", "MessagesKeyArn",
    "MacKeyArn", "SigningKeyArn", "DrillVpcId", "DrillSubnetIds", "DrillSecurityGroupId", "ProductionVpcId",
    "ProductionSubnetIds", "DatabaseInstances", "DatabaseArns", "BusArn", "BackupsTopicArn", "DrillsTopicArn",
    "DeadLetterQueueArn", "ScheduleGroup",
)  # fmt: skip


def test_outputs_are_flat_texts_and_none_is_empty(whole: Run) -> None:
    assert {name for name, value in whole.exports.items() if not isinstance(value, str)} == set()
    assert {name for name, value in whole.exports.items() if not value} == EMPTY
    assert (whole.exports["environmentSuffix"], whole.exports["account"]) == ("test", ACCOUNT)


@pytest.mark.parametrize("cell", CELLS)
def test_each_cell_says_the_same_things_of_itself(whole: Run, cell: str) -> None:
    primary = cell == "primary"
    functions = [function.name for function in of_cell(primary=primary)]
    machines = machines_of(primary=primary)
    roles = [*functions, *(f"{machine}-machine" for machine in machines), "scheduler", "starter", "forwarder"]
    expected = {
        *ABOUT,
        *(f"{_camel(name)}FunctionArn" for name in functions),
        *(f"{_camel(name)}MachineArn" for name in machines),
        *(f"{_camel(name)}RoleArn" for name in roles + (["rds-export"] if primary else [])),
    }
    said = {name.removeprefix(cell) for name in whole.exports if name.startswith(cell)}
    assert said == expected


@pytest.mark.parametrize("cell", CELLS)
def test_arns_are_of_the_cells_own_region(whole: Run, cell: str) -> None:
    for name, value in whole.exports.items():
        if name.startswith(cell) and value.startswith("arn:aws:") and "RoleArn" not in name:
            assert value.split(":")[3] == CELLS[cell], name


def test_who_may_recover_by_hand_is_said_where_anybody_may(whole: Run) -> None:
    roles = [f"arn:aws:iam::{ACCOUNT}:role/{name}" for name in ("dba", "on-call")]
    assert program(SETTINGS | {"operators": roles}).exports["operators"] == ",".join(roles)
    assert "operators" not in whole.exports


def test_functions_are_named_by_version(whole: Run) -> None:
    arns = [value for name, value in whole.exports.items() if name.endswith("FunctionArn")]
    assert [
        arn for arn in arns if not re.fullmatch(r"arn:aws:lambda:[^:]+:\d+:function:[a-z-]+:\d+", arn)
    ] == []


def test_the_plan_is_one_that_the_command_line_takes(whole: Run) -> None:
    plan = Plan.model_validate_json(whole.exports["plan"])
    assert plan.primary.evidence_bucket == whole.exports["primaryEvidenceBucket"]
    assert plan.dr.storage_key == whole.exports["drStorageKeyArn"]
    assert plan.dr.messages_key == whole.exports["drMessagesKeyArn"]
    assert plan.primary.bus == whole.exports["primaryBusArn"].rpartition("/")[2]
    assert plan.primary.export_role == whole.exports["primaryRdsExportRoleArn"]
    assert plan.dr.drills_topic == whole.exports["drDrillsTopicArn"]
    assert plan.databases[0].host is not None


def _camel(name: str) -> str:
    return name.title().replace("-", "")
