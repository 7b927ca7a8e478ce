"""The function `copy`: asks for the copies that are due in the DR region. One round; the next one goes on."""

from pgdrill.cell import Cell
from pgdrill.handlers.boundary import function
from pgdrill.handlers.payloads import Answer, Due
from pgdrill.model import Clock
from pgdrill.points import copies, lasting


def copy(_: Due, cell: Cell, clock: Clock) -> Answer:
    return Answer(reply=lasting.once(cell, copies.round_(cell, clock.now).reply, clock.now))


handler = function(Due, copy)
