"""When a cell does what: schedules that start its state machines, all of them derived from the plan.

All times are UTC. A schedule passes the time that it was to fire at, which says what is meant however late it is
served. What starts for each database is spread by the database's name, so that another one moves none.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pulumi
import pulumi_aws as aws

from naming import Names
from pgdrill.errors import PlanError
from pgdrill.plan import DatabasePlan, spelled
from settings import Settings
from tagging import tags

DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
# A month has 28 days at least.
DAYS_OF_MONTH = 28
# When people are at work in Asia and about to be in Europe, so that a broken delivery is found by day.
CANARY_HOUR = 6
MOST_TRIES = 185  # the most that Scheduler takes
DUE_AT = "<aws.scheduler.scheduled-time>"


@dataclass(frozen=True)
class Planned:
    """One schedule. `late` is for how long a start that failed is tried again; then the next one is due anyway."""

    job: str
    expression: str
    late: timedelta
    database: str | None = None

    @property
    def input(self) -> dict[str, str]:
        return {"due_at": DUE_AT} | ({"database": self.database} if self.database else {})


@dataclass(frozen=True)
class Starter:
    """What every schedule of a cell has: its group, the role that starts machines, the queue for what it could not
    start, and the key.
    """

    names: Names
    group: pulumi.Input[str]
    role: pulumi.Input[str]
    dead_letters: pulumi.Input[str]
    key: pulumi.Input[str]

    def schedule(
        self,
        resource: str,
        name: str,
        expression: str,
        machine: pulumi.Input[str],
        given: Mapping[str, Any],
        *,
        late: timedelta,
        tries: int,
        opts: pulumi.ResourceOptions,
    ) -> None:
        """Start a machine at the moments of an expression, in UTC; `late` is for how long a start is tried again."""
        target: Any = {
            "arn": machine,
            "role_arn": self.role,
            "input": json.dumps(given),
            "dead_letter_config": {"arn": self.dead_letters},
            "retry_policy": {
                "maximum_event_age_in_seconds": int(late.total_seconds()),
                "maximum_retry_attempts": tries,
            },
        }
        aws.scheduler.Schedule(
            resource,
            name=name,
            group_name=self.group,
            schedule_expression=expression,
            schedule_expression_timezone="UTC",
            flexible_time_window={"mode": "OFF"},
            kms_key_arn=self.key,
            target=target,
            region=self.names.region,
            opts=opts,
        )


class Schedules(pulumi.ComponentResource):
    group: pulumi.Output[str]
    starter: Starter

    def __init__(
        self,
        name: str,
        settings: Settings,
        names: Names,
        *,
        primary: bool,
        role: pulumi.Input[str],
        machines: Mapping[str, pulumi.Input[str]],
        dead_letters: pulumi.Input[str],
        key: pulumi.Input[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("pgdrill:cell:Schedules", name, None, opts)
        inside = pulumi.ResourceOptions(parent=self)
        group = aws.scheduler.ScheduleGroup(
            name,
            name=names.stem,
            region=names.region,
            tags=tags(settings, names.stem),
            opts=inside,
        )
        self.starter = Starter(names, group.name, role, dead_letters, key)
        for one in planned(settings, primary=primary):
            about = f"{one.job}-{one.database}" if one.database else one.job
            self.starter.schedule(
                f"{name}-{about}",
                names.schedule(one.job, one.database) if one.database else names.thing(one.job),
                one.expression,
                machines[one.job],
                one.input,
                late=one.late,
                tries=MOST_TRIES,
                opts=inside,
            )
        self.group = group.name
        self.register_outputs({"group": self.group})


def planned(settings: Settings, *, primary: bool) -> Iterator[Planned]:
    """Yield the schedules of a cell.

    Raises:
        PlanError: `drill.every` or `drill.dr_every` is nothing that a calendar has.
    """
    points, drill = settings.points, settings.drill
    for database in settings.databases:
        if primary:
            # A point of a slot that is over would not hold that moment's data.
            yield Planned("take", slotted(settings), points.every, database.name)
            yield Planned("seal", slotted(settings, points.every / 2), points.every / 4, database.name)
        key, every = ("drill.every", drill.every) if primary else ("drill.dr_every", drill.dr_every)
        yield Planned("drill", drilling(settings, database, key, every), DAY, database.name)
    if primary:
        if any(database.ledger == "on" for database in settings.databases):
            yield Planned("beat", "rate(1 minute)", MINUTE)
        if settings.exports.schedule != "off":
            yield Planned("export", "rate(15 minutes)", 15 * MINUTE)
    else:
        yield Planned("copy", "rate(5 minutes)", 5 * MINUTE)
    yield Planned("watch", "rate(5 minutes)", 5 * MINUTE)
    yield Planned("reap", "rate(15 minutes)", 15 * MINUTE)
    yield Planned("retain", f"cron({_clear_minute(settings)} * * * ? *)", HOUR)
    yield Planned("canary", f"cron({_clear_minute(settings)} {CANARY_HOUR} * * ? *)", HOUR)


def slotted(settings: Settings, after: timedelta = timedelta()) -> str:
    """Return the expression of every slot, or of as long after it."""
    every = settings.points.every
    moments = [(settings.points.offset + after) % every + n * every for n in range(DAY // every)]
    return _daily(moments)


def drilling(settings: Settings, database: DatabasePlan, key: str, every: timedelta) -> str:
    """Return when a database is drilled: a quarter before or after a seal, on a day of its own.

    Raises:
        PlanError: no calendar has such a rhythm.
    """
    digest = int.from_bytes(hashlib.sha256(database.name.encode()).digest()[:6])
    slots = settings.points.every
    quarters = [
        settings.points.offset % slots + slots * n / 4
        for n in range(4 * (DAY // slots))
        if n % 2  # neither a slot nor a seal
    ]
    moment = quarters[digest % len(quarters)] % DAY
    minutes = moment // MINUTE
    at = f"{minutes % 60} {minutes // 60}"
    day = digest // len(quarters) % DAYS_OF_MONTH + 1
    weekday = WEEKDAYS[digest // len(quarters) % len(WEEKDAYS)]
    calendar = {
        1: f"cron({at} * * ? *)",
        7: f"cron({at} ? * {weekday} *)",
        **dict.fromkeys((28, 29, 30, 31), f"cron({at} {day} * ? *)"),
        **dict.fromkeys((90, 91, 92), f"cron({at} {day} {_months(digest, 3)} ? *)"),
        **dict.fromkeys((182, 183), f"cron({at} {day} {_months(digest, 6)} ? *)"),
        **dict.fromkeys((365, 366), f"cron({at} {day} {_months(digest, 12)} ? *)"),
    }
    if every % DAY or every // DAY not in calendar:
        raise PlanError(
            f"{key} {spelled(every)} is no rhythm of a calendar",
            hint="write 1d, 7d, 30d, 90d, 182d or 365d: daily, weekly, monthly, and so on",
        )
    return calendar[every // DAY]


def _months(digest: int, every: int) -> str:
    first = digest // 1009 % every + 1
    return ",".join(str(month) for month in range(first, 13, every))


def _daily(moments: list[timedelta]) -> str:
    """Return one expression for moments of a day that share their minute; those of `points` do."""
    minutes = sorted({moment // MINUTE % 60 for moment in moments})
    hours = sorted({moment // HOUR for moment in moments})
    return f"cron({minutes[0]} {','.join(map(str, hours))} * * ? *)"


def _clear_minute(settings: Settings) -> int:
    """Return a minute of the hour at which there is neither slot nor seal nor drill."""
    quarter = settings.points.every / 4
    taken = {((settings.points.offset + n * quarter) // MINUTE) % 60 for n in range(4)}
    return max(range(60), key=lambda minute: min(min((minute - t) % 60, (t - minute) % 60) for t in taken))
