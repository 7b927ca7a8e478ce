"""What each cell tells the other of itself, and what the cell that copies makes of it. Pure.

Every inventory is whole, and nobody acknowledges: a lost, late, doubled or unordered one changes nothing once a
newer one is heard. What is to be done follows from the two inventories alone, so doing it twice does it once.
"""

from collections.abc import Collection
from datetime import datetime, timedelta

from pydantic import Field

from pgdrill.aws.snapshots import Quota, Snapshot
from pgdrill.messages import Event, Level, Message, Metric, Reply
from pgdrill.model import Beat, Model, Moment, Verdict
from pgdrill.plan import Copies
from pgdrill.points import retention

# Three of the five-minute rounds in which each cell tells its inventory.
SILENT_AFTER = timedelta(minutes=15)
# A copy in flight is ended by the deletion of its source; longer than this none should take.
LONGEST_COPY = timedelta(days=1)


class Drilled(Model):
    """The newest drill of a database in one region."""

    drill: str
    started_at: Moment
    point: str
    verdict: Verdict


class Inventory(Model):
    """All that one cell has. A copy has its source's identifier, so one identifier is one point in both cells.

    `busy` are the points that are copied, exported, restored or drilled there. `instances` are the resource ids
    of the databases that run there, `ledger` their newest beats, `drills` the newest drills, by database.
    """

    region: str
    suffix: str
    made_at: Moment
    quota: Quota
    snapshots: tuple[Snapshot, ...] = ()
    busy: frozenset[str] = frozenset()
    instances: dict[str, str] = Field(default_factory=dict)
    drills: dict[str, Drilled] = Field(default_factory=dict)
    ledger: dict[str, Beat] = Field(default_factory=dict)

    def by_id(self) -> dict[str, Snapshot]:
        return {snapshot.id: snapshot for snapshot in self.snapshots}

    def age(self, now: datetime) -> timedelta:
        return max(timedelta(0), now - self.made_at)


class Actions(Model):
    """What to do now in the cell that copies. `backlog` is all that is wanted and not usable here yet.

    `due` are the copies to ask for, oldest first, of which `room` may begin now; `discard` failed ones that hold a
    name a new try needs.
    """

    due: tuple[Snapshot, ...] = ()
    room: int = 0
    discard: tuple[Snapshot, ...] = ()
    backlog: tuple[Snapshot, ...] = ()
    messages: tuple[Message, ...] = ()


def reconcile(own: Inventory, heard: Inventory | None, rules: Copies, now: datetime) -> Actions:
    """Compare what is here with what was heard of the other cell, by the rules of the copies."""
    if heard is None:
        return Actions(messages=(_silent(None, now),))
    here = own.by_id()
    missing = [snapshot for snapshot in _offered(own, heard) if not _is_here(snapshot, here)]
    wanted = [snapshot for snapshot in missing if snapshot.id not in _not_kept(own, missing, rules, now)]
    discard = [
        here[snapshot.id]
        for snapshot in wanted
        if snapshot.id in here and here[snapshot.id].status == "failed"
    ]
    flying = [snapshot for snapshot in own.snapshots if snapshot.under_way]
    due = [snapshot for snapshot in wanted if snapshot.id not in here]
    backlog = sorted(
        [*wanted, *(s for s in _offered(own, heard) if s.id in {flight.id for flight in flying})],
        key=_order,
    )
    return Actions(
        due=tuple(due),
        room=max(0, rules.in_flight - len(flying)),
        discard=tuple(discard),
        backlog=tuple(backlog),
        messages=_told(own, heard, backlog, rules, now),
    )


def changes(before: Inventory | None, now: Inventory) -> Reply:
    """Return what to tell of the copies that were done, or ended before they were, from one inventory to the next."""
    if before is None:
        return Reply()
    here, known = now.by_id(), before.by_id()
    reply = Reply()
    for was in before.snapshots:
        if was.under_way and was.copied_from and was.id not in here:
            reply += _ended(was, "gone")
    for copy in now.snapshots:
        was_there = known.get(copy.id)
        if not copy.copied_from:
            continue
        if copy.usable and not (was_there and was_there.usable):
            reply += _done(copy)
        if copy.status == "failed" and not (was_there and was_there.lost):
            reply += _ended(copy, copy.status)
    return reply


def _ended(copy: Snapshot, how: str) -> Reply:
    """Return what to tell of a copy that is no good: RDS tells of one that somebody ended, and of none that failed."""
    told = Message(
        level=Level.WARNING,
        topic="copy ended",
        text=f"the copy of {copy.id!r} in {copy.region} is {how}",
        hint="it is asked for again; see the events of RDS for this snapshot in both regions",
    )
    event = Event(kind="CopyEnded", subject=copy.id, detail={"status": how, "progress": copy.progress})
    return Reply(events=(event,), messages=(told,))


