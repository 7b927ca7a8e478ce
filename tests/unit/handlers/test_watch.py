"""The function `watch` asks as much for many databases as for one, and publishes all metrics in parts that fit."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import boto3
import pytest

from pgdrill.aws.export_tasks import ExportTasks
from pgdrill.aws.keys import Keys
from pgdrill.aws.rds import Rds
from pgdrill.aws.snapshots import Mark, Snapshots
from pgdrill.cell import Cell
from pgdrill.errors import Broken
from pgdrill.handlers import boundary, watch
from pgdrill.handlers.boundary import function
from pgdrill.handlers.watch import AT_ONCE, WatchRequest
from pgdrill.model import Clock
from pgdrill.plan import Plan
from pgdrill.watching.look import Asked
from tests.unit import cells
from tests.unit.aws.test_rds import described
from tests.unit.clients import REGION
from tests.unit.memory import Memory
from tests.unit.plans import SMALL

NOW = datetime(2026, 11, 22, 6, tzinfo=UTC)
CLOCK = Clock(now=NOW, remaining=lambda: 60.0, budget=60.0)
KEPT = 120
# What RDS hands out at a time.
PAGE = 100
ROUND = timedelta(minutes=5)
DUE = WatchRequest(due_at=NOW)


def plan(databases: int) -> Plan:
    """Return a plan of databases with names as long as they may be."""
    names = [f"d{number:024d}" for number in range(databases)]
    listed = [{"name": name, "instance": f"{name}-production", "secret": name} for name in names]
    return Plan.model_validate(SMALL | {"database": listed})


class Counting(Memory):
    """A bucket that counts what it is asked, by the kind of record."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: Counter[str] = Counter()

    def get(self, key: str) -> bytes | None:
        self.asked["get " + key.partition("/")[0]] += 1
        return super().get(key)

    def keys(self, prefix: str, after: str = "") -> Iterator[str]:
        self.asked["list " + prefix.partition("/")[0]] += 1
        return super().keys(prefix, after)


class Listing:
    """RDS as a client sees it: lists in pages, and counts how often it is asked."""

    def __init__(self, which: Plan, points: int) -> None:
        self.asked: Counter[str] = Counter()
        self.client: Any = boto3.session.Session("test", "test", region_name=REGION).client("rds")
        self.client.meta.events.register("before-call.rds", self._answer)
        instances = [described({}, one.instance)["DBInstances"][0] for one in which.databases]
        snapshots = [_snapshot(one.name, number) for one in which.databases for number in range(points)]
        quota = [{"AccountQuotaName": "ManualSnapshots", "Used": len(snapshots), "Max": 30_000}]
        self._all: dict[str, tuple[str, list[Any]]] = {
            "DescribeDBInstances": ("DBInstances", instances),
            "DescribeDBSnapshots": ("DBSnapshots", snapshots),
            "DescribeExportTasks": ("ExportTasks", []),
            "DescribeAccountAttributes": ("AccountQuotas", quota),
        }

    def _answer(self, model: Any, params: Any, **_: Any) -> Any:
        self.asked[model.name] += 1
        name, things = self._all[model.name]
        first = int(params["body"].get("Marker", 0))
        more = {"Marker": str(first + PAGE)} if first + PAGE < len(things) else {}
        return SimpleNamespace(status_code=200), {name: things[first : first + PAGE]} | more


def _snapshot(database: str, number: int) -> dict[str, Any]:
    slot = NOW - (number + 1) * timedelta(hours=6) + timedelta(hours=1)
    name = f"{slot:%Y-%m-%dt%Hz}"
    mark = Mark(suffix="lab", database=database, resource="db-1", slot=f"{slot:%Y-%m-%dT%HZ}")
    identifier = f"pgdrill-lab-{database}-{name}"
    return {
        "DBSnapshotIdentifier": identifier,
        "DBSnapshotArn": f"arn:aws:rds:{REGION}:000000000000:snapshot:{identifier}",
        "DBInstanceIdentifier": f"{database}-production",
        "Status": "available",
        "SnapshotType": "manual",
        "SnapshotDatabaseTime": slot,
        "SnapshotCreateTime": slot,
        "EngineVersion": "15.18",
        "AllocatedStorage": 20,
        "Encrypted": True,
        "TagList": [{"Key": key, "Value": value} for key, value in mark.tags().items()],
    }


class Enabled:
    def state(self, _: str) -> str:
        return "Enabled"


