"""Asks what a policy decides, by the evaluation that the lab enforces with, on plain documents."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ministack.core import iam_evaluator

from policies import Document
from tests.infra.program import ACCOUNT

ALLOW, DENY, SILENT = "Allow", "Deny", "ImplicitDeny"


@dataclass(frozen=True)
class Call:
    """One question to IAM: an action on a resource, with the condition keys that AWS supplies."""

    action: str
    resource: str
    keys: Mapping[str, Any]
    region: str

    def decided(self, policy: Document) -> str:
        """Return `Allow`, `Deny` for an explicit one, or `ImplicitDeny`."""
        context = iam_evaluator.EvalContext(
            principal_arn=f"arn:aws:iam::{ACCOUNT}:role/tried",
            principal_type="AssumedRole",
            principal_account=ACCOUNT,
            action=self.action,
            resource_arn=self.resource,
            region=self.region,
            service_context={name.lower(): value for name, value in self.keys.items()},
        )
        return str(iam_evaluator.evaluate(context, [iam_evaluator.parse_policy_document(policy)]).decision)


def call(action: str, resource: str, region: str = "ap-southeast-1", **keys: Any) -> Call:
    """Name a question; a key's colon and slash are written `__` and `___`, as in `aws__ResourceTag___PgDrillRole`."""
    spelled = {name.replace("___", "/").replace("__", ":"): value for name, value in keys.items()}
    return Call(action, resource, spelled, region)
