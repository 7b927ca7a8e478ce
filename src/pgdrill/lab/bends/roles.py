"""Roles that services of the emulator take, as AWS's services do: what such a role may do, and calls made as one.

Enforces nothing where the lab does not enforce policies. Looks into the emulator's IAM, as its own services do.
"""

import hashlib
import json
from contextvars import Context
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any

from ministack import app
from ministack.core import iam_evaluator
from ministack.core.responses import get_account_id, get_region, request_scope
from ministack.services import iam, sts

from pgdrill.lab import clients
from pgdrill.lab.bends import recording


class NotAllowed(Exception):
    """Why policies refuse; the message is AWS's."""


def check(
    role: str,
    service: str,
    action: str,
    resource: str,
    *,
    source: str,
    region: str = "",
    context: dict[str, str] | None = None,
) -> None:
    """See that a service may take a role, and that the role may do this.

    `service` is as `events.amazonaws.com`, `source` the ARN of what the service acts for. `region` is that of the
    resource unless given; `context` are condition keys of the call.

    Raises:
        NotAllowed: it may not.
    """
    if not app.AUTH:
        return
    account = get_account_id()
    name, where = action.partition(":")[0], region or _region(resource) or get_region()
    key = _take(role, service, source)[0]

    def enforce() -> Any:
        with request_scope(account, where):
            return iam_evaluator.enforce(
                key, action, name, where, resource_arn=resource, service_context=context
            )

    # In a context of its own: the one at hand may be a request's, with that request's signature.
    if Context().run(enforce):
        caller = f"arn:aws:sts::{account}:assumed-role/{role.rpartition('/')[2]}"
        raise NotAllowed(f"{caller} is not authorized to perform: {action} on resource: {resource}")


def check_service(
    service: str, action: str, resource: str, *, source: str, policy: Any, named: bool = True
) -> None:
    """See that a resource's own policy lets a service do this in its own name.

    `source` is the ARN of what the service acts for; the policy is told of it, and of its account, where it is `named`.

    Raises:
        NotAllowed: it does not.
    """
    if not app.AUTH:
        return
    account = get_account_id()
    keys = {"aws:sourcearn": source, "aws:sourceaccount": account} if named else {}
    context = iam_evaluator.EvalContext(
        principal_arn="*",  # as its own services have it: no principal of the account
        principal_type="Service",
        principal_account="",
        action=action,
        resource_arn=resource,
        region=_region(resource),
        service_context=keys,
    )
    result = iam_evaluator.evaluate_resource_policy(policy, context, service=service)
    allowed = result.decision == "Allow"
    recording.add(service, source, action, resource, _region(resource), allowed=allowed, **keys)
    if not allowed:
        raise NotAllowed(f"{service} is not authorized to perform: {action} on resource: {resource}")


def client(name: str, region: str, role: str, service: str, *, source: str) -> Any:
    """Return a boto3 client that calls the lab as a role that a service has taken.

    Raises:
        NotAllowed: the role does not trust the service.
    """
    return _client(name, region, *(_take(role, service, source) if app.AUTH else ("test", "test", "")))


@lru_cache(maxsize=256)
def _client(name: str, region: str, key: str, secret: str, token: str) -> Any:
    return clients.client(
        name,
        region,
        key,
        secret,
        token,
        read_timeout=900,
        retries={"mode": "standard", "total_max_attempts": 1},
    )


def _take(role: str, service: str, source: str) -> tuple[str, str, str]:
    """Return the credentials of a session of a role that is there and trusts the service."""
    account, name = get_account_id(), role.rpartition("/")[2]
    if not trusts(role, service, source):
        raise NotAllowed(f"{service} is not authorized to assume role {role}")
    digest = hashlib.sha256(f"{role} {source}".encode()).hexdigest()
    session = name if len(source) > 64 else source.rpartition(":")[2]
    key, secret, token = f"ASIA{digest[:16].upper()}", digest[16:48], digest[48:]
    taken = {
        "Arn": f"arn:aws:sts::{account}:assumed-role/{name}/{session}",
        "UserId": f"{name}:{session}",
        "SecretAccessKey": secret,
        "SessionToken": token,
        "AccountId": account,
        "PrincipalType": "AssumedRole",
    }
    sts.register_session(key, taken)
    return key, secret, token


def trusts(role: str, service: str, source: str) -> bool | None:
    """Tell whether a role of this account lets a service take it for `source`, an ARN; None where there is no such role.

    Asked in every lab: whom a role trusts is a property of the role, not of who calls.
    """
    account = get_account_id()
    found = iam._roles.get_scoped(account, None, role.rpartition("/")[2])  # type: ignore[no-untyped-call] # noqa: SLF001 # as its own services do
    if found is None or not role.startswith(f"arn:aws:iam::{account}:role/"):
        return None
    keys = {"aws:sourceaccount": account, "aws:sourcearn": source}
    context = iam_evaluator.EvalContext(
        principal_arn=service,
        principal_type="AWSService",
        principal_account=account,
        action="sts:AssumeRole",
        resource_arn=role,
        region=source.split(":")[3],
        service_context=keys,
    )
    applying = [
        statement["Effect"]
        for statement in _listed(json.loads(found["AssumeRolePolicyDocument"])["Statement"])
        if _names(statement.get("Principal"), service)
        and any(fnmatchcase("sts:assumerole", one.lower()) for one in _listed(statement.get("Action", [])))
        and iam_evaluator._conditions_met(statement.get("Condition", {}), context)  # noqa: SLF001 # as in a request
    ]
    return "Allow" in applying and "Deny" not in applying


def _names(principal: Any, service: str) -> bool:
    return isinstance(principal, dict) and service in _listed(principal.get("Service", []))


def _region(arn: str) -> str:
    return (arn.split(":") + [""] * 4)[3]


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
