"""The demo: a production that lives, three drills of its backups, and what they prove. All on this machine.

Calls what the commands call; only the shop and the damage are staged. Makes a lab in a directory of its own,
and leaves nothing but the reports.
"""

import json
import os
import secrets
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pgdrill import drill, ledger, outcome, points
from pgdrill.cell import Cell
from pgdrill.checks.registry import ALL
from pgdrill.database import Address, Server
from pgdrill.errors import Broken
from pgdrill.evidence import archive, terminal
from pgdrill.evidence.record import Evidence, Trigger
from pgdrill.evidence.wording import SYMBOL, VERDICT, duration
from pgdrill.lab import shop
from pgdrill.lab.background import Background
from pgdrill.lab.lab import Lab
from pgdrill.ledger import LedgerFact
from pgdrill.model import Beat, Clock, RecoveryPoint, Verdict
from pgdrill.plan import DatabasePlan, Plan
from pgdrill.state import Drill

MASTER = "master"
BEAT = 0.5
# One page of this table is overwritten with zeros: a state that checksums allow and that PostgreSQL reads as
# an empty page, so that 80 customers are gone without any error.
DAMAGED = "shop.customers"
FOUND_BY = "rows"

Tick = Callable[[float], Clock]
Conduct = Callable[[Drill, Cell], Drill]


@dataclass(frozen=True)
class Act:
    """One drill of the demo: what had to come of it, and whether it did."""

    title: str
    expected: Verdict
    held: bool
    evidence: Evidence


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
    directory = Path(tempfile.mkdtemp(prefix="pgdrill-demo-"))
    directory.chmod(0o711)  # PostgreSQL's own user has to pass
    lab = Lab(directory)
    try:
        with step(console, "starting a lab: AWS on this machine, real PostgreSQL behind its RDS"):
            lab.up()
        with _environment(lab), ExitStack() as life:
            acts = _play(_production(lab, console, tick, conduct, life))
        written = [_report(lab, act, reports) for act in acts]
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
    stage = Stage(lab, Cell.open(plan), plan.database(None), console, tick, conduct)
    master = _create(stage)
    with step(console, "loading a shop: 300,000 rows, one of every kind of object"):
        shop.load(master)
    with step(console, "installing the ledger; orders come in and it beats from now on"):
        role = {"username": ledger.ROLE, "password": secrets.token_urlsafe(24)}
        lab.client("secretsmanager").create_secret(Name=stage.database.secret, SecretString=json.dumps(role))
        ledger.install(Server(master, tick(0)), role["password"], role=role["username"])
        life.enter_context(shop.writer(master))
        # A cell of its own, since making clients of one boto3 session is not safe in two threads.
        heart = Cell.open(plan)
        beats = life.enter_context(Background(lambda: _beat(heart, stage.database, tick), BEAT))
        _until(tick, lambda: beats.done >= 2, "two beats of the ledger")
    return stage


def _create(stage: Stage) -> Address:
    """Create the production instance as anybody would with boto3, and return its master user's address."""
    rds = stage.lab.client("rds")
    name = stage.database.instance
    password = secrets.token_urlsafe(24)
    with step(stage.console, f"creating the database instance {name}"):
        rds.create_db_instance(
            DBInstanceIdentifier=name,
            DBName="shop",
            MasterUsername=MASTER,
            MasterUserPassword=password,
            **stage.lab.world().production_instance(),
        )
        _until(stage.tick, lambda: _usable(stage), f"instance {name}")
    instance = stage.cell.rds.instance(name)
    if instance is None or instance.host is None or instance.port is None:
        raise Broken(f"instance {name!r} has no endpoint", hint="look at daemon.log in the lab's directory")
    return Address(host=instance.host, port=instance.port, user=MASTER, password=password, dbname="shop")


def _usable(stage: Stage) -> bool:
    instance = stage.cell.rds.instance(stage.database.instance)
    return instance is not None and instance.status == "available"


def _beat(cell: Cell, database: DatabasePlan, tick: Tick) -> None:
    ledger.beat(cell.production(database, tick(0)), cell.store, database.name)


# ------------------------------------------------------------------------------------------------- the acts


def _play(stage: Stage) -> list[Act]:
    with step(stage.console, "taking a snapshot, with a seal of production on either side") as says:
        point = points.take(stage.cell, stage.database, ALL, stage.tick, says)
    return [_healthy(stage, point), _to_a_moment(stage), _sabotaged(stage, point)]


def _healthy(stage: Stage, point: RecoveryPoint) -> Act:
    title = "1 a snapshot, restored while orders come in"
    evidence = _told(stage, _drilled(stage, title, point.id))
    return Act(title, Verdict.PASSED, evidence.verdict is Verdict.PASSED, evidence)


