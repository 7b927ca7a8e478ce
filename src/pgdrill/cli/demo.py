"""`pgdrill demo`: the whole of it on this machine. Thin; the play stands in pgdrill.demo, which needs the lab."""

import importlib.util
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from pgdrill.cli.context import end_on_sigterm, out, tick
from pgdrill.cli.progress import Progress
from pgdrill.drills.state import Drill, Step
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
    """Back up, restore, examine and judge a real database, healthy and sabotaged; in minutes, on this machine.

    Exit status: 0 if the healthy backups passed and the damage was found, 1 if not.
    """
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise NotRunnable(
            f"the demo needs {', '.join(missing)}, not installed here", hint="pip install 'pgdrill[lab]'"
        )
    from pgdrill.demo import frame  # noqa: PLC0415 # the product installs without the lab

    end_on_sigterm()
    return frame.run(out, tick, _show, reports, keep=keep)


def _show(drills: Iterable[Drill]) -> Drill:
    """Show a drill while it goes on; return it as it was left last."""
    with Progress(out) as progress:
        for now in drills:
            if now.next is not Step.DONE:
                progress.report(now, "")
        progress.stages(now)
    return now
