"""The dashboard of a cell, section by section, in the order in which a woken person asks.

Can we recover? From what? Was that proved, and how fast? What does it cost, does the system itself work, and what is
running now? Pure: from the plan and where it is deployed.
"""

from collections.abc import Iterator
from dataclasses import replace

from pgdrill import messages
from pgdrill.dashboard.board import (
    HOURLY,
    WEEKS,
    WORST,
    Alarms,
    Board,
    Chart,
    Limit,
    Link,
    Metric,
    Numbers,
    Row,
    Section,
    Series,
    Shape,
    Tone,
    Unit,
    Widget,
    Words,
)
from pgdrill.dashboard.cell import IN_A_WIDGET, Cell, in_widgets, present
from pgdrill.evidence import archive
from pgdrill.evidence.wording import PHASE
from pgdrill.model import Stage
from pgdrill.plan import DatabasePlan
from pgdrill.watching.alarms import Scope
from pgdrill.watching.storage import Kind

# What a recovery waits for; what is examined later is no part of the recovery time.
RECOVERY = (Stage.ACCEPTED, Stage.AVAILABLE, Stage.FIRST_LOGIN, Stage.FIRST_QUERY)
QUARTER, HALF, WHOLE = 6, 12, 24
MAY_BE_READ_AT = "Evidence: `pgdrill evidence list`, `pgdrill evidence open latest`."


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
                ("What there is to recover from", _backups(cell) if cell.primary else _copies(cell)),
                ("What drills proved", _drills(cell)),
                ("What storage costs", _storage(cell)),
                ("The system itself", _system(cell)),
                ("Running now", _running(cell)),
                ("All alarms", _all_alarms(cell)),
            )
        ),
        recoverable=cell.composites()[0],
    )


# ------------------------------------------------------------------------------------------------ recoverable


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


# ------------------------------------------------------------------------------------------------ backups, copies


def _backups(cell: Cell) -> Iterator[Row]:
    yield Row(
        present(
            (
                cell.alarmed(
                    "snapshot-late",
                    "Newest usable snapshot",
                    Unit.HOURS,
                    says="hours since its slot; grows to the next one",
                ),
                cell.alarmed(
                    "restorable-late",
                    "Newest moment of the PITR window",
                    Unit.MINUTES,
                    says="minutes of data that would be lost now",
                ),
                cell.alarmed(
                    "ledger-silent",
                    "Last beat of the ledger",
                    Unit.MINUTES,
                    says="minutes; one is beaten each minute",
                ),
            )
        )
    )
    yield Row(
        (
            Chart(
                "Points taken and failed",
                (
                    cell.of_all("taken", "PointsTaken", Tone.GOOD),
                    cell.of_all("failed", "PointsFailed", Tone.BAD),
                ),
                Unit.COUNT,
                shape=Shape.BARS,
                span=HOURLY,
                says=f"an hour; one of each database every {_hours(cell)}",
            ),
            Chart(
                "From slot to usable, sealed point",
                _each(cell, cell.of_each("PointSeconds")),
                Unit.MINUTES,
                60.0,
                (Limit("usable_after", cell.plan.objectives.usable_after.total_seconds() / 60),),
                Shape.HELD,
                HOURLY,
            ),
            *present((_quota(cell),)),
        )
    )
    yield Row(
        present(
            (
                cell.alarmed(
                    "backups-shortened",
                    "Automated backups kept",
                    says="days of point-in-time recovery",
                    width=QUARTER,
                ),
                cell.alarmed(
                    "ledger-forked",
                    "Numbers of the ledger beaten again",
                    says="times in a day",
                    width=QUARTER,
                ),
                cell.alarmed(
                    "export-late",
                    "Newest exported point",
                    Unit.HOURS,
                    says="hours since its slot",
                    width=QUARTER,
                ),
                cell.alarmed("export-incomplete", "Tables that the newest export lacks", width=QUARTER),
            )
        )
    )


def _copies(cell: Cell) -> Iterator[Row]:
    yield Row(
        present(
            (
                cell.alarmed(
                    "copy-late",
                    "Newest usable copy",
                    Unit.HOURS,
                    says=f"hours since its slot in {cell.other}",
                ),
                cell.alarmed(
                    "copy-waiting",
                    "Longest wait for a copy",
                    Unit.HOURS,
                    says="hours since the point was taken",
                ),
                cell.alarmed("copies-queue", "Points that wait for a copy"),
            )
        )
    )
    lag = cell.metric("CopyLag", {"Region": cell.region})
    yield Row(
        present(
            (
                cell.alarmed(
                    "other-cell-silent",
                    f"Last inventory heard of {cell.other}",
                    Unit.MINUTES,
                    says="minutes; one comes every five",
                ),
                Chart(
                    "From point to usable copy",
                    (Series("copies", (lag,)),),
                    Unit.HOURS,
                    3600.0,
                    (Limit("late_after", cell.plan.copies.late_after.total_seconds() / 3600),),
                    Shape.HELD,
                    HOURLY,
                ),
                _quota(cell),
            )
        )
    )


