"""`pgdrill evidence`: list, show and open what drills proved, and see that nothing of it was changed."""

import webbrowser
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.table import Table

from pgdrill.aws.store import Store
from pgdrill.cli import chains, signatures
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
    print_table,
)
from pgdrill.compliance import matrix, matrix_table
from pgdrill.errors import PlanError, Unavailable
from pgdrill.evidence import archive, record, terminal
from pgdrill.evidence.folder import Folder
from pgdrill.evidence.junit import drill_junit

DAYS = ["%Y-%m-%d"]
# Columns of a terminal.
NARROW = 120

app = typer.Typer(help="What past drills proved: records, reports, and their chain.", no_args_is_help=True)

KeysOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--public-key",
        help="A key to trust, as PEM; may be repeated.  [default: the plan's, asked of KMS]",
    ),
]
RegionOption = Annotated[
    Literal["primary", "dr"] | None,
    typer.Option(
        "--cell",
        help="Of drills in which region, and out of its bucket: the plan's primary or dr.  [default: of both,"
        " out of the primary's]",
        show_default=False,
    ),
]
DrillArgument = Annotated[
    str, typer.Argument(metavar="DRILL", help="The id of a drill or recovery, or latest: the newest drill.")
]


@app.command("list")
def list_drills(
    plan: PlanOption = DEFAULT_PLAN,
    database: DatabaseOption = None,
    where: RegionOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the drills and recoveries in the store, newest first."""
    store, region = _shelf(plan, where)
    past = archive.history(store, database, region=region, recoveries=True)
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
    where: RegionOption = None,
    as_json: JsonOption = False,
    as_junit: Annotated[bool, typer.Option("--junit", help="Print JUnit XML on standard output.")] = False,
) -> None:
    """Show one drill: verdict, reasons, times."""
    store, region = _shelf(plan, where)
    evidence = archive.load(store, drill, database, region=region)
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
    where: RegionOption = None,
    directory: Annotated[
        Path, typer.Option("--directory", help="Where the report is written.", show_default=True)
    ] = Path("pgdrill-reports"),
) -> None:
    """Write the HTML report of a drill, print its path, and on a terminal open it in the browser."""
    store, region = _shelf(plan, where)
    path = archive.export(store, archive.load(store, drill, database, region=region), directory)
    typer.echo(path)
    if out.is_terminal:
        webbrowser.open(path.absolute().as_uri())


def _shelf(plan: Path, where: Literal["primary", "dr"] | None) -> tuple[Store, str | None]:
    """Return the bucket to read, and the region whose drills are meant; None means both.

    Both buckets hold both regions' evidence, so where no cell is named the other one's does if the primary is lost.
    """
    cell = open_cell(plan, where or "primary")
    if where:
        return cell.store, cell.place.region
    try:
        next(cell.store.keys(f"{archive.ROOT}/"), None)
    except Unavailable as error:
        cell = open_cell(plan, "dr")
        err.print(
            f"warning: {error.message}; what follows is out of the bucket in {cell.place.region}",
            markup=False,
            soft_wrap=True,
        )
    return cell.store, None


@app.command()
def verify(
    plan: PlanOption = DEFAULT_PLAN,
    database: DatabaseOption = None,
    where: CellOption = "primary",
    directory: Annotated[
        Path | None,
        typer.Option("--directory", help="Verify what was downloaded from the bucket to here, without AWS."),
    ] = None,
    public_keys: KeysOption = None,
    as_json: JsonOption = False,
) -> int:
    """See whether evidence was altered, dropped or moved, and whether it is signed.

    With a plan, the buckets of both regions are held against each other, and against what drills say they wrote.

    Exit status: 0 whole, 1 not, 3 there is none of a database.
    """
    verifier = signatures.trusting(public_keys) if public_keys else None
    if directory:
        asked = chains.Asked({"": Folder(directory)})
    else:
        here, there = open_cell(plan, where), open_cell(plan, "primary" if where == "dr" else "dr")
        asked, verifier = chains.both(here, there), verifier or signatures.trusting_kms(here.plan)
    verified = chains.verify(asked, database, verifier)
    if as_json:
        chains.tell_as_json(verified)
    else:
        chains.tell(verified)
    return verified.verdict.exit_status


@app.command("public-key")
def public_key(plan: PlanOption = DEFAULT_PLAN, where: CellOption = "primary") -> None:
    """Print the key that evidence is verified with, as PEM. Keep it where the evidence is not."""
    typer.echo(signatures.plans_key(open_cell(plan, where)), nl=False)


@app.command("matrix")
def show_matrix(
    plan: PlanOption = DEFAULT_PLAN,
    since: Annotated[
        datetime | None,
        typer.Option(
            "--since",
            formats=DAYS,
            help="First day, in UTC.  [default: a year before --until]",
            show_default=False,
        ),
    ] = None,
    until: Annotated[
        datetime | None,
        typer.Option(
            "--until",
            formats=DAYS,
            help="The day after the last, in UTC.  [default: now]",
            show_default=False,
        ),
    ] = None,
    where: CellOption = "primary",
    public_keys: KeysOption = None,
    html: Annotated[Path | None, typer.Option("--html", help="Also write it as a page to this file.")] = None,
    as_json: JsonOption = False,
) -> int:
    """Show what the evidence of a period shows for MAS, DORA, SOC 2 and ISO 27001, clause by clause.

    Exit status: 0 all shown, 1 the evidence shows the contrary somewhere, 3 there are gaps.
    """
    end = until.replace(tzinfo=UTC) if until else clock().now
    begin = since.replace(tzinfo=UTC) if since else end - timedelta(days=365)
    if begin >= end:
        raise PlanError(
            f"the period from {begin:%Y-%m-%d} to {end:%Y-%m-%d} is empty", hint="give --since before --until"
        )
    cell = open_cell(plan, where)
    verifier = signatures.trusting(public_keys) if public_keys else signatures.trusting_kms(cell.plan)
    made = matrix.matrix(matrix.read(cell.store, cell.plan, begin, end, verifier))
    if html:
        html.write_text(matrix.page(made), encoding="utf-8")
    if as_json:
        print_json(made)
    else:
        _print_matrix(matrix_table.table(made))
        out.print(matrix_table.summary(made))
    return made.verdict.exit_status


def _print_matrix(lines: Table) -> None:
    """Print sentences folded to a terminal; where nobody looks, each on one line."""
    if not out.is_terminal:
        print_table(lines)
        return
    for column in lines.columns:
        column.overflow = "fold"
    if out.width < NARROW:
        # Frameworks have long names, and what the evidence says needs the room.
        lines.columns[0].max_width = 24
    out.print(lines)


@app.command()
def schema() -> None:
    """Print the JSON Schema of evidence.json."""
    print_json(record.schema())
