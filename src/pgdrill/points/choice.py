"""Recovery points: what there is to restore from, and which one is meant. Reads RDS and changes nothing."""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from pgdrill.aws.backups import Backup
from pgdrill.aws.rds import Instance
from pgdrill.aws.snapshots import Snapshot
from pgdrill.cell import Cell
from pgdrill.errors import DrillError, NotRunnable, PlanError
from pgdrill.evidence import archive
from pgdrill.model import PointKind, RecoveryPoint, Verdict
from pgdrill.plan import DatabasePlan, Plan

ACCEPTED = (
    "write latest, oldest, restorable, for a drill also unproved, a UTC time such as 2026-11-22T06:00:00Z, or the id of"
    " a snapshot from: pgdrill point list"
)

# How many past drills say which points passed.
REMEMBERED = 200


def held(cell: Cell, database: DatabasePlan) -> list[Snapshot]:
    """Return the snapshots of a database in this region, in any state, oldest first.

    Those of an earlier instance of the same name are left out, since its data is not this one's. Which instance
    counts, the one that runs in the primary says; in the DR region, and where none runs, the newest snapshot.
    """
    snapshots = cell.snapshots.of(database.instance)
    instance = cell.rds.instance(database.instance) if cell.place == cell.plan.primary else None
    usable = [snapshot for snapshot in snapshots if snapshot.usable]
    resource = instance.resource_id if instance else usable[-1].resource if usable else None
    return [snapshot for snapshot in snapshots if snapshot.resource == resource]


def usable(cell: Cell, database: DatabasePlan) -> list[RecoveryPoint]:
    """Return the snapshots of a database that can be restored from, oldest first."""
    return [snapshot.point() for snapshot in held(cell, database) if snapshot.usable]


def is_ours(snapshot: Snapshot, plan: Plan, database: DatabasePlan) -> bool:
    mark = snapshot.mark
    return mark is not None and (mark.suffix, mark.database) == (plan.stack.suffix, database.name)


def maker(snapshot: Snapshot, plan: Plan, database: DatabasePlan) -> str:
    """Say in a word or two who made a snapshot: pgdrill, pgdrill under another suffix, RDS, or somebody else."""
    if is_ours(snapshot, plan, database):
        return "pgdrill"
    if snapshot.mark:
        return f"pgdrill {snapshot.mark.suffix}"
    return "somebody else" if snapshot.manual else "RDS"


def choose(cell: Cell, database: DatabasePlan, wanted: str) -> RecoveryPoint:
    """Return the recovery point for `latest`, `oldest`, `restorable`, a snapshot's id or a moment.

    `latest` and `oldest` mean pgdrill's own snapshots; where there are none, the automated ones of RDS. What somebody
    else took, with pgdrill under another suffix or by hand, is meant by its id alone.
    `restorable` is the last moment that PITR can reach.

    Raises:
        PlanError: not one of those.
        NotRunnable: there is no such point, or the moment lies outside the PITR window.
    """
    moment = _moment(wanted)
    if wanted == "restorable" or moment is not None:
        return _in_window(cell, database, moment)
    if wanted in {"latest", "oldest"}:
        return _meant(cell, database)[-1 if wanted == "latest" else 0].point()
    # By its name, a point of an earlier instance may be meant as well.
    for snapshot in cell.snapshots.of(database.instance):
        if snapshot.id == wanted and snapshot.usable:
            return snapshot.point()
    if any(character in wanted for character in " /:."):
        raise PlanError(f"{wanted!r} is not a recovery point", hint=ACCEPTED)
    raise NotRunnable(f"database {database.name!r} has no available snapshot {wanted!r}", hint=ACCEPTED)


def _meant(cell: Cell, database: DatabasePlan) -> list[Snapshot]:
    """Return what may be chosen without being named, oldest first; there is one at least."""
    there = [snapshot for snapshot in held(cell, database) if snapshot.usable]
    ours = [snapshot for snapshot in there if is_ours(snapshot, cell.plan, database)]
    meant = ours or [snapshot for snapshot in there if not snapshot.manual]
    if meant:
        return meant
    by_id = f"; {len(there)} of others can be chosen by id, see: pgdrill point list" if there else ""
    make = (
        "take one with: pgdrill point take"
        if cell.place == cell.plan.primary
        else "copy those of the primary region with: pgdrill point copy"
    )
    raise NotRunnable(
        f"database {database.name!r} has no snapshot to restore from in {cell.place.region}",
        hint=make + by_id,
    )


