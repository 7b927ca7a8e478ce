"""Reads from EC2 and Lambda what a function's packets and requests would meet, for infra/reachability.py to judge."""

import json
from collections.abc import Iterable
from typing import Any

from pgdrill.lab import calls
from reachability import Call, Endpoint, Function, Reach, Rule
from tests.integration.deployed import Cell

# What AWS does in a function's name: its network interfaces, its logs, and what a service asks about a role it is given.
_OF_AWS = ("ec2:", "logs:", "iam:")
# A service that uses a key for a function says so, as Lambda does when it unlocks a function's environment, and RDS
# that asks the other region for what it copies.
_BY_AWS = ("aws:viaawsservice", "kms:viaservice", "kms:encryptioncontext:aws:lambda:functionarn")


def reach(cell: Cell) -> Reach:
    """Return all that is deployed in a cell's two networks."""
    vpcs = [cell["DrillVpcId"], cell["ProductionVpcId"]]
    return Reach(
        functions={name: _function(cell, arn) for name, arn in cell.named("FunctionArn").items()},
        rules=frozenset(rule for group in _groups(cell, vpcs) for rule in _rules(group)),
        endpoints=tuple(_endpoint(cell, one) for one in _in(cell, "vpc_endpoints", "VpcEndpoints", vpcs)),
        vpc_of={one["SubnetId"]: one["VpcId"] for one in _in(cell, "subnets", "Subnets", vpcs)},
        table_of={
            association["SubnetId"]: table["RouteTableId"]
            for table in tables(cell)
            for association in table["Associations"]
            if "SubnetId" in association
        },
    )


def unreached(cell: Cell, did: Iterable[calls.Call]) -> set[tuple[str, str, str]]:
    """Return function, action and reason of what functions of a cell did themselves and no network lets through."""
    reached = reach(cell)
    names = {function.role.rsplit("/", 1)[1]: name for name, function in reached.functions.items()}
    return {
        (names[call.role], call.action, refused)
        for call in did
        if call.role in names and not call.action.startswith(_OF_AWS) and not set(_BY_AWS) & set(call.context)
        for refused in [_refused(reached, names[call.role], call)]
        if refused
    }


def _refused(reached: Reach, name: str, call: calls.Call) -> str | None:
    role = reached.functions[name].role
    return reached.refuses(name, Call(call.action, call.resource, call.region, role))


def tables(cell: Cell) -> list[Any]:
    return _in(cell, "route_tables", "RouteTables", [cell["DrillVpcId"], cell["ProductionVpcId"]])


def _in(cell: Cell, what: str, member: str, vpcs: list[str]) -> list[Any]:
    filters = [{"Name": "vpc-id", "Values": vpcs}]
    return list(cell.pages("ec2", f"describe_{what}", member, Filters=filters))


def _groups(cell: Cell, vpcs: list[str]) -> list[Any]:
    return _in(cell, "security_groups", "SecurityGroups", vpcs)


def _rules(group: Any) -> list[Rule]:
    return [
        Rule(group["GroupId"], egress, peer, _ports(permission))
        for egress, name in ((False, "IpPermissions"), (True, "IpPermissionsEgress"))
        for permission in group[name]
        for peer in _peers(permission)
    ]


def _peers(permission: Any) -> list[str]:
    return [
        *(one["GroupId"] for one in permission.get("UserIdGroupPairs", [])),
        *(one["PrefixListId"] for one in permission.get("PrefixListIds", [])),
        *(one["CidrIp"] for one in permission.get("IpRanges", [])),
        *(one["CidrIpv6"] for one in permission.get("Ipv6Ranges", [])),
    ]


def _ports(permission: Any) -> tuple[int, int]:
    every = permission["IpProtocol"] == "-1"
    return (0, 65535) if every else (permission["FromPort"], permission["ToPort"])


def _endpoint(cell: Cell, endpoint: Any) -> Endpoint:
    service = endpoint["ServiceName"].rsplit(".", 1)[1]
    return Endpoint(
        vpc=endpoint["VpcId"],
        service=service,
        region=cell.region,
        groups=tuple(group["GroupId"] for group in endpoint.get("Groups", [])),
        tables=tuple(endpoint.get("RouteTableIds", [])),
        prefix_list=_prefix_list(cell, endpoint["ServiceName"]) if service == "s3" else None,
        policy=json.loads(endpoint["PolicyDocument"]),
    )


def _prefix_list(cell: Cell, service: str) -> str:
    filters = [{"Name": "prefix-list-name", "Values": [service]}]
    (found,) = cell.client("ec2").describe_prefix_lists(Filters=filters)["PrefixLists"]
    return str(found["PrefixListId"])


def _function(cell: Cell, arn: str) -> Function:
    found = cell.client("lambda").get_function_configuration(FunctionName=arn)
    network = found["VpcConfig"]
    return Function(
        role=found["Role"],
        region=cell.region,
        subnets=tuple(network["SubnetIds"]),
        groups=tuple(network["SecurityGroupIds"]),
    )
