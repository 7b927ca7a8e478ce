"""Confronts an export with a restored copy of its own snapshot, while a drill holds the copy.

A drill judges the copy by itself, so it is known which of the two witnesses is wrong where they differ. Opens the
drill's temporary instance between its examination and its end, which costs neither RTO nor another restore.
"""

from pgdrill.aws.export_tasks import ExportTask
from pgdrill.cell import Cell
from pgdrill.drills import conduct, drill
from pgdrill.drills.conduct import Report, Tick
from pgdrill.drills.state import Drill, Step
from pgdrill.errors import DrillError
from pgdrill.exporting import cross_examination, exported, exports
from pgdrill.model import Finding, Model, Verdict, worst

CHECKS = ("export_tables", "export_rows", "export_values")


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


def run(
    begun: Drill, cell: Cell, task: ExportTask, tick: Tick, report: Report
) -> tuple[Drill, Confrontation]:
    """Conduct a drill of an export's snapshot, and cross-examine both before the copy is torn down.

    Raises:
        DrillError: the drill could not be begun, or its temporary instance not be deleted.
    """
    found: list[tuple[Finding, ...]] = []

    def watched(now: Drill, text: str) -> None:
        report(now, text)
        if now.next is Step.JUDGE and now.problem is None and not found:
            found.append(_cross_examined(now, cell, task, tick, report))

    done = conduct.run(begun, cell, tick, watched)
    findings = found[0] if found else _unasked("the snapshot was not restored")
    verdict = done.verdict or Verdict.INCONCLUSIVE
    outcome = Confrontation(
        export=task.id,
        drill=done.id,
        copy_verdict=verdict,
        findings=findings,
        says=_convicted(verdict, findings),
    )
    key = f"exports/{done.database}/{task.id}/confronted-{done.id}.json"
    cell.store.put(key, outcome.model_dump_json().encode())
    return done, outcome


def _cross_examined(
    now: Drill, cell: Cell, task: ExportTask, tick: Tick, report: Report
) -> tuple[Finding, ...]:
    """Whatever happens here, the drill goes on: an error of its own leaves the export open."""
    archive = cell.archive()
    try:
        told = exported.read(archive, task)
        fact = None
        while fact is None or not fact.complete:
            server = drill.opened(now, cell, tick(0))
            server.progress = lambda text: report(now, text)
            fact = cross_examination.measure(
                server, told, lambda folder: exported.files(archive, task, folder), fact
            )
    except DrillError as error:
        return _unasked(error.message)
    return cross_examination.judge(fact, exports.left_out(cell.plan))


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
