"""Where the time to recover and the size are heading, from past drills: when an objective will be crossed. Pure.

The trend is the median of the slopes between every two drills, which a few odd drills do not move.
Source: P. K. Sen, "Estimates of the regression coefficient based on Kendall's tau", 1968.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import combinations
from statistics import median

from pgdrill.evidence.record import Summary
from pgdrill.model import Model, Moment

# Fewer drills, or of a shorter time, show no trend.
LEAST = 4
SPAN = timedelta(days=14)
# Beyond that a straight line says nothing.
FAR = timedelta(days=730)
DAY = timedelta(days=1)


class Trend(Model):
    """A quantity's way through past drills. `now` is what the line says of the moment asked for, `per_day` its slope.

    `crosses_at` is when it reaches the limit: None where it does not within two years, the moment itself where it has.
    """

    drills: int
    now: float
    per_day: float
    crosses_at: Moment | None


class Forecast(Model):
    """`rto` is in seconds, against the RTO objective; `bytes` what was read of the copies. None without a trend.

    `helps` says what would keep the objective; empty where nothing is about to cross it.
    """

    rto: Trend | None
    bytes: Trend | None
    helps: tuple[str, ...] = ()


def forecast(past: Sequence[Summary], objective: float, now: datetime) -> Forecast:
    """Return where the drills of a database, oldest first, are heading."""
    times = [(one.started_at, one.rto_usable) for one in past if one.rto_usable is not None]
    sizes = [(one.started_at, float(one.examined_bytes)) for one in past if one.examined_bytes]
    rto = trend(times, objective, now)
    size = trend(sizes, None, now)
    near = rto is not None and rto.crosses_at is not None
    return Forecast(rto=rto, bytes=size, helps=_helps(size) if near else ())


def trend(seen: Sequence[tuple[datetime, float]], limit: float | None, now: datetime) -> Trend | None:
    """Return the line through what was seen; None where there is too little of it."""
    if len(seen) < LEAST or seen[-1][0] - seen[0][0] < SPAN:
        return None
    slopes = [
        (b - a) / ((later - earlier) / DAY)
        for (earlier, a), (later, b) in combinations(seen, 2)
        if later > earlier
    ]
    slope = median(slopes)
    level = median(value + slope * ((now - at) / DAY) for at, value in seen)
    return Trend(drills=len(seen), now=level, per_day=slope, crosses_at=_crossing(level, slope, limit, now))


def _crossing(level: float, slope: float, limit: float | None, now: datetime) -> datetime | None:
    if limit is None:
        return None
    if level >= limit:
        return now
    if slope <= 0 or (days := (limit - level) / slope) > FAR / DAY:
        return None
    return now + days * DAY


def _helps(size: Trend | None) -> tuple[str, ...]:
    told = [
        "see in the timeline of the last report which stage takes the time: RDS's restore, the password, or the first query",
        "restore the newest snapshot instead of a moment long after the last one: there is less log to replay",
    ]
    if size is not None and size.per_day > 0:
        told.append("archive old data and drop it, or split the database: what is restored grows with it")
    told.append("agree on another RTO objective before this one is missed")
    return tuple(told)
