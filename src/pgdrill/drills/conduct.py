"""Conducts a drill from its first step to its last, as a state machine does elsewhere, and reaps what was left.

Every step's outcome is stored before the next begins, so that a drill can be continued after a crash. Whatever
happens, the temporary instance is destroyed; what even that cannot do is left to the reaper.
"""

from collections.abc import Callable
from datetime import datetime
from functools import partial

from pydantic import ValidationError

from pgdrill.cell import Cell
from pgdrill.drills import drill as steps
from pgdrill.drills.state import Drill, Step, after_error
from pgdrill.errors import Broken, DrillError, NotRunnable, Unavailable
from pgdrill.evidence.record import Purpose
from pgdrill.model import Clock, Lease

Tick = Callable[[float], Clock]
Report = Callable[[Drill, str], None]


def run(drill: Drill, cell: Cell, tick: Tick, report: Report) -> Drill:
    """Call step after step until the drill is done. `tick(seconds)` waits and gives the next step's clock.

    Raises:
        DrillError: nothing could be begun, or the temporary instance could not be deleted.
    """
    try:
        while drill.next is not Step.DONE:
            drill = _step(drill, cell, tick(drill.wait), report)
    except BaseException as error:
        if not isinstance(error, DrillError):
            # Ctrl-C, SIGTERM or a bug of our own: nothing may be left. A second Ctrl-C leaves it to the reaper.
            _abandon(drill, cell, tick, report)
        raise
    return drill


def _step(drill: Drill, cell: Cell, clock: Clock, report: Report) -> Drill:
    report(drill, "")
    try:
        if drill.next is Step.EXAMINE:
            now = drill
            drill = steps.examine(drill, cell, clock, lambda text: report(now, text))
        else:
            drill = steps.STEPS[drill.next](drill, cell, clock)
    except DrillError as error:
        drill = after_error(drill, error)
        report(drill, error.message)
    try:
        save(cell, drill)
    except DrillError as error:
        # The copy is for `resume` alone; a drill that cannot be resumed still has to end properly.
        report(drill, error.message)
    return drill


def _abandon(drill: Drill, cell: Cell, tick: Tick, report: Report) -> None:
    if drill.held is None or drill.next is Step.DONE or drill.purpose is Purpose.RECOVERY:
        return
    drill = drill.to(Step.DESTROY)
    report(
        drill,
        "cut off; RDS deletes nothing that is still being created, so this can take a while;"
        f" cut off again, it is left to: pgdrill drill reap --drill {drill.id}",
    )
    while drill.next is not Step.DONE:
        drill = _step(drill, cell, tick(drill.wait), report)
    report(drill, "cut off, and nothing is left")


def resume(cell: Cell, database: str, identifier: str) -> Drill:
    """Return a drill as its last finished step left it.

    Raises:
        NotRunnable: there is no such drill, it is done, another version began it, or it runs in the other cell.
    """
    body = cell.store.get(_key(database, identifier))
    if body is None:
        raise NotRunnable(
            f"no drill {identifier!r} of database {database!r}",
            hint="list drills with: pgdrill evidence list",
        )
    try:
        drill = Drill.model_validate_json(body)
    except ValidationError as error:
        raise NotRunnable(
            f"drill {identifier!r} was begun by another version of pgdrill",
            hint=f"continue it with that one, or end it with: pgdrill drill reap --drill {identifier}",
        ) from error
    if drill.point and drill.point.region != cell.place.region:
        raise NotRunnable(
            f"drill {identifier!r} runs in {drill.point.region}, this is {cell.place.region}",
            hint="name the other one: --cell primary or --cell dr",
        )
    if drill.next is Step.DONE and not drill.evidence_sha256:
        raise NotRunnable(
            f"drill {identifier!r} was cut off before its verdict, and its instance is gone",
            hint="begin another with: pgdrill drill run",
        )
    if drill.next is Step.DONE:
        raise NotRunnable(
            f"drill {identifier!r} is done", hint=f"see it with: pgdrill evidence show {identifier}"
        )
    return drill


def reap(
    cell: Cell, now: datetime, drill: str | None, tick: Tick, report: Callable[[str], None]
) -> list[Lease]:
    """Delete every temporary instance whose lease has expired, or that of one drill; wait until they are gone.

    Raises:
        NotRunnable: the drill that was named holds no lease.
        Broken: an instance is not gone after RDS was asked for an hour.
    """
    held = [lease for _, lease in cell.rds.leased(cell.plan.stack.suffix)]
    doomed = [lease for lease in held if (lease.drill == drill if drill else lease.expires_at <= now)]
    if drill and not doomed:
        raise NotRunnable(
            f"drill {drill!r} holds no lease",
            hint=f"leases are held by: {', '.join(lease.drill for lease in held) or 'none'}",
        )
    for lease in doomed:
        report(f"deleting {lease.instance} of drill {lease.drill}")
        until_gone(f"instance {lease.instance!r}", partial(cell.rds.delete, lease), tick, report)
    return doomed


def until_gone(what: str, gone: Callable[[], bool], tick: Tick, report: Callable[[str], None]) -> None:
    """Ask for a deletion until it is done: RDS refuses what is in the making, so it is asked for an hour.

    Raises:
        Broken: `what` is there still.
    """
    started, wait, said = tick(0).now, 0.1, ""
    while True:
        try:
            if gone():
                return
        except Unavailable as error:
            if error.message != said:
                said = error.message
                report(f"{said.rstrip('.')}; asking again until it is gone")
        clock = tick(wait)
        wait = min(30.0, wait * 1.5)
        if (clock.now - started).total_seconds() > 3600:
            raise Broken(
                f"{what} is not gone after an hour of asking",
                hint="see its status in RDS; the next reap or purge asks again",
            )


def save(cell: Cell, drill: Drill) -> None:
    """Keep how far a drill is: for `resume`, and so that what it restores from is not deleted."""
    cell.store.put(_key(drill.database, drill.id), drill.model_dump_json().encode())


def _key(database: str, identifier: str) -> str:
    return f"drills/{database}/{identifier}/drill.json"
