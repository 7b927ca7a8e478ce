"""Scheduled drills: what they restore in turn, when none is begun, and which age of the PITR window comes next.

Reads evidence and the PITR window; writes the record of a drill that was skipped. Begins none itself.
"""

from collections.abc import Iterator
from datetime import UTC, datetime

from pgdrill.aws.store import Store
from pgdrill.cell import Cell
from pgdrill.errors import NotRunnable
from pgdrill.evidence import archive
from pgdrill.evidence.record import Evidence
from pgdrill.messages import Event, Kind, Level, Message, Metric, Reply
from pgdrill.model import Model, Moment, PointKind
from pgdrill.plan import CellPlan, DatabasePlan, Freeze, Plan
from pgdrill.points import coverage
from pgdrill.points.coverage import Age

UNPROVED = "unproved"
# Every second one is of the PITR window: a week of it has 28 ages to prove, and snapshots have two ends.
TURN = ("latest", UNPROVED, "oldest", UNPROVED)
# Where there is no PITR window.
TURN_OF_COPIES = ("latest", "oldest")
# A Monday. Turns are counted from a fixed day, so that a skipped drill or a lost record moves none.
FIRST = datetime(2024, 1, 1, tzinfo=UTC)


class Skipped(Model):
    """A scheduled drill that was not begun, since it was due while the plan froze drills."""

    database: str
    due_at: Moment
    begins: Moment
    ends: Moment
    reason: str


def wanted(plan: Plan, place: CellPlan, due_at: datetime) -> str:
    """Return what the drill due at that moment restores in that cell; `rotate` takes the kinds in turn."""
    point: str = plan.drill.point
    away = place.region == plan.dr.region
    if point != "rotate" and not (away and point in {UNPROVED, "restorable"}):
        return point
    turns = TURN_OF_COPIES if away else TURN
    every = plan.drill.dr_every if away else plan.drill.every
    return turns[(due_at - FIRST) // every % len(turns)]


def meant(cell: Cell, database: DatabasePlan, wanted: str, drill: str, now: datetime) -> str:
    """Return `wanted`, or for `unproved` a moment of the age that has been unproved longest.

    Deterministic given the evidence, the window and the drill's id: a retry aims where the first try did.

    Raises:
        NotRunnable: there is no PITR window yet.
    """
    if wanted != UNPROVED:
        return wanted
    window = cell.rds.window(database.instance)
    cells = ages(cell.store, cell.plan, database, now, before=drill)
    target = coverage.aim(cells, now, *window, seed=drill) if window else None
    if target is None:
        raise NotRunnable(
            f"instance {database.instance!r} has no PITR window of which an age could be proved",
            hint="set its backup retention above 0 and wait for the first automated backup",
        )
    return target.isoformat()


def ages(
    store: Store, plan: Plan, database: DatabasePlan, now: datetime, before: str | None = None
) -> tuple[Age, ...]:
    """Return the ages of the plan's PITR window, newest first, with what drills have shown of each."""
    past = archive.history(store, database.name, before=before, most=coverage.REMEMBERED)
    return coverage.ages(past, now, plan.points.pitr)


def proved(store: Store, plan: Plan, evidence: Evidence, now: datetime) -> Reply:
    """Return how much of the PITR window drills have proved, after one of a moment in it; else nothing."""
    if evidence.point.kind is not PointKind.PITR:
        return Reply()
    cells = ages(store, plan, plan.database(evidence.database), now)
    percent = round(100 * coverage.proved(cells) / len(cells), 1)
    about = {"Database": evidence.database}
    return Reply(metrics=(Metric(name="PitrProved", value=percent, unit="Percent", dimensions=about),))


# Freezes ---------------------------------------------------------------------------------------------------


def frozen(plan: Plan, due_at: datetime) -> Freeze | None:
    """Return the freeze in which no drill is begun at that moment."""
    return next((freeze for freeze in plan.drill.freezes if freeze.begins <= due_at < freeze.ends), None)


def skip(store: Store, database: DatabasePlan, freeze: Freeze, due_at: datetime) -> Reply:
    """Record that a drill was skipped, with the plan's reason; return what is to be told."""
    record = Skipped(
        database=database.name, due_at=due_at, begins=freeze.begins, ends=freeze.ends, reason=freeze.reason
    )
    store.put(
        f"{_prefix(database.name)}{due_at.astimezone(UTC):%Y%m%dT%H%M%SZ}.json",
        record.model_dump_json().encode(),
    )
    return Reply(
        metrics=(
            Metric(name="DrillsSkipped", value=1, unit="Count", dimensions={"Database": database.name}),
        ),
        events=(Event(kind="DrillSkipped", subject=database.name, detail={"reason": freeze.reason}),),
        messages=(
            Message(
                level=Level.REPORT,
                kind=Kind.DRILLS,
                topic="drill skipped",
                text=told(record),
                hint="the next one is begun after the freeze; run one all the same with: pgdrill drill run",
            ),
        ),
    )


def skipped(store: Store, database: str, since: datetime | None = None) -> Iterator[Skipped]:
    """Yield the drills that were skipped, oldest first, those due at `since` or later."""
    prefix = _prefix(database)
    after = f"{prefix}{since.astimezone(UTC):%Y%m%dT%H%M%SZ}" if since else ""
    for key in store.keys(prefix, after):
        body = store.get(key)
        if body is not None:
            yield Skipped.model_validate_json(body)


def skips(store: Store, database: str, since: datetime) -> int:
    """Count the drills that were skipped since a moment, by the keys alone."""
    prefix = _prefix(database)
    return sum(1 for _ in store.keys(prefix, f"{prefix}{since.astimezone(UTC):%Y%m%dT%H%M%SZ}"))


def told(record: Skipped) -> str:
    return (
        f"the drill of database {record.database!r} due at {record.due_at:%Y-%m-%d %H:%M} UTC was skipped: drills are"
        f" frozen from {record.begins:%Y-%m-%d %H:%M} to {record.ends:%Y-%m-%d %H:%M} UTC: {record.reason}"
    )


def _prefix(database: str) -> str:
    return f"skipped/{database}/"
