"""What of a cell's dashboard tells what drills proved, and how fast. Pure."""

from collections.abc import Iterator

from pgdrill.dashboard.board import (
    WEEKS,
    WORST,
    Chart,
    Limit,
    Row,
    Series,
    Shape,
    Tone,
    Unit,
    Words,
)
from pgdrill.dashboard.cell import Cell, present
from pgdrill.evidence.wording import PHASE
from pgdrill.model import Stage
from pgdrill.plan import DatabasePlan

# What a recovery waits for; what is examined later is no part of the recovery time.
RECOVERY = (Stage.ACCEPTED, Stage.AVAILABLE, Stage.FIRST_LOGIN, Stage.FIRST_QUERY)
QUARTER, HALF = 6, 12
MAY_BE_READ_AT = "Evidence: `pgdrill evidence list`, `pgdrill evidence open latest`."


def drills(cell: Cell) -> Iterator[Row]:
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
                cell.each("ExaminedBytes"),
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
                    cell.of_all("failed", "DrilledPointsFailed", Tone.BAD, "Maximum"),
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
        cell.each("PitrProved"),
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
        cell.each(name),
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
