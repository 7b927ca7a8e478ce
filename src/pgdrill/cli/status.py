"""`pgdrill status`: what could be recovered right now, from anywhere."""

from datetime import datetime

import typer
from rich.table import Table
from rich.text import Text

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
    print_table,
)
from pgdrill.evidence.terminal import STYLE
from pgdrill.evidence.wording import SYMBOL, capital, duration, moment, plural, size, visible
from pgdrill.model import Verdict, worst
from pgdrill.plan import Plan
from pgdrill.watching import status
from pgdrill.watching.status import Kind, Standing, Way

WORD = {
    Verdict.PASSED: "recoverable",
    Verdict.FAILED: "not recoverable as planned",
    Verdict.INCONCLUSIVE: "not proved",
}
_KIND = {Kind.MOMENT: "any moment", Kind.SNAPSHOT: "snapshot", Kind.COPY: "copy"}


def register(app: typer.Typer) -> None:
    app.command("status")(run)


def run(plan: PlanOption = DEFAULT_PLAN, database: DatabaseOption = None, as_json: JsonOption = False) -> int:
    """Say per database what could be recovered right now, to when, how fast, and proved when.

    Asks both regions; one that does not answer is unknown.

    Exit status: 0 recoverable as planned, 1 not, 2 not runnable as asked, 3 not proved.
    """
    loaded = Plan.load(plan)
    asked = (loaded.database(database),) if database else loaded.databases
    cells = [Cell.open(loaded, place) for place in (loaded.primary, loaded.dr)]
    now = clock().now
    with err.status("asking"):
        standings = [status.standing(status.look(cells, one), loaded, now) for one in asked]
    if as_json:
        print_json([standing.model_dump(mode="json") for standing in standings])
    else:
        for standing in standings:
            _print(standing, now)
    return worst([standing.verdict for standing in standings]).exit_status


def _print(standing: Standing, now: datetime) -> None:
    style = STYLE[standing.verdict]
    head = Text(f"{SYMBOL[standing.verdict]} ", style=f"bold {style}")
    head.append(visible(standing.database), style="bold")
    head.append(f"  {WORD[standing.verdict]}", style=style)
    out.print(head, soft_wrap=True)
    for reason in standing.reasons:
        out.print(Text(f"  {capital(visible(reason))}", style=style), soft_wrap=True)
    if standing.ways:
        print_table(_ways(standing, now))
    for told in _forecast(standing):
        out.print(Text(f"  {told}", style="dim"), soft_wrap=True)
    out.print()


def _ways(standing: Standing, now: datetime) -> Table:
    table = Table.grid(padding=(0, 2))
    for _ in range(5):
        table.add_column(no_wrap=True)
    table.add_row(*(Text(name, style="dim") for name in ("", "  from", "to", "in", "proved")))
    for way in standing.ways:
        shown = Verdict.FAILED if way.locked else way.last
        table.add_row(
            Text(f"  {SYMBOL[shown]}", style=STYLE[shown]),
            _KIND[way.kind] + f" in {way.region}",
            f"{moment(way.recovers_to)}, {duration((now - way.recovers_to).total_seconds())} ago",
            duration(way.expected) if way.expected is not None else "never timed",
            _when(way),
        )
    return table


def _when(way: Way) -> str:
    return f"{way.proved_at:%Y-%m-%d}" if way.proved_at else "never"


def _forecast(standing: Standing) -> list[str]:
    told, rto, grown = [], standing.forecast.rto, standing.forecast.bytes
    if grown is not None:
        told.append(
            f"size {size(round(grown.now))}, {'+' if grown.per_day >= 0 else '-'}{size(abs(round(grown.per_day)))} a day,"
            f" by {plural(grown.drills, 'drill')}"
        )
    if rto is not None and rto.crosses_at is not None:
        told.append(f"the RTO objective will be crossed about {rto.crosses_at:%Y-%m-%d}; what helps:")
        told += [f"- {help_}" for help_ in standing.forecast.helps]
    elif rto is not None:
        told.append(f"time to recover {duration(rto.now)}; the objective is not crossed within two years")
    return told
