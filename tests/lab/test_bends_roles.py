"""Services act in a role's name as AWS's do: Lambda, Step Functions and S3 do what the role may, and nothing else."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from pgdrill.lab.lab import Lab
from pgdrill.lab.record import Settings
from tests.lab.functions import deploy, execute, invoke, machine
from tests.lab.labs import MakeLab
from tests.lab.roles import ACCOUNT, Role, Statement, allow

HOME, DR = "ap-southeast-1", "ap-northeast-1"
LAMBDA, STATES = "lambda.amazonaws.com", "states.amazonaws.com"
ECHO = "def handler(event, context):\n    print('said', event)\n    return event"


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


def refused(error: pytest.ExceptionInfo[ClientError]) -> tuple[str, str]:
    said = error.value.response["Error"]
    return said["Code"], said["Message"]


def interfaces(lab: Lab) -> dict[str, Any]:
    ec2 = lab.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.9.1.0/24")["Subnet"]["SubnetId"]
    group = ec2.create_security_group(GroupName="functions", Description="-", VpcId=vpc)["GroupId"]
    return {"VpcConfig": {"SubnetIds": [subnet], "SecurityGroupIds": [group]}}


NETWORK = allow(["ec2:CreateNetworkInterface", "ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets"])


def test_a_function_in_a_vpc_takes_a_role_that_may_have_interfaces(lab: Lab, unbent: Lab) -> None:
    role = Role(lab, "networked", allow("ec2:DescribeSubnets"), service=LAMBDA)
    inside = interfaces(lab)
    with pytest.raises(ClientError) as error:
        deploy(lab, "networked", ECHO, role=role.arn, **inside)
    assert refused(error) == (
        "InvalidParameterValueException",
        "The provided execution role does not have permissions to call CreateNetworkInterface on EC2",
    )
    role.may(NETWORK)
    deploy(lab, "networked", ECHO, role=role.arn, **inside)
    assert invoke(lab, "networked", 1) == 1
    bare = Role(unbent, "networked", service=LAMBDA)
    deploy(unbent, "networked", ECHO, role=bare.arn, **interfaces(unbent))


def test_a_function_s_environment_takes_its_role_s_right_to_the_key(lab: Lab, unbent: Lab) -> None:
    for each, asked in (lab, True), (unbent, False):
        key = each.world().storage_key
        role = Role(each, "locked", service=LAMBDA)
        more: dict[str, Any] = {"Environment": {"Variables": {"PLAN": "a"}}, "KMSKeyArn": key}
        arn = deploy(each, "locked", ECHO, role=role.arn, **more)
        answer = invoke(each, "locked", 1)
        assert (answer != 1) == asked
        if asked:
            assert answer["errorType"] == "KMSAccessDeniedException"
            context = {"kms:EncryptionContext:aws:lambda:FunctionArn": arn}
            role.may(allow("kms:Decrypt", key, StringEquals=context))
            assert invoke(each, "locked", 1) == 1


def test_a_function_s_log_takes_its_role_s_right_to_write_it(lab: Lab, unbent: Lab) -> None:
    for each, asked in (lab, True), (unbent, False):
        role = Role(each, "silent", service=LAMBDA)
        deploy(each, "silent", ECHO, role=role.arn)
        group = "/aws/lambda/silent"
        each.client("logs").create_log_group(logGroupName=group)
        invoke(each, "silent", 1)
        assert bool(said(each, group)) != asked
        own = f"arn:aws:logs:{HOME}:{ACCOUNT}:log-group:{group}:*"
        role.may(allow(["logs:CreateLogStream", "logs:PutLogEvents"], own))
        invoke(each, "silent", 2)
        assert any("said 2" in line for line in said(each, group))


def said(lab: Lab, group: str) -> list[str]:
    return [one["message"] for one in lab.client("logs").filter_log_events(logGroupName=group)["events"]]


DELIVERY = allow(
    [
        f"logs:{action}"
        for action in (
            "CreateLogDelivery", "GetLogDelivery", "UpdateLogDelivery", "DeleteLogDelivery", "ListLogDeliveries",
            "PutResourcePolicy", "DescribeResourcePolicies", "DescribeLogGroups",
        )
    ]
)  # fmt: skip
DEFINITION = json.dumps({"StartAt": "Only", "States": {"Only": {"Type": "Succeed"}}})


def logged(lab: Lab, name: str, role: Role, **more: Any) -> str:
    lab.client("logs").create_log_group(logGroupName=f"/{name}/{role.name}")
    log = f"arn:aws:logs:{HOME}:{ACCOUNT}:log-group:/{name}/{role.name}:*"
    made = lab.client("stepfunctions").create_state_machine(
        name=name,
        definition=DEFINITION,
        roleArn=role.arn,
        loggingConfiguration={
            "level": "ERROR",
            "destinations": [{"cloudWatchLogsLogGroup": {"logGroupArn": log}}],
        },
        **more,
    )
    return str(made["stateMachineArn"])


def test_a_state_machine_with_a_log_takes_a_role_that_may_deliver_it(lab: Lab, unbent: Lab) -> None:
    mute = Role(lab, "mute", service=STATES)
    with pytest.raises(ClientError) as error:
        logged(lab, "logged", mute)
    assert refused(error) == (
        "AccessDeniedException",
        "The state machine IAM Role is not authorized to access the Log Destination",
    )
    arn = logged(lab, "logged", Role(lab, "delivers", DELIVERY, service=STATES))
    with pytest.raises(ClientError) as error:
        lab.client("stepfunctions").update_state_machine(stateMachineArn=arn, roleArn=mute.arn)
    assert refused(error)[0] == "AccessDeniedException"
    logged(unbent, "logged", Role(unbent, "mute", service=STATES))


def test_a_state_machine_s_key_takes_its_role_s_right_to_it(lab: Lab, unbent: Lab) -> None:
    for each, asked in (lab, True), (unbent, False):
        key = each.world().storage_key
        role = Role(each, "keyless", service=STATES)
        encryption = {"type": "CUSTOMER_MANAGED_KMS_KEY", "kmsKeyId": key}
        states = each.client("stepfunctions")
        arn = states.create_state_machine(
            name="kept", definition=DEFINITION, roleArn=role.arn, encryptionConfiguration=encryption
        )["stateMachineArn"]
        if asked:
            with pytest.raises(ClientError) as error:
                states.start_execution(stateMachineArn=arn)
            assert refused(error)[0] == "KmsAccessDeniedException"
            context = {"kms:EncryptionContext:aws:states:stateMachineArn": arn}
            role.may(allow(["kms:Decrypt", "kms:GenerateDataKey"], key, StringEquals=context))
        assert execute(each, arn, {})["status"] == "SUCCEEDED"


def test_an_integration_that_the_lab_does_not_serve_fails(lab: Lab, unbent: Lab) -> None:
    put = {
        "Type": "Task",
        "Resource": "arn:aws:states:::dynamodb:putItem",
        "Arguments": {"TableName": "kept", "Item": {"k": {"S": "a"}}},
        "End": True,
    }
    for each, served in (lab, False), (unbent, True):
        each.client("dynamodb").create_table(
            TableName="kept",
            KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        runs = Role(each, "puts", service=STATES)
        ended = execute(each, machine(each, "puts", {"Put": put}, role=runs.arn))
        assert (ended["status"] == "SUCCEEDED") == served
        if not served:
            assert (ended["error"], ended["cause"]) == (
                "States.Runtime",
                "the lab does not serve the integration dynamodb:putItem",
            )


def replicates(source: str, target: str, *keys: str) -> list[Statement]:
    """What the S3 User Guide lists for the role."""
    return [
        allow(["s3:GetReplicationConfiguration", "s3:ListBucket"], f"arn:aws:s3:::{source}"),
        allow(
            ["s3:GetObjectVersionForReplication", "s3:GetObjectVersionAcl", "s3:GetObjectVersionTagging"],
            f"arn:aws:s3:::{source}/*",
        ),
        allow(["s3:ReplicateObject", "s3:ReplicateTags"], f"arn:aws:s3:::{target}/*"),
        *(
            allow(action, key, StringEquals={"kms:ViaService": f"s3.{region}.amazonaws.com"})
            for action, key, region in (
                ("kms:Decrypt", keys[0], HOME),
                ("kms:Encrypt", keys[1], DR),
                ("kms:Decrypt", keys[1], DR),
            )
        ),
    ]


def test_s3_replicates_what_the_role_may(lab: Lab, unbent: Lab) -> None:
    for each, asked in (lab, True), (unbent, False):
        source, target = "replicated", "replicas"
        keys = (each.world().storage_key, each.world(DR).storage_key)
        for name, region, key in zip((source, target), (HOME, DR), keys, strict=True):
            s3 = each.client("s3", region)
            s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": region})
            s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
            by = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}
            rules = {"Rules": [{"ApplyServerSideEncryptionByDefault": by, "BucketKeyEnabled": True}]}
            s3.put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration=rules)
        role = Role(each, "replicator", service="s3.amazonaws.com")
        destination = {
            "Bucket": f"arn:aws:s3:::{target}",
            "EncryptionConfiguration": {"ReplicaKmsKeyID": keys[1]},
        }
        rule: dict[str, Any] = {"ID": "all", "Priority": 1, "Status": "Enabled", "Filter": {"Prefix": ""}}
        rule |= {"Destination": destination, "DeleteMarkerReplication": {"Status": "Disabled"}}
        rule |= {"SourceSelectionCriteria": {"SseKmsEncryptedObjects": {"Status": "Enabled"}}}
        home = each.client("s3")
        home.put_bucket_replication(
            Bucket=source, ReplicationConfiguration={"Role": role.arn, "Rules": [rule]}
        )
        granted = replicates(source, target, *keys)
        for number in range(len(granted) + 1):
            lacking = [one for position, one in enumerate(granted) if position != number]
            role.may(*lacking)
            home.put_object(Bucket=source, Key=f"{number}", Body=b"-")
            status = home.head_object(Bucket=source, Key=f"{number}")["ReplicationStatus"]
            assert status == ("FAILED" if asked and number < len(granted) else "COMPLETED"), number
