"""Snapshots: each is a real physical base backup in a directory, and copies are copies of it.

The instance is `backing-up` while one is taken. Nothing here is told when one fails, as in AWS. Of an instance whose
key is not enabled AWS takes none: it stops the instance within minutes, which stays as it is here.

Source: RDS User Guide, "Viewing Amazon RDS DB instance status" (`inaccessible-encryption-credentials-recoverable`).
"""

import logging
import os
import shutil
from pathlib import Path

from pgdrill.errors import Broken
from pgdrill.lab.rds import keys, listing
from pgdrill.lab.rds.events import tell
from pgdrill.lab.rds.fresh import new_id
from pgdrill.lab.rds.records import Instance, Snapshot
from pgdrill.lab.rds.state import USABLE, State
from pgdrill.lab.rds.wire import RdsError, Request, Result

log = logging.getLogger(__name__)

MANUAL, AUTOMATED = "manual", "automated"


def check_quota(state: State, region: str) -> None:
    taken = sum(snapshot.kind == MANUAL for snapshot in state.snapshots.all(region))
    most = state.quotas.value(region)
    if taken >= most:
        raise RdsError("SnapshotQuotaExceeded", f"Cannot create more than {most} manual snapshots")


def begin(state: State, instance: Instance, identifier: str, kind: str, tags: dict[str, str]) -> Snapshot:
    """Record a snapshot that is about to be taken. The caller holds the lock.

    Raises:
        RdsError: there is one of that name, or no room for another manual one.
    """
    if state.snapshots.get(instance.region, identifier):
        raise RdsError(
            "DBSnapshotAlreadyExists",
            f"Cannot create the snapshot because a snapshot with the identifier {identifier} already exists.",
        )
    if kind == MANUAL:
        check_quota(state, instance.region)
    now = state.moment()
    snapshot = Snapshot(
        region=instance.region,
        identifier=identifier,
        tags=tags or (instance.tags if instance.configuration.CopyTagsToSnapshot else {}),
        uid=new_id("snap-"),
        kind=kind,
        status="creating",
        source=instance,
        encrypted=instance.configuration.StorageEncrypted,
        kms_key=instance.configuration.KmsKeyId,
        created_at=now,
        original_created_at=now,
    )
    return state.snapshots.put(snapshot)


def fill(state: State, snapshot: Snapshot) -> bool:
    """Take the base backup of a snapshot that has begun; False when it failed, which no event tells."""
    tell(state, snapshot, "0040" if snapshot.kind == MANUAL else "0090")
    state.delay("snapshot")
    doom = state.faults.doom(snapshot.identifier)
    if doom or not _readable(state, snapshot.source):
        state.update_snapshot(snapshot, status=doom or "failed")
        return False
    try:
        before = _before(state, snapshot)
        holds = state.cluster(snapshot.source).back_up(
            state.base(snapshot), state.base(before) if before else None
        )
    except (Broken, OSError) as reason:
        log.warning("snapshot %s failed: %s", snapshot.identifier, reason)
        shutil.rmtree(state.base(snapshot), ignore_errors=True)
        state.update_snapshot(snapshot, status="failed")
        return False
    now = state.moment()
    state.hold_snapshot(snapshot)
    state.update_snapshot(
        snapshot,
        status="available",
        progress=100,
        created_at=now,
        original_created_at=now,
        database_time=state.clock.moved(holds),
        size=_size_of(state.base(snapshot)),
    )
    tell(state, snapshot, "0042" if snapshot.kind == MANUAL else "0091")
    return True


def _readable(state: State, instance: Instance) -> bool:
    return keys.usable(state, instance.region, instance.configuration.KmsKeyId)


def _before(state: State, snapshot: Snapshot) -> Snapshot | None:
    """Return the last usable snapshot of the same instance, with which a new one shares files."""
    done = [
        one
        for one in state.snapshots.all(snapshot.region)
        if one.status == "available" and one.source.resource_id == snapshot.source.resource_id
    ]
    return max(done, key=lambda one: one.created_at, default=None)


def _size_of(directory: Path) -> int:
    return sum(
        os.lstat(f"{folder}/{name}").st_size for folder, _, names in os.walk(directory) for name in names
    )


# -------------------------------------------------------------------- actions


def create(state: State, region: str, request: Request) -> Result:
    """CreateDBSnapshot. With tags given, those alone; else the instance's if it says so."""
    identifier = listing.identifier(request, "DBSnapshotIdentifier", longest=255)
    instance = state.instance(region, request["DBInstanceIdentifier"])
    if instance.status not in USABLE or not _readable(state, instance):
        raise RdsError(
            "InvalidDBInstanceState",
            f"Cannot create a snapshot because the database instance {instance.identifier} is not currently in"
            " the available state.",
        )
    snapshot = begin(state, instance, identifier, MANUAL, listing.given_tags(request))
    state.update(instance, status="backing-up")
    state.run(_take, snapshot)
    return {"DBSnapshot": shown(state, snapshot)}


