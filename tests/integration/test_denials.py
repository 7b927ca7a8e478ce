"""What no deployed role may do: asked of IAM itself, about the roles as they are."""

from typing import Any

import pytest

from tests.infra.deeds import Deed, forbidden
from tests.integration.deployed import Cell, Deployment


def _decision(cell: Cell, role: str, deed: Deed) -> str:
    """Return what IAM says: `allowed`, `explicitDeny` or `implicitDeny`."""
    context: Any = [
        {"ContextKeyName": name, "ContextKeyValues": [str(value)], "ContextKeyType": "string"}
        for name, value in ({"aws:RequestedRegion": cell.region} | dict(deed.keys)).items()
    ]
    answer = cell.client("iam").simulate_principal_policy(
        PolicySourceArn=role,
        ActionNames=[deed.action],
        ResourceArns=[deed.resource],
        ContextEntries=context,
    )
    return str(answer["EvaluationResults"][0]["EvalDecision"])


def _roles(cell: Cell) -> dict[str, str]:
    """Return all roles of a cell, those of its ground included, by what stands between stem and region."""
    stem, end = f"pgdrill-{cell.suffix}-", f"-{cell.region}"
    return {
        name.removeprefix(stem).removesuffix(end): role["Arn"]
        for role in cell.pages("iam", "list_roles", "Roles")
        if (name := role["RoleName"]).startswith(stem) and name.endswith(end)
    }


def test_no_role_may_do_what_none_may(deployment: Deployment, cell: Cell) -> None:
    (production, *_) = deployment.cell("primary").each("DatabaseInstances")
    deeds = forbidden(cell.region, cell.account, cell.suffix, production)
    decided = {
        (role, what): decision
        for role, arn in _roles(cell).items()
        for what, deed in deeds.items()
        if (decision := _decision(cell, arn, deed)) != "explicitDeny"
    }
    assert decided == {}
    assert set(cell.named("RoleArn").values()) < set(_roles(cell).values())


@pytest.mark.parametrize(
    ("action", "output", "expected"),
    [
        ("kms:GenerateMac", "MacKeyArn", {"unlock", "examine", "confront"}),
        ("kms:Sign", "SigningKeyArn", {"judge", "destroy"}),
    ],
)
def test_a_key_of_its_own_is_used_by_those_whose_it_is(
    cell: Cell, action: str, output: str, expected: set[str]
) -> None:
    deed = Deed(action, cell[output], {})
    may = {role for role, arn in _roles(cell).items() if _decision(cell, arn, deed) == "allowed"}
    assert may == expected & set(_roles(cell))


def test_productions_secret_is_read_by_those_who_log_in(deployment: Deployment, primary: Cell) -> None:
    found = primary.client("secretsmanager").describe_secret(
        SecretId=deployment.plan["database"][0]["secret"]
    )
    deed = Deed("secretsmanager:GetSecretValue", found["ARN"], {})
    may = {role for role, arn in _roles(primary).items() if _decision(primary, arn, deed) == "allowed"}
    assert may == {"beat", "seal"}
