"""The plan, `pgdrill.toml`: which databases, which objectives, where a drill runs, which checks with which limits.

Strict: an unknown key, a missing tag or an impossible value is an error that names key, value and remedy.
"""

import re
import tomllib
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainSerializer,
    ValidationError,
    WithJsonSchema,
    model_validator,
)

from pgdrill.errors import PlanError
from pgdrill.model import Model, Moment

PREFIX = "pgdrill"
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_SUFFIX = re.compile(r"[a-z](?:[a-z0-9]|-(?!-)){0,14}(?<!-)")
_NAME = re.compile(r"[a-z](?:[a-z0-9]|-(?!-)){0,24}(?<!-)")


def duration(text: object) -> timedelta:
    """Read `90s`, `15m`, `4h`, `7d` or `2w`."""
    if isinstance(text, timedelta):
        return text
    match = re.fullmatch(r"(\d{1,6})\s*([smhdw])", str(text).strip())
    if not match:
        raise ValueError(f"{text!r} is not a duration; write a number and a unit: 90s, 15m, 4h, 7d, 2w")
    return timedelta(seconds=int(match[1]) * _UNITS[match[2]])


def spelled(value: timedelta) -> str:
    """Write a duration as `duration` reads it, in the largest unit, weeks excepted, that leaves nothing over."""
    seconds = int(value.total_seconds())
    unit = next(unit for unit in "dhms" if seconds % _UNITS[unit] == 0)
    return f"{seconds // _UNITS[unit]}{unit}"


def _named(pattern: re.Pattern[str], limit: int) -> AfterValidator:
    def check(value: str) -> str:
        if not pattern.fullmatch(value):
            raise ValueError(
                f"{value!r} must be 1 to {limit} lower-case letters, digits and single hyphens, a letter first, no hyphen last"
            )
        return value

    return AfterValidator(check)


Duration = Annotated[
    timedelta,
    BeforeValidator(duration),
    PlainSerializer(spelled, return_type=str, when_used="json"),
    WithJsonSchema(
        {"type": "string", "pattern": r"^\s*\d{1,6}\s*[smhdw]\s*$", "examples": ["90s", "6h", "30d"]}
    ),
]
Suffix = Annotated[str, _named(_SUFFIX, 15)]
Name = Annotated[str, _named(_NAME, 25)]


class Stack(Model):
    """`suffix` keeps environments apart; it is part of every name that pgdrill gives."""

    suffix: Suffix


class Place(Model):
    """Where a temporary instance is put, all of it named, since RDS's own defaults are not safe here."""

    subnet_group: str
    security_groups: tuple[str, ...] = Field(min_length=1)
    parameter_group: str


class CellPlan(Model):
    """What pgdrill uses in one region. Keys are ids, ARNs or aliases, all of that region.

    `storage_key` encrypts copies that are made there; `archive_bucket` and `export_role` are for exports.
    `place` is where drills run, `recovery` where a recovered instance is put: production's own network there.
    """

    region: str
    evidence_bucket: str
    mac_key: str
    storage_key: str
    archive_bucket: str | None = None
    export_role: str | None = None
    place: Place
    recovery: Place | None = None


class Tags(Model):
    """Required on everything that pgdrill makes."""

    Environment: str = Field(min_length=1)
    Owner: str = Field(min_length=1)
    CostCenter: str = Field(min_length=1)


class Objectives(Model):
    """`usable_after` is what a point needs from its moment until it can be restored."""

    rto: Duration = timedelta(hours=4)
    rpo: Duration = timedelta(hours=7)
    usable_after: Duration = timedelta(minutes=15)


class Points(Model):
    """When points are taken and how long they are kept.

    Slots are `every` hours from midnight UTC plus `offset`. All are kept for all of `keep`, or, with `daily_after`,
    the first slot of a day alone once a point is older than that.
    """

    every: Duration = timedelta(hours=6)
    offset: Duration = timedelta(hours=1)
    keep: Duration = timedelta(days=30)
    daily_after: Duration | None = None
    pitr: Duration = timedelta(days=7)

    @model_validator(mode="after")
    def _sensible(self) -> "Points":
        day, hour = timedelta(days=1), timedelta(hours=1)
        if not hour <= self.every <= day or day % self.every:
            raise ValueError(
                f"every {self.every} does not divide a day; write 1h, 2h, 3h, 4h, 6h, 8h, 12h or 24h"
            )
        if self.offset >= self.every:
            raise ValueError(f"offset {self.offset} must be shorter than every {self.every}")
        if self.offset % timedelta(minutes=1):
            raise ValueError(f"offset {self.offset} must be whole minutes, which is what a slot's name holds")
        if not day <= self.pitr <= 35 * day or self.pitr % day:
            raise ValueError(f"pitr {self.pitr} must be 1 to 35 whole days, which is what RDS keeps")
        _kept(self.keep, self.daily_after)
        return self


