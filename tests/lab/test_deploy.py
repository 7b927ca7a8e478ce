"""The materializer makes, keeps, changes, replaces and deletes what a program registers, and drops nothing in silence."""

import dataclasses
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pgdrill.errors import Broken, NotRunnable
from pgdrill.lab.deploy import entries
from pgdrill.lab.deploy.aws import Clients, clients
from pgdrill.lab.deploy.deployment import Deployment
from pgdrill.lab.deploy.materializer import Materializer, Registration
from pgdrill.lab.lab import Lab
from tests.lab.functions import archive
from tests.lab.labs import await_status, until

HOME = "ap-southeast-1"
TAGS = {"Owner": "dba"}
TRUST = json.dumps({"Version": "2012-10-17", "Statement": []})


class Stack:
    """A program in a few words: each run registers some resources, and then deletes the rest."""

    def __init__(self, directory: Path, made: Clients) -> None:
        self.directory = directory
        self.clients = made
        self.assets: dict[str, Any] = {}

    def run(self, *asked: Registration) -> Materializer:
        done = self.begin()
        try:
            for registration in asked:
                done.register(registration)
            done.prune()
        finally:
            Deployment(resources=done.deployed()).write(self.directory)
        return done

    def destroy(self) -> None:
        done = self.begin()
        done.destroy()
        Deployment(resources=done.deployed()).write(self.directory)

    def begin(self) -> Materializer:
        before = Deployment.read(self.directory)
        return Materializer(entries.BY_TYPE, self.clients, HOME, before, assets=self.assets)

    def outputs(self, name: str) -> Any:
        (found,) = (one for one in Deployment.read(self.directory).resources if one.name == name)
        return found.outputs


@pytest.fixture(scope="module")
def made(lab: Lab) -> Clients:
    return clients(lab.environment["AWS_ENDPOINT_URL"])


@pytest.fixture
def stack(made: Clients, tmp_path: Path) -> Iterator[Stack]:
    stack = Stack(tmp_path, made)
    yield stack
    stack.destroy()


def asked(typ: str, called: str, /, **inputs: Any) -> Registration:
    return Registration(f"urn:{typ}::{called}", typ, called, inputs)


def role(name: str = "role", **more: Any) -> Registration:
    inputs = {"name": f"deploy-{name}", "assumeRolePolicy": TRUST} | more
    return asked("aws:iam/role:Role", name, **inputs)


def group(days: float = 7.0, **more: Any) -> Registration:
    return asked(
        "aws:cloudwatch/logGroup:LogGroup", "group", name="deploy-group", retentionInDays=days, **more
    )


def test_what_is_there_is_kept_and_what_is_no_longer_asked_for_is_deleted(stack: Stack, lab: Lab) -> None:
    assert vars(stack.run(role(), group()).counts) == counted(created=2)
    assert vars(stack.run(role(), group()).counts) == counted(kept=2)
    assert vars(stack.run(group()).counts) == counted(kept=1, deleted=1)
    assert "deploy-role" not in {one["RoleName"] for one in lab.client("iam").list_roles()["Roles"]}


def counted(**given: int) -> dict[str, int]:
    return dict.fromkeys(("created", "kept", "updated", "replaced", "deleted"), 0) | given


def test_a_change_is_made_in_place_where_it_can_be(stack: Stack, lab: Lab) -> None:
    stack.run(group(days=7.0, tags=TAGS))
    assert vars(stack.run(group(days=14.0, tags={"Owner": "sre", "New": "yes"})).counts) == counted(updated=1)
    (found,) = lab.client("logs").describe_log_groups(logGroupNamePrefix="deploy-group")["logGroups"]
    assert found["retentionInDays"] == 14
    tags = lab.client("logs").list_tags_for_resource(resourceArn=found["logGroupArn"])["tags"]
    assert tags == {"Owner": "sre", "New": "yes"}


def test_a_change_that_cannot_be_made_in_place_replaces(stack: Stack, lab: Lab) -> None:
    stack.run(role())
    before = stack.outputs("role")["uniqueId"]
    assert vars(stack.run(role(path="/drills/")).counts) == counted(replaced=1)
    after = stack.outputs("role")
    assert after["uniqueId"] != before
    assert after["arn"].endswith(":role/drills/deploy-role")


