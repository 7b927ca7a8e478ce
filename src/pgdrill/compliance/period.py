"""The evidence of a period, as the demands of the clauses read it. Plain data; no I/O, no clock."""

from collections.abc import Iterator
from datetime import timedelta

from pydantic import Field

from pgdrill.evidence.chain import Break
from pgdrill.evidence.record import Evidence, Purpose, Teardown
from pgdrill.model import Model, Moment, PointKind


class Drilled(Model):
    """One drill with its teardown, None where there is no record of that."""

    evidence: Evidence
    teardown: Teardown | None = None


class Period(Model):
    """What was drilled from `since` until `until`, and what the plan says was due.

    `every` is how often a database is to be drilled, `copies_every` how often one of its copies in the DR region,
    `points_every` how often a point is to be taken; `databases` are the plan's. `points` are the moments of the seals
    after points, by database. `broken` is what `pgdrill evidence verify` says of all of the store, by database;
    `signed` tells whether that looked at signatures.
    """

    since: Moment
    until: Moment
    databases: tuple[str, ...]
    every: timedelta
    copies_every: timedelta
    points_every: timedelta
    drills: tuple[Drilled, ...] = ()
    points: dict[str, tuple[Moment, ...]] = Field(default_factory=dict)
    broken: dict[str, tuple[Break, ...]] = Field(default_factory=dict)
    signed: bool = False

    def of(self, database: str, *, copies: bool = False) -> list[Drilled]:
        """Return the drills of a database, oldest first; with `copies` those of its copies alone. No recoveries."""
        return [
            drilled
            for drilled in sorted(self.drills, key=lambda one: one.evidence.started_at)
            if drilled.evidence.database == database
            and drilled.evidence.purpose is Purpose.DRILL
            and (not copies or drilled.evidence.point.kind is PointKind.COPY)
        ]

    def all(self) -> Iterator[Drilled]:
        for database in self.databases:
            yield from self.of(database)
