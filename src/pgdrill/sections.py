"""The sections of the plan, each with what its keys mean and what they may be.

A key's docstring is its description in the JSON Schema, and its row in docs/plan.md.
"""

import re
from datetime import datetime, timedelta
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, model_validator

from pgdrill.model import Model, Moment
from pgdrill.values import Duration, Name, Suffix

# Source: CloudWatch API reference, PutAlarmMuteRule, Schedule.
LONGEST_SILENCE = timedelta(days=15)


class Section(Model):
    model_config = ConfigDict(use_attribute_docstrings=True)


class Stack(Section):
    """The environment."""

    suffix: Suffix
    """keeps environments apart; part of every name that pgdrill gives; at most 15 lower-case letters and digits"""


class Place(Section):
    """Where an instance is put, all of it named, since RDS's own defaults are not safe here."""

    subnet_group: str
    """private subnets"""
    security_groups: tuple[str, ...] = Field(min_length=1)
    """at least one"""
    parameter_group: str
    """one without `pg_cron` in `shared_preload_libraries`"""


class CellPlan(Section):
    """What pgdrill uses in one region. Keys are ids, ARNs or aliases, all of that region."""

    region: str
    """the region's name, such as `ap-southeast-1`"""
    evidence_bucket: str
    """the S3 bucket for seals, witness, facts and evidence"""
    mac_key: str
    """KMS key of the kind HMAC_256, of which a drill's password is derived"""
    storage_key: str
    """KMS key for storage, and for the copies that are made there"""
    archive_bucket: str | None = None
    """where exports go; the primary region needs it unless `exports.schedule` is `off`"""
    export_role: str | None = None
    """the role that RDS exports with; needed with it"""
    place: Place
    """where drills run: a network of their own"""
    recovery: Place | None = None
    """where a recovered instance is put: production's own network there"""
    signing_key: str | None = None
    """KMS key of the kind ECC_NIST_P256, which signs the evidence; without one it is chained alone"""
    messages_key: str | None = None
    """KMS key of topics and queues, which the watch asks about"""
    bus: str | None = None
    """the EventBridge bus that events are put on; a deployment names its own"""
    backups_topic: str | None = None
    """ARN of the SNS topic for what is told of recovery points, copies and exports"""
    drills_topic: str | None = None
    """ARN of the SNS topic for what is told of drills"""


class Tags(Section):
    """Required on everything that pgdrill makes."""

    Environment: str = Field(min_length=1)
    """where it runs, such as production"""
    Owner: str = Field(min_length=1)
    """who answers for it"""
    CostCenter: str = Field(min_length=1)
    """who pays for it"""


class Objectives(Section):
    """What a recovery has to keep."""

    rto: Duration = timedelta(hours=4)
    """from asking for the restore to the first successful query"""
    rpo: Duration = timedelta(hours=7)
    """how much may be lost"""
    usable_after: Duration = timedelta(minutes=15)
    """what a point needs from its slot until it can be restored; no slot may come so close before a backup window"""


class Points(Section):
    """When points are taken and how long they are kept. Slots are `every` hours from midnight UTC plus `offset`."""

    every: Duration = timedelta(hours=6)
    """divides a day: `1h`, `2h`, `3h`, `4h`, `6h`, `8h`, `12h` or `24h`"""
    offset: Duration = timedelta(hours=1)
    """whole minutes, shorter than `every`; clear of RDS's backup and maintenance windows"""
    keep: Duration = timedelta(days=30)
    """a point is deleted when it is that old, and never the newest of a region"""
    daily_after: Duration | None = None
    """from that age on only the first point of a day is kept; `7d` makes 51 of 120"""
    pitr: Duration = timedelta(days=7)
    """the PITR window, 1 to 35 whole days"""

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


class Copies(Section):
    """Copies in the DR region, with a retention of their own."""

    keep: Duration = timedelta(days=30)
    """a copy is deleted when its point is that old, and never the newest"""
    daily_after: Duration | None = None
    """as for points"""
    in_flight: int = Field(default=5, ge=1, le=20)
    """how many are made at a time; RDS allows 20 for an account in a region"""
    late_after: Duration = timedelta(hours=6)
    """a point that is that old and has no copy is late"""

    @model_validator(mode="after")
    def _sensible(self) -> "Copies":
        _kept(self.keep, self.daily_after)
        return self


class LeftOut(Section):
    """A table that RDS skips and that is to be archived in no or another way, with the reason."""

    table: str
    """`database.schema.table`, without quotes"""
    reason: str = Field(min_length=8)
    """why; at least 8 letters"""


class Exports(Section):
    """Parquet archives in S3."""

    schedule: Literal["daily", "slot", "off"] = "daily"
    """`daily` exports the first slot of a day, `slot` every one, `off` none"""
    keep: Duration = timedelta(days=30)
    """how long an export stays in its bucket"""
    left_out: tuple[LeftOut, ...] = ()
    """tables that an export need not hold"""


