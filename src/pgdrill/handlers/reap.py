"""The function `reap`: asks for the deletion of temporary instances whose lease has expired, and waits for none.

A drill deletes its own; one whose execution was stopped does not. The next pass asks again for what RDS refused.
"""

from pgdrill.cell import Cell
from pgdrill.drills import reaping
from pgdrill.handlers.boundary import function
from pgdrill.handlers.payloads import Answer, Due
from pgdrill.model import Clock


def reap(_: Due, cell: Cell, clock: Clock) -> Answer:
    return Answer(reply=reaping.reap(cell, clock.now))


handler = function(Due, reap)
