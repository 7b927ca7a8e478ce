"""A created database is private, encrypted, backed up and small; an adopted one is looked at and left alone."""

import json
from typing import Any

import pulumi
import pytest
from pulumi.runtime import rpc

from database import Adopted, in_common
from ground import grounds
from naming import Names
from pgdrill.errors import NotRunnable
from pgdrill.plan import Plan
from settings import Settings, load
from tests.infra.program import ACCOUNT, ADOPTED, REGIONS, SETTINGS, Run, run

NAME = "pgdrill-test-production-shop"
# Of the zones that are chosen; test_network.py has why.
LETTERS = {"primary": "ab", "dr": "ac"}


def _settings(*instances: str) -> Settings:
    databases = [
        ADOPTED["database"][0] | {"name": f"shop{number}", "instance": instance}
        for number, instance in enumerate(instances)
    ]
    return load(ADOPTED | {"database": databases})


def _adopting(*instances: str) -> Run:
    return run(lambda: grounds(_settings(*instances), ACCOUNT).plan)


def _look(*instances: str) -> Run:
    def look() -> pulumi.Output[Any]:
        found = [Adopted(one, Names("test", REGIONS[0], ACCOUNT)) for one in _settings(*instances).databases]
        return pulumi.Output.all(in_common(found), *(one.key for one in found))

    return run(look)


def instance(run: Run) -> dict[str, Any]:
    (found,) = run.of("aws:rds/instance:Instance")
    return found.inputs


def test_the_primary_database_is_what_the_requirements_ask_for(ground: Run) -> None:
    made = instance(ground)
    assert made["region"] == REGIONS[0]
    wanted = {
        "identifier": NAME,
        "engine": "postgres",
        "engineVersion": "15",
        "instanceClass": "db.t3.medium",
        "multiAz": True,
        "storageType": "gp3",
        "allocatedStorage": 20,
        "storageEncrypted": True,
        "kmsKeyId": f"arn:aws:kms:{REGIONS[0]}:{ACCOUNT}:key/key-primary-storage",
        "publiclyAccessible": False,
        "backupRetentionPeriod": 7,
        "backupWindow": "18:00-18:30",
        "maintenanceWindow": "sun:20:00-sun:20:30",
        "dbSubnetGroupName": "pgdrill-test-production",
        "parameterGroupName": "pgdrill-test-production",
        "vpcSecurityGroupIds": ["securitygroup-primary-production-databases"],
        "enabledCloudwatchLogsExports": ["postgresql"],
        "engineLifecycleSupport": "open-source-rds-extended-support-disabled",
        "copyTagsToSnapshot": True,
        "applyImmediately": False,
    }
    assert {key: made[key] for key in wanted} == wanted


def test_tls_is_forced_and_no_scheduler_is_loaded_in_either_network(ground: Run) -> None:
    groups = ground.of("aws:rds/parameterGroup:ParameterGroup")
    assert len(groups) == 4
    for group in groups:
        parameters = {one["name"]: one for one in group.inputs["parameters"]}
        assert group.inputs["family"] == "postgres15"
        # Static, so RDS takes it at a reboot alone; said otherwise, every preview would change it anew.
        assert parameters["rds.force_ssl"] == {
            "name": "rds.force_ssl",
            "value": "1",
            "applyMethod": "pending-reboot",
        }
        assert "pg_cron" not in parameters["shared_preload_libraries"]["value"]


def test_its_log_is_kept_under_the_cells_key_from_the_first_line_on(ground: Run) -> None:
    log = ground.one("aws:cloudwatch/logGroup:LogGroup", NAME).inputs
    assert log["name"] == f"/aws/rds/instance/{NAME}/postgresql"
    assert log["retentionInDays"] == 90
    assert log["kmsKeyId"] == instance(ground)["kmsKeyId"]


def test_by_default_it_goes_with_the_stack_and_with_protect_it_does_not(ground: Run, protected: Run) -> None:
    keys = ("deletionProtection", "skipFinalSnapshot", "deleteAutomatedBackups", "finalSnapshotIdentifier")
    assert [instance(ground).get(key) for key in keys] == [False, True, True, None]
    assert [instance(protected).get(key) for key in keys] == [True, False, False, f"{NAME}-final"]


