"""What a cell stands on in its region: keys, buckets, networks, the database or what was found of it.

Both regions' ground is made before either cell, since each cell's plan tells of both.
Names that others make later (roles, bus, topics) stand in the plan already: they follow from `Names`.
"""

from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

import endpoints
from buckets import Buckets
from database import VERSION, Adopted, Created, Groups, family, in_common
from keys import Keys
from naming import Names
from network import FlowLogRole, Network
from pgdrill.plan import CellPlan, Place, Plan
from replication import Replication
from settings import Placed, Settings, plan_of

EXPORT_ROLE = "rds-export"


@dataclass(frozen=True)
class Production:
    """Where functions that talk to production run."""

    vpc: pulumi.Output[str]
    subnets: list[pulumi.Output[str]]
    functions: pulumi.Output[str]
    """the security group that `beat` and `seal` join"""


@dataclass(frozen=True)
class Found:
    """What was adopted, by the databases' names, and the traits that all of it has."""

    databases: dict[str, Adopted]
    traits: pulumi.Output[dict[str, Any]]


class Ground(pulumi.ComponentResource):
    """One region's. `cell` is `primary` or `dr`; `found` is what was adopted, if anything."""

    cell: str
    names: Names
    keys: Keys
    buckets: Buckets
    drill: Network
    production: Production
    databases: dict[str, Created | Adopted]
    """by the database's name; none in the DR region"""
    placed: pulumi.Output[Placed]

    def __init__(
        self,
        name: str,
        settings: Settings,
        cell: str,
        names: Names,
        primary: Names,
        found: Found | None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("pgdrill:ground:Ground", name, None, opts)
        self._family = found.traits["family"] if found else family(VERSION)
        self.cell, self.names, self._settings, self._name = cell, names, settings, name
        self._primary = primary
        self._inside = pulumi.ResourceOptions(parent=self)
        self.keys = Keys(name, settings, names, opts=self._inside)
        self.buckets = Buckets(name, settings, names, self.keys.storage, opts=self._inside)
        self._flow_logs = FlowLogRole(f"{name}-flow-logs", settings, names, opts=self._inside)
        self.drill = self._network("drill")
        self._drill_endpoints()
        drill_groups = self._groups("drill", self.drill)
        self.databases = {}
        recovery = self._adopt(found) if found and cell == "primary" else self._own()
        self.placed = self._placed(drill_groups, recovery)
        self.register_outputs({})

    def _network(self, purpose: str) -> Network:
        return Network(
            f"{self._name}-{purpose}",
            self._settings,
            self.names,
            self.cell,
            purpose,
            logs=self._flow_logs,
            key=self.keys.storage,
            opts=self._inside,
        )

    def _groups(self, purpose: str, network: Network) -> Groups:
        return Groups(
            f"{self._name}-{purpose}",
            self._settings,
            self.names,
            purpose,
            network.subnets,
            self._family,
            opts=self._inside,
        )

    def _drill_endpoints(self) -> None:
        kms = pulumi.Output.all(self.keys.mac, self.keys.signing).apply(
            lambda arns: endpoints.kms_policy(self.names, *arns)
        )
        endpoints.Endpoints(
            f"{self._name}-drill",
            self._settings,
            self.names,
            self.drill,
            buckets=(self.names.bucket("evidence"), self.names.bucket("archive")),
            services={"rds": endpoints.rds_policy(self.names, self._primary), "kms": kms},
            opts=self._inside,
        )

    def _own(self) -> dict[str, Any]:
        """Make the production network, in the primary region with databases and functions in it; return its place."""
        network = self._network("production")
        groups = self._groups("production", network)
        self.production = Production(network.vpc, network.subnets, network.functions)
        if self.cell == "primary":
            for cidr in self._settings.primary.clients:
                network.admit(cidr)
            endpoints.Endpoints(
                f"{self._name}-production",
                self._settings,
                self.names,
                network,
                buckets=(self.names.bucket("evidence"),),
                services={
                    "secretsmanager": endpoints.secrets_policy(
                        self.names, tuple(database.secret for database in self._settings.databases)
                    )
                },
                opts=self._inside,
            )
            self.databases = {
                database.name: Created(
                    database.instance,
                    self._settings,
                    self.names,
                    database,
                    groups=groups,
                    security_group=network.databases,
                    key=self.keys.storage,
                    opts=self._inside,
                )
                for database in self._settings.databases
            }
        return {
            "subnet_group": groups.subnet_group,
            "security_groups": [network.databases],
            "parameter_group": groups.parameter_group,
        }

    def _adopt(self, found: Found) -> dict[str, Any]:
        """Return the place of what was found."""
        network = self._settings.primary.network
        if network is None:
            raise ValueError("nothing to adopt")
        self.production = Production(
            pulumi.Output.from_input(network.vpc),
            [pulumi.Output.from_input(subnet) for subnet in network.subnets],
            pulumi.Output.from_input(network.security_group),
        )
        self.databases = {**found.databases}
        return {
            "subnet_group": found.traits["subnet group"],
            "security_groups": found.traits["security groups"],
            "parameter_group": found.traits["parameter group"],
        }

    def _placed(self, drill: Groups, recovery: dict[str, Any]) -> pulumi.Output[Placed]:
        place = {
            "subnet_group": drill.subnet_group,
            "security_groups": [self.drill.databases],
            "parameter_group": drill.parameter_group,
        }
        known: pulumi.Output[Any] = pulumi.Output.from_input(
            {
                "storage_key": self.keys.storage,
                "messages_key": self.keys.messages,
                "mac_key": self.keys.mac,
                "signing_key": self.keys.signing,
                "place": place,
                "recovery": recovery,
                "hosts": {name: [one.host, one.port] for name, one in self.databases.items()},
            }
        )
        return known.apply(lambda made: _placed(self.cell, self.names, **made))


def _placed(
    cell: str, names: Names, *, place: Any, recovery: Any, hosts: dict[str, list[Any]], **keys: str
) -> Placed:
    return Placed(
        cell=CellPlan(
            region=names.region,
            evidence_bucket=names.bucket("evidence"),
            archive_bucket=names.bucket("archive"),
            # Exports are made where production is.
            export_role=names.role_arn(EXPORT_ROLE) if cell == "primary" else None,
            place=Place(**place),
            recovery=Place(**recovery),
            bus=names.stem,
            backups_topic=names.arn("sns", names.thing("backups")),
            drills_topic=names.arn("sns", names.thing("drills")),
            **keys,
        ),
        hosts={name: (str(host), int(port)) for name, (host, port) in hosts.items()},
    )


@dataclass(frozen=True)
class Grounds:
    """Both regions', joined, and the plan that follows."""

    primary: Ground
    dr: Ground
    plan: pulumi.Output[Plan]


def grounds(settings: Settings, account: str) -> Grounds:
    """Make both regions' ground, and what goes between them."""
    suffix = settings.stack.suffix
    here, there = (Names(suffix, region, account) for region in (settings.primary.region, settings.dr.region))
    found = None if settings.created else _found(settings, here)
    primary, dr = (
        Ground(cell, settings, cell, names, here, found) for cell, names in (("primary", here), ("dr", there))
    )
    for source, target in ((primary, dr), (dr, primary)):
        Replication(
            f"{source.cell}-replication",
            settings,
            source=source.names,
            target=target.names,
            buckets=(source.buckets.evidence.bucket, target.buckets.evidence.bucket),
            keys=(source.keys.storage, target.keys.storage),
        )
    if settings.replicate_automated_backups:
        _replicate_backups(settings, primary, dr)
    plan = pulumi.Output.all(primary.placed, dr.placed).apply(lambda placed: plan_of(settings, *placed))
    return Grounds(primary, dr, plan)


def _found(settings: Settings, names: Names) -> Found:
    databases = {one.name: Adopted(one, names) for one in settings.databases}
    return Found(databases, in_common(databases.values()))


def _replicate_backups(settings: Settings, primary: Ground, dr: Ground) -> None:
    """Let RDS keep automated backups in the DR region too. They carry no tags of ours: Pulumi gives them none."""
    for name, database in primary.databases.items():
        aws.rds.InstanceAutomatedBackupsReplication(
            f"dr-automated-backups-{name}",
            source_db_instance_arn=database.arn,
            kms_key_id=dr.keys.storage,
            retention_period=settings.points.pitr.days,
            region=dr.names.region,
        )
