"""`pgdrill dashboard`: what CloudWatch shows of a cell, drawn from its metrics without the console."""

import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from pgdrill.aws import metrics
from pgdrill.aws.metrics import State
from pgdrill.cell import Cell as Opened
from pgdrill.cli.context import DEFAULT_PLAN, CellOption, PlanOption, clock, err, open_cell, out
from pgdrill.dashboard.cell import Cell
from pgdrill.dashboard.readings import read
from pgdrill.dashboard.sections import board
from pgdrill.plan import PREFIX

FOLDER = Path("pgdrill-reports")


def register(app: typer.Typer) -> None:
    app.command("dashboard")(run)


def run(
    plan: PlanOption = DEFAULT_PLAN,
    where: CellOption = "primary",
    html: Annotated[
        Path | None,
        typer.Option(
            "--html", help="Where the page is written.  [default: pgdrill-reports/dashboard-<region>.html]"
        ),
    ] = None,
    in_terminal: Annotated[
        bool, typer.Option("--terminal", help="Print it instead of writing a page.")
    ] = False,
) -> None:
    """Draw the dashboard of a cell from its metrics and alarms, and on a terminal open it in the browser.

    Works against AWS and a lab alike, and needs to read CloudWatch alone.
    """
    opened = open_cell(plan, where)
    client, now = opened.client("cloudwatch"), clock().now
    with err.status("asking"):
        cell = _deployed(opened, metrics.alarms(client, _stem(opened)))
        drawn = board(cell)
        readings = read(client, drawn, _stem(opened), now)
    if in_terminal:
        from pgdrill.dashboard import terminal  # noqa: PLC0415 # the page's template engine comes with it

        out.print(terminal.dashboard(drawn, readings))
        return
    from pgdrill.dashboard.page import page  # noqa: PLC0415 # as above

    path = html or FOLDER / f"dashboard-{cell.region}.html"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page(drawn, readings), encoding="utf-8")
    typer.echo(path)
    if out.is_terminal:
        webbrowser.open(path.absolute().as_uri())


def _stem(opened: Opened) -> str:
    return f"{PREFIX}-{opened.plan.stack.suffix}-"


def _deployed(opened: Opened, standing: list[State]) -> Cell:
    """Return the cell as its alarms tell of it: a function or machine that is deployed has one of its own."""

    def having(alarm: str) -> tuple[str, ...]:
        begin = f"{_stem(opened)}{alarm}-"
        return tuple(
            sorted(state.name.removeprefix(begin) for state in standing if state.name.startswith(begin))
        )

    return Cell(
        plan=opened.plan,
        region=opened.place.region,
        account=standing[0].arn.split(":")[4] if standing else "",
        bucket=opened.place.evidence_bucket,
        # Their timeouts matter to alarms alone, which are there.
        functions=dict.fromkeys(having("function-errors"), 0),
        machines=having("machine-failed"),
    )
