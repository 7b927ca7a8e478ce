"""A state machine calls AWS as its role, under AWS's names, and carries no more than AWS lets it carry."""

import json
from typing import Any

import pytest

from pgdrill.lab.bends import payloads, sdk_names
from pgdrill.lab.lab import Lab
from pgdrill.lab.rds import wire
from pgdrill.lab.record import Settings
from tests.lab.functions import deploy, execute, machine
from tests.lab.labs import MakeLab
from tests.lab.roles import ACCOUNT, Role, Statement, allow

HOME = "ap-southeast-1"
ASSUMED = "states.amazonaws.com"


@pytest.fixture(scope="module")
def lab(make_lab: MakeLab) -> Lab:
    lab = make_lab()
    lab.up(Settings(auth=True))
    return lab


@pytest.fixture(scope="module")
def unbent(make_lab: MakeLab) -> Lab:
    lab = make_lab()
    lab.up(Settings(auth=True, bends=False))
    return lab


def task(resource: str, arguments: Any, **more: Any) -> dict[str, Any]:
    return {
        "Type": "Task",
        "Resource": f"arn:aws:states:::{resource}",
        "Arguments": arguments,
        "End": True,
    } | more


def run(lab: Lab, name: str, state: dict[str, Any], *may: Statement, given: Any = None) -> Any:
    """Run a state machine of one state under a role that may do so much, and return the execution."""
    role = Role(lab, name, *may, service=ASSUMED)
    return execute(lab, machine(lab, name, {"Only": state}, role=role.arn), given)


def output(execution: Any) -> Any:
    assert execution["status"] == "SUCCEEDED", execution
    return json.loads(execution["output"])


MISSING = task("aws-sdk:rds:describeDBSnapshots", {"DbSnapshotIdentifier": "gone"})


def test_an_error_of_rds_has_the_name_that_aws_gives_it(lab: Lab, unbent: Lab) -> None:
    ended = run(lab, "missing", MISSING, allow("rds:DescribeDBSnapshots"))
    assert ended["error"] == "Rds.DbSnapshotNotFoundException"
    assert ended["cause"] == "DBSnapshot gone not found. (Service: Rds, Status Code: 404)"
    bare = run(unbent, "missing", MISSING, allow("rds:DescribeDBSnapshots"))
    assert bare["error"] == "Rds.DBSnapshotNotFound"


@pytest.mark.parametrize(
    ("action", "code", "name"),
    [
        ("CreateDBSnapshot", "DBSnapshotAlreadyExists", "Rds.DbSnapshotAlreadyExistsException"),
        ("CreateDBSnapshot", "InvalidDBInstanceState", "Rds.InvalidDbInstanceStateException"),
        ("CreateDBSnapshot", "SnapshotQuotaExceeded", "Rds.SnapshotQuotaExceededException"),
        ("CopyDBSnapshot", "KMSKeyNotAccessibleFault", "Rds.KmsKeyNotAccessibleException"),
        ("DeleteDBInstance", "DBInstanceNotFound", "Rds.DbInstanceNotFoundException"),
        ("DeleteDBInstance", "Throttling", "Rds.RdsException"),
    ],
)
def test_errors_are_named_as_in_the_sdk_for_java(action: str, code: str, name: str) -> None:
    assert sdk_names.exception("rds", wire.model().operation_model(action), code) == name


@pytest.mark.parametrize(
    ("wire_name", "name"),
    [
        ("DBInstances", "DbInstances"),
        ("SourceDBInstanceIdentifier", "SourceDBInstanceIdentifier"),
        ("MultiAZ", "MultiAZ"),
        ("KMSKeyId", "KmsKeyId"),
        ("ETag", "ETag"),
        ("ARN", "Arn"),
        ("S3BucketName", "S3BucketName"),
        ("stateMachineArn", "StateMachineArn"),
    ],
)
def test_members_are_named_as_in_the_sdk_for_java(wire_name: str, name: str) -> None:
    assert sdk_names.member(wire_name) == name


