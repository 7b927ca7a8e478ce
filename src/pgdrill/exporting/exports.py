"""Exports: which points are archived as Parquet, started once each, followed to their end, and judged.

An export is an archive and a second witness; it cannot be restored to an instance. Asks RDS and reads both buckets;
keeps its conclusion in the evidence bucket, since RDS forgets its tasks and S3 the archive.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from hashlib import sha256

from pgdrill import seal, slots
from pgdrill.aws.export_tasks import COMPLETE, ExportTask
from pgdrill.aws.snapshots import Snapshot
from pgdrill.cell import Cell
from pgdrill.errors import DrillError, NotRunnable, PlanError
from pgdrill.exporting import conclusion, exported
from pgdrill.exporting.conclusion import Conclusion
from pgdrill.messages import Level, Message, Reply
from pgdrill.model import Clock, Finding, Model, Moment, RecoveryPoint, Seal, Verdict
from pgdrill.plan import DatabasePlan, Plan
from pgdrill.points import choice

# Source: RDS User Guide: the export's identifier names files in S3, too; the console takes 60 characters.
LONGEST = 60
ATTEMPTS = 3
# A point that could not be exported for so long is not made up for; the next one is due by then.
LOOK_BACK = timedelta(days=2)
# A database is not begun with that has less than this left, in seconds.
LEAST = 10.0

_VALID = re.compile(r"[a-z](?:-?[a-z0-9])*")


class Newest(Model):
    """What came of a database's exports so far: of which point the newest is, how many tables it lacks.

    `passed_of` is the newest point of which one passed.
    """

    of: Moment | None = None
    missing: int = 0
    passed_of: Moment | None = None


class Tended(Model):
    """What one pass over the exports did: tasks started, tasks still under way, exports that ended."""

    started: tuple[str, ...] = ()
    under_way: tuple[ExportTask, ...] = ()
    concluded: tuple[Conclusion, ...] = ()
    reply: Reply = Reply()


# --------------------------------------------------------------------------------------- schedule


def identifier(point: str, attempt: int = 1) -> str:
    """Derive an export's name from its point, so that asking twice starts one; no two exports share a name.

    RDS wants 1 to 60 letters, digits and single hyphens, and never takes the name of an ended task again.
    """
    if attempt == 1 and len(point) <= LONGEST and _VALID.fullmatch(point):
        return point
    # What does not fit keeps as much as a person can read, and a digest that tells it from all others.
    digest = sha256(f"{attempt}|{point}".encode()).hexdigest()[:12]
    readable = re.sub(r"[^a-z0-9]+", "-", f"e-{point.lower()}" if not point[:1].isalpha() else point.lower())
    return f"{readable[: LONGEST - len(digest) - 2].strip('-')}-x{digest}"


def due(
    plan: Plan,
    database: DatabasePlan,
    held: Iterable[Snapshot],
    tasks: Iterable[ExportTask],
    now: datetime,
) -> list[Snapshot]:
    """Return the points that the plan wants exported and that no export has or is writing, oldest first.

    By day that is the first point of each day in UTC that there is, so that a slot that failed costs no export.
    """
    if plan.exports.schedule == "off":
        return []
    known = list(tasks)
    points_by_slot = dict(sorted(_scheduled(plan, database, held), key=lambda one: one[0]))
    if plan.exports.schedule == "daily":
        done = {slot.date() for slot in _exported(plan, database, known)}
        first = {slot.date(): slot for slot in reversed(points_by_slot)}
        wanted = [slot for day, slot in first.items() if day not in done]
    else:
        wanted = list(points_by_slot)
    return [
        points_by_slot[slot]
        for slot in sorted(wanted)
        if now - LOOK_BACK <= slot <= now and _open(points_by_slot[slot].arn, known)
    ]


def _scheduled(
    plan: Plan, database: DatabasePlan, held: Iterable[Snapshot]
) -> Iterator[tuple[datetime, Snapshot]]:
    """Yield our own usable points with their slots; a copy is exported where its original is."""
    ours = (plan.stack.suffix, database.name)
    for snapshot in held:
        mark = snapshot.mark if snapshot.usable and not snapshot.copied_from else None
        if mark and mark.slot and (mark.suffix, mark.database) == ours:
            yield slots.named(mark.slot), snapshot


def _exported(plan: Plan, database: DatabasePlan, tasks: Iterable[ExportTask]) -> Iterator[datetime]:
    """Yield the slots whose points are exported or being exported, whether or not they are still there."""
    for task in tasks:
        slot = slots.slot_in(plan.point_prefix(database), task.snapshot)
        if slot and (task.under_way or task.status == COMPLETE):
            yield slot


def _open(arn: str, tasks: Sequence[ExportTask]) -> bool:
    """Tell whether a point is neither exported nor being exported, and was not tried too often."""
    tried = [task for task in tasks if task.source == arn]
    return len(tried) < ATTEMPTS and all(not task.under_way and task.status != COMPLETE for task in tried)


# ------------------------------------------------------------------------------------------ steps


def start(cell: Cell, point: RecoveryPoint, tasks: Sequence[ExportTask]) -> str:
    """Ask for the export of a point, unless it is under way or done; return the task's identifier.

    Raises:
        PlanError: the plan names no archive bucket or export role in this region.
        NotRunnable: the point is no snapshot.
        Unavailable: RDS has no room for another export now.
    """
    bucket, role = cell.archive().bucket, cell.place.export_role
    if not role:
        raise PlanError(
            f"the plan names no export role in {cell.place.region}",
            hint="set export_role of this region in the plan: a role that export.rds.amazonaws.com may assume",
        )
    if point.arn is None:
        raise NotRunnable(
            f"{point.id!r} is no snapshot, and only a snapshot can be exported",
            hint="list what there is with: pgdrill point list",
        )
    tried = [task for task in tasks if task.source == point.arn and task.bucket == bucket]
    for task in tried:
        if task.under_way or task.status == COMPLETE:
            return task.id
    name = identifier(point.id, len(tried) + 1)
    cell.exports.start(name, point.arn, bucket, role, cell.place.storage_key)
    return name


def tend_all(cell: Cell, clock: Clock, turn: int = 0) -> Reply:
    """Tend the exports of every database, each whatever becomes of the others, as far as there is time.

    `turn` says which is first, so that with many databases each is reached in one of the next passes.
    """
    if cell.plan.exports.schedule == "off" and not cell.place.archive_bucket:
        return Reply()
    # One listing, however many databases there are.
    tasks, told = cell.exports.into(cell.archive().bucket), Reply()
    databases = cell.plan.databases
    first = turn % len(databases)
    for database in (*databases[first:], *databases[:first]):
        if clock.remaining() < LEAST:
            break
        try:
            told += tend(cell, database, clock.now, tasks).reply
        except DrillError as error:
            told += Reply(messages=(Message.of("exports not tended", error),))
    return told


def tend(
    cell: Cell, database: DatabasePlan, now: datetime, listed: Sequence[ExportTask] | None = None
) -> Tended:
    """Start what is due, follow what is under way, conclude what has ended. Safe to call at any time, and often.

    `listed` are the tasks that write into the archive, where somebody has asked for them already.
    """
    if cell.plan.exports.schedule == "off" and not cell.place.archive_bucket:
        return Tended()
    held = choice.held(cell, database)
    tasks = of(cell, database, listed)
    started, told = [], Reply()
    for snapshot in due(cell.plan, database, held, tasks, now):
        try:
            started.append(start(cell, snapshot.point(), tasks))
        except DrillError as error:
            told += Reply(messages=(Message.of("export not started", error, Level.WARNING),))
    concluded = [
        conclude(cell, database, task, now)
        for task in tasks
        if not task.under_way and cell.store.get(_key(database, task.id)) is None
    ]
    running = tuple(task for task in (of(cell, database) if started else tasks) if task.under_way)
    sizes = {snapshot.arn: snapshot.storage_gb for snapshot in held}
    for ended in concluded:
        told += conclusion.told(ended)
    for task in running:
        told += conclusion.late(task, sizes.get(task.source, 0), database.name, now)
    return Tended(started=tuple(started), under_way=running, concluded=tuple(concluded), reply=told)


def of(cell: Cell, database: DatabasePlan, listed: Sequence[ExportTask] | None = None) -> list[ExportTask]:
    """Return the exports of a database into the plan's archive, in any state, oldest first."""
    tasks = cell.exports.into(cell.archive().bucket) if listed is None else listed
    return [task for task in tasks if _belongs(cell.plan, database, task.snapshot)]


