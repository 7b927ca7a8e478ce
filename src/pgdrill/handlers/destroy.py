"""The function `destroy`: deletes the temporary instance, and is called until there is none."""

from pgdrill.cell import Cell
from pgdrill.drills import drill, telling
from pgdrill.drills.state import Step, noted
from pgdrill.handlers.boundary import function
from pgdrill.handlers.steps import DrillAnswer, DrillRequest, step
from pgdrill.model import Clock


def destroy(request: DrillRequest, cell: Cell, clock: Clock) -> DrillAnswer:
    begun = request.drill
    if request.error:
        begun = noted(begun, request.error.error, request.error.cause, Step.DESTROY)
    gone = step(Step.DESTROY, drill.destroy)(DrillRequest(drill=begun), cell, clock).drill
    return DrillAnswer(drill=gone, reply=telling.ended(gone) if gone else None)


handler = function(DrillRequest, destroy)
