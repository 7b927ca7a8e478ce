"""The demo: a production that lives, three drills of its backups, and what they prove. All on this machine.

Deploys the Pulumi program into a lab of its own that enforces policies, and fires the deployed schedules: what takes,
copies, restores, examines and judges are its state machines and functions. Only the shop and the damage are staged.
Leaves nothing but the reports.
"""

import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from pgdrill import ledger
from pgdrill.cell import Cell
from pgdrill.drills import outcome
from pgdrill.drills.state import Drill
from pgdrill.errors import Broken, DrillError
from pgdrill.evidence import archive, terminal
from pgdrill.evidence.record import Evidence
from pgdrill.evidence.wording import SYMBOL, VERDICT, duration
from pgdrill.lab import calls, postgres, production, shop
from pgdrill.lab.background import Background
from pgdrill.lab.daemon import LOG
from pgdrill.lab.deploy import deploy as deploying
from pgdrill.lab.deploy.deployment import PLAN
from pgdrill.lab.deployed import Deployed, Output
from pgdrill.lab.lab import Lab
from pgdrill.lab.record import Settings
from pgdrill.ledger import LedgerFact
from pgdrill.model import Beat, Clock, Verdict
from pgdrill.plan import DatabasePlan
from pgdrill.slots import point_id, slot_of

BEAT = 0.5
BEATS = 3
# What the program is told besides the lab's own settings: a scheduled drill restores the newest point.
SETTINGS: dict[str, Any] = {"drill": {"point": "latest"}}
AGO = timedelta(seconds=2)
PAUSE = 0.2
# One page of this table is overwritten with zeros: a state that checksums allow and that PostgreSQL reads as
# an empty page, so that dozens of customers are gone without any error.
DAMAGED = "shop.customers"
FOUND_BY = "rows"
LOOK = "read the lab's log, of which a copy is left with the reports"

Tick = Callable[[float], Clock]
# Shows a drill while it goes on, and returns it when it is done.
Show = Callable[[Iterable[Drill]], Drill]


@dataclass(frozen=True)
class Act:
    """One drill of the demo: what had to come of it, and whether it did."""

    title: str
    expected: Verdict
    held: bool
    evidence: Evidence

    @property
    def found_by(self) -> tuple[str, ...]:
        """The checks that failed."""
        return tuple(f.check for f in self.evidence.findings if f.verdict is Verdict.FAILED)


@dataclass(frozen=True)
class Stage:
    """What the acts play on."""

    lab: Lab
    deployed: Deployed
    cell: Cell
    database: DatabasePlan
    console: Console
    tick: Tick
    show: Show

    def slot(self) -> datetime:
        """Return the slot that it is now, which is what the schedules mean when they fire."""
        return slot_of(self.deployed.plan.points, self.tick(0).now)


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
                acts = _play(_production(lab, console, tick, show, life))
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


# ------------------------------------------------------------------------------------------------- the acts


def _play(stage: Stage) -> list[Act]:
    point = _taken(stage)
    acts = [_healthy(stage), _to_a_moment(stage)]
    _copied(stage, point)
    return [*acts, _sabotaged(stage, point)]


def _taken(stage: Stage) -> str:
    """Fire the schedule of the slot, and return the name of the point that its machine has taken."""
    with step(stage.console, "the schedule fires: a snapshot, production sealed before and after") as says:
        for name, _ in stage.deployed.follow(stage.deployed.fire("take-shop", stage.slot()), stage.tick):
            says(name.lower())
    wanted = point_id(stage.deployed.plan.point_prefix(stage.database), stage.slot())
    if stage.cell.snapshots.find(wanted) is None:
        raise Broken(f"point {wanted!r} was not taken", hint=LOOK)
    return wanted


def _copied(stage: Stage, point: str) -> None:
    """Wait until the other cell, which has heard of the point, has copied it."""
    there = Cell.open(stage.deployed.plan, stage.deployed.plan.dr)
    with step(
        stage.console, f"{there.place.region} has heard of the snapshot and copied it under its own key"
    ):
        while (copy := there.snapshots.find(point)) is None or not copy.usable:
            stage.tick(PAUSE)


def _healthy(stage: Stage) -> Act:
    stage.console.rule(
        "[bold]1  the scheduled drill restores the snapshot, while orders come in", align="left", style="dim"
    )
    evidence = _evidence(stage, _drilled(stage, stage.deployed.fire("drill-shop", stage.slot())))
    _print_drill(stage, evidence)
    return Act("snapshot", Verdict.PASSED, evidence.verdict is Verdict.PASSED, evidence)


