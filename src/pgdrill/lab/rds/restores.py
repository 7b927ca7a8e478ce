"""Restores: a new instance from a snapshot, or from automated backups to a moment, with all of RDS's defaults.

What a request leaves out is not what the source has: the groups are the default ones, the password is the old
one, the tags and the backup retention are the source's. That is AWS's behaviour, and why a drill names everything.
"""

from datetime import datetime

from pgdrill.lab.cluster import Cluster
from pgdrill.lab.rds import (
    automated_backups,
    backups,
    configure,
    first_reads,
    instances,
    keys,
    listing,
    wire,
)
from pgdrill.lab.rds.events import tell
from pgdrill.lab.rds.records import Configuration, Instance, Snapshot
from pgdrill.lab.rds.state import State
from pgdrill.lab.rds.wire import RdsError, Request, Result

# What a restored instance has from its source unless the request says otherwise; all else is RDS's default.
# Source: RDS API reference, RestoreDBInstanceFromDBSnapshot and RestoreDBInstanceToPointInTime.
INHERITED = (
    "DBInstanceClass", "Engine", "EngineVersion", "MasterUsername", "DBName", "LicenseModel",
    "AllocatedStorage", "StorageType", "Iops", "StorageThroughput", "StorageEncrypted", "KmsKeyId",
    "AutoMinorVersionUpgrade", "BackupRetentionPeriod", "PreferredBackupWindow", "PreferredMaintenanceWindow",
)  # fmt: skip
# What the backup decides; PostgreSQL ignores DBName in a restore.
FIXED = frozenset({"Engine", "EngineVersion", "MasterUsername", "DBName", "StorageEncrypted", "KmsKeyId"})


def from_snapshot(state: State, region: str, request: Request) -> Result:
    """RestoreDBInstanceFromDBSnapshot."""
    identifier = listing.identifier(request, "DBInstanceIdentifier")
    if "DBSnapshotIdentifier" not in request:
        raise RdsError(
            "InvalidParameterCombination",
            "Must specify either DBSnapshotIdentifier or DBClusterSnapshotIdentifier",
        )
    snapshot = state.snapshot(region, request["DBSnapshotIdentifier"])
    if snapshot.region != region:
        raise RdsError("DBSnapshotNotFound", f"DBSnapshot {request['DBSnapshotIdentifier']} not found.")
    if snapshot.status != "available":
        raise RdsError(
            "InvalidDBSnapshotState", f"DB snapshot {snapshot.identifier} is not in the available state."
        )
    key = {"StorageEncrypted": snapshot.encrypted, "KmsKeyId": snapshot.kms_key}
    source = snapshot.source.model_copy(
        update={"configuration": snapshot.source.configuration.model_copy(update=key)}
    )
    instance = _new(state, region, identifier, source, request)
    state.run(_from_snapshot, instance, snapshot, reads=snapshot)
    return {"DBInstance": instances.shown(state, instance)}


def _from_snapshot(state: State, instance: Instance, snapshot: Snapshot) -> None:
    def make(cluster: Cluster) -> None:
        cluster.restore(state.base(snapshot))
        instances.serve(state, instance, first_reads.environment(state, instance))

    state.delay("restore")
    if instances.bring_up(state, instance, make, otherwise="restore-error"):
        tell(state, snapshot, "0043", snapshot=snapshot.identifier)
        instances.open_up(state, instance)


def to_point_in_time(state: State, region: str, request: Request) -> Result:
    """RestoreDBInstanceToPointInTime."""
    identifier = listing.identifier(request, "TargetDBInstanceIdentifier")
    source = _source(state, region, request)
    target = _target(state, source, request)
    base = next(base for base in reversed(backups.bases(state, source)) if base.created_at <= target)
    instance = _new(state, region, identifier, source, request)
    state.run(_to_point_in_time, instance, source, base, target, reads=base)
    return {"DBInstance": instances.shown(state, instance)}


