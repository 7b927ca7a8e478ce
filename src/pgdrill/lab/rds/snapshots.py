"""Snapshots: each is a real physical base backup in a directory, and copies are copies of it.

The instance is `backing-up` while one is taken. Nothing here is told when one fails, as in AWS.
"""

import logging
import re
import shutil
import time
from collections.abc import Callable
from datetime import datetime

from pgdrill.errors import Broken
from pgdrill.lab.rds import listing
from pgdrill.lab.rds.events import tell
from pgdrill.lab.rds.records import Instance, Snapshot
from pgdrill.lab.rds.state import State, copy, moment, new_id, size_of
from pgdrill.lab.rds.wire import RdsError, Request, Result

log = logging.getLogger(__name__)

MANUAL, AUTOMATED = "manual", "automated"
IN_FLIGHT = frozenset({"pending", "creating"})


def check_quota(state: State, region: str) -> None:
    taken = sum(snapshot.kind == MANUAL for snapshot in state.snapshots.all(region))
    if taken >= state.settings.manual_snapshots:
        raise RdsError(
            "SnapshotQuotaExceeded",
            f"Cannot create more than {state.settings.manual_snapshots} manual snapshots",
        )


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
    now = moment()
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


def fill(state: State, snapshot: Snapshot) -> None:
    """Take the base backup of a snapshot that has begun; its status says how it ended."""
    tell(state, snapshot, "0040" if snapshot.kind == MANUAL else "0090")
    state.delay("snapshot")
    if doom := state.faults.doom(snapshot.identifier):
        state.update_snapshot(snapshot, status=doom)
        return
    try:
        ended = state.cluster(snapshot.source).back_up(state.base(snapshot))
        last = last_commit(state, snapshot) or ended
    except (Broken, OSError) as reason:
        log.warning("snapshot %s failed: %s", snapshot.identifier, reason)
        shutil.rmtree(state.base(snapshot), ignore_errors=True)
        state.update_snapshot(snapshot, status="failed")
        return
    now = moment()
    state.hold_snapshot(snapshot)
    state.update_snapshot(
        snapshot,
        status="available",
        progress=100,
        created_at=now,
        original_created_at=now,
        database_time=last,
        size=size_of(state.base(snapshot)),
    )
    tell(state, snapshot, "0042" if snapshot.kind == MANUAL else "0091")


def last_commit(state: State, snapshot: Snapshot) -> datetime | None:
    """Return the time of the last commit that is in the backup, by its own log; None when it holds none."""
    segments = sorted(
        path.name
        for path in (state.base(snapshot) / "pg_wal").iterdir()
        if re.fullmatch(r"[0-9A-F]{24}", path.name)
    )
    wal = state.base(snapshot) / "pg_wal"
    output = state.binaries.run(
        "pg_waldump", "--quiet", "--rmgr=Transaction", wal / segments[0], wal / segments[-1]
    )
    commits = re.findall(r"COMMIT (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+) UTC", output)
    return datetime.fromisoformat(f"{commits[-1]}+00:00") if commits else None


# -------------------------------------------------------------------- actions


def create(state: State, region: str, request: Request) -> Result:
    """CreateDBSnapshot. With tags given, those alone; else the instance's if it says so."""
    identifier = listing.identifier(request, "DBSnapshotIdentifier", longest=255)
    instance = state.instance(region, request["DBInstanceIdentifier"])
    if instance.status not in ("available", "storage-optimization"):
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


