"""What of a cell's dashboard tells what there is to recover from: points and moments, or copies. Pure."""

from collections.abc import Iterator

from pgdrill.dashboard.board import (
    HOURLY,
    Chart,
    Limit,
    Row,
    Series,
    Shape,
    Tone,
    Unit,
)
from pgdrill.dashboard.cell import Cell, present

QUARTER = 6


def backups(cell: Cell) -> Iterator[Row]:
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
                cell.each("PointSeconds"),
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


def copies(cell: Cell) -> Iterator[Row]:
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
