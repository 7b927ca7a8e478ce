"""A region in memory that snapshots are copied to, and the cell there."""

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import SimpleNamespace
from typing import cast

from pgdrill.aws.export_tasks import ExportTasks
from pgdrill.aws.rds import Rds
from pgdrill.aws.snapshots import Asked, Quota, Snapshot, Snapshots
from pgdrill.cell import Cell
from pgdrill.errors import DrillError
from pgdrill.points.inventory import Inventory
from tests.unit import cells
from tests.unit.memory import Memory
from tests.unit.plans import plan
from tests.unit.snapshots import AWAY, HOME, copied


@dataclass
class Region:
    """`offered` is what the other cell told, `refusing` what a call ends in, by its name."""

    now: datetime
    offered: dict[str, Snapshot]
    there: dict[str, Snapshot] = field(default_factory=dict)
    refusing: dict[str, DrillError] = field(default_factory=dict)
    limit: int = 100
    calls: Counter[str] = field(default_factory=Counter)
    region: str = AWAY

    def _called(self, name: str) -> None:
        self.calls[name] += 1
        if name in self.refusing:
            raise self.refusing[name]

    def ours(self, _: str) -> list[Snapshot]:
        self._called("ours")
        return list(self.there.values())

    def quota(self) -> Quota:
        self._called("quota")
        return Quota(used=len(self.there), limit=self.limit)

    def copy(self, source: str, identifier: str, *_: object) -> Asked:
        self._called("copy")
        if identifier in self.there:
            return Asked.THERE
        assert source == self.offered[identifier].arn
        self.there[identifier] = copied(self.offered[identifier], self.now, status="creating", progress=0)
        return Asked.BEGUN

    def delete(self, snapshot: Snapshot) -> bool:
        self._called("delete")
        return self.there.pop(snapshot.id, None) is not None

    def become(self, identifier: str, status: str) -> None:
        self.there[identifier] = self.there[identifier].model_copy(update={"status": status})

    def cell(self, store: Memory) -> Cell:
        cell, _ = cells.cell(plan(), store, dr=True)
        return replace(
            cell,
            snapshots=cast("Snapshots", self),
            rds=cast("Rds", SimpleNamespace(named=lambda _: [], region=AWAY)),
            exports=cast("ExportTasks", SimpleNamespace(under_way=list)),
        )

    def told(self, store: Memory, made_at: datetime) -> None:
        """Let the other cell's inventory have come along."""
        heard = Inventory(
            region=HOME,
            suffix="lab",
            made_at=made_at,
            quota=Quota(used=len(self.offered), limit=100),
            snapshots=tuple(self.offered.values()),
        )
        store.put(f"inventory/{HOME}.json", heard.model_dump_json().encode())