def _quota(cell: Cell) -> Chart | None:
    return cell.alarmed(
        "quota-near",
        "Room under the quota of manual snapshots",
        says="snapshots; below the line less than a day's points",
    )


def _hours(cell: Cell) -> str:
    return f"{cell.plan.points.every.total_seconds() / 3600:g} h"


# ------------------------------------------------------------------------------------------------ drills


def _drills(cell: Cell) -> Iterator[Row]:
    yield Row(
        present(
            (
                Chart(
                    "Drills by verdict",
                    (
                        cell.of_all("passed", "DrillsPassed", Tone.GOOD),
                        cell.of_all("failed", "DrillsFailed", Tone.BAD),
                        cell.of_all("inconclusive", "DrillsInconclusive", Tone.UNSURE),
                    ),
                    Unit.COUNT,
                    shape=Shape.BARS,
                    span=WEEKS,
                    says="a day",
                ),
                cell.alarmed(
                    "drill-overdue", "Since a drill last passed", Unit.DAYS, span=WEEKS, says="days"
                ),
                _coverage(cell),
            )
        )
    )
    if len(cell.databases) <= WORST:
        for database in cell.databases:
            yield Row((_stages(cell, database), _lost(cell, database)))
    else:
        yield Row(
            (
                _measured(cell, "RtoUsable", "Recovery time", _rto(cell)),
                _measured(cell, "RpoExposure", "Lost, had production died when the drill began", _rpo(cell)),
            )
        )
    yield Row(
        (
            Chart(
                "Read by drills",
                _each(cell, cell.of_each("ExaminedBytes")),
                Unit.GIGABYTES,
                1e9,
                shape=Shape.HELD,
                span=WEEKS,
                says="heap, TOAST and indexes",
                width=QUARTER,
            ),
            Chart(
                "Points that failed, drills without a conclusion",
                (
                    cell.of_all("failed", "PointsFailed", Tone.BAD, "Maximum"),
                    cell.of_all("inconclusive", "LastDrillInconclusive", Tone.UNSURE, "Maximum"),
                ),
                Unit.COUNT,
                width=QUARTER,
            ),
            *present((cell.alarmed("drill-skipped", "Drills skipped in turn", span=WEEKS, width=QUARTER),)),
            Words(
                "What was proved, and how",
                (
                    MAY_BE_READ_AT,
                    "Is it whole and signed? `pgdrill evidence verify`.",
                    "Which ages of the PITR window are proved: `pgdrill drill coverage`.",
                    "Against MAS TRM, DORA, SOC 2, ISO 27001: `pgdrill evidence matrix`.",
                ),
                width=QUARTER,
            ),
        )
    )


def _coverage(cell: Cell) -> Chart | None:
    if not cell.primary:
        return None
    return Chart(
        "Ages of the PITR window that are proved",
        _each(cell, cell.of_each("PitrProved")),
        Unit.PERCENT,
        shape=Shape.HELD,
        span=WEEKS,
        says="of its cells of six hours; moments are drilled by turns",
    )


def _stages(cell: Cell, database: DatabasePlan) -> Chart:
    """Longest first, so that it lies at the bottom."""
    about = {"Database": database.name}
    order = sorted(RECOVERY, key=lambda stage: stage is not Stage.AVAILABLE)
    return Chart(
        f"{database.name}: recovery time by stage",
        tuple(
            Series(PHASE[stage], (cell.metric("StageSeconds", about | {"Stage": stage.value}),))
            for stage in order
        ),
        Unit.MINUTES,
        60.0,
        (Limit("objective", _rto(cell).value * 60, alarm="recovery-too-slow"),),
        Shape.BARS,
        WEEKS,
        says="each drill, from the request to the first query",
        width=HALF,
    )


def _lost(cell: Cell, database: DatabasePlan) -> Chart:
    about = {"Database": database.name}
    three = {
        "worst case, just before the next point": "RpoWorstCase",
        "had production died when the drill began": "RpoExposure",
        "lag of the point": "RpoLagOfPoint",
    }
    return Chart(
        f"{database.name}: data that would have been lost",
        tuple(Series(label, (cell.metric(name, about),)) for label, name in three.items()),
        Unit.HOURS,
        3600.0,
        (_rpo(cell),),
        Shape.HELD,
        WEEKS,
        says="RPO's three numbers, as each drill measured them",
        width=HALF,
    )


def _measured(cell: Cell, name: str, title: str, limit: Limit) -> Chart:
    return Chart(
        title,
        _each(cell, cell.of_each(name)),
        Unit.HOURS,
        3600.0,
        (limit,),
        Shape.HELD,
        WEEKS,
        width=HALF,
    )


def _rto(cell: Cell) -> Limit:
    return Limit("objective", cell.plan.objectives.rto.total_seconds() / 3600, alarm="recovery-too-slow")


def _rpo(cell: Cell) -> Limit:
    return Limit("objective", cell.plan.objectives.rpo.total_seconds() / 3600)


def _each(cell: Cell, metrics: tuple[Metric, ...]) -> tuple[Series, ...]:
    return tuple(
        Series(database.name, (metric,)) for database, metric in zip(cell.databases, metrics, strict=True)
    )


