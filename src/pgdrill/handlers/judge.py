"""The function `judge`: reaches the verdicts and writes the evidence, also of a drill that an error has ended."""

from pgdrill.cell import Cell
from pgdrill.drills import drill, telling
from pgdrill.drills.state import Step, noted
from pgdrill.evidence import archive
from pgdrill.exporting import confrontation
from pgdrill.handlers.boundary import function
from pgdrill.handlers.steps import DrillAnswer, DrillRequest, step
from pgdrill.model import Clock
from pgdrill.points import schedule


def judge(request: DrillRequest, cell: Cell, clock: Clock) -> DrillAnswer:
    begun = request.drill
    if request.error:
        begun = noted(begun, request.error.error, request.error.cause, Step.JUDGE)
    judged = step(Step.JUDGE, drill.judge)(DrillRequest(drill=begun), cell, clock).drill
    evidence = archive.load(cell.store, begun.id, begun.database)
    reply = telling.judged(evidence, cell.place.evidence_bucket)
    reply += schedule.proved(cell.store, cell.plan, evidence, clock.now)
    if judged and judged.confronted:
        outcome = confrontation.conclude(judged, cell, judged.confronted)
        reply += confrontation.told(outcome, judged.database)
    return DrillAnswer(drill=judged, reply=reply)


handler = function(DrillRequest, judge)
