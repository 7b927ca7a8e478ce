"""The whole program: deployed it stays as it is, changed it changes what has to, destroyed it leaves nothing."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import pytest
from typer.testing import CliRunner

from pgdrill import ledger
from pgdrill.cli import lab as cli
from pgdrill.errors import NotRunnable
from pgdrill.lab import production, shop
from pgdrill.lab.deploy import entries
from pgdrill.lab.deploy.deploy import Outcome, deploy, destroy, directory, settings
from pgdrill.lab.deploy.deployment import Deployment
from pgdrill.lab.deployed import Deployed
from pgdrill.lab.lab import Lab
from pgdrill.lab.record import REGIONS

BEGINS = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(days=2)


class Row(NamedTuple):
    """How things of a type are listed: by whom, under which member, and what names one; "" where a name is all there is."""

    type: str
    service: str
    operation: str
    member: str
    name: str
    asked: dict[str, Any] = {}  # noqa: RUF012 # nothing changes it


RUN_TIME = "made at run time"
ROWS = (
    Row("aws:s3/bucket:Bucket", "s3", "list_buckets", "Buckets", "Name"),
    Row("aws:iam/role:Role", "iam", "list_roles", "Roles", "RoleName"),
    Row("aws:kms/alias:Alias", "kms", "list_aliases", "Aliases", "AliasName"),
    Row("aws:ec2/vpc:Vpc", "ec2", "describe_vpcs", "Vpcs", "VpcId"),
    Row("aws:ec2/subnet:Subnet", "ec2", "describe_subnets", "Subnets", "SubnetId"),
    Row(
        "aws:ec2/securityGroup:SecurityGroup",
        "ec2",
        "describe_security_groups",
        "SecurityGroups",
        "GroupId",
    ),
    *(
        Row(
            f"aws:vpc/securityGroup{way}Rule:SecurityGroup{way}Rule",
            "ec2",
            "describe_security_group_rules",
            "SecurityGroupRules",
            "SecurityGroupRuleId",
        )
        for way in ("Ingress", "Egress")
    ),
    Row("aws:ec2/routeTable:RouteTable", "ec2", "describe_route_tables", "RouteTables", "RouteTableId"),
    Row("aws:ec2/vpcEndpoint:VpcEndpoint", "ec2", "describe_vpc_endpoints", "VpcEndpoints", "VpcEndpointId"),
    Row("aws:ec2/flowLog:FlowLog", "ec2", "describe_flow_logs", "FlowLogs", "FlowLogId"),
    Row("aws:cloudwatch/logGroup:LogGroup", "logs", "describe_log_groups", "logGroups", "logGroupName"),
    Row(
        "aws:cloudwatch/logResourcePolicy:LogResourcePolicy",
        "logs",
        "describe_resource_policies",
        "resourcePolicies",
        "policyName",
    ),
    Row("aws:rds/instance:Instance", "rds", "describe_db_instances", "DBInstances", "DBInstanceIdentifier"),
    Row(
        "aws:rds/instanceAutomatedBackupsReplication:InstanceAutomatedBackupsReplication",
        "rds",
        "describe_db_instance_automated_backups",
        "DBInstanceAutomatedBackups",
        "DBInstanceAutomatedBackupsArn",
    ),
    Row(RUN_TIME, "rds", "describe_db_snapshots", "DBSnapshots", "DBSnapshotIdentifier"),
    Row(
        "aws:rds/subnetGroup:SubnetGroup",
        "rds",
        "describe_db_subnet_groups",
        "DBSubnetGroups",
        "DBSubnetGroupName",
    ),
    Row(
        "aws:rds/parameterGroup:ParameterGroup",
        "rds",
        "describe_db_parameter_groups",
        "DBParameterGroups",
        "DBParameterGroupName",
    ),
    Row("aws:lambda/function:Function", "lambda", "list_functions", "Functions", "FunctionName"),
    Row("aws:sfn/stateMachine:StateMachine", "stepfunctions", "list_state_machines", "stateMachines", "name"),
    Row("aws:scheduler/schedule:Schedule", "scheduler", "list_schedules", "Schedules", "Name"),
    Row(
        "aws:scheduler/scheduleGroup:ScheduleGroup",
        "scheduler",
        "list_schedule_groups",
        "ScheduleGroups",
        "Name",
    ),
    Row("aws:cloudwatch/eventBus:EventBus", "events", "list_event_buses", "EventBuses", "Name"),
    Row("aws:cloudwatch/eventArchive:EventArchive", "events", "list_archives", "Archives", "ArchiveName"),
    Row("aws:sqs/queue:Queue", "sqs", "list_queues", "QueueUrls", ""),
    Row("aws:sns/topic:Topic", "sns", "list_topics", "Topics", "TopicArn"),
    Row(
        "aws:sns/topicSubscription:TopicSubscription",
        "sns",
        "list_subscriptions",
        "Subscriptions",
        "SubscriptionArn",
    ),
    Row(
        "aws:cloudwatch/metricAlarm:MetricAlarm",
        "cloudwatch",
        "describe_alarms",
        "MetricAlarms",
        "AlarmName",
    ),
    Row(
        "aws:cloudwatch/compositeAlarm:CompositeAlarm",
        "cloudwatch",
        "describe_alarms",
        "CompositeAlarms",
        "AlarmName",
        {"AlarmTypes": ["CompositeAlarm"]},
    ),
    Row(
        "aws:cloudwatch/alarmMuteRule:AlarmMuteRule",
        "cloudwatch",
        "list_alarm_mute_rules",
        "AlarmMuteRuleSummaries",
        "AlarmMuteRuleArn",
    ),
    Row(
        "aws:cloudwatch/dashboard:Dashboard",
        "cloudwatch",
        "list_dashboards",
        "DashboardEntries",
        "DashboardName",
    ),
)
# What is listed by functions of their own, below.
KEY, RULE, TARGET = (
    "aws:kms/key:Key",
    "aws:cloudwatch/eventRule:EventRule",
    "aws:cloudwatch/eventTarget:EventTarget",
)
# An account has one of each limit; two deployments in it ask for the same one.
LIMIT = "aws:servicequotas/serviceQuota:ServiceQuota"
# What has no life of its own: it cannot outlive the thing named.
WITHIN = {
    "aws:cloudwatch/eventBusPolicy:EventBusPolicy": "its bus",
    "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup": "its network",
    "aws:ec2/routeTableAssociation:RouteTableAssociation": "its table",
    "aws:iam/rolePolicy:RolePolicy": "its role",
    "aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig": "its function",
    "aws:lambda/permission:Permission": "its function",
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": "its bucket",
    "aws:s3/bucketLogging:BucketLogging": "its bucket",
    "aws:s3/bucketObject:BucketObject": "its bucket",
    "aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration": "its bucket",
    "aws:s3/bucketObjectv2:BucketObjectv2": "its bucket",
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls": "its bucket",
    "aws:s3/bucketPolicy:BucketPolicy": "its bucket",
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": "its bucket",
    "aws:s3/bucketReplicationConfig:BucketReplicationConfig": "its bucket",
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": "its bucket",
    "aws:s3/bucketVersioning:BucketVersioning": "its bucket",
    "aws:sns/topicPolicy:TopicPolicy": "its topic",
    "aws:sqs/queuePolicy:QueuePolicy": "its queue",
    LIMIT: "the account: a limit that was raised stays raised",
}
Found = tuple[str, str, str]


def inventory(lab: Lab) -> set[Found]:
    """Return what is there, of every type that can outlive a deployment: type, region, name.

    What AWS makes by itself is not among it.
    """
    found: set[Found] = set()
    for region in REGIONS:
        for row in ROWS:
            client = lab.client(row.service, region)
            pages: Any = (
                client.get_paginator(row.operation).paginate(**row.asked)
                if client.can_paginate(row.operation)
                else [getattr(client, row.operation)(**row.asked)]
            )
            found |= {
                (row.type, region, str(one[row.name] if row.name else one))
                for page in pages
                for one in page.get(row.member, [])
                if one != "default"
            }
        found |= {(KEY, region, name) for name in keys(lab, region)}
        found |= set(rules(lab, region))
    return found


def keys(lab: Lab, region: str) -> Iterator[str]:
    """Yield the keys that are not about to be deleted."""
    kms = lab.client("kms", region)
    for key in kms.list_keys()["Keys"]:
        if kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]["KeyState"] != "PendingDeletion":
            yield str(key["KeyId"])


def rules(lab: Lab, region: str) -> Iterator[Found]:
    """Yield the rules of every bus, and what they deliver to."""
    events = lab.client("events", region)
    for bus in events.list_event_buses()["EventBuses"]:
        for rule in events.list_rules(EventBusName=bus["Name"])["Rules"]:
            yield RULE, region, f"{bus['Name']}/{rule['Name']}"
            listed = events.list_targets_by_rule(Rule=rule["Name"], EventBusName=bus["Name"])["Targets"]
            yield from ((TARGET, region, f"{bus['Name']}/{rule['Name']}/{one['Id']}") for one in listed)


def asked(**more: Any) -> dict[str, Any]:
    """Return the lab's settings with a silence that is still to come, for which there are mute rules."""
    silence = {
        "begins": BEGINS.isoformat(),
        "ends": (BEGINS + timedelta(hours=1)).isoformat(),
        "reason": "a new switch",
    }
    return settings() | {"notify": {"silence": [silence]}} | more


