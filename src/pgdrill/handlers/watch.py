"""The function `watch`: gathers all that this cell has, tells the other cell, and measures how old each good thing is.

One gathering serves both, since nothing asks RDS more than that. Its state machine asks before it what cannot be asked
from here. Metrics that do not fit into one answer are left in the store, and given out when they are asked for.
"""

import logging
from collections.abc import Sequence

from pydantic import model_validator

from pgdrill.cell import Cell
from pgdrill.errors import Broken
from pgdrill.handlers.boundary import function
from pgdrill.handlers.payloads import Answer
from pgdrill.messages import Metric, Reply
from pgdrill.model import Clock, Model, Moment
from pgdrill.points import exchange
from pgdrill.watching.ages import measure
from pgdrill.watching.look import Asked, look
from pgdrill.watching.sighting import Sighting

# As many as fit into a state with all that is around them, whatever the names of databases.
AT_ONCE = 150

log = logging.getLogger(__name__)


class WatchRequest(Model):
    """A look to take, with what the state machine has `asked`; or a part of the last one's metrics."""

    due_at: Moment | None = None
    asked: Asked = Asked()
    part: str | None = None

    @model_validator(mode="after")
    def _one(self) -> "WatchRequest":
        if (self.part is None) == (self.due_at is None):
            raise ValueError("give due_at, or part")
        return self


class WatchAnswer(Answer):
    """`parts` are the keys of further metrics."""

    parts: tuple[str, ...] = ()


def watch(request: WatchRequest, cell: Cell, clock: Clock) -> WatchAnswer:
    if request.part is not None:
        return WatchAnswer(reply=_part(cell, request.part))
    instances = cell.rds.named("")
    own, told = exchange.announce(cell, clock.now, instances)
    seen = look(cell, own, instances, request.asked, clock.now)
    _log(seen)
    metrics = measure(seen, cell.plan)
    return WatchAnswer(reply=told + Reply(metrics=metrics[:AT_ONCE]), parts=_left(cell, metrics[AT_ONCE:]))


def _left(cell: Cell, metrics: Sequence[Metric]) -> tuple[str, ...]:
    """Leave metrics in the store, in parts; return their keys."""
    parts = [metrics[first : first + AT_ONCE] for first in range(0, len(metrics), AT_ONCE)]
    keys = tuple(f"watch/{cell.place.region}/{number:02d}.json" for number in range(1, len(parts) + 1))
    for key, part in zip(keys, parts, strict=True):
        cell.store.put(key, Reply(metrics=tuple(part)).model_dump_json().encode())
    return keys


def _part(cell: Cell, key: str) -> Reply:
    body = cell.store.get(key)
    if body is None:
        raise Broken(f"there are no metrics at {key!r}", hint="the next look leaves them there again")
    return Reply.model_validate_json(body)


def _log(seen: Sighting) -> None:
    """Name what metrics only count."""
    for what, names in (
        ("unseen", sorted(seen.unseen)),
        ("key not usable", seen.unusable_keys),
        ("secret not usable", seen.unusable_secrets),
        ("schedule disabled", seen.disabled_schedules),
    ):
        for name in names:
            log.warning("%s: %s", what, name)


handler = function(WatchRequest, watch)
