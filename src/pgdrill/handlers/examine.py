"""The function `examine`: measures what time allows of the checks in the temporary instance; called until none is left."""

import logging

from pgdrill.cell import Cell
from pgdrill.drills import drill
from pgdrill.drills.state import Drill, Step
from pgdrill.handlers.boundary import function
from pgdrill.handlers.steps import DrillRequest, step
from pgdrill.model import Clock

log = logging.getLogger(__name__)


def examine(begun: Drill, cell: Cell, clock: Clock) -> Drill:
    return drill.examine(begun, cell, clock, lambda text: log.debug("%s", text))


handler = function(DrillRequest, step(Step.EXAMINE, examine))
