"""From when an alarm counts, as the plan says it. Pure."""

from collections.abc import Callable
from datetime import timedelta

from pgdrill.watching.alarm_model import DAY, HOUR, MINUTE, Subject, Threshold, Watchable

# RDS ships its log every five minutes; one shipping may be missed. Source: RDS User Guide, "Restoring a DB instance to
# a specified time".
SHIPPED = 5 * MINUTE
RESTORABLE = SHIPPED + 5 * MINUTE
# A beat a minute: a failover or a restart is over sooner.
BEATS = 5 * MINUTE
# Each cell tells its inventory every five minutes, and S3 takes a while: one telling may be missed.
TELLINGS = 10 * MINUTE
# RDS restores a snapshot before it exports it, five at a time.
EXPORTING = 12 * HOUR
# It arrives within a minute, unless a step has to be tried again.
CANARY = 5 * MINUTE
# One step is tried that often before its state machine fails; fewer errors pass by themselves.
TRIES = 6


def seconds(of: Callable[[Watchable], timedelta]) -> Threshold:
    return lambda subject: of(subject.plan).total_seconds()


def constant(value: float) -> Threshold:
    return lambda _: value


def drill_due(subject: Subject) -> float:
    """A calendar's months are up to a day longer than thirty, and a drill takes as long as its patience."""
    drill = subject.plan.drill
    every = drill.every if subject.primary else drill.dr_every
    calendar = DAY if every >= 28 * DAY else timedelta(0)
    return (every + calendar + drill.patience).total_seconds()


def a_days_points(subject: Subject) -> float:
    """The quota is near when what is still free does not take another day's points of all databases."""
    plan = subject.plan
    return len(plan.databases) * (DAY / plan.points.every)


def two_rounds_of_points(subject: Subject) -> float:
    """The queue grows when more waits than what is taken while a copy may be made, and once more."""
    plan = subject.plan
    return len(plan.databases) * (plan.copies.late_after / plan.points.every + 1)


def exporting(plan: Watchable) -> timedelta:
    return (DAY if plan.exports.schedule == "daily" else plan.points.every) + EXPORTING
