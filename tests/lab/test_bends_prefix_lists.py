"""A group's rule that leads to a prefix list keeps it: the way to S3 can be read, and taken away again."""

from typing import Any

import pytest

from pgdrill.lab.lab import Lab
from pgdrill.lab.record import Settings
from tests.lab.labs import MakeLab


@pytest.fixture(scope="module")
def unbent(make_lab: MakeLab) -> Lab:
    lab = make_lab()
    lab.up(Settings(bends=False))
    return lab


def rule(lab: Lab) -> dict[str, Any]:
    filters = [{"Name": "prefix-list-name", "Values": ["com.amazonaws.ap-southeast-1.s3"]}]
    (found,) = lab.client("ec2").describe_prefix_lists(Filters=filters)["PrefixLists"]
    to = {"PrefixListId": found["PrefixListId"], "Description": "to S3"}
    return {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "PrefixListIds": [to]}


def group(lab: Lab) -> str:
    """Make a group that lets functions out to S3; return its id."""
    ec2 = lab.client("ec2")
    made = ec2.create_security_group(
        GroupName="functions", Description="functions", VpcId=lab.world().drill.vpc
    )
    ec2.authorize_security_group_egress(GroupId=made["GroupId"], IpPermissions=[rule(lab)])
    return str(made["GroupId"])


def lists(lab: Lab, identity: str) -> list[Any]:
    (found,) = lab.client("ec2").describe_security_groups(GroupIds=[identity])["SecurityGroups"]
    return [one for permission in found["IpPermissionsEgress"] for one in permission["PrefixListIds"]]


def test_a_rule_to_a_prefix_list_is_kept_and_can_be_taken_away(lab: Lab) -> None:
    made = group(lab)
    assert lists(lab, made) == rule(lab)["PrefixListIds"]
    lab.client("ec2").revoke_security_group_egress(GroupId=made, IpPermissions=[rule(lab)])
    assert lists(lab, made) == []


def test_the_bare_emulator_keeps_a_rule_that_leads_nowhere(unbent: Lab) -> None:
    assert lists(unbent, group(unbent)) == []
