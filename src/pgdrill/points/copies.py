"""Copies recovery points into this cell's region, oldest first, a few at a time, until none is missing.

Run in the region that the copies go to, which is where RDS wants to be asked. A round asks for what is due and
waits for nothing; what was lost, ended or forgotten is due again in the next one, so rounds may be repeated at will.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from datetime import datetime, timedelta

from pgdrill.aws.snapshots import Asked, Snapshot
from pgdrill.cell import Cell
from pgdrill.errors import Broken, DrillError, NotRunnable, Unavailable
from pgdrill.messages import Event, Level, Message, Metric, Reply
from pgdrill.model import Clock, Model
from pgdrill.points import exchange, inventory, upkeep
from pgdrill.points.inventory import Actions, Inventory

POLL = 0.25
POLL_MOST = 30.0
# A copy that ends without being done so often will not get through by itself.
TRIES = 3
# Copies of one source are queued by RDS without progress, and a first one is a full one: no less than hours.
PATIENCE = timedelta(hours=24)

Tick = Callable[[float], Clock]


class Answers(Model):
    """What RDS said when it was asked for copies, by the points' ids.

    `refused` are those that it refused for a reason that does not pass by itself, `gone` those whose source the other
    cell has deleted since it told of it: its next inventory leaves them out.
    """

    begun: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    reply: Reply = Reply()


class Round(Model):
    """What one round did; `heard` tells whether anything was heard of the other cell.

    `backlog` is what is wanted and not usable yet, `flying` how many copies are under way.
    """

    own: Inventory
    heard: bool
    backlog: tuple[Snapshot, ...]
    flying: int
    answers: Answers
    reply: Reply

    @property
    def missing(self) -> bool:
        return any(snapshot.id not in self.answers.gone for snapshot in self.backlog)


def round_(cell: Cell, now: datetime) -> Round:
    """Ask for the copies that are due, tell the own inventory, and say how far behind this region is."""
    if cell.place.region == cell.plan.primary.region:
        raise NotRunnable(
            f"copies go to {cell.plan.dr.region}, and are asked for there",
            hint="open the other cell: pgdrill point copy does",
        )
    last = exchange.seen(cell)
    own, heard = exchange.gather(cell, now), exchange.heard(cell)
    actions = inventory.reconcile(own, heard, cell.plan.copies, now)
    news, reply = inventory.changes(last.inventory, own), Reply(messages=actions.messages)
    for failed in actions.discard:
        reply += _discarded(cell, failed)
    wanted = min(actions.room, len(actions.due))
    crowded = wanted > own.quota.free
    if crowded:
        reply += upkeep.retain(cell, now, own=own, room=wanted).reply
    answers = _ask(cell, actions)
    if actions.discard or crowded or answers.begun:
        after = exchange.gather(cell, now)
        news, own = news + inventory.changes(own, after), after
    exchange.tell(cell, own)
    if exchange.keep_seen(cell, last, own):
        reply += news
    return Round(
        own=own,
        heard=heard is not None,
        backlog=actions.backlog,
        flying=sum(snapshot.under_way for snapshot in own.snapshots),
        answers=answers,
        reply=reply + answers.reply + Reply(metrics=_metrics(own, heard, actions, now)),
    )


def _ask(cell: Cell, actions: Actions) -> Answers:
    """Ask for what is due until there is no more room in flight, or RDS has said no often enough."""
    begun: list[str] = []
    refused: list[str] = []
    gone: list[str] = []
    reply = Reply()
    for source in actions.due:
        if len(begun) == actions.room or len(refused) == TRIES:
            break
        try:
            asked = _begin(cell, source)
        except Unavailable as error:
            reply += Reply(messages=(Message.of("copy waits", error, Level.NOTE),))
            break
        except DrillError as error:
            refused.append(source.id)
            event = Event(kind="CopyFailed", subject=source.id, detail={"message": error.message})
            reply += Reply(events=(event,), messages=(Message.of("copy refused", error),))
            continue
        if asked is Asked.BEGUN:
            begun.append(source.id)
        elif asked is Asked.NO_SOURCE:
            gone.append(source.id)
    return Answers(begun=tuple(begun), refused=tuple(refused), gone=tuple(gone), reply=reply)


def run(cell: Cell, tick: Tick, report: Callable[[str], None]) -> tuple[list[Snapshot], Reply]:
    """Make rounds until nothing is missing; return the copies that came of it, and what was told on the way.

    Raises:
        NotRunnable: nothing was heard of the other cell, or RDS refuses a copy as it was asked for.
        Broken: a copy ended several times without being done, or not all were done within a day.
        Unavailable: what was asked did not answer for a day.
    """
    started, wait, tries, told = tick(0).now, POLL, Counter[str](), Reply()
    while True:
        clock = tick(wait)
        try:
            done = round_(cell, clock.now)
        except Unavailable as error:
            if clock.now - started > PATIENCE:
                raise
            report(error.message)
            wait = min(POLL_MOST, wait * 1.5)
            continue
        tries.update(done.answers.begun)
        _give_up(cell, done, tries)
        told = Reply(
            metrics=(*_lags(told), *done.reply.metrics),
            events=told.events + done.reply.events,
            messages=_once(told.messages + done.reply.messages),
        )
        if not done.missing and not done.flying:
            return [snapshot for snapshot in done.own.snapshots if snapshot.id in tries], told
        if clock.now - started > PATIENCE:
            raise Broken(
                f"{len(done.backlog)} points are still missing in {cell.place.region} after {PATIENCE}",
                hint="see the copies and their progress with: pgdrill point list --cell dr",
            )
        report(_said(done))
        wait = POLL if done.answers.begun else min(POLL_MOST, wait * 1.5)


def _lags(told: Reply) -> Iterator[Metric]:
    """Yield what is measured of each copy; ages are measured anew in every round."""
    return (metric for metric in told.metrics if metric.name == "CopyLag")


def _once(messages: Iterable[Message]) -> tuple[Message, ...]:
    """Return each message once: what lasts is told in every round."""
    told: list[Message] = []
    for message in messages:
        if message not in told:
            told.append(message)
    return tuple(told)


def _begin(cell: Cell, source: Snapshot) -> Asked:
    if source.mark is None:
        raise ValueError(f"snapshot {source.id} carries no mark of pgdrill's")
    tags = cell.plan.tags.model_dump() | source.mark.tags()
    return cell.snapshots.copy(source.arn, source.id, cell.place.storage_key, tags)


def _discarded(cell: Cell, failed: Snapshot) -> Reply:
    """Give the name of a failed copy free for another try."""
    try:
        cell.snapshots.delete(failed)
    except DrillError as error:
        return Reply(messages=(Message.of("point not deleted", error, Level.WARNING),))
    return Reply()


def _give_up(cell: Cell, done: Round, tries: Counter[str]) -> None:
    """End rounds that lead nowhere."""
    if not done.heard:
        silent = next(message for message in done.reply.messages if message.topic == "other cell silent")
        raise NotRunnable(silent.text, hint=silent.hint)
    if done.answers.refused and not done.answers.begun and not done.flying:
        why = next(message for message in done.reply.messages if message.topic == "copy refused")
        raise NotRunnable(why.text, hint=why.hint)
    for identifier, times in tries.items():
        if times > TRIES:
            raise Broken(
                f"the copy of {identifier!r} to {cell.place.region} ended {times - 1} times without being done",
                hint="see the events of RDS for this snapshot in both regions",
            )


def _said(done: Round) -> str:
    first = next((s for s in done.own.snapshots if s.under_way), None)
    now = f"; {first.id} {first.status} {first.progress} %" if first else ""
    return f"{len(done.backlog)} missing, {done.flying} in flight{now}"


def _metrics(own: Inventory, heard: Inventory | None, actions: Actions, now: datetime) -> tuple[Metric, ...]:
    """Return the ages, counted from what the data is of: a copy's own creation time says nothing of it."""
    region = {"Region": own.region}
    waiting = max((_age(s.created_at, now) for s in actions.backlog), default=0.0)
    metrics = [
        Metric(name="CopiesMissing", value=len(actions.backlog), unit="Count", dimensions=region),
        Metric(name="OldestCopyMissing", value=waiting, unit="Seconds", dimensions=region),
    ]
    if heard:
        age = heard.age(now).total_seconds()
        metrics.append(Metric(name="OtherCellAge", value=age, unit="Seconds", dimensions=region))
    for database in sorted({s.mark.database for s in own.snapshots if s.mark}):
        newest = _newest(own.snapshots, database)
        if newest is not None:
            metrics.append(
                Metric(
                    name="CopyAge",
                    value=_age(newest.recovers_to, now),
                    unit="Seconds",
                    dimensions=region | {"Database": database},
                )
            )
    return tuple(metrics)


def _newest(snapshots: Collection[Snapshot], database: str) -> Snapshot | None:
    usable = [s for s in snapshots if s.usable and s.mark and s.mark.database == database]
    return max(usable, key=lambda s: (s.recovers_to is not None, s.recovers_to), default=None)


def _age(moment: datetime | None, now: datetime) -> float:
    return max(0.0, (now - moment).total_seconds()) if moment else 0.0
