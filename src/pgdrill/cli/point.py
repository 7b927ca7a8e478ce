"""`pgdrill point`: take a recovery point with its seals, list what there is."""

import typer
from rich.table import Table

from pgdrill import points
from pgdrill.checks.registry import ALL
from pgdrill.cli.context import (
    DEFAULT_PLAN,
    DatabaseOption,
    JsonOption,
    PlanOption,
    err,
    open_cell,
    out,
    print_json,
    tick,
)

app = typer.Typer(
    help="Recovery points: snapshots with their seals, and the PITR window.", no_args_is_help=True
)


@app.command()
def take(
    plan: PlanOption = DEFAULT_PLAN, database: DatabaseOption = None, as_json: JsonOption = False
) -> None:
    """Seal production, take a snapshot, seal again."""
    cell = open_cell(plan)
    with err.status("sealing", spinner="line") as status:
        point = points.take(cell, cell.plan.database(database), ALL, tick, status.update)
    if as_json:
        print_json(point)
    else:
        out.print(f"{point.id}  recovers to {point.recovers_to:%Y-%m-%d %H:%M:%S} UTC", markup=False)


@app.command("list")
def list_points(
    plan: PlanOption = DEFAULT_PLAN, database: DatabaseOption = None, as_json: JsonOption = False
) -> None:
    """List the usable snapshots of a database and its PITR window."""
    cell = open_cell(plan)
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
