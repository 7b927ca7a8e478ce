"""The only module that calls RDS. Reads anything; creates, modifies and deletes only under a lease.

No function here takes the name of an instance to change: it takes a Lease, or the mark of a recovered instance,
and looks at the instance's name and tags again before it changes anything. Only a Lease can be deleted. Nothing waits or polls; the caller does.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from pgdrill.aws.refusal import code, translated, unreachable
from pgdrill.errors import Broken, Busy, NotOurs
from pgdrill.model import Lease, Model, Moment, PointKind, Recovered, RecoveryPoint, Shape
from pgdrill.plan import PREFIX, Place

if TYPE_CHECKING:
    from mypy_boto3_rds import RDSClient

T = TypeVar("T")

USABLE = frozenset({"available", "storage-optimization"})
# A restored instance does not leave these by itself. What they say of the recovery point differs:
# the first set says that it does not restore, the second that the surroundings did not let it.
UNRESTORABLE = frozenset(
    {
        "failed",
        "incompatible-restore",
        "restore-error",
        "inaccessible-encryption-credentials",
        "inaccessible-encryption-credentials-recoverable",
    }
)
OBSTRUCTED = frozenset(
    {
        "incompatible-network",
        "incompatible-parameters",
        "incompatible-option-group",
        "insufficient-capacity",
        "storage-full",
    }
)


class Instance(Model):
    """A DB instance as RDS describes it now. `new_password_pending` is True until a change took effect."""

    id: str
    arn: str
    status: str
    resource_id: str
    instance_class: str
    engine_version: str
    storage_gb: int
    multi_az: bool
    user: str
    host: str | None
    port: int | None
    public: bool
    encrypted: bool
    kms_key: str | None
    subnet_group: str
    vpc: str
    security_groups: tuple[str, ...]
    parameter_groups: tuple[str, ...]
    retention_days: int
    deletion_protection: bool
    new_password_pending: bool
    restorable_to: Moment | None
    tags: dict[str, str]
    backup_window: str | None = None
    maintenance_window: str | None = None


class Rds:
    def __init__(self, client: "RDSClient") -> None:
        self._client = client
        self.region = client.meta.region_name

    # ---------------------------------------------------------------- reading

    def instance(self, identifier: str) -> Instance | None:
        """Return the instance as it is now, or None where there is none."""
        try:
            answer = self._client.describe_db_instances(DBInstanceIdentifier=identifier)
        except ClientError as error:
            if code(error) == "DBInstanceNotFound":
                return None
            raise translated("describe", identifier, error) from error
        except BotoCoreError as error:
            raise unreachable("describe", identifier, error) from error
        return _instance(answer["DBInstances"][0])

    def named(self, prefix: str) -> list[Instance]:
        """Return every instance whose name begins with `prefix`, in one paginated listing."""
        pages = self._call(
            "list instances of",
            self.region,
            lambda: list(self._client.get_paginator("describe_db_instances").paginate()),
        )
        found = [_instance(entry) for page in pages for entry in page["DBInstances"]]
        return [instance for instance in found if instance.id.startswith(prefix)]

    def leased(self, suffix: str) -> list[tuple[Instance, Lease]]:
        """Return every instance that carries a lease of this suffix.

        The whole name counts: suffix `a` and database `drill-b` begin as suffix `a-drill` and database `b` do.
        """
        prefix = f"{PREFIX}-{suffix}-drill-"
        return [
            (instance, lease)
            for instance in self.named(prefix)
            if (lease := lease_of(instance)) and instance.id == f"{prefix}{lease.database}"
        ]

    def automated_backups(self, source: str) -> tuple[str, ...]:
        """Return the ARNs of the automated backups of an instance, those that outlived it included."""
        return tuple(backup["DBInstanceAutomatedBackupsArn"] for backup in self._automated_backups(source))

    def _automated_backups(self, source: str) -> list[Any]:
        answer = self._call(
            "describe the automated backups of",
            source,
            lambda: self._client.describe_db_instance_automated_backups(DBInstanceIdentifier=source),
        )
        return list(answer["DBInstanceAutomatedBackups"])

    def window(self, source: str) -> tuple[datetime, datetime] | None:
        """Return the PITR window (earliest, latest) of an instance; None where it has none.

        Backups that outlived an earlier instance of the same name are not its own.
        """
        for backup in self._automated_backups(source):
            window = backup.get("RestoreWindow", {}) if backup.get("Status") != "retained" else {}
            if "EarliestTime" in window and "LatestTime" in window:
                return window["EarliestTime"].astimezone(UTC), window["LatestTime"].astimezone(UTC)
        return None

    def engine_status(self, version: str) -> str | None:
        """Return `available` or `deprecated` for a version of PostgreSQL; None where this region has it not."""
        answer = self._call(
            "describe the engine version of",
            version,
            lambda: self._client.describe_db_engine_versions(
                Engine="postgres", EngineVersion=version, IncludeAll=True
            ),
        )
        statuses = {found["EngineVersion"]: found.get("Status") for found in answer["DBEngineVersions"]}
        return statuses.get(version)

    # ------------------------------------------------------- under a lease only

    def restore(
        self, point: RecoveryPoint, held: Lease | Recovered, place: Place, shape: Shape, tags: dict[str, str]
    ) -> None:
        """Ask for an instance, with every parameter explicit; adopt the one that is there if it is ours.

        Raises:
            Busy: an instance of that name exists under another drill's lease.
            NotOurs: an instance of that name exists without a lease.
        """
        method, parameters = restore_call(point, held, place, shape, tags)
        try:
            getattr(self._client, method)(**parameters)
        except ClientError as error:
            if code(error) != "DBInstanceAlreadyExists":
                raise translated(f"restore {point.id!r} as", held.instance, error) from error
            self._own(held)
        except BotoCoreError as error:
            raise unreachable("restore", held.instance, error) from error

    def set_password(self, held: Lease | Recovered, password: str) -> None:
        """Ask for a new master password. It takes effect later: see `Instance.new_password_pending`."""
        if self._own(held) is None:
            raise Broken(
                f"instance {held.instance!r} is gone before its drill ended",
                hint="see who deleted it in the events of RDS and in CloudTrail",
            )
        self._call(
            "set the password of",
            held.instance,
            lambda: self._client.modify_db_instance(
                DBInstanceIdentifier=held.instance, MasterUserPassword=password, ApplyImmediately=True
            ),
        )

    def delete(self, lease: Lease) -> bool:
        """Ask for the temporary instance's deletion; return True once it is gone.

        Raises:
            Unavailable: RDS does not delete it in its present state; ask again later.
        """
        instance = self._own(lease)
        if instance is None:
            return True
        if instance.status != "deleting":
            self._call(
                "delete",
                lease.instance,
                lambda: self._client.delete_db_instance(
                    DBInstanceIdentifier=lease.instance, SkipFinalSnapshot=True, DeleteAutomatedBackups=True
                ),
            )
        return False

    def _own(self, held: Lease | Recovered) -> Instance | None:
        """Return the instance if it carries these very tags, None if there is none of that name.

        Raises:
            Busy: it carries the lease of another drill.
            NotOurs: it carries none.
        """
        instance = self.instance(held.instance)
        if instance is None:
            return None
        if isinstance(held, Recovered):
            if not held.tags().items() <= instance.tags.items():
                raise NotOurs(
                    f"instance {instance.id!r} was not recovered by {held.drill}; it is left alone",
                    hint="see its tags; somebody used the name of a recovered instance",
                )
            return instance
        found = lease_of(instance)
        if found is None:
            raise NotOurs(
                f"instance {instance.id!r} carries no lease of pgdrill's; it is left alone",
                hint="somebody used the name of pgdrill's temporary instance; rename or delete it by hand",
            )
        if found.drill != held.drill or found.database != held.database:
            raise Busy(
                f"database {held.database!r} is being drilled by {found.drill} until"
                f" {found.expires_at:%Y-%m-%dT%H:%M:%SZ} at the latest",
                hint=f"wait for it, or, if it is dead, end it with: pgdrill drill reap --drill {found.drill}",
            )
        return instance

    def _call(self, verb: str, what: str, call: Callable[[], T]) -> T:
        try:
            return call()
        except ClientError as error:
            raise translated(verb, what, error) from error
        except BotoCoreError as error:
            raise unreachable(verb, what, error) from error


def restore_call(
    point: RecoveryPoint, held: Lease | Recovered, place: Place, shape: Shape, tags: dict[str, str]
) -> tuple[str, dict[str, Any]]:
    """Return the client's method and the parameters of a restore.

    RDS fills in what is left out, often with less than the source has, so little is left to it:
    engine, port and size of the storage, which are the source's;
    type, IOPS and throughput of the storage: a type wants IOPS named with it, which a small gp3 volume cannot have;
    option group, certificate, network type and zone: where the place leaves a choice at all, RDS's own is as good;
    logs in CloudWatch, of which it makes none: what a copy logs may hold data;
    the backup window: a drill takes no backups, and a recovered instance gets one of its region at random.

    Source: RDS API reference, RestoreDBInstanceFromDBSnapshot and RestoreDBInstanceToPointInTime.
    """
    parameters: dict[str, Any] = {
        "DBInstanceClass": shape.instance_class,
        "DBSubnetGroupName": place.subnet_group,
        "VpcSecurityGroupIds": list(place.security_groups),
        "DBParameterGroupName": place.parameter_group,
        "PubliclyAccessible": False,
        "MultiAZ": shape.multi_az,
        "DeletionProtection": shape.deletion_protection,
        "AutoMinorVersionUpgrade": False,
        "CopyTagsToSnapshot": False,
        "BackupRetentionPeriod": shape.retention_days,
        "EnableIAMDatabaseAuthentication": False,
        "EngineLifecycleSupport": "open-source-rds-extended-support-disabled",
        "Tags": [{"Key": key, "Value": value} for key, value in sorted((tags | held.tags()).items())],
    }
    if point.kind is PointKind.PITR:
        # Backups that outlived their instance are not found by its name any more.
        source = {"SourceDbiResourceId": point.resource} if point.arn else {}
        which = (source or {"SourceDBInstanceIdentifier": point.source}) | {
            "TargetDBInstanceIdentifier": held.instance,
            "RestoreTime": point.recovers_to,
        }
        return "restore_db_instance_to_point_in_time", which | parameters
    which = {"DBSnapshotIdentifier": point.id, "DBInstanceIdentifier": held.instance}
    return "restore_db_instance_from_db_snapshot", which | parameters


def lease_of(instance: Instance) -> Lease | None:
    """Return the lease that the instance's own name and tags make, None where any part is missing."""
    tags = instance.tags
    if tags.get("ManagedBy") != "pgdrill" or tags.get("PgDrillRole") != "drill":
        return None
    if not instance.id.startswith(f"{PREFIX}-"):
        return None
    try:
        return Lease(
            instance=instance.id,
            drill=tags["PgDrillDrill"],
            database=tags["PgDrillDatabase"],
            expires_at=datetime.fromisoformat(tags["PgDrillExpires"]),
        )
    except (KeyError, ValueError):
        return None