def test_a_result_has_the_names_that_states_see(lab: Lab) -> None:
    state = task("aws-sdk:rds:describeDBSubnetGroups", {"DbSubnetGroupName": "pgdrill-lab-drill"})
    (group,) = output(run(lab, "names", state, allow("rds:DescribeDBSubnetGroups")))["DbSubnetGroups"]
    assert group["DbSubnetGroupName"] == "pgdrill-lab-drill"
    assert group["DbSubnetGroupArn"] == f"arn:aws:rds:{HOME}:{ACCOUNT}:subgrp:pgdrill-lab-drill"


def test_an_argument_under_another_name_is_refused(lab: Lab) -> None:
    state = task("aws-sdk:rds:describeDBInstances", {"DBInstanceIdentifier": "shop"})
    ended = run(lab, "wrong-argument", state, allow("*"))
    assert (ended["error"], ended["cause"]) == (
        "States.Runtime",
        "The field 'DBInstanceIdentifier' is not supported by Step Functions",
    )


CALLS = {
    "sdk": (task("aws-sdk:rds:describeDBInstances", {}), "rds:DescribeDBInstances", "Rds.RdsException"),
    "metric": (
        task(
            "aws-sdk:cloudwatch:putMetricData",
            {"Namespace": "pgdrill", "MetricData": [{"MetricName": "Age", "Value": 1}]},
        ),
        "cloudwatch:PutMetricData",
        "CloudWatch.CloudWatchException",
    ),
    "event": (
        task("events:putEvents", {"Entries": [{"Source": "pgdrill", "DetailType": "x", "Detail": {"a": 1}}]}),
        "events:PutEvents",
        "EventBridge.EventBridgeException",
    ),
    "message": (
        task("sns:publish", {"TopicArn": f"arn:aws:sns:{HOME}:{ACCOUNT}:told", "Message": {"a": 1}}),
        "sns:Publish",
        "Sns.AuthorizationErrorException",
    ),
    "function": (
        task("lambda:invoke", {"FunctionName": "answers", "Payload": {}}),
        "lambda:InvokeFunction",
        "Lambda.AWSLambdaException",
    ),
}


@pytest.fixture(scope="module", params=[True, False], ids=["bent", "bare"])
def either(request: pytest.FixtureRequest, lab: Lab, unbent: Lab) -> Lab:
    return lab if request.param else unbent


@pytest.mark.parametrize("kind", CALLS)
def test_a_task_does_what_the_role_of_its_state_machine_may(either: Lab, unbent: Lab, kind: str) -> None:
    state, action, error = CALLS[kind]
    either.client("sns").create_topic(Name="told")
    role = Role(either, f"runs-{kind}", service="lambda.amazonaws.com")
    if kind == "function":
        deploy(either, "answers", "handler = lambda event, context: 42", role=role.arn)
    output(run(either, f"may-{kind}", state, allow(action)))
    ended = run(either, f"may-not-{kind}", state, allow("s3:GetObject"))
    if either is unbent:
        assert ended["status"] == "SUCCEEDED", "the bare emulator asks no role"
    else:
        assert (ended["status"], ended["error"]) == ("FAILED", error)
        assert action in ended["cause"]


def test_a_role_that_does_not_trust_step_functions_runs_nothing(lab: Lab) -> None:
    role = Role(lab, "untrusting", allow("rds:*"), service="lambda.amazonaws.com")
    ended = execute(lab, machine(lab, "untrusting", {"Only": MISSING}, role=role.arn), {})
    assert ended["error"] == "States.Permissions"
    assert ended["cause"] == f"{ASSUMED} is not authorized to assume role {role.arn}"


GROWS = "def handler(event, context): return 'x' * (event - 2)"  # a string has its quotes


