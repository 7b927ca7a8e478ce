"""Copies of snapshots, within a region and to another, one at a time of one source."""

import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from pgdrill.lab.rds import keys, listing, snapshots
from pgdrill.lab.rds.events import tell
from pgdrill.lab.rds.fresh import new_id
from pgdrill.lab.rds.records import Snapshot
from pgdrill.lab.rds.state import State
from pgdrill.lab.rds.wire import RdsError, Request, Result

IN_FLIGHT = frozenset({"pending", "creating"})


def create(state: State, region: str, request: Request) -> Result:
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
    snapshots.check_quota(state, region)
    key = _destination_key(source, region, request.get("KmsKeyId"))
    keys.check(state, source.region, source.kms_key)
    keys.check(state, region, key)
    target = source.model_copy(
        update={
            "region": region,
            "identifier": identifier,
            "tags": _copied_tags(source, request),
            "uid": new_id("snap-"),
            "kind": snapshots.MANUAL,
            "status": "pending",
            "progress": 0,
            "encrypted": key is not None,
            "kms_key": key,
            "created_at": state.moment(),
            "copied_from": state.arn("snapshot", source),
            "source_region": source.region if crosses else None,
        }
    )
    state.snapshots.put(target)
    state.run(_copy, target, source, reads=source)
    return {"DBSnapshot": snapshots.shown(state, target)}


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

    while goes_on() and not _is_next(state, target):
        state.wait(0.02)
    copied = goes_on() and _carry_out(state, target, source, goes_on)
    if not copied:
        shutil.rmtree(state.base(target), ignore_errors=True)
        tell(state, target, "0061" if crosses else "0190", **words)
        state.update_snapshot(target, status="failed")
        return
    state.hold_snapshot(target)
    state.update_snapshot(target, status="available", progress=100, created_at=state.moment())
    words["minutes"] = str(round((time.monotonic() - began) / 60))
    tell(state, target, "0060" if crosses else "0197", **words)


def _is_next(state: State, target: Snapshot) -> bool:
    """Tell whether no older copy of the same instance is in flight."""
    with state.lock:
        flying = [
            snapshot
            for snapshot in state.snapshots.all()
            if snapshot.copied_from
            and snapshot.status in IN_FLIGHT
            and snapshot.source.resource_id == target.source.resource_id
        ]
    return min(flying, key=lambda copy: (copy.created_at, copy.uid), default=target).uid == target.uid


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
    for percent in state.passing("copy"):
        if not goes_on():
            return False
        state.update_snapshot(target, progress=percent)
    return duplicate(state, state.base(source), state.base(target), go_on=goes_on)


def duplicate(state: State, source: Path, target: Path, *, go_on: Callable[[], bool]) -> bool:
    """Make a base backup again, of the same files; False when `go_on` said no in between.

    Nothing writes to a snapshot, so its copies share its files until one is to be damaged: `base_backup`.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    command = ["cp", "-a", "--link", str(source), str(target)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None:
            if not go_on() or state.closing.wait(0.005):
                process.kill()
                return False
    return process.returncode == 0 and go_on()
