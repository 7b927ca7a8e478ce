"""`pgdrill point`: takes recovery points with their seals, retains them, copies them, lists what there is."""

from typing import Annotated

import typer
from rich.table import Table

from pgdrill import points, slots, taking
from pgdrill.checks.registry import ALL
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
from pgdrill.errors import DrillError, PlanError
from pgdrill.messages import Message

app = typer.Typer(
    help="Recovery points: snapshots with their seals, and the PITR window.", no_args_is_help=True
)

INCONCLUSIVE = 3


@app.command()
def take(
    plan: PlanOption = DEFAULT_PLAN,
    database: DatabaseOption = None,
    slot: Annotated[
        str | None,
        typer.Option(
            "--slot", help="Which slot, as 2026-11-22T06Z; that of now unless given.", metavar="SLOT"
        ),
    ] = None,
    out_of_turn: Annotated[
        bool, typer.Option("--now", help="Take one out of turn, of no slot, with this moment in its name.")
    ] = False,
    as_json: JsonOption = False,
) -> int:
    """Seal production, take its snapshot for a slot, seal again. Once a slot, however often it is asked for.

    Exit status: 0 taken, 2 refused, 3 not taken, or taken without a seal.
    """
    if out_of_turn and slot:
        raise PlanError("--now and --slot exclude each other", hint="a point out of turn belongs to no slot")
    cell = open_cell(plan)
    now = clock().now
    chosen = None if out_of_turn else slots.named(slot) if slot else taking.slot_now(cell.plan, now)
    begun = taking.begin(cell.plan, cell.plan.database(database), now, chosen)
    try:
        with err.status("sealing", spinner="line") as status:
            done = taking.run(begun, cell, ALL, tick, status.update)
    except DrillError as error:
        if as_json:
            print_json({"point": None, "reply": taking.failed(begun, error).model_dump(mode="json")})
        raise
    reply = taking.taken(done, clock().now)
    if as_json:
        print_json(
            {
                "point": done.taken.model_dump(mode="json") if done.taken else None,
                "reply": reply.model_dump(mode="json"),
            }
        )
    elif done.taken:
        out.print(
            f"{done.taken.id}  recovers to {done.taken.recovers_to:%Y-%m-%d %H:%M:%S} UTC", markup=False
        )
    _tell(reply.messages)
    return INCONCLUSIVE if done.unsealed else 0


@app.command("list")
def list_points(
    plan: PlanOption = DEFAULT_PLAN,
    database: DatabaseOption = None,
    where: CellOption = "primary",
    as_json: JsonOption = False,
) -> None:
    """List the usable snapshots of a database in a region, and its PITR window."""
    cell = open_cell(plan, where)
    wanted = cell.plan.database(database)
    found = points.usable(cell, wanted)
    window = cell.rds.window(wanted.instance)
    if as_json:
        print_json(
            {
                "snapshots": [point.model_dump(mode="json") for point in found],
                "pitr": {"earliest": window[0].isoformat(), "latest": window[1].isoformat()}
                if window
                else None,
            }
        )
        return
    table = Table("kind", "recovers to (UTC)", "engine", "GB", "encrypted", box=None, pad_edge=False)
    table.add_column("point", overflow="fold")
    for point in found:
        table.add_row(
            point.kind.value,
            f"{point.recovers_to:%Y-%m-%d %H:%M:%S}",
            point.engine_version,
            str(point.storage_gb),
            "yes" if point.encrypted else "no",
            point.id,
        )
    out.print(table if found else "no usable snapshot")
    out.print(
        f"PITR window: {window[0]:%Y-%m-%d %H:%M:%S} to {window[1]:%Y-%m-%d %H:%M:%S} UTC"
        if window
        else "no PITR window"
    )


def _tell(messages: tuple[Message, ...]) -> None:
    """Say on standard error what a person should know, as `main` says an error."""
    for message in messages:
        err.print(f"{message.level.value}: {message.text}", style="yellow", markup=False, soft_wrap=True)
        if message.hint:
            err.print(f"HINT: {message.hint}", markup=False, soft_wrap=True)
