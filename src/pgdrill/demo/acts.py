"""The acts of the demo: a point taken and copied, and three drills of it. They play on a stage that stands already.

Fires the deployed schedules and follows their machines; damages a snapshot of the lab.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from rich.console import Console

from pgdrill import ledger
from pgdrill.cell import Cell
from pgdrill.demo.steps import step
from pgdrill.drills import outcome
from pgdrill.drills.state import Drill
from pgdrill.errors import Broken
from pgdrill.evidence import archive, terminal
from pgdrill.evidence.record import Evidence
from pgdrill.lab.deployed import Deployed, Output
from pgdrill.lab.lab import Lab
from pgdrill.ledger import LedgerFact
from pgdrill.model import Beat, Clock, Verdict
from pgdrill.plan import DatabasePlan
from pgdrill.slots import point_id, slot_of

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


def play(stage: Stage) -> list[Act]:
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
