"""Seals production between two points, so that a moment of the PITR window has seals near by.

A moment is compared with the nearest seals on either side; those of the points alone can be half a slot away.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from pgdrill import seal
from pgdrill.cell import Cell
from pgdrill.checks.check import Check
from pgdrill.model import Clock
from pgdrill.plan import DatabasePlan

# A clock that is behind seals a little before it is due.
SKEW = timedelta(minutes=1)


def take(
    cell: Cell, database: DatabasePlan, due_at: datetime, clock: Clock, checks: Sequence[Check[Any]]
) -> bool:
    """Seal production once for a moment; return whether it was sealed now: an earlier try may have done it.

    Raises:
        DrillError: it could not be sealed.
    """
    point = f"{seal.BETWEEN}{due_at.astimezone(UTC):%Y%m%dt%H%M%Sz}"
    if seal.taken_for(cell.store, database.name, point, since=due_at - SKEW):
        return False
    server = cell.production(database, clock)
    seal.keep(cell.store, seal.take(server, checks, database.name, point, clock), "before")
    return True
