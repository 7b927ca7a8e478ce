"""What of a cell's dashboard tells whether the system itself works. Pure."""

from collections.abc import Iterator
from dataclasses import replace

from pgdrill import messages
from pgdrill.dashboard.board import (
    HOURLY,
    Chart,
    Row,
    Series,
    Shape,
    Tone,
    Unit,
)
from pgdrill.dashboard.cell import Cell, present

QUARTER = 6


def system(cell: Cell) -> Iterator[Row]:
    yield from _machinery(cell)
    yield _found(cell)
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


def _machinery(cell: Cell) -> Iterator[Row]:
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


def _found(cell: Cell) -> Row:
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
    return Row(
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
