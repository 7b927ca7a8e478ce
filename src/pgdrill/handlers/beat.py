"""The function `beat`: writes one row into the ledger of every database that has one.

Runs in production's network. What one database ends in does not hinder the others, and is told as a metric of that
database: raising would lose what came of the others, and a retry beat those again. A beat that succeeds tells
nothing; that it is missing, the age of the witness shows.
"""

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from pgdrill import ledger
from pgdrill.cell import Cell
from pgdrill.errors import DrillError
from pgdrill.handlers.boundary import function
from pgdrill.handlers.payloads import Answer, Due
from pgdrill.messages import Metric, Reply
from pgdrill.model import Clock
from pgdrill.plan import DatabasePlan

# Most of a beat is waiting for the network, and one server that does not answer takes ten seconds to give up on.
AT_ONCE = 32

log = logging.getLogger(__name__)


def beat(_: Due, cell: Cell, clock: Clock) -> Answer:
    wanted = [database for database in cell.plan.databases if database.ledger == "on"]
    with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
        failed = [name for name in pool.map(lambda one: _beaten(one, cell, clock), wanted) if name]
    return Answer(reply=_told(failed))


def _beaten(database: DatabasePlan, cell: Cell, clock: Clock) -> str | None:
    """Beat one ledger; return the database's name where that failed."""
    try:
        ledger.beat(cell.production(database, clock), cell.store, database.name)
    except DrillError as error:
        log.warning("no beat of database %s: %s (%s)", database.name, error.message, error.hint)
        return database.name
    return None


def _told(failed: Sequence[str]) -> Reply:
    return Reply(
        metrics=tuple(
            Metric(name="BeatsFailed", value=1, unit="Count", dimensions={"Database": name})
            for name in failed
        )
    )


handler = function(Due, beat)
