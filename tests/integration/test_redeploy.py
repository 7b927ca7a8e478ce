"""A deployment of another plan, while a drill runs: the drill goes on with the plan and the code that it began with."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple

import pytest

from pgdrill.lab.deploy.deploy import deploy, settings
from pgdrill.lab.deploy.deployment import OUTPUTS
from pgdrill.lab.lab import Lab
from tests.integration import labs
from tests.integration.deployed import Cell, Deployment, execute, until


class Story(NamedTuple):
    """Both deployments' plans, and how a drill ended that began under the first."""

    before: Any
    after: Any
    ended: dict[str, Any]
    evidence: Any


@pytest.fixture(scope="module")
def story() -> Iterator[Story]:
    with labs.deployed(rows=200, waits=0.01) as lab:
        before = deployment(lab)
        primary = before.cell("primary")
        due_at = datetime.now(UTC).replace(minute=0, second=0, microsecond=0).strftime("%Y-%m-%dT%H:%M:%SZ")
        of_shop = {"due_at": due_at, "database": "shop"}
        for machine, given in ("Beat", {"due_at": due_at}), ("Take", of_shop), ("Beat", {"due_at": due_at}):
            assert execute(primary, machine, given)["status"] == "SUCCEEDED"
        lab.door.set_faults({"stuck": [{"identifier": "*-drill-*", "status": "creating"}]})
        drill = begin(primary, of_shop | {"wanted": "latest"})
        deploy(lab, settings() | {"drill": {"point": "latest"}})
        states = primary.client("stepfunctions")
        assert states.describe_execution(executionArn=drill)["status"] == "RUNNING"
        lab.door.clear_faults()
        until(lambda: states.describe_execution(executionArn=drill)["status"] != "RUNNING")
        ended = states.describe_execution(executionArn=drill)
        yield Story(before.plan, deployment(lab).plan, ended, evidence(primary, ended))


def deployment(lab: Lab) -> Deployment:
    return Deployment(json.loads((lab.directory / OUTPUTS).read_bytes()))


def begin(primary: Cell, asked: dict[str, str]) -> str:
    """Start a drill and wait until its temporary instance is being made; return the execution."""
    started = primary.client("stepfunctions").start_execution(
        stateMachineArn=primary["DrillMachineArn"], input=json.dumps(asked)
    )["executionArn"]
    rds = primary.client("rds")

    def being_made() -> bool:
        found = rds.describe_db_instances()["DBInstances"]
        return any("-drill-" in one["DBInstanceIdentifier"] for one in found)

    until(being_made)
    return str(started)


def evidence(primary: Cell, ended: dict[str, Any]) -> Any:
    drill = json.loads(ended.get("output", "{}")).get("drill", {}).get("id")
    key = f"evidence/shop/{primary.region}/{drill}/evidence.json"
    body = primary.client("s3").get_object(Bucket=primary["EvidenceBucket"], Key=key)["Body"]
    return json.loads(body.read())


def test_the_plan_has_changed(story: Story) -> None:
    assert story.before != story.after
    assert story.after["drill"]["point"] == "latest"


def test_the_drill_ends_and_passes(story: Story) -> None:
    assert story.ended["status"] == "SUCCEEDED", (story.ended.get("error"), story.ended.get("cause"))
    assert story.evidence["verdict"] == "passed", story.evidence["verdict_reason"]