def test_a_key_that_is_replaced_is_there_until_the_new_one_is(stack: Stack, lab: Lab) -> None:
    key = asked("aws:kms/key:Key", "key", keyUsage="ENCRYPT_DECRYPT", deletionWindowInDays=7.0)
    stack.run(key)
    before = stack.outputs("key")["arn"]
    hmac = asked("aws:kms/key:Key", "key", keyUsage="GENERATE_VERIFY_MAC", customerMasterKeySpec="HMAC_256")
    assert vars(stack.run(hmac).counts) == counted(replaced=1, deleted=1)
    states = {
        arn: lab.client("kms").describe_key(KeyId=arn)["KeyMetadata"]["KeyState"]
        for arn in (before, stack.outputs("key")["arn"])
    }
    assert list(states.values()) == ["PendingDeletion", "Enabled"]


def test_a_function_that_changes_keeps_its_published_versions(stack: Stack, lab: Lab) -> None:
    for number in (1, 2):
        code = archive(main=f"def handler(event, context):\n    return {number}\n")
        stack.assets = {str(number): lambda code=code: code}
        function = asked(
            "aws:lambda/function:Function",
            "function",
            name="deploy-function",
            role="arn:aws:iam::000000000000:role/anything",
            handler="main.handler",
            runtime="python3.13",
            architectures=["arm64"],
            timeout=10.0,
            publish=True,
            code={"sha256": str(number)},
        )
        stack.run(function)
        assert stack.outputs("function")["version"] == str(number)
    arn = stack.outputs("function")["arn"]
    client = lab.client("lambda")
    said = [json.load(client.invoke(FunctionName=f"{arn}:{n}")["Payload"]) for n in (1, 2)]
    assert said == [1, 2]


def test_a_state_machine_that_changes_has_a_new_version(stack: Stack) -> None:
    versions = []
    for comment in ("first", "second"):
        definition = {
            "Comment": comment,
            "StartAt": "Only",
            "States": {"Only": {"Type": "Pass", "End": True}},
        }
        machine = asked(
            "aws:sfn/stateMachine:StateMachine",
            "machine",
            name="deploy-machine",
            roleArn="arn:aws:iam::000000000000:role/anything",
            definition=json.dumps(definition),
            publish=True,
        )
        stack.run(machine)
        versions.append(stack.outputs("machine")["stateMachineVersionArn"].rpartition(":")[2])
    assert versions == ["1", "2"]


def test_a_type_that_the_lab_does_not_know_is_an_error(stack: Stack) -> None:
    with pytest.raises(NotRunnable) as caught:
        stack.run(asked("aws:ec2/natGateway:NatGateway", "way-out"))
    assert caught.value.message == (
        "the lab does not know resources of type aws:ec2/natGateway:NatGateway ('way-out')"
    )
    assert caught.value.hint == "write an entry for it in src/pgdrill/lab/deploy/entries"


@pytest.mark.parametrize(
    ("registration", "prop"),
    [
        (role(color="red"), "color"),
        (
            asked(
                "aws:s3/bucketVersioning:BucketVersioning",
                "deep",
                bucket="none",
                versioningConfiguration={"status": "Enabled", "color": "red"},
            ),
            "VersioningConfiguration.color",
        ),
        (asked("aws:sqs/queue:Queue", "queue", name="deploy-queue", fifoQueue=True), "fifoQueue"),
    ],
)
def test_a_property_that_the_lab_does_not_know_is_an_error(
    stack: Stack, registration: Registration, prop: str
) -> None:
    message = f"the lab does not know property {prop!r} of {registration.type} ({registration.name!r})"
    with pytest.raises(NotRunnable, match=f"(?i)^{re.escape(message)}$"):
        stack.run(registration)


def test_what_is_made_with_an_unknown_property_is_known_and_deleted(stack: Stack, lab: Lab) -> None:
    with pytest.raises(NotRunnable):
        stack.run(role(color="red"))
    assert [one.name for one in Deployment.read(stack.directory).resources] == ["role"]
    stack.destroy()
    assert "deploy-role" not in {one["RoleName"] for one in lab.client("iam").list_roles()["Roles"]}


def test_a_refusal_of_the_emulator_names_the_resource_and_ends_the_run(stack: Stack) -> None:
    run = stack.begin()
    with pytest.raises(Broken, match=r"^aws:iam/rolePolicy:RolePolicy 'policy' was refused: .*NoSuchEntity"):
        run.register(asked("aws:iam/rolePolicy:RolePolicy", "policy", name="p", role="nobody", policy=TRUST))
    with pytest.raises(Broken, match="'policy' was refused"):
        run.register(role())
    assert run.deployed() == ()


