"""A deployment that is well, looked at from either cell at any moment; a test makes one thing of it go wrong."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import cache

from pgdrill import slots
from pgdrill.aws.snapshots import Quota, Snapshot
from pgdrill.model import Beat, Verdict
from pgdrill.plan import Plan
from pgdrill.points.inventory import Inventory
from pgdrill.watching.sighting import Archived, Ended, Running, Sighting, Watched
from tests.unit.instances import instance
from tests.unit.plans import plan
from tests.unit.snapshots import AWAY, HOME, copied, snapshot

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
FIRST = datetime(2026, 9, 1, tzinfo=UTC)
USABLE_AFTER, COPIED_AFTER, EXPORTED_AFTER, DRILL_TAKES = 9 * MINUTE, 50 * MINUTE, 3 * HOUR, 100 * MINUTE
# Fewer than the plan keeps: no alarm asks for old ones, and a month is to pass quickly.
SEEN = DAY

PLAN: Plan = plan()
Change = Callable[[Sighting], Sighting]


def same(seen: Sighting) -> Sighting:
    return seen


def look(region: str, now: datetime) -> Sighting:
    """Return what the watch of a region finds at a moment when all is well."""
    here = own(region, now)
    there = AWAY if region == HOME else HOME
    return Sighting(
        now=now,
        since=FIRST,
        own=here,
        heard=own(there, now - 3 * MINUTE),
        databases=(watched(region, now),),
        # The canary of a day has arrived two minutes after it was due.
        canary_at=last(now - 2 * MINUTE, DAY, 9 * HOUR),
        dollars=4.0,
    )


def own(region: str, now: datetime) -> Inventory:
    # Copies go a little later than their points, whose inventory is heard a little late.
    since = now - SEEN - (HOUR if region == AWAY else timedelta(0))
    points = tuple(one for slot in taken(since, now) for one in _points(region, slot, now))
    beat = Beat(sequence=1, beat_at=now - 40 * timedelta(seconds=1), done_at=now - MINUTE / 2, digest="d")
    ledger = {"shop": beat} if region == HOME else {}
    return Inventory(
        region=region,
        suffix="lab",
        made_at=now,
        quota=Quota(used=80, limit=100),
        snapshots=points,
        ledger=ledger,
    )


def taken(since: datetime, now: datetime) -> Iterator[datetime]:
    return slots.slots(PLAN.points, since, now + timedelta(microseconds=1))


def _points(region: str, slot: datetime, now: datetime) -> Iterator[Snapshot]:
    made = _made(slot)
    if region == HOME:
        ready = now >= slot + USABLE_AFTER
        yield made if ready else made.model_copy(update={"status": "creating", "recovers_to": None})
    elif now >= slot + COPIED_AFTER:
        yield _copy(slot)


@cache
def _made(slot: datetime) -> Snapshot:
    return snapshot(slot)


@cache
def _copy(slot: datetime) -> Snapshot:
    return copied(snapshot(slot), slot + COPIED_AFTER)


def watched(region: str, now: datetime) -> Watched:
    every = 7 * DAY if region == HOME else 28 * DAY
    began = last(now, every, 2 * HOUR)
    running = began + DRILL_TAKES > now
    passed = began - every if running else began
    answered = began + 20 * MINUTE
    exported = last(now - EXPORTED_AFTER, DAY, PLAN.points.offset)
    return Watched(
        database="shop",
        since=FIRST,
        instance=instance(id="shop-production", retention_days=7, restorable_to=shipped(now))
        if region == HOME
        else None,
        passed_at=passed if passed >= FIRST else None,
        ended=Ended(drill=f"{passed:%Y%m%d}", verdict=Verdict.PASSED, rto=1200.0)
        if passed >= FIRST
        else None,
        running=Running(
            drill=f"{began:%Y%m%d}",
            started_at=began,
            requested_at=began + MINUTE,
            queried_at=answered if answered <= now else None,
        )
        if running
        else None,
        archived=Archived(passed_of=exported) if region == HOME else None,
    )


def shipped(now: datetime) -> datetime:
    """Return the restorable time: the log is shipped every five minutes, and takes two."""
    return last(now - 2 * MINUTE, 5 * MINUTE, timedelta(0))


def last(now: datetime, every: timedelta, offset: timedelta) -> datetime:
    """Return the last moment of a rhythm that began with FIRST."""
    return FIRST + offset + (now - FIRST - offset) // every * every
