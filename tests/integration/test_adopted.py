"""An adopted database is backed up and drilled like a created one, and nothing of pgdrill changes it.

It stands before pgdrill does, in its owner's network, and as it stood it stands when pgdrill is gone.
"""

import json
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple

import pytest

from pgdrill.lab import calls, production
from pgdrill.lab.deploy.deploy import destroy
from pgdrill.lab.deploy.deployment import OUTPUTS
from pgdrill.lab.deploy.deployment import Deployment as Registered
from pgdrill.lab.lab import Lab
from tests.integration import labs
from tests.integration.deployed import Cell, Deployment, execute, until
from tests.integration.test_watch import counted

INSTANCE = "owners-shop"
# What RDS says of an instance that goes on living.
MOVES = ("LatestRestorableTime",)


class Story(NamedTuple):
    """The instance before and after, what was registered, and what was done with it meanwhile; `counted` is what the
    watch counted when a secret was gone for good.
    """

    before: Any
    after: Any
    registered: set[str]
    ended: dict[str, Any]
    evidence: Any
    asked: set[str]
    counted: dict[str, float]


def owners(lab: Lab) -> dict[str, Any]:
    """Make an instance as its owner would, with secrets; return the settings that adopt it."""
    password, world = secrets.token_urlsafe(24), lab.world()
    lab.client("rds").create_db_instance(
        DBInstanceIdentifier=INSTANCE,
        DBName=production.DATABASE,
        MasterUsername=production.MASTER,
        MasterUserPassword=password,
        **world.production_instance() | {"Tags": [{"Key": "Owner", "Value": "somebody else"}]},
    )
    entry = json.dumps({"username": production.MASTER, "password": password})
    lab.client("secretsmanager").create_secret(Name="owners/master", SecretString=entry)
    until(lambda: bool(instance(lab)["DBInstanceStatus"] == "available"))
    network = {
        "vpc": world.production.vpc,
        "subnets": list(world.production.subnets),
        "security_group": world.production.security_group,
    }
    return {
        "stack": {"suffix": "adopting"},
        "tags": {"Environment": "lab", "Owner": "you", "CostCenter": "none"},
        "primary": {"network": network},
        "database": [
            {
                "name": "shop",
                "origin": "adopted",
                "instance": INSTANCE,
                # In the lab every instance has a port of its own.
                "port": instance(lab)["Endpoint"]["Port"],
                "secret": "owners/pgdrill",
                "master_secret": "owners/master",
            }
        ],
    }


def instance(lab: Lab) -> Any:
    (found,) = lab.client("rds").describe_db_instances(DBInstanceIdentifier=INSTANCE)["DBInstances"]
    return {name: value for name, value in found.items() if name not in MOVES}


@pytest.fixture(scope="module")
def story() -> Iterator[Story]:
    before: list[Any] = []

    def found(lab: Lab) -> dict[str, Any]:
        settings = owners(lab)
        before.append(instance(lab))
        return settings

    with labs.deployed(found, rows=200, waits=0.01) as lab:
        registered = {one.type for one in Registered.read(lab.directory).resources}
        primary = Deployment(json.loads((lab.directory / OUTPUTS).read_bytes())).cell("primary")
        ended, evidence = _take_and_drill(primary)
        lost = _lose_a_secret(primary)
        destroy(lab)
        arn = before[0]["DBInstanceArn"]
        asked = {one.action for one in calls.read(lab.directory) if one.resource == arn and one.allowed}
        yield Story(before[0], instance(lab), registered, ended, evidence, asked, lost)


def _take_and_drill(primary: Cell) -> tuple[dict[str, Any], Any]:
    due_at = datetime.now(UTC).replace(minute=0, second=0, microsecond=0).strftime("%Y-%m-%dT%H:%M:%SZ")
    of_shop = {"due_at": due_at, "database": "shop"}
    ended = {
        name: execute(primary, machine, given)
        for name, machine, given in (
            ("beat", "Beat", {"due_at": due_at}),
            ("take", "Take", of_shop),
            ("beat again", "Beat", {"due_at": due_at}),
            ("drill", "Drill", of_shop | {"wanted": "latest"}),
            ("retain", "Retain", {"due_at": due_at}),
            ("reap", "Reap", {"due_at": due_at}),
        )
    }
    drill = json.loads(ended["drill"].get("output", "{}")).get("drill", {}).get("id")
    body = primary.client("s3").get_object(
        Bucket=primary["EvidenceBucket"], Key=f"evidence/shop/{primary.region}/{drill}/evidence.json"
    )["Body"]
    return ended, json.loads(body.read())


def _lose_a_secret(primary: Cell) -> dict[str, float]:
    """Delete the master user's entry for good; return what the watch counts then."""
    primary.client("secretsmanager").delete_secret(SecretId="owners/master", ForceDeleteWithoutRecovery=True)
    return {name: counted(primary, name) for name in ("SecretsUnusable", "Unseen")}


def test_a_secret_that_is_gone_for_good_is_counted_as_unusable_and_not_as_unseen(story: Story) -> None:
    assert story.counted == {"SecretsUnusable": 1, "Unseen": 0}


def test_a_take_and_a_drill_of_it_pass(story: Story) -> None:
    assert {name: one["status"] for name, one in story.ended.items()} == dict.fromkeys(
        story.ended, "SUCCEEDED"
    )
    assert story.evidence["verdict"] == "passed", story.evidence["verdict_reason"]


def test_it_is_no_resource_of_the_program(story: Story) -> None:
    assert "aws:rds/subnetGroup:SubnetGroup" in story.registered
    assert "aws:rds/instance:Instance" not in story.registered


def test_no_role_asked_anything_of_it_but_a_snapshot_and_a_look(story: Story) -> None:
    assert story.asked == {"rds:CreateDBSnapshot", "rds:DescribeDBInstances", "rds:DescribeDBSnapshots"}


def test_it_is_as_it_was_when_pgdrill_is_gone(story: Story) -> None:
    assert story.after == story.before
