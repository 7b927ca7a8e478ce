"""How long RDS takes, as far as that can be known beforehand, so that a plan can be judged before it is deployed.

Pure. Every figure is a span, since AWS publishes few of them: what a good day takes, and what a bad one may.
"""

from typing import NamedTuple

from pgdrill.plan import DatabasePlan, Plan

MINUTE = 60.0
# MB in a GiB, which is what RDS calls a GB of storage.
GIB = 1073.741824

# MB/s at which an instance reads its volume, lasting. T classes reach `_BURST` for half an hour a day.
# Source: EC2 User Guide, "Amazon EBS-optimized instance types" (347 Mbps is t3.medium's baseline).
_LASTING = {"micro": 10.875, "small": 21.75, "medium": 43.375}
_BURST = 260.625
_CREDIT = 30 * MINUTE
# MB/s of a gp3 volume below and from 400 GB: 125 and 500 MiB/s. Source: RDS User Guide, "gp3 storage".
_VOLUME = 131.072
_LARGE_VOLUME = 524.288
_LARGE = 400


class Span(NamedTuple):
    """Seconds: of a good day, and of a bad one."""

    least: float
    most: float

    @property
    def middle(self) -> float:
        return (self.least + self.most) / 2

    def plus(self, other: "Span") -> "Span":
        return Span(self.least + other.least, self.most + other.most)


# Not published: what people report of small instances. The drills' own evidence tells the truth of a database.
RESTORE = Span(8 * MINUTE, 30 * MINUTE)
DELETE = Span(3 * MINUTE, 10 * MINUTE)
# Not published either: a copy to another region waits in a queue, then runs at tens of MB/s.
_COPY_WAITS = Span(5 * MINUTE, 30 * MINUTE)
_COPY_RATES = (100.0, 20.0)


def reading(storage_gb: int, instance_class: str) -> Span:
    """Return how long it takes to read every page once: with a full credit of bursts, and with none left."""
    lasting = _LASTING[instance_class.rpartition(".")[2]]
    burst = min(_BURST, _LARGE_VOLUME if storage_gb >= _LARGE else _VOLUME)
    size = storage_gb * GIB
    quick = min(size, burst * _CREDIT)
    return Span(quick / burst + (size - quick) / lasting, size / lasting)


def verifying(plan: Plan, database: DatabasePlan) -> Span:
    """Return how long a drill takes from the restore request to the last verdict.

    Dominated by reading every page, which `rows` and `heap` do; without both, a drill ends soon after the restore.
    """
    if {"rows", "heap"} <= set(plan.checks.skip):
        return RESTORE
    return RESTORE.plus(reading(database.storage_gb, plan.drill.instance_class))


def drilling(plan: Plan, database: DatabasePlan) -> Span:
    """Return how long the temporary instance lives."""
    return verifying(plan, database).plus(DELETE)


def copying(gigabytes: float) -> Span:
    """Return how long a copy to another region takes, once it is the first of its queue."""
    quick, slow = _COPY_RATES
    return _COPY_WAITS.plus(Span(gigabytes * GIB / quick, gigabytes * GIB / slow))