def _to_a_moment(stage: Stage) -> Act:
    """Drill the last moment that can be restored to, and look at both of its sides."""
    window = stage.cell.rds.window(stage.database.instance)
    if window is None:
        raise Broken("production has no PITR window", hint="look at daemon.log in the lab's directory")
    target = window[1].replace(microsecond=0)
    title = f"2 a moment {(stage.tick(0).now - target).total_seconds():.0f} s ago, {target:%H:%M:%S} UTC"
    done = _drilled(stage, title, target.isoformat())
    evidence = _told(stage, done)
    before, after = _neighbours(ledger.witness(stage.cell.store, stage.database.name), target)
    restored = _restored_beats(stage.cell, done)
    there, missing = before.digest in restored, after.digest not in restored
    stage.console.print(
        f"  last beat before the target: no. {before.sequence}, {before.beat_at:%H:%M:%S.%f}:"
        f" {'is there, as it must be' if there else 'MISSING'}\n"
        f"  first beat after it:         no. {after.sequence}, {after.beat_at:%H:%M:%S.%f}:"
        f" {'is not there, as it must not be' if missing else 'THERE, though it lies after the target'}\n"
    )
    return Act(title, Verdict.PASSED, evidence.verdict is Verdict.PASSED and there and missing, evidence)


def _sabotaged(stage: Stage, point: RecoveryPoint) -> Act:
    title = "3 the same snapshot, damaged"
    with step(stage.console, "sabotage: overwriting one page of the snapshot with zeros") as says:
        damage = stage.lab.door.sabotage(point.id, "zeroed-page", database="shop", table=DAMAGED)
        says(damage)
    stage.console.print(f"  {damage}\n  every page checksum still holds; pgdrill is not told", markup=False)
    evidence = _told(stage, _drilled(stage, title, point.id))
    failed = {finding.check for finding in evidence.findings if finding.verdict is Verdict.FAILED}
    return Act(title, Verdict.FAILED, evidence.verdict is Verdict.FAILED and FOUND_BY in failed, evidence)


def _drilled(stage: Stage, title: str, wanted: str) -> Drill:
    stage.console.rule(f"[bold]{escape(title)}", align="left", style="dim")
    begun = drill.begin(
        stage.cell.plan,
        stage.database,
        wanted,
        now=stage.tick(0).now,
        nonce=secrets.token_hex(16),
        trigger=Trigger.COMMAND,
    )
    return stage.conduct(begun, stage.cell)


def _told(stage: Stage, done: Drill) -> Evidence:
    """Print a drill as `pgdrill drill run` does, and return its evidence."""
    evidence = archive.load(stage.cell.store, done.id, done.database)
    stage.console.print(terminal.drill(evidence, archive.load_teardown(stage.cell.store, evidence)))
    return evidence


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
            yield lambda text: status.update(escape(f"{title}: {text}"))
    else:
        console.print(f"... {title}", markup=False, soft_wrap=True)
        yield lambda _: None
    console.print(f"{time.monotonic() - began:6.1f} s  {title}", markup=False, soft_wrap=True)


def _until(tick: Tick, holds: Callable[[], bool], what: str) -> None:
    """Wait for the thing itself.

    Raises:
        Broken: it is not there after a minute.
    """
    deadline = time.monotonic() + 60
    while not holds():
        if time.monotonic() > deadline:
            raise Broken(
                f"{what}: not there after a minute", hint="look at daemon.log in the lab's directory"
            )
        tick(0.05)


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


def _report(lab: Lab, act: Act, reports: Path) -> Path:
    """Write the HTML report where the user is, since the lab's bucket goes with the lab."""
    with _environment(lab):
        page = archive.render(Cell.open(Plan.load(lab.plan_path)).store, act.evidence)
    reports.mkdir(parents=True, exist_ok=True)
    path = reports / f"{act.evidence.drill}.html"
    path.write_text(page, encoding="utf-8")
    return path


def _print_summary(console: Console, acts: list[Act], written: list[Path], seconds: float) -> None:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    table.add_column("drill")
    for name in ("expected", "got"):
        table.add_column(name, no_wrap=True)
    for name in ("RTO\nusable", "\nverified", "RPO\nlag", "\nat start", "\nworst"):
        table.add_column(name, justify="right", no_wrap=True)
    for act in acts:
        rto, rpo, got = act.evidence.rto, act.evidence.rpo, act.evidence.verdict
        figures = (rto.usable, rto.verified, rpo.lag_of_point, rpo.exposure_at_start, rpo.worst_case)
        table.add_row(
            escape(act.title),
            VERDICT[act.expected],
            f"[{terminal.STYLE[got]}]{SYMBOL[got]} {VERDICT[got]}[/]",
            *("-" if figure is None else duration(figure) for figure in figures),
        )
    console.rule("[bold]what was proved", align="left", style="dim")
    console.print(table)
    for path in written:
        console.print(f"report: {path}", markup=False, soft_wrap=True)
    wrong = [act.title for act in acts if not act.held]
    outcome_told = (
        f"not as it should be: {'; '.join(wrong)}"
        if wrong
        else "both healthy backups passed, and the damage was found and named"
    )
    console.print(f"{outcome_told}; {seconds:.0f} s in all", style="red" if wrong else "green", markup=False)


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
