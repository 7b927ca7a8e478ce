"""A drill: one recovery point restored into a temporary instance, examined, judged, torn down.

A recovery is the same path with an instance that stays: it ends by handing over instead of destroying.
Every step is a function `(Drill, Cell, Clock) -> Drill`, shorter than a Lambda's 15 minutes and safe to repeat.
Opens sessions to the temporary instance alone; production is read about through RDS, never opened.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from pgdrill.aws.rds import OBSTRUCTED, UNRESTORABLE, USABLE, Instance, lease_of
from pgdrill.cell import Cell
from pgdrill.checks.check import Check
from pgdrill.checks.registry import ALL
from pgdrill.database import Address, Server
from pgdrill.drills import examination, outcome, recover
from pgdrill.drills.examination import Measured
from pgdrill.drills.state import Drill, Problem, Step
from pgdrill.errors import Broken, Busy, NotRunnable, Unavailable
from pgdrill.evidence import record
from pgdrill.evidence.record import Purpose
from pgdrill.model import Clock, Lease, Recovered, Stage, Verdict
from pgdrill.plan import DatabasePlan, Plan
from pgdrill.points import choice, schedule

# Seconds between two looks at RDS: a tenth of what has passed, so that short waits end soon and long ones
# stay far from RDS's rate limit.
POLL_LEAST = 0.1
POLL_MOST = 30.0
# A changed password takes up to two minutes to reach PostgreSQL after RDS says available.
LOGIN_PATIENCE = timedelta(minutes=10)

Progress = Callable[[str], None]


def begin(
    plan: Plan,
    database: DatabasePlan,
    wanted: str,
    *,
    now: datetime,
    nonce: str,
    trigger: record.Trigger,
    operator: str | None = None,
    purpose: Purpose = Purpose.DRILL,
    examined: bool = True,
) -> Drill:
    """Return a drill before its first step. The same database at the same moment is the same drill."""
    examination.asked(ALL, plan.checks)
    return Drill(
        id=f"{now:%Y%m%dt%H%M%S}{now.microsecond // 1000:03d}z-{database.name}",
        database=database.name,
        source=database.instance,
        wanted=wanted,
        purpose=purpose,
        examined=examined,
        trigger=trigger,
        operator=operator,
        nonce=nonce,
        plan_sha256=plan.digest(),
        started_at=now,
    )


def choose(drill: Drill, cell: Cell, clock: Clock) -> Drill:
    """Pick the recovery point, and see that no other drill of this database is under way.

    Raises:
        Busy: one is, and its lease has not expired.
    """
    database = cell.plan.database(drill.database)
    if drill.purpose is Purpose.RECOVERY:
        mark = Recovered(
            instance=cell.plan.recovered(database, drill.started_at), drill=drill.id, database=database.name
        )
        return drill.to(Step.RESTORE, point=choice.choose(cell, database, drill.wanted), held=mark)
    meant = schedule.meant(cell, database, drill.wanted, drill.id, drill.started_at)
    lease = Lease(
        instance=cell.plan.temporary(database),
        drill=drill.id,
        database=database.name,
        expires_at=(clock.now + cell.plan.drill.lease).replace(microsecond=0),
    )
    _unlocked(cell, lease, clock)
    return drill.to(Step.RESTORE, point=choice.choose(cell, database, meant), held=lease)


def _unlocked(cell: Cell, lease: Lease, clock: Clock) -> None:
    """See that no other drill of the database is under way; end one whose lease has expired."""
    there = cell.rds.instance(lease.instance)
    other = lease_of(there) if there else None
    if other and other.drill != lease.drill:
        if other.expires_at > clock.now:
            raise Busy(
                f"database {lease.database!r} is being drilled by {other.drill} until"
                f" {other.expires_at:%Y-%m-%dT%H:%M:%SZ} at the latest",
                hint=f"wait for it, or, if it is dead, end it with: pgdrill drill reap --drill {other.drill}",
            )
        cell.rds.delete(other)
        raise Unavailable(
            f"the expired drill {other.drill} of database {lease.database!r} is being deleted",
            hint="this drill begins once it is gone",
        )


def restore(drill: Drill, cell: Cell, clock: Clock) -> Drill:
    """Ask RDS for the temporary instance, or adopt it where an earlier try was heard after all.

    Since when is noted first, and kept before RDS is asked: as long as it refuses, a recovery would wait.
    """
    if drill.requested_at is None:
        return drill.to(Step.RESTORE, requested_at=clock.at())
    place, shape = outcome.asked_for(drill, cell)
    cell.rds.restore(drill.restored_from(), drill.holding(), place, shape, cell.plan.tags.model_dump())
    drill = drill.model_copy(update={"stages": drill.at(Stage.REQUESTED, drill.requested_at)})
    return drill.to(Step.OBSERVE, stages=drill.at(Stage.ACCEPTED, clock.at()))


def observe(drill: Drill, cell: Cell, clock: Clock) -> Drill:
    """See whether the instance is available, and whether it is what was asked for.

    Raises:
        Broken: it is gone, or did not become available within the plan's patience.
    """
    instance = _there(drill, cell)
    if instance.status in UNRESTORABLE | OBSTRUCTED:
        return drill.to(Step.JUDGE, problem=_stranded(instance), instance=_seen(instance, cell))
    if instance.status not in USABLE or instance.host is None:
        return drill.to(Step.OBSERVE, wait=_pause(drill, cell, clock, instance))
    isolation = outcome.isolation(instance, drill, cell)
    drill = drill.model_copy(
        update={
            "stages": drill.at(Stage.AVAILABLE, clock.at()),
            "instance": _seen(instance, cell),
            "isolation": isolation,
        }
    )
    broken = [held for held in isolation if not held.ok]
    if broken:
        what = "; ".join(f"{held.property} is {held.observed}, not {held.expected}" for held in broken)
        return drill.to(
            Step.JUDGE,
            problem=Problem(
                step=Step.OBSERVE,
                error=Broken.__name__,
                message=f"the instance is not as it was asked for: {what}",
                hint="nothing was examined in it; compare the place in the plan with what RDS made",
                says=Verdict.INCONCLUSIVE,
            ),
        )
    return drill.to(Step.UNLOCK)


def unlock(drill: Drill, cell: Cell, clock: Clock) -> Drill:
    """Set a password of the drill's own, wait until it holds, log in and query: that is when RTO ends."""
    password = cell.keys.password(drill.holding().instance, drill.nonce)
    if not drill.password_asked:
        cell.rds.set_password(drill.holding(), password)
        return drill.to(Step.UNLOCK, wait=POLL_LEAST, password_asked=True)
    instance = _there(drill, cell)
    if instance.new_password_pending or instance.status not in USABLE:
        return drill.to(Step.UNLOCK, wait=_pause(drill, cell, clock, instance))
    server = Server(_address(instance, password), clock, may_change=True)
    try:
        with server.session("postgres") as session:
            logged_in = clock.at()
            session.execute("SELECT count(*) FROM pg_catalog.pg_class").fetchone()
            answered = clock.at()
    except Unavailable as error:
        if clock.now - drill.stages[Stage.AVAILABLE] > LOGIN_PATIENCE:
            raise Broken(f"no login within {LOGIN_PATIENCE}: {error.message}", hint=error.hint) from error
        return drill.to(Step.UNLOCK, wait=_pause(drill, cell, clock, instance))
    drill = drill.model_copy(update={"stages": drill.at(Stage.FIRST_LOGIN, logged_in)})
    return drill.to(
        Step.EXAMINE if drill.examined else Step.JUDGE, stages=drill.at(Stage.FIRST_QUERY, answered)
    )


