"""Recovery, for the day it is needed: what a recovered instance takes to be handed over.

The way there is a drill's. What differs is the end: the instance gets the password of an entry that exists in
Secrets Manager already, and a list of what is left to do is written beside the evidence.
"""

from datetime import datetime, timedelta

from pgdrill.aws.rds import USABLE, Instance
from pgdrill.aws.secret import Credentials
from pgdrill.cell import Cell
from pgdrill.database import Address, Server
from pgdrill.drills.state import Drill, Step
from pgdrill.errors import Broken, NotHandedOver, NotRunnable, PlanError, Unavailable
from pgdrill.evidence import archive
from pgdrill.evidence.record import Evidence
from pgdrill.model import Clock, Model, Moment, Recovered, Stage, Verdict, worst

# Seconds between two looks at whether the new password holds.
POLL = 1.0
# A changed password takes up to two minutes to reach PostgreSQL; one that never does is told.
PATIENCE = timedelta(minutes=10)
# What is judged of the plan and not of the data. On the day, a database that came back late is handed over.
OBJECTIVES = frozenset({"rto", "rpo"})


class Todo(Model):
    """One thing to do at the cut-over: what, with the values, and why."""

    what: str
    why: str


class HandOver(Model):
    """What a recovered instance is, and what its operators have to do. Holds no secret, only its name.

    `verdict` is on what came back alone; `missed` are the objectives that were not met.
    """

    drill: str
    database: str
    region: str
    instance: str
    arn: str
    host: str
    port: int
    user: str
    secret: str
    recovers_to: Moment
    verdict: Verdict | None
    reason: str
    missed: tuple[str, ...] = ()
    requested_at: Moment
    handed_over_at: Moment
    rto_seconds: float
    todo: tuple[Todo, ...]


def sound(evidence: Evidence) -> tuple[Verdict, str]:
    """Return what the examination says of the data, whatever became of the objectives."""
    findings = [finding for finding in evidence.findings if finding.check not in OBJECTIVES]
    verdict = worst([finding.verdict for finding in findings])
    reasons = [f"{finding.check}: {finding.reason}" for finding in findings if finding.verdict is verdict]
    return verdict, evidence.verdict_reason if verdict is Verdict.PASSED else reasons[0]


def again(drill: Drill, cell: Cell) -> str:
    """Return the command that goes on with a recovery."""
    where = " --cell dr" if cell.place == cell.plan.dr else ""
    return f"pgdrill recover{where} --database {drill.database} --resume {drill.id}"


def ready(drill: Drill, cell: Cell) -> None:
    """See that an instance may be handed over.

    Raises:
        NotHandedOver: it was examined and did not pass, and nobody has accepted that.
    """
    if drill.examined and drill.verdict is not Verdict.PASSED and not drill.accepted:
        error = NotHandedOver(
            f"recovered instance {drill.holding().instance!r} is not handed over: {drill.verdict}: {drill.reason}",
            hint=f"it stays as it is; recover another point, or hand this one over with:"
            f" {again(drill, cell)} --accept",
        )
        error.exit_status = (drill.verdict or Verdict.INCONCLUSIVE).exit_status
        raise error


def credentials(cell: Cell, database: str) -> Credentials:
    """Return what the master user of a recovered instance shall log in with, from an existing entry.

    Raises:
        PlanError: the plan names none.
        NotRunnable: the entry cannot be read.
    """
    name = cell.plan.database(database).master_secret
    if name is None:
        raise PlanError(
            f"the plan does not say which secret the master user of {database!r} logs in with",
            hint="set master_secret of the database to an existing Secrets Manager entry",
        )
    return cell.secret(name)


def hand_over(drill: Drill, cell: Cell, clock: Clock) -> Drill:
    """Give a recovered instance the operators' password, see that it holds, and write down what is left to do."""
    ready(drill, cell)
    held = drill.holding()
    given = credentials(cell, drill.database)
    if drill.handing_over_at is None:
        cell.rds.set_password(held, given.password)
        return drill.to(Step.HAND_OVER, wait=POLL, handing_over_at=clock.now)
    instance = cell.rds.instance(held.instance)
    if instance is None:
        raise NotRunnable(
            f"recovered instance {held.instance!r} is gone", hint="see who deleted it in the events of RDS"
        )
    if instance.new_password_pending or instance.status not in USABLE or not _opens(instance, given, clock):
        if clock.now - drill.handing_over_at > PATIENCE:
            raise Broken(
                f"the password of {cell.plan.database(drill.database).master_secret!r} does not open"
                f" {held.instance!r} after {PATIENCE}; the instance is {instance.status!r}",
                hint="see the events of RDS and whether this host reaches the instance;"
                f" then: {again(drill, cell)}",
            )
        return drill.to(Step.HAND_OVER, wait=POLL)
    over = _written(drill, cell, instance, given, clock.at())
    cell.store.put(key(drill.database, drill.id), over.model_dump_json(indent=2).encode())
    return drill.to(Step.DONE, stages=drill.at(Stage.HANDED_OVER, over.handed_over_at))


