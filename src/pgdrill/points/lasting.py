"""Tells once what rounds find again each time, where no alarm stands behind it. Reads and writes one object.

What was told is remembered for as long as it is found, and a day longer: a round that looks at less does not end it.
"""

from contextlib import suppress
from datetime import datetime, timedelta

from pydantic import BaseModel, ValidationError

from pgdrill.cell import Cell
from pgdrill.errors import DrillError
from pgdrill.messages import Message, Reply
from pgdrill.model import Moment

# Each of a lasting state has the same words in every round.
LASTING = frozenset({"copy ended", "copy refused", "copy of another instance"})
REMEMBERED = timedelta(days=1)


class _Said(BaseModel):
    """When something was found last, by its words."""

    found_at: dict[str, Moment] = {}


def once(cell: Cell, reply: Reply, now: datetime) -> Reply:
    """Return a round's reply with a note for what was told by an earlier one."""
    known = _known(cell)
    lasting = {_words(message) for message in reply.messages if message.topic in LASTING}
    fresh = {words: at for words, at in known.items() if at > now - REMEMBERED}
    found = fresh | dict.fromkeys(lasting, now)
    if found != known:
        with suppress(
            DrillError
        ):  # what is not remembered is told once more, and the round is told in any case
            cell.store.put(_key(cell), _Said(found_at=found).model_dump_json().encode())
    return reply.model_copy(
        update={"messages": tuple(one.noted() if _words(one) in fresh else one for one in reply.messages)}
    )


def _words(message: Message) -> str:
    return f"{message.topic}: {message.text}"


def _known(cell: Cell) -> dict[str, datetime]:
    """What cannot be read is told once more."""
    try:
        body = cell.store.get(_key(cell))
        return dict(_Said.model_validate_json(body).found_at) if body is not None else {}
    except (DrillError, ValidationError):
        return {}


def _key(cell: Cell) -> str:
    return f"inventory/{cell.place.region}/said.json"
