"""The function `export`: starts the exports that are due, follows those under way, judges those that have ended.

What one database ends in does not hinder the others.
"""

from pgdrill.cell import Cell
from pgdrill.errors import DrillError
from pgdrill.exporting import exports
from pgdrill.handlers.boundary import function
from pgdrill.handlers.payloads import Answer, Due
from pgdrill.messages import Message, Reply
from pgdrill.model import Clock


def export(_: Due, cell: Cell, clock: Clock) -> Answer:
    told = Reply()
    for database in cell.plan.databases:
        try:
            told += exports.tend(cell, database, clock.now).reply
        except DrillError as error:
            told += Reply(messages=(Message.of("exports not tended", error),))
    return Answer(reply=told)


handler = function(Due, export)
