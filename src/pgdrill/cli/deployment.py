"""The commands that deploy the Pulumi program into a lab, fill its database and destroy it: `pgdrill lab deploy`."""

import json
import time
import tomllib
from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Annotated, Any, Self

import typer
from rich.markup import escape

from pgdrill.cli.context import DatabaseOption, JsonOption, clock, end_on_sigterm, err, print_json
from pgdrill.cli.lab_context import DirectoryOption, open_lab
from pgdrill.errors import NotRunnable

if TYPE_CHECKING:
    from pgdrill.lab.deploy.deploy import Outcome

app = typer.Typer()
# Seconds between two lines where nothing is alive.
EVERY = 5.0

StackOption = Annotated[
    str | None,
    typer.Option(help="A deployment of its own, under another suffix, beside the lab's.", show_default=False),
]


@app.command()
def deploy(
    directory: DirectoryOption = None,
    *,
    settings: Annotated[
        Path | None,
        typer.Option(
            help="The settings, TOML or JSON, as `pgdrill:plan` of the Pulumi configuration; one database unless given.",
            show_default=False,
        ),
    ] = None,
    program: Annotated[
        Path | None,
        typer.Option(help="The Pulumi program; that of this checkout unless given.", show_default=False),
    ] = None,
    stack: StackOption = None,
    as_json: JsonOption = False,
) -> None:
    """Deploy the Pulumi program into the running lab, or bring what is deployed up to date.

    The lab is to enforce policies, as AWS does: pgdrill lab up --auth
    """
    from pgdrill.lab.deploy import deploy as deploying  # noqa: PLC0415 # the product installs without the lab
    from pgdrill.lab.deploy.deployment import OUTPUTS, PLAN  # noqa: PLC0415

    lab = open_lab(directory)
    given = None if settings is None else _read(settings)
    if (running := lab.running()) and not running.settings.auth:
        err.print(
            "warning: this lab enforces no policies and records no calls, so a right that is missing is not found\n"
            "HINT: pgdrill lab down, then: pgdrill lab up --auth",
            markup=False,
            soft_wrap=True,
        )
    began = time.monotonic()
    with _Progress("running the Pulumi program", deploying.directory(lab, stack)) as progress:
        outcome = deploying.deploy(
            lab, given, program=program or deploying.PROGRAM, stack=stack, progress=progress.report
        )
    if as_json:
        print_json({"counts": outcome.counts, "resources": outcome.resources, "outputs": outcome.outputs})
        return
    _print(outcome, time.monotonic() - began)
    for label, path in (("outputs", OUTPUTS), ("plan", PLAN)):
        err.print(f"{label}: {deploying.directory(lab, stack) / path}", soft_wrap=True, markup=False)
    err.print("see its schedules:  aws scheduler list-schedules", markup=False)
    err.print(
        "end it:             pgdrill purge, which deletes points and copies, then pgdrill lab destroy",
        markup=False,
    )


@app.command()
def destroy(
    directory: DirectoryOption = None, *, stack: StackOption = None, as_json: JsonOption = False
) -> None:
    """Delete everything that was deployed into the lab, the last made first.

    What was made at run time is not part of it: run `pgdrill purge` before, as in AWS.
    """
    from pgdrill.lab.deploy import deploy as deploying  # noqa: PLC0415 # the product installs without the lab

    lab = open_lab(directory)
    began = time.monotonic()
    with _Progress("deleting", deploying.directory(lab, stack)) as progress:
        outcome = deploying.destroy(lab, stack=stack, progress=progress.report)
    if as_json:
        print_json({"counts": outcome.counts, "resources": outcome.resources})
        return
    _print(outcome, time.monotonic() - began)


@app.command()
def fill(
    directory: DirectoryOption = None,
    *,
    database: DatabaseOption = None,
    rows: Annotated[
        int | None,
        typer.Option(
            help="About how many, over all tables; 300,000 unless given.", min=600, show_default=False
        ),
    ] = None,
) -> None:
    """Put the demo's shop and the ledger into a database that was deployed into the lab, so that it can be drilled.

    Makes the databases shop, analytics and "Year-End 2025", which is empty, and the role that seals and beats.
    """
    from psycopg.errors import DuplicateObject  # noqa: PLC0415 # slow to load

    from pgdrill.lab import production, shop  # noqa: PLC0415
    from pgdrill.lab.deployed import Deployed  # noqa: PLC0415

    lab = open_lab(directory)
    deployed = Deployed(lab)
    filled = deployed.plan.database(database)
    try:
        with err.status("loading the shop"):
            production.furnish(lab, filled, clock(), rows or shop.ROWS)
    except DuplicateObject as error:
        raise NotRunnable(
            f"database {filled.name!r} holds a shop already", hint="its tables: psql, or pgdrill fingerprint"
        ) from error
    err.print(f"{filled.name} holds a shop and the ledger", markup=False)
    err.print(f"use its plan:  export PGDRILL_PLAN={deployed.plan_path}", markup=False, soft_wrap=True)
    err.print("then:          pgdrill ledger beat && pgdrill point take && pgdrill drill run", markup=False)


class _Progress:
    """Shows what is done and how much of it was: alive on a terminal, elsewhere a line now and then.

    An interrupted run says what is there, and how to go on.
    """

    def __init__(self, doing: str, place: Path) -> None:
        self._doing, self._place = doing, place
        self._status = err.status(doing)
        self._counts: Counter[str] = Counter()
        self._said = 0.0

    def __enter__(self) -> Self:
        end_on_sigterm()
        self._status.start()
        if not err.is_terminal:
            err.print(f"... {self._doing}", markup=False)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._status.stop()
        if isinstance(error, KeyboardInterrupt | SystemExit):
            from pgdrill.lab.deploy.deployment import Deployment  # noqa: PLC0415 # needs the extra `lab`

            there = len(Deployment.read(self._place).resources)
            err.print(f"interrupted: {there} resources are there", markup=False)
            err.print("HINT: run it again to go on, or: pgdrill lab destroy", markup=False)

    def report(self, text: str) -> None:
        what, _, name = text.partition(" ")
        self._counts[what] += 1
        done = ", ".join(f"{what} {number}" for what, number in self._counts.items())
        self._status.update(f"{done}: {escape(name)}")
        if not err.is_terminal and time.monotonic() - self._said > EVERY:
            self._said = time.monotonic()
            err.print(f"... {done}: {name}", markup=False, soft_wrap=True)


def _read(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
        found: dict[str, Any] = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except (OSError, ValueError) as error:
        raise NotRunnable(
            f"settings {str(path)!r} cannot be read: {error}", hint="they are a TOML or JSON file in UTF-8"
        ) from error
    return found


def _print(outcome: "Outcome", seconds: float) -> None:
    done = (
        ", ".join(f"{number} {what}" for what, number in outcome.counts.items() if number) or "nothing to do"
    )
    err.print(f"{done}; {outcome.resources} resources are there; {seconds:.1f} s", markup=False)
