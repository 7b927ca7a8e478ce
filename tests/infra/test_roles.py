"""One role for each function and each service; what is deployed is what the plain functions say."""

import json

import pytest

from functions import of_cell
from machines import of_cell as machines_of
from machines import role_of
from policies import Document
from tests.infra import roles
from tests.infra.program import ACCOUNT, Run

ROLE, POLICY = "aws:iam/role:Role", "aws:iam/rolePolicy:RolePolicy"
CELLS = {"primary": roles.HOME, "dr": roles.AWAY}
# Made with the ground.
OF_THE_GROUND = {"flow-logs", "s3-replication"}


def _deployed(run: Run, region: str) -> dict[str, tuple[Document, list[str]]]:
    """Return trust and policies of each role of a cell, by its name without stem and region."""
    policies: dict[str, list[str]] = {}
    for one in run.of(POLICY):
        policies.setdefault(one.inputs["role"], []).append(one.inputs["policy"])
    return {
        name.removeprefix("pgdrill-test-").removesuffix(f"-{region}"): (
            json.loads(one.inputs["assumeRolePolicy"]),
            policies.get(name, []),
        )
        for one in run.of(ROLE)
        if (name := one.inputs["name"]).endswith(region)
    }


@pytest.mark.parametrize("cell", CELLS)
def test_each_function_machine_and_service_has_a_role_of_its_own(whole: Run, cell: str) -> None:
    primary = cell == "primary"
    expected = (
        {function.name for function in of_cell(primary=primary)}
        | {role_of(machine) for machine in machines_of(primary=primary)}
        | {"scheduler", "starter", "forwarder"}
        | ({"rds-export"} if primary else set())
    )
    deployed = _deployed(whole, CELLS[cell])
    assert set(deployed) - OF_THE_GROUND == expected
    assert {name for name, (_, policies) in deployed.items() if len(policies) != 1} == set()
    used = [one.inputs["role"] for one in whole.of("aws:lambda/function:Function")]
    assert len(set(used)) == len(used)


@pytest.mark.parametrize("cell", CELLS)
def test_a_role_has_the_policy_that_is_tested(whole: Run, cell: str) -> None:
    """The keys' ids apart, which are not known before they are made."""
    assert _policies(whole, cell) == _expected(cell, locked=False)


@pytest.mark.parametrize("cell", CELLS)
def test_a_role_of_the_ground_has_it_where_evidence_is_locked_too(protected: Run, cell: str) -> None:
    expected = _expected(cell, locked=True)
    assert _policies(protected, cell) == {name: expected[name] for name in OF_THE_GROUND}
    assert expected != _expected(cell, locked=False)


def _policies(run: Run, cell: str) -> dict[str, str]:
    deployed = _deployed(run, CELLS[cell])
    return {name: _shape(roles.spelled(json.loads(policies[0]))) for name, (_, policies) in deployed.items()}


def _expected(cell: str, *, locked: bool) -> dict[str, str]:
    found = roles.of(roles.scope(CELLS[cell]), locked=locked)
    return {name: _shape(policy) for name, policy in found.items()}


def _shape(policy: Document) -> str:
    """Return a policy with what differs by the database's name and the keys' ids made equal."""
    text = json.dumps(policy)
    for cell in CELLS:
        for key in ("storage", "messages", "mac", "signing"):
            text = text.replace(f"key/key-{cell}-{key}", f"key/{key}")
    return text.replace("key/production", "key/storage").replace(
        "pgdrill-test-production-shop", "shop-production"
    )


TRUSTED = {
    **dict.fromkeys(["scheduler"], "scheduler.amazonaws.com"),
    **dict.fromkeys(["starter", "forwarder"], "events.amazonaws.com"),
    **dict.fromkeys(["rds-export"], "export.rds.amazonaws.com"),
}


@pytest.mark.parametrize("cell", CELLS)
def test_a_role_is_taken_by_the_one_service_that_it_is_for(whole: Run, cell: str) -> None:
    for name, (trust, _) in _deployed(whole, CELLS[cell]).items():
        if name in OF_THE_GROUND:
            continue
        service = TRUSTED.get(
            name, "states.amazonaws.com" if name.endswith("-machine") else "lambda.amazonaws.com"
        )
        (statement,) = trust["Statement"]
        assert statement["Principal"] == {"Service": service}
        assert statement["Action"] == "sts:AssumeRole"
        if service != "lambda.amazonaws.com":
            assert statement["Condition"]["StringEquals"] == {"aws:SourceAccount": ACCOUNT}
            assert ACCOUNT in statement["Condition"]["ArnLike"]["aws:SourceArn"]
