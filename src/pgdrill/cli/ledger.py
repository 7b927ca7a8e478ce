"""`pgdrill ledger`: install the heartbeat in production, beat it once or for ever, and see where it stands."""

import getpass
import signal
import threading
from dataclasses import replace
from datetime import timedelta
from types import FrameType
from typing import Annotated

import typer

from pgdrill import beats, ledger
from pgdrill.aws import secret
from pgdrill.beats import Incident, Kind
from pgdrill.cell import Cell
from pgdrill.cli.context import (
    DEFAULT_PLAN,
    DatabaseOption,
    JsonOption,
    PlanOption,
    clock,
    err,
    open_cell,
    out,
    print_json,
)
from pgdrill.database import Address, Server
from pgdrill.errors import DrillError, NotRunnable
from pgdrill.model import Beat
from pgdrill.plan import DatabasePlan, duration

app = typer.Typer(
    help="The heartbeat in production that shows what a restored copy holds.", no_args_is_help=True
)

AdminArgument = Annotated[
    str,
    typer.Argument(
        metavar="DSN",
        help="The instance's master user: postgresql://USER@HOST:PORT/?sslmode=verify-full. The password comes from "
        "PGPASSWORD or a question, never from here.",
    ),
]


@app.command()
def install(dsn: AdminArgument, plan: PlanOption = DEFAULT_PLAN, database: DatabaseOption = None) -> None:
    """Make the ledger and its login role, which is the one in the plan's secret; again at will."""
    cell = open_cell(plan)
    entry = _on(cell.plan.database(database))
    role = secret.read(cell.session.client("secretsmanager", region_name=cell.place.region), entry.secret)
    refused = ledger.install(_administrator(dsn), role.password, role=role.username)
    _say(f"ledger installed; role {role.username} may beat and read it, and nothing else")
    for name in refused:
        _warn(f"no schema may be made in database {name}: seals miss its sequences")


@app.command()
def uninstall(
    dsn: AdminArgument, role: Annotated[str, typer.Option(help="The login role.")] = ledger.ROLE
) -> None:
    """Remove the ledger, its functions and its role; the witness outside stays."""
    ledger.uninstall(_administrator(dsn), role=role)
    _say("ledger removed")


@app.command()
def beat(plan: PlanOption = DEFAULT_PLAN, database: DatabaseOption = None, json: JsonOption = False) -> None:
    """Write one row in production, and its record in the witness."""
    cell = open_cell(plan)
    made = _beat(cell, _on(cell.plan.database(database)))
    if json:
        print_json(made)
    else:
        _say(_told(made))


@app.command()
def run(
    plan: PlanOption = DEFAULT_PLAN,
    database: DatabaseOption = None,
    every: Annotated[
        timedelta, typer.Option(parser=duration, metavar="DURATION", help="The time between two beats.")
    ] = timedelta(seconds=60),
) -> None:
    """Beat until stopped. A beat that fails is told, and the next one tried."""
    cell = open_cell(plan)
    entry = _on(cell.plan.database(database))
    stop = threading.Event()

    def stopped(_signal: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGINT, stopped)
    signal.signal(signal.SIGTERM, stopped)
    while not stop.is_set():
        tick = clock(every.total_seconds())
        try:
            _say(_told(_beat(cell, entry)))
        except DrillError as error:
            _warn(f"no beat: {error.message}\nHINT: {error.hint}")
        stop.wait(tick.remaining())


@app.command()
def status(
    plan: PlanOption = DEFAULT_PLAN, database: DatabaseOption = None, json: JsonOption = False
) -> None:
    """Show the newest beat that the witness knows, and what befell the beat in the last day.

    Exit status: 0 it beats, 3 it is down, or the witness knows no beat of the last day.
    """
    cell = open_cell(plan)
    entry = cell.plan.database(database)
    if entry.ledger == "off":
        _say(
            f"the ledger of database {entry.name} is off in the plan: what a copy misses before its point is unknown"
        )
        return
    now = clock().now
    known = ledger.witness(cell.store, entry.name, since=now - ledger.RECENT)
    if not known:
        _warn(f"the witness knows no beat of database {entry.name} of the last day")
        _warn("HINT: start it with: pgdrill ledger run")
        raise typer.Exit(3)
    newest, found = known[-1], beats.incidents(known, now)
    down = found and found[-1].sequence > newest.sequence
    if json:
        told = [incident.model_dump(mode="json") for incident in found]
        print_json({"beat": newest.model_dump(mode="json"), "incidents": told})
    else:
        _say(f"{_told(newest)}, {(now - newest.beat_at).total_seconds():.0f} s ago")
        for incident in found:
            _warn(_befell(incident))
    if down:
        raise typer.Exit(3)


def _befell(incident: Incident) -> str:
    """Say what an incident was, in words that name who has to look."""
    what = {
        Kind.GAP: f"{incident.missing} beats before beat {incident.sequence} did not reach the witness:"
        " see whether the evidence bucket could be reached",
        Kind.SILENCE: f"nobody beat before beat {incident.sequence}: see what runs the beat, and whether the server was up",
        Kind.CLOCK: f"the server's clock was set back before beat {incident.sequence}",
        Kind.FORK: f"beat {incident.sequence} was beaten again: production was recovered to before it, or replaced",
        Kind.ANEW: "the ledger was removed and made anew",
    }[incident.kind]
    return f"{incident.kind}, {incident.since:%m-%d %H:%M:%S} to {incident.until:%m-%d %H:%M:%S} UTC: {what}"


def _on(entry: DatabasePlan) -> DatabasePlan:
    if entry.ledger == "off":
        raise NotRunnable(
            f"the ledger of database {entry.name!r} is off in the plan, so nothing is written there",
            hint='set ledger = "on" for this database in the plan',
        )
    return entry


def _beat(cell: Cell, entry: DatabasePlan) -> Beat:
    return ledger.beat(cell.production(entry, clock()), cell.store, entry.name)


def _say(text: str) -> None:
    out.print(text, markup=False, soft_wrap=True)


def _warn(text: str) -> None:
    err.print(text, style="yellow", markup=False, soft_wrap=True)


def _told(beat: Beat) -> str:
    return f"beat {beat.sequence} at {beat.beat_at:%Y-%m-%d %H:%M:%S} UTC"


def _administrator(dsn: str) -> Server:
    address = replace(Address.parse(dsn), dbname=ledger.DATABASE)
    if not address.password:
        address = replace(
            address,
            password=getpass.getpass(f"Password for {address.user}: "),
        )
    return Server(address, clock())
