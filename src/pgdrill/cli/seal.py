"""`pgdrill seal`: list the seals of a database, and see that none was changed."""

import typer
from rich.table import Table

from pgdrill import seal
from pgdrill.cli.context import (
    DEFAULT_PLAN,
    CellOption,
    DatabaseOption,
    JsonOption,
    PlanOption,
    open_cell,
    out,
    print_json,
)
from pgdrill.evidence.wording import plural

app = typer.Typer(
    help="Seals: what production was around a recovery point, which a restored copy is compared with.",
    no_args_is_help=True,
)


@app.command("list")
def list_seals(
    plan: PlanOption = DEFAULT_PLAN,
    database: DatabaseOption = None,
    where: CellOption = "primary",
    as_json: JsonOption = False,
) -> None:
    """List the seals of a database, newest first."""
    cell = open_cell(plan, where)
    stored = seal.stored(cell.store, cell.plan.database(database).name)[::-1]
    if as_json:
        print_json([one.model_dump(mode="json") for one in stored])
        return
    table = Table("taken at (UTC)", "phase", box=None, pad_edge=False)
    table.add_column("point", overflow="fold")
    for one in stored:
        table.add_row(f"{one.taken_at:%Y-%m-%d %H:%M:%S}", one.phase, one.point)
    out.print(table if stored else "no seal yet; the next point has some: pgdrill point take")


@app.command()
def verify(
    plan: PlanOption = DEFAULT_PLAN,
    database: DatabaseOption = None,
    where: CellOption = "primary",
    as_json: JsonOption = False,
) -> int:
    """See whether seals were altered, dropped, or taken twice at once. Exit status: 0 whole, 1 not."""
    cell = open_cell(plan, where)
    name = cell.plan.database(database).name
    breaks = seal.broken(cell.store, name)
    if as_json:
        print_json([one.model_dump(mode="json") for one in breaks])
    else:
        count = plural(len(seal.stored(cell.store, name)), "seal")
        word = plural(len(breaks), "break") if breaks else "whole"
        out.print(f"{'✗' if breaks else '✓'} {name}: {count}, {word}", markup=False)
        for one in breaks:
            out.print(f"  {one.fault}: {one.key} {one.what}", markup=False, soft_wrap=True)
    return int(bool(breaks))
