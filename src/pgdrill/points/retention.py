"""What to delete of the recovery points in one region. Pure: snapshots, rules, quota and now in, deletions out.

Each database is looked at by itself, and an instance apart from a later one of the same name. What is never
deleted: what is not pgdrill's own by prefix and tags, the newest usable point of a database, what is in the
making, and what the caller names as busy: copied, exported, restored or drilled in either region.
"""

from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from pgdrill import slots
from pgdrill.aws.snapshots import Quota, Snapshot
from pgdrill.errors import PlanError
from pgdrill.messages import Level, Message
from pgdrill.model import Model
from pgdrill.plan import Copies, Points

# How long a failed one stays, for a person to look at; RDS's own events stay 14 days.
FAILED_KEPT = timedelta(days=1)
_DELETABLE = frozenset({"available", "failed"})


class Reason(StrEnum):
    """EXPIRED and THINNED are what the plan says; FAILED was never a point; QUOTA is against the plan."""

    EXPIRED = "expired"
    THINNED = "thinned"
    FAILED = "failed"
    QUOTA = "quota"


class Deletion(Model):
    snapshot: Snapshot
    reason: Reason
    why: str


class Lineage(NamedTuple):
    """One instance's points. A later instance of the same name has another resource, and another lineage."""

    database: str
    resource: str


def lineage(snapshot: Snapshot) -> Lineage:
    """Return whose point it is.

    Raises:
        ValueError: it is not pgdrill's own.
    """
    if snapshot.mark is None:
        raise ValueError(f"snapshot {snapshot.id} carries no mark of pgdrill's")
    return Lineage(snapshot.mark.database, snapshot.mark.resource)


def moment(snapshot: Snapshot) -> datetime:
    """Return what a point's age counts from: its slot, else the moment that it recovers to.

    What RDS has told no time of yet counts as new.
    """
    if snapshot.mark and snapshot.mark.slot:
        with suppress(PlanError):  # somebody may have changed the tag
            return slots.named(snapshot.mark.slot)
    return snapshot.recovers_to or snapshot.created_at or datetime.max.replace(tzinfo=UTC)


def retain(
    points: Iterable[Snapshot],
    rules: Points | Copies,
    quota: Quota,
    now: datetime,
    busy: Collection[str],
    *,
    room: int = 1,
) -> list[Deletion]:
    """Return what to delete, oldest first, so that `room` more snapshots find place in the quota.

    `rules` are those of the region. If what the plan does not want is not enough to make room, every day is
    thinned to its first point, the oldest first, and never below; what is missing then, `short` tells.
    """
    own = sorted((point for point in points if point.mark), key=lambda point: (moment(point), point.id))
    daily = _dailies(own)
    newest = _newest(own)
    deletable = [p for p in own if p.status in _DELETABLE and p.id not in busy and p.id not in newest]
    unwanted = {
        point.id: deletion
        for point in deletable
        if (deletion := _unwanted(point, rules, now, daily=point.id in daily))
    }
    excess = quota.used + room - quota.limit - len(unwanted)
    for point in sorted(deletable, key=lambda point: point.usable):  # what failed goes first
        if excess <= 0:
            break
        if point.id not in unwanted and point.id not in daily:
            unwanted[point.id] = _forced(point, quota)
            excess -= 1
    return [unwanted[point.id] for point in deletable if point.id in unwanted]


def short(deletions: Sequence[Deletion], quota: Quota, room: int = 1) -> int:
    """Return how many snapshots too many there are still, once the deletions are done."""
    return max(0, quota.used + room - quota.limit - len(deletions))


def messages(deletions: Sequence[Deletion], quota: Quota, region: str, room: int = 1) -> tuple[Message, ...]:
    """Say that the quota shortens the plan's retention, or that a new snapshot may be refused all the same."""
    told = []
    forced = [deletion for deletion in deletions if deletion.reason is Reason.QUOTA]
    if forced:
        until = moment(forced[-1].snapshot)
        told.append(
            Message(
                level=Level.ALARM,
                topic="retention shortened",
                text=f"{len(forced)} recovery points that the plan wants make room in {region}: its quota is"
                f" {quota.limit} manual snapshots, {quota.used} are there; up to {until:%Y-%m-%d} days hold"
                " one point each where it was needed",
                hint="raise the quota L-272F1212 of RDS in this region, or thin in the plan with daily_after",
            )
        )
    if missing := short(deletions, quota, room):
        told.append(
            Message(
                level=Level.ALARM,
                topic="quota exhausted",
                text=f"{missing} snapshots too many stay in {region}: its quota is {quota.limit} manual"
                f" snapshots, {quota.used} are there, and no more could be deleted; the next one will be refused",
                hint="raise the quota L-272F1212 of RDS in this region, or delete snapshots that are not pgdrill's",
            )
        )
    return tuple(told)


def _unwanted(point: Snapshot, rules: Points | Copies, now: datetime, *, daily: bool) -> Deletion | None:
    age = now - moment(point)
    if not point.usable:
        if age < FAILED_KEPT:
            return None
        return Deletion(snapshot=point, reason=Reason.FAILED, why=f"it failed {_days(age)} ago")
    if age >= rules.keep:
        why = f"it is {_days(age)} old, kept are {_days(rules.keep)}"
        return Deletion(snapshot=point, reason=Reason.EXPIRED, why=why)
    if rules.daily_after is not None and age >= rules.daily_after and not daily:
        why = f"it is {_days(age)} old, one a day is kept after {_days(rules.daily_after)}"
        return Deletion(snapshot=point, reason=Reason.THINNED, why=why)
    return None


def _forced(point: Snapshot, quota: Quota) -> Deletion:
    if not point.usable:
        return Deletion(snapshot=point, reason=Reason.FAILED, why="it failed, and room is needed")
    why = f"the plan wants it, but the quota of {quota.limit} manual snapshots leaves no room"
    return Deletion(snapshot=point, reason=Reason.QUOTA, why=why)


def _dailies(own: Sequence[Snapshot]) -> set[str]:
    """Return the first usable point of every day and instance; one of a slot before one out of turn."""
    first: dict[tuple[Lineage, date], Snapshot] = {}
    for point in sorted(own, key=lambda point: point.mark is None or point.mark.slot is None):
        if point.usable:
            first.setdefault((lineage(point), moment(point).date()), point)
    return {point.id for point in first.values()}


def _newest(own: Sequence[Snapshot]) -> set[str]:
    """Return the newest usable point of every database, whichever instance it is of."""
    newest = {lineage(point).database: point.id for point in own if point.usable}
    return set(newest.values())


def _days(age: timedelta) -> str:
    return f"{age.days} days" if age.days != 1 else "1 day"
