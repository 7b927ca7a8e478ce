"""What the functions of a drill share: each calls one step of it, and keeps what came of that.

An error leaves the drill as it was before the step, so that a state machine can repeat it, or go on to the judge.
"""

import logging
from collections.abc import Callable

from pgdrill.cell import Cell
from pgdrill.drills import conduct, telling
from pgdrill.drills.state import Drill, Step
from pgdrill.errors import DrillError
from pgdrill.handlers.payloads import Answer, Failure
from pgdrill.model import Clock, Model

log = logging.getLogger(__name__)


class DrillRequest(Model):
    """A drill before its next step; with `error` what the last one ended in."""

    drill: Drill
    error: Failure | None = None


class DrillAnswer(Answer):
    drill: Drill | None = None


def step(
    wanted: Step, call: Callable[[Drill, Cell, Clock], Drill]
) -> Callable[[DrillRequest, Cell, Clock], DrillAnswer]:
    """Return what a function does whose one step it is."""

    def work(request: DrillRequest, cell: Cell, clock: Clock) -> DrillAnswer:
        if request.drill.next is not wanted:
            raise ValueError(f"drill {request.drill.id} is to {request.drill.next}, not to {wanted}")
        drill = kept(call(request.drill, cell, clock), cell)
        log.info("drill %s: %s, then %s in %.1f s", drill.id, wanted, drill.next, drill.wait)
        return DrillAnswer(drill=drill, reply=telling.waiting(drill, clock.at()))

    return work


def kept(drill: Drill, cell: Cell) -> Drill:
    """Store how far a drill is, for `resume` and for retention; one that cannot be resumed still has to end."""
    try:
        conduct.save(cell, drill)
    except DrillError as error:
        log.warning("drill %s is not stored: %s", drill.id, error.message)
    return drill
