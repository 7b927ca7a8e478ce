"""What the watch publishes of a look: ages, counted from the later of when it first looked and the last good thing.

Pure. An age grows whether or not anything happens, so an alarm on it needs no event to speak; a thing that is well
has an age under its threshold, one that never was has the age of the watch.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime

from pgdrill import slots
from pgdrill.aws.snapshots import Snapshot
from pgdrill.messages import Metric, Unit
from pgdrill.model import Verdict
from pgdrill.plan import DatabasePlan, Plan
from pgdrill.points import inventory
from pgdrill.watching.sighting import Sighting, Watched


def measure(seen: Sighting, plan: Plan) -> tuple[Metric, ...]:
    """Return every metric of a look, of each database and of the cell. `publish` adds the suffix to the dimensions."""
    primary = seen.own.region == plan.primary.region
    metrics = [*_cell(seen)]
    newest = _newest(seen.own.snapshots)
    for watched in seen.databases:
        database = plan.database(watched.database)
        about = {"Database": database.name}
        slot = max(slots.slot_of(plan.points, watched.since), newest.get(database.name, seen.since))
        metrics.append(
            Metric(
                name="SnapshotAge" if primary else "CopyAge",
                value=_age(seen, slot),
                unit="Seconds",
                dimensions=about,
            )
        )
        for kind in (_backups, _ledger, _exports, _drills) if primary else (_drills,):
            metrics += [
                Metric(name=name, value=value, unit=unit, dimensions=about)
                for name, value, unit in kind(seen, watched, plan, database)
            ]
    if not primary:
        metrics += [*_backlog(seen, plan)]
    return tuple(metrics)


def _newest(points: Iterable[Snapshot]) -> dict[str, datetime]:
    """Return the newest slot of a usable point by database; one that was taken out of turn counts from its moment.

    The slot and not the moment that the point recovers to, so that the age passes its threshold exactly when the next
    point is due.
    """
    newest: dict[str, datetime] = {}
    for point in points:
        mark = point.mark if point.usable else None
        if mark is not None and point.recovers_to is not None:
            slot = slots.named(mark.slot) if mark.slot else point.recovers_to
            newest[mark.database] = max(slot, newest.get(mark.database, slot))
    return newest


Measured = Iterator[tuple[str, float, Unit]]


def _backups(seen: Sighting, watched: Watched, _: Plan, __: DatabasePlan) -> Measured:
    instance = watched.instance
    yield "RetentionDays", instance.retention_days if instance else 0, "Count"
    restorable = instance.restorable_to if instance else None
    yield "RestorableAge", _age(seen, max(restorable or watched.since, watched.since)), "Seconds"


def _ledger(seen: Sighting, watched: Watched, _: Plan, database: DatabasePlan) -> Measured:
    if database.ledger == "off":
        return
    beat = seen.own.ledger.get(database.name)
    last = max(beat.done_at, watched.since) if beat else watched.since
    yield "LedgerAge", _age(seen, last), "Seconds"
    if watched.forks is not None:
        yield "LedgerForks", watched.forks, "Count"


def _exports(seen: Sighting, watched: Watched, plan: Plan, _: DatabasePlan) -> Measured:
    archived = watched.archived
    if plan.exports.schedule == "off" or archived is None:
        return
    began = slots.slot_of(plan.points, watched.since)
    yield "ExportAge", _age(seen, max(archived.passed_of or began, began)), "Seconds"
    yield "ExportTablesLost", archived.missing, "Count"


def _drills(seen: Sighting, watched: Watched, _: Plan, __: DatabasePlan) -> Measured:
    if not watched.drilled:
        return
    if watched.skipped is not None:
        yield "DrillsSkippedInTurn", watched.skipped, "Count"
    yield "DrillAge", _age(seen, max(watched.passed_at or watched.since, watched.since)), "Seconds"
    verdict = watched.ended.verdict if watched.ended else Verdict.NOT_ASKED
    yield "DrilledPointsFailed", watched.failed, "Count"
    yield "LastDrillInconclusive", verdict is Verdict.INCONCLUSIVE, "Count"
    running = watched.running
    yield "DrillRunning", _age(seen, running.started_at) if running else 0, "Seconds"
    waiting = running.requested_at if running and not running.queried_at else None
    yield "RecoveryRunning", _age(seen, waiting) if waiting else 0, "Seconds"
    if watched.ended and watched.ended.rto is not None:
        yield "RecoveryTook", watched.ended.rto, "Seconds"


def _cell(seen: Sighting) -> Iterator[Metric]:
    told = seen.heard.made_at if seen.heard else seen.since
    canary = max(seen.canary_at or seen.since, seen.since)
    quota = seen.own.quota
    counts = {
        "Watched": 1,
        "Unseen": len(seen.unseen),
        "SnapshotsFree": quota.free,
        "KeysUnusable": len(seen.unusable_keys),
        "SecretsUnusable": len(seen.unusable_secrets),
        "SchedulesDisabled": len(seen.disabled_schedules),
    }
    for name, count in counts.items():
        yield Metric(name=name, value=count, unit="Count")
    yield Metric(name="OtherCellSilence", value=_age(seen, max(told, seen.since)), unit="Seconds")
    yield Metric(name="CanaryAge", value=_age(seen, canary), unit="Seconds")
    if seen.dollars is not None:
        yield Metric(name="StorageDollars", value=seen.dollars, unit="None")
    for one in seen.stored:
        kind = {"Kind": one.kind.value}
        yield Metric(name="StorageGigabytes", value=one.gigabytes, unit="Gigabytes", dimensions=kind)
        yield Metric(name="StorageDollars", value=one.usd, unit="None", dimensions=kind)
    if seen.stored:
        most = round(sum(one.most_usd for one in seen.stored), 2)
        yield Metric(name="StorageDollarsAtMost", value=most, unit="None")


def _backlog(seen: Sighting, plan: Plan) -> Iterator[Metric]:
    """Return how far the copies are behind what was heard; where nothing was, the other cell's silence tells."""
    if seen.heard is None:
        return
    backlog = inventory.reconcile(seen.own, seen.heard, plan.copies, seen.now).backlog
    created = [max(one.created_at, seen.since) for one in backlog if one.created_at]
    yield Metric(name="CopiesQueued", value=len(backlog), unit="Count")
    yield Metric(
        name="CopyWaiting", value=max((_age(seen, each) for each in created), default=0), unit="Seconds"
    )


def _age(seen: Sighting, since: datetime) -> float:
    return max(0.0, (seen.now - since).total_seconds())