class Copies(Model):
    """Copies in the DR region, with a retention of their own."""

    keep: Duration = timedelta(days=30)
    daily_after: Duration | None = None
    in_flight: int = Field(default=5, ge=1, le=20)
    late_after: Duration = timedelta(hours=6)

    @model_validator(mode="after")
    def _sensible(self) -> "Copies":
        _kept(self.keep, self.daily_after)
        return self


class Exports(Model):
    """Parquet archives: of the first slot of a day, of every slot, or none."""

    schedule: Literal["daily", "slot", "off"] = "daily"
    keep: Duration = timedelta(days=30)


class Freeze(Model):
    """A time in which no drill is begun, with the reason that the evidence then carries."""

    begins: Moment
    ends: Moment
    reason: str = Field(min_length=8)

    @model_validator(mode="after")
    def _forward(self) -> "Freeze":
        if self.ends <= self.begins:
            raise ValueError(
                f"freeze ends {self.ends.isoformat()} before it begins {self.begins.isoformat()}"
            )
        return self


class DatabasePlan(Model):
    """`instance` is the RDS identifier of production, `secret` an existing Secrets Manager entry for sealing.

    `master_secret` is an existing entry too: the password that the master user of a recovered instance gets.

    `instance_class`, `storage_gb` and `multi_az` are what a recovered instance gets, and what time and cost are
    reckoned with. `origin` says whether the stack makes the instance or finds it, and then never modifies it.
    """

    name: Name
    instance: str
    secret: str
    master_secret: str | None = None
    ledger: Literal["on", "off"] = "on"
    origin: Literal["created", "adopted"] = "adopted"
    instance_class: str = "db.t3.medium"
    storage_gb: int = Field(default=20, ge=20, le=65536)
    multi_az: bool = True

    @model_validator(mode="after")
    def _bounded(self) -> "DatabasePlan":
        _small("instance_class", self.instance_class)
        return self


class DrillPlan(Model):
    """How a drill runs. `point` is what a scheduled one restores; `rotate` takes the kinds in turn.

    `patience` is how long a drill waits for RDS before it gives up; `lease` when the reaper may delete.
    """

    instance_class: str = "db.t3.medium"
    every: Duration = timedelta(days=7)
    dr_every: Duration = timedelta(days=30)
    point: Literal["latest", "oldest", "restorable", "unproved", "rotate"] = "rotate"
    freezes: tuple[Freeze, ...] = Field(default=(), alias="freeze")
    patience: Duration = timedelta(hours=5)
    lease: Duration = timedelta(hours=6)

    @model_validator(mode="after")
    def _bounded(self) -> "DrillPlan":
        _small("instance_class", self.instance_class)
        if self.patience >= self.lease:
            raise ValueError(f"patience {self.patience} must be shorter than lease {self.lease}")
        return self


class Notify(Model):
    """Who is told, by SNS topic subscription, and how soon.

    An alarm looks at values of `period` each, and speaks after `datapoints` bad or missing ones in a row.
    """

    email: tuple[str, ...] = ()
    https: tuple[str, ...] = ()
    period: Duration = timedelta(minutes=5)
    datapoints: int = Field(default=1, ge=1)


class Cost(Model):
    """US dollars a month for the whole system; more is refused before deployment.

    `changed_daily` is the part of a database's storage that is written anew in a day: what a snapshot adds to
    the one before it.
    """

    ceiling: float = Field(default=500.0, gt=0)
    changed_daily: float = Field(default=0.05, ge=0, le=1)


def _kept(keep: timedelta, daily_after: timedelta | None) -> None:
    day = timedelta(days=1)
    if keep < day:
        raise ValueError(f"keep {keep} must be a day at least")
    if daily_after is not None and not day <= daily_after < keep:
        raise ValueError(f"daily_after {daily_after} must be a day at least and shorter than keep {keep}")


def _small(key: str, name: str) -> None:
    if not re.fullmatch(r"db\.t(3|4g)\.(micro|small|medium)", name):
        raise ValueError(f"{key} {name!r} is larger than db.t3.medium, the largest allowed")


class Rows(Model):
    """`compared = "required"` makes a table without a reference inconclusive instead of a baseline."""

    compared: Literal["when_available", "required"] = "when_available"
    exact: bool = False


