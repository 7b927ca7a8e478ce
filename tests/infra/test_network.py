"""The networks are isolated, and each function reaches what it calls and nothing else."""

import json
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_network
from itertools import combinations
from typing import Any

import pytest

from functions import FUNCTIONS, Network
from ground import grounds
from reachability import WAYS_OUT, Call, Reach, reach
from settings import load
from tests.infra.program import ACCOUNT, ADOPTED, REGIONS, SETTINGS, Resource, Run, run

PRIMARY, DR = REGIONS
KEY = f"arn:aws:kms:{PRIMARY}:{ACCOUNT}:key/key-primary-mac"
EVIDENCE = f"arn:aws:s3:::pgdrill-test-evidence-{ACCOUNT}-{PRIMARY}"
# Of the zones that are chosen. In Tokyo `b` is one that Lambda has no room in.
LETTERS = {PRIMARY: "ab", DR: "ac"}
# What AWS does for a function, or with what the function hands it; no network of the function's carries that.
OF_AWS = ("ec2:", "logs:", "iam:")


@pytest.fixture(scope="module")
def deployed(whole: Run) -> Reach:
    return reach(whole.resources)


def role(function: str, region: str = PRIMARY) -> str:
    return f"arn:aws:iam::{ACCOUNT}:role/pgdrill-test-{function}-{region}"


def refusal(reached: Reach, function: str, action: str, resource: str, region: str = PRIMARY) -> str | None:
    return reached.refuses(
        f"{PRIMARY}/pgdrill-test-{function}", Call(action, resource, region, role(function))
    )


def test_there_is_no_way_out_of_any_network(whole: Run) -> None:
    assert {one.typ for one in whole.managed()} & set(WAYS_OUT) == set()
    assert all("routes" not in one.inputs for one in whole.of("aws:ec2/routeTable:RouteTable"))
    assert all(one.inputs["mapPublicIpOnLaunch"] is False for one in whole.of("aws:ec2/subnet:Subnet"))


def test_each_region_has_two_networks_of_two_zones_and_no_addresses_in_common(ground: Run) -> None:
    blocks = [ip_network(one.inputs["cidrBlock"]) for one in ground.of("aws:ec2/vpc:Vpc")]
    assert len(blocks) == 4
    assert not any(one.overlaps(other) for one, other in combinations(blocks, 2))
    for vpc in ground.of("aws:ec2/vpc:Vpc"):
        subnets = [
            one for one in ground.of("aws:ec2/subnet:Subnet") if one.inputs["vpcId"] == vpc.outputs["id"]
        ]
        zones = {one.inputs["availabilityZone"] for one in subnets}
        assert zones == {f"{vpc.inputs['region']}{letter}" for letter in LETTERS[vpc.inputs["region"]]}
        inside = [ip_network(one.inputs["cidrBlock"]) for one in subnets]
        assert all(block.subnet_of(ip_network(vpc.inputs["cidrBlock"])) for block in inside)  # type: ignore[arg-type] # both IPv4
        assert not inside[0].overlaps(inside[1])


def test_zones_that_are_named_are_taken_in_that_order_and_nobody_is_asked() -> None:
    places = {
        "primary": {"zones": [f"{PRIMARY}c", f"{PRIMARY}a"]},
        "dr": {"zones": [f"{DR}d", f"{DR}b"]},
    }
    made = run(lambda: grounds(load(SETTINGS | places), ACCOUNT).plan)
    for region, letters in ((PRIMARY, "ca"), (DR, "db")):
        subnets = {one.name: one.inputs for one in made.of("aws:ec2/subnet:Subnet", region)}
        blocks = sorted((ip_network(one["cidrBlock"]), one["availabilityZone"]) for one in subnets.values())
        assert [zone for _, zone in blocks] == [f"{region}{letter}" for letter in letters] * 2
    assert "aws:index/getAvailabilityZones:getAvailabilityZones" not in {token for token, _ in made.calls}


def test_no_group_lets_an_address_in_and_the_default_one_lets_nothing(ground: Run) -> None:
    ingress = ground.of("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule")
    assert ingress
    assert all(set(one.inputs) & {"cidrIpv4", "cidrIpv6", "prefixListId"} == set() for one in ingress)
    # Rules stand beside a group: in it they would be replaced, and the two would fight.
    for group in ground.of("aws:ec2/securityGroup:SecurityGroup"):
        assert "ingress" not in group.inputs
        assert "egress" not in group.inputs
    defaults = ground.of("aws:ec2/defaultSecurityGroup:DefaultSecurityGroup")
    assert len(defaults) == len(ground.of("aws:ec2/vpc:Vpc"))
    assert all(one.inputs["ingress"] == one.inputs["egress"] == [] for one in defaults)


