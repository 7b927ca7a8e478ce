"""`pgdrill fingerprint` and `pgdrill compare`: what any two PostgreSQL servers hold, without moving a row."""

from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError
from rich.markup import escape
from rich.table import Table as Grid

from pgdrill.cli.context import JsonOption, clock, err, out, print_json
from pgdrill.content.fingerprint import Difference, Fingerprint, differences, fingerprint
from pgdrill.database import Address, Server
from pgdrill.errors import NotRunnable

# There is no invocation to survive here; a session still must not outlive a terminal that was forgotten.
DAY = 86_400.0

Databases = Annotated[
    list[str] | None, typer.Option("--database", help="Only this database; may be repeated. [default: all]")
]
Exact = Annotated[
    bool, typer.Option("--exact", help="Tell apart what PostgreSQL calls equal: 1.0 and 1.00, 0 and -0.")
]


def register(app: typer.Typer) -> None:
    app.command("fingerprint")(show)
    app.command("compare")(compare)


def show(
    dsn: Annotated[str, typer.Argument(metavar="DSN", help="The server; the password in PGPASSWORD.")],
    database: Databases = None,
    exact: Exact = False,
    as_json: JsonOption = False,
    output: Annotated[Path | None, typer.Option(help="Write the JSON to a file too.")] = None,
) -> None:
    """Print count and digest of every table, computed inside the server.

    Exit status: 0, or 3 when a table could not be read whole.
    """
    found = _take(dsn, tuple(database or ()), exact=exact)
    if output:
        try:
            output.write_text(found.model_dump_json(indent=2) + "\n", encoding="utf-8")
        except OSError as error:
            raise NotRunnable(
                f"cannot write {str(output)!r}: {error.strerror}", hint="name a file that can be written"
            ) from error
    if as_json:
        print_json(found)
    else:
        _print(found)
    raise typer.Exit(3 if _unread(found) else 0)


def compare(
    a: Annotated[str, typer.Argument(metavar="A", help="A file made by `pgdrill fingerprint`, or a DSN.")],
    b: Annotated[str, typer.Argument(metavar="B", help="The same.")],
    database: Databases = None,
    exact: Exact = False,
    as_json: JsonOption = False,
) -> None:
    """Print in which tables two servers, or two fingerprints, differ.

    Exit status: 0 equal, 1 different, 2 not runnable, 3 something could not be read.
    """
    names = tuple(database or ())
    files = {side: _load(Path(side)) for side in (a, b) if Path(side).is_file()}
    exact = next((one.exact for one in files.values()), exact)
    left, right = (
        _only(files[side], names) if side in files else _take(side, names, exact=exact) for side in (a, b)
    )
    found = differences(left, right)
    unread = [*_unread(left), *_unread(right)]
    if as_json:
        print_json({"differences": [one.model_dump(mode="json") for one in found], "unread": unread})
    else:
        _print_differences(found, unread, sum(len(one.tables) for one in left.databases.values()))
    raise typer.Exit(1 if found else 3 if unread else 0)


def _take(dsn: str, databases: tuple[str, ...], *, exact: bool) -> Fingerprint:
    if "=" not in dsn and "://" not in dsn:
        raise NotRunnable(
            f"{dsn!r} is neither a file nor a connection string",
            hint="write postgresql://USER@HOST:PORT/DATABASE, or name a file made by: pgdrill fingerprint --output",
        )
    server = Server(Address.parse(dsn), clock(DAY))
    with err.status("connecting") as status:
        server.progress = lambda text: status.update(escape(text))
        return fingerprint(server, databases, exact=exact)


def _load(path: Path) -> Fingerprint:
    try:
        return Fingerprint.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise NotRunnable(
            f"{str(path)!r} is not a fingerprint", hint="make one with: pgdrill fingerprint DSN --output FILE"
        ) from error


def _only(whole: Fingerprint, names: tuple[str, ...]) -> Fingerprint:
    kept = {name: one for name, one in whole.databases.items() if not names or name in names}
    return whole.model_copy(update={"databases": kept})


def _unread(found: Fingerprint) -> list[str]:
    return [
        f"{name}: {table}: {why}"
        for name, one in found.databases.items()
        for table, why in one.unread.items()
    ]


def _print(found: Fingerprint) -> None:
    for name, one in found.databases.items():
        grid = Grid("table", title=f"database {escape(name)}", title_justify="left", box=None, pad_edge=False)
        grid.add_column("rows", justify="right")
        grid.add_column("MB", justify="right")
        grid.add_column("digest", no_wrap=True)
        for table, digest in sorted(one.tables.items()):
            mb = f"{digest.bytes / 1e6:,.1f}"
            grid.add_row(escape(table), f"{digest.rows:,}", mb, digest.hex[-16:])
        for table, reason in sorted(one.skipped.items()):
            grid.add_row(escape(table), "-", "-", reason)
        for table, why in sorted(one.unread.items()):
            grid.add_row(escape(table), "?", "?", f"[red]not read: {escape(str(why))}[/]")
        out.print(grid)


def _print_differences(found: list[Difference], unread: list[str], tables: int) -> None:
    if found:
        grid = Grid("database", "table", "difference", box=None, pad_edge=False)
        grid.add_column("rows A", justify="right")
        grid.add_column("rows B", justify="right")
        for one in found:
            rows = (f"{side.rows:,}" if side else "-" for side in (one.a, one.b))
            grid.add_row(escape(one.database), escape(one.table), one.what, *rows)
        out.print(grid)
    for line in unread:
        out.print(f"not read: {line}", style="red", markup=False)
    differ = "1 difference" if len(found) == 1 else f"{len(found):,} differences"
    out.print(
        f"{differ}, {tables:,} tables compared" if found else f"no difference, {tables:,} tables compared"
    )
