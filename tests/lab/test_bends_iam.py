"""With policies enforced, a role needs every resource that its call to RDS touches, and conditions see the request."""

import json
from dataclasses import dataclass
from typing import Any

import pytest

from pgdrill.lab.lab import Lab
from pgdrill.lab.rds import authorization
from pgdrill.lab.rds.service import Rds
from pgdrill.lab.record import Settings
from tests.lab.functions import deploy, invoke
from tests.lab.labs import MakeLab, await_snapshot, create
from tests.lab.roles import ACCOUNT, Role, allow, deny, refusal

HOME, DR = "ap-southeast-1", "ap-northeast-1"
TAGS = [{"Key": "PgDrillRole", "Value": "drill"}]


def arn(name: str, region: str = HOME) -> str:
    return f"arn:aws:rds:{region}:{ACCOUNT}:{name}"


GROUPS = [arn("og:default:postgres-15"), arn("pg:default.postgres15"), arn("subgrp:default")]
OWN_GROUPS = [arn("og:default:postgres-15"), arn("pg:drill"), arn("subgrp:drill")]
OWN = {"DBParameterGroupName": "drill", "DBSubnetGroupName": "drill"}


@dataclass(frozen=True)
class Call:
    action: str
    arguments: dict[str, Any]
    needs: list[tuple[str, str]]
    region: str = HOME

    @property
    def name(self) -> str:
        return f"{self.action}-{len(self.needs)}"


def call(action: str, arguments: dict[str, Any], *resources: str, region: str = HOME, **more: str) -> Call:
    """Name a call of the RDS API with the ARNs that it needs; `more` are other actions, as iam_PassRole."""
    method = "".join(f"_{c.lower()}" if c.isupper() else c for c in action.replace("DB", "Db")).lstrip("_")
    needs = [(f"rds:{action}", resource) for resource in resources]
    needs += [(name.replace("_", ":"), resource) for name, resource in more.items()]
    return Call(method, arguments, needs, region)


A_SNAPSHOT = arn("snapshot:pgdrill-a")
CALLS = (
    call("DescribeDBInstances", {}, arn("db:*")),
    call("DescribeDBInstances", {"DBInstanceIdentifier": "shop"}, arn("db:shop")),
    call("DescribeDBSnapshots", {}, arn("snapshot:*")),
    call("DescribeDBSnapshots", {"DBSnapshotIdentifier": "pgdrill-a"}, A_SNAPSHOT),
    call(
        "CreateDBSnapshot",
        {"DBInstanceIdentifier": "nothing", "DBSnapshotIdentifier": "pgdrill-new", "Tags": TAGS},
        arn("db:nothing"),
        arn("snapshot:pgdrill-new"),
        rds_AddTagsToResource=arn("snapshot:pgdrill-new"),
    ),
    call("DeleteDBSnapshot", {"DBSnapshotIdentifier": "pgdrill-gone"}, arn("snapshot:pgdrill-gone")),
    call(
        "CopyDBSnapshot",
        {
            "SourceDBSnapshotIdentifier": arn("snapshot:pgdrill-gone"),
            "TargetDBSnapshotIdentifier": "pgdrill-copy",
            "Tags": TAGS,
        },
        arn("snapshot:pgdrill-gone"),
        arn("snapshot:pgdrill-copy", DR),
        region=DR,
        rds_AddTagsToResource=arn("snapshot:pgdrill-copy", DR),
    ),
    call(
        "RestoreDBInstanceFromDBSnapshot",
        {"DBInstanceIdentifier": "pgdrill-drill", "DBSnapshotIdentifier": "pgdrill-gone", "Tags": TAGS},
        arn("db:pgdrill-drill"),
        arn("snapshot:pgdrill-gone"),
        *GROUPS,
        rds_AddTagsToResource=arn("db:pgdrill-drill"),
    ),
    call(
        "RestoreDBInstanceFromDBSnapshot",
        {"DBInstanceIdentifier": "pgdrill-drill", "DBSnapshotIdentifier": "pgdrill-gone", **OWN},
        arn("db:pgdrill-drill"),
        arn("snapshot:pgdrill-gone"),
        *OWN_GROUPS,
    ),
    call(
        "RestoreDBInstanceToPointInTime",
        {
            "SourceDBInstanceIdentifier": "nothing",
            "TargetDBInstanceIdentifier": "pgdrill-drill",
            "UseLatestRestorableTime": True,
            **OWN,
        },
        arn("db:nothing"),
        arn("db:pgdrill-drill"),
        *OWN_GROUPS,
    ),
    call(
        "RestoreDBInstanceToPointInTime",
        {
            "SourceDBInstanceAutomatedBackupsArn": arn("auto-backup:ab-x", DR),
            "TargetDBInstanceIdentifier": "pgdrill-drill",
            "UseLatestRestorableTime": True,
            **OWN,
        },
        arn("auto-backup:ab-x", DR),
        arn("db:pgdrill-drill", DR),
        *(name.replace(HOME, DR) for name in OWN_GROUPS),
        region=DR,
    ),
    call(
        "ModifyDBInstance",
        {"DBInstanceIdentifier": "nothing", "DBParameterGroupName": "drill"},
        arn("db:nothing"),
        arn("pg:drill"),
    ),
    call(
        "DeleteDBInstance", {"DBInstanceIdentifier": "nothing", "SkipFinalSnapshot": True}, arn("db:nothing")
    ),
    call("RebootDBInstance", {"DBInstanceIdentifier": "nothing"}, arn("db:nothing")),
    call(
        "StartExportTask",
        {
            "ExportTaskIdentifier": "pgdrill-export",
            "SourceArn": arn("snapshot:pgdrill-gone"),
            "S3BucketName": "nowhere",
            "IamRoleArn": f"arn:aws:iam::{ACCOUNT}:role/exports",
            "KmsKeyId": f"arn:aws:kms:{HOME}:{ACCOUNT}:key/11111111-2222-3333-4444-555555555555",
        },
        arn("snapshot:pgdrill-gone"),
        iam_PassRole=f"arn:aws:iam::{ACCOUNT}:role/exports",
        kms_DescribeKey=f"arn:aws:kms:{HOME}:{ACCOUNT}:key/11111111-2222-3333-4444-555555555555",
        kms_CreateGrant=f"arn:aws:kms:{HOME}:{ACCOUNT}:key/11111111-2222-3333-4444-555555555555",
    ),
    call("DescribeExportTasks", {}, "*"),
    call("AddTagsToResource", {"ResourceName": arn("db:nothing"), "Tags": TAGS}, arn("db:nothing")),
    call("RemoveTagsFromResource", {"ResourceName": A_SNAPSHOT, "TagKeys": ["a"]}, A_SNAPSHOT),
    call("DescribeDBParameters", {"DBParameterGroupName": "drill"}, arn("pg:drill")),
    call("DeleteDBSubnetGroup", {"DBSubnetGroupName": "gone"}, arn("subgrp:gone")),
    call("DeleteDBInstanceAutomatedBackup", {"DbiResourceId": "db-GONE"}, arn("auto-backup:db-gone")),
)


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