def examine(drill: Drill, cell: Cell, clock: Clock, progress: Progress = lambda _: None) -> Drill:
    """Measure the checks within the time there is; come back for what is left, as long as patience lasts."""
    server = opened(drill, cell, clock)
    server.progress = progress
    case = outcome.case(drill, cell)
    refs = {ref.measure: ref for ref in drill.facts}

    def earlier(check: Check[Any]) -> Measured | None:
        ref = refs.get(examination.measure_name(check))
        return outcome.read_fact(cell.store, ref, check.fact) if ref else None

    for measured in examination.measure(server, ALL, case, earlier):
        refs[measured.measure] = outcome.keep_fact(cell.store, drill, measured)
        drill = drill.model_copy(update={"facts": tuple(refs.values())})
        if measured.measure == "sweep" and measured.fact and measured.complete:
            drill = drill.model_copy(update={"stages": drill.at(Stage.HYDRATED, clock.at())})
    wanted = {examination.measure_name(check) for check in examination.measures(ALL, case)}
    left = wanted - {ref.measure for ref in refs.values() if ref.complete}
    if left and clock.now - drill.stages[Stage.FIRST_QUERY] <= cell.plan.drill.patience:
        return drill.to(Step.EXAMINE)
    return drill.to(Step.JUDGE, stages=drill.at(Stage.EXAMINED, clock.at()))


def opened(drill: Drill, cell: Cell, clock: Clock) -> Server:
    """Return the temporary instance as a server, under the password that was set at unlocking.

    Raises:
        Broken: it is gone.
        NotRunnable: it carries another drill's lease.
    """
    instance = _there(drill, cell)
    password = cell.keys.password(drill.holding().instance, drill.nonce)
    return Server(_address(instance, password), clock, may_change=True)


