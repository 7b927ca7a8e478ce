"""Slots: the scheduled moments that recovery points belong to, so that a retry finds the point it made before.

Pure arithmetic on the plan's [points]; touches nothing. A slot is a moment in UTC. Its name is the one of the
design, `2026-11-22T06Z`, with minutes where the plan's offset has them, `2026-11-22T0630Z`.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from pgdrill.errors import PlanError
from pgdrill.plan import Copies, Points

# Days are alike in UTC, so what holds of one holds of all.
_ANY_DAY = datetime(2000, 1, 1, tzinfo=UTC)
_MOMENT = timedelta(microseconds=1)
_NAME = re.compile(r"(\d{4})-(\d\d)-(\d\d)[Tt](\d\d)(\d\d)?[Zz]")


def slot_of(points: Points, moment: datetime) -> datetime:
    """Return the slot that `moment` belongs to: the last one at or before it."""
    moment = moment.astimezone(UTC)
    first = _midnight(moment) + points.offset
    return first + (moment - first) // points.every * points.every


def next_slot(points: Points, moment: datetime) -> datetime:
    """Return the first slot after `moment`."""
    return slot_of(points, moment) + points.every


def slots(points: Points, since: datetime, until: datetime) -> Iterator[datetime]:
    """Yield the slots from `since` on and before `until`, oldest first."""
    slot = slot_of(points, since)
    if slot < since:
        slot += points.every
    while slot < until:
        yield slot
        slot += points.every


def first_of_day(points: Points, slot: datetime) -> bool:
    """Tell whether a slot is the first of its day in UTC: the one kept as daily, and exported."""
    return slot - points.every < _midnight(slot)


def wanted(points: Points, kept: Points | Copies, slot: datetime, now: datetime) -> bool:
    """Tell whether the plan wants the point of `slot` at `now`, in the region whose rules `kept` holds.

    A point is wanted until it is `keep` old; where `daily_after` is set, only the first of a day from that age on.
    """
    age = now - slot
    if age >= kept.keep:
        return False
    return kept.daily_after is None or age < kept.daily_after or first_of_day(points, slot)


@lru_cache
def most_wanted(points: Points, kept: Points | Copies) -> int:
    """Return how many points of one database the plan wants at once, at the busiest moment of a day."""
    now = _ANY_DAY + kept.keep
    return max(
        sum(wanted(points, kept, slot, end) for slot in slots(points, end - kept.keep, end + _MOMENT))
        for end in slots(points, now, now + timedelta(days=1))
    )


def name(slot: datetime) -> str:
    """Return `2026-11-22T06Z`; a slot off the hour has minutes too: `2026-11-22T0630Z`."""
    slot = slot.astimezone(UTC)
    return f"{slot:%Y-%m-%dT%H%MZ}" if slot.minute else f"{slot:%Y-%m-%dT%HZ}"


def named(text: str) -> datetime:
    """Return the slot of that name, whether or not the plan, which may have changed, has such a slot.

    Raises:
        PlanError: not the name of a slot.
    """
    slot = _read(text)
    if slot is None:
        raise PlanError(f"{text!r} is not a slot", hint="write its UTC day and hour: 2026-11-22T06Z")
    return slot


def point_id(prefix: str, slot: datetime) -> str:
    """Return the id of the slot's point, `<prefix>2026-11-22t06z`: RDS stores identifiers in lower case."""
    return f"{prefix}{name(slot).lower()}"


def slot_in(prefix: str, identifier: str) -> datetime | None:
    """Return the slot of a point's id; None for an id that `point_id` did not make, such as an unscheduled one."""
    slot = _read(identifier.removeprefix(prefix)) if identifier.startswith(prefix) else None
    return slot if slot and point_id(prefix, slot) == identifier else None


def _read(text: str) -> datetime | None:
    match = _NAME.fullmatch(text)
    if not match:
        return None
    try:
        return datetime(*(int(part or 0) for part in match.groups()), tzinfo=UTC)  # type: ignore[arg-type,misc]  # five integers
    except ValueError:
        return None


def _midnight(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