def _done(copy: Snapshot) -> Reply:
    """The lag counts from what the data is of to when the copy was there."""
    event = Event(kind="CopyDone", subject=copy.id)
    told = Message(
        level=Level.REPORT,
        topic="copy done",
        text=f"recovery point {copy.id!r} has its copy in {copy.region}",
        attributes={"region": copy.region} | ({"database": copy.mark.database} if copy.mark else {}),
    )
    if copy.created_at is None or copy.recovers_to is None:
        return Reply(events=(event,), messages=(told,))
    lag = (copy.created_at - copy.recovers_to).total_seconds()
    region = {"Region": copy.region}
    return Reply(
        events=(event,),
        messages=(told,),
        metrics=(Metric(name="CopyLag", value=lag, unit="Seconds", dimensions=region),),
    )


def busy(own: Inventory, heard: Inventory | None, now: datetime) -> frozenset[str]:
    """Return the points of the own cell that must not be deleted now, as far as both cells know.

    Where nothing fresh was heard, whatever the other cell did not have when it spoke last may be copied there now,
    for as long as a copy can take.
    """
    if heard is None:
        return own.busy
    known = own.busy | heard.busy
    if heard.age(now) <= SILENT_AFTER or heard.age(now) > LONGEST_COPY:
        return known
    there = {snapshot.id for snapshot in heard.snapshots if snapshot.usable}
    return known | frozenset(s.id for s in own.snapshots if s.id not in there and s.copied_from is None)


def _order(snapshot: Snapshot) -> tuple[datetime, str]:
    return retention.moment(snapshot), snapshot.id


def _offered(own: Inventory, heard: Inventory) -> list[Snapshot]:
    """Return what the other cell has to be copied, oldest first: pgdrill's own, usable, no copies."""
    offered = [
        snapshot
        for snapshot in heard.snapshots
        if snapshot.usable
        and snapshot.copied_from is None
        and snapshot.mark
        and snapshot.mark.suffix == own.suffix
    ]
    return sorted(offered, key=_order)


def _is_here(snapshot: Snapshot, here: dict[str, Snapshot]) -> bool:
    """Tell whether a point is here, or on its way. What failed is not."""
    copy = here.get(snapshot.id)
    return copy is not None and (copy.usable or copy.under_way)


def _not_kept(own: Inventory, missing: Collection[Snapshot], rules: Copies, now: datetime) -> frozenset[str]:
    """Return what retention would delete again as soon as it is here, because of its age or of the quota."""
    quota = own.quota.model_copy(update={"used": own.quota.used + len(missing)})
    there = {snapshot.id for snapshot in missing}
    together = [*missing, *(snapshot for snapshot in own.snapshots if snapshot.id not in there)]
    doomed = retention.retain(together, rules, quota, now, frozenset(), room=0)
    return frozenset(deletion.snapshot.id for deletion in doomed)


def _told(
    own: Inventory, heard: Inventory, backlog: Collection[Snapshot], rules: Copies, now: datetime
) -> tuple[Message, ...]:
    told = []
    if heard.age(now) > SILENT_AFTER:
        told.append(_silent(heard, now))
    late = [s for s in backlog if s.created_at and now - s.created_at > rules.late_after]
    if late:
        told.append(
            Message(
                level=Level.ALARM,
                topic="copies late",
                text=f"{len(late)} recovery points are not copied to {own.region} within"
                f" {_hours(rules.late_after)}; the oldest is {late[0].id}, made {late[0].created_at:%Y-%m-%d %H:%M} UTC",
                hint="see the copies in flight with: pgdrill point list --cell dr",
            )
        )
    for one in own.snapshots:
        other = heard.by_id().get(one.id)
        if other and one.mark and other.mark and one.mark.resource != other.mark.resource:
            told.append(
                Message(
                    level=Level.ALARM,
                    topic="copy of another instance",
                    text=f"copy {one.id!r} in {own.region} is of instance {one.mark.resource}, the snapshot in"
                    f" {heard.region} of {other.mark.resource}",
                    hint="the database was replaced under the same name; delete the copy by hand once it is not needed",
                )
            )
    return tuple(told)


def _silent(heard: Inventory | None, now: datetime) -> Message:
    since = f"since {heard.made_at:%Y-%m-%d %H:%M} UTC, {_hours(heard.age(now))} ago" if heard else "yet"
    other = heard.region if heard else "the other cell"
    return Message(
        level=Level.ALARM,
        topic="other cell silent",
        text=f"nothing was heard of {other} {since}",
        hint="let it tell with: pgdrill point inventory; S3 must replicate inventory/ between the evidence buckets",
    )


def _hours(age: timedelta) -> str:
    minutes = int(age.total_seconds() // 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"
