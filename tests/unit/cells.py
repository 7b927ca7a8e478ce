"""A cell whose clients answer from scripts and whose buckets are in memory."""

from dataclasses import dataclass, field
from typing import Any, cast

import boto3

from pgdrill.aws.backups import Backups
from pgdrill.aws.export_tasks import ExportTasks
from pgdrill.aws.keys import Keys
from pgdrill.aws.rds import Rds
from pgdrill.aws.snapshots import Snapshots
from pgdrill.aws.store import Store
from pgdrill.cell import Cell
from pgdrill.plan import Plan
from tests.unit.clients import scripted
from tests.unit.memory import Memory


@dataclass(frozen=True)
class _Scripted(Cell):
    archived: Memory = field(default_factory=Memory)

    def archive(self) -> Store:
        self.archived.bucket = str(self.place.archive_bucket)
        return self.archived


def cell(plan: Plan, store: Store | None = None, *, dr: bool = False) -> tuple[Cell, Any]:
    """Return a cell and the script that its RDS answers from."""
    rds, script = scripted("rds")
    place = plan.dr if dr else plan.primary
    made = _Scripted(
        plan=plan,
        place=place,
        rds=Rds(rds),
        snapshots=Snapshots(rds),
        backups=Backups(rds),
        exports=ExportTasks(rds),
        store=store or Memory(),
        keys=cast("Keys", None),
        session=cast("boto3.session.Session", None),
    )
    return made, script