def watched(databases: int, points: int = KEPT) -> tuple[Cell, Listing, Counting]:
    which, store = plan(databases), Counting()
    rds = Listing(which, points)
    cell = replace(
        cells.cell(which, store)[0],
        rds=Rds(rds.client),
        snapshots=Snapshots(rds.client),
        exports=ExportTasks(rds.client),
        keys=cast("Keys", Enabled()),
    )
    return cell, rds, store


@pytest.mark.parametrize("databases", [1, 20, 200])
def test_a_look_lists_once_what_there_is_of_each_kind(databases: int) -> None:
    cell, rds, _ = watched(databases)
    watch.watch(DUE, cell, CLOCK)
    assert rds.asked == {
        "DescribeDBInstances": -(-databases // PAGE),
        "DescribeDBSnapshots": -(-databases * KEPT // PAGE),
        "DescribeExportTasks": 1,
        "DescribeAccountAttributes": 1,
    }
    # AWS documents no rate for these; one a second, spread over the round, leaves room to everybody else.
    assert rds.asked.total() < ROUND.total_seconds()


def test_what_is_asked_of_a_database_does_not_grow_with_its_points() -> None:
    few, many = (watched(1, points) for points in (1, KEPT))
    for cell, *_ in (few, many):
        watch.watch(DUE, cell, CLOCK)
    assert few[2].asked == many[2].asked
    assert max(few[2].asked.values()) <= 2


def test_what_is_asked_of_the_store_grows_with_databases_alone() -> None:
    asked = {}
    for databases in (1, 2, 20):
        cell, _, store = watched(databases, 1)
        watch.watch(DUE, cell, CLOCK)
        asked[databases] = store.asked
    each = asked[2] - asked[1]
    assert asked[20] == Counter({what: count + 18 * each[what] for what, count in asked[2].items()})
    assert each.total() <= 8


# Answers ----------------------------------------------------------------------------------------------------


class Context:
    def get_remaining_time_in_millis(self) -> int:
        return 60_000


def handled(cell: Cell, event: dict[str, Any]) -> dict[str, Any]:
    """Call the function as Lambda does."""
    return function(WatchRequest, watch.watch, lambda: cell)(event, Context())


@pytest.mark.parametrize("databases", [1, 200])
def test_every_metric_is_published_once_in_answers_that_fit(databases: int) -> None:
    cell, *_ = watched(databases, 1)
    answers = [handled(cell, {"due_at": NOW.isoformat()})]
    answers += [handled(cell, {"part": key}) for key in answers[0]["parts"]]
    for answer in answers:
        assert len(json.dumps(answer)) <= boundary.MOST
        assert answer["reply"]["messages"] == []  # nor that anything was cut
        assert len(answer["reply"]["metrics"]) <= AT_ONCE
    metrics = [metric for answer in answers for metric in answer["reply"]["metrics"]]
    told = Counter((one["name"], *sorted(one["dimensions"].items())) for one in metrics)
    assert set(told.values()) == {1}
    of_databases = Counter(one["dimensions"].get("Database") for one in metrics)
    del of_databases[None]
    assert set(of_databases) == {one.name for one in cell.plan.databases}
    assert len(set(of_databases.values())) == 1
    assert ("Watched",) in told
    assert (len(answers) == 1) == (databases == 1)


def test_a_look_tells_the_other_cell_as_well() -> None:
    cell, _, store = watched(1)
    answer = watch.watch(DUE, cell, CLOCK)
    assert answer.reply is not None
    assert [event.kind for event in answer.reply.events] == ["InventoryTold"]
    assert f"inventory/{REGION}.json" in store.objects


def test_a_part_that_is_not_there_is_an_error() -> None:
    cell, *_ = watched(1, 1)
    with pytest.raises(Broken) as refused:
        watch.watch(WatchRequest(part="watch/none.json"), cell, CLOCK)
    assert refused.value.message == "there are no metrics at 'watch/none.json'"


@pytest.mark.parametrize("request_", [{}, {"due_at": "2026-11-22T06:00:00Z", "part": "p"}])
def test_a_request_is_a_look_or_a_part(request_: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="give due_at, or part"):
        WatchRequest.model_validate(request_)


def test_what_metrics_only_count_is_named_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    cell, *_ = watched(1, 1)
    asked = Asked(secrets=("pgdrill/shop",), schedules=("take",), unseen=("the canary",))
    watch.watch(WatchRequest(due_at=NOW, asked=asked), cell, CLOCK)
    assert caplog.messages == [
        "unseen: the canary",
        "secret not usable: pgdrill/shop",
        "schedule disabled: take",
    ]