class Assertion(Model):
    """The plan's own SQL: one row, one column, in one database; compared with `expect` or a range.

    The value is part of the evidence only for the types that say nothing of a person: counts, booleans, times.
    """

    name: Name
    database: str
    sql: str
    expect: bool | int | None = None
    at_least: int | None = None
    at_most: int | None = None
    timeout: Duration = timedelta(seconds=60)

    @model_validator(mode="after")
    def _decides(self) -> "Assertion":
        if self.expect is None and self.at_least is None and self.at_most is None:
            raise ValueError(f"assertion {self.name!r} cannot fail; give expect, at_least or at_most")
        if self.expect is not None and (self.at_least is not None or self.at_most is not None):
            raise ValueError(f"assertion {self.name!r} has both expect and a range; give one of them")
        return self


class Allowed(Model):
    """What may be in a restored copy although it could act on the outside, each with the reason."""

    object: str
    reason: str = Field(min_length=8)


class Checks(Model):
    """Checks left out are `not_asked` in the evidence. An empty `skip` asks for all."""

    skip: tuple[str, ...] = ()
    rows: Rows = Rows()
    assertions: tuple[Assertion, ...] = ()
    allowed_side_effects: tuple[Allowed, ...] = ()
    heapallindexed: bool = True


class Plan(Model):
    stack: Stack
    tags: Tags
    primary: CellPlan
    dr: CellPlan
    objectives: Objectives = Objectives()
    points: Points = Points()
    copies: Copies = Copies()
    exports: Exports = Exports()
    databases: tuple[DatabasePlan, ...] = Field(min_length=1, alias="database")
    drill: DrillPlan = DrillPlan()
    checks: Checks = Checks()
    notify: Notify = Notify()
    cost: Cost = Cost()

    @model_validator(mode="after")
    def _apart(self) -> "Plan":
        if self.primary.region == self.dr.region:
            raise ValueError(
                f"primary and dr are both in {self.dr.region!r}; the loss of a region is what dr is for"
            )
        for what in ("name", "instance"):
            values = [getattr(database, what) for database in self.databases]
            twice = sorted({value for value in values if values.count(value) > 1})
            if twice:
                raise ValueError(f"two databases have the same {what}: {', '.join(twice)}")
        return self

    @classmethod
    def load(cls, path: Path) -> "Plan":
        """Read and validate a plan.

        Raises:
            PlanError: not there, not TOML, or not valid; the message names every wrong key.
        """
        try:
            content = tomllib.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise PlanError(
                f"no plan at {str(path)!r}", hint="name one with --plan, or start a lab with: pgdrill lab up"
            ) from error
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise PlanError(
                f"plan {str(path)!r} cannot be read: {error}", hint="the plan is a TOML file in UTF-8"
            ) from error
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            raise PlanError(
                f"plan {str(path)!r} is not valid: {'; '.join(_problems(error))}",
                hint="correct the keys named above; docs/plan.md lists them all",
            ) from error

    def database(self, name: str | None) -> DatabasePlan:
        """Return the database of that name, or the only one.

        Raises:
            PlanError: unknown name, or no name where there are several.
        """
        names = [database.name for database in self.databases]
        if name is None and len(names) == 1:
            return self.databases[0]
        for database in self.databases:
            if database.name == name:
                return database
        what = "several databases in the plan" if name is None else f"database {name!r} is not in the plan"
        raise PlanError(what, hint=f"name one of them with --database: {', '.join(names)}")

    def temporary(self, database: DatabasePlan) -> str:
        """Return the identifier of the temporary instance; one a database, so RDS itself is the lock."""
        return f"{PREFIX}-{self.stack.suffix}-drill-{database.name}"

    def recovered(self, database: DatabasePlan, now: datetime) -> str:
        """Return the identifier of an instance that is recovered at a moment and stays; RDS takes 63 characters."""
        head, time = f"{PREFIX}-{self.stack.suffix}-recovered-", f"{now:%Y%m%d%H%M}"
        name = database.name[: 63 - len(head) - len(f"-{time}")].rstrip("-")
        return f"{head}{name}-{time}"

    def point_prefix(self, database: DatabasePlan) -> str:
        return f"{PREFIX}-{self.stack.suffix}-{database.name}-"


def _problems(error: ValidationError) -> list[str]:
    """Return `key: what` for every problem, with the value where it is not the cause of a missing key."""
    problems = []
    for problem in error.errors():
        key = ".".join(str(part) for part in problem["loc"]) or "plan"
        what = problem["msg"].removeprefix("Value error, ")
        if problem["type"] == "extra_forbidden":
            what = "unknown key"
        elif problem["type"] == "missing":
            what = "missing"
        problems.append(f"{key}: {what}")
    return problems
