"""Gathers what a cell has, tells the other cell, and hears what that one told, by an object in the evidence buckets.

Calls nothing in the other region: S3 replicates `inventory/` between the two buckets, in both directions.
"""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from hashlib import sha256
from typing import NamedTuple

from pydantic import BaseModel, ValidationError

from pgdrill import ledger
from pgdrill.aws.rds import Instance
from pgdrill.aws.snapshots import Snapshot
from pgdrill.cell import Cell
from pgdrill.drills.state import Step
from pgdrill.errors import NotRunnable
from pgdrill.evidence import archive
from pgdrill.messages import Event, Level, Message, Metric, Reply
from pgdrill.model import Beat, Moment
from pgdrill.points import inventory
from pgdrill.points.inventory import Drilled, Inventory

# As many connections as a client of botocore keeps.
AT_ONCE = 10
# The kind of the event of a telling, which rules forward to the other region.
TOLD = "InventoryTold"


class _Point(BaseModel):
    id: str


class _Drill(BaseModel):
    """As much of a drill's state as matters here: another version of pgdrill may have written the rest."""

    next: str
    point: _Point | None


def gather(cell: Cell, now: datetime, instances: Iterable[Instance] | None = None) -> Inventory:
    """Return all that the cell has, as RDS and the store tell it now.

    `instances` are those of the region, where somebody has asked for them already.
    """
    plan = cell.plan
    snapshots = cell.snapshots.ours(plan.stack.suffix)
    # One listing, however many databases there are.
    listed = cell.rds.named("") if instances is None else instances
    there = {instance.id: instance.resource_id for instance in listed}
    names = [database.name for database in plan.databases]
    with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
        stored = dict(zip(names, pool.map(lambda name: _stored(cell, name, now), names), strict=True))
    return Inventory(
        region=cell.place.region,
        suffix=plan.stack.suffix,
        made_at=now,
        quota=cell.snapshots.quota(),
        snapshots=tuple(snapshots),
        busy=frozenset(
            {snapshot.id for snapshot in snapshots if snapshot.under_way}
            | {task.snapshot for task in cell.exports.under_way()}
            | {point for name in names for point in _in_use(name, stored[name].restored, snapshots)}
        ),
        instances={
            database.name: there[database.instance]
            for database in plan.databases
            if database.instance in there
        },
        drills={name: known.drilled for name, known in stored.items() if known.drilled},
        ledger={name: known.beat for name, known in stored.items() if known.beat},
    )


class _Stored(NamedTuple):
    """What the store holds of one database; most of reading it is waiting. `restored` of None may be any point."""

    restored: set[str] | None
    drilled: Drilled | None
    beat: Beat | None


def _stored(cell: Cell, database: str, now: datetime) -> _Stored:
    beats = ledger.witness(cell.store, database, now - timedelta(days=1))
    return _Stored(_restored(cell, database, now), _drilled(cell, database), beats[-1] if beats else None)


def tell(cell: Cell, own: Inventory) -> str:
    """Leave the inventory where the other cell hears it, over the one told before; return its digest."""
    body = own.model_dump_json().encode()
    cell.store.put(_key(own.region), body)
    return sha256(body).hexdigest()


class Told(BaseModel):
    """What the event of a telling says of the inventory that lies in the store; more may come with another version."""

    region: str
    suffix: str
    made_at: Moment
    sha256: str


def announce(
    cell: Cell, now: datetime, instances: Iterable[Instance] | None = None
) -> tuple[Inventory, Reply]:
    """Tell all that the cell has, and say so with an event, which is there before S3 has replicated the rest."""
    own = gather(cell, now, instances)
    digest = tell(cell, own)
    usable = [snapshot for snapshot in own.snapshots if snapshot.usable]
    newest = max((s.recovers_to for s in usable if s.recovers_to), default=None)
    detail: dict[str, str | int | float | None] = {
        "region": own.region,
        "suffix": own.suffix,
        "made_at": own.made_at.isoformat(),
        "sha256": digest,
        "points": len(usable),
        "under_way": len(own.snapshots) - len(usable),
        "newest": newest.isoformat() if newest else None,
        "quota_used": own.quota.used,
        "quota_limit": own.quota.limit,
    }
    return own, Reply(events=(Event(kind=TOLD, subject=own.region, detail=detail),))


