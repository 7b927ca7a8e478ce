"""What of a cell's dashboard tells what is stored, and what that costs. Pure."""

from collections.abc import Iterator

from pgdrill.dashboard.board import (
    WEEKS,
    Chart,
    Row,
    Series,
    Shape,
    Unit,
    Words,
)
from pgdrill.dashboard.cell import Cell
from pgdrill.watching.storage import Kind

WHOLE = 24


def storage(cell: Cell) -> Iterator[Row]:
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
