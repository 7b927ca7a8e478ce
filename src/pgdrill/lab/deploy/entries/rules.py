"""EC2: security groups and their rules."""

from typing import Any

from pgdrill.lab.deploy.aws import Aws
from pgdrill.lab.deploy.entries.networks import arn, specification, update_tags
from pgdrill.lab.deploy.entry import Entry, Made, Outputs, Wanted, stays
from pgdrill.model import JSON


def _create_group(wanted: Wanted) -> tuple[str, Outputs]:
    wanted.later("revokeRulesOnDelete")
    given = wanted.some("vpcId", "description", name="GroupName")
    given.setdefault("description", "Managed by Pulumi")
    specified = specification(wanted, "security-group")
    group = wanted.call("ec2", "create_security_group", given, TagSpecifications=specified)["GroupId"]
    _clear(wanted, group)  # EC2 lets everything out of a new group, and Pulumi takes that away
    return group, {
        "arn": arn(wanted, "security-group", group),
        "ownerId": _group(wanted, group).get("OwnerId"),
    }


def _group(wanted: Wanted, group: str) -> JSON:
    return wanted.call("ec2", "describe_security_groups", GroupIds=[group])["SecurityGroups"][0]


def _clear(wanted: Wanted, group: str) -> None:
    """Take every rule from a group."""
    found = _group(wanted, group)
    for which, rules in (("egress", "IpPermissionsEgress"), ("ingress", "IpPermissions")):
        if found[rules]:
            wanted.call("ec2", f"revoke_security_group_{which}", GroupId=group, IpPermissions=found[rules])


def _update_group(wanted: Wanted, made: Made) -> Outputs:
    update_tags(wanted, made)
    wanted.later("vpcId", "description", "name", "revokeRulesOnDelete")
    return {}


def _delete_group(aws: Aws, made: Made) -> None:
    aws.client("ec2").delete_security_group(GroupId=made.id)


def _adopt_default(wanted: Wanted) -> tuple[str, Outputs]:
    filters = [
        {"Name": "vpc-id", "Values": [wanted.take("vpcId")]},
        {"Name": "group-name", "Values": ["default"]},
    ]
    found = wanted.call("ec2", "describe_security_groups", Filters=filters)["SecurityGroups"][0]
    group = found["GroupId"]
    _clear(wanted, group)
    for rules in ("ingress", "egress"):
        if wanted.inputs.get(rules) == []:
            wanted.later(rules)
    tags = wanted.tags()
    if tags:
        wanted.call("ec2", "create_tags", Resources=[group], Tags=tags)
    return group, {"arn": arn(wanted, "security-group", group), "name": "default"}


def _rule(direction: str) -> Entry:
    def create(wanted: Wanted) -> tuple[str, Outputs]:
        given = wanted.some(securityGroupId="GroupId")
        answer = wanted.call(
            "ec2",
            f"authorize_security_group_{direction}",
            given,
            IpPermissions=[_permission(wanted)],
            TagSpecifications=specification(wanted, "security-group-rule"),
        )
        (rule,) = answer["SecurityGroupRules"]
        identity = rule["SecurityGroupRuleId"]
        return identity, {
            "arn": arn(wanted, "security-group-rule", identity),
            "securityGroupRuleId": identity,
        }

    def update(wanted: Wanted, made: Made) -> Outputs:
        update_tags(wanted, made)
        wanted.later(*_RULE)
        return {}

    def delete(aws: Aws, made: Made) -> None:
        revoke = getattr(aws.client("ec2"), f"revoke_security_group_{direction}")
        revoke(GroupId=made.inputs["securityGroupId"], SecurityGroupRuleIds=[made.id])

    name = direction.capitalize()
    return Entry(f"aws:vpc/securityGroup{name}Rule:SecurityGroup{name}Rule", create, delete, update, _RULE)


_RULE = frozenset(
    {
        "securityGroupId",
        "ipProtocol",
        "fromPort",
        "toPort",
        "cidrIpv4",
        "cidrIpv6",
        "prefixListId",
        "referencedSecurityGroupId",
        "description",
    }
)


def _permission(wanted: Wanted) -> dict[str, Any]:
    described = wanted.some(description="Description")
    permission: dict[str, Any] = wanted.some("ipProtocol", "fromPort", "toPort")
    for prop, member, name in (
        ("cidrIpv4", "IpRanges", "CidrIp"),
        ("cidrIpv6", "Ipv6Ranges", "CidrIpv6"),
        ("prefixListId", "PrefixListIds", "PrefixListId"),
        ("referencedSecurityGroupId", "UserIdGroupPairs", "GroupId"),
    ):
        value = wanted.take(prop)
        if value is not None:
            permission[member] = [{name: value, **described}]
    return permission


ENTRIES = (
    Entry(
        "aws:ec2/securityGroup:SecurityGroup",
        _create_group,
        _delete_group,
        _update_group,
        frozenset({"vpcId", "description", "name"}),
    ),
    Entry("aws:ec2/defaultSecurityGroup:DefaultSecurityGroup", _adopt_default, stays),
    _rule("ingress"),
    _rule("egress"),
)
