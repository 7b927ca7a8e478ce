"""What stands in the way of a plan, and what the plan is held against when RDS was asked. Plain data, no I/O."""

from datetime import date
from enum import StrEnum

from pgdrill.aws.rds import Instance
from pgdrill.aws.snapshots import Quota
from pgdrill.model import Model, Moment
from pgdrill.plan import Plan

# Source: RDS User Guide, "Quotas and constraints for Amazon RDS"; the quota's code is L-272F1212.
SNAPSHOT_QUOTA = 100


class Severity(StrEnum):
    """An error stops a deployment, a warning does not; unknown is what only RDS itself can tell."""

    ERROR = "error"
    WARNING = "warning"
    UNKNOWN = "unknown"


class Obstacle(Model):
    """`key` and `value` are those of the plan; `day` is the first on which it happens, None where it always does."""

    severity: Severity
    key: str
    value: str
    what: str
    remedy: str
    day: date | None = None


class RegionFacts(Model):
    """`points` are the slots, or else the moments, of the snapshots that pgdrill made under this suffix."""

    quota: Quota
    points: tuple[Moment, ...]


class DatabaseFacts(Model):
    """`engine` and `dr_engine` are what each region says of the instance's version; None: it has it not."""

    instance: Instance | None
    engine: str | None = None
    dr_engine: str | None = None


class Facts(Model):
    """What RDS said, by the databases' names."""

    primary: RegionFacts
    dr: RegionFacts
    databases: dict[str, DatabaseFacts]


class Question(Model):
    """A plan, the moment it is deployed at, and what RDS said, if it was asked."""

    plan: Plan
    now: Moment
    facts: Facts | None = None
