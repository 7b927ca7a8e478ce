"""`pgdrill demo`: the whole of it on this machine. Thin; the play stands in pgdrill.demo, which needs the lab."""

import importlib.util
from pathlib import Path
from typing import Annotated

import typer

from pgdrill.cell import Cell
from pgdrill.cli.context import end_on_sigterm, out, tick
from pgdrill.cli.progress import Progress
from pgdrill.drills import conduct
from pgdrill.drills.state import Drill
from pgdrill.errors import NotRunnable

NEEDED = ("cryptography", "ministack", "psutil")


def register(app: typer.Typer) -> None:
    app.command("demo")(demo)


def demo(
    keep: Annotated[bool, typer.Option("--keep", help="Leave the lab running, to play with.")] = False,
    reports: Annotated[
        Path, typer.Option("--reports", help="Where the HTML reports go.", file_okay=False)
    ] = Path("pgdrill-reports"),
) -> int:
    """Back up, restore, examine and judge a real database, healthy and sabotaged; in a minute, on this machine.

    Exit status: 0 if the healthy backups passed and the damage was found, 1 if not.
    """
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise NotRunnable(
            f"the demo needs {', '.join(missing)}, not installed here", hint="pip install 'pgdrill[lab]'"
        )
    from pgdrill import demo as play  # noqa: PLC0415 # the product installs without the lab

    end_on_sigterm()
    return play.run(out, tick, _conduct, reports, keep=keep)


def _conduct(begun: Drill, cell: Cell) -> Drill:
    with Progress(out) as progress:

        def report(now: Drill, text: str) -> None:
            # A log gets a line for each step, and not one for each of hundreds of indexes.
            progress.report(now, text if out.is_terminal else "")

        done = conduct.run(begun, cell, tick, report)
        progress.stages(done)
    return done