@pytest.fixture(scope="module")
def role(lab: Lab) -> Role:
    return Role(lab, "tried")


@pytest.fixture(scope="module")
def production(lab: Lab) -> str:
    """An encrypted instance with tags, and a snapshot `taken` of it."""
    create(lab, "production")
    lab.client("rds").create_db_snapshot(
        DBInstanceIdentifier="production", DBSnapshotIdentifier="taken", Tags=TAGS
    )
    await_snapshot(lab, "taken")
    return "production"


def test_every_action_that_rds_serves_has_its_resources_named() -> None:
    assert set(Rds.ACTIONS) - set(authorization.RESOURCES) == set()


@pytest.mark.parametrize("tried", CALLS, ids=lambda tried: tried.name)
def test_a_role_needs_every_resource_of_its_call_and_no_other(role: Role, tried: Call) -> None:
    client = role.client("rds", tried.region)
    statements = [allow(action, resource) for action, resource in tried.needs]
    role.may(*statements)
    assert refusal(client, tried.action, **tried.arguments) is None
    for number, (action, resource) in enumerate(tried.needs):
        role.may(*statements[:number], *statements[number + 1 :])
        said = refusal(client, tried.action, **tried.arguments)
        assert said is not None, f"{action} on {resource} is not asked for"
        assert f"is not authorized to perform: {action} on resource: {resource} because" in said


@pytest.mark.parametrize(
    "tried", [tried for tried in CALLS if len(tried.needs) > 1], ids=lambda tried: tried.name
)
def test_the_bare_emulator_asks_for_other_resources(unbent: Lab, tried: Call) -> None:
    role = Role(unbent, f"bare-{CALLS.index(tried)}")
    client = role.client("rds", tried.region)
    statements = [allow(action, resource) for action, resource in tried.needs]
    role.may(*statements)
    refused = refusal(client, tried.action, **tried.arguments)
    if refused is None:
        role.may(statements[0])
        assert refusal(client, tried.action, **tried.arguments) is None, "one resource of several is enough"


DRILL = {"aws:RequestTag/PgDrillRole": "drill"}


