"""`pgdrill evidence`: list, show and open what drills proved, and see that nothing of it was changed."""

import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from pgdrill.cli.context import (
    DEFAULT_PLAN,
    CellOption,
    DatabaseOption,
    JsonOption,
    PlanOption,
    open_cell,
    out,
    print_json,
    print_table,
)
from pgdrill.evidence import archive, record, terminal
from pgdrill.evidence.junit import drill_junit

app = typer.Typer(help="What past drills proved: records, reports, and their chain.", no_args_is_help=True)

DrillArgument = Annotated[str, typer.Argument(metavar="DRILL", help="The drill's id, or latest.")]


@app.command("list")
def list_drills(
    plan: PlanOption = DEFAULT_PLAN,
    database: DatabaseOption = None,
    where: CellOption = "primary",
    as_json: JsonOption = False,
) -> None:
    """List the drills in the store, newest first."""
    past = archive.history(open_cell(plan, where).store, database)
    if as_json:
        print_json([summary.model_dump(mode="json") for summary in reversed(past)])
    elif past:
        print_table(terminal.trend(past))
    else:
        out.print("no drill yet; run one with: pgdrill drill run")


@app.command()
def show(
    drill: DrillArgument = "latest",
    plan: PlanOption = DEFAULT_PLAN,
    database: DatabaseOption = None,
    where: CellOption = "primary",
    as_json: JsonOption = False,
    as_junit: Annotated[bool, typer.Option("--junit", help="Print JUnit XML on standard output.")] = False,
) -> None:
    """Show one drill: verdict, reasons, times."""
    store = open_cell(plan, where).store
    evidence = archive.load(store, drill, database)
    if as_json:
        print_json(evidence)
    elif as_junit:
        typer.echo(drill_junit(evidence), nl=False)
    else:
        out.print(terminal.drill(evidence, archive.load_teardown(store, evidence)))


@app.command("open")
def open_report(
    drill: DrillArgument = "latest",
    plan: PlanOption = DEFAULT_PLAN,
    database: DatabaseOption = None,
    where: CellOption = "primary",
    directory: Annotated[
        Path, typer.Option("--directory", help="Where the report is written.", show_default=True)
    ] = Path("pgdrill-reports"),
) -> None:
    """Write the HTML report of a drill, print its path, and on a terminal open it in the browser."""
    store = open_cell(plan, where).store
    path = archive.export(store, archive.load(store, drill, database), directory)
    typer.echo(path)
    if out.is_terminal:
        webbrowser.open(path.absolute().as_uri())


@app.command()
def verify(
    plan: PlanOption = DEFAULT_PLAN,
    database: DatabaseOption = None,
    where: CellOption = "primary",
    as_json: JsonOption = False,
) -> int:
    """See whether evidence was altered, dropped or moved. Exit status: 0 whole, 1 not."""
    store = open_cell(plan, where).store
    breaks = {
        name: archive.broken(store, name) for name in ([database] if database else archive.databases(store))
    }
    if as_json:
        print_json({name: [found.model_dump(mode="json") for found in of] for name, of in breaks.items()})
    else:
        out.print(terminal.chains(breaks))
    return int(any(breaks.values()))


@app.command()
def schema() -> None:
    """Print the JSON Schema of evidence.json."""
    print_json(record.schema())