def find(cell: Cell, database: DatabasePlan, name: str) -> ExportTask:
    """Return the export of that name, or the newest complete one for `latest`.

    Raises:
        NotRunnable: there is none.
    """
    tasks = of(cell, database)
    chosen = [task for task in tasks if task.status == COMPLETE] if name == "latest" else tasks
    for task in reversed(chosen):
        if name in {"latest", task.id}:
            return task
    raise NotRunnable(
        f"database {database.name!r} has no export {name!r}"
        if name != "latest"
        else f"database {database.name!r} has no complete export",
        hint="list what there is with: pgdrill export list",
    )


def conclude(cell: Cell, database: DatabasePlan, task: ExportTask, now: datetime) -> Conclusion:
    """Judge an ended export by what it says of itself and by the seals of its point, and keep what came of it."""
    told, problem = None, ""
    if task.status == COMPLETE:
        try:
            told = exported.read(cell.archive(), task)
        except DrillError as error:
            problem = error.message
    snapshot = cell.snapshots.find(task.snapshot)
    sealed: tuple[Seal | None, Seal | None] = (None, None)
    if snapshot is not None and snapshot.usable:
        sealed = seal.around(cell.store, database.name, snapshot.point())
    judgement = conclusion.judge(
        task, told, *map(conclusion.sealed_tables, sealed), left_out=left_out(cell.plan), problem=problem
    )
    ended = Conclusion(
        task=task,
        database=database.name,
        concluded_at=now,
        finding=Finding(check="export", **judgement.model_dump()),
        exported=told,
    )
    # The newest first: where it cannot be kept, the export is concluded again.
    _renew(cell, database, ended)
    cell.store.put(_key(database, task.id), ended.model_dump_json().encode())
    return ended


