"""What every command shares: the plan option, the clock, the console, and how a result is printed.

The clock is read here and in handlers, and nowhere below.
"""

import json
import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NoReturn

import typer
from pydantic import BaseModel
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

from pgdrill.errors import NotRunnable
from pgdrill.messages import Reply
from pgdrill.model import JSON, Clock
from pgdrill.plan import Plan

if TYPE_CHECKING:
    from pgdrill.cell import Cell

# A step has what a Lambda invocation has, less a minute to write down what it did.
STEP_BUDGET = 840.0

PlanOption = Annotated[
    Path, typer.Option("--plan", envvar="PGDRILL_PLAN", help="The plan.", show_default=True)
]
DatabaseOption = Annotated[
    str | None,
    typer.Option("--database", help="Which database of the plan; may be left out if there is one."),
]
CellOption = Annotated[
    Literal["primary", "dr"], typer.Option("--cell", help="In which region: the plan's primary or dr.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for machines on standard output.")]
DEFAULT_PLAN = Path("pgdrill.toml")

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


def clock(budget: float = STEP_BUDGET) -> Clock:
    """Return a clock that starts now and counts down `budget` seconds."""
    end = time.monotonic() + budget
    return Clock(now=datetime.now(UTC), remaining=lambda: max(0.0, end - time.monotonic()), budget=budget)


def tick(wait: float) -> Clock:
    """Wait, then return the clock of the next step."""
    if wait:
        time.sleep(wait)
    return clock()


def end_on_sigterm() -> None:
    """Let SIGTERM end this command as Ctrl-C does, with everything cleaned up."""
    signal.signal(signal.SIGTERM, _end)


def _end(_signal: int, _frame: object) -> NoReturn:
    sys.exit(128 + signal.SIGTERM)


def open_cell(plan: Path, cell: Literal["primary", "dr"] = "primary") -> "Cell":
    """Open one of the plan's two cells. Nothing in it calls the other's region."""
    from pgdrill.cell import Cell  # noqa: PLC0415 # loads boto3, which half of the commands do without

    loaded = Plan.load(plan)
    return Cell.open(loaded, loaded.dr if cell == "dr" else loaded.primary)


def publish(cell: "Cell", reply: Reply) -> None:
    """Publish what a step has to tell where the plan says; what was done stands, whether or not that succeeds."""
    from pgdrill import publishing  # noqa: PLC0415 # loads boto3, as open_cell does

    for refused in publishing.publish(cell, reply):
        err.print(f"warning: {refused.message}\nHINT: {refused.hint}", markup=False, soft_wrap=True)


def agree(question: str, otherwise: str) -> None:
    """Ask whether to go on; `otherwise` says what has not been done without a yes.

    Raises:
        NotRunnable: no, or nobody is there to say yes.
    """
    try:
        # Python itself has no stdin where the descriptor is closed.
        agreed = sys.stdin is not None and typer.confirm(question, err=True)
    except typer.Abort as abort:
        if isinstance(abort.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from None
        agreed = False
    if not agreed:
        raise NotRunnable(otherwise, hint="say yes, or give --yes")


def print_table(table: Table) -> None:
    """Print a table as wide as it is, whatever the terminal's width: what is cut or folded cannot be copied."""
    table.width = Measurement.get(out, out.options.update(max_width=10_000), table).maximum
    out.print(table, crop=False)


def print_json(value: BaseModel | JSON) -> None:
    """Print indented JSON, uncoloured and unwrapped, so that it can be piped."""
    content = value.model_dump(mode="json") if isinstance(value, BaseModel) else value
    typer.echo(json.dumps(content, indent=2, sort_keys=False, default=str))
