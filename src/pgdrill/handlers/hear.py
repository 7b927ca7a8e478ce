"""The function `hear`: takes note that the other cell told of itself, and sees whether its inventory came along."""

from pgdrill.cell import Cell
from pgdrill.handlers.boundary import function
from pgdrill.handlers.payloads import Answer
from pgdrill.model import Clock, Model
from pgdrill.points import exchange
from pgdrill.points.exchange import Told


class Heard(Model):
    """An event of the other cell's telling, as far as it matters."""

    detail: Told


def hear(request: Heard, cell: Cell, clock: Clock) -> Answer:
    return Answer(reply=exchange.hear(cell, request.detail, clock.now))


handler = function(Heard, hear)
