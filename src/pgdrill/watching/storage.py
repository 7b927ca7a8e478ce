"""What the snapshots that are there cost a month, reckoned as the plan's own costs are. Pure.

AWS bills what changed between snapshots and tells nobody how much that is, so it is an estimate by
`cost.changed_daily`; exports lie in S3, and are not in it.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import groupby, pairwise

from pgdrill.aws.rds import Instance
from pgdrill.aws.snapshots import Snapshot
from pgdrill.plan import Plan
from pgdrill.planning.cost import prices
from pgdrill.points.inventory import Inventory

DAY = timedelta(days=1)


def monthly(own: Inventory, instances: Iterable[Instance], plan: Plan) -> float:
    """Return US dollars a month for the snapshots of a cell and the automated backups of its databases."""
    changed = plan.cost.changed_daily
    production = {database.instance for database in plan.databases}
    here = [one for one in instances if one.id in production and own.region == plan.primary.region]
    by_source = groupby(sorted(own.snapshots, key=lambda one: one.source), key=lambda one: one.source)
    points = sum(_taken(list(snapshots), changed) for _, snapshots in by_source)
    automated = sum(one.storage_gb * (1 + changed * one.retention_days) for one in here if one.retention_days)
    # As much as the databases themselves have is free where they are.
    free = sum(one.storage_gb for one in here)
    return round(max(0.0, points + automated - free) * prices()["backup"].at(own.region), 2)


def _taken(snapshots: Sequence[Snapshot], changed: float) -> float:
    """Return the gigabytes of one instance's snapshots: the first is full, each other holds what changed since."""
    moments = sorted((_moment(one), one.storage_gb) for one in snapshots if one.usable)
    return sum(size for _, size in moments[:1]) + sum(
        size * min(1.0, changed * ((later - earlier) / DAY))
        for (earlier, _), (later, size) in pairwise(moments)
    )


def _moment(snapshot: Snapshot) -> datetime:
    if snapshot.recovers_to is None:
        raise ValueError(f"snapshot {snapshot.id} is {snapshot.status}")
    return snapshot.recovers_to