def _source(state: State, region: str, request: Request) -> Instance:
    """Return the instance whose backups are named, as it is or, deleted but its backups retained, as it was."""
    name, resource_id = request.get("SourceDBInstanceIdentifier"), request.get("SourceDbiResourceId")
    backup = request.get("SourceDBInstanceAutomatedBackupsArn")
    if sum(given is not None for given in (name, resource_id, backup)) != 1:
        raise RdsError(
            "InvalidParameterCombination",
            "Must specify exactly one of SourceDBInstanceIdentifier, SourceDbiResourceId or"
            " SourceDBInstanceAutomatedBackupsArn",
        )
    if name:
        return state.instance(region, name)
    for instance in state.instances.all(region):
        if instance.resource_id == resource_id or backups.arn(state, instance) == backup:
            return instance
    retained = backups.find_retained(state, region, resource_id, backup)
    if retained is None and backup and automated_backups.find(state, region, resource_id, backup):
        raise RdsError(
            "InvalidRestoreFault", f"The lab keeps the record of {backup} alone and restores nothing from it."
        )
    if retained is None and backup:
        raise RdsError(
            "DBInstanceAutomatedBackupNotFound", f"DB instance automated backup {backup} not found."
        )
    if retained is None:
        raise RdsError("DBInstanceNotFound", f"DBInstance {resource_id} not found.")
    return retained.source


def _target(state: State, source: Instance, request: Request) -> datetime:
    """Return the moment to restore to, inside the source's window."""
    asked: datetime | None = request.get("RestoreTime")
    takes_latest = request.get("UseLatestRestorableTime", False)
    if (asked is not None) == takes_latest:
        raise RdsError(
            "InvalidParameterCombination",
            "Must specify either RestoreTime or UseLatestRestorableTime, and not both",
        )
    if not source.backed_up:
        raise RdsError(
            "PointInTimeRestoreNotEnabled",
            f"Point in time restore is not enabled for {source.identifier}: its backup retention period is 0.",
        )
    window = backups.window(state, source)
    if window is None:
        raise RdsError(
            "InvalidRestoreFault", f"{source.identifier} has no backup yet that could be restored."
        )
    earliest, latest = window
    if asked is None:
        return latest
    if asked > latest:
        raise RdsError(
            "InvalidParameterValue",
            f"The specified instance cannot be restored to a time later than {wire.timestamp(latest)}",
        )
    if asked < earliest:
        raise RdsError(
            "InvalidParameterValue",
            f"The specified instance cannot be restored to a time earlier than {wire.timestamp(earliest)}",
        )
    return asked


def _to_point_in_time(
    state: State, instance: Instance, source: Instance, base: Snapshot, target: datetime
) -> None:
    def make(cluster: Cluster) -> None:
        cluster.restore(state.base(base))
        cluster.recover_to(state.archive(source), state.clock.real(target))
        instances.serve(state, instance, first_reads.environment(state, instance))

    state.delay("restore")
    if instances.bring_up(state, instance, make, otherwise="incompatible-restore"):
        tell(state, instance, "0019", source=source.identifier, target=instance.identifier)
        instances.open_up(state, instance)


def _new(state: State, region: str, identifier: str, source: Instance, request: Request) -> Instance:
    """Record the new instance, configured by the request, the source, and RDS's defaults, in this order."""
    if request.get("Engine", "postgres") != "postgres":
        raise RdsError("InvalidParameterValue", f"Invalid DB engine: {request['Engine']}")
    given = {name: value for name, value in configure.configured(request).items() if name not in FIXED}
    inherited = {name: getattr(source.configuration, name) for name in INHERITED}
    defaults = configure.defaults(state, region, request)
    configuration = Configuration.model_validate(defaults | inherited | given)
    if configuration.AllocatedStorage < source.configuration.AllocatedStorage:
        raise RdsError(
            "InvalidParameterValue",
            f"Invalid storage size: {configuration.AllocatedStorage}. It cannot be less than that of the backup,"
            f" {source.configuration.AllocatedStorage}.",
        )
    configure.check(state, region, configuration)
    configure.check_new(state, region, identifier)
    keys.check(state, region, source.configuration.KmsKeyId)
    return instances.new(state, region, identifier, configuration, listing.given_tags(request) or source.tags)
