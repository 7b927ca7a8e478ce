"""Gathers what a cell has, tells the other cell, and hears what that one told, by an object in the evidence buckets.

Calls nothing in the other region: S3 replicates `inventory/` between the two buckets, in both directions.
"""

from datetime import datetime, timedelta

from pydantic import BaseModel, ValidationError

from pgdrill import ledger
from pgdrill.cell import Cell
from pgdrill.drills.state import Step
from pgdrill.evidence import archive
from pgdrill.points.inventory import Drilled, Inventory


class _Point(BaseModel):
    id: str


class _Drill(BaseModel):
    """As much of a drill's state as matters here: another version of pgdrill may have written the rest."""

    next: str
    point: _Point | None


def gather(cell: Cell, now: datetime) -> Inventory:
    """Return all that the cell has, as RDS and the store tell it now."""
    plan = cell.plan
    snapshots = cell.snapshots.ours(plan.stack.suffix)
    instances = {}
    for database in plan.databases:
        if instance := cell.rds.instance(database.instance):
            instances[database.name] = instance.resource_id
    names = [database.name for database in plan.databases]
    return Inventory(
        region=cell.place.region,
        suffix=plan.stack.suffix,
        made_at=now,
        quota=cell.snapshots.quota(),
        snapshots=tuple(snapshots),
        busy=frozenset(
            {snapshot.id for snapshot in snapshots if snapshot.under_way}
            | {task.snapshot for task in cell.exports.under_way()}
            | {point for name in names for point in _restored(cell, name, now)}
        ),
        instances=instances,
        drills={name: drilled for name in names if (drilled := _drilled(cell, name))},
        ledger={
            name: beats[-1]
            for name in names
            if (beats := ledger.witness(cell.store, name, now - timedelta(days=1)))
        },
    )


def tell(cell: Cell, inventory: Inventory) -> None:
    """Leave the inventory where the other cell hears it; the one told before is overwritten."""
    cell.store.put(_key(inventory.region), inventory.model_dump_json().encode())


def told(cell: Cell) -> Inventory | None:
    """Return what this cell told last."""
    return _read(cell, cell.place.region)


def heard(cell: Cell) -> Inventory | None:
    """Return what was heard of the other cell last, None where that is nothing."""
    plan = cell.plan
    return _read(cell, (plan.dr if cell.place.region == plan.primary.region else plan.primary).region)


def _read(cell: Cell, region: str) -> Inventory | None:
    """What cannot be read, since another version wrote it, was not told."""
    body = cell.store.get(_key(region))
    if body is None:
        return None
    try:
        return Inventory.model_validate_json(body)
    except ValidationError:
        return None


def _key(region: str) -> str:
    return f"inventory/{region}.json"


def _restored(cell: Cell, database: str, now: datetime) -> set[str]:
    """Return the points that drills and recoveries of this database are restoring.

    One that began longer ago than a lease lasts is dead, and what it restored from is no longer read.
    """
    prefix = f"drills/{database}/"
    oldest = f"{prefix}{now - cell.plan.drill.lease:%Y%m%dt%H%M%S}"
    bodies = [cell.store.get(key) for key in cell.store.keys(prefix, oldest) if key.endswith("/drill.json")]
    drills = [_Drill.model_validate_json(body) for body in bodies if body is not None]
    return {drill.point.id for drill in drills if drill.point and drill.next != Step.DONE}


def _drilled(cell: Cell, database: str) -> Drilled | None:
    for last in archive.history(cell.store, database, most=1):
        return Drilled(drill=last.drill, started_at=last.started_at, point=last.point, verdict=last.verdict)
    return None
