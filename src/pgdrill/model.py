"""The nouns of pgdrill: plain, frozen data that crosses every boundary. No I/O, no clock.

All times are aware and in UTC; sizes are bytes and durations seconds unless the name says otherwise.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

JSON = Any
Moment = Annotated[AwareDatetime, AfterValidator(lambda moment: moment.astimezone(UTC))]


class Model(BaseModel):
    """Frozen, and strict about what it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Fact(Model):
    """What a check measured. Holds counts, names and digests, never a row's content.

    `complete` is False when the time budget ended first; the same measure continues from it.
    """

    complete: bool = True


class Verdict(StrEnum):
    PASSED = "passed"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"
    NOT_ASKED = "not_asked"

    @property
    def exit_status(self) -> int:
        """Return 0 for passed, 1 for failed, 3 otherwise: an unproved backup is never a pass."""
        return {Verdict.PASSED: 0, Verdict.FAILED: 1}.get(self, 3)


def worst(verdicts: list[Verdict]) -> Verdict:
    """Return failed over inconclusive over passed; nothing asked at all is inconclusive."""
    asked = [verdict for verdict in verdicts if verdict is not Verdict.NOT_ASKED]
    for verdict in (Verdict.FAILED, Verdict.INCONCLUSIVE):
        if verdict in asked or not asked:
            return verdict if asked else Verdict.INCONCLUSIVE
    return Verdict.PASSED


class Damage(Model):
    """One thing found wrong: `object` as PostgreSQL would write it (`shop.orders`), `what` in words.

    Neither may quote row values.
    """

    database: str
    object: str
    what: str


class Judgement(Model):
    """What a check concludes from its fact. `reason` is one sentence, `hint` names what to do next.

    `coverage` says what was looked at ("34 of 34 tables, 2.1 GB"; "sampled: 10 % of pages").
    `damage` lists at most what a person can read; `damaged` counts all.
    """

    verdict: Verdict
    reason: str
    hint: str = ""
    coverage: str = ""
    damage: tuple[Damage, ...] = ()
    damaged: int = 0


class Finding(Judgement):
    """A judgement as it stands in the evidence, with the check's name and how long it measured."""

    check: str
    seconds: float = 0.0


class PointKind(StrEnum):
    SNAPSHOT = "snapshot"
    COPY = "copy"
    PITR = "pitr"


class RecoveryPoint(Model):
    """Something to restore from.

    `id` is the snapshot's identifier, or `pitr-<UTC time>` for a moment of the PITR window.
    `recovers_to` is the moment whose data is promised: SnapshotDatabaseTime where RDS gives it, else the
    original creation time (a copy's own creation time says nothing of its data); for PITR the target.
    `arn` is the snapshot's; of a moment it is that of automated backups which outlived their instance, else None.
    `resource` is the source's DbiResourceId, `usable_at` when a snapshot or copy was there to restore from.
    `created_at` is when the snapshot was created, which a copy keeps: a deleted one's id may be given again.
    """

    id: str
    kind: PointKind
    region: str
    source: str
    resource: str | None = None
    arn: str | None = None
    slot: str | None = None
    recovers_to: Moment
    created_at: Moment | None = None
    usable_at: Moment | None = None
    engine_version: str
    storage_gb: int
    encrypted: bool
    kms_key: str | None = None


class Kept(Model):
    """What the plan keeps of one kind, by age: `days[n]` is how many are n days old, today first.

    Of `every_moment` in those days there is something to restore, not of single ones.
    """

    what: str
    region: str
    keep: str
    every_moment: bool = False
    days: tuple[int, ...]


class Lease(Model):
    """What makes a temporary instance pgdrill's own: its name, its tags and an expiry.

    The name is derived from suffix and database, so RDS itself lets only one drill a database exist.
    """

    instance: str
    drill: str
    database: str
    expires_at: Moment

    def tags(self) -> dict[str, str]:
        return {
            "ManagedBy": "pgdrill",
            "PgDrillRole": "drill",
            "PgDrillDatabase": self.database,
            "PgDrillDrill": self.drill,
            "PgDrillExpires": self.expires_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }


class Recovered(Model):
    """What marks an instance that was recovered and stays. It is no lease: nothing of pgdrill ever deletes it."""

    instance: str
    drill: str
    database: str

    def tags(self) -> dict[str, str]:
        return {
            "ManagedBy": "pgdrill",
            "PgDrillRole": "recovered",
            "PgDrillDatabase": self.database,
            "PgDrillDrill": self.drill,
        }


class Shape(Model):
    """What an instance is restored as. A drill's is small and throw-away; a recovered one is production's."""

    instance_class: str
    multi_az: bool = False
    retention_days: int = 0
    deletion_protection: bool = False


class Stage(StrEnum):
    """The timed stages of a drill, in their order."""

    REQUESTED = "requested"
    ACCEPTED = "accepted"
    AVAILABLE = "available"
    FIRST_LOGIN = "first_login"
    FIRST_QUERY = "first_query"
    HYDRATED = "hydrated"
    EXAMINED = "examined"
    HANDED_OVER = "handed_over"
    GONE = "gone"


class Seal(Model):
    """Facts measured in production around a snapshot by the same functions that measure a restored copy.

    `facts` maps a check's name to its fact as JSON; they held at some moment from `taken_at` to `done_at`.
    `point` is the recovery point's id, `resource` RDS's own id of the instance, which a replacement of the same
    name does not have; `created_at`, of a seal after its snapshot, is that snapshot's. `estimates` are production's own guesses of rows, by database and table. `number` counts a
    database's seals from 1, and `previous` is the digest of the one before.
    """

    point: str
    database: str
    taken_at: Moment
    done_at: Moment
    facts: dict[str, JSON]
    resource: str | None = None
    created_at: Moment | None = None
    estimates: dict[str, dict[str, int]] = Field(default_factory=dict)
    number: int = 1
    previous: str | None = None


class Beat(Model):
    """One row of the ledger, as the witness knows it.

    `beat_at` is the server's clock before the row was written, `done_at` an upper bound of its commit:
    at a PITR target up to `beat_at` the row must be missing, from `done_at` on it must be there.
    """

    sequence: int
    beat_at: Moment
    done_at: Moment
    digest: str


class Rpo(Model):
    """The three numbers, in seconds. None where the ledger is off or silent, with the reason in `basis`."""

    lag_of_point: float | None
    exposure_at_start: float | None
    worst_case: float | None
    basis: str


class Rto(Model):
    """Seconds from the restore request to the first successful query, and to the verified copy."""

    usable: float | None
    verified: float | None
    objective: float


@dataclass(frozen=True)
class Clock:
    """The moment a step was called at, and how long it may take. Only the CLI and handlers make one.

    `remaining` counts down in seconds, as a Lambda context does.
    """

    now: datetime
    remaining: Callable[[], float]
    budget: float

    def elapsed(self) -> float:
        return max(0.0, self.budget - self.remaining())

    def at(self) -> datetime:
        """Return the moment of the call plus what has elapsed since."""
        return self.now + timedelta(seconds=self.elapsed())
