"""What `take` and `seal` share: a point in the making, which a state machine hands from one to the other.

`taking.next` says whose step is next: `seal_before` and `seal_after` are the sealing function's, which reaches
production and nothing of RDS; all else is the taking one's, which is the other way round.
"""

import logging
from collections.abc import Sequence
from typing import Any

from pydantic import model_validator

from pgdrill.cell import Cell
from pgdrill.checks.check import Check
from pgdrill.handlers.payloads import Answer, Failure
from pgdrill.model import Clock, Model, Moment
from pgdrill.points import taking
from pgdrill.points.taking import Taking

log = logging.getLogger(__name__)


class TakingRequest(Model):
    """A point to begin, or one that is under way; with `error` one that was not taken."""

    due_at: Moment | None = None
    database: str | None = None
    taking: Taking | None = None
    error: Failure | None = None

    @model_validator(mode="after")
    def _one(self) -> "TakingRequest":
        if (self.taking is None) != (self.due_at is not None and self.database is not None):
            raise ValueError("give taking, or due_at and database")
        return self


class TakingAnswer(Answer):
    taking: Taking | None = None


def stepped(begun: Taking, cell: Cell, clock: Clock, checks: Sequence[Check[Any]]) -> TakingAnswer:
    """Carry out the next step; `checks` are what a seal measures."""
    done = taking.step(begun, cell, clock, checks)
    log.info("point %s: %s, then %s in %.1f s; %s", done.point, begun.next, done.next, done.wait, done.said)
    return TakingAnswer(taking=done)