class Freeze(Section):
    """A time in which no drill is begun, with the reason that the evidence then carries."""

    begins: Moment
    """a date and time with its zone"""
    ends: Moment
    """likewise"""
    reason: str = Field(min_length=8)
    """at least 8 letters; the evidence carries it"""

    @model_validator(mode="after")
    def _sensible(self) -> "Freeze":
        _forward("freeze", self.begins, self.ends)
        return self


class DatabasePlan(Section):
    """A database instance."""

    name: Name
    """what pgdrill calls it; at most 25 lower-case letters, digits and hyphens"""
    instance: str
    """its identifier in RDS"""
    secret: str
    """an existing Secrets Manager entry, `{"username": ..., "password": ...}`, of the role that seals and beats"""
    master_secret: str | None = None
    """an existing entry with the password that the master user of a recovered instance gets"""
    ledger: Literal["on", "off"] = "on"
    """`off` for a database that nobody may write to; see the ledger"""
    origin: Literal["created", "adopted"] = "adopted"
    """`created` by the stack, or found there and then never modified"""
    instance_class: str = "db.t3.medium"
    """what a recovered instance gets"""
    storage_gb: int = Field(default=20, ge=20, le=65536)
    """what time and cost are reckoned with; with `--online`, what is really there"""
    multi_az: bool = True
    """what a recovered instance gets"""
    host: str | None = None
    """where production answers; a deployment knows it, and RDS is asked where it is left out"""
    port: int = Field(default=5432, ge=1, le=65535)
    """the port that production answers on, and so whatever is restored from it"""

    @model_validator(mode="after")
    def _bounded(self) -> "DatabasePlan":
        _small("instance_class", self.instance_class)
        return self


# The state machine of a drill ends after twelve hours, whatever it is at; the last is for judging and teardown.
LONGEST_LEASE = timedelta(hours=11)


class DrillPlan(Section):
    """How a drill runs."""

    instance_class: str = "db.t3.medium"
    """class of the temporary instance; nothing larger is accepted"""
    every: Duration = timedelta(days=7)
    """how often a drill is due"""
    dr_every: Duration = timedelta(days=30)
    """how often one of the DR region's copies is"""
    point: Literal["latest", "oldest", "restorable", "unproved", "rotate"] = "rotate"
    """what a scheduled drill restores: `latest`, `oldest`, `restorable`, or each kind in turn"""
    freezes: tuple[Freeze, ...] = Field(default=(), alias="freeze")
    """times in which no drill is begun"""
    patience: Duration = timedelta(hours=5)
    """how long a drill waits for RDS before it gives up; shorter than the lease, longer than the RTO"""
    lease: Duration = timedelta(hours=6)
    """after this the temporary instance may be deleted, whatever became of its drill; at most 11 hours"""

    @model_validator(mode="after")
    def _bounded(self) -> "DrillPlan":
        _small("instance_class", self.instance_class)
        if self.patience >= self.lease:
            raise ValueError(f"patience {self.patience} must be shorter than lease {self.lease}")
        if self.lease > LONGEST_LEASE:
            raise ValueError(
                f"lease {self.lease} must be {LONGEST_LEASE} at most; the state machine of a drill ends after 12 hours"
            )
        return self


class Silence(Section):
    """A time in which no alarm is told, in either region; its begin, its end and its reason are told instead."""

    begins: Moment
    """a date and time with its zone, a whole minute"""
    ends: Moment
    """likewise, 15 days later at most; what is still wrong then is told"""
    reason: str = Field(min_length=8)
    """at least 8 letters; told with both"""

    @model_validator(mode="after")
    def _sensible(self) -> "Silence":
        _forward("silence", self.begins, self.ends)
        for name, moment in (("begins", self.begins), ("ends", self.ends)):
            if moment.second or moment.microsecond:
                raise ValueError(f"silence {name} {moment.isoformat()}, which is no whole minute")
        if self.ends - self.begins > LONGEST_SILENCE:
            raise ValueError(
                f"silence lasts {self.ends - self.begins}, and CloudWatch mutes {LONGEST_SILENCE} at most"
            )
        return self


class Chat(Section):
    """A Slack channel that Amazon Q Developer in chat applications tells of alarms and events."""

    workspace: str = Field(pattern=r"^T[0-9A-Z]{8,}$")
    """its id; somebody has connected it in the console of Amazon Q Developer before"""
    channel: str = Field(pattern=r"^[CG][0-9A-Z]{8,}$")
    """its id"""


Attribute = Literal["level", "topic", "database", "region", "verdict", "point_kind"]