@pytest.mark.parametrize(
    ("condition", "met"),
    [
        ({"StringEquals": DRILL}, True),
        ({"StringEquals": {"rds:req-tag/PgDrillRole": "drill"}}, True),
        ({"StringEquals": {"aws:RequestTag/PgDrillRole": "production"}}, False),
        ({"ForAllValues:StringEquals": {"aws:TagKeys": ["PgDrillRole"]}}, True),
        ({"ForAllValues:StringEquals": {"aws:TagKeys": ["Owner"]}}, False),
        ({"Bool": {"rds:PubliclyAccessible": "false"}}, True),
        ({"Bool": {"rds:PubliclyAccessible": "true"}}, False),
    ],
    ids=str,
)
def test_a_condition_sees_the_request(role: Role, condition: dict[str, Any], *, met: bool) -> None:
    role.may(allow("rds:RestoreDBInstanceFromDBSnapshot", **condition), allow("rds:AddTagsToResource"))
    said = refusal(
        role.client("rds"),
        "restore_db_instance_from_db_snapshot",
        DBInstanceIdentifier="pgdrill-drill",
        DBSnapshotIdentifier="gone",
        PubliclyAccessible=False,
        Tags=TAGS,
    )
    assert (said is None) == met


@pytest.mark.parametrize(
    ("resource", "condition", "met"),
    [
        ("snapshot:taken", {"StringEquals": {"aws:ResourceTag/PgDrillRole": "drill"}}, True),
        ("snapshot:taken", {"StringEquals": {"rds:snapshot-tag/PgDrillRole": "drill"}}, True),
        ("snapshot:taken", {"StringEquals": {"aws:ResourceTag/PgDrillRole": "production"}}, False),
        ("db:production", {"StringEquals": {"aws:ResourceTag/Owner": "you"}}, True),
        ("db:production", {"StringEquals": {"rds:db-tag/Owner": "me"}}, False),
        ("db:production", {"StringLike": {"rds:DatabaseClass": "db.t3.*"}}, True),
        ("db:production", {"StringEquals": {"rds:DatabaseClass": "db.m5.large"}}, False),
        ("db:production", {"Bool": {"rds:StorageEncrypted": "true"}}, True),
        ("db:production", {"Bool": {"rds:StorageEncrypted": "false"}}, False),
        ("db:production", {"NumericLessThanEquals": {"rds:StorageSize": "20"}}, True),
    ],
    ids=str,
)
@pytest.mark.usefixtures("production")
def test_a_condition_sees_the_resource(
    role: Role, resource: str, condition: dict[str, Any], *, met: bool
) -> None:
    role.may(allow("rds:ListTagsForResource", **condition))
    said = refusal(role.client("rds"), "list_tags_for_resource", ResourceName=arn(resource))
    assert (said is None) == met


@pytest.mark.usefixtures("production")
def test_a_copy_needs_the_keys_of_both_regions_each_through_its_own_rds(lab: Lab, role: Role) -> None:
    source, target = lab.world(HOME).storage_key, lab.world(DR).storage_key
    copy: dict[str, Any] = {
        "SourceDBSnapshotIdentifier": arn("snapshot:taken"),
        "TargetDBSnapshotIdentifier": "not--a-name",
        "KmsKeyId": target,
    }
    client = role.client("rds", DR)

    def refused(*keys: tuple[str, str], via_grants: str = "true") -> str | None:
        through = [
            allow(
                ["kms:CreateGrant", "kms:DescribeKey"],
                key,
                StringEquals={"kms:ViaService": f"rds.{region}.amazonaws.com"},
                BoolIfExists={"kms:GrantIsForAWSResource": via_grants},
            )
            for key, region in keys
        ]
        role.may(allow("rds:CopyDBSnapshot"), *through)
        return refusal(client, "copy_db_snapshot", **copy)

    assert refused((source, HOME), (target, DR)) is None
    for keys, lacking in (
        ([(source, HOME)], target),
        ([(target, DR)], source),
        ([(source, DR), (target, DR)], source),
    ):
        said = refused(*keys)
        assert said is not None
        assert f"kms:DescribeKey on resource: {lacking} because" in said
    assert "kms:CreateGrant" in str(refused((source, HOME), (target, DR), via_grants="false"))


