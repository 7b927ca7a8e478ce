"""The demo: a production that lives, three drills of its backups, and what they prove. All on this machine.

Calls what the commands call; only the shop and the damage are staged. Makes a lab in a directory of its own,
and leaves nothing but the reports.
"""

import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from pgdrill import ledger
from pgdrill.cell import Cell
from pgdrill.checks.registry import ALL
from pgdrill.drills import drill, outcome
from pgdrill.drills.state import Drill
from pgdrill.errors import Broken, DrillError
from pgdrill.evidence import archive, terminal
from pgdrill.evidence.record import Evidence, Trigger
from pgdrill.evidence.wording import SYMBOL, VERDICT, duration
from pgdrill.lab import postgres, production, shop
from pgdrill.lab.daemon import LOG
from pgdrill.lab.lab import Lab
from pgdrill.ledger import LedgerFact
from pgdrill.model import Beat, Clock, RecoveryPoint, Verdict
from pgdrill.plan import DatabasePlan, Plan
from pgdrill.points import taking

BEAT = 0.3
BEATS = 3
AGO = timedelta(seconds=2)
# One page of this table is overwritten with zeros: a state that checksums allow and that PostgreSQL reads as
# an empty page, so that dozens of customers are gone without any error.
DAMAGED = "shop.customers"
FOUND_BY = "rows"
LOOK = "read the lab's log, of which a copy is left with the reports"

Tick = Callable[[float], Clock]
Conduct = Callable[[Drill, Cell], Drill]


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
    cell: Cell
    database: DatabasePlan
    console: Console
    tick: Tick
    conduct: Conduct


def run(console: Console, tick: Tick, conduct: Conduct, reports: Path, *, keep: bool) -> int:
    """Play the demo. Return 0 if the healthy backups passed and the damaged one was found out, else 1.

    `tick(seconds)` waits and returns a clock; `conduct` runs a drill and shows it meanwhile. With `keep` the lab
    stays, for playing.
    """
    began = time.monotonic()
    directory = postgres.scratch("pgdrill-demo-")
    lab = Lab(directory)
    try:
        with step(console, "starting a lab: AWS on this machine, real PostgreSQL behind its RDS"):
            lab.up()
        with _environment(lab):
            with ExitStack() as life:
                acts = _play(_production(lab, console, tick, conduct, life))
            written = _write_reports(lab, acts, reports)
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


def _production(lab: Lab, console: Console, tick: Tick, conduct: Conduct, life: ExitStack) -> Stage:
    """Make a database that lives: orders come in and the ledger beats for as long as `life` lasts."""
    plan = Plan.load(lab.plan_path)
    cell, database = Cell.open(plan), plan.database(None)
    with step(console, f"creating the database instance {database.instance}"):
        master = production.create(lab, cell, database.instance, tick)
    with step(console, f"loading a shop: {shop.ROWS:,} rows, one of every kind of object"):
        shop.load(master)
    with step(console, "installing the ledger; orders come in and it beats from now on"):
        production.install_ledger(lab, plan, database, master, tick(0))
        life.enter_context(shop.writer(master))
        life.enter_context(production.heart(plan, database, BEAT, tick))
        while len(ledger.witness(cell.store, database.name)) < BEATS:
            tick(BEAT / 3)
    return Stage(lab, cell, database, console, tick, conduct)


# ------------------------------------------------------------------------------------------------- the acts


def _play(stage: Stage) -> list[Act]:
    with step(stage.console, "taking a snapshot, production sealed before and after") as says:
        point = taking.take(stage.cell, stage.database, ALL, stage.tick, says)
    return [_healthy(stage, point), _to_a_moment(stage), _sabotaged(stage, point)]


def _healthy(stage: Stage, point: RecoveryPoint) -> Act:
    stage.console.rule("[bold]1  the snapshot, while orders come in", align="left", style="dim")
    evidence = _evidence(stage, _drilled(stage, point.id))
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
    done = _drilled(stage, target.isoformat())
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


def _sabotaged(stage: Stage, point: RecoveryPoint) -> Act:
    stage.console.rule("[bold]3  the same snapshot, damaged", align="left", style="dim")
    damage = stage.lab.door.sabotage(point.id, "zeroed-page", database="shop", table=DAMAGED)
    stage.console.print(f"  sabotage: {damage}", markup=False, soft_wrap=True)
    act = Act("damaged snapshot", Verdict.FAILED, False, _evidence(stage, _drilled(stage, point.id)))
    _print_drill(stage, act.evidence)
    return replace(act, held=act.evidence.verdict is Verdict.FAILED and FOUND_BY in act.found_by)


def _drilled(stage: Stage, wanted: str) -> Drill:
    begun = drill.begin(
        stage.cell.plan,
        stage.database,
        wanted,
        now=stage.tick(0).now,
        nonce=secrets.token_hex(16),
        trigger=Trigger.COMMAND,
    )
    return stage.conduct(begun, stage.cell)


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
    store = Cell.open(Plan.load(lab.plan_path)).store
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
        "  pgdrill lab status",
        "  pgdrill point list",
        "  pgdrill point take",
        "  pgdrill lab sabotage --list",
        "  pgdrill drill run",
        "  pgdrill evidence list",
        f"to end it: pgdrill lab down --directory {lab.directory}",
    )
    for line in told:
        console.print(line, markup=False, soft_wrap=True)
