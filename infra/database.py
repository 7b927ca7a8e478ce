"""The databases: made here, or found and never touched. And the groups that any instance of a network is made with."""

import json
from collections.abc import Iterable
from functools import partial
from hashlib import sha256
from typing import Any

import pulumi
import pulumi_aws as aws

from naming import Names
from pgdrill.errors import NotRunnable
from pgdrill.plan import DatabasePlan
from settings import Settings
from tagging import tags
from windows import windows

ENGINE, VERSION = "postgres", "15"
OLDEST = 15
LOG_DAYS = 90
# Static parameters take effect at a reboot; said so, or every preview would want to change them.
# Source: RDS User Guide, "Requiring an SSL connection to a PostgreSQL DB instance".
FORCE_TLS: Any = {"name": "rds.force_ssl", "value": "1", "apply_method": "pending-reboot"}
# Without pg_cron: the jobs of a restored copy must not run.
LIBRARIES: Any = {
    "name": "shared_preload_libraries",
    "value": "pg_stat_statements",
    "apply_method": "pending-reboot",
}
LOGGED: list[Any] = [
    {"name": "log_connections", "value": "1", "apply_method": "immediate"},
    {"name": "log_disconnections", "value": "1", "apply_method": "immediate"},
    {"name": "log_lock_waits", "value": "1", "apply_method": "immediate"},
]


def family(version: str) -> str:
    """Return the family of parameter groups that a version of PostgreSQL starts with."""
    return f"{ENGINE}{version.partition('.')[0]}"