class Subscription(Section):
    """Somebody who is told a part of it. Alarms and AWS's own events carry no attributes, so `only` leaves them out."""

    protocol: Literal["email", "https", "sqs"]
    """how: `email`, `https` or `sqs`"""
    endpoint: str = Field(min_length=5)
    """an address, a URL, or the ARN of a queue whose policy lets the topics send"""
    topics: tuple[Literal["backups", "drills"], ...] = ()
    """`backups` or `drills`; left out, both"""
    only: dict[Attribute, tuple[str, ...]] | None = None
    """by attribute, the values that are wanted, as `{ verdict = ["failed"] }`; left out, everything"""


class Notify(Section):
    """Who is told, by SNS topic subscription, and how soon."""

    email: tuple[str, ...] = ()
    """addresses"""
    https: tuple[Annotated[str, Field(pattern=r"^https://")], ...] = ()
    """URLs"""
    sqs: tuple[Annotated[str, Field(pattern=r"^arn:aws:sqs:")], ...] = ()
    """ARNs of queues whose policies let the topics send"""
    chats: tuple[Chat, ...] = Field(default=(), alias="chat")
    """Slack channels"""
    subscriptions: tuple[Subscription, ...] = Field(default=(), alias="subscription")
    """who is told a part"""
    silences: tuple[Silence, ...] = Field(default=(), alias="silence")
    """maintenance: times in which no alarm is told"""
    period: Duration = timedelta(minutes=5)
    """how long each value is that an alarm looks at; whole minutes, 5 at least"""
    datapoints: int = Field(default=1, ge=1)
    """how many bad or missing values in a row make it speak; two of five minutes are told 15 minutes after the fact"""


class Cost(Section):
    """What the whole system may cost."""

    ceiling: float = Field(default=500.0, gt=0)
    """US dollars a month for the whole system; a plan that costs more is an error"""
    changed_daily: float = Field(default=0.05, ge=0, le=1)
    """the part of the storage that is written anew in a day, which is what a snapshot adds to the one before it"""


def _forward(what: str, begins: datetime, ends: datetime) -> None:
    if ends <= begins:
        raise ValueError(f"{what} ends {ends.isoformat()} before it begins {begins.isoformat()}")


def _kept(keep: timedelta, daily_after: timedelta | None) -> None:
    day = timedelta(days=1)
    if keep < day:
        raise ValueError(f"keep {keep} must be a day at least")
    if daily_after is not None and not day <= daily_after < keep:
        raise ValueError(f"daily_after {daily_after} must be a day at least and shorter than keep {keep}")


def _small(key: str, name: str) -> None:
    if not re.fullmatch(r"db\.t(3|4g)\.(micro|small|medium)", name):
        raise ValueError(f"{key} {name!r} is larger than db.t3.medium, the largest allowed")


class Rows(Section):
    """How the content of tables is compared."""

    compared: Literal["when_available", "required"] = "when_available"
    """`required` makes a table that there is nothing to compare with inconclusive"""
    exact: bool = False
    """tells `1.0` from `1.00`, and `0` from `-0`"""


class Assertion(Section):
    """The plan's own SQL: one row, one column, in one database; compared with `expect` or a range.

    The value is part of the evidence only for the types that say nothing of a person: counts, booleans, times.
    """

    name: Name
    """what the evidence calls it"""
    database: str
    """the database inside the instance"""
    sql: str
    """one row of one column"""
    expect: bool | int | None = None
    """the very value"""
    at_least: int | None = None
    """the smallest value that is right"""
    at_most: int | None = None
    """the largest"""
    timeout: Duration = timedelta(seconds=60)
    """a query that takes longer is inconclusive"""

    @model_validator(mode="after")
    def _decides(self) -> "Assertion":
        if self.expect is None and self.at_least is None and self.at_most is None:
            raise ValueError(f"assertion {self.name!r} cannot fail; give expect, at_least or at_most")
        if self.expect is not None and (self.at_least is not None or self.at_most is not None):
            raise ValueError(f"assertion {self.name!r} has both expect and a range; give one of them")
        return self


class Allowed(Section):
    """What may be in a restored copy although it could act on the outside, each with the reason."""

    object: str
    """as `side_effects` names it"""
    reason: str = Field(min_length=8)
    """why; at least 8 letters"""


class Checks(Section):
    """Which checks a drill makes. Those left out are `not_asked` in the evidence."""

    skip: tuple[str, ...] = ()
    """names of checks to leave out; they are `not_asked` in the evidence"""
    rows: Rows = Rows()
    """how the content of tables is compared"""
    assertions: tuple[Assertion, ...] = ()
    """SQL of your own"""
    allowed_side_effects: tuple[Allowed, ...] = ()
    """what may act on the outside all the same"""
    heapallindexed: bool = True
    """`indexes` also looks for every row of the table in each B-tree; false is quicker, and finds less"""