def copy_snapshot(state: State, region: str, request: Request) -> Result:
    """CopyDBSnapshot, called in the destination's region."""
    identifier = listing.identifier(request, "TargetDBSnapshotIdentifier", longest=255)
    source = state.snapshot(region, request["SourceDBSnapshotIdentifier"])
    if source.status != "available":
        raise RdsError(
            "InvalidDBSnapshotState",
            f"The source snapshot {source.identifier} is not in the available state.",
        )
    if state.snapshots.get(region, identifier):
        raise RdsError(
            "DBSnapshotAlreadyExists",
            f"Cannot create the snapshot because a snapshot with the identifier {identifier} already exists.",
        )
    crosses = source.region != region
    _check_in_flight(state, region, crosses=crosses)
    check_quota(state, region)
    key = _destination_key(source, region, request.get("KmsKeyId"))
    target = source.model_copy(
        update={
            "region": region,
            "identifier": identifier,
            "tags": _copied_tags(source, request),
            "uid": new_id("snap-"),
            "kind": MANUAL,
            "status": "pending",
            "progress": 0,
            "encrypted": key is not None,
            "kms_key": key,
            "created_at": moment(),
            "copied_from": state.arn("snapshot", source),
            "source_region": source.region if crosses else None,
        }
    )
    state.snapshots.put(target)
    state.run(_copy, target, source)
    return {"DBSnapshot": shown(state, target)}


def _check_in_flight(state: State, region: str, *, crosses: bool) -> None:
    """Source: RDS User Guide, "Copying a DB snapshot": in-flight copies per destination region and account."""
    flying = sum(
        snapshot.source_region is not None and snapshot.status in IN_FLIGHT
        for snapshot in state.snapshots.all(region)
    )
    if crosses and flying >= state.settings.copies_in_flight:
        raise RdsError(
            "SnapshotQuotaExceeded",
            f"Cannot copy more than {state.settings.copies_in_flight} snapshots across regions simultaneously",
        )


def _destination_key(source: Snapshot, region: str, key: str | None) -> str | None:
    """Return the key that encrypts the copy; None for an unencrypted one."""
    if source.encrypted and source.region != region and not key:
        raise RdsError(
            "InvalidParameterValue", "Must specify new KMS key for cross region encrypted snapshot copy."
        )
    if key and key.startswith("arn:") and key.split(":")[3] != region:
        raise RdsError(
            "KMSKeyNotAccessibleFault",
            f"The specified KMS key [{key}] does not exist, is not enabled or you do not have permissions to access it.",
        )
    return key or source.kms_key


def _copied_tags(source: Snapshot, request: Request) -> dict[str, str]:
    tags = listing.given_tags(request)
    if not request.get("CopyTags"):
        return tags
    if any(key.startswith("aws:") for key in source.tags):
        raise RdsError("InvalidParameterValue", "Tag keys cannot start with the reserved prefix 'aws:'")
    return tags or source.tags


def _copy(state: State, target: Snapshot, source: Snapshot) -> None:
    """Copy when it is this copy's turn; copies of one source go one after the other."""
    began = time.monotonic()
    words = {"snapshot": source.identifier, "region": source.region}
    crosses = target.source_region is not None

    def goes_on() -> bool:
        return state.has_snapshot(source) and state.has_snapshot(target)

    turn = state.copy_turn(source)
    while not turn.acquire(timeout=0.02):
        state.wait(0)
    try:
        copied = goes_on() and _carry_out(state, target, source, goes_on)
    finally:
        turn.release()
    if not copied:
        shutil.rmtree(state.base(target), ignore_errors=True)
        tell(state, target, "0061" if crosses else "0190", **words)
        state.update_snapshot(target, status="failed")
        return
    state.hold_snapshot(target)
    state.update_snapshot(target, status="available", progress=100, created_at=moment())
    words["minutes"] = str(round((time.monotonic() - began) / 60))
    tell(state, target, "0060" if crosses else "0197", **words)


def _carry_out(state: State, target: Snapshot, source: Snapshot, goes_on: Callable[[], bool]) -> bool:
    """Copy the files, for at least as long as the faults say, with progress; False when it was ended."""
    state.update_snapshot(target, status="creating")
    tell(
        state,
        target,
        "0059" if target.source_region else "0196",
        snapshot=source.identifier,
        region=source.region,
    )
    if state.faults.doom(target.identifier):
        return False
    lasts = state.faults.latency("copy")
    for percent in range(0, 100, 10) if lasts else ():
        if not goes_on():
            return False
        state.update_snapshot(target, progress=percent)
        state.wait(lasts / 10)
    with state.reading(source):
        return copy(state, state.base(source), state.base(target), go_on=goes_on)


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
