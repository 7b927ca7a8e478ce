"""What each deployed function can reach, as EC2 and Lambda tell it, and who may use the keys that tell it apart."""

import json
from typing import Any

import pytest

from keys import DERIVE, SIGN
from reachability import Call, Reach
from tests.integration import reached
from tests.integration.deployed import Cell, Deployment


@pytest.fixture(scope="module")
def production(primary: Cell) -> Any:
    (name,) = primary.each("DatabaseInstances")
    (instance,) = primary.client("rds").describe_db_instances(DBInstanceIdentifier=name)["DBInstances"]
    return instance


@pytest.fixture(scope="module")
def reaches(deployment: Deployment) -> dict[str, Reach]:
    return {cell.name: reached.reach(cell) for cell in deployment.cells}


def test_the_default_group_of_each_network_lets_nothing_through(cell: Cell) -> None:
    filters = [
        {"Name": "vpc-id", "Values": [cell["DrillVpcId"], cell["ProductionVpcId"]]},
        {"Name": "group-name", "Values": ["default"]},
    ]
    groups = cell.client("ec2").describe_security_groups(Filters=filters)["SecurityGroups"]
    assert len(groups) == 2
    assert all(one["IpPermissions"] == one["IpPermissionsEgress"] == [] for one in groups)


def test_drills_reach_temporary_instances_and_only_beat_and_seal_reach_production(
    reaches: dict[str, Reach], primary: Cell, production: Any
) -> None:
    (database,) = (one["VpcSecurityGroupId"] for one in production["VpcSecurityGroups"])
    (temporary,) = primary.each("DrillSecurityGroupId")
    reach = reaches["primary"]
    talk = {name for name in reach.functions if reach.connects(name, database, 5432)}
    assert talk == {"Beat", "Seal"}
    drill = {name for name in reach.functions if reach.connects(name, temporary, 5432)}
    assert drill == set(reach.functions) - talk
    # Nobody else is let in, by group or by address.
    assert reach.exposed(database) | reach.exposed(temporary) == {
        group for name in reach.functions for group in reach.functions[name].groups
    }


@pytest.mark.parametrize(
    ("action", "who"),
    [
        ("s3:PutObject", {"production", "drill"}),
        ("secretsmanager:GetSecretValue", {"production"}),
        ("rds:DescribeDBInstances", {"drill"}),
        ("kms:GenerateMac", {"drill"}),
        ("kms:Decrypt", set()),
        ("rds:ModifyDBSnapshotAttribute", set()),
        ("sns:Publish", set()),
        ("cloudwatch:PutMetricData", set()),
        ("events:PutEvents", set()),
        ("sts:AssumeRole", set()),
    ],
)
def test_functions_reach_the_services_of_their_network_and_no_others(
    reaches: dict[str, Reach], deployment: Deployment, action: str, who: set[str]
) -> None:
    for cell in deployment.cells:
        resource = {
            "s3": f"arn:aws:s3:::{cell['EvidenceBucket']}/witness/a",
            "secretsmanager": f"arn:aws:secretsmanager:{cell.region}:{cell.account}"
            f":secret:{deployment.plan['database'][0]['secret']}-a1b2c3",
            "kms": cell["MacKeyArn"],
        }.get(action.split(":", maxsplit=1)[0], "*")
        reach = reaches[cell.name]
        networks = {"production": cell.each("ProductionSubnetIds"), "drill": cell.each("DrillSubnetIds")}
        expected = {
            name
            for name, function in reach.functions.items()
            if any(set(function.subnets) == set(networks[network]) for network in who)
        }
        through = {
            name
            for name, function in reach.functions.items()
            if reach.refuses(name, Call(action, resource, cell.region, function.role)) is None
        }
        assert through == expected


@pytest.mark.parametrize(
    ("name", "action", "functions"),
    [("MacKeyArn", "kms:GenerateMac", DERIVE), ("SigningKeyArn", "kms:Sign", SIGN)],
)
def test_passwords_and_signatures_are_made_by_the_functions_that_do_so_alone(
    deployment: Deployment, cell: Cell, name: str, action: str, functions: tuple[str, ...]
) -> None:
    policy = json.loads(cell.client("kms").get_key_policy(KeyId=cell[name], PolicyName="default")["Policy"])
    using = [one for one in policy["Statement"] if action in (one["Action"], *one["Action"])]
    (statement,) = using
    role = f"arn:aws:iam::{cell.account}:role/pgdrill-{cell.suffix}-{{}}-{cell.region}"
    expected = {role.format(function) for function in functions} | deployment.operators
    assert set(statement["Condition"]["ArnEquals"]["aws:PrincipalArn"]) == expected
