"""The frame of the demo: a lab with the program deployed in it, a production that lives, and what is left of them.

Begins and ends the lab; writes the reports where it is told to.
"""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from pgdrill import ledger
from pgdrill.cell import Cell
from pgdrill.demo.acts import Act, Show, Stage, Tick, play
from pgdrill.demo.steps import step
from pgdrill.errors import DrillError
from pgdrill.evidence import archive
from pgdrill.evidence.record import Evidence
from pgdrill.evidence.wording import SYMBOL, VERDICT, duration
from pgdrill.lab import calls, postgres, production, shop
from pgdrill.lab.background import Background
from pgdrill.lab.daemon import LOG
from pgdrill.lab.deploy import deploy as deploying
from pgdrill.lab.deploy.deployment import PLAN
from pgdrill.lab.deployed import Deployed
from pgdrill.lab.lab import Lab
from pgdrill.lab.record import Settings

BEAT = 0.5
BEATS = 3
# What the program is told besides the lab's own settings: a scheduled drill restores the newest point.
SETTINGS: dict[str, Any] = {"drill": {"point": "latest"}}


def run(console: Console, tick: Tick, show: Show, reports: Path, *, keep: bool) -> int:
    """Play the demo. Return 0 if the healthy backups passed and the damaged one was found out, else 1.

    `tick(seconds)` waits and returns a clock; `show` shows a drill while it goes on. With `keep` the lab stays, for
    playing.
    """
    began = time.monotonic()
    directory = postgres.scratch("pgdrill-demo-")
    lab = Lab(directory)
    try:
        with step(console, "starting a lab: AWS on this machine, real PostgreSQL behind its RDS"):
            lab.up(Settings(auth=True))
            lab.door.hold_schedules()  # they are fired when the play has come to them
        _deploy(lab, console)
        with _environment(lab):
            with ExitStack() as life:
                acts = play(_production(lab, console, tick, show, life))
            written = _write_reports(lab, acts, reports)
            _print_calls(lab, console)
    except DrillError:
        _save_log(lab, console, reports)
        raise
    finally:
        if not keep:
            with step(console, "ending the lab"):
                lab.down()
    _print_summary(console, acts, written, time.monotonic() - began)
    if keep:
        _print_how_to_play(console, lab)
    return 0 if all(act.held for act in acts) else 1


def _deploy(lab: Lab, console: Console) -> None:
    with step(
        console, "deploying the Pulumi program: two regions, every role with the least it needs"
    ) as says:
        done = deploying.deploy(lab, deploying.settings() | SETTINGS, progress=says)
    plan = Deployed(lab).plan
    regions = f"{plan.primary.region} and {plan.dr.region}"
    console.print(f"          {done.resources} resources in {regions}", markup=False)


def _production(lab: Lab, console: Console, tick: Tick, show: Show, life: ExitStack) -> Stage:
    """Make a database that lives: orders come in and the ledger beats for as long as `life` lasts."""
    deployed = Deployed(lab)
    cell, database = Cell.open(deployed.plan), deployed.plan.database(None)
    stage = Stage(lab, deployed, cell, database, console, tick, show)
    with step(
        console, f"loading a shop: {shop.ROWS:,} rows, one of every kind of object; installing the ledger"
    ):
        master = production.furnish(lab, database, tick(0))
    with step(console, "orders come in; the ledger beats by its schedule from now on"):
        life.enter_context(shop.writer(master))
        life.enter_context(_heart(stage))
        while len(ledger.witness(cell.store, database.name)) < BEATS:
            tick(BEAT / 3)
    return stage


def _heart(stage: Stage) -> Background:
    """Return what fires the ledger's schedule more often than once a minute; the play is short."""

    def beat() -> None:
        # One that fails is no reason to stop beating.
        with suppress(DrillError):
            stage.deployed.run(stage.deployed.fire("beat", stage.tick(0).now), stage.tick)

    return Background(beat, BEAT)


