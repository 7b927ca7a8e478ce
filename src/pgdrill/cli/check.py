"""`pgdrill check`: what each check proves, reads and cannot see; its docstring is its documentation."""

import inspect
import sys
from typing import Annotated, Any

import typer
from rich.table import Table

from pgdrill.checks.check import Check
from pgdrill.checks.registry import ALL, documentation
from pgdrill.cli.context import JsonOption, out, print_json
from pgdrill.errors import PlanError

app = typer.Typer(help="The checks: list them, explain one.", no_args_is_help=True)


@app.command("list")
def list_checks(as_json: JsonOption = False) -> None:
    """List the checks with what each of them proves."""
    if as_json:
        print_json([{"name": check.name, "proves": _proves(check)} for check in ALL])
        return
    table = Table(box=None, show_header=False, pad_edge=False)
    for check in ALL:
        table.add_row(check.name, _proves(check))
    out.print(table)


@app.command()
def explain(name: Annotated[str, typer.Argument(metavar="NAME")]) -> None:
    """Print a check's documentation."""
    for check in ALL:
        if check.name == name:
            typer.echo(_documentation(check))
            return
    raise PlanError(f"there is no check {name!r}", hint=f"the checks are {', '.join(c.name for c in ALL)}")


@app.command()
def docs() -> None:
    """Print the documentation of all checks as Markdown, as in docs/checks.md."""
    typer.echo(documentation(), nl=False)


def _documentation(check: Check[Any]) -> str:
    return inspect.cleandoc(sys.modules[check.judge.__module__].__doc__ or "")


def _proves(check: Check[Any]) -> str:
    return _documentation(check).split("\n", 1)[0].removeprefix(f"{check.name}:").strip()
