"""The function `seal`: seals production around a point in the making, or, between two points, by itself.

Runs in production's network, and reaches production, its secret and the store.
"""

from pgdrill.cell import Cell
from pgdrill.checks.registry import ALL
from pgdrill.handlers.boundary import function
from pgdrill.handlers.pointing import TakingAnswer, TakingRequest, stepped
from pgdrill.model import Clock
from pgdrill.points import between
from pgdrill.points.taking import SEALS


def seal(request: TakingRequest, cell: Cell, clock: Clock) -> TakingAnswer:
    begun = request.taking
    if begun is None:
        between.take(cell, cell.plan.database(request.database), request.due_at or clock.now, clock, ALL)
        return TakingAnswer()
    if begun.next not in SEALS:
        raise ValueError(f"point {begun.point} is to {begun.next}, which is no seal")
    return stepped(begun, cell, clock, ALL)


handler = function(TakingRequest, seal)