def test_a_created_database_also_admits_the_networks_of_its_owner(protected: Run) -> None:
    reached = reach(protected.resources)
    functions = "securitygroup-primary-production-functions"
    assert reached.exposed("securitygroup-primary-production-databases") == {functions, "10.1.0.0/16"}
    # They are clients of production, not of a drill, nor of the other region.
    assert reached.exposed("securitygroup-primary-drill-databases") == {
        "securitygroup-primary-drill-functions"
    }
    assert reached.exposed("securitygroup-dr-production-databases") == {
        "securitygroup-dr-production-functions"
    }


def test_every_flow_is_logged_under_the_cells_key(ground: Run) -> None:
    logs = ground.of("aws:ec2/flowLog:FlowLog")
    assert {one.inputs["vpcId"] for one in logs} == {
        one.outputs["id"] for one in ground.of("aws:ec2/vpc:Vpc")
    }
    for log in logs:
        assert log.inputs["trafficType"] == "ALL"
        (group,) = (
            one
            for one in ground.of("aws:cloudwatch/logGroup:LogGroup")
            if one.outputs["arn"] == log.inputs["logDestination"]
        )
        assert group.inputs["kmsKeyId"] == f"arn:aws:kms:{group.inputs['region']}:{ACCOUNT}:key/" + (
            "key-primary-storage" if group.inputs["region"] == PRIMARY else "key-dr-storage"
        )
        assert group.inputs["retentionInDays"] == 90


def test_nothing_is_made_or_changed_in_an_adopted_network(adopted: Run) -> None:
    inside = {"vpc-old", "subnet-1", "subnet-2", "sg-old", "sg-database", "old-subnets", "shop-production"}
    assert not any(inside & set(_strings(one.inputs)) for one in adopted.managed())
    assert adopted.of("aws:rds/instance:Instance") == []
    production = [one.name for one in adopted.of("aws:ec2/vpc:Vpc", PRIMARY)]
    assert production == ["primary-drill"]


@pytest.mark.parametrize(
    ("function", "group", "reaches"),
    [
        ("examine", "primary-drill-databases", True),
        ("examine", "primary-production-databases", False),
        ("examine", "dr-drill-databases", False),
        ("beat", "primary-production-databases", True),
        ("beat", "primary-drill-databases", False),
        ("seal", "dr-production-databases", False),
    ],
)
def test_drills_connect_to_temporary_instances_and_beats_to_production(
    deployed: Reach, function: str, group: str, reaches: bool
) -> None:
    name = f"{PRIMARY}/pgdrill-test-{function}"
    assert deployed.connects(name, f"securitygroup-{group}", 5432) is reaches
    assert not deployed.connects(name, f"securitygroup-{group}", 22)


def test_what_is_restored_of_a_database_with_another_port_answers_on_that_port() -> None:
    """A restored instance has the port of its source, and a drill goes there in either region."""
    other = ADOPTED["database"][0] | {"instance": "on-6432", "port": 6432}
    made = run(lambda: grounds(load(ADOPTED | {"database": [other]}), ACCOUNT).plan)
    for way in ("Egress", "Ingress"):
        rules = made.of(f"aws:vpc/securityGroup{way}Rule:SecurityGroup{way}Rule")
        opened = [one.inputs["fromPort"] for one in rules if "database" in one.name]
        assert opened
        assert set(opened) == {6432}


@pytest.mark.parametrize(
    ("function", "action", "resource", "refused"),
    [
        ("choose", "rds:DescribeDBInstances", f"arn:aws:rds:{PRIMARY}:{ACCOUNT}:db:*", None),
        ("unlock", "kms:GenerateMac", KEY, None),
        ("beat", "s3:PutObject", f"{EVIDENCE}/witness/a", None),
        (
            "beat",
            "secretsmanager:GetSecretValue",
            f"arn:aws:secretsmanager:{PRIMARY}:{ACCOUNT}:secret:shop/pgdrill-a1b2c3",
            None,
        ),
        (
            "beat",
            "secretsmanager:GetSecretValue",
            f"arn:aws:secretsmanager:{PRIMARY}:{ACCOUNT}:secret:shop/master-a1b2c3",
            ("the endpoint's policy does not allow secretsmanager:GetSecretValue on"
            f" arn:aws:secretsmanager:{PRIMARY}:{ACCOUNT}:secret:shop/master-a1b2c3"),
        ),
        ("beat", "rds:DescribeDBInstances", "*", "there is no endpoint of rds"),
        ("beat", "kms:GenerateMac", KEY, "there is no endpoint of kms"),
        ("judge", "secretsmanager:GetSecretValue", "*", "there is no endpoint of secretsmanager"),
        ("judge", "sns:Publish", "*", "there is no endpoint of sns"),
        ("judge", "sts:AssumeRole", "*", "there is no endpoint of sts"),
        (
            "judge",
            "s3:PutObject",
            "arn:aws:s3:::somewhere-else/a",
            "the endpoint's policy does not allow s3:PutObject on arn:aws:s3:::somewhere-else/a",
        ),
        (
            "judge",
            "rds:ModifyDBSnapshotAttribute",
            f"arn:aws:rds:{PRIMARY}:{ACCOUNT}:snapshot:pgdrill-test-shop-1",
            ("the endpoint's policy does not allow rds:ModifyDBSnapshotAttribute on"
            f" arn:aws:rds:{PRIMARY}:{ACCOUNT}:snapshot:pgdrill-test-shop-1"),
        ),
    ],
)  # fmt: skip
def test_a_function_gets_through_to_what_there_is_an_endpoint_for(
    deployed: Reach, function: str, action: str, resource: str, refused: str | None
) -> None:
    assert refusal(deployed, function, action, resource) == refused