def _take(state: State, snapshot: Snapshot) -> None:
    try:
        fill(state, snapshot)
    finally:
        state.enter(snapshot.source, "available")


def describe(state: State, region: str, request: Request) -> Result:
    """DescribeDBSnapshots. An automated one is found by its identifier only together with its type."""
    kind = request.get("SnapshotType")
    chosen = [snapshot for snapshot in state.snapshots.all(region) if kind in (None, snapshot.kind)]
    if name := request.get("DBSnapshotIdentifier"):
        named = state.snapshot(region, name)
        chosen = [snapshot for snapshot in chosen if snapshot.uid == named.uid]
        if not chosen or (named.kind == AUTOMATED and kind is None):
            raise RdsError("DBSnapshotNotFound", f"DBSnapshot {name} not found.")
    if name := request.get("DBInstanceIdentifier"):
        chosen = [snapshot for snapshot in chosen if snapshot.source.identifier == listing.name_of(name)]
    if name := request.get("DbiResourceId"):
        chosen = [snapshot for snapshot in chosen if snapshot.source.resource_id.lower() == name.lower()]
    chosen = listing.filtered(
        request,
        chosen,
        {
            "db-instance-id": lambda snapshot: snapshot.source.identifier,
            "db-snapshot-id": lambda snapshot: snapshot.identifier,
            "dbi-resource-id": lambda snapshot: snapshot.source.resource_id,
            "snapshot-type": lambda snapshot: snapshot.kind,
            "engine": lambda snapshot: snapshot.source.configuration.Engine,
        },
    )
    return listing.page(request, "DBSnapshots", chosen, lambda snapshot: shown(state, snapshot))


def delete(state: State, region: str, request: Request) -> Result:
    """DeleteDBSnapshot. A copy in flight is ended by it, whether it is the source's or the copy's own."""
    snapshot = state.snapshot(region, request["DBSnapshotIdentifier"])
    if snapshot.kind == AUTOMATED:
        raise RdsError(
            "InvalidDBSnapshotState",
            f"Cannot delete the snapshot {snapshot.identifier}: it is an automated one.",
        )
    if snapshot.status == "creating" and snapshot.copied_from is None:
        raise RdsError(
            "InvalidDBSnapshotState",
            f"Cannot delete the snapshot because it is not currently in the available or failed state: {snapshot.identifier}",
        )
    forget(state, snapshot)
    tell(state, snapshot, "0041")
    return {"DBSnapshot": shown(state, snapshot) | {"Status": "deleted"}}


def forget(state: State, snapshot: Snapshot) -> None:
    """Remove the record at once, and the files when nothing reads them any more."""
    with state.lock:
        state.snapshots.remove(snapshot)
    state.run(_remove_files, snapshot)


def _remove_files(state: State, snapshot: Snapshot) -> None:
    while state.being_read(snapshot):
        state.wait(0.02)
    shutil.rmtree(state.base(snapshot), ignore_errors=True)


def shown(state: State, snapshot: Snapshot) -> Result:
    """Return the snapshot in boto3's shape; times, size and log position only once they are known."""
    source = snapshot.source.configuration
    done = snapshot.status == "available"
    return {
        "DBSnapshotIdentifier": snapshot.identifier,
        "DBInstanceIdentifier": snapshot.source.identifier,
        "SnapshotCreateTime": snapshot.created_at if done else None,
        "OriginalSnapshotCreateTime": snapshot.original_created_at if snapshot.database_time else None,
        "SnapshotDatabaseTime": snapshot.database_time,
        "FullSnapshotSizeInBytes": snapshot.size,
        "Engine": source.Engine,
        "EngineVersion": source.EngineVersion,
        "AllocatedStorage": source.AllocatedStorage,
        "StorageType": source.StorageType,
        "Iops": source.Iops,
        "StorageThroughput": source.StorageThroughput,
        "Status": snapshot.status,
        "PercentProgress": snapshot.progress,
        "Port": snapshot.source.port,
        "AvailabilityZone": source.AvailabilityZone if snapshot.source_region is None else None,
        "InstanceCreateTime": snapshot.source.created_at,
        "MasterUsername": source.MasterUsername,
        "LicenseModel": source.LicenseModel,
        "SnapshotType": snapshot.kind,
        "OptionGroupName": source.OptionGroupName,
        "SourceRegion": snapshot.source_region,
        "SourceDBSnapshotIdentifier": snapshot.copied_from,
        "Encrypted": snapshot.encrypted,
        "KmsKeyId": snapshot.kms_key,
        "DBSnapshotArn": state.arn("snapshot", snapshot),
        "IAMDatabaseAuthenticationEnabled": source.IAMDatabaseAuthenticationEnabled,
        "BackupRetentionPeriod": source.BackupRetentionPeriod,
        "PreferredBackupWindow": source.PreferredBackupWindow,
        "ProcessorFeatures": [],
        "DbiResourceId": snapshot.source.resource_id,
        "TagList": listing.shown_tags(snapshot.tags),
        "SnapshotTarget": "region",
        "DedicatedLogVolume": source.DedicatedLogVolume,
    }
