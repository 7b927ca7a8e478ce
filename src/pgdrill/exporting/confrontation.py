"""Confronts an export with a restored copy of its own snapshot, while a drill holds the copy.

A drill judges the copy by itself, so it is known which of the two witnesses is wrong where they differ. Opens the
drill's temporary instance between its examination and its end, which costs neither RTO nor another restore.
What is found lies with the drill until that is judged, and then with the export.
"""

from collections.abc import Callable, Iterable
from itertools import count

from pgdrill.aws.export_tasks import COMPLETE, ExportTask
from pgdrill.cell import Cell
from pgdrill.drills import conduct, drill
from pgdrill.drills.conduct import Report, Tick
from pgdrill.drills.state import Drill, Step
from pgdrill.errors import DrillError
from pgdrill.exporting import cross_examination, exported, exports
from pgdrill.messages import Event, Level, Message, Reply
from pgdrill.model import Clock, Finding, Model, Verdict, worst

CHECKS = ("export_tables", "export_rows", "export_values")


class Confronted(Model):
    """What a cross-examination found, before the copy has a verdict of its own."""

    export: str
    findings: tuple[Finding, ...]


class Confrontation(Model):
    """What came of it. `says` is one sentence on which of the two is to be doubted."""

    export: str
    drill: str
    copy_verdict: Verdict
    findings: tuple[Finding, ...]
    says: str

    @property
    def verdict(self) -> Verdict:
        return worst([self.copy_verdict, *(finding.verdict for finding in self.findings)])


def confront(now: Drill, cell: Cell, clock: Clock) -> Drill:
    """Cross-examine a drill's copy with the export of its point, within the time there is, if there is one.

    What is not compared by then is not proved. Nothing that is wrong with the export changes how the drill goes on.
    """
    task = None if now.problem else _complete(now, cell)
    if task is None:
        return now
    _keep(now, cell, Confronted(export=task.id, findings=_findings(now, cell, task, [clock])))
    return now.model_copy(update={"confronted": task.id})


def run(
    begun: Drill, cell: Cell, task: ExportTask, tick: Tick, report: Report
) -> tuple[Drill, Confrontation]:
    """Conduct a drill of an export's snapshot, and cross-examine both before the copy is torn down.

    Raises:
        DrillError: the drill could not be begun, or its temporary instance not be deleted.
    """
    asked: list[str] = []

    def watched(now: Drill, text: str) -> None:
        report(now, text)
        if now.next is Step.JUDGE and now.problem is None and not asked:
            asked.append(now.id)
            clocks = (tick(0) for _ in count())
            findings = _findings(now, cell, task, clocks, lambda said: report(now, said))
            _keep(now, cell, Confronted(export=task.id, findings=findings))

    done = conduct.run(begun, cell, tick, watched)
    return done, conclude(done, cell, task.id)


def conclude(done: Drill, cell: Cell, export: str) -> Confrontation:
    """Say which of the two is to be doubted, now that the drill is judged, and keep that with the export."""
    body = cell.store.get(_key(done))
    findings = (
        Confronted.model_validate_json(body).findings if body else _unasked("the snapshot was not restored")
    )
    verdict = done.verdict or Verdict.INCONCLUSIVE
    outcome = Confrontation(
        export=export,
        drill=done.id,
        copy_verdict=verdict,
        findings=findings,
        says=_convicted(verdict, findings),
    )
    key = f"exports/{done.database}/{export}/confronted-{done.id}.json"
    cell.store.put(key, outcome.model_dump_json().encode())
    return outcome


def told(outcome: Confrontation, database: str) -> Reply:
    """Return what is to be told of a confrontation; that the two agree wants nobody."""
    verdict = worst([finding.verdict for finding in outcome.findings])
    event = Event(
        kind="ExportConfronted",
        subject=outcome.export,
        detail={"database": database, "drill": outcome.drill, "verdict": verdict.value, "says": outcome.says},
    )
    if verdict is Verdict.PASSED:
        return Reply(events=(event,))
    first = next(finding for finding in outcome.findings if finding.verdict is verdict)
    message = Message(
        level=Level.ALARM if verdict is Verdict.FAILED else Level.WARNING,
        topic="export confronted",
        text=f"export {outcome.export!r} of database {database!r} against drill {outcome.drill}: {outcome.says}."
        f" {first.check}: {first.reason}",
        hint=first.hint or f"see both with: pgdrill evidence show {outcome.drill}",
    )
    return Reply(events=(event,), messages=(message,))


def _complete(now: Drill, cell: Cell) -> ExportTask | None:
    """Return the export of the drill's point in this region, if it is complete."""
    if not cell.place.archive_bucket:
        return None
    tasks = exports.of(cell, cell.plan.database(now.database))
    point = now.restored_from().arn
    return next((task for task in reversed(tasks) if task.status == COMPLETE and task.source == point), None)


def _findings(
    now: Drill,
    cell: Cell,
    task: ExportTask,
    clocks: Iterable[Clock],
    say: Callable[[str], None] = lambda _: None,
) -> tuple[Finding, ...]:
    """Measure until all is measured or there is no more time; an error of its own leaves the export open."""
    archive = cell.archive()
    fact = None
    try:
        told = exported.read(archive, task)
        for clock in clocks:
            server = drill.opened(now, cell, clock)
            server.progress = say
            fact = cross_examination.measure(
                server, told, lambda folder: exported.files(archive, task, folder), fact
            )
            if fact.complete:
                break
    except DrillError as error:
        return _unasked(error.message)
    if fact is None:
        raise ValueError("a cross-examination needs time")
    return cross_examination.judge(fact, exports.left_out(cell.plan))


def _keep(now: Drill, cell: Cell, found: Confronted) -> None:
    cell.store.put(_key(now), found.model_dump_json().encode())


def _key(now: Drill) -> str:
    return f"drills/{now.database}/{now.id}/confronted.json"


def _unasked(why: str) -> tuple[Finding, ...]:
    return tuple(
        Finding(check=check, verdict=Verdict.INCONCLUSIVE, reason=f"not compared: {why}") for check in CHECKS
    )


def _convicted(copy: Verdict, findings: tuple[Finding, ...]) -> str:
    verdict = worst([finding.verdict for finding in findings])
    if verdict is Verdict.PASSED:
        return "the export and the restored copy tell the same"
    if verdict is Verdict.INCONCLUSIVE:
        return "the export and the restored copy could not be compared whole"
    return {
        Verdict.PASSED: "the export is not what the snapshot was: the copy passed its own drill",
        Verdict.FAILED: "the copy is not what the snapshot was: it failed its own drill",
    }.get(copy, "one of the two is not what the snapshot was; the drill does not say which")
