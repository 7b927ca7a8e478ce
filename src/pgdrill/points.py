"""Recovery points: takes a snapshot with its seals, lists what there is, chooses one.

Talks to production only to seal it, through the sealing role; to RDS and the store otherwise.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from pgdrill import seal
from pgdrill.cell import Cell
from pgdrill.checks.check import Check
from pgdrill.errors import Broken, NotRunnable, PlanError, Unavailable
from pgdrill.model import Clock, PointKind, RecoveryPoint
from pgdrill.plan import DatabasePlan, Plan

# How often a snapshot in the making is asked for, and how long at most: hours on a large first snapshot.
POLL = 0.25
POLL_MOST = 15.0
PATIENCE = timedelta(hours=4)

Tick = Callable[[float], Clock]


def identifier(plan: Plan, database: DatabasePlan, now: datetime) -> str:
    """Derive the snapshot's name from the moment, so that the same request makes the same snapshot."""
    return f"{plan.point_prefix(database)}{now.astimezone(UTC):%Y%m%dt%H%M%Sz}"


def take(
    cell: Cell,
    database: DatabasePlan,
    checks: Sequence[Check[Any]],
    tick: Tick,
    report: Callable[[str], None],
) -> RecoveryPoint:
    """Seal production, take a snapshot, wait until it is available, and seal again.

    `tick(seconds)` waits and returns the clock of the next step.

    Raises:
        NotRunnable: RDS or the secret refused.
        Broken: the snapshot failed, was deleted meanwhile, or did not become available in time.
    """
    clock = tick(0)
    name = identifier(cell.plan, database, clock.now)
    started = clock.now
    report(f"sealing {database.instance}")
    seal.keep(
        cell.store, seal.take(cell.production(database, clock), checks, database.name, name, clock), "before"
    )
    tags = cell.plan.tags.model_dump() | {
        "ManagedBy": "pgdrill",
        "PgDrillRole": "point",
        "PgDrillDatabase": database.name,
        "PgDrillSlot": f"{clock.now:%Y-%m-%dT%H%M%SZ}",
    }
    wait = POLL
    asked = False
    while True:
        if not asked:
            asked = _ask(cell, database, name, tags, report)
        found = cell.rds.snapshot(name) if asked else None
        if found and found[1]:
            break
        if asked and (found is None or found[0] in {"failed", "deleting"}):
            raise Broken(
                f"snapshot {name!r} is {found[0] if found else 'gone'}",
                hint="see the events of RDS for this snapshot; then take another",
            )
        if clock.now - started > PATIENCE:
            raise Broken(
                f"snapshot {name!r} is not available after {PATIENCE}",
                hint="see its status and the events of RDS; the next slot takes another",
            )
        report(f"snapshot {name}: {found[0] if found else 'waiting for the instance'}")
        clock = tick(wait)
        wait = min(POLL_MOST, wait * 1.5)
    clock = tick(0)
    report(f"sealing {database.instance} again")
    seal.keep(
        cell.store, seal.take(cell.production(database, clock), checks, database.name, name, clock), "after"
    )
    return found[1]


def _ask(
    cell: Cell, database: DatabasePlan, name: str, tags: dict[str, str], report: Callable[[str], None]
) -> bool:
    """Ask for the snapshot; a busy instance is asked again later."""
    try:
        cell.rds.take(database.instance, name, tags)
    except Unavailable as error:
        report(error.message)
        return False
    return True


def usable(cell: Cell, database: DatabasePlan) -> list[RecoveryPoint]:
    """Return the snapshots of a database that can be restored from, oldest first."""
    return cell.rds.snapshots(database.instance)


def choose(cell: Cell, database: DatabasePlan, wanted: str) -> RecoveryPoint:
    """Return the recovery point for `latest`, `oldest`, `restorable`, a snapshot's id or a moment.

    `latest` and `oldest` mean pgdrill's own snapshots; where there are none, the automated ones of RDS.
    `restorable` is the last moment that PITR can reach.

    Raises:
        PlanError: not one of those.
        NotRunnable: there is no such point, or the moment lies outside the PITR window.
    """
    moment = _moment(wanted)
    if wanted == "restorable" or moment is not None:
        return _in_window(cell, database, moment)
    points = usable(cell, database)
    ours = [p for p in points if p.id.startswith(cell.plan.point_prefix(database))]
    if wanted in {"latest", "oldest"}:
        if not points:
            raise NotRunnable(
                f"database {database.name!r} has no snapshot to restore from",
                hint="take one with: pgdrill point take",
            )
        return (ours or points)[-1 if wanted == "latest" else 0]
    for point in points:
        if point.id == wanted:
            return point
    if any(character in wanted for character in " /:."):
        raise PlanError(
            f"{wanted!r} is not a recovery point",
            hint="write latest, oldest, restorable, a snapshot's id, or a UTC time such as 2026-11-22T06:00:00Z",
        )
    raise NotRunnable(
        f"database {database.name!r} has no available snapshot {wanted!r}",
        hint="list what there is with: pgdrill point list",
    )


def _in_window(cell: Cell, database: DatabasePlan, moment: datetime | None) -> RecoveryPoint:
    window = cell.rds.window(database.instance)
    instance = cell.rds.instance(database.instance)
    if window is None or instance is None:
        raise NotRunnable(
            f"instance {database.instance!r} has no point-in-time recovery",
            hint="set its backup retention above 0 and wait for the first automated backup",
        )
    earliest, latest = window
    # RDS restores to whole seconds; the one before is always inside what was asked for.
    target = (moment or latest).replace(microsecond=0)
    if not earliest <= target <= latest:
        raise NotRunnable(
            f"{target.isoformat()} is outside the PITR window of {database.instance!r}:"
            f" {earliest.isoformat()} to {latest.isoformat()}",
            hint="choose a moment inside it; RDS ships its log every 5 minutes, so the window ends that far back",
        )
    return RecoveryPoint(
        id=f"pitr-{target:%Y%m%dt%H%M%Sz}",
        kind=PointKind.PITR,
        region=cell.rds.region,
        source=database.instance,
        recovers_to=target,
        engine_version=instance.engine_version,
        storage_gb=instance.storage_gb,
        encrypted=instance.encrypted,
        kms_key=instance.kms_key,
    )


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
