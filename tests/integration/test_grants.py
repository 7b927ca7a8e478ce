"""The two-sided proof: whatever a role did was allowed, and whatever it is allowed it did, or there is a reason.

A round of everything that a deployment does by itself, through its schedules, in a lab that writes down every call.
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import pytest
from ministack.core import iam_evaluator

from pgdrill.lab import calls
from pgdrill.lab.calls import Call
from pgdrill.lab.deploy.deployment import OUTPUTS
from pgdrill.lab.lab import Lab
from pgdrill.points.schedule import TURN
from tests.integration import labs, reached
from tests.integration.deployed import Cell, Deployment, execute, until
from unused_grants import ONLY_IN_AWS, ONLY_IN_NEED, why

# A turn of drills; as many as there are kinds take each kind of recovery point.
WEEK = timedelta(days=7)


class Round(NamedTuple):
    deployment: Deployment
    failed: list[Any]
    calls: list[Call]


@pytest.fixture(scope="module")
def round_() -> Iterator[Round]:
    with labs.deployed(rows=200, waits=0.01) as lab:
        deployment = Deployment(json.loads((lab.directory / OUTPUTS).read_bytes()))
        failed = _round(lab, *deployment.cells)
        yield Round(deployment, failed, list(calls.read(lab.directory)))


def _round(lab: Lab, primary: Cell, dr: Cell) -> list[Any]:
    """Fire every schedule, in an order in which each has something to do; return the executions that failed."""
    now = datetime.now(UTC)
    failed: list[Any] = []

    def fire(cell: Cell, *jobs: str, due_at: datetime = now) -> None:
        for job in jobs:
            fired = lab.door.fire(f"pgdrill-{cell.suffix}-{job}", due_at, region=cell.region)
            assert fired["undelivered"] == "", job
            failed.extend(lab.door.settle())

    fire(primary, "beat", "take-shop", "beat", "seal-shop", "canary", "watch")
    fire(dr, "canary", "watch", "copy")
    until(lambda: _available(dr))
    fire(primary, "export")
    until(lambda: [task["Status"] for task in _tasks(primary)] == ["COMPLETE"])
    fire(primary, "export")
    for turn in range(len(TURN)):
        fire(primary, "drill-shop", due_at=now + turn * WEEK)
    fire(dr, "drill-shop", "retain", "reap")
    fire(primary, "retain", "reap")
    over = {"due_at": (now - timedelta(days=2)).isoformat(), "database": "shop"}
    assert execute(primary, "Take", over)["error"] == "NotRunnable"
    failed.extend(one for one in lab.door.settle() if one["error"] != "NotRunnable")
    return failed


def _available(cell: Cell) -> bool:
    found = cell.pages("rds", "describe_db_snapshots", "DBSnapshots", SnapshotType="manual")
    return [one["Status"] for one in found] == ["available"]


def _tasks(cell: Cell) -> list[Any]:
    return list(cell.pages("rds", "describe_export_tasks", "ExportTasks"))


def test_the_round_went_well(round_: Round) -> None:
    assert round_.failed == []


def test_whatever_a_role_did_was_allowed(round_: Round) -> None:
    stem = f"pgdrill-{round_.deployment.suffix}-"
    ours = [call for call in round_.calls if call.role.startswith(stem)]
    assert [call for call in ours if not call.allowed] == []
    assert len({call.role for call in ours}) > 40


def test_whatever_a_function_did_its_network_lets_through(round_: Round) -> None:
    for cell in round_.deployment.cells:
        assert reached.unreached(cell, round_.calls) == set()


def test_whatever_a_role_is_allowed_it_did_or_there_is_a_reason(round_: Round) -> None:
    idle = {
        (_thing(cell, role), sid, action)
        for cell in round_.deployment.cells
        for role, statements in _policies(cell).items()
        for sid, action in _idle(statements, [call for call in round_.calls if call.role == role])
    }
    assert sorted(grant for grant in idle if not why(*grant)) == []
    # What only AWS is said to do, or need to bring about, the lab must not do as well: a reason can go stale.
    assert set(ONLY_IN_AWS) - {(sid, action) for _, sid, action in idle} == set()
    assert set(ONLY_IN_NEED) - idle == set()


def _idle(statements: list[Any], did: list[Call]) -> Iterator[tuple[str, str]]:
    """Yield what none of the calls needed: a statement's name, and an action."""
    asked = {json.dumps([call.action, call.resource, call.context]): call for call in did}.values()
    for statement in statements:
        if statement["Effect"] != "Allow":
            continue
        alone = iam_evaluator.parse_policy_document({"Statement": [statement]})
        used = {call.action for call in asked if _decides(alone, call)}
        listed = statement["Action"]
        for action in {listed} if isinstance(listed, str) else set(listed):
            if action not in used:
                yield statement.get("Sid", ""), action


def _decides(statement: list[Any], call: Call) -> bool:
    context = iam_evaluator.EvalContext(
        principal_arn=f"arn:aws:iam::000000000000:role/{call.role}",
        principal_type="AssumedRole",
        principal_account="000000000000",
        action=call.action,
        resource_arn=call.resource,
        region=call.region,
        service_context=call.context,
    )
    return bool(iam_evaluator.evaluate(context, [statement]).decision == "Allow")


def _policies(cell: Cell) -> dict[str, list[Any]]:
    """Return the statements of each role of a cell, as they are deployed."""
    iam = cell.client("iam")
    stem, end = f"pgdrill-{cell.suffix}-", f"-{cell.region}"
    names = [role["RoleName"] for role in cell.pages("iam", "list_roles", "Roles")]
    return {
        name: [
            statement
            for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]
            for statement in iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"][
                "Statement"
            ]
        ]
        for name in names
        if name.startswith(stem) and name.endswith(end)
    }


def _thing(cell: Cell, role: str) -> str:
    return role.removeprefix(f"pgdrill-{cell.suffix}-").removesuffix(f"-{cell.region}")
