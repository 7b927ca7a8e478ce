"""Reaps what drills left: deletes temporary instances whose lease has expired, and nothing else.

One pass asks once and waits for nothing; what RDS refuses in its present state is asked for again by the next.
"""

from datetime import datetime

from pgdrill.cell import Cell
from pgdrill.errors import DrillError
from pgdrill.messages import Event, Kind, Level, Message, Metric, Reply
from pgdrill.model import Lease


def reap(cell: Cell, now: datetime) -> Reply:
    """Ask for every deletion that is due; return what is to be told of that, nothing where nothing was due."""
    told = Reply()
    for instance, lease in cell.rds.leased(cell.plan.stack.suffix):
        if lease.expires_at <= now and instance.status != "deleting":
            told += _reaped(cell, lease)
    return told


def _reaped(cell: Cell, lease: Lease) -> Reply:
    about = {"Database": lease.database}
    try:
        cell.rds.delete(lease)
    except DrillError as error:
        return Reply(
            metrics=(Metric(name="ReapsFailed", value=1, unit="Count", dimensions=about),),
            messages=(Message.of("instance not reaped", error, kind=Kind.DRILLS),),
        )
    return Reply(
        metrics=(Metric(name="InstancesReaped", value=1, unit="Count", dimensions=about),),
        events=(
            Event(kind="InstanceReaped", subject=lease.instance, detail={"drill": lease.drill, **about}),
        ),
        messages=(
            Message(
                level=Level.ALARM,
                kind=Kind.DRILLS,
                topic="instance reaped",
                text=f"instance {lease.instance!r} of drill {lease.drill} outlived its lease, which ended at"
                f" {lease.expires_at:%Y-%m-%d %H:%M} UTC; its deletion is asked for",
                hint="see why the drill did not end: the execution of its state machine, and the function's log",
            ),
        ),
    )
