"""What comes when: slots and RDS's own windows, drills and objectives, alarms, freezes. Pure rules of the solver."""

import re
from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta

from pgdrill.evidence.wording import duration
from pgdrill.plan import DatabasePlan, Freeze, Plan, spelled
from pgdrill.planning import pace
from pgdrill.planning.obstacle import Obstacle, Question, Severity

MINUTE, HOUR, DAY, WEEK = (timedelta(minutes=n) for n in (1, 60, 1440, 10080))
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
# How often `watch` publishes, and how soon somebody has to know.
WATCH = timedelta(minutes=5)
TOLD_WITHIN = timedelta(minutes=15)
# An alarm's period times its datapoints. Source: CloudWatch API reference, PutMetricAlarm.
_LONGEST_SHORT, _LONGEST = timedelta(days=1), timedelta(days=7)

Window = tuple[timedelta, timedelta]


def windows(asked: Question) -> Iterator[Obstacle]:
    """RDS refuses a snapshot while it backs up or maintains the instance itself."""
    plan = asked.plan
    adopted = [database for database in plan.databases if database.origin == "adopted"]
    if asked.facts is None:
        if adopted:
            yield Obstacle(
                severity=Severity.UNKNOWN,
                key="points.offset",
                value=spelled(plan.points.offset),
                what="whether a slot lies in the backup or maintenance window of"
                f" {', '.join(database.instance for database in adopted)}",
                remedy="ask RDS with: pgdrill plan check --online",
            )
        return
    taken: list[Window] = []
    met: list[tuple[DatabasePlan, str, str, timedelta]] = []
    for database in plan.databases:
        instance = asked.facts.databases[database.name].instance
        if instance is None:
            continue
        for kind, text in (("backup", instance.backup_window), ("maintenance", instance.maintenance_window)):
            opened = opening(text)
            taken += opened
            hit = _hit(plan, plan.points.offset, opened)
            if text and hit is not None:
                met.append((database, kind, text, hit))
    clear = _clear_offset(plan, taken)
    for database, kind, text, hit in met:
        yield Obstacle(
            severity=Severity.ERROR if kind == "backup" else Severity.WARNING,
            key="points.offset",
            value=spelled(plan.points.offset),
            what=f"the slot at {_clock(hit)} UTC lies in the {kind} window of {database.instance}, {text}",
            remedy=f'set points.offset = "{spelled(clear)}", which is clear of every window'
            if clear is not None
            else "no offset is clear of every window: move the window, or take points less often",
            day=_next(asked.now, hit),
        )


def opening(text: str | None) -> list[Window]:
    """Return when in the week a window such as `18:00-18:30` or `sun:19:30-sun:20:00` is open, from Monday on."""
    parts = [re.fullmatch(r"(?:(\w{3}):)?(\d\d):(\d\d)", part) for part in (text or "").lower().split("-")]
    if len(parts) != 2 or not (parts[0] and parts[1]):
        return []
    begins, ends = (int(part[2]) * HOUR + int(part[3]) * MINUTE for part in parts if part)
    if parts[0][1] and parts[1][1]:
        begins += _DAYS.index(parts[0][1]) * DAY
        length = (ends + _DAYS.index(parts[1][1]) * DAY - begins) % WEEK
        return [(begins, begins + length)]
    length = (ends - begins) % DAY
    return [(day * DAY + begins, day * DAY + begins + length) for day in range(7)]


