"""Purge: finds what pgdrill made at run time in one region, by lease, tags and suffix, and deletes it for good.

What is found first is what is deleted: each thing is looked at again by the module that deletes it, and left alone
if it is not what it was. Production, recovered instances and other suffixes are not within reach of any of them.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial

from pgdrill.aws.export_tasks import ExportTask
from pgdrill.aws.snapshots import Snapshot
from pgdrill.aws.store import Store
from pgdrill.cell import Cell
from pgdrill.drills import foreign
from pgdrill.drills.conduct import Tick, until_gone
from pgdrill.errors import DrillError, NotRunnable
from pgdrill.evidence import archive
from pgdrill.model import Model
from pgdrill.plan import PREFIX

# What lies in the evidence bucket below the name of a database; see store.py.
RECORDS = (
    "seals",
    "witness",
    "drills",
    "references",
    "skipped",
    "exports",
    "evidence",
    "recoveries",
)

# What lies there once for a cell.
OF_CELL = ("canary", "exports/_newest", "inventory", "watch")


class Kind(StrEnum):
    INSTANCE = "temporary instance"
    BACKUP = "retained backup"
    EXPORT = "export under way"
    SNAPSHOT = "snapshot"
    COPY = "copied snapshot"
    OBJECTS = "objects"
    RECOVERED = "recovered instance"
    PRODUCTION = "production"
    UNKNOWN = "not marked as pgdrill's"


class Thing(Model):
    """`why` says what makes it pgdrill's, or why it is left alone."""

    region: str
    kind: Kind
    id: str
    why: str


@dataclass(frozen=True)
class Doomed:
    """A thing to delete. `gone` asks for its deletion, and returns True once it is not there any more."""

    thing: Thing
    gone: Callable[[], bool]


def find(cell: Cell, *, evidence: bool = False) -> list[Doomed]:
    """Return what is to be deleted in the cell's region, in the order in which it can be.

    Points and what exports them, instances and what outlived them; with `evidence` the objects of the plan's
    databases too, in every version.

    Raises:
        NotRunnable: with `evidence`, where the evidence bucket holds records of another suffix.
    """
    found = [*_instances(cell), *_backups(cell), *_exports(cell), *_snapshots(cell)]
    return [*found, *_objects(cell)] if evidence else found


def kept(cell: Cell) -> list[Thing]:
    """Return what carries our name in the cell's region and is left alone, with the reason."""
    region, suffix = cell.place.region, cell.plan.stack.suffix
    prefix = f"{PREFIX}-{suffix}-"
    leased = {instance.id for instance, _ in cell.rds.leased(suffix)}
    ours = {snapshot.id for snapshot in cell.snapshots.ours(suffix)}
    things = []
    production = {database.instance for database in cell.plan.databases}
    for instance in cell.rds.named(prefix):
        if instance.id in production:
            why = "it was deployed, and goes with what deployed it"
            things.append(Thing(region=region, kind=Kind.PRODUCTION, id=instance.id, why=why))
        elif instance.tags.get("PgDrillRole") == "recovered":
            why = "it was recovered, and nothing of pgdrill deletes it"
            things.append(Thing(region=region, kind=Kind.RECOVERED, id=instance.id, why=why))
        elif instance.id not in leased:
            why = "an instance that carries no lease of this suffix"
            things.append(Thing(region=region, kind=Kind.UNKNOWN, id=instance.id, why=why))
    for snapshot in cell.snapshots.named(prefix):
        if snapshot.id not in ours:
            why = "a snapshot without the tags of this suffix"
            things.append(Thing(region=region, kind=Kind.UNKNOWN, id=snapshot.id, why=why))
    return things


def purge(doomed: Sequence[Doomed], tick: Tick, report: Callable[[str], None]) -> None:
    """Delete one thing after the other; what cannot be deleted is told, and does not keep the others."""
    for one in doomed:
        what = f"{one.thing.kind} {one.thing.id!r}"
        report(f"{one.thing.region}: deleting {what}")
        try:
            until_gone(what, one.gone, tick, report)
        except DrillError as error:
            report(f"{error.message}. {error.hint}")


