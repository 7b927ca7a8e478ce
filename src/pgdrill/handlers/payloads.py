"""What comes into functions and what goes out of them, as JSON. Plain data; no I/O.

`due_at` says which slot, turn or round is meant; what time it is, the clock says. `reply` is None where there is
nothing to tell.
"""

from pydantic import ConfigDict

from pgdrill.messages import Reply
from pgdrill.model import Model, Moment


class Due(Model):
    """What a schedule sends: the moment that it was to fire at."""

    due_at: Moment


class Failure(Model):
    """An error as a state machine's Catch has it: `Error` is a name, `Cause` of a function's own error is JSON."""

    model_config = ConfigDict(alias_generator=str.capitalize)

    error: str
    cause: str = ""


class Answer(Model):
    reply: Reply | None = None