def _hit(plan: Plan, offset: timedelta, opened: Sequence[Window]) -> timedelta | None:
    """Return the first slot of the week whose snapshot is made while a window is open."""
    busy = plan.objectives.usable_after
    for number in range(WEEK // plan.points.every):
        slot = offset + number * plan.points.every
        for begins, ends in opened:
            # The week is a circle: a window of Sunday night reaches into Monday.
            if any(
                begins + turn < slot + busy and slot < ends + turn for turn in (-WEEK, timedelta(0), WEEK)
            ):
                return slot
    return None


def _clear_offset(plan: Plan, opened: Sequence[Window]) -> timedelta | None:
    """Return the smallest offset that meets no window: a whole hour if there is one, else a quarter."""
    for step in (HOUR, 15 * MINUTE):
        for number in range(-(-plan.points.every // step)):
            if _hit(plan, number * step, opened) is None:
                return number * step
    return None


def _clock(moment: timedelta) -> str:
    minutes = moment % DAY // MINUTE
    return f"{minutes // 60:02}:{minutes % 60:02}"


def _next(now: datetime, moment: timedelta) -> date:
    monday = now.replace(hour=0, minute=0, second=0, microsecond=0) - now.weekday() * DAY
    at = monday + moment
    return (at if at >= now else at + WEEK).date()


def recovery(asked: Question) -> Iterator[Obstacle]:
    """A drill must be able to end: within the objective, and before it gives up."""
    plan = asked.plan
    for database in plan.databases:
        takes = pace.verifying(plan, database)
        span = f"{duration(takes.least)} to {duration(takes.most)}"
        for key, limit, what in (
            ("objectives.rto", plan.objectives.rto, "a recovery is verified after the objective"),
            ("drill.patience", plan.drill.patience, "a drill gives up before it has read everything"),
        ):
            if takes.most > limit.total_seconds():
                yield Obstacle(
                    severity=Severity.ERROR if takes.least > limit.total_seconds() else Severity.WARNING,
                    key=key,
                    value=spelled(limit),
                    what=f"restoring and reading {database.storage_gb} GB of {database.name} on"
                    f" {plan.drill.instance_class} takes {span}: {what}",
                    remedy=_quicker(plan, database, limit, key),
                )


def _quicker(plan: Plan, database: DatabasePlan, limit: timedelta, key: str) -> str:
    largest = "db.t3.medium"
    quick = plan.model_copy(update={"drill": plan.drill.model_copy(update={"instance_class": largest})})
    if pace.verifying(quick, database).most <= limit.total_seconds():
        return f"set drill.instance_class to {largest}, which reads faster"
    return f'raise {key}, or leave the full reads out with checks.skip = ["rows", "heap"]'


def patience(asked: Question) -> Iterator[Obstacle]:
    """A drill that gives up too soon never sees a missed objective; one that lasts too long meets the next."""
    plan = asked.plan
    drill, rto = plan.drill, plan.objectives.rto
    if drill.patience <= rto:
        yield Obstacle(
            severity=Severity.WARNING,
            key="drill.patience",
            value=spelled(drill.patience),
            what=f"a drill gives up before the objective of {spelled(rto)} is missed: inconclusive instead of failed",
            remedy=f"set drill.patience and drill.lease longer than {spelled(rto)}",
        )
    for key, every in (("drill.every", drill.every), ("drill.dr_every", drill.dr_every)):
        if every <= drill.lease:
            yield Obstacle(
                severity=Severity.ERROR,
                key=key,
                value=spelled(every),
                what=f"the next drill begins while the lease of {spelled(drill.lease)} may still be held",
                remedy=f"set {key} longer than drill.lease",
            )


def objective(asked: Question) -> Iterator[Obstacle]:
    plan = asked.plan
    worst = plan.points.every + plan.objectives.usable_after
    if worst > plan.objectives.rpo:
        yield Obstacle(
            severity=Severity.WARNING,
            key="objectives.rpo",
            value=spelled(plan.objectives.rpo),
            what=f"just before a point becomes usable, the one before it is {spelled(worst)} old:"
            " only the PITR window keeps this objective, and no copy in the DR region does",
            remedy=f"take points more often, or set objectives.rpo to {spelled(worst)} or more",
        )


def alarms(asked: Question) -> Iterator[Obstacle]:
    """CloudWatch holds an alarm's window for a day at most, for a week where its period is an hour or longer."""
    period, count = asked.plan.notify.period, asked.plan.notify.datapoints
    longest = _LONGEST if period >= HOUR else _LONGEST_SHORT

    def told(severity: Severity, key: str, what: str, remedy: str) -> Obstacle:
        value = spelled(period) if key == "notify.period" else str(count)
        return Obstacle(severity=severity, key=key, value=value, what=what, remedy=remedy)

    if period % MINUTE or period < WATCH:
        yield told(
            Severity.ERROR,
            "notify.period",
            f"values are published every {spelled(WATCH)}, and CloudWatch counts in whole minutes",
            f"set notify.period to whole minutes, {spelled(WATCH)} or more",
        )
    if period * count > longest:
        yield told(
            Severity.ERROR,
            "notify.datapoints",
            f"{count} times {spelled(period)} is a window of {duration((period * count).total_seconds())},"
            f" and CloudWatch holds {spelled(longest)} at most",
            "set fewer notify.datapoints or a shorter notify.period",
        )
    elif WATCH + period * count > TOLD_WITHIN:
        yield told(
            Severity.WARNING,
            "notify.datapoints",
            f"an alarm speaks {spelled(WATCH + period * count)} after the fact, and is required within"
            f" {spelled(TOLD_WITHIN)}",
            f"set fewer notify.datapoints or a shorter notify.period, {spelled(WATCH)} at least",
        )


def freezes(asked: Question) -> Iterator[Obstacle]:
    """A freeze longer than the time between drills leaves a gap in what is proved."""
    drill = asked.plan.drill
    for begins, ends in _merged(drill.freezes):
        if ends > asked.now and ends - begins > drill.every:
            yield Obstacle(
                severity=Severity.WARNING,
                key="drill.freeze",
                value=f"{begins:%Y-%m-%dT%H:%MZ} to {ends:%Y-%m-%dT%H:%MZ}",
                what=f"no drill is begun for {duration((ends - begins).total_seconds())}, longer than the"
                f" {spelled(drill.every)} between drills: nothing is proved in that time",
                remedy="shorten the freeze, or drill by hand before it with: pgdrill drill run",
                day=begins.date(),
            )


def _merged(found: Sequence[Freeze]) -> list[tuple[datetime, datetime]]:
    merged: list[tuple[datetime, datetime]] = []
    for freeze in sorted(found, key=lambda freeze: freeze.begins):
        if merged and freeze.begins <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], freeze.ends))
        else:
            merged.append((freeze.begins, freeze.ends))
    return merged


RULES = (windows, recovery, patience, objective, alarms, freezes)
