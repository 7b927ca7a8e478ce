"""`pgdrill doctor`: is everything in place that the plan needs?"""

import typer
from rich.markup import escape
from rich.table import Table

from pgdrill.cell import Cell
from pgdrill.cli.context import (
    DEFAULT_PLAN,
    DatabaseOption,
    JsonOption,
    PlanOption,
    clock,
    err,
    out,
    print_json,
)
from pgdrill.doctor import examine
from pgdrill.doctor.patient import Answer, Status
from pgdrill.plan import Plan

_SHOWN = {
    Status.OK: "[green]ok[/green]",
    Status.PROBLEM: "[red]problem[/red]",
    Status.UNKNOWN: "[yellow]unknown[/yellow]",
}


def register(app: typer.Typer) -> None:
    app.command("doctor")(run)


def run(plan: PlanOption = DEFAULT_PLAN, database: DatabaseOption = None, as_json: JsonOption = False) -> int:
    """Ask, in both regions, whether everything is in place that the plan needs; change nothing.

    Of what is deployed it asks nothing: whether schedules, functions and state machines run, the watch and its alarms say.
    Exit status: 0 all is well, 1 there is a problem, 3 something could not be found out.
    """
    loaded = Plan.load(plan)
    asked = (loaded.database(database),) if database else loaded.databases
    cells = [Cell.open(loaded, place) for place in (loaded.primary, loaded.dr)]
    answers = []
    with err.status("asking"):
        for answer in examine.examine(cells, asked, clock()):
            answers.append(answer)
            if not as_json:
                _print(answer)
    if as_json:
        print_json([answer.model_dump(mode="json") for answer in answers])
    return examine.exit_status(answers)


def _print(answer: Answer) -> None:
    """One line as it comes, and under it what to do where it is not well."""
    table = Table.grid(padding=(0, 1))
    for width in (7, 14, 16):
        table.add_column(width=width, no_wrap=True)
    table.add_column(overflow="fold")
    where = answer.database or answer.region
    table.add_row(_SHOWN[answer.status], escape(where), answer.question, escape(answer.value))
    if answer.hint:
        table.add_row("", "", "", f"[dim]{escape(answer.hint)}[/dim]")
    out.print(table)
