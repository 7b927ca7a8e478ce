"""What one look of the watch finds in its cell, and when it first looked. Plain data; no I/O, no clock.

A look is a listing or two for each kind of thing, however many databases and points there are. What could not be
looked at is named, and then its metric is missing, which breaches.
"""

from pydantic import Field

from pgdrill.aws.rds import Instance
from pgdrill.model import Model, Moment, Verdict
from pgdrill.points.inventory import Inventory
from pgdrill.watching.storage import Stored


class Ended(Model):
    """The newest drill that came to a verdict; `rto` is seconds to the first query, None where none was reached."""

    drill: str
    verdict: Verdict
    rto: float | None = None


class Running(Model):
    """A drill that is not over. `requested_at` is when RDS was asked, `queried_at` when a query was answered."""

    drill: str
    started_at: Moment
    requested_at: Moment | None = None
    queried_at: Moment | None = None


class Archived(Model):
    """What is known of a database's exports: the newest point of which one passed, and what the last one lacks."""

    passed_of: Moment | None = None
    missing: int = 0


class Watched(Model):
    """One database, as this cell sees it. `since` is when the watch of this cell first looked at it.

    `instance` is None where there is none; the cell that copies has none anyway. `passed_at` is when the newest passed
    drill here began; `failed` counts the kinds of point of which one failed and none as new has passed since, `skipped`
    how many due since the last that ran were skipped. `forks` counts the times that numbers of the ledger were beaten
    again. Nothing is said of drills unless they were `drilled`, to be seen; None is what was not seen or is not there.
    """

    database: str
    since: Moment
    instance: Instance | None = None
    passed_at: Moment | None = None
    ended: Ended | None = None
    failed: int = 0
    running: Running | None = None
    drilled: bool = True
    skipped: int | None = 0
    forks: int | None = 0
    archived: Archived | None = None


class Sighting(Model):
    """All of one look. `own` is the cell's inventory as it was gathered for it, `heard` the other cell's as it is known.

    `unusable` are keys, secrets and schedules that are not enabled, each as it would be told; `canary_at` is when the
    newest canary arrived, `stored` what lies there by kind, `dollars` what it
    costs in a month, estimated. `unseen` says what nobody answered.
    """

    now: Moment
    since: Moment
    own: Inventory
    heard: Inventory | None = None
    databases: tuple[Watched, ...] = ()
    unusable_keys: tuple[str, ...] = ()
    unusable_secrets: tuple[str, ...] = ()
    disabled_schedules: tuple[str, ...] = ()
    canary_at: Moment | None = None
    stored: tuple[Stored, ...] = ()
    dollars: float | None = None
    unseen: frozenset[str] = Field(default_factory=frozenset)