def judge(drill: Drill, cell: Cell, clock: Clock) -> Drill:
    """Reach the verdicts, measure RTO and RPO, and write the evidence."""
    evidence = outcome.evidence(drill, cell, clock)
    digest = outcome.keep(cell, evidence)
    if drill.purpose is Purpose.RECOVERY:
        verdict, reason = recover.sound(evidence)
        return drill.to(Step.HAND_OVER, verdict=verdict, reason=reason, evidence_sha256=digest)
    return drill.to(
        Step.DESTROY,
        verdict=evidence.verdict,
        reason=evidence.verdict_reason,
        evidence_sha256=digest,
    )


def destroy(drill: Drill, cell: Cell, clock: Clock) -> Drill:
    """Delete the temporary instance, and ask until RDS says that there is none.

    RDS deletes nothing that is still being made, which takes hours: it is asked for as long as the lease lasts.

    Raises:
        Unavailable: the lease is over, and the instance is left to the reaper.
    """
    if drill.held is None:
        return drill.to(Step.DONE)
    if not isinstance(drill.held, Lease):
        raise TypeError("a recovered instance is never deleted")
    asked_at = drill.delete_asked_at or clock.now
    if not _deleted(drill.held, cell, clock):
        return drill.to(Step.DESTROY, wait=_wait(clock.now - asked_at), delete_asked_at=asked_at)
    gone = drill.to(Step.DONE, delete_asked_at=asked_at, stages=drill.at(Stage.GONE, clock.at()))
    outcome.keep_teardown(gone, cell)
    return gone


def _deleted(lease: Lease, cell: Cell, clock: Clock) -> bool:
    try:
        return cell.rds.delete(lease)
    except Unavailable:
        if clock.now > lease.expires_at:
            raise
        return False


STEPS: dict[Step, Callable[[Drill, Cell, Clock], Drill]] = {
    Step.CHOOSE: choose,
    Step.RESTORE: restore,
    Step.OBSERVE: observe,
    Step.UNLOCK: unlock,
    Step.EXAMINE: examine,
    Step.JUDGE: judge,
    Step.HAND_OVER: recover.hand_over,
    Step.DESTROY: destroy,
}


def _there(drill: Drill, cell: Cell) -> Instance:
    held = drill.holding()
    instance = cell.rds.instance(held.instance)
    if instance is None:
        raise Broken(
            f"instance {held.instance!r} is gone before its drill ended",
            hint="see who deleted it in the events of RDS and in CloudTrail",
        )
    if instance.tags.get("PgDrillDrill") != drill.id:
        raise NotRunnable(
            f"instance {held.instance!r} does not carry the tags of drill {drill.id}",
            hint="another drill of this database has begun; this one ends here",
        )
    return instance


def _stranded(instance: Instance) -> Problem:
    """Say what a status that an instance does not leave by itself tells of the recovery point."""
    unrestorable = instance.status in UNRESTORABLE
    return Problem(
        step=Step.OBSERVE,
        error=Broken.__name__,
        message=f"the instance ended in status {instance.status!r}",
        hint="see the events of RDS for this instance"
        + (
            "; this recovery point did not restore"
            if unrestorable
            else "; the recovery point is not to blame"
        ),
        says=Verdict.FAILED if unrestorable else Verdict.INCONCLUSIVE,
    )


def _pause(drill: Drill, cell: Cell, clock: Clock, instance: Instance) -> float:
    """Return how long to wait for RDS; patience is counted from the request."""
    passed = clock.now - drill.stages[Stage.REQUESTED]
    if passed > cell.plan.drill.patience:
        raise Broken(
            f"instance {instance.id!r} is still {instance.status!r} after {passed}",
            hint="see the events of RDS for this instance; drill.patience in the plan says how long to wait",
        )
    return _wait(passed)


def _wait(passed: timedelta) -> float:
    return min(POLL_MOST, max(POLL_LEAST, passed.total_seconds() / 10))


def _address(instance: Instance, password: str) -> Address:
    if instance.host is None or instance.port is None:
        raise Broken(f"instance {instance.id!r} has no endpoint", hint="see its status in RDS")
    return Address(
        host=instance.host, port=instance.port, user=instance.user, password=password, dbname="postgres"
    )


def _seen(instance: Instance, cell: Cell) -> record.Instance:
    return record.Instance(
        identifier=instance.id,
        resource_id=instance.resource_id,
        region=cell.rds.region,
        instance_class=instance.instance_class,
        engine_version=instance.engine_version,
        storage_gb=instance.storage_gb,
        multi_az=instance.multi_az,
        kms_key=instance.kms_key,
        security_groups=instance.security_groups,
        subnet_group=instance.subnet_group,
        parameter_group=", ".join(instance.parameter_groups),
    )
