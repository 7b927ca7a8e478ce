"""What the snapshots that are there take and cost a month, reckoned as the plan's own costs are. Pure.

AWS bills what changed between snapshots and tells nobody how much that is, so there are two numbers: an estimate by
`cost.changed_daily`, and an upper bound that takes each as full. What pgdrill does not keep as a snapshot is not in
it: exports, which lie in S3, the log of the PITR window, and automated backups that RDS replicates.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import groupby, pairwise

from pgdrill.aws.rds import Instance
from pgdrill.aws.snapshots import Snapshot
from pgdrill.model import Model
from pgdrill.plan import Plan
from pgdrill.planning.cost import estimate, prices
from pgdrill.points.inventory import Inventory

DAY = timedelta(days=1)


class Kind(StrEnum):
    AUTOMATED = "automated backups"
    SNAPSHOTS = "snapshots"
    COPIES = "copies"

    def lies_in(self, *, primary: bool) -> bool:
        return (self is not Kind.COPIES) == primary


class Stored(Model):
    """Of one kind: gigabytes, and US dollars a month once what is free is taken off. `most` is the upper bound."""

    kind: Kind
    gigabytes: float
    most_gigabytes: float
    usd: float
    most_usd: float


def stored(own: Inventory, instances: Iterable[Instance], plan: Plan) -> tuple[Stored, ...]:
    """Return what a cell's snapshots take, and the automated backups of its databases."""
    changed, primary = plan.cost.changed_daily, own.region == plan.primary.region
    production = {database.instance for database in plan.databases}
    here = [one for one in instances if one.id in production and primary]
    by_source = {
        source: list(snapshots)
        for source, snapshots in groupby(
            sorted(own.snapshots, key=lambda one: one.source), key=lambda one: one.source
        )
    }
    points = sum(_taken(snapshots, changed) for snapshots in by_source.values())
    full = float(sum(one.storage_gb for one in own.snapshots if one.usable))
    sizes = {Kind.SNAPSHOTS if primary else Kind.COPIES: (points, full)}
    if primary:
        kept = [one for one in here if one.retention_days]
        sizes[Kind.AUTOMATED] = (
            sum(
                _unshared(one, by_source.get(one.id, ())) + one.storage_gb * changed * one.retention_days
                for one in kept
            ),
            float(sum(one.storage_gb * (1 + one.retention_days) for one in kept)),
        )
    # As much as the databases themselves have is free where they are.
    free = most_free = float(sum(one.storage_gb for one in here))
    price = prices()["backup"].at(own.region)
    made = []
    for kind in (kind for kind in Kind if kind in sizes):
        size, most = sizes[kind]
        made.append(
            Stored(
                kind=kind,
                gigabytes=round(size, 3),
                most_gigabytes=round(most, 3),
                usd=round(max(0.0, size - free) * price, 2),
                most_usd=round(max(0.0, most - most_free) * price, 2),
            )
        )
        free, most_free = max(0.0, free - size), max(0.0, most_free - most)
    return tuple(made)


def monthly(of: Iterable[Stored]) -> float:
    """Return the estimate for all kinds, in US dollars a month."""
    return round(sum(one.usd for one in of), 2)


def _unshared(instance: Instance, snapshots: Iterable[Snapshot]) -> int:
    """Return the gigabytes of an instance's first full backup that none of its snapshots has."""
    return max(0, instance.storage_gb - max((one.storage_gb for one in snapshots if one.usable), default=0))


def left_for(plan: Plan, region: str) -> float:
    """Return what a cell's snapshots may cost a month, in US dollars: what is planned, and half of what the plan leaves.

    So while all else costs what is planned, the whole passes the ceiling only where a cell passes its part.
    """
    reckoned = estimate(plan)
    planned = sum(line.usd for line in reckoned.lines if line.region == region and "snapshots" in line.what)
    return round(planned + max(0.0, reckoned.ceiling - reckoned.total) / 2, 2)


def _taken(snapshots: Sequence[Snapshot], changed: float) -> float:
    """Return the gigabytes of one instance's snapshots: the first is full, each other holds what was changed or added."""
    moments = sorted((_moment(one), one.storage_gb) for one in snapshots if one.usable)
    return sum(size for _, size in moments[:1]) + sum(
        min(float(size), max(0, size - before) + size * changed * ((later - earlier) / DAY))
        for (earlier, before), (later, size) in pairwise(moments)
    )


def _moment(snapshot: Snapshot) -> datetime:
    if snapshot.recovers_to is None:
        raise ValueError(f"snapshot {snapshot.id} is {snapshot.status}")
    return snapshot.recovers_to
