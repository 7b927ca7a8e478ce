"""The function `take`: takes the recovery point of a slot, all but its seals, and tells of it.

With `error` it tells of a point that was not taken: RDS itself tells of none.
"""

from pgdrill.cell import Cell
from pgdrill.errors import DrillError
from pgdrill.handlers.boundary import function
from pgdrill.handlers.pointing import TakingAnswer, TakingRequest, stepped
from pgdrill.messages import Level, Message, Reply
from pgdrill.model import Clock
from pgdrill.points import exchange, taking, telling
from pgdrill.points.taking import Step, Taking


def take(request: TakingRequest, cell: Cell, clock: Clock) -> TakingAnswer:
    begun = request.taking or _due(request, cell, clock)
    if request.error:
        return TakingAnswer(
            taking=begun, reply=telling.given_up(begun, request.error.error, request.error.cause)
        )
    if begun.next is Step.DONE:
        return TakingAnswer(taking=begun, reply=telling.taken(begun, clock.now) + _told(cell, clock))
    return stepped(begun, cell, clock, ())


def _due(request: TakingRequest, cell: Cell, clock: Clock) -> Taking:
    """A schedule that fires late means the slot that it was to fire at, as long as that lasts."""
    due_at = request.due_at or clock.now
    now = due_at if request.error else clock.now
    return taking.begin(
        cell.plan, cell.plan.database(request.database), now, taking.slot_now(cell.plan, due_at)
    )


def _told(cell: Cell, clock: Clock) -> Reply:
    """Let the other cell know at once; the point is there, whether or not that succeeds."""
    try:
        return exchange.announce(cell, clock.now)[1]
    except DrillError as error:
        return Reply(messages=(Message.of("inventory not told", error, Level.WARNING),))


handler = function(TakingRequest, take)
