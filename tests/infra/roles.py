"""Both cells' roles as plain documents, without Pulumi: what tests of policies, and documents, are made from."""

from dataclasses import replace
from typing import Any

import policies_of_functions as functions
import policies_of_services as services
from canary import CANARY
from functions import BY_NAME
from machines import PUBLISH, invoked, of_cell, role_of, started
from naming import Names
from network import FLOW_LOG_ROLE, flow_log_policy
from policies import Document, Scope
from replication import ROLE, policy_of
from schedules import planned
from settings import load
from tests.infra.program import ACCOUNT, REGIONS, SETTINGS

HOME, AWAY = REGIONS


def scope(region: str = HOME, suffix: str = "test") -> Scope:
    """Return what policies name in one of the two cells, with one database `shop`."""
    here, home = Names(suffix, region, ACCOUNT), Names(suffix, HOME, ACCOUNT)
    return Scope(
        suffix=suffix,
        account=ACCOUNT,
        region=region,
        primary=HOME,
        dr=AWAY,
        evidence=here.bucket("evidence"),
        archive=here.bucket("archive"),
        storage_key=here.arn("kms", "key/storage"),
        messages_key=here.arn("kms", "key/messages"),
        mac_key=here.arn("kms", "key/mac"),
        signing_key=here.arn("kms", "key/signing"),
        sources=(home.arn("kms", "key/production"),),
        instances=("shop-production",),
        secrets=("shop/pgdrill",),
        masters=("shop/master",),
        export_role=home.role_arn("rds-export"),
        subnet_group=here.thing("drill"),
        parameter_group=here.thing("drill"),
    )


def with_databases(count: int) -> Scope:
    names = [f"database-{number:03}-of-a-customer" for number in range(count)]
    return replace(scope(), instances=tuple(names), secrets=tuple(f"{name}/pgdrill" for name in names))


def of(cell: Scope, *, locked: bool = True) -> dict[str, Document]:
    """Return the policy of every role of a cell, by the role's name without stem and region.

    `locked` says that evidence is, as with `protect`: more is granted then.
    """
    names = Names(cell.suffix, cell.region, cell.account)
    primary = cell.is_primary
    found = functions.policies(cell)
    for machine in of_cell(primary=primary):
        if machine not in {PUBLISH, CANARY}:
            there = [name for name in invoked(machine) if BY_NAME[name].runs_in(primary=primary)]
            found[role_of(machine)] = services.machine(cell, machine, there, started(machine))
    topics = [names.arn("sns", names.thing(topic)) for topic in ("backups", "drills")]
    bus = f"event-bus/{names.stem}"
    other = Names(cell.suffix, AWAY if primary else HOME, cell.account)
    found[role_of(PUBLISH)] = services.publish(cell, PUBLISH, names.arn("events", bus), topics)
    awaited = names.arn("sqs", names.thing(CANARY))
    found[role_of(CANARY)] = services.canary(cell, CANARY, topics, awaited)
    queue = names.arn("sqs", names.thing("dead-letters"))
    jobs = sorted({one.job for one in planned(load(SETTINGS), primary=primary)})
    found["scheduler"] = services.scheduler(cell, jobs, queue)
    found["starter"] = services.starter(cell, ["hear"] if primary else ["hear", "copy"])
    found["forwarder"] = services.forwarder(cell, other.arn("events", bus))
    if primary:
        found["rds-export"] = services.exporter(cell)
    found[FLOW_LOG_ROLE] = spelled(flow_log_policy(names))
    key = other.arn("kms", "key/storage")
    found[ROLE] = spelled(policy_of(names, other, cell.storage_key, key, locked=locked))
    return found


def spelled(policy: Document) -> Document:
    """Return a policy with lists where one of a kind may stand alone."""

    def listed(name: str, value: Any) -> Any:
        return [value] if name in {"Action", "Resource"} and isinstance(value, str) else value

    statements = [{name: listed(name, value) for name, value in one.items()} for one in policy["Statement"]]
    return policy | {"Statement": statements}


ALL = {
    f"{name}-{region}": (scope(region), document)
    for region in REGIONS
    for name, document in of(scope(region)).items()
}