def grow(lab: Lab, name: str, size: int, **more: Any) -> Any:
    """Call a function that answers so many bytes, keep its answer, and return the execution."""
    role = Role(lab, f"{name}-runs", service="lambda.amazonaws.com")
    deploy(lab, name, GROWS, role=role.arn)
    kept = {"Output": "{% $states.result.Payload %}"}
    state = task("lambda:invoke", {"FunctionName": name, "Payload": size}, **(kept | more))
    return run(lab, name, state, allow("lambda:InvokeFunction"))


CATCH_ALL = [{"ErrorEquals": ["States.ALL"], "Next": "Only"}]


def test_a_payload_over_256_kib_fails(lab: Lab) -> None:
    assert grow(lab, "fits", 262_000)["status"] == "SUCCEEDED"
    ended = grow(lab, "exceeds", payloads.LIMIT + 1)
    assert (ended["status"], ended["error"]) == ("FAILED", "States.DataLimitExceeded")
    assert ended["cause"].startswith(
        "The task 'arn:aws:states:::lambda:invoke' returned a result with a size "
    )


def test_the_bare_emulator_carries_600_kb(unbent: Lab) -> None:
    assert grow(unbent, "exceeds", 600_000)["status"] == "SUCCEEDED"


def test_a_catch_of_all_errors_does_not_match_it(lab: Lab) -> None:
    assert grow(lab, "uncaught", 600_000, Catch=CATCH_ALL)["status"] == "FAILED"


def test_a_state_s_output_is_limited_as_well(lab: Lab) -> None:
    doubled = {"Type": "Pass", "Output": "{% $states.input & $states.input %}", "End": True}
    ended = run(lab, "doubled", doubled, given="é" * 70_000)
    assert ended["error"] == "States.DataLimitExceeded"


def test_an_execution_does_not_start_with_a_larger_input(lab: Lab) -> None:
    states = lab.client("stepfunctions")
    role = Role(lab, "small", service=ASSUMED)
    arn = machine(lab, "small", {"Only": {"Type": "Succeed"}}, role=role.arn)
    with pytest.raises(states.exceptions.ClientError, match=r"ValidationException.*262144"):
        states.start_execution(stateMachineArn=arn, input=json.dumps("x" * 262_143))


ITEMS = {"a": [1, 2, 3]}
DISTRIBUTED = {
    "Type": "Map",
    "Items": "{% $states.input.a %}",
    "ItemProcessor": {
        "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
        "StartAt": "Double",
        "States": {"Double": {"Type": "Pass", "Output": "{% $states.input * 2 %}", "End": True}},
    },
    "End": True,
}


def test_a_distributed_map_takes_its_items_in_jsonata(lab: Lab, unbent: Lab) -> None:
    assert output(run(lab, "spread", DISTRIBUTED, given=ITEMS)) == [2, 4, 6]
    bare = run(unbent, "spread", DISTRIBUTED, given=ITEMS)
    assert bare.get("output") != "[2, 4, 6]"


def test_what_the_lab_does_not_serve_of_a_distributed_map_fails(lab: Lab) -> None:
    ended = run(lab, "batched", DISTRIBUTED | {"ItemBatcher": {"MaxItemsPerBatch": 2}}, given=ITEMS)
    assert (ended["error"], ended["cause"]) == (
        "States.Runtime",
        "The lab does not serve ItemBatcher of a distributed Map",
    )


def test_a_version_runs_what_was_published(lab: Lab, unbent: Lab) -> None:
    for each, says in (lab, "old"), (unbent, "new"):
        role = Role(each, "published", service=ASSUMED)
        states = each.client("stepfunctions")
        arn = machine(
            each, "published", {"Only": {"Type": "Pass", "Output": "old", "End": True}}, role=role.arn
        )
        version = states.publish_state_machine_version(stateMachineArn=arn)["stateMachineVersionArn"]
        definition = json.loads(states.describe_state_machine(stateMachineArn=arn)["definition"])
        definition["States"]["Only"]["Output"] = "new"
        states.update_state_machine(stateMachineArn=arn, definition=json.dumps(definition))
        assert output(execute(each, arn)) == "new"
        assert output(execute(each, version)) == says