def named(deployment: Deployment) -> dict[str, str]:
    """Return the type of everything that a deployment holds, by what names it in AWS."""
    return {made.outputs.get("arn") or made.id: made.type for made in deployment.resources}


@pytest.fixture(scope="module")
def before(lab: Lab) -> set[Found]:
    lab.door.hold_schedules()
    return inventory(lab)


@pytest.fixture(scope="module")
def deployed(lab: Lab, before: set[Found]) -> Iterator[Outcome]:
    yield deploy(lab, asked())
    destroy(lab)


def test_every_type_that_the_lab_can_make_is_looked_for_or_goes_with_something() -> None:
    looked_for = {row.type for row in ROWS} | {KEY, RULE, TARGET}
    assert looked_for - {RUN_TIME} | WITHIN.keys() == entries.BY_TYPE.keys()
    assert looked_for.isdisjoint(WITHIN)


def test_it_is_there_and_another_run_changes_nothing(lab: Lab, deployed: Outcome, before: set[Found]) -> None:
    assert deployed.counts["created"] == deployed.resources > 300
    there = inventory(lab)
    made = {(one.type, one.region) for one in Deployment.read(lab.directory).resources}
    assert {one for one in made if one[0] not in WITHIN} <= {one[:2] for one in there - before}
    again = deploy(lab, asked())
    assert again.counts["kept"] == again.resources == deployed.resources
    assert again.outputs == deployed.outputs
    assert inventory(lab) == there > before