@pytest.mark.usefixtures("production")
def test_a_copy_is_asked_for_in_both_regions(lab: Lab, role: Role) -> None:
    """RDS asks in the source's region too, in the caller's name."""
    copy = {
        "SourceDBSnapshotIdentifier": arn("snapshot:taken"),
        "TargetDBSnapshotIdentifier": "not--a-name",
        "KmsKeyId": lab.world(DR).storage_key,
    }
    for regions, lacking in (([HOME, DR], None), ([DR], arn("snapshot:taken"))):
        only_in = {"aws:RequestedRegion": regions}
        role.may(allow("kms:*"), allow("rds:CopyDBSnapshot", StringEquals=only_in))
        said = refusal(role.client("rds", DR), "copy_db_snapshot", **copy)
        assert (said is None) == (lacking is None), said
        if lacking:
            assert f"rds:CopyDBSnapshot on resource: {lacking} because" in str(said)


@pytest.mark.usefixtures("production")
def test_a_restore_needs_the_key_of_its_snapshot(lab: Lab, role: Role) -> None:
    key = lab.world().storage_key
    restore = {"DBInstanceIdentifier": "not--a-name", "DBSnapshotIdentifier": "taken"}
    client = role.client("rds")
    for keys, passes in ([], False), ([key], True):
        role.may(allow("rds:RestoreDBInstanceFromDBSnapshot"), *(allow("kms:*", each) for each in keys))
        assert (refusal(client, "restore_db_instance_from_db_snapshot", **restore) is None) == passes


def test_a_deny_of_one_resource_outweighs_an_allow_of_all(role: Role) -> None:
    role.may(allow("rds:*"), deny("rds:*", arn("snapshot:pgdrill-copy", DR)))
    said = refusal(
        role.client("rds", DR),
        "copy_db_snapshot",
        SourceDBSnapshotIdentifier=A_SNAPSHOT,
        TargetDBSnapshotIdentifier="pgdrill-copy",
    )
    assert said is not None
    assert said.endswith(
        f"{arn('snapshot:pgdrill-copy', DR)} with an explicit deny in an identity-based policy"
    )


def put_metric(client: Any, namespace: str) -> str | None:
    data = [{"MetricName": "Age", "Value": 1}]
    return refusal(client, "put_metric_data", Namespace=namespace, MetricData=data)


def put_event(client: Any, *sources: str) -> str | None:
    entries = [{"Source": source, "DetailType": "inventory", "Detail": "{}"} for source in sources]
    return refusal(client, "put_events", Entries=entries)


def test_metrics_are_allowed_by_namespace(lab: Lab, unbent: Lab, role: Role) -> None:
    statement = allow("cloudwatch:PutMetricData", StringEquals={"cloudwatch:namespace": "pgdrill"})
    client = role.may(statement).client("cloudwatch")
    assert put_metric(client, "pgdrill") is None
    assert put_metric(client, "AWS/RDS") is not None
    assert put_metric(Role(unbent, "meter", statement).client("cloudwatch"), "pgdrill") is not None


def test_events_are_allowed_by_source(lab: Lab, unbent: Lab, role: Role) -> None:
    statement = allow("events:PutEvents", StringEquals={"events:source": "pgdrill"})
    client = role.may(statement).client("events")
    assert put_event(client, "pgdrill") is None
    assert put_event(client, "other") is not None
    assert put_event(Role(unbent, "teller", statement).client("events"), "pgdrill") is not None


def test_a_batch_of_messages_is_allowed_as_each_of_them_is(lab: Lab, unbent: Lab) -> None:
    batch = {"Entries": [{"Id": "1", "ReceiptHandle": "h"}]}
    for action, passes in ("sqs:DeleteMessage", True), ("sqs:DeleteMessageBatch", False):
        for each, bent in (lab, True), (unbent, False):
            queue = each.client("sqs").create_queue(QueueName="letters")["QueueUrl"]
            client = Role(each, f"taker-{passes}", allow(action)).client("sqs")
            refused = refusal(client, "delete_message_batch", QueueUrl=queue, **batch)
            assert (refused is None) == (passes == bent)


def test_an_alias_is_allowed_by_its_key(lab: Lab, unbent: Lab) -> None:
    for each, passes in (lab, True), (unbent, False):
        key = each.world().mac_key
        mac: dict[str, Any] = {
            "KeyId": "alias/pgdrill-lab-mac",
            "Message": b"nonce",
            "MacAlgorithm": "HMAC_SHA_256",
        }
        role = Role(each, "deriver", allow("kms:GenerateMac", key))
        assert (refusal(role.client("kms"), "generate_mac", **mac) is None) == passes
        role.may(allow("kms:GenerateMac", StringEquals={"kms:RequestAlias": mac["KeyId"]}))
        assert (refusal(role.client("kms"), "generate_mac", **mac) is None) == passes
    alias = key.rpartition("key/")[0] + "alias/pgdrill-lab-mac"
    alone = Role(lab, "by-alias", allow("kms:GenerateMac", alias))
    assert refusal(alone.client("kms"), "generate_mac", **mac) is not None


