"""Keeps the points of one region as the plan says: deletes what retention names, and nothing else.

The other cell is heard first, so that nothing is deleted which is being copied, exported, restored or drilled there.
"""

import math
from collections.abc import Callable, Collection, Sequence
from datetime import datetime

from pgdrill.cell import Cell
from pgdrill.errors import DrillError
from pgdrill.messages import Event, Level, Message, Metric, Reply
from pgdrill.model import Model
from pgdrill.plan import Copies, Points
from pgdrill.points import exchange, inventory, retention
from pgdrill.points.inventory import Inventory
from pgdrill.points.retention import Deletion, Reason

# A deletion that has less than this left, in seconds, is not asked for.
LEAST = 3.0
# So many are named in the message of what was deleted.
NAMED = 5


class Kept(Model):
    """What came of it. `left` are deletions that RDS refused; they are asked for again the next time."""

    deleted: tuple[Deletion, ...] = ()
    left: tuple[Deletion, ...] = ()
    reply: Reply = Reply()


def rules(cell: Cell) -> Points | Copies:
    """Return what is kept in this cell's region."""
    return cell.plan.points if cell.place.region == cell.plan.primary.region else cell.plan.copies


def retain(
    cell: Cell,
    now: datetime,
    *,
    own: Inventory | None = None,
    room: int | None = None,
    dry_run: bool = False,
    remaining: Callable[[], float] = lambda: math.inf,
) -> Kept:
    """Delete what the plan does not want here, and what must go so that `room` new snapshots are not refused.

    Without `room`, for one new snapshot of every database of the plan. What there is no time left for is left to the
    next time; `remaining` are seconds. `own` is what the cell has, where somebody has gathered it already.
    """
    room = len(cell.plan.databases) if room is None else room
    own = own or exchange.gather(cell, now)
    busy = inventory.busy(own, exchange.heard(cell), now)
    deletions = retention.retain(own.snapshots, rules(cell), own.quota, now, busy, room=room)
    if dry_run:
        return Kept(deleted=tuple(deletions), reply=_told(own, deletions, room))
    done, left, refused = [], [], []
    for deletion in deletions:
        if remaining() < LEAST:
            left.append(deletion)
            continue
        try:
            cell.snapshots.delete(deletion.snapshot)
            done.append(deletion)
        except DrillError as error:
            left.append(deletion)
            refused.append(Message.of("point not deleted", error, Level.WARNING))
    told = _told(own, done, room) + Reply(messages=tuple(refused)) + _deleted(done, own.region)
    return Kept(deleted=tuple(done), left=tuple(left), reply=told)


def _told(own: Inventory, deletions: Sequence[Deletion], room: int) -> Reply:
    """Return what the quota makes of the deletions that were done, or in a dry run would be."""
    return Reply(
        metrics=_metrics(own, deletions),
        messages=retention.messages(deletions, own.quota, own.region, room),
    )


def _deleted(deletions: Sequence[Deletion], region: str) -> Reply:
    events = tuple(
        Event(
            kind="PointDeleted",
            subject=deletion.snapshot.id,
            detail={"reason": deletion.reason.value, "why": deletion.why, "region": region},
        )
        for deletion in deletions
    )
    return Reply(events=events, messages=_said(deletions, region))


def _said(deleted: Sequence[Deletion], region: str) -> tuple[Message, ...]:
    """Return one message, however many were deleted; each is an event of its own."""
    if not deleted:
        return ()
    few = ", ".join(f"{one.snapshot.id!r} ({one.why})" for one in deleted[:NAMED])
    more = f" and {len(deleted) - NAMED} more" if len(deleted) > NAMED else ""
    return (
        Message(
            level=Level.REPORT,
            topic="points deleted",
            text=f"{len(deleted)} of the points in {region} were deleted: {few}{more}",
            attributes={"region": region},
        ),
    )


def _metrics(own: Inventory, deletions: Collection[Deletion]) -> tuple[Metric, ...]:
    region = {"Region": own.region}
    forced = sum(deletion.reason is Reason.QUOTA for deletion in deletions)
    used = 100 * own.quota.used / own.quota.limit if own.quota.limit else 100.0
    return (
        Metric(name="ManualSnapshotQuotaUsed", value=used, unit="Percent", dimensions=region),
        Metric(name="PointsDeletedForRoom", value=forced, unit="Count", dimensions=region),
    )
