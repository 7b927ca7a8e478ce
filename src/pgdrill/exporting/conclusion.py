"""What an ended export came to: judged by what it says of itself and by the seals of its point. Pure.

COMPLETE is not enough: AWS's own sample has it beside a warning that a whole database was left out.
"""

import re
from collections.abc import Collection
from datetime import datetime, timedelta

from pydantic import ValidationError

from pgdrill.aws.export_tasks import COMPLETE, ExportTask
from pgdrill.checks.catalog import CatalogFact
from pgdrill.exporting.exported import Exported
from pgdrill.messages import Event, Level, Message, Metric, Reply
from pgdrill.model import Damage, Finding, Judgement, Model, Moment, Seal, Verdict

# RDS restores the snapshot first, then reads tables without a good numeric key in one thread.
PATIENCE, PATIENCE_PER_GB = timedelta(hours=4), timedelta(minutes=3)
SHOWN = 20
_LEVEL = {Verdict.PASSED: Level.REPORT, Verdict.FAILED: Level.ALARM}

_TABLE = re.compile(r"(?:partitioned )?table (.+)")
_NAME = re.compile(r'"(?:[^"]|"")+"|[^.]+')


class Conclusion(Model):
    """What an export came to, as it is kept. `exported` is None where it left nothing to read."""

    task: ExportTask
    database: str
    concluded_at: Moment
    finding: Finding
    exported: Exported | None = None


def judge(
    task: ExportTask,
    left_behind: Exported | None,
    before: frozenset[str] | None = None,
    after: frozenset[str] | None = None,
    *,
    left_out: Collection[str] = (),
    problem: str = "",
) -> Judgement:
    """Judge an ended export; `before` and `after` are production's tables as the seals have them.

    `left_out` are tables that the plan does not ask for. `problem` says why what it left could not be read.
    """
    if task.status != COMPLETE or left_behind is None:
        return Judgement(
            verdict=Verdict.FAILED,
            reason=f"export {task.id} is {task.status}: {task.failure or problem or 'RDS gives no cause'}",
            hint="see the role, the bucket and the key of exports in the plan; the next pass tries again",
        )
    left = {name: why for name, why in left_behind.unwritten().items() if name not in left_out}
    sealed = [tables for tables in (before, after) if tables is not None]
    certain = (frozenset.intersection(*sealed) if sealed else frozenset()) - set(left_out)
    missing = sorted(certain - set(left_behind.tables) - set(left))
    coverage = f"{len(left_behind.tables)} tables listed, {len(certain)} sealed"
    coverage += f", {len(left_out)} left out by the plan" if left_out else ""
    if left or left_behind.warnings or (missing and len(sealed) > 1):
        return _incomplete(left, missing, left_behind.warnings, coverage)
    if missing:
        return Judgement(
            verdict=Verdict.INCONCLUSIVE,
            reason=f"{missing[0]} is not in the export, and only one seal says that production had it",
            hint="it may have come or gone while the snapshot was taken; a point with a seal on both sides decides",
            coverage=coverage,
        )
    if not sealed:
        return Judgement(
            verdict=Verdict.INCONCLUSIVE,
            reason="there is no seal of the point to compare the list of tables with",
            hint="take recovery points with: pgdrill point take",
            coverage=coverage,
        )
    return Judgement(
        verdict=Verdict.PASSED, reason="every table that production had is in the export", coverage=coverage
    )


def _incomplete(
    left: dict[str, str], missing: list[str], warnings: tuple[str, ...], coverage: str
) -> Judgement:
    damage = [_damage(name, f"skipped: {reason}") for name, reason in sorted(left.items())]
    damage += [_damage(name, "in production, and neither listed nor skipped") for name in missing]
    if damage:
        count = "a table is" if len(damage) == 1 else f"{len(damage)} tables are"
        reason = f"RDS calls the export complete, but {count} not in it: {damage[0].object}, {damage[0].what}"
    else:
        reason = f"RDS calls the export complete, but warns: {warnings[0]}"
    return Judgement(
        verdict=Verdict.FAILED,
        reason=reason,
        hint="RDS reads as the master user: grant it SELECT; it skips tables with a comma, brace, bracket, equals sign"
        " or space in a column's name",
        coverage=coverage,
        damage=tuple(damage[:SHOWN]),
        damaged=len(damage),
    )


def sealed_tables(sealed: Seal | None) -> frozenset[str] | None:
    """Return the tables of a seal as an export lists them; partitions and unlogged tables are none of them."""
    content = sealed.facts.get("catalog") if sealed else None
    if content is None:
        return None
    try:
        objects = CatalogFact.model_validate(content).objects
    except ValidationError:
        # Another version of pgdrill wrote it in another form; that is as good as none.
        return None
    return frozenset(
        ".".join([database, *(_unquoted(part) for part in _NAME.findall(match[1]))])
        for database, entries in objects.items()
        for match in map(_TABLE.fullmatch, entries)
        if match
    )


def _unquoted(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name


def _damage(target: str, what: str) -> Damage:
    database, _, name = target.partition(".")
    return Damage(database=database, object=name or target, what=what)


def told(conclusion: Conclusion) -> Reply:
    """Return what is to be told of an export that has ended."""
    finding, task = conclusion.finding, conclusion.task
    about = {"Database": conclusion.database}
    passed = finding.verdict is Verdict.PASSED
    reply = Reply(
        metrics=(
            Metric(name="ExportsPassed", value=float(passed), unit="Count", dimensions=about),
            Metric(name="ExportTablesMissing", value=finding.damaged, unit="Count", dimensions=about),
        ),
        events=(Event(kind="ExportEnded", subject=task.id, detail={"status": task.status}),),
    )
    level = _LEVEL.get(finding.verdict, Level.WARNING)
    text = f"export {task.id!r} of database {conclusion.database!r}: {finding.reason}"
    attributes: dict[str, str | int] = {"database": conclusion.database, "verdict": finding.verdict.value}
    message = (
        Message(level=level, topic="export done", text=text, attributes=attributes)
        if passed
        else Message(
            level=level, topic="export incomplete", text=text, hint=finding.hint, attributes=attributes
        )
    )
    return reply + Reply(messages=(message,))


def late(task: ExportTask, size: int, database: str, now: datetime) -> Reply:
    """Return what is to be told of an export under way; `size` is the snapshot's, in GB."""
    allowed = PATIENCE + size * PATIENCE_PER_GB
    if task.started_at is None or now - task.started_at <= allowed:
        return Reply()
    message = Message(
        level=Level.WARNING,
        topic="export late",
        text=f"export {task.id!r} of database {database!r} is {task.status} at {task.progress} % after"
        f" {now - task.started_at}",
        hint="a large table without a numeric key is read in one thread; cancel it in RDS if it stands still",
    )
    return Reply(messages=(message,))
