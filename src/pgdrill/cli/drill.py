"""`pgdrill drill`: run a drill, continue one, reap what drills left."""

import contextlib
import secrets
from typing import Annotated

import typer
from botocore.exceptions import BotoCoreError, ClientError

from pgdrill import conduct, drill
from pgdrill.cell import Cell
from pgdrill.cli.context import (
    DEFAULT_PLAN,
    CellOption,
    DatabaseOption,
    JsonOption,
    PlanOption,
    clock,
    err,
    open_cell,
    out,
    print_json,
    tick,
)
from pgdrill.cli.progress import Progress
from pgdrill.evidence import archive, terminal
from pgdrill.evidence.record import Trigger
from pgdrill.state import Drill

app = typer.Typer(help="Restore a recovery point, examine it, judge it, tear it down.", no_args_is_help=True)


@app.command()
def run(
    plan: PlanOption = DEFAULT_PLAN,
    database: DatabaseOption = None,
    point: Annotated[
        str,
        typer.Option(
            "--point", help="latest, oldest, restorable, a snapshot's id, or a UTC time in the PITR window."
        ),
    ] = "latest",
    where: CellOption = "primary",
    as_json: JsonOption = False,
) -> int:
    """Run one drill and print its verdict. Exit status: 0 passed, 1 failed, 2 not runnable, 3 inconclusive."""
    cell = open_cell(plan, where)
    begun = drill.begin(
        cell.plan,
        cell.plan.database(database),
        point,
        now=clock().now,
        nonce=secrets.token_hex(16),
        trigger=Trigger.COMMAND,
        operator=operator(cell),
    )
    return _conduct(cell, begun, as_json=as_json)


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
    err.print(f"drill {begun.id}", markup=False)
    with Progress(err) as progress:
        done = conduct.run(begun, cell, tick, progress.report)
        progress.stages(done)
    evidence = archive.load(cell.store, done.id, done.database)
    teardown = archive.load_teardown(cell.store, evidence)
    if as_json:
        print_json(evidence)
    else:
        out.print(terminal.drill(evidence, teardown))
    return evidence.verdict.exit_status


def operator(cell: Cell) -> str | None:
    """Return who drills, for the evidence; a drill does not fail for want of that."""
    with contextlib.suppress(BotoCoreError, ClientError):
        client = cell.session.client("sts", region_name=cell.place.region)
        return str(client.get_caller_identity()["Arn"])
    return None