def test_the_password_is_read_from_the_existing_entry_and_stands_in_no_output(ground: Run) -> None:
    assert ("aws:secretsmanager/getSecretVersion:getSecretVersion") in [token for token, _ in ground.calls]
    (asked,) = (given for token, given in ground.calls if "getSecretVersion" in token)
    assert (asked["secretId"], asked["region"]) == ("shop/master", REGIONS[0])
    made = instance(ground)
    assert "password" not in made
    assert "manageMasterUserPassword" not in made
    assert made["username"] == "master"
    # As Pulumi wraps a secret, so that state and previews hold it encrypted at most.
    assert made["passwordWo"] == {rpc._special_sig_key: rpc._special_secret_sig, "value": "not-in-state"}
    # A whole number, as the API takes it.
    assert 0 < made["passwordWoVersion"] < 2**31
    # It goes to that one input and nowhere else.
    others = [one.inputs for one in ground.managed() if one.typ != "aws:rds/instance:Instance"]
    assert "not-in-state" not in json.dumps(others, default=str)
    plan: Plan = ground.result
    assert "not-in-state" not in plan.to_json()


def test_no_secret_is_made(ground: Run) -> None:
    assert not any("secretsmanager" in one.typ for one in ground.managed())


def test_an_adopted_database_is_no_resource(adopted: Run) -> None:
    assert adopted.of("aws:rds/instance:Instance") == []
    assert [given["dbInstanceIdentifier"] for token, given in adopted.calls if "getInstance" in token] == [
        "shop-production"
    ]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("of-mysql", "instance 'of-mysql' runs mysql"),
        ("in-plain", "the storage of instance 'in-plain' is not encrypted"),
        ("on-6432", "instance 'on-6432' listens on port 6432, and the settings say 5432"),
        ("of-14", "instance 'of-14' runs PostgreSQL 14.19"),
        (
            "by-aws",
            f"instance 'by-aws' is encrypted with AWS's own key arn:aws:kms:{REGIONS[0]}:{ACCOUNT}:key/of-aws",
        ),
    ],
)
def test_what_cannot_be_adopted_is_refused_by_a_look_at_it(name: str, message: str) -> None:
    with pytest.raises(NotRunnable) as refused:
        _look(name)
    assert refused.value.message == message


def test_what_is_refused_is_an_error_of_the_preview() -> None:
    with pytest.raises(NotRunnable, match="instance 'of-mysql' runs mysql"):
        _adopting("of-mysql")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("elsewhere", "has subnet group other-subnets, and 'shop-production' has old-subnets"),
        (
            "let-in-by-others",
            "has security groups sg-database, sg-other, and 'shop-production' has sg-database",
        ),
        ("set-otherwise", "has parameter group other-parameters, and 'shop-production' has old-parameters"),
        ("of-16", "has family postgres16, and 'shop-production' has postgres15"),
    ],
)
def test_databases_that_would_be_recovered_to_different_places_are_not_adopted_together(
    name: str, message: str
) -> None:
    with pytest.raises(NotRunnable) as refused:
        _look("shop-production", name)
    assert refused.value.message == f"instance {name!r} {message}"


def test_databases_of_one_place_are_adopted_together() -> None:
    plan: Plan = _adopting("shop-production", "billing-production").result
    assert plan.primary.recovery is not None
    assert plan.primary.recovery.subnet_group == "old-subnets"
    assert [one.host for one in plan.databases] == [
        "shop-production.old.example",
        "billing-production.old.example",
    ]


@pytest.mark.parametrize(("instance", "family"), [("shop-production", "postgres15"), ("of-16", "postgres16")])
def test_groups_are_of_the_major_version_that_is_adopted_in_both_regions(instance: str, family: str) -> None:
    groups = _adopting(instance).of("aws:rds/parameterGroup:ParameterGroup")
    assert {one.inputs["region"] for one in groups} == set(REGIONS)
    assert {one.inputs["family"] for one in groups} == {family}


def test_automated_backups_are_replicated_where_that_is_asked_for(ground: Run, protected: Run) -> None:
    typ = "aws:rds/instanceAutomatedBackupsReplication:InstanceAutomatedBackupsReplication"
    assert ground.of(typ) == []
    (replication,) = protected.of(typ)
    assert replication.inputs == {
        "region": REGIONS[1],
        "sourceDbInstanceArn": f"arn:aws:rds:{REGIONS[0]}:{ACCOUNT}:db:{NAME}",
        "kmsKeyId": f"arn:aws:kms:{REGIONS[1]}:{ACCOUNT}:key/key-dr-storage",
        "retentionPeriod": 7,
    }


@pytest.mark.parametrize("network", ["drill", "production"])
@pytest.mark.parametrize("cell", ["primary", "dr"])
def test_instances_are_put_into_the_private_subnets_of_two_zones(
    ground: Run, cell: str, network: str
) -> None:
    group = ground.one("aws:rds/subnetGroup:SubnetGroup", f"{cell}-{network}").inputs
    assert group["subnetIds"] == [f"subnet-{cell}-{network}-{letter}" for letter in LETTERS[cell]]
    assert group["name"] == f"{'pgdrill'}-{SETTINGS['stack']['suffix']}-{network}"