def test_secrets_are_written_nowhere(stack: Stack) -> None:
    done = stack.begin()
    inputs = {"name": "deploy-role", "assumeRolePolicy": TRUST, "description": "a secret"}
    done.register(Registration("urn:secret", "aws:iam/role:Role", "role", inputs, withheld=("description",)))
    Deployment(resources=done.deployed()).write(stack.directory)
    assert "a secret" not in (stack.directory / "deployment.json").read_text(encoding="utf-8")


def test_what_is_protected_is_not_deleted(stack: Stack) -> None:
    safe = role("safe")
    stack.run(Registration(safe.urn, safe.type, safe.name, safe.inputs, protect=True))
    with pytest.raises(NotRunnable, match=r"^aws:iam/role:Role 'safe' is protected and is not deleted$"):
        stack.run()
    with pytest.raises(NotRunnable, match="is protected"):
        stack.destroy()
    assert vars(stack.run(safe).counts) == counted(kept=1)


def test_an_instance_that_was_not_deployed_is_named_before_anything_is_deleted(
    stack: Stack, lab: Lab
) -> None:
    rds = lab.client("rds")
    (like,) = rds.describe_db_subnet_groups(DBSubnetGroupName="pgdrill-lab-production")["DBSubnetGroups"]
    subnets = [one["SubnetIdentifier"] for one in like["Subnets"]]
    stack.run(
        asked(
            "aws:rds/subnetGroup:SubnetGroup", "net", name="deploy-net", subnetIds=subnets, description="d"
        ),
        role(),
    )
    shape = lab.world().production_instance() | {"DBSubnetGroupName": "deploy-net"}
    rds.create_db_instance(
        DBInstanceIdentifier="pgdrill-x-recovered-shop",
        MasterUsername="master",
        MasterUserPassword="correct-horse-battery",
        **shape,
    )
    await_status(lab, "pgdrill-x-recovered-shop")
    with pytest.raises(NotRunnable) as refused:
        stack.destroy()
    assert (refused.value.message, refused.value.hint) == (
        (
            "nothing was deleted: instances that were not deployed lie in its networks:"
            " 'pgdrill-x-recovered-shop' in 'deploy-net' of ap-southeast-1"
        ),
        (
            "a temporary one goes with: pgdrill purge; a recovered one is yours, nothing of pgdrill deletes it:"
            " take its deletion protection away and delete it by hand, with a final snapshot"
        ),
    )
    assert {one.name for one in Deployment.read(stack.directory).resources} == {"net", "role"}
    assert "deploy-role" in {one["RoleName"] for one in lab.client("iam").list_roles()["Roles"]}
    rds.delete_db_instance(DBInstanceIdentifier="pgdrill-x-recovered-shop", SkipFinalSnapshot=True)
    until(lambda: not rds.describe_db_instances()["DBInstances"])
    stack.destroy()
    assert Deployment.read(stack.directory).resources == ()


def test_what_is_to_be_retained_is_forgotten_and_not_deleted(stack: Stack, lab: Lab) -> None:
    bucket = asked("aws:s3/bucket:Bucket", "bucket", bucket="deploy-retained", forceDestroy=True)
    s3 = lab.client("s3")

    def text(key: str, *, retain: bool) -> Registration:
        put = asked(
            "aws:s3/bucketObjectv2:BucketObjectv2", "text", bucket="deploy-retained", key=key, content=key
        )
        return dataclasses.replace(put, retain=retain)

    def there() -> list[str]:
        return [one["Key"] for one in s3.list_objects_v2(Bucket="deploy-retained").get("Contents", [])]

    stack.run(bucket, text("first", retain=True))
    assert vars(stack.run(bucket, text("second", retain=False)).counts) == counted(kept=1, replaced=1)
    assert there() == ["first", "second"]
    # What counts is the option of the run before.
    assert vars(stack.run(bucket, text("third", retain=False)).counts) == counted(kept=1, replaced=1)
    assert there() == ["first", "third"]
    assert vars(stack.run(bucket, text("third", retain=True)).counts) == counted(kept=2)
    assert vars(stack.run(bucket).counts) == counted(kept=1)
    assert there() == ["first", "third"]
    assert [one.name for one in Deployment.read(stack.directory).resources] == ["bucket"]


def test_two_resources_of_a_name_are_an_error(stack: Stack) -> None:
    with pytest.raises(NotRunnable, match=r"^two resources are 'urn:aws:iam/role:Role::role'$"):
        stack.run(role(), role())


def test_every_type_has_one_entry() -> None:
    assert len(entries.BY_TYPE) == len(entries.ALL)