def _instances(cell: Cell) -> Iterator[Doomed]:
    for instance, lease in cell.rds.leased(cell.plan.stack.suffix):
        why = f"leased by drill {lease.drill} until {lease.expires_at:%Y-%m-%d %H:%M} UTC"
        yield Doomed(
            Thing(region=cell.place.region, kind=Kind.INSTANCE, id=instance.id, why=why),
            partial(cell.rds.delete, lease),
        )


def _backups(cell: Cell) -> Iterator[Doomed]:
    temporary = {cell.plan.temporary(database) for database in cell.plan.databases}
    for backup in cell.backups.retained():
        if backup.source in temporary:
            why = f"outlived temporary instance {backup.source}"
            yield Doomed(
                Thing(region=cell.place.region, kind=Kind.BACKUP, id=backup.arn, why=why),
                partial(cell.backups.delete, backup, backup.source),
            )


def _exports(cell: Cell) -> Iterator[Doomed]:
    if cell.place.archive_bucket is None:
        return
    # A task has no tags; its snapshot does, and outlives it.
    ours = {snapshot.id for snapshot in cell.snapshots.ours(cell.plan.stack.suffix)}
    for task in cell.exports.into(cell.place.archive_bucket):
        if task.under_way and task.snapshot in ours:
            why = f"writes {task.snapshot} to the archive bucket"
            yield Doomed(
                Thing(region=cell.place.region, kind=Kind.EXPORT, id=task.id, why=why),
                partial(_cancelled, cell, task),
            )


def _cancelled(cell: Cell, task: ExportTask) -> bool:
    now = cell.exports.find(task.id)
    if now is None or not now.under_way:
        return True
    cell.exports.cancel(now)
    return False


def _snapshots(cell: Cell) -> Iterator[Doomed]:
    for snapshot in cell.snapshots.ours(cell.plan.stack.suffix):
        kind = Kind.COPY if snapshot.copied_from else Kind.SNAPSHOT
        why = f"point of {snapshot.mark.database}" if snapshot.mark else ""
        yield Doomed(
            Thing(region=cell.place.region, kind=kind, id=snapshot.id, why=why),
            partial(_deleted, cell, snapshot),
        )


def _deleted(cell: Cell, chosen: Snapshot) -> bool:
    """Delete the snapshot that was found; one that was in the making then has its time by now."""
    now = cell.snapshots.find(chosen.id)
    if now is None:
        return True
    cell.snapshots.delete(chosen.model_copy(update={"created_at": now.created_at}))
    return False


def _objects(cell: Cell) -> Iterator[Doomed]:
    if others := foreign.suffixes(cell):
        names = ", ".join(sorted(others))
        raise NotRunnable(
            f"bucket {cell.store.bucket!r} holds records of another suffix too: {names}",
            hint="records lie by database, not by suffix, so none is deleted; give each suffix a bucket of its own,"
            " or purge without --evidence",
        )
    databases = [database.name for database in cell.plan.databases]
    places = [(cell.store, f"{kind}/{database}/") for database in databases for kind in RECORDS]
    places += [(cell.store, f"{kind}/") for kind in (*OF_CELL, archive.KEYS)]
    if cell.place.archive_bucket:
        # The year of the point, since the name of suffix `a` begins that of suffix `a-b`.
        places += [(cell.archive(), f"{cell.plan.point_prefix(one)}2") for one in cell.plan.databases]
    for store, prefix in places:
        if count := store.count(prefix):
            why = f"{count} objects and versions of them"
            yield Doomed(
                Thing(
                    region=cell.place.region, kind=Kind.OBJECTS, id=f"s3://{store.bucket}/{prefix}", why=why
                ),
                partial(_erased, store, prefix),
            )


def _erased(store: Store, prefix: str) -> bool:
    store.erase(prefix)
    return store.count(prefix) == 0