def _to_a_moment(stage: Stage) -> Act:
    """Drill a moment a few seconds ago, and look at both of its sides."""
    window = stage.cell.rds.window(stage.database.instance)
    if window is None:
        raise Broken("production has no PITR window", hint=LOOK)
    target = (window[1] - AGO).replace(microsecond=0)
    ago = (stage.tick(0).now - target).total_seconds()
    title = f"2  {target:%H:%M:%S} UTC, a moment {ago:.0f} s ago"
    stage.console.rule(f"[bold]{title}", align="left", style="dim")
    asked = {
        "due_at": stage.slot().isoformat(),
        "database": stage.database.name,
        "wanted": target.isoformat(),
    }
    done = _drilled(stage, stage.deployed.start("Drill", asked))
    evidence = _evidence(stage, done)
    stage.console.print(
        terminal.verdict(evidence.verdict, evidence.verdict_reason, f"restore drill of {evidence.database}")
    )
    before, after = _neighbours(ledger.witness(stage.cell.store, stage.database.name), target)
    restored = _restored_beats(stage.cell, done)
    there, missing = before.digest in restored, after.digest not in restored
    for beat, what, right in (
        (before, "last beat before the target", "is there" if there else "IS MISSING"),
        (after, "first beat after it", "is not there" if missing else "IS THERE"),
    ):
        stage.console.print(f"  {what:27}  no. {beat.sequence}, {beat.beat_at:%H:%M:%S.%f}  {right}")
    passed = evidence.verdict is Verdict.PASSED
    return Act(f"moment {ago:.0f} s ago", Verdict.PASSED, passed and there and missing, evidence)


def _sabotaged(stage: Stage, point: str) -> Act:
    stage.console.rule("[bold]3  the same snapshot, damaged", align="left", style="dim")
    damage = stage.lab.door.sabotage(point, "zeroed-page", database="shop", table=DAMAGED)
    stage.console.print(f"  sabotage: {damage}", markup=False, soft_wrap=True)
    done = _drilled(stage, stage.deployed.fire("drill-shop", stage.slot()))
    act = Act("damaged snapshot", Verdict.FAILED, False, _evidence(stage, done))
    _print_drill(stage, act.evidence)
    return replace(act, held=act.evidence.verdict is Verdict.FAILED and FOUND_BY in act.found_by)


def _drilled(stage: Stage, execution: str) -> Drill:
    """Show a drill while its state machine runs; return it when it is done."""
    return stage.show(_drills(stage.deployed.follow(execution, stage.tick)))


def _drills(outputs: Iterable[Output]) -> Iterator[Drill]:
    """Yield the drill as each step has left it."""
    for _, output in outputs:
        if output and output.get("drill"):
            yield Drill.model_validate(output["drill"])


def _evidence(stage: Stage, done: Drill) -> Evidence:
    return archive.load(stage.cell.store, done.id, done.database)


def _print_drill(stage: Stage, evidence: Evidence) -> None:
    """Print what `pgdrill drill run` prints."""
    stage.console.print(terminal.drill(evidence, archive.load_teardown(stage.cell.store, evidence)))


def _neighbours(witness: tuple[Beat, ...], target: datetime) -> tuple[Beat, Beat]:
    """Return the last beat that must be there after recovery to a target, and the first that must not."""
    before = [beat for beat in witness if beat.done_at <= target]
    after = [beat for beat in witness if beat.beat_at > target]
    if not before or not after:
        raise Broken("the witness has no beat on both sides of the target", hint="see: pgdrill ledger status")
    return before[-1], after[0]


def _restored_beats(cell: Cell, done: Drill) -> set[str]:
    """Return the digests of the ledger's rows that the drill found in the restored copy."""
    for ref in done.facts:
        if ref.measure == "ledger":
            fact = outcome.read_fact(cell.store, ref, LedgerFact).fact
            return {row.digest for row in fact.rows} if isinstance(fact, LedgerFact) else set()
    return set()


# ------------------------------------------------------------------------------------------------- the frame


@contextmanager
def step(console: Console, title: str) -> Iterator[Callable[[str], None]]:
    """Show a step while it lasts, and the time it took. Yields what says how far it is, for a live terminal."""
    began = time.monotonic()
    if console.is_terminal:
        with console.status(escape(title), spinner="line") as status:
            yield lambda text: status.update(Text(f"{title}: {text}", no_wrap=True, overflow="ellipsis"))
    else:
        console.print(f"... {title}", markup=False, soft_wrap=True)
        yield lambda _: None
    console.print(f"{time.monotonic() - began:6.1f} s  {title}", markup=False, soft_wrap=True)


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
