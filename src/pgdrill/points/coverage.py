"""PITR coverage: which ages of the window a drill has proved, when, and which one is to be proved next. Pure.

A moment of six days ago comes back over another base backup and other WAL than one of an hour ago, so each is
proved by itself. An age is what a moment has when its drill begins; the window is cut into cells of six hours.
"""

import hashlib
import math
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Protocol

from pgdrill.model import Model, Moment, PointKind, Verdict

CELL = timedelta(hours=6)
CELLS_A_DAY = timedelta(days=1) // CELL
# As many drills as are looked back upon: several rounds of a week's 28 cells.
REMEMBERED = 400
# The window's old end moves on while RDS is being asked.
MARGIN = timedelta(minutes=10)


class Past(Protocol):
    """What coverage needs to know of a past drill."""

    @property
    def drill(self) -> str: ...
    @property
    def kind(self) -> PointKind: ...
    @property
    def started_at(self) -> datetime: ...
    @property
    def recovers_to(self) -> datetime: ...
    @property
    def verdict(self) -> Verdict: ...


class Try(Model):
    drill: str
    at: Moment
    verdict: Verdict


class Age(Model):
    """One cell of the window: moments that are `from_hours` up to `to_hours` old when their drill begins.

    `proved` is the last drill that passed, `tried` the last one whatever it said.
    """

    from_hours: int
    to_hours: int
    proved: Try | None = None
    tried: Try | None = None

    @property
    def verdict(self) -> Verdict:
        """Return passed or failed as drills have shown, inconclusive where none could tell, else not_asked."""
        if self.tried is None:
            return Verdict.NOT_ASKED
        if self.tried.verdict is Verdict.FAILED:
            return Verdict.FAILED
        return Verdict.PASSED if self.proved else Verdict.INCONCLUSIVE

    @property
    def shown(self) -> Try | None:
        """The drill that the verdict comes from."""
        return self.proved if self.verdict is Verdict.PASSED else self.tried


def ages(past: Iterable[Past], now: datetime, window: timedelta) -> tuple[Age, ...]:
    """Return the cells of a window of that length, newest first, with what the drills up to `now` have shown."""
    hours = CELL // timedelta(hours=1)
    cells = [
        Age(from_hours=index * hours, to_hours=(index + 1) * hours)
        for index in range(math.ceil(window / CELL))
    ]
    for drill in sorted(past, key=lambda drill: drill.started_at):
        index = (drill.started_at - drill.recovers_to) // CELL
        if drill.kind is not PointKind.PITR or drill.started_at > now or not 0 <= index < len(cells):
            continue
        seen = Try(drill=drill.drill, at=drill.started_at, verdict=drill.verdict)
        proved = seen if drill.verdict is Verdict.PASSED else cells[index].proved
        cells[index] = cells[index].model_copy(update={"tried": seen, "proved": proved})
    return tuple(cells)


def longest_unproved(cells: Sequence[Age], among: Iterable[int] | None = None) -> int:
    """Return the index of the cell to prove next: never proved before proved, and then the longest ago.

    Of those never proved, one that was not tried comes before one whose drill did not pass, so that a single bad
    cell does not keep the others waiting; and of those not tried, the farthest from all that were, the oldest of
    them: the ends of the window come first, then its middle, so that few drills show most.

    Raises:
        ValueError: there is no cell among which to choose.
    """
    tried = [index for index, cell in enumerate(cells) if cell.tried]

    def urgency(index: int) -> tuple[datetime, datetime, float, int]:
        never = datetime.min.replace(tzinfo=UTC)
        cell = cells[index]
        away = min((abs(index - other) for other in tried), default=0)
        return (
            cell.proved.at if cell.proved else never,
            cell.tried.at if cell.tried else never,
            -away,
            -index,
        )

    return min(range(len(cells)) if among is None else among, key=urgency)


def aim(
    cells: Sequence[Age], now: datetime, earliest: datetime, latest: datetime, seed: str
) -> datetime | None:
    """Return a moment of the longest unproved cell that PITR can reach; None where it reaches none.

    The moment lies anywhere in the cell, whole seconds, the same for the same arguments.
    """
    reached = _reached(cells, now, earliest, latest)
    if not reached:
        return None
    first, last = reached[longest_unproved(cells, reached)]
    chance = int.from_bytes(hashlib.sha256(seed.encode()).digest())
    return datetime.fromtimestamp(first + chance % (last - first + 1), UTC)


def due(cells: Sequence[Age], now: datetime, earliest: datetime, latest: datetime) -> Age | None:
    """Return the cell that `aim` aims at; None where PITR reaches none."""
    reached = _reached(cells, now, earliest, latest)
    return cells[longest_unproved(cells, reached)] if reached else None


def _reached(
    cells: Sequence[Age], now: datetime, earliest: datetime, latest: datetime
) -> dict[int, tuple[int, int]]:
    """Return the cells that PITR can reach, by index: the first and the last whole second of each, since the epoch."""
    earliest += min(MARGIN, (latest - earliest) / 10)
    reached: dict[int, tuple[int, int]] = {}
    for index in range(len(cells)):
        first = math.ceil(max(now - (index + 1) * CELL + timedelta(seconds=1), earliest).timestamp())
        last = math.floor(min(now - index * CELL, latest).timestamp())
        if first <= last:
            reached[index] = first, last
    return reached


def proved(cells: Sequence[Age]) -> int:
    return sum(cell.verdict is Verdict.PASSED for cell in cells)


def days(cells: Sequence[Age]) -> list[Sequence[Age]]:
    """Return the cells of each day, newest day first: the rows of the picture."""
    return [cells[first : first + CELLS_A_DAY] for first in range(0, len(cells), CELLS_A_DAY)]
