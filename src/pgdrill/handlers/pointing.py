"""What `take` and `seal` share: a point in the making, which a state machine hands from one to the other.

`taking.next` says whose step is next: `seal_before` and `seal_after` are the sealing function's, which reaches
production and nothing of RDS; all else is the taking one's, which is the other way round.
"""

from pydantic import model_validator

from pgdrill.handlers.payloads import Answer, Failure
from pgdrill.model import Model, Moment
from pgdrill.points.taking import Taking


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
