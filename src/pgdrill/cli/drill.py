"""`pgdrill drill`: run a drill, continue one, reap what drills left, show which ages of the window are proved."""

import contextlib
import secrets
from datetime import datetime, timedelta
from typing import Annotated

import typer
from botocore.exceptions import BotoCoreError, ClientError

from pgdrill.cell import Cell
from pgdrill.cli.context import (
    DEFAULT_PLAN,
    CellOption,
    DatabaseOption,
    JsonOption,
    PlanOption,
    clock,
    end_on_sigterm,
    err,
    open_cell,
    out,
    print_json,
    publish,
    tick,
)
from pgdrill.cli.progress import Progress
from pgdrill.drills import conduct, drill, telling
from pgdrill.drills.state import Drill
from pgdrill.evidence import archive, terminal
from pgdrill.evidence.record import Trigger
from pgdrill.plan import DatabasePlan, Freeze
from pgdrill.points import coverage, schedule

# How far back `coverage` tells of skipped drills.
LOOKED_BACK = timedelta(days=90)

app = typer.Typer(help="Restore a recovery point, examine it, judge it, tear it down.", no_args_is_help=True)


@app.command()
def run(
    plan: PlanOption = DEFAULT_PLAN,
    database: DatabaseOption = None,
    point: Annotated[
        str | None,
        typer.Option(
            "--point",
            help="latest, oldest, restorable, a snapshot's id, a UTC time in the PITR window, or unproved: a moment"
            " of the age that no drill has proved for longest.  [default: latest]",
            show_default=False,
        ),
    ] = None,
    scheduled: Annotated[
        bool,
        typer.Option(
            "--scheduled",
            help="The drill that is due by the plan: drill.point says of which point, and none in a drill.freeze.",
        ),
    ] = False,
    where: CellOption = "primary",
    as_json: JsonOption = False,
) -> int:
    """Run one drill and print its verdict. Exit status: 0 passed, 1 failed, 2 not runnable, 3 inconclusive."""
    cell = open_cell(plan, where)
    entry, now = cell.plan.database(database), clock().now
    freeze = schedule.frozen(cell.plan, now) if scheduled else None
    if freeze:
        return _skip(cell, entry, freeze, now, as_json=as_json)
    due = schedule.wanted(cell.plan, cell.place, now) if scheduled else "latest"
    begun = drill.begin(
        cell.plan,
        entry,
        point or due,
        now=now,
        nonce=secrets.token_hex(16),
        trigger=Trigger.SCHEDULE if scheduled else Trigger.COMMAND,
        operator=operator(cell),
    )
    return _conduct(cell, begun, as_json=as_json)


@app.command("coverage")
def show_coverage(
    plan: PlanOption = DEFAULT_PLAN, database: DatabaseOption = None, as_json: JsonOption = False
) -> None:
    """Show which ages of the PITR window a drill has proved, and when, and which scheduled drills were skipped."""
    cell = open_cell(plan)
    entry, now = cell.plan.database(database), clock().now
    cells = schedule.ages(cell.store, cell.plan, entry, now)
    window = cell.rds.window(entry.instance)
    due = coverage.due(cells, now, *window) if window else None
    skipped = list(schedule.skipped(cell.store, entry.name, since=now - LOOKED_BACK))
    if as_json:
        print_json(
            {
                "database": entry.name,
                "ages": [{"verdict": age.verdict, **age.model_dump(mode="json")} for age in cells],
                "proved": coverage.proved(cells),
                "due": due.model_dump(mode="json", include={"from_hours", "to_hours"}) if due else None,
                "skipped": [record.model_dump(mode="json") for record in skipped],
            }
        )
        return
    out.print(terminal.coverage(cells))
    if due:
        out.print(f" next: {due.from_hours} to {due.to_hours} h, with: pgdrill drill run --point unproved")
    else:
        out.print(" next: none, the PITR window of the instance reaches no age")
    for record in skipped:
        out.print(f" {schedule.told(record)}", markup=False)


@app.command()
def resume(
    identifier: Annotated[str, typer.Argument(metavar="DRILL", help="The drill's id.")],
    plan: PlanOption = DEFAULT_PLAN,
    database: DatabaseOption = None,
    where: CellOption = "primary",
    as_json: JsonOption = False,
) -> int:
    """Continue a drill that was cut off, from its last finished step."""
    cell = open_cell(plan, where)
    found = conduct.resume(cell, cell.plan.database(database).name, identifier)
    return _conduct(cell, found, as_json=as_json)


@app.command()
def reap(
    plan: PlanOption = DEFAULT_PLAN,
    one: Annotated[
        str | None, typer.Option("--drill", help="End this drill, although its lease has not expired.")
    ] = None,
    where: CellOption = "primary",
    as_json: JsonOption = False,
) -> None:
    """Delete temporary instances whose lease has expired, and nothing else."""
    cell = open_cell(plan, where)
    gone = conduct.reap(cell, clock().now, one, tick, lambda text: err.print(text, markup=False))
    if as_json:
        print_json([lease.model_dump(mode="json") for lease in gone])
    else:
        out.print(f"{len(gone)} deleted" if gone else "no expired lease")


def _conduct(cell: Cell, begun: Drill, *, as_json: bool) -> int:
    end_on_sigterm()
    err.print(f"drill {begun.id}", markup=False)
    with Progress(err) as progress:
        done = conduct.run(begun, cell, tick, progress.report)
        progress.stages(done)
    evidence = archive.load(cell.store, done.id, done.database)
    told = telling.judged(evidence, cell.place.evidence_bucket)
    publish(cell, told + schedule.proved(cell.store, cell.plan, evidence, clock().now))
    teardown = archive.load_teardown(cell.store, evidence)
    if as_json:
        print_json(evidence)
    else:
        out.print(terminal.drill(evidence, teardown))
    return evidence.verdict.exit_status


def _skip(cell: Cell, entry: DatabasePlan, freeze: Freeze, now: datetime, *, as_json: bool) -> int:
    """Leave out a drill that the plan freezes; that is as it shall be, so the status is 0."""
    reply = schedule.skip(cell.store, entry, freeze, now)
    publish(cell, reply)
    if as_json:
        print_json(reply)
    for message in reply.messages:
        err.print(f"{message.text}\nHINT: {message.hint}", markup=False, soft_wrap=True)
    return 0


def operator(cell: Cell) -> str | None:
    """Return who drills, for the evidence; a drill does not fail for want of that."""
    with contextlib.suppress(BotoCoreError, ClientError):
        client = cell.session.client("sts", region_name=cell.place.region)
        return str(client.get_caller_identity()["Arn"])
    return None
