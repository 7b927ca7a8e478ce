"""The command line: mounts the commands, and is the one place where an error becomes a message and a status.

A command's module is imported when it is asked for: each needs something that takes long to load, boto3 or psycopg
or Jinja, and none needs all of it.
Exit status: 0 passed, 1 failed, 2 not runnable as asked, 3 inconclusive, 130 interrupted.
"""

import importlib
import sys
from collections import UserDict
from typing import Annotated, Any

import typer
import typer.main
from typer.core import TyperGroup

from pgdrill import __version__
from pgdrill.errors import DrillError


def _exit(status: object, **_: object) -> None:
    """Let a command return its exit status."""
    raise typer.Exit(status if isinstance(status, int) else 0)


# The module of each command, in the order of `--help`. Groups have an `app`, others `register(app)` themselves.
_MODULES = {
    "status": "status",
    "dashboard": "dashboard",
    "verify": "verify",
    "fingerprint": "fingerprint",
    "compare": "fingerprint",
    "recover": "recover",
    "purge": "purge",
    "doctor": "doctor",
    "demo": "demo",
    "drill": "drill",
    "point": "point",
    "export": "export",
    "check": "check",
    "evidence": "evidence",
    "ledger": "ledger",
    "seal": "seal",
    "plan": "plan",
    "lab": "lab",
}


class _Commands(UserDict[str, Any]):
    """The commands by name, each imported when it is looked up."""

    def __init__(self) -> None:
        super().__init__(dict.fromkeys(_MODULES))

    def __getitem__(self, name: str) -> Any:
        if self.data[name] is None:
            module = importlib.import_module(f"pgdrill.cli.{_MODULES[name]}")
            alone = typer.Typer(callback=_root)
            if hasattr(module, "register"):
                module.register(alone)
            else:
                alone.add_typer(module.app, name=name)
            self.data.update(typer.main.get_group(alone).commands)
        return self.data[name]


class _Late(TyperGroup):
    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands = _Commands()


app = typer.Typer(
    name="pgdrill",
    cls=_Late,
    result_callback=_exit,
    help="Prove that the backups of Amazon RDS for PostgreSQL restore, how fast, and that what comes back is whole.",
    epilog="Exit status: 0 passed, 1 failed, 2 not runnable as asked, 3 inconclusive (not proved, never a pass).",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


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


def main() -> None:
    """Run a command; print an error for the person at 3 a.m.; anything unexpected keeps its traceback."""
    try:
        app()
    except DrillError as error:
        from pgdrill.cli.context import err  # noqa: PLC0415 # loads the plan, which `--version` does without

        err.print(f"pgdrill: {error.message}", style="red", markup=False, soft_wrap=True)
        err.print(f"HINT: {error.hint}", markup=False, soft_wrap=True)
        sys.exit(error.exit_status)
