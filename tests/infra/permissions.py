"""Writes docs/permissions-deployed.md: what each role of a deployment may do, where it runs, and how it gets there.

`python -m tests.infra.permissions`. Made of the very functions that policies are made of; touches the document alone.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

import policies_of_functions as functions
import policies_of_services as services
from functions import FUNCTIONS, Function, Network, Where
from policies import Document, Statement
from tests.infra import roles
from tests.infra.linting import EXPLAINED
from tests.infra.program import ACCOUNT
from unused_grants import ONLY_IN_AWS, ONLY_IN_NEED, SERVICES, WHERE_LOCKED

DOCUMENT = Path(__file__).parents[2] / "docs" / "permissions-deployed.md"
# The endpoint that a function's own calls go through, by the action's service.
ENDPOINTS = {"rds": "rds", "kms": "kms", "s3": "s3 (gateway)", "secretsmanager": "secretsmanager"}
# What AWS does in a function's name, which goes through no endpoint of its network.
BY_AWS = {"ec2", "logs", "iam"}
# Conditions that say that a service uses a key in the role's name.
BY_A_SERVICE = ("kms:ViaService", "kms:EncryptionContext")

HEAD = """\
# What each role may do

Generated from `infra/` by `make docs`; a test holds that it is fresh.
[What each step calls](permissions.md) says why.

Every function, every state machine and every service has a role of its own with one policy in it.
Policies name ARNs, and where a name is shared, tags: `PgDrillRole` tells a temporary instance from any other, `PgDrillSuffix` a point of this deployment from another's.
No action is allowed by pattern but for what RDS requires of the role of an export; no log group is made at run time; nobody may alter the plan, the code or a record that is there.
A key is used by the service that it is for, in the name of a role, and not by itself: but for the password of a drill and the signature of a record, which two other keys are for.
"""

MACHINES = """\
`kms` in the last column is for passwords, signatures and a look at production's key; what RDS, S3 and Secrets Manager do with keys they do themselves.
Besides, Lambda makes the network interfaces of each function and writes its log in its role's name; the code itself is denied the interfaces.

## State machines and services
"""

DENIED = """\
## What no role may, whatever it is allowed

| denied | of | unless |
|---|---|---|
"""

DENIED_NOTES = """
Production is protected by naming what is not: so an adopted database, a renamed one and any other of the account are covered, and the policy does not grow with the plan.
A restore is never allowed by production's name as its target: `RestoreDBInstanceToPointInTime` is evaluated on its source as well, which production is, and so cannot be denied there.
What it makes must carry the tags of a drill, and tagging anything but a temporary instance or a point is denied; RDS evaluates `AddTagsToResource` on the target.
"""

REASONS = """\
## What cannot name a resource

| statement | why |
|---|---|
"""

BY_PATTERN = """\
## What is allowed by pattern

| actions | why |
|---|---|
"""

UNUSED = """\
## What is allowed, and not used by a run that goes well

A lab records every call of every role.
Each is allowed by a policy; each grant is used, or stands here.

| grant | why |
|---|---|
"""

LINTED = """\
## What the linter says, and why it stands

An independent reader of policies (parliament) goes through all of them; it finds this and nothing else.