class Groups(pulumi.ComponentResource):
    """A DB subnet group and a DB parameter group of a family, both of the network's name."""

    subnet_group: pulumi.Output[str]
    parameter_group: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        settings: Settings,
        names: Names,
        purpose: str,
        subnets: list[pulumi.Output[str]],
        family: pulumi.Input[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("pgdrill:ground:Groups", name, None, opts)
        common: Any = {
            "name": names.thing(purpose),
            "region": names.region,
            "tags": tags(settings, names.thing(purpose)),
            "opts": pulumi.ResourceOptions(parent=self),
        }
        self.subnet_group = aws.rds.SubnetGroup(
            name, description=f"private subnets of the {purpose} network", subnet_ids=subnets, **common
        ).name
        self.parameter_group = aws.rds.ParameterGroup(
            name,
            description=f"instances of the {purpose} network: TLS alone, no scheduled jobs",
            family=family,
            parameters=[FORCE_TLS, LIBRARIES, *LOGGED],
            **common,
        ).name
        self.register_outputs({})


class Created(pulumi.ComponentResource):
    """A database instance of our own: encrypted, private, backed up, TLS alone, its log kept."""

    arn: pulumi.Output[str]
    host: pulumi.Output[str]
    port: pulumi.Output[int]
    key: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        settings: Settings,
        names: Names,
        database: DatabasePlan,
        *,
        groups: Groups,
        security_group: pulumi.Input[str],
        key: pulumi.Input[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("pgdrill:ground:Created", name, None, opts)
        common: Any = {"region": names.region, "tags": tags(settings, database.instance)}
        # RDS would make the group itself, without key and retention.
        log = aws.cloudwatch.LogGroup(
            name,
            name=names.database_logs(database.instance),
            retention_in_days=LOG_DAYS,
            kms_key_id=key,
            opts=pulumi.ResourceOptions(parent=self),
            **common,
        )
        backup, maintenance = windows(settings.points, settings.objectives.usable_after)
        made = aws.rds.Instance(
            name,
            identifier=database.instance,
            engine=ENGINE,
            # The major version; RDS keeps the minor one up to date.
            engine_version=VERSION,
            auto_minor_version_upgrade=True,
            engine_lifecycle_support="open-source-rds-extended-support-disabled",
            instance_class=database.instance_class,
            multi_az=database.multi_az,
            storage_type="gp3",
            allocated_storage=database.storage_gb,
            storage_encrypted=True,
            kms_key_id=key,
            db_subnet_group_name=groups.subnet_group,
            parameter_group_name=groups.parameter_group,
            vpc_security_group_ids=[security_group],
            publicly_accessible=False,
            port=database.port,
            **_master(database, names),
            backup_retention_period=settings.points.pitr.days,
            backup_window=backup,
            maintenance_window=maintenance,
            enabled_cloudwatch_logs_exports=["postgresql"],
            copy_tags_to_snapshot=True,
            # What changes waits for the maintenance window.
            apply_immediately=False,
            **_ending(database, protect=settings.protect),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[log]),
            **common,
        )
        self.arn, self.host, self.port = made.arn, made.address, made.port
        self.key = pulumi.Output.from_input(key)
        self.register_outputs({"arn": self.arn, "host": self.host, "port": self.port})


def _ending(database: DatabasePlan, *, protect: bool) -> dict[str, Any]:
    """Return the arguments that say what becomes of it when it is deleted."""
    return {
        "deletion_protection": protect,
        "delete_automated_backups": not protect,
        "skip_final_snapshot": not protect,
        "final_snapshot_identifier": f"{database.instance}-final" if protect else None,
    }


class Adopted:
    """A database instance that was there before. It is looked at, and is no resource of this program.

    What it is not, is an error of the preview.
    """

    def __init__(self, database: DatabasePlan, names: Names) -> None:
        found = aws.rds.get_instance_output(
            db_instance_identifier=database.instance, region=names.region
        ).apply(partial(_usable, database.port))
        self.arn: pulumi.Output[str] = found.db_instance_arn
        self.key: pulumi.Output[str] = aws.kms.get_key_output(
            key_id=found.kms_key_id, region=names.region
        ).apply(partial(_own_key, database.instance))
        self.host: pulumi.Output[str] = found.address
        self.port: pulumi.Output[int] = found.port
        self.traits: pulumi.Output[dict[str, Any]] = found.apply(_traits)


def _usable(port: int, found: aws.rds.GetInstanceResult) -> aws.rds.GetInstanceResult:
    name = found.db_instance_identifier
    if found.engine != ENGINE:
        raise NotRunnable(
            f"instance {name!r} runs {found.engine}", hint="adopt an instance of RDS for PostgreSQL"
        )
    if int(found.engine_version.partition(".")[0]) < OLDEST:
        raise NotRunnable(
            f"instance {name!r} runs PostgreSQL {found.engine_version}",
            hint=f"upgrade it: checks ask what PostgreSQL {OLDEST} and later answer",
        )
    if found.port != port:
        # The groups of functions and of restored instances open the port that the settings say.
        raise NotRunnable(
            f"instance {name!r} listens on port {found.port}, and the settings say {port}",
            hint=f"write port: {found.port} with the database",
        )
    if not found.storage_encrypted:
        raise NotRunnable(f"the storage of instance {name!r} is not encrypted", hint=_ENCRYPT)
    return found


_ENCRYPT = (
    "its snapshots cannot be copied under a key of the DR region: restore it from a snapshot that was copied with a key"
    " of your own, and adopt that instance"
)


def _own_key(name: str, key: aws.kms.GetKeyResult) -> str:
    if key.key_manager == "AWS":
        raise NotRunnable(f"instance {name!r} is encrypted with AWS's own key {key.arn}", hint=_ENCRYPT)
    return key.arn


def _traits(found: aws.rds.GetInstanceResult) -> dict[str, Any]:
    """Return what a recovery, and the groups of drills, take from a database, in the words of an error."""
    return {
        "name": found.db_instance_identifier,
        "subnet group": found.db_subnet_group,
        "security groups": sorted(found.vpc_security_groups),
        "parameter group": found.db_parameter_groups[0],
        "family": family(found.engine_version),
    }


def in_common(adopted: Iterable[Adopted]) -> pulumi.Output[dict[str, Any]]:
    """Return the traits of all of them; that they differ is an error of the preview."""
    return pulumi.Output.all(*(one.traits for one in adopted)).apply(_alike)


def _alike(all_traits: list[dict[str, Any]]) -> dict[str, Any]:
    first, *others = all_traits
    for other in others:
        for trait in first.keys() - {"name"}:
            if other[trait] != first[trait]:
                raise NotRunnable(
                    f"instance {other['name']!r} has {trait} {_told(other[trait])}, and {first['name']!r} has"
                    f" {_told(first[trait])}",
                    hint="a deployment recovers and drills in one place: deploy them under suffixes of their own",
                )
    return first


def _told(value: str | list[str]) -> str:
    return value if isinstance(value, str) else ", ".join(value)


def _master(database: DatabasePlan, names: Names) -> dict[str, Any]:
    """Return the arguments that give the master user; the password is write-only, so RDS's answers never hold it.

    A new version of the entry is a new version of the password at the next `pulumi up`.
    """
    entry = aws.secretsmanager.get_secret_version_output(
        secret_id=database.master_secret, region=names.region
    )
    content = entry.secret_string.apply(json.loads)
    return {
        "username": pulumi.Output.unsecret(content.apply(lambda of: str(of["username"]))),
        "password_wo": pulumi.Output.secret(content.apply(lambda of: str(of["password"]))),
        "password_wo_version": entry.version_id.apply(
            lambda version: int(sha256(version.encode()).hexdigest()[:7], 16)
        ),
    }