def newest(cell: Cell, database: DatabasePlan) -> Newest | None:
    """Return what came of a database's exports so far, None where none has ended."""
    body = cell.store.get(_newest_key(database))
    return Newest.model_validate_json(body) if body is not None else None


def _renew(cell: Cell, database: DatabasePlan, ended: Conclusion) -> None:
    """An export of an older point than the newest may end after it."""
    of = slots.slot_in(cell.plan.point_prefix(database), ended.task.snapshot) or ended.task.snapshot_at
    before = newest(cell, database) or Newest()
    if of is None:
        return
    passed = ended.finding.verdict is Verdict.PASSED
    now = Newest(
        of=max(of, before.of or of),
        missing=ended.finding.damaged if before.of is None or of >= before.of else before.missing,
        passed_of=max(of, before.passed_of or of) if passed else before.passed_of,
    )
    cell.store.put(_newest_key(database), now.model_dump_json().encode())


def left_out(plan: Plan) -> frozenset[str]:
    """Return the tables that the plan does not ask an export for, as `database.schema.table`."""
    return frozenset(one.table for one in plan.exports.left_out)


def concluded(cell: Cell, database: DatabasePlan, task: str) -> Conclusion | None:
    """Return what an export came to, None where that is not known yet."""
    body = cell.store.get(_key(database, task))
    return Conclusion.model_validate_json(body) if body is not None else None


def _belongs(plan: Plan, database: DatabasePlan, snapshot: str) -> bool:
    """Tell whether a snapshot is of this database, by its name: it may be gone, and a task has no tags."""

    def prefixes(one: DatabasePlan) -> tuple[str, str]:
        return plan.point_prefix(one), f"rds:{one.instance}-"

    longest = max(
        (
            (len(prefix), one.name)
            for one in plan.databases
            for prefix in prefixes(one)
            if snapshot.startswith(prefix)
        ),
        default=(0, ""),
    )
    return longest[1] == database.name


def _newest_key(database: DatabasePlan) -> str:
    # No database's name begins so.
    return f"exports/_newest/{database.name}.json"


def _key(database: DatabasePlan, task: str) -> str:
    return f"exports/{database.name}/{task}.json"
