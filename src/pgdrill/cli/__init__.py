"""The command line: mounts the commands, and is the one place where an error becomes a message and a status.

Exit status: 0 passed, 1 failed, 2 not runnable as asked, 3 inconclusive, 130 interrupted.
"""

import importlib
import sys
from typing import Annotated

import typer

from pgdrill import __version__
from pgdrill.cli.context import err
from pgdrill.errors import DrillError


def _exit(status: object, **_: object) -> None:
    """Let a command return its exit status."""
    raise typer.Exit(status if isinstance(status, int) else 0)


app = typer.Typer(
    name="pgdrill",
    result_callback=_exit,
    help="Prove that the backups of Amazon RDS for PostgreSQL restore, how fast, and that what comes back is whole.",
    epilog="Exit status: 0 passed, 1 failed, 2 not runnable as asked, 3 inconclusive (not proved, never a pass).",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

# Groups of commands, in the order of `--help`. Each module has an `app`.
_GROUPS = ("drill", "point", "export", "check", "evidence", "ledger", "seal", "plan", "lab")
# Modules whose `register(app)` adds single commands.
_COMMANDS = ("verify", "fingerprint", "recover", "purge", "doctor", "demo")


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"pgdrill {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    pass


for _name in _COMMANDS:
    importlib.import_module(f"pgdrill.cli.{_name}").register(app)
for _name in _GROUPS:
    app.add_typer(importlib.import_module(f"pgdrill.cli.{_name}").app, name=_name)


def main() -> None:
    """Run a command; print an error for the person at 3 a.m.; anything unexpected keeps its traceback."""
    try:
        app()
    except DrillError as error:
        err.print(f"pgdrill: {error.message}", style="red", markup=False, soft_wrap=True)
        err.print(f"HINT: {error.hint}", markup=False, soft_wrap=True)
        sys.exit(error.exit_status)
