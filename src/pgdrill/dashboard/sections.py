"""The dashboard of a cell, section by section, in the order in which a woken person asks.

Can we recover? From what? Was that proved, and how fast? What does it cost, does the system itself work, and what is
running now? Pure: from the plan and where it is deployed.
"""

from collections.abc import Iterator

from pgdrill.dashboard.backups import backups, copies
from pgdrill.dashboard.board import (
    Alarms,
    Board,
    Link,
    Numbers,
    Row,
    Section,
    Unit,
    Widget,
    Words,
)
from pgdrill.dashboard.cell import IN_A_WIDGET, Cell, in_widgets, present
from pgdrill.dashboard.drilled import drills
from pgdrill.dashboard.stored import storage
from pgdrill.dashboard.system import system
from pgdrill.evidence import archive
from pgdrill.watching.alarm_model import Scope

WHOLE = 24


def board(cell: Cell) -> Board:
    """Return the dashboard of one cell."""
    which = "primary" if cell.primary else "DR"
    return Board(
        name=cell.thing(cell.region),
        title=f"pgdrill {cell.plan.stack.suffix}: {which} cell in {cell.region}",
        region=cell.region,
        sections=tuple(
            Section(title, tuple(row for row in rows if row.widgets))
            for title, rows in (
                ("Can we recover?", _recoverable(cell)),
                ("What there is to recover from", backups(cell) if cell.primary else copies(cell)),
                ("What drills proved", drills(cell)),
                ("What storage costs", storage(cell)),
                ("The system itself", system(cell)),
                ("Running now", _running(cell)),
                ("All alarms", _all_alarms(cell)),
            )
        ),
        recoverable=cell.composites()[0],
    )


def _recoverable(cell: Cell) -> Iterator[Row]:
    composites = cell.composites()
    every = cell.names()
    of_cell = cell.names(lambda alarm: alarm.scope is Scope.CELL)
    standing = every if len(every) <= IN_A_WIDGET else of_cell
    yield Row(
        (
            Alarms("Recoverable? In ALARM: no", composites, width=6),
            Alarms("In alarm now", standing, standing=True, width=10),
            _now(cell),
        ),
        height=5,
    )
    numbers = (
        ("snapshot-late", "newest snapshot", Unit.HOURS),
        ("restorable-late", "newest moment", Unit.MINUTES),
        ("copy-late", "newest copy", Unit.HOURS),
        ("ledger-silent", "last beat", Unit.MINUTES),
        ("drill-overdue", "last pass", Unit.DAYS),
        ("recovery-too-slow", "recovery took", Unit.HOURS),
        ("quota-near", "free snapshots", Unit.COUNT),
        ("other-cell-silent", "heard of other cell", Unit.MINUTES),
    )
    worst = ": the worst of all databases" if len(cell.databases) > 1 else ""
    yield Row(
        (Numbers(f"How old, how fast{worst}", present(cell.number(*number) for number in numbers)),), height=3
    )


def _now(cell: Cell) -> Words:
    where = "" if cell.primary else " --cell dr"
    region, console = cell.region, f"https://{cell.region}.console.aws.amazon.com"
    machine = cell.arn("states", f"stateMachine:{cell.thing('drill')}")
    return Words(
        "What to do",
        (
            (
                "An alarm's description says what happened, since when, what it means and what to do;"
                " `docs/alerting.md` has a section for each."
            ),
            "What could be recovered, to when, how fast: `pgdrill status`.",
            f"To recover: `docs/recovery.md`, `pgdrill recover{where}`.",
        ),
        (
            Link("alarms", f"{console}/cloudwatch/home?region={region}#alarmsV2:?~(alarmStateFilter~'ALARM)"),
            Link(
                "evidence",
                f"{console}/s3/buckets/{cell.bucket}?region={region}&prefix={archive.ROOT}/",
            ),
            Link(
                "drills",
                f"{console}/states/home?region={region}#/statemachines/view/{machine}",
            ),
            Link("snapshots", f"{console}/rds/home?region={region}#snapshots-list:"),
        ),
    )


def _running(cell: Cell) -> Iterator[Row]:
    widgets: tuple[Widget | None, ...] = (
        cell.alarmed(
            "recovery-running-long",
            "A restore that has not answered yet",
            Unit.HOURS,
            says="hours since RDS was asked; 0 where none runs",
        ),
        cell.alarmed(
            "drill-stuck", "A drill that is not over", Unit.HOURS, says="hours; its lease ends at the line"
        ),
        Words(
            "While it runs",
            (
                "The execution of the machine `drill` shows its step and each try.",
                "Leave it: the time is evidence, and whatever happens its instance is deleted.",
            ),
        ),
    )
    yield Row(present(widgets))


def _all_alarms(cell: Cell) -> Iterator[Row]:
    """Only where the first section has not room for them."""
    names = cell.names()
    if len(names) > IN_A_WIDGET:
        for widget in in_widgets(Alarms("In alarm", names, standing=True, width=WHOLE)):
            yield Row((widget,), height=2)
