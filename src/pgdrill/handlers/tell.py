"""The function `tell`: gathers all that this cell has, and tells the other one."""

from pgdrill.cell import Cell
from pgdrill.handlers.boundary import function
from pgdrill.handlers.payloads import Answer, Due
from pgdrill.model import Clock
from pgdrill.points import exchange


def tell(_: Due, cell: Cell, clock: Clock) -> Answer:
    return Answer(reply=exchange.announce(cell, clock.now)[1])


handler = function(Due, tell)