def through(service: str) -> dict[str, dict[str, str]]:
    return {"StringEquals": {"kms:ViaService": f"{service}.{HOME}.amazonaws.com"}}


def test_an_object_takes_the_key_of_its_bucket(lab: Lab, unbent: Lab) -> None:
    for each, asked in (lab, True), (unbent, False):
        world = each.world()
        put = {"Bucket": world.evidence_bucket, "Key": "drills/1", "Body": b"{}"}
        role = Role(each, "keeper", allow("s3:PutObject"))
        client = role.client("s3")
        said = refusal(client, "put_object", **put)
        assert (said is not None) == asked
        if said is not None:
            assert f"kms:GenerateDataKey on resource: {world.storage_key} because" in said
        role.may(allow("s3:PutObject"), allow("kms:GenerateDataKey", world.storage_key, **through("s3")))
        assert refusal(client, "put_object", **put) is None
        role.may(allow("s3:GetObject"), allow("kms:GenerateDataKey", world.storage_key))
        get = {"Bucket": world.evidence_bucket, "Key": "drills/1"}
        assert (refusal(client, "get_object", **get) is not None) == asked


def test_a_secret_takes_its_key(lab: Lab, unbent: Lab) -> None:
    for each, asked in (lab, True), (unbent, False):
        key = each.world().storage_key
        each.client("secretsmanager").create_secret(Name="shop/pgdrill", SecretString="{}", KmsKeyId=key)
        role = Role(each, "reader", allow("secretsmanager:GetSecretValue"))
        client = role.client("secretsmanager")
        assert (refusal(client, "get_secret_value", SecretId="shop/pgdrill") is not None) == asked
        via = through("secretsmanager")
        role.may(allow("secretsmanager:GetSecretValue"), allow("kms:Decrypt", key, **via))
        assert refusal(client, "get_secret_value", SecretId="shop/pgdrill") is None


def test_the_lab_s_http_counts_as_tls(lab: Lab, unbent: Lab) -> None:
    """So that what AWS recommends for every bucket does not close it in the lab."""
    for each, passes in (lab, True), (unbent, False):
        bucket = "tls-only"
        each.client("s3").create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": HOME})
        resources = [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]
        statement = deny("s3:*", resources, Bool={"aws:SecureTransport": "false"}) | {"Principal": "*"}
        document = {"Version": "2012-10-17", "Statement": [statement]}
        each.client("s3").put_bucket_policy(Bucket=bucket, Policy=json.dumps(document))
        client = Role(each, "by-tls", allow("s3:ListBucket")).client("s3")
        assert (refusal(client, "list_objects_v2", Bucket=bucket) is None) == passes


def test_a_session_is_known_by_its_role(lab: Lab, unbent: Lab) -> None:
    for each, passes in (lab, True), (unbent, False):
        role = Role(each, "known", allow("kms:GenerateMac"))
        account = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Resource": "*"}
        used = account | {
            "Action": "kms:GenerateMac",
            "Condition": {"ArnEquals": {"aws:PrincipalArn": role.arn}},
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [used]})
        kms = each.client("kms")
        made = kms.create_key(KeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC", Policy=policy)
        mac = {"KeyId": made["KeyMetadata"]["KeyId"], "Message": b"nonce", "MacAlgorithm": "HMAC_SHA_256"}
        assert (refusal(role.client("kms"), "generate_mac", **mac) is None) == passes
        stranger = Role(each, "unknown", allow("kms:GenerateMac"))
        assert refusal(stranger.client("kms"), "generate_mac", **mac) is not None


LOOKS = """
import boto3
def handler(event, context):
    return len(boto3.client("ec2").describe_subnets()["Subnets"])
"""


def test_a_function_s_own_code_is_told_from_its_service(lab: Lab, unbent: Lab) -> None:
    own = f"arn:aws:lambda:{HOME}:{ACCOUNT}:function:looks"
    for each, refused in (lab, True), (unbent, False):
        role = Role(
            each,
            "looks",
            allow("ec2:DescribeSubnets"),
            deny("ec2:*", ArnEquals={"lambda:SourceFunctionArn": own}),
            service="lambda.amazonaws.com",
        )
        deploy(each, "looks", LOOKS, role=role.arn)
        answer = invoke(each, "looks")
        assert isinstance(answer, dict) == refused
        other = Role(each, "looks-too", allow("ec2:DescribeSubnets"), service="lambda.amazonaws.com")
        deploy(each, "looks-too", LOOKS, role=other.arn)
        assert isinstance(invoke(each, "looks-too"), int)
