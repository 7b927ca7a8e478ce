"""The function `choose`: begins the drill that is due and picks its recovery point; none is begun in a freeze."""

import secrets

from pydantic import model_validator

from pgdrill.cell import Cell
from pgdrill.drills import drill
from pgdrill.drills.state import Drill, Step
from pgdrill.evidence.record import Trigger
from pgdrill.handlers.boundary import function
from pgdrill.handlers.steps import DrillAnswer, DrillRequest, step
from pgdrill.model import Clock, Model, Moment
from pgdrill.points import schedule


class ChooseRequest(Model):
    """A drill to begin: the one that is due, or one of what somebody `wanted`; or one that is begun already."""

    due_at: Moment | None = None
    database: str | None = None
    wanted: str | None = None
    drill: Drill | None = None

    @model_validator(mode="after")
    def _one(self) -> "ChooseRequest":
        if (self.drill is None) != (self.due_at is not None and self.database is not None):
            raise ValueError("give drill, or due_at and database")
        return self


def choose(request: ChooseRequest, cell: Cell, clock: Clock) -> DrillAnswer:
    begun = request.drill
    if begun is None:
        database, due_at = cell.plan.database(request.database), request.due_at or clock.now
        freeze = None if request.wanted else schedule.frozen(cell.plan, due_at)
        if freeze:
            return DrillAnswer(reply=schedule.skip(cell.store, database, freeze, due_at))
        begun = drill.begin(
            cell.plan,
            database,
            request.wanted or schedule.wanted(cell.plan, cell.place, due_at),
            now=clock.now,
            nonce=secrets.token_hex(16),
            trigger=Trigger.COMMAND if request.wanted else Trigger.SCHEDULE,
        )
    return step(Step.CHOOSE, drill.choose)(DrillRequest(drill=begun), cell, clock)


handler = function(ChooseRequest, choose)