def test_no_function_reaches_the_other_regions_api(deployed: Reach) -> None:
    assert refusal(deployed, "choose", "rds:DescribeDBInstances", "*", DR) == f"no endpoint leads to {DR}"


def test_endpoints_serve_this_suffix_of_this_account_alone(deployed: Reach) -> None:
    name = f"{PRIMARY}/pgdrill-test-choose"
    refused = "the endpoint's policy does not allow rds:DescribeDBInstances on *"
    for stranger in (
        role("choose").replace("pgdrill-test-", "pgdrill-test2-"),
        role("choose").replace(ACCOUNT, "999999999999"),
        role("choose", DR),
    ):
        call = Call("rds:DescribeDBInstances", "*", PRIMARY, stranger)
        assert deployed.refuses(name, call) == refused


def test_every_way_through_needs_each_of_its_parts(deployed: Reach) -> None:
    def without(**changed: Any) -> str | None:
        return refusal(
            replace(deployed, **changed), "judge", "s3:PutObject", f"{EVIDENCE}/evidence/a"
        ) or refusal(replace(deployed, **changed), "judge", "kms:Sign", KEY.replace("mac", "signing"))

    assert without() is None
    assert without(table_of={}) == "a subnet has no route to the gateway of s3"
    inward = frozenset(rule for rule in deployed.rules if not rule.egress)
    assert without(rules=inward) == "its groups do not let it out to s3"
    assert without(rules=deployed.rules - inward) == "its groups do not reach the endpoint of kms"
    assert without(endpoints=()) == "there is no endpoint of s3"


def test_what_a_role_may_call_its_function_can_reach(whole: Run, deployed: Reach) -> None:
    stuck = {
        (function, action, refused)
        for function, call in grants(whole)
        for action in [call.action]
        if (refused := deployed.refuses(function, call))
    }
    assert stuck == set()


def test_what_an_endpoint_lets_through_some_function_there_may_call(whole: Run, deployed: Reach) -> None:
    granted: dict[tuple[str, str], set[str]] = {}
    for function, call in grants(whole):
        subnet = deployed.functions[function].subnets[0]
        granted.setdefault((deployed.vpc_of[subnet], call.region), set()).add(call.action)
    for endpoint in deployed.endpoints:
        offered = {
            action
            for one in endpoint.policy["Statement"]
            for action in ([one["Action"]] if isinstance(one["Action"], str) else one["Action"])
        }
        assert offered - granted[endpoint.vpc, endpoint.region] == set(), endpoint.service


def test_functions_stand_in_the_network_that_their_table_says(whole: Run) -> None:
    where = {one.name: one.network for one in FUNCTIONS}
    functions = whole.of("aws:lambda/function:Function")
    assert functions
    for function in functions:
        cell = "primary" if function.inputs["region"] == PRIMARY else "dr"
        name = function.inputs["name"].removeprefix("pgdrill-test-")
        network = "production" if where[name] is Network.PRODUCTION else "drill"
        assert function.inputs["vpcConfig"] == {
            "subnetIds": [
                f"subnet-{cell}-{network}-{letter}" for letter in LETTERS[function.inputs["region"]]
            ],
            "securityGroupIds": [f"securitygroup-{cell}-{network}-functions"],
        }


def grants(run: Run) -> Iterator[tuple[str, Call]]:
    """Yield, by function, every call that its role allows it and that it makes itself."""
    policies: dict[str, Resource] = {
        one.inputs["role"]: one for one in run.of("aws:iam/rolePolicy:RolePolicy")
    }
    for function in run.of("aws:lambda/function:Function"):
        region, name = function.inputs["region"], function.inputs["name"]
        document = json.loads(policies[f"{name}-{region}"].inputs["policy"])
        for statement in document["Statement"]:
            condition = json.dumps(statement.get("Condition", {}))
            if (
                statement["Effect"] == "Deny"
                or "kms:ViaService" in condition
                or "EncryptionContext" in condition
            ):
                continue
            actions, resources = (
                [value] if isinstance(value, str) else value
                for value in (statement["Action"], statement["Resource"])
            )
            for action in actions:
                if not action.startswith(OF_AWS):
                    for resource in resources:
                        yield f"{region}/{name}", Call(action, resource, region, function.inputs["role"])


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from _strings(one)
    elif isinstance(value, list):
        for one in value:
            yield from _strings(one)