class Window(NamedTuple):
    """What PITR reaches in the primary region; `instance` is None where its backups outlived it."""

    earliest: datetime
    latest: datetime
    instance: Instance | None
    backup: Backup


def window(cell: Cell, database: DatabasePlan) -> Window | None:
    """Return what PITR reaches: of the instance, or of what outlived the one that is gone. None where that is nothing."""
    instance = cell.rds.instance(database.instance)
    windows = {
        backup.window: backup
        for backup in cell.backups.of(database.instance)
        if backup.window and (instance is None or backup.resource == instance.resource_id)
    }
    if not windows:
        return None
    newest = max(windows, key=lambda window: window[1])
    return Window(*newest, instance, windows[newest])


def _in_window(cell: Cell, database: DatabasePlan, moment: datetime | None) -> RecoveryPoint:
    """Return a moment of the PITR window: that of the instance, or of what outlived the one that is gone."""
    if cell.place == cell.plan.dr:
        raise NotRunnable(
            f"there is no point-in-time recovery in {cell.place.region}, only copies of snapshots",
            hint="choose one of them: latest, or an id from: pgdrill point list --cell dr",
        )
    reached = window(cell, database)
    if reached is None:
        raise NotRunnable(
            f"instance {database.instance!r} has no point-in-time recovery",
            hint="set its backup retention above 0 and wait for the first automated backup",
        )
    earliest, latest, instance, backup = reached
    # RDS restores to whole seconds; the one before is always inside what was asked for.
    target = (moment or latest).replace(microsecond=0)
    if not earliest <= target <= latest:
        first = earliest if not earliest.microsecond else earliest + timedelta(seconds=1)
        raise NotRunnable(
            f"{_utc(target)} is outside the PITR window of {database.instance!r}:"
            f" {_utc(first)} to {_utc(latest)}",
            hint="choose a later moment, or an older snapshot from: pgdrill point list"
            if target < earliest
            else "choose an earlier moment, or wait: RDS ships the log every 5 minutes, and the window ends there",
        )
    source = instance or backup
    return RecoveryPoint(
        id=f"pitr-{target:%Y%m%dt%H%M%Sz}",
        kind=PointKind.PITR,
        region=cell.rds.region,
        source=database.instance,
        resource=backup.resource,
        arn=None if instance else backup.arn,
        recovers_to=target,
        engine_version=source.engine_version,
        storage_gb=source.storage_gb,
        encrypted=source.encrypted,
        kms_key=source.kms_key,
    )


def _utc(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def doubted(cell: Cell, database: DatabasePlan, point: RecoveryPoint) -> str | None:
    """Say why a point is not to be trusted: the last conclusion on it, or on its copy or source, is that it failed.

    With the newest point in this region of which none did. What nobody answers of the past is said as well.
    """
    try:
        past = archive.history(cell.store, database.name, most=REMEMBERED, recoveries=True)
        concluded = [one for one in past if one.verdict in {Verdict.PASSED, Verdict.FAILED}]
        last = {(one.point, one.kind): one for one in concluded}
        failed = {one.point: one for one in last.values() if one.verdict is Verdict.FAILED}
        if point.id not in failed:
            return None
        proved = {one.point for one in concluded} - set(failed)
        passed = [one.id for one in usable(cell, database) if one.id in proved]
    except DrillError as error:
        return f"nobody could tell whether a drill of {point.id!r} failed: {error.message}"
    instead = (
        f"the newest that passed one is {passed[-1]!r}" if passed else "none that is there has passed one"
    )
    bad = failed[point.id]
    return f"drill {bad.drill} of {point.id!r} failed: {bad.reason}; {instead}"


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        raise PlanError(
            f"{text!r} has no time zone", hint="write UTC with a Z at its end: 2026-11-22T06:00:00Z"
        )
    return moment.astimezone(UTC)
