"""The function `export`: starts the exports that are due, follows those under way, judges those that have ended."""

from datetime import timedelta

from pgdrill.cell import Cell
from pgdrill.exporting import exports
from pgdrill.handlers.boundary import function
from pgdrill.handlers.payloads import Answer, Due
from pgdrill.model import Clock

# Moves the database that is first from pass to pass.
TURN = timedelta(minutes=15)


def export(request: Due, cell: Cell, clock: Clock) -> Answer:
    turn = int(request.due_at.timestamp() // TURN.total_seconds())
    return Answer(reply=exports.tend_all(cell, clock, turn))


handler = function(Due, export)
