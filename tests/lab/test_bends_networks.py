"""What is deployed of a network can be read again: endpoints' policies and groups, flow logs' roles and tags."""

import json
from typing import Any

import pytest

from pgdrill.lab.lab import Lab
from pgdrill.lab.record import Settings
from tests.lab.labs import MakeLab

POLICY = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:Get<&>*"}]})
TAGS = [{"Key": "Owner", "Value": "dba"}]


@pytest.fixture(scope="module")
def unbent(make_lab: MakeLab) -> Lab:
    lab = make_lab()
    lab.up(Settings(bends=False))
    return lab


def endpoint(lab: Lab, **changes: Any) -> Any:
    """Make an endpoint, change it as told, and return what is then told of it."""
    ec2, place = lab.client("ec2"), lab.world().drill
    made = ec2.create_vpc_endpoint(
        VpcId=place.vpc,
        ServiceName="com.amazonaws.ap-southeast-1.rds",
        VpcEndpointType="Interface",
        SubnetIds=list(place.subnets),
        SecurityGroupIds=[place.security_group],
        PrivateDnsEnabled=True,
        PolicyDocument=POLICY,
    )["VpcEndpoint"]["VpcEndpointId"]
    if changes:
        ec2.modify_vpc_endpoint(VpcEndpointId=made, **changes)
    (found,) = ec2.describe_vpc_endpoints(VpcEndpointIds=[made])["VpcEndpoints"]
    return found


def test_an_endpoint_tells_its_policy_groups_and_private_dns(lab: Lab) -> None:
    found = endpoint(lab)
    assert found["PolicyDocument"] == POLICY
    assert [group["GroupId"] for group in found["Groups"]] == [lab.world().drill.security_group]
    assert found["PrivateDnsEnabled"]


def test_an_endpoint_that_is_changed_tells_the_change(lab: Lab) -> None:
    place = lab.world()
    other, old = place.production.security_group, place.drill.security_group
    found = endpoint(
        lab,
        AddSecurityGroupIds=[other],
        RemoveSecurityGroupIds=[old],
        PrivateDnsEnabled=False,
        PolicyDocument="{}",
    )
    assert found["PolicyDocument"] == "{}"
    assert [group["GroupId"] for group in found["Groups"]] == [other]
    assert not found["PrivateDnsEnabled"]


def flow_log(lab: Lab) -> Any:
    ec2 = lab.client("ec2")
    (made,) = ec2.create_flow_logs(
        ResourceIds=[lab.world().drill.vpc],
        ResourceType="VPC",
        TrafficType="ALL",
        LogDestination="arn:aws:logs:ap-southeast-1:000000000000:log-group:flows",
        DeliverLogsPermissionArn="arn:aws:iam::000000000000:role/flows",
        MaxAggregationInterval=60,
        TagSpecifications=[{"ResourceType": "vpc-flow-log", "Tags": TAGS}],
    )["FlowLogIds"]
    (found,) = ec2.describe_flow_logs(FlowLogIds=[made])["FlowLogs"]
    return found


def test_a_flow_log_tells_its_role_interval_and_tags(lab: Lab) -> None:
    found = flow_log(lab)
    assert found["DeliverLogsPermissionArn"] == "arn:aws:iam::000000000000:role/flows"
    assert (found["MaxAggregationInterval"], found["Tags"]) == (60, TAGS)


def test_the_bare_emulator_forgets_all_of_it(unbent: Lab) -> None:
    assert "PolicyDocument" not in endpoint(unbent)
    assert "Groups" not in endpoint(unbent)
    assert "DeliverLogsPermissionArn" not in flow_log(unbent)
    assert flow_log(unbent)["Tags"] == []