| it names | why it stands |
|---|---|
"""


def document() -> str:
    return "\n".join(
        [
            HEAD,
            "## Functions\n",
            "| function | network | cell | calls | through |",
            "|---|---|---|---|---|",
            *(_row(function) for function in FUNCTIONS),
            "",
            MACHINES,
            "| role | cell | may |",
            "|---|---|---|",
            *_service_rows(),
            "",
            DENIED + "\n".join(_denials()) + "\n" + DENIED_NOTES,
            REASONS + _table((functions.WIDE | services.WIDE).items()),
            BY_PATTERN + _table((f"`{action}`", why) for action, why in services.PATTERNS.items()),
            UNUSED + _table(_unused()),
            LINTED + _table((f"`{name}`", why) for name, why in EXPLAINED.items()),
        ]
    )


def _table(rows: Iterable[tuple[str, str]]) -> str:
    return "\n".join(f"| {name} | {why} |" for name, why in rows) + "\n"


def _unused() -> Iterator[tuple[str, str]]:
    """Yield grants of one statement and one reason in one row."""
    for role, why in SERVICES.items():
        yield f"all of `{role}`", why
    reasons = {("", *grant): why for grant, why in ONLY_IN_AWS.items()} | ONLY_IN_NEED | WHERE_LOCKED
    for sid, why in dict.fromkeys((sid, why) for (_, sid, _), why in reasons.items()):
        alike = [
            (role, action) for (role, name, action), each in reasons.items() if (name, each) == (sid, why)
        ]
        whose = ", ".join(f"`{role}`" for role in dict.fromkeys(role for role, _ in alike) if role)
        actions = ", ".join(dict.fromkeys(action for _, action in alike))
        yield f"`{sid}`{f' of {whose}' if whose else ''}: {actions}", why


def _row(function: Function) -> str:
    policy = _policy(function)
    own = [statement for statement in _allowed(policy) if _own(statement)]
    calls = sorted({action for statement in own for action in statement["Action"]})
    through = sorted({ENDPOINTS[action.partition(":")[0]] for action in calls})
    where = "both" if function.where is Where.BOTH else function.where.value
    network = "production" if function.network is Network.PRODUCTION else "drill"
    return f"| `{function.name}` | {network} | {where} | {', '.join(calls)} | {', '.join(through)} |"


def _policy(function: Function) -> Document:
    region = roles.HOME if function.runs_in(primary=True) else roles.AWAY
    return roles.ALL[f"{function.name}-{region}"][1]


def _allowed(policy: Document) -> Iterator[Statement]:
    return (statement for statement in policy["Statement"] if statement["Effect"] == "Allow")


def _own(statement: Statement) -> bool:
    """Tell whether these are calls of the function's own code."""
    keys = [key for condition in statement.get("Condition", {}).values() for key in condition]
    by_a_service = any(key.startswith(BY_A_SERVICE) for key in keys)
    return not by_a_service and {action.partition(":")[0] for action in statement["Action"]}.isdisjoint(
        BY_AWS
    )


def _service_rows() -> Iterator[str]:
    known = {function.name for function in FUNCTIONS}
    names = sorted({name.rsplit("-", 3)[0] for name in roles.ALL} - known)
    for name in names:
        cells = [
            cell
            for cell, region in (("primary", roles.HOME), ("dr", roles.AWAY))
            if f"{name}-{region}" in roles.ALL
        ]
        region = roles.HOME if "primary" in cells else roles.AWAY
        _, policy = roles.ALL[f"{name}-{region}"]
        told = [statement for statement in _allowed(policy) if statement["Sid"] != "DeliverLogs"]
        actions = sorted({action for statement in told for action in statement["Action"]})
        where = "both" if len(cells) == 2 else cells[0]
        yield f"| `{name}` | {where} | {', '.join(actions)} |"


def _denials() -> Iterator[str]:
    _, policy = roles.ALL[f"retain-{roles.HOME}"]
    for statement in policy["Statement"]:
        if statement["Effect"] == "Deny" and statement["Sid"] != "InterfacesAreLambdas":
            actions = ", ".join(statement["Action"]).replace("*", "everything")
            of = "*" if "NotResource" in statement else ", ".join(statement["Resource"])
            spared = [_short(resource) for resource in statement.get("NotResource", ())]
            unless = [*(f"it is {each}" for each in spared), *_conditions(statement)]
            yield f"| {actions} | {_short(of)} | {'; '.join(unless) or 'never'} |"


def _short(resource: str) -> str:
    if resource == "*":
        return "everything"
    kind = resource.removeprefix(f"arn:aws:rds:{roles.HOME}:{ACCOUNT}:")
    return kind.replace("pgdrill-test-", "pgdrill-<suffix>-").replace("*", "\\*")


def _conditions(statement: Statement) -> Iterator[str]:
    for operator, keys in statement.get("Condition", {}).items():
        for key, value in keys.items():
            shown = str(value).replace("test", "<suffix>").replace(roles.HOME, "the cell's own")
            yield f"`{key}` is {'not ' if operator == 'Bool' else ''}{shown}"


if __name__ == "__main__":
    DOCUMENT.write_text(document(), encoding="utf-8")
