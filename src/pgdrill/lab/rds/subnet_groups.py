"""Subnet groups: which network an instance is put in. Subnets belong to EC2; only their ids' form is checked."""

import re

from pgdrill.lab.rds import listing
from pgdrill.lab.rds.records import SubnetGroup
from pgdrill.lab.rds.state import State
from pgdrill.lab.rds.wire import RdsError, Request, Result


def find(state: State, region: str, name: str) -> SubnetGroup:
    """Return the group; the one of the default VPC is always there.

    Raises:
        RdsError: no such group.
    """
    if name.lower() == "default":
        return SubnetGroup(region=region, identifier="default", description="default", subnets=())
    group = state.subnet_groups.get(region, name.lower())
    if group is None:
        raise RdsError("DBSubnetGroupNotFoundFault", f"DB subnet group '{name}' does not exist.")
    return group


def create(state: State, region: str, request: Request) -> Result:
    name = listing.group_name(request, "DBSubnetGroupName")
    if name == "default" or state.subnet_groups.get(region, name):
        raise RdsError("DBSubnetGroupAlreadyExists", f"The DB subnet group '{name}' already exists.")
    group = SubnetGroup(
        region=region,
        identifier=name,
        description=request["DBSubnetGroupDescription"],
        subnets=_subnets(request),
        tags=listing.given_tags(request),
    )
    return {"DBSubnetGroup": shown(state, state.subnet_groups.put(group))}


def describe(state: State, region: str, request: Request) -> Result:
    name = request.get("DBSubnetGroupName")
    chosen = [find(state, region, name)] if name else state.subnet_groups.all(region)
    return listing.page(request, "DBSubnetGroups", chosen, lambda group: shown(state, group))


def modify(state: State, region: str, request: Request) -> Result:
    group = find(state, region, request["DBSubnetGroupName"])
    description = request.get("DBSubnetGroupDescription", group.description)
    changed = group.model_copy(update={"subnets": _subnets(request), "description": description})
    return {"DBSubnetGroup": shown(state, state.subnet_groups.put(changed))}


def delete(state: State, region: str, request: Request) -> Result:
    group = find(state, region, request["DBSubnetGroupName"])
    if group.identifier == "default" or state.attached(region, "DBSubnetGroupName", group.identifier):
        raise RdsError(
            "InvalidDBSubnetGroupStateFault",
            f"Cannot delete the subnet group '{group.identifier}' because at least one database instance is still using it.",
        )
    state.subnet_groups.remove(group)
    return {}


def shown(state: State, group: SubnetGroup) -> Result:
    vpc = next(
        (vpc for subnet in group.subnets if (vpc := state.vpc_of(group.region, subnet))), "vpc-default"
    )
    return {
        "DBSubnetGroupName": group.identifier,
        "DBSubnetGroupDescription": group.description,
        "VpcId": vpc,
        "SubnetGroupStatus": "Complete",
        "Subnets": [
            {
                "SubnetIdentifier": subnet,
                "SubnetAvailabilityZone": {"Name": f"{group.region}{'abc'[index % 3]}"},
                "SubnetOutpost": {},
                "SubnetStatus": "Active",
            }
            for index, subnet in enumerate(group.subnets)
        ],
        "DBSubnetGroupArn": state.arn("subgrp", group),
        "SupportedNetworkTypes": ["IPV4"],
    }


def _subnets(request: Request) -> tuple[str, ...]:
    subnets = tuple(request["SubnetIds"])
    wrong = [name for name in subnets if not re.fullmatch(r"subnet-[0-9a-z]+", name)]
    if wrong:
        raise RdsError("InvalidSubnet", f"Invalid subnet: {wrong[0]}")
    if len(set(subnets)) < 2:
        raise RdsError(
            "DBSubnetGroupDoesNotCoverEnoughAZs",
            "The DB subnet group doesn't meet Availability Zone (AZ) coverage requirement. Current AZ coverage:"
            f" {len(set(subnets))}. Add subnets to cover at least 2 AZs.",
        )
    return subnets
