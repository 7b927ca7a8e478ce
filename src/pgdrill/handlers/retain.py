"""The function `retain`: deletes the points of this region that the plan does not keep, and nothing else."""

from pgdrill.cell import Cell
from pgdrill.handlers.boundary import function
from pgdrill.handlers.payloads import Answer, Due
from pgdrill.model import Clock
from pgdrill.points import upkeep


def retain(_: Due, cell: Cell, clock: Clock) -> Answer:
    return Answer(reply=upkeep.retain(cell, clock.now, remaining=clock.remaining).reply)


handler = function(Due, retain)
