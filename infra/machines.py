"""The state machines of a cell, from the files that the Workflow Studio opens.

A file says by its placeholders which functions it invokes and which machines it starts, and its role may do just
that. What stands in them is a version's ARN: an execution in flight goes on with what it began with.
"""

import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pulumi
import pulumi_aws as aws

import policies_of_services as services
from canary import CANARY, Canary
from functions import BY_NAME
from lambdas import LOGS_DAYS
from naming import Names
from pgdrill.messages import Kind
from policies import Document, Scope, trust
from roles import Role
from settings import Settings
from tagging import tags

FILES = Path(__file__).parent / "machines"
PUBLISH = "publish"
PRIMARY_ONLY = frozenset({"take", "seal", "beat", "export"})
DR_ONLY = frozenset({"copy"})
# What stands for a function that the cell has not; the definition looks before it goes there.
NONE = "none"
_PLACEHOLDER = re.compile(r"\$\{([a-z_]+)\}")


class Machine(pulumi.ComponentResource):
    """A state machine with its role and its log group; everything of it is kept under the cell's key."""

    arn: pulumi.Output[str]
    role: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        settings: Settings,
        names: Names,
        thing: str,
        *,
        policy: pulumi.Output[Document],
        trusted: Document,
        values: Mapping[str, pulumi.Input[str]],
        key: pulumi.Input[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Make it of the file of that name; `values` are what its placeholders stand for."""
        super().__init__("pgdrill:cell:Machine", name, None, opts)
        inside = pulumi.ResourceOptions(parent=self)
        role = Role(
            name,
            settings,
            names,
            role_of(thing),
            purpose=f"what the state machine {names.thing(thing)} does",
            trust=trusted,
            policy=policy,
            opts=inside,
        )
        log = aws.cloudwatch.LogGroup(
            name,
            name=names.machine_logs(thing),
            retention_in_days=LOGS_DAYS,
            kms_key_id=key,
            region=names.region,
            tags=tags(settings, names.machine_logs(thing)),
            opts=inside,
        )
        machine = aws.sfn.StateMachine(
            name,
            name=names.thing(thing),
            type="STANDARD",
            definition=pulumi.Output.all(**values).apply(lambda known: definition(thing, known)),
            role_arn=role.arn,
            encryption_configuration=_keeping(key),
            logging_configuration=_logging(log.arn),
            region=names.region,
            tags=tags(settings, names.thing(thing)),
            opts=inside,
        )
        self.arn, self.role = machine.arn, role.arn
        self.register_outputs({"arn": self.arn, "role": self.role})


def _keeping(key: pulumi.Input[str]) -> Any:
    return {
        "type": "CUSTOMER_MANAGED_KMS_KEY",
        "kms_key_id": key,
        "kms_data_key_reuse_period_seconds": 900,
    }


def _logging(group: pulumi.Output[str]) -> Any:
    """Input and output of a step are in the execution's history; a log for failures alone does not repeat them."""
    return {
        "level": "ERROR",
        "include_execution_data": False,
        "log_destination": pulumi.Output.concat(group, ":*"),
    }


class Machines(pulumi.ComponentResource):
    """All state machines of a cell."""

    arns: dict[str, pulumi.Output[str]]
    roles: dict[str, pulumi.Output[str]]

    def __init__(
        self,
        name: str,
        settings: Settings,
        names: Names,
        *,
        primary: bool,
        scope: pulumi.Output[Scope],
        functions: Mapping[str, pulumi.Input[str]],
        bus: pulumi.Input[str],
        topics: Mapping[Kind, pulumi.Input[str]],
        canary: Canary,
        key: pulumi.Input[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Make them. `functions` are the ARNs of published versions, `topics` those of backups and drills."""
        super().__init__("pgdrill:cell:Machines", name, None, opts)
        values: dict[str, pulumi.Input[str]] = {
            "suffix": names.suffix,
            "schedule_group": names.stem,
            "secrets": ",".join(secrets(settings)) if primary else "",
            "region": names.region,
            "evidence": scope.apply(lambda known: known.evidence),
            "bus": bus,
            "queue_canary": canary.url,
            **{f"topic_{thing}": arn for thing, arn in topics.items()},
            **{f"function_{thing}": functions.get(thing, NONE) for thing in BY_NAME},
        }
        told = pulumi.Output.all(scope, bus, canary.arn, *topics.values())
        policies = {
            PUBLISH: told.apply(lambda known: services.publish(known[0], PUBLISH, known[1], known[3:])),
            CANARY: told.apply(lambda known: services.canary(known[0], CANARY, known[3:], known[2])),
        }
        self.arns, self.roles = {}, {}
        for thing in of_cell(primary=primary):
            used = placeholders(thing)
            machine = Machine(
                f"{name}-{role_of(thing)}",
                settings,
                names,
                thing,
                policy=policies[thing] if thing in policies else scope.apply(partial(_running, thing)),
                trusted=trust(names, "states.amazonaws.com", names.arn("states", "stateMachine:*")),
                values={name: value for name, value in values.items() if name in used},
                key=key,
                opts=pulumi.ResourceOptions(parent=self),
            )
            self.arns[thing], self.roles[thing] = machine.arn, machine.role
            values[f"machine_{thing}"] = machine.arn
        self.register_outputs({})


def secrets(settings: Settings) -> list[str]:
    """Return what pgdrill reads of Secrets Manager, by name or ARN; no name holds a comma."""
    entries = {entry for one in settings.databases for entry in (one.secret, one.master_secret) if entry}
    return sorted(entries)


def of_cell(*, primary: bool) -> list[str]:
    """Return the machines of a cell; the one that the others start comes first."""
    found = sorted(path.name.removesuffix(".asl.json") for path in FILES.glob("*.asl.json"))
    absent = DR_ONLY if primary else PRIMARY_ONLY
    return sorted((thing for thing in found if thing not in absent), key=lambda thing: thing != PUBLISH)


def role_of(machine: str) -> str:
    """Name a machine's role apart from that of the function of the same name."""
    return f"{machine}-machine"


def placeholders(machine: str) -> frozenset[str]:
    return frozenset(_PLACEHOLDER.findall(_text(machine)))


def invoked(machine: str) -> list[str]:
    """Return the functions that a machine invokes, in whichever cell."""
    return sorted(name.removeprefix("function_") for name in placeholders(machine) if "function_" in name)


def started(machine: str) -> list[str]:
    return sorted(name.removeprefix("machine_") for name in placeholders(machine) if "machine_" in name)


def definition(machine: str, values: Mapping[str, Any]) -> str:
    """Return a machine's definition with everything in place.

    Raises:
        KeyError: a placeholder stands for nothing that is known.
    """
    return _PLACEHOLDER.sub(lambda found: str(values[found[1]]), _text(machine))


def _text(machine: str) -> str:
    return (FILES / f"{machine}.asl.json").read_text(encoding="utf-8")


def _running(machine: str, scope: Scope) -> Document:
    there = [name for name in invoked(machine) if BY_NAME[name].runs_in(primary=scope.is_primary)]
    return services.machine(scope, machine, there, started(machine))