def _instance(entry: Any) -> Instance:
    endpoint = entry.get("Endpoint", {})
    group = entry.get("DBSubnetGroup", {})
    restorable = entry.get("LatestRestorableTime")
    return Instance(
        id=entry["DBInstanceIdentifier"],
        arn=entry["DBInstanceArn"],
        status=entry["DBInstanceStatus"],
        resource_id=entry["DbiResourceId"],
        instance_class=entry["DBInstanceClass"],
        engine_version=entry["EngineVersion"],
        storage_gb=entry["AllocatedStorage"],
        multi_az=entry["MultiAZ"],
        user=entry["MasterUsername"],
        host=endpoint.get("Address"),
        port=endpoint.get("Port"),
        public=entry["PubliclyAccessible"],
        encrypted=entry["StorageEncrypted"],
        kms_key=entry.get("KmsKeyId"),
        subnet_group=group.get("DBSubnetGroupName", ""),
        vpc=group.get("VpcId", ""),
        security_groups=tuple(sorted(g["VpcSecurityGroupId"] for g in entry.get("VpcSecurityGroups", []))),
        parameter_groups=tuple(g["DBParameterGroupName"] for g in entry.get("DBParameterGroups", [])),
        retention_days=entry["BackupRetentionPeriod"],
        deletion_protection=entry["DeletionProtection"],
        new_password_pending="MasterUserPassword" in entry.get("PendingModifiedValues", {}),
        restorable_to=restorable,
        backup_window=entry.get("PreferredBackupWindow"),
        maintenance_window=entry.get("PreferredMaintenanceWindow"),
        tags={tag["Key"]: tag["Value"] for tag in entry.get("TagList", [])},
    )
