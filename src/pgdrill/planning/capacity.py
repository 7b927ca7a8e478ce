"""What there is room for: snapshots under the quota, copies under way, exports, dollars. Pure rules of the solver."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from pgdrill import slots
from pgdrill.evidence.wording import duration
from pgdrill.plan import Copies, Points, spelled
from pgdrill.planning import cost, pace
from pgdrill.planning.obstacle import SNAPSHOT_QUOTA, Obstacle, Question, RegionFacts, Severity

DAY = timedelta(days=1)
QUOTA_CODE = "L-272F1212"
# Tasks at a time in an account. Source: RDS User Guide, "Exporting DB snapshot data to Amazon S3".
EXPORT_TASKS = 5


def quota(asked: Question) -> Iterator[Obstacle]:
    """Manual snapshots are limited in each region, for the whole account."""
    plan, facts = asked.plan, asked.facts
    yield from _quota(asked, "points", plan.points, plan.primary.region, facts.primary if facts else None)
    yield from _quota(asked, "copies", plan.copies, plan.dr.region, facts.dr if facts else None)


def _quota(
    asked: Question, section: str, kept: Points | Copies, region: str, facts: RegionFacts | None
) -> Iterator[Obstacle]:
    points, databases = asked.plan.points, len(asked.plan.databases)
    limit = facts.quota.limit if facts else SNAPSHOT_QUOTA
    others = facts.quota.used - len(facts.points) if facts else 0
    full = runs_out(
        points,
        kept,
        databases=databases,
        room=limit - others,
        there=facts.points if facts else (),
        now=asked.now,
    )
    if full is None:
        return
    needed = snapshots(points, kept, databases)
    daily = databases * -(-kept.keep // DAY)
    there = f" beside {others} other{'s' if others > 1 else ''}" if others else ""
    remedy = f"raise the quota {QUOTA_CODE} in {region} to {needed + others} or more"
    if daily + others <= limit and kept.daily_after is None:
        remedy += f', or keep one a day after a week: {section}.daily_after = "7d"'
    yield Obstacle(
        severity=Severity.WARNING if facts is None and daily <= limit else Severity.ERROR,
        key=f"{section}.keep",
        value=spelled(kept.keep),
        what=f"{needed} snapshots are kept in {region}{there}, the quota is {limit}"
        + ("" if facts else " unless it was raised")
        + f": full at the slot {slots.name(full)}, and retention is shortened from then on"
        + ("" if daily + others <= limit else f"; not even {daily} fit, one a day"),
        remedy=remedy,
        day=full.date(),
    )


def snapshots(points: Points, kept: Points | Copies, databases: int) -> int:
    """Return how many manual snapshots there are at most in a region, all databases together.

    One more of each where days are thinned: the day of the deployment begins with another slot than the others.
    """
    return databases * (slots.most_wanted(points, kept) + (kept.daily_after is not None))


def runs_out(
    points: Points,
    kept: Points | Copies,
    *,
    databases: int,
    room: int,
    there: tuple[datetime, ...],
    now: datetime,
) -> datetime | None:
    """Return the first slot that finds no room, when all that is no longer wanted was deleted before; else None.

    As `retention` does, it keeps the first point that there is of a day, which is not the day's first slot on the
    day of the deployment.
    """
    held = sorted(there)
    for slot in slots.slots(points, now, now + kept.keep + 2 * DAY):
        first = {moment.date(): moment for moment in reversed(held)}
        held = [moment for moment in held if _wanted(kept, slot - moment, moment == first[moment.date()])]
        if len(held) + databases > room:
            return slot
        held += [slot] * databases
    return None


def _wanted(kept: Points | Copies, age: timedelta, first: bool) -> bool:
    return age < kept.keep and (kept.daily_after is None or age < kept.daily_after or first)


def copying(asked: Question) -> Iterator[Obstacle]:
    """Copies must be made faster than points are taken, or the backlog grows."""
    plan = asked.plan
    waves = -(-len(plan.databases) // plan.copies.in_flight)
    largest = max(database.storage_gb for database in plan.databases)
    every = plan.points.every
    changed = pace.copying(largest * plan.cost.changed_daily * (every / DAY))
    takes = pace.Span(waves * changed.least, waves * changed.most)
    span = f"{duration(takes.least)} to {duration(takes.most)}"
    if takes.most > every.total_seconds():
        yield Obstacle(
            severity=Severity.ERROR if takes.least > every.total_seconds() else Severity.WARNING,
            key="copies.in_flight",
            value=str(plan.copies.in_flight),
            what=f"the copies of a slot take {span}, and the next slot comes after {spelled(every)}: the backlog grows",
            remedy="raise copies.in_flight, at most 20, or take points less often",
        )
    late = plan.copies.late_after
    if takes.most > late.total_seconds():
        yield Obstacle(
            severity=Severity.ERROR if takes.least > late.total_seconds() else Severity.WARNING,
            key="copies.late_after",
            value=spelled(late),
            what=f"the copies of a slot take {span}: they are late by this plan",
            remedy="raise copies.late_after, or copies.in_flight if copies wait for each other",
        )
    first = pace.copying(largest)
    if first.most > late.total_seconds() >= takes.most:
        yield Obstacle(
            severity=Severity.WARNING,
            key="copies.late_after",
            value=spelled(late),
            what=f"the first copy is of all {largest} GB and takes {duration(first.least)} to"
            f" {duration(first.most)}: its alarm is to be expected, once",
            remedy="let the first copy finish before the alarms are switched on",
            day=slots.next_slot(plan.points, asked.now).date(),
        )


def exports(asked: Question) -> Iterator[Obstacle]:
    """An export needs a bucket and a role of the primary region, and waits for its turn."""
    plan = asked.plan
    if plan.exports.schedule == "off":
        return
    missing = [key for key in ("archive_bucket", "export_role") if getattr(plan.primary, key) is None]
    if missing:
        keys = " and ".join(f"primary.{key}" for key in missing)
        yield Obstacle(
            severity=Severity.ERROR,
            key="exports.schedule",
            value=plan.exports.schedule,
            what=f"exports are planned, but {keys} {'is' if len(missing) == 1 else 'are'} not given",
            remedy=f'give {keys}, or set exports.schedule = "off"',
        )
    if len(plan.databases) > EXPORT_TASKS:
        yield Obstacle(
            severity=Severity.WARNING,
            key="exports.schedule",
            value=plan.exports.schedule,
            what=f"{len(plan.databases)} exports fall due at once, and an account runs {EXPORT_TASKS} at a time:"
            " the rest wait",
            remedy="nothing, if they may; else put some databases into a plan with another offset",
        )


def retention(asked: Question) -> Iterator[Obstacle]:
    """Thirty days of six-hourly points and seven days of PITR are what was required; less is said aloud."""
    plan = asked.plan
    required = Points()
    thinner = [
        ("points.every", plan.points.every, plan.points.every > required.every, "a point every 6h"),
        ("points.keep", plan.points.keep, plan.points.keep < required.keep, "points kept for 30d"),
        ("points.pitr", plan.points.pitr, plan.points.pitr < required.pitr, "a PITR window of 7d"),
        (
            "exports.keep",
            plan.exports.keep,
            plan.exports.schedule != "off" and plan.exports.keep < required.keep,
            "exports kept for 30d",
        ),
    ]
    found = [(key, spelled(value), said) for key, value, thin, said in thinner if thin]
    if plan.points.daily_after is not None:
        found.append(("points.daily_after", spelled(plan.points.daily_after), "every slot kept for 30d"))
    if plan.exports.schedule == "off":
        found.append(("exports.schedule", "off", "an export a day"))
    for key, value, said in found:
        yield Obstacle(
            severity=Severity.WARNING,
            key=key,
            value=value,
            what=f"less than the requirement, which is {said}",
            remedy=f"leave {key} at its default, or have the exception approved",
        )


def ceiling(asked: Question) -> Iterator[Obstacle]:
    reckoned = cost.estimate(asked.plan)
    if reckoned.total > reckoned.ceiling:
        dearest = max(reckoned.lines, key=lambda line: line.usd)
        yield Obstacle(
            severity=Severity.ERROR,
            key="cost.ceiling",
            value=f"{reckoned.ceiling:.2f}",
            what=f"the plan costs {reckoned.total:.2f} dollars a month, most of it for {dearest.what}"
            f" in {dearest.region}: {dearest.usd:.2f}",
            remedy="see every line with: pgdrill plan explain; then plan less or raise cost.ceiling",
        )


RULES = (quota, copying, exports, retention, ceiling)