# ------------------------------------------------------------------------------------------------ storage


def _storage(cell: Cell) -> Iterator[Row]:
    def by_kind(name: str) -> tuple[Series, ...]:
        kinds = [kind for kind in Kind if kind.lies_in(primary=cell.primary)]
        return tuple(Series(kind.value, (cell.metric(name, {"Kind": kind.value}),)) for kind in kinds)

    ceiling = cell.limit("storage-dear")
    yield Row(
        (
            Chart(
                "Stored, by kind: estimate",
                by_kind("StorageGigabytes"),
                Unit.GIGABYTES,
                shape=Shape.AREA,
                span=WEEKS,
                says="what changed between points, as the plan assumes",
            ),
            Chart(
                "Cost a month, by kind: estimate",
                by_kind("StorageDollars"),
                Unit.DOLLARS,
                limits=(ceiling,) if ceiling else (),
                shape=Shape.AREA,
                span=WEEKS,
                says="list prices, before tax",
            ),
            Chart(
                "Cost a month: upper bound",
                (
                    Series("upper bound", (cell.metric("StorageDollarsAtMost"),)),
                    Series("estimate", (cell.metric("StorageDollars"),)),
                ),
                Unit.DOLLARS,
                shape=Shape.HELD,
                span=WEEKS,
                says="of snapshots and automated backups, each as if full; logs, replicated backups and exports not counted",
            ),
        )
    )
    yield Row(
        (
            Words(
                "Why an estimate",
                (
                    (
                        "AWS publishes no metric of RDS snapshots' size and bills what changed between them."
                        " The estimate assumes `cost.changed_daily` of the plan; the upper bound takes every point as full."
                        " Line by line: `pgdrill plan explain`."
                        " The bill: Cost Explorer, usage type `RDS:ChargedBackupUsage`, by the tag `EnvironmentSuffix`."
                    ),
                ),
                width=WHOLE,
            ),
        ),
        height=2,
    )


# ------------------------------------------------------------------------------------------------ the system


def _system(cell: Cell) -> Iterator[Row]:
    yield Row(
        present(
            (
                cell.alarmed("function-errors", "Errors of functions", span=HOURLY, says="an hour"),
                cell.alarmed("machine-failed", "State machines that failed", span=HOURLY, says="an hour"),
                cell.alarmed(
                    "function-slow",
                    "Slowest run of each function",
                    Unit.SECONDS,
                    per=1000.0,
                    says="seconds; most are cut off at 60",
                    span=HOURLY,
                ),
            )
        )
    )
    yield Row(
        present(
            (
                cell.alarmed(
                    "schedule-failing", "Schedules that started nothing", span=HOURLY, says="an hour"
                ),
                cell.alarmed("undelivered", "Set aside, told or started nobody", says="messages"),
            )
        )
    )
    wrong = {
        "keys unusable": "KeysUnusable",
        "secrets unusable": "SecretsUnusable",
        "schedules disabled": "SchedulesDisabled",
        "unanswered questions": "Unseen",
    }
    swept = (
        cell.of_all("deleted by the reaper", "InstancesReaped", Tone.UNSURE),
        cell.of_all("not deleted", "ReapsFailed", Tone.BAD),
    )
    yield Row(
        (
            Chart(
                "What the watch found wrong",
                tuple(Series(label, (cell.metric(name),)) for label, name in wrong.items()),
                Unit.COUNT,
                width=QUARTER,
            ),
            Chart(
                "Temporary instances that a drill left",
                swept,
                Unit.COUNT,
                shape=Shape.BARS,
                span=HOURLY,
                width=QUARTER,
            ),
            *present(
                (
                    cell.alarmed(
                        "canary-missing",
                        "Since the canary arrived",
                        Unit.HOURS,
                        says="hours; one is sent daily",
                        width=QUARTER,
                    ),
                )
            ),
            Chart(
                "Told to somebody whom it did not reach",
                tuple(
                    replace(cell.watched(f"{kind}-unheard"), label=f"the topic {kind}", tone=Tone.BAD)
                    for kind in messages.Kind
                ),
                Unit.COUNT,
                shape=Shape.BARS,
                span=HOURLY,
                says="deliveries that failed",
                width=QUARTER,
            ),
        )
    )
    yield Row(
        present(
            (
                cell.alarmed(
                    "watch-silent", "Looks of the watch", says="1 every five minutes", width=QUARTER
                ),
                cell.alarmed(
                    "function-throttled", "Throttled functions", span=HOURLY, says="an hour", width=QUARTER
                ),
                cell.alarmed(
                    "retention-shortened", "Points deleted before their time", span=HOURLY, width=QUARTER
                ),
                cell.alarmed(
                    "other-cell-silent",
                    f"Last inventory heard of {cell.other}",
                    Unit.MINUTES,
                    says="minutes",
                    width=QUARTER,
                )
                if cell.primary
                else None,
            )
        )
    )


# ------------------------------------------------------------------------------------------------ running


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