@contextmanager
def _environment(lab: Lab) -> Iterator[None]:
    """Do what `. lab.env` does, for as long as the demo talks to its lab."""
    before = dict(os.environ)
    os.environ.pop("AWS_PROFILE", None)
    os.environ.update(lab.environment | {"NO_PROXY": "127.0.0.1"})
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _write_reports(lab: Lab, acts: list[Act], reports: Path) -> list[Path]:
    """Write the HTML reports where the user is, since the lab's bucket goes with the lab."""
    store = Cell.open(Deployed(lab).plan).store
    reports.mkdir(parents=True, exist_ok=True)
    written = []
    for act in acts:
        path = reports / f"{act.evidence.drill}.html"
        path.write_text(archive.render(store, act.evidence), encoding="utf-8")
        written.append(path)
    return written


def _save_log(lab: Lab, console: Console, reports: Path) -> None:
    """Keep what the lab had to say of an error, since its directory goes."""
    log = lab.directory / LOG
    if log.exists():
        reports.mkdir(parents=True, exist_ok=True)
        kept = shutil.copy(log, reports / "lab.log")
        console.print(f"the lab's log: {kept}", markup=False, soft_wrap=True)


def _print_calls(lab: Lab, console: Console) -> None:
    """Tell how much of AWS was asked for under which roles, and what was refused."""
    asked = list(calls.read(lab.directory))
    refused = sum(not call.allowed for call in asked)
    roles = len({call.role for call in asked})
    console.print(f"{len(asked):,} calls to AWS under {roles} roles, {refused} of them refused", markup=False)


def _print_summary(console: Console, acts: list[Act], written: list[Path], seconds: float) -> None:
    def figure(of: Callable[[Evidence], float | None]) -> list[str]:
        return ["-" if (found := of(act.evidence)) is None else duration(found) for act in acts]

    table = Table("", *(act.title for act in acts), box=box.SIMPLE_HEAD, pad_edge=False)
    for name, values in (
        ("expected", [VERDICT[act.expected] for act in acts]),
        ("got", [f"{SYMBOL[act.evidence.verdict]} {VERDICT[act.evidence.verdict]}" for act in acts]),
        ("found by", [", ".join(act.found_by) for act in acts]),
        ("RTO, usable", figure(lambda evidence: evidence.rto.usable)),
        ("RTO, verified", figure(lambda evidence: evidence.rto.verified)),
        ("RPO, lag of the point", figure(lambda evidence: evidence.rpo.lag_of_point)),
        ("RPO, exposure at start", figure(lambda evidence: evidence.rpo.exposure_at_start)),
        ("RPO, worst case", figure(lambda evidence: evidence.rpo.worst_case)),
    ):
        table.add_row(name, *values)
    console.rule("[bold]what was proved", align="left", style="dim")
    console.print(table)
    for path in written:
        console.print(f"report: {path}", markup=False, soft_wrap=True)
    wrong = [act.title for act in acts if not act.held]
    told = (
        f"not as it should be: {', '.join(wrong)}"
        if wrong
        else "both healthy backups passed, and the damage was found and named"
    )
    console.print(f"{told}; {seconds:.0f} s in all", style="red" if wrong else "green", markup=False)


def _print_how_to_play(console: Console, lab: Lab) -> None:
    told = (
        f"the lab runs on in {lab.directory}; to play with it:",
        f"  set -a; . {lab.environment_path}; set +a; export PGDRILL_LAB={lab.directory}",
        f"  export PGDRILL_PLAN={lab.directory / PLAN}",
        "  pgdrill lab status",
        "  pgdrill lab fire pgdrill-main-drill-shop",
        "  pgdrill lab calls",
        "  pgdrill point list",
        "  pgdrill point take",
        "  pgdrill lab sabotage --list",
        "  pgdrill drill run",
        "  pgdrill evidence list",
        f"to end it: pgdrill lab down --directory {lab.directory}",
    )
    for line in told:
        console.print(line, markup=False, soft_wrap=True)
