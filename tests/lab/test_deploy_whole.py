"""The whole program: deployed it stays as it is, changed it changes what has to, destroyed it leaves nothing."""

from collections.abc import Iterator
from typing import Any

import pytest

from pgdrill.lab.deploy.deploy import Outcome, deploy, destroy, directory, settings
from pgdrill.lab.deploy.deployment import Deployment
from pgdrill.lab.lab import Lab
from pgdrill.lab.record import REGIONS

HOME, DR = REGIONS
# (service, operation, member, what names one of its things); what AWS makes by itself is not among them.
THINGS = (
    ("s3", "list_buckets", "Buckets", "Name"),
    ("iam", "list_roles", "Roles", "RoleName"),
    ("kms", "list_aliases", "Aliases", "AliasName"),
    ("ec2", "describe_vpcs", "Vpcs", "VpcId"),
    ("ec2", "describe_subnets", "Subnets", "SubnetId"),
    ("ec2", "describe_security_groups", "SecurityGroups", "GroupId"),
    ("ec2", "describe_security_group_rules", "SecurityGroupRules", "SecurityGroupRuleId"),
    ("ec2", "describe_route_tables", "RouteTables", "RouteTableId"),
    ("ec2", "describe_vpc_endpoints", "VpcEndpoints", "VpcEndpointId"),
    ("ec2", "describe_flow_logs", "FlowLogs", "FlowLogId"),
    ("logs", "describe_log_groups", "logGroups", "logGroupName"),
    ("logs", "describe_resource_policies", "resourcePolicies", "policyName"),
    ("rds", "describe_db_instances", "DBInstances", "DBInstanceIdentifier"),
    ("rds", "describe_db_snapshots", "DBSnapshots", "DBSnapshotIdentifier"),
    ("rds", "describe_db_subnet_groups", "DBSubnetGroups", "DBSubnetGroupName"),
    ("rds", "describe_db_parameter_groups", "DBParameterGroups", "DBParameterGroupName"),
    ("lambda", "list_functions", "Functions", "FunctionName"),
    ("stepfunctions", "list_state_machines", "stateMachines", "name"),
    ("scheduler", "list_schedules", "Schedules", "Name"),
    ("scheduler", "list_schedule_groups", "ScheduleGroups", "Name"),
    ("events", "list_event_buses", "EventBuses", "Name"),
    ("events", "list_archives", "Archives", "ArchiveName"),
    ("sqs", "list_queues", "QueueUrls", ""),
    ("sns", "list_topics", "Topics", "TopicArn"),
    ("sns", "list_subscriptions", "Subscriptions", "SubscriptionArn"),
    ("cloudwatch", "describe_alarms", "MetricAlarms", "AlarmName"),
)
# An account has one of each limit; two deployments in it ask for the same one.
LIMIT = "aws:servicequotas/serviceQuota:ServiceQuota"


def inventory(lab: Lab) -> set[str]:
    """Return what is there, of every kind that the program makes."""
    found = set()
    for region in REGIONS:
        for service, operation, member, name in THINGS:
            client = lab.client(service, region)
            pages: Any = (
                client.get_paginator(operation).paginate()
                if client.can_paginate(operation)
                else [getattr(client, operation)()]
            )
            for page in pages:
                found |= {
                    f"{region} {member} {one[name] if name else one}"
                    for one in page.get(member, [])
                    if one != "default"
                }
        for key in lab.client("kms", region).list_keys()["Keys"]:
            state = lab.client("kms", region).describe_key(KeyId=key["KeyId"])["KeyMetadata"]["KeyState"]
            if state != "PendingDeletion":
                found.add(f"{region} key {key['KeyId']}")
    return found


def named(deployment: Deployment) -> dict[str, str]:
    """Return the type of everything that a deployment holds, by what names it in AWS."""
    return {made.outputs.get("arn") or made.id: made.type for made in deployment.resources}


@pytest.fixture(scope="module")
def before(lab: Lab) -> set[str]:
    lab.door.hold_schedules()
    return inventory(lab)


@pytest.fixture(scope="module")
def deployed(lab: Lab, before: set[str]) -> Iterator[Outcome]:
    yield deploy(lab)
    destroy(lab)


def test_it_is_there_and_another_run_changes_nothing(lab: Lab, deployed: Outcome, before: set[str]) -> None:
    assert deployed.counts["created"] == deployed.resources > 300
    there = inventory(lab)
    again = deploy(lab)
    assert again.counts["kept"] == again.resources == deployed.resources
    assert again.outputs == deployed.outputs
    assert inventory(lab) == there > before


def test_a_changed_plan_reaches_the_functions_and_touches_no_database(lab: Lab, deployed: Outcome) -> None:
    old = {made.urn: made for made in Deployment.read(lab.directory).resources}
    after = deploy(lab, settings() | {"drill": {"point": "latest"}})
    now = {made.urn: made for made in Deployment.read(lab.directory).resources}
    touched = {now[urn].type for urn in now if urn not in old or now[urn] != old[urn]}
    assert after.counts["deleted"] == 0
    assert "aws:lambda/function:Function" in touched
    assert touched.isdisjoint({"aws:rds/instance:Instance", "aws:kms/key:Key", "aws:s3/bucket:Bucket"})
    assert after.outputs["primaryChooseFunctionArn"].endswith(":2")
    assert '"latest"' in after.outputs["plan"]


def test_two_suffixes_live_side_by_side(lab: Lab, deployed: Outcome) -> None:
    there = inventory(lab)
    first = named(Deployment.read(lab.directory))
    try:
        second = deploy(lab, settings() | {"stack": {"suffix": "main2"}}, stack="second")
        assert second.counts["created"] == second.resources == deployed.resources
        others = named(Deployment.read(directory(lab, "second")))
        assert {first[name] for name in first.keys() & others.keys()} == {LIMIT}
    finally:
        gone = destroy(lab, stack="second")
    assert gone.resources == 0
    assert inventory(lab) == there


def test_destroyed_it_leaves_nothing(lab: Lab, deployed: Outcome, before: set[str]) -> None:
    gone = destroy(lab)
    assert gone.resources == 0
    assert inventory(lab) == before