def hear(cell: Cell, told: Told, now: datetime) -> Reply:
    """See whether the inventory that the other cell told of has come along, and say how old what is known is.

    Keeps nothing: an event that is lost, late, doubled or out of order changes nothing.

    Raises:
        NotRunnable: the event is not of the other cell of this plan.
    """
    region = _other(cell)
    if (told.region, told.suffix) != (region, cell.plan.stack.suffix):
        raise NotRunnable(
            f"an inventory of {told.suffix!r} in {told.region} was heard in {cell.place.region}, which hears"
            f" {cell.plan.stack.suffix!r} in {region}",
            hint="see the rules of the event bus: they forward what this suffix tells, from the other region alone",
        )
    known = heard(cell)
    behind = told.made_at - known.made_at if known else timedelta.max
    about = {"Region": region}
    reply = Reply()
    if known:
        age, late = known.age(now).total_seconds(), max(0.0, behind.total_seconds())
        reply = Reply(
            metrics=(
                Metric(name="OtherCellAge", value=age, unit="Seconds", dimensions=about),
                Metric(name="ReplicationLag", value=late, unit="Seconds", dimensions=about),
            )
        )
    if behind <= inventory.SILENT_AFTER:
        return reply
    since = f"since {known.made_at:%Y-%m-%d %H:%M} UTC" if known else "yet"
    return reply + Reply(
        messages=(
            Message(
                level=Level.ALARM,
                topic="inventory not replicated",
                text=f"{region} told its inventory at {told.made_at:%Y-%m-%d %H:%M} UTC, and none came with S3 {since}",
                hint="see the replication of the evidence buckets: its status, its role and its keys",
            ),
        )
    )


def heard(cell: Cell) -> Inventory | None:
    """Return what was heard of the other cell last, None where that is nothing."""
    body = cell.store.get(_key(_other(cell)))
    return _inventory(body) if body is not None else None


class Seen(NamedTuple):
    """What the last round of copies saw here, and the tag by which it is known that no other has seen more."""

    inventory: Inventory | None
    tag: str | None


def seen(cell: Cell) -> Seen:
    """Return what the last round of copies saw; what another version wrote was not seen."""
    found = cell.store.read(_seen_key(cell))
    return Seen(_inventory(found[0]), found[1]) if found else Seen(None, None)


def keep_seen(cell: Cell, last: Seen, own: Inventory) -> bool:
    """Keep what this round saw for the next one; tell whether it is this one that tells what is new since the last.

    Of rounds that overlap, one is the first to write, and another one knows less or the same.
    """
    if last.inventory and last.inventory.snapshots == own.snapshots:
        return True
    return cell.store.swap(_seen_key(cell), own.model_dump_json().encode(), last.tag)


def _seen_key(cell: Cell) -> str:
    return f"inventory/{cell.place.region}/copies.json"


def _other(cell: Cell) -> str:
    plan = cell.plan
    return (plan.dr if cell.place.region == plan.primary.region else plan.primary).region


def _inventory(body: bytes) -> Inventory | None:
    """What cannot be read, since another version wrote it, was not told."""
    try:
        return Inventory.model_validate_json(body)
    except ValidationError:
        return None


def _key(region: str) -> str:
    return f"inventory/{region}.json"


def _in_use(database: str, restored: set[str] | None, snapshots: Iterable[Snapshot]) -> set[str]:
    """Return the points that are being restored: all of a database where it is not known which."""
    if restored is not None:
        return restored
    return {snapshot.id for snapshot in snapshots if snapshot.mark and snapshot.mark.database == database}


def _restored(cell: Cell, database: str, now: datetime) -> set[str] | None:
    """Return the points that drills and recoveries of this database are restoring; None where one cannot be read.

    One that began longer ago than a lease lasts is dead, and what it restored from is no longer read. The watch names
    what cannot be read.
    """
    prefix = f"drills/{database}/"
    oldest = f"{prefix}{now - cell.plan.drill.lease:%Y%m%dt%H%M%S}"
    bodies = [cell.store.get(key) for key in cell.store.keys(prefix, oldest) if key.endswith("/drill.json")]
    try:
        drills = [_Drill.model_validate_json(body) for body in bodies if body is not None]
    except ValidationError:
        return None
    return {drill.point.id for drill in drills if drill.point and drill.next != Step.DONE}


def _drilled(cell: Cell, database: str) -> Drilled | None:
    for last in archive.history(cell.store, database, most=1, region=cell.place.region):
        return Drilled(drill=last.drill, started_at=last.started_at, point=last.point, verdict=last.verdict)
    return None