def test_a_changed_plan_reaches_the_functions_and_touches_no_database(lab: Lab, deployed: Outcome) -> None:
    old = {made.urn: made for made in Deployment.read(lab.directory).resources}
    after = deploy(lab, asked(drill={"point": "latest"}))
    now = {made.urn: made for made in Deployment.read(lab.directory).resources}
    touched = {now[urn].type for urn in now if urn not in old or now[urn] != old[urn]}
    assert after.counts["deleted"] == 0
    assert "aws:lambda/function:Function" in touched
    assert touched.isdisjoint({"aws:rds/instance:Instance", "aws:kms/key:Key", "aws:s3/bucket:Bucket"})
    assert after.outputs["primaryChooseFunctionArn"].endswith(":2")
    assert '"latest"' in after.outputs["plan"]


def test_the_shop_is_put_into_the_database_that_was_deployed_and_once(lab: Lab, deployed: Outcome) -> None:
    words = ["fill", "--rows", "600", "--directory", str(lab.directory)]
    filled = CliRunner().invoke(cli.app, words)
    assert filled.exit_code == 0
    assert filled.stderr.startswith("shop holds a shop and the ledger\n")
    master = production.deployed(lab, Deployed(lab).plan.database(None))
    with shop.connect(master, "shop") as session:
        assert session.execute("SELECT count(*) FROM shop.orders").fetchone() == (120,)
        roles = session.execute("SELECT rolname FROM pg_catalog.pg_roles").fetchall()
    assert (ledger.ROLE,) in roles
    again = CliRunner().invoke(cli.app, words)
    assert isinstance(again.exception, NotRunnable)
    assert again.exception.message == "database 'shop' holds a shop already"


def test_two_suffixes_live_side_by_side(lab: Lab, deployed: Outcome) -> None:
    there = inventory(lab)
    first = named(Deployment.read(lab.directory))
    try:
        second = deploy(lab, asked(stack={"suffix": "main2"}), stack="second")
        assert second.counts["created"] == second.resources == deployed.resources
        others = named(Deployment.read(directory(lab, "second")))
        assert {first[name] for name in first.keys() & others.keys()} == {LIMIT}
    finally:
        gone = destroy(lab, stack="second")
    assert gone.resources == 0
    assert inventory(lab) == there


def test_destroyed_it_leaves_nothing(lab: Lab, deployed: Outcome, before: set[Found]) -> None:
    gone = destroy(lab)
    assert gone.resources == 0
    assert inventory(lab) == before