def key(database: str, drill: str) -> str:
    return f"recoveries/{database}/{drill}/hand-over.json"


def _opens(instance: Instance, given: Credentials, clock: Clock) -> bool:
    """Tell whether the operators' password opens the instance; it takes a while after RDS says so."""
    if instance.host is None or instance.port is None:
        return False
    address = Address(
        host=instance.host,
        port=instance.port,
        user=instance.user,
        password=given.password,
        dbname="postgres",
    )
    try:
        with Server(address, clock).session("postgres") as session:
            session.execute("SELECT 1")
    except Unavailable:
        return False
    return True


def _written(drill: Drill, cell: Cell, instance: Instance, given: Credentials, now: datetime) -> HandOver:
    if not isinstance(drill.held, Recovered) or instance.host is None or instance.port is None:
        raise TypeError(f"drill {drill.id} is not a recovery with an endpoint")
    database = cell.plan.database(drill.database)
    requested = drill.stages[Stage.REQUESTED]
    return HandOver(
        drill=drill.id,
        database=drill.database,
        region=cell.place.region,
        instance=instance.id,
        arn=instance.arn,
        host=instance.host,
        port=instance.port,
        user=instance.user,
        secret=str(database.master_secret),
        recovers_to=drill.restored_from().recovers_to,
        verdict=drill.verdict,
        reason=drill.reason,
        missed=_missed(drill, cell),
        requested_at=requested,
        handed_over_at=now,
        rto_seconds=(now - requested).total_seconds(),
        todo=tuple(_todo(drill, instance, given, cell)),
    )


def _missed(drill: Drill, cell: Cell) -> tuple[str, ...]:
    findings = archive.load(cell.store, drill.id, drill.database).findings
    met = {Verdict.PASSED, Verdict.NOT_ASKED}
    return tuple(
        f"{finding.check}: {finding.reason}"
        for finding in findings
        if finding.check in OBJECTIVES and finding.verdict not in met
    )


def _todo(drill: Drill, instance: Instance, given: Credentials, cell: Cell) -> list[Todo]:
    database, region = cell.plan.database(drill.database), cell.place.region
    todo = [
        Todo(
            what=f"see that nothing writes to {drill.source} any more; stop it or close its security groups",
            why="two databases that both take writes cannot be brought together again",
        ),
        Todo(
            what=f"point applications, pools and DNS names to {instance.host}:{instance.port}",
            why="a recovered instance has an endpoint of its own",
        ),
        Todo(
            what=f"set host and port in {database.master_secret} and in the applications' own secrets",
            why="entries that hold the endpoint still name the old instance",
        ),
        Todo(
            what="renew every role's password that was changed after "
            f"{drill.restored_from().recovers_to:%Y-%m-%d %H:%M:%S} UTC",
            why="roles have the passwords of the recovery point",
        ),
        Todo(
            what="start what acts by itself: scheduled jobs, subscriptions, consumers of logical replication",
            why="slots are not part of a backup, and jobs must not run in two databases",
        ),
        Todo(
            what=f"name {instance.id} as `instance` of {drill.database} in the plan, then: pgdrill point take",
            why="points, ledger and drills follow the plan; the new instance has no snapshot of pgdrill's yet",
        ),
    ]
    if given.username != instance.user:
        wrong = Todo(
            what=f"set username to {instance.user} in {database.master_secret}, which says {given.username}",
            why="its password was given to the master user, whose name a restore cannot change",
        )
        todo.insert(2, wrong)
    if cell.place != cell.plan.primary:
        moved = Todo(
            what=f"make {region} the primary region of the plan, and another one its DR region",
            why=f"what is in {region} has no copy anywhere else until then",
        )
        todo.append(moved)
    return todo
