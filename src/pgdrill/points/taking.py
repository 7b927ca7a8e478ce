"""Takes a recovery point: seals production, asks for a snapshot, waits until it is usable, seals again.

Steps `(Taking, Cell, Clock) -> Taking`, each short and safe to repeat: the snapshot's name comes from its slot,
so retries and double firing make one. Those that seal read production through the sealing role and ask nothing of
RDS; the others ask RDS and do not reach production. Makes snapshots and no other thing.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from botocore.exceptions import ClientError

from pgdrill import seal, slots
from pgdrill.aws.rds import USABLE, Instance
from pgdrill.aws.refusal import code
from pgdrill.aws.snapshots import Mark, Snapshot
from pgdrill.cell import Cell
from pgdrill.checks.check import Check
from pgdrill.errors import Broken, DrillError, NotRunnable, Unavailable
from pgdrill.model import Clock, Model, Moment, RecoveryPoint
from pgdrill.plan import DatabasePlan, Plan

# How often a snapshot in the making is asked for, and how long at most: hours on a large first snapshot.
POLL = 0.25
POLL_MOST = 15.0
PATIENCE = timedelta(hours=4)
# How long a busy instance is asked at most: this and patience fit into the time of the state machine.
ASKING = timedelta(hours=6)
# A point without its seal is worth more than none; so long a seal that does not succeed is tried again.
SEALING = timedelta(minutes=5)
# A clock that is behind fires a little before its slot, and means that slot.
SKEW = timedelta(minutes=1)

Tick = Callable[[float], Clock]


class Step(StrEnum):
    """The steps of a point, in their order, and `done`."""

    CHECK = "check"
    SEAL_BEFORE = "seal_before"
    ASK = "ask"
    AWAIT = "await"
    SEAL_AFTER = "seal_after"
    DONE = "done"


# The steps that open production.
SEALS = frozenset({Step.SEAL_BEFORE, Step.SEAL_AFTER})


class Taking(Model):
    """A point in the making. A busy instance is waited out until `ask_until`; patience counts from `asked_at`.

    `resource` is RDS's own id of the instance, which tells it from a later one of the same name. `sealed` tells
    whether production was sealed before, `unsealed` why it could not be sealed before or after, where it could not.
    """

    database: str
    point: str
    slot: str | None
    begun_at: Moment
    ask_until: Moment
    asked_at: Moment | None = None
    resource: str | None = None
    next: Step = Step.CHECK
    wait: float = 0
    taken: RecoveryPoint | None = None
    said: str = ""
    sealed: bool = False
    unsealed: str = ""

    def to(self, step: Step, **changes: object) -> "Taking":
        return self.model_copy(update={"next": step, "wait": 0.0, **changes})

    def asked(self, now: datetime, said: str) -> "Taking":
        return self.to(Step.AWAIT, asked_at=self.asked_at or now, said=said)

    def patient(self, now: datetime) -> bool:
        """Tell whether it is waited for still: to be asked for, or to become usable."""
        return now <= (self.asked_at + PATIENCE if self.asked_at else self.ask_until)

    def again(self, said: str) -> "Taking":
        """Return it as the same step gets it a little later."""
        wait = min(POLL_MOST, max(POLL, self.wait * 1.5))
        return self.model_copy(update={"wait": wait, "said": said})


def slot_now(plan: Plan, now: datetime) -> datetime:
    """Return the slot that a schedule means which fires at `now`, by a clock that may be a little behind."""
    return slots.slot_of(plan.points, now + SKEW)


def begin(plan: Plan, database: DatabasePlan, now: datetime, slot: datetime | None = None) -> Taking:
    """Return a point before its first step; that of a slot, or without one that of this very moment.

    Raises:
        NotRunnable: the slot lies ahead, or is over: what is taken now would not hold that moment's data.
    """
    prefix = plan.point_prefix(database)
    if slot is None:
        moment = now.astimezone(UTC)
        identifier = f"{prefix}{moment:%Y%m%dt%H%M%S}{moment.microsecond // 1000:03d}z"
        return Taking(
            database=database.name,
            point=identifier,
            slot=None,
            begun_at=now,
            ask_until=now + timedelta(hours=1),
        )
    ends = slot + plan.points.every
    if not slot - SKEW <= now < ends:
        raise NotRunnable(
            f"slot {slots.name(slot)} is not now: it lasts until {slots.name(ends)}, and it is"
            f" {now.astimezone(UTC):%Y-%m-%d %H:%M} UTC",
            hint="leave --slot out to take the slot of now, or take one out of turn with --now",
        )
    return Taking(
        database=database.name,
        point=slots.point_id(prefix, slot),
        slot=slots.name(slot),
        begun_at=now,
        ask_until=min(ends, now + ASKING),
    )


def check(taking: Taking, cell: Cell, clock: Clock) -> Taking:
    """See whether a snapshot can be asked for now; find it where an earlier try was heard after all.

    Raises:
        NotRunnable: there is no such instance, it is not encrypted as it must be, or its slot holds another's point.
        Broken: the instance was busy for too long.
    """
    instance = _source(cell, cell.plan.database(taking.database))
    taking = taking.model_copy(update={"resource": instance.resource_id})
    if there := cell.snapshots.find(taking.point):
        _same(there, instance, taking, cell.plan)
        return taking.asked(clock.now, "it was taken already")
    if not taking.patient(clock.now):
        raise Broken(
            f"instance {instance.id!r} was too busy for a snapshot until {taking.ask_until:%Y-%m-%d %H:%M} UTC:"
            f" {taking.said or instance.status}",
            hint="see what holds it up in the events of RDS; the next slot takes another",
        )
    if instance.status not in USABLE:
        return taking.again(f"instance {instance.id} is {instance.status}")
    return taking.to(Step.ASK if taking.sealed or taking.unsealed else Step.SEAL_BEFORE)


def seal_before(taking: Taking, cell: Cell, clock: Clock, checks: Sequence[Check[Any]]) -> Taking:
    """Seal production before its snapshot is asked for."""
    try:
        return _sealed(taking, cell, clock, checks, "before").to(Step.ASK)
    except Unavailable as error:
        return taking.again(error.message)


def ask(taking: Taking, cell: Cell, clock: Clock) -> Taking:
    """Ask for the snapshot; an instance that is busy again is waited for again.

    Raises:
        NotRunnable, Broken: as for `check`; or RDS refused, or will not while the instance's key is what it is.
    """
    checked = check(taking, cell, clock)
    if checked.next is not Step.ASK:
        return checked
    database = cell.plan.database(taking.database)
    mark = Mark(
        suffix=cell.plan.stack.suffix,
        database=database.name,
        resource=checked.resource or "",
        slot=taking.slot,
    )
    try:
        cell.snapshots.take(database.instance, taking.point, cell.plan.tags.model_dump() | mark.tags())
    except Unavailable as error:
        if isinstance(error.__cause__, ClientError) and code(error.__cause__) == "InvalidDBInstanceState":
            _usable_key(_source(cell, database), cell)
        return checked.again(error.message)
    return checked.asked(clock.now, "asked for")


def await_(taking: Taking, cell: Cell, clock: Clock) -> Taking:
    """See whether the snapshot is usable.

    Raises:
        Broken: it failed, was deleted meanwhile, or did not become usable in time.
    """
    found = cell.snapshots.find(taking.point)
    if found is None or found.lost:
        raise Broken(
            f"snapshot {taking.point!r} is {found.status if found else 'gone'}",
            hint="see the events of RDS for this snapshot; then take another",
        )
    if found.usable:
        return taking.to(Step.SEAL_AFTER, taken=found.point())
    if not taking.patient(clock.now):
        raise Broken(
            f"snapshot {taking.point!r} is not available after {PATIENCE}",
            hint="see its status and the events of RDS; the next slot takes another",
        )
    return taking.again(f"{found.status}, {found.progress} %")


def seal_after(taking: Taking, cell: Cell, clock: Clock, checks: Sequence[Check[Any]]) -> Taking:
    """Seal production again, unless an earlier try did."""
    try:
        return _sealed(taking, cell, clock, checks, "after").to(Step.DONE)
    except Unavailable as error:
        return taking.again(error.message)


def step(taking: Taking, cell: Cell, clock: Clock, checks: Sequence[Check[Any]]) -> Taking:
    """Carry out the next step; `wait` seconds are to pass before the one after."""
    match taking.next:
        case Step.CHECK:
            return check(taking, cell, clock)
        case Step.SEAL_BEFORE:
            return seal_before(taking, cell, clock, checks)
        case Step.ASK:
            return ask(taking, cell, clock)
        case Step.AWAIT:
            return await_(taking, cell, clock)
        case Step.SEAL_AFTER:
            return seal_after(taking, cell, clock, checks)
        case Step.DONE:
            return taking


def run(
    taking: Taking, cell: Cell, checks: Sequence[Check[Any]], tick: Tick, report: Callable[[str], None]
) -> Taking:
    """Call step after step until the point is there. `tick(seconds)` waits and returns the next step's clock.

    Raises:
        DrillError: it was not taken; what did not answer was asked again as long as patience lasts.
    """
    while taking.next is not Step.DONE:
        report(f"{taking.point}: {taking.said or 'sealing ' + taking.database}")
        clock = tick(taking.wait)
        try:
            taking = step(taking, cell, clock, checks)
        except Unavailable as error:
            if not taking.patient(clock.now):
                raise
            taking = taking.again(error.message)
    return taking


def take(
    cell: Cell,
    database: DatabasePlan,
    checks: Sequence[Check[Any]],
    tick: Tick,
    report: Callable[[str], None],
) -> RecoveryPoint:
    """Take a point out of turn, from its first step to its last, and return it."""
    done = run(begin(cell.plan, database, tick(0).now), cell, checks, tick, report)
    if done.taken is None:
        raise TypeError("a point that is done was taken")
    return done.taken


# ------------------------------------------------------------------------------------------ the source


def _source(cell: Cell, database: DatabasePlan) -> Instance:
    """Return production's instance, where its snapshots can be copied to another region.

    Source: RDS User Guide, "Copying a DB snapshot": one under the default key cannot be shared or copied so.
    """
    instance = cell.rds.instance(database.instance)
    if instance is None:
        raise NotRunnable(
            f"instance {database.instance!r} of database {database.name!r} is not there",
            hint="check the database's `instance` in the plan and the region in primary.region",
        )
    if not instance.encrypted or instance.kms_key is None:
        raise NotRunnable(
            f"instance {instance.id!r} is not encrypted, and so would be its snapshots",
            hint="move it to an encrypted instance: copy a snapshot of it with a key, and restore that",
        )
    if not cell.keys.customer_managed(instance.kms_key):
        raise NotRunnable(
            f"instance {instance.id!r} is encrypted with AWS's own key {instance.kms_key!r}",
            hint="use a customer-managed key: copy a snapshot of it with that key, and restore that",
        )
    return instance


def _usable_key(instance: Instance, cell: Cell) -> None:
    """See that waiting can help where RDS refuses an instance in this state: its status need not tell of its key.

    Raises:
        NotRunnable: the instance is available, and nothing is snapshotted with its key as it is.
    """
    if instance.status not in USABLE or instance.kms_key is None:
        return
    if (state := cell.keys.state(instance.kms_key)) != "Enabled":
        raise NotRunnable(
            f"instance {instance.id!r} cannot be snapshotted: its key {instance.kms_key!r} is {state}",
            hint="what the instance holds is encrypted with that key: enable it, or cancel its deletion, at once",
        )


def _same(there: Snapshot, instance: Instance, taking: Taking, plan: Plan) -> None:
    """See that the snapshot of this name is the one that was meant.

    Raises:
        NotRunnable: it is somebody else's, or of an earlier instance of the same name.
    """
    mark = there.mark
    if mark is None or (mark.suffix, mark.database) != (plan.stack.suffix, taking.database):
        raise NotRunnable(
            f"snapshot {there.id!r} exists and pgdrill did not make it",
            hint="somebody used pgdrill's prefix; rename or delete that snapshot by hand",
        )
    if mark.resource != instance.resource_id:
        raise NotRunnable(
            f"slot {taking.slot} of database {taking.database!r} holds a snapshot of {mark.resource}, an earlier"
            f" instance of the name {instance.id!r}, which is {instance.resource_id} now",
            hint="the next slot takes the new one; take one out of turn with: pgdrill point take --now",
        )


# ----------------------------------------------------------------------------------------------- seals


def _sealed(
    taking: Taking, cell: Cell, clock: Clock, checks: Sequence[Check[Any]], phase: seal.Phase
) -> Taking:
    """Seal production, unless an earlier try did after this snapshot. What does not succeed is left, and said.

    Raises:
        Unavailable: another try may succeed.
    """
    database = cell.plan.database(taking.database)
    try:
        if taking.taken and seal.ended(cell.store, database.name, taking.taken):
            return taking
        server = cell.production(database, clock)
        made = seal.take(
            server,
            checks,
            database.name,
            taking.point,
            clock,
            resource=taking.resource,
            created_at=taking.taken.created_at if taking.taken else None,
        )
        seal.keep(cell.store, made, phase)
    except DrillError as error:
        since = taking.begun_at if taking.taken is None else taking.taken.usable_at or taking.begun_at
        if isinstance(error, Unavailable) and clock.now - since < SEALING:
            raise
        return taking.model_copy(update={"unsealed": error.message})
    return taking.model_copy(update={"sealed": True})
