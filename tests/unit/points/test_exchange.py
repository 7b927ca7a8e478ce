"""What another version of pgdrill wrote does not keep a cell from telling what it has."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import cast

import pytest

from pgdrill import ledger
from pgdrill.aws.snapshots import Quota
from pgdrill.cell import Cell
from pgdrill.errors import NotRunnable
from pgdrill.model import Beat
from pgdrill.plan import Plan
from pgdrill.points import exchange
from pgdrill.points.exchange import Told
from pgdrill.points.inventory import Inventory
from tests.unit import cells
from tests.unit.aws.test_rds import described
from tests.unit.memory import Memory
from tests.unit.plans import SMALL, plan
from tests.unit.points.regions import Region
from tests.unit.snapshots import copied, snapshot

NOW = datetime(2026, 11, 22, 6, tzinfo=UTC)
KEY = "drills/shop/20261122t050000000z-shop/drill.json"


@pytest.mark.parametrize(
    ("step", "point", "restored"),
    [
        ("examine", {"id": "p1", "kind": "snapshot"}, {"p1"}),
        ("done", {"id": "p1"}, set()),
        ("choose", None, set()),
    ],
)
def test_the_points_that_drills_of_any_version_restore_are_told(
    step: str, point: dict[str, str] | None, restored: set[str]
) -> None:
    store = Memory()
    store.put(KEY, json.dumps({"next": step, "point": point, "a_key_of": "another version"}).encode())
    cell = cast("Cell", SimpleNamespace(store=store, plan=plan()))
    assert exchange._restored(cell, "shop", NOW) == restored


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"next": 7}'])
def test_a_drill_that_cannot_be_read_may_restore_any_point_of_its_database_until_it_must_be_dead(
    body: bytes,
) -> None:
    """Everything else is gathered and told all the same."""
    region = Region(now=NOW, offered={})
    points = [copied(snapshot(NOW - timedelta(hours=6), database=name), NOW) for name in ("shop", "bank")]
    region.there = {one.id: one for one in points}
    cell = region.cell(store := Memory())
    database = SMALL["database"][0]
    both = [database, database | {"name": "bank", "instance": "bank-production"}]
    cell = replace(cell, plan=Plan.model_validate(SMALL | {"database": both}))
    store.put(KEY, body)
    store.put(KEY.replace("shop", "bank"), json.dumps({"next": "restore", "point": {"id": "p1"}}).encode())
    assert exchange.gather(cell, NOW).busy == {points[0].id, "p1"}
    assert exchange.gather(cell, NOW + timedelta(hours=8)).busy == frozenset()
    own, reply = exchange.announce(cell, NOW)
    assert [event.kind for event in reply.events] == ["InventoryTold"]
    assert store.objects[f"inventory/{AWAY}.json"] == own.model_dump_json().encode()


# Hearing ----------------------------------------------------------------------------------------------------

PLAN = plan()
HOME, AWAY = PLAN.primary.region, PLAN.dr.region


def known(store: Memory, made_at: datetime, region: str = HOME) -> None:
    """Let an inventory have come with S3."""
    own = Inventory(region=region, suffix="lab", made_at=made_at, quota=Quota(used=0, limit=100))
    store.put(f"inventory/{region}.json", own.model_dump_json().encode())


def told(made_at: datetime, **changes: str) -> Told:
    event = {"region": HOME, "suffix": "lab", "made_at": made_at.isoformat(), "sha256": "0" * 64}
    return Told.model_validate(event | {"a_key_of": "another version"} | changes)


@pytest.mark.parametrize("behind", [timedelta(minutes=-5), timedelta(0), timedelta(minutes=15)])
def test_an_inventory_that_came_along_is_told_by_its_age(behind: timedelta) -> None:
    """A late or doubled event is older than what is known."""
    cell, _ = cells.cell(PLAN, store := Memory(), dr=True)
    known(store, NOW - timedelta(minutes=20))
    reply = exchange.hear(cell, told(NOW - timedelta(minutes=20) + behind), NOW)
    assert [(metric.name, metric.value) for metric in reply.metrics] == [
        ("OtherCellAge", 1200.0),
        ("ReplicationLag", max(0.0, behind.total_seconds())),
    ]
    assert {metric.dimensions["Region"] for metric in reply.metrics} == {HOME}
    assert reply.messages == ()


@pytest.mark.parametrize(
    ("since", "message"),
    [
        (None, "yet"),
        (NOW - timedelta(minutes=16), "since 2026-11-22 05:44 UTC"),
    ],
)
def test_an_inventory_that_did_not_come_with_s3_is_told(since: datetime | None, message: str) -> None:
    cell, _ = cells.cell(PLAN, store := Memory(), dr=True)
    if since:
        known(store, since)
    reply = exchange.hear(cell, told(NOW), NOW)
    assert [(m.topic, m.text) for m in reply.messages] == [
        (
            "inventory not replicated",
            f"ap-southeast-1 told its inventory at 2026-11-22 06:00 UTC, and none came with S3 {message}",
        )
    ]


@pytest.mark.parametrize(
    ("changes", "who"),
    [({"region": AWAY}, "'lab' in ap-northeast-1"), ({"suffix": "other"}, "'other' in ap-southeast-1")],
)
def test_an_event_of_somebody_else_is_refused(changes: dict[str, str], who: str) -> None:
    cell, _ = cells.cell(PLAN, dr=True)
    with pytest.raises(NotRunnable) as refused:
        exchange.hear(cell, told(NOW, **changes), NOW)
    assert refused.value.message == (
        f"an inventory of {who} was heard in ap-northeast-1, which hears 'lab' in ap-southeast-1"
    )


def test_the_primary_hears_the_other_region() -> None:
    cell, _ = cells.cell(PLAN, store := Memory())
    known(store, NOW, AWAY)
    assert exchange.hear(cell, told(NOW, region=AWAY), NOW).messages == ()


# Gathering --------------------------------------------------------------------------------------------------


def test_an_inventory_asks_rds_as_often_for_many_databases_as_for_one() -> None:
    """Four questions, each of which lists; the script answers no other."""
    names = [f"d{number}" for number in range(200)]
    databases = [{"name": name, "instance": f"{name}-production", "secret": name} for name in names]
    many = Plan.model_validate(SMALL | {"database": databases})
    cell, rds = cells.cell(many)
    rds.add_response("describe_db_snapshots", {"DBSnapshots": []})
    listed = [described({}, f"{name}-production")["DBInstances"][0] for name in names[:3]]
    rds.add_response("describe_db_instances", {"DBInstances": listed}, {})
    quotas = [{"AccountQuotaName": "ManualSnapshots", "Used": 0, "Max": 100}]
    rds.add_response("describe_account_attributes", {"AccountQuotas": quotas})
    rds.add_response("describe_export_tasks", {"ExportTasks": []})
    own = exchange.gather(cell, NOW)
    rds.assert_no_pending_responses()
    assert own.instances == dict.fromkeys(names[:3], "db-1")


def test_what_lies_in_the_store_of_each_database_is_gathered() -> None:
    cell, rds = cells.cell(PLAN, store := Memory())
    rds.add_response("describe_db_snapshots", {"DBSnapshots": []})
    rds.add_response("describe_db_instances", {"DBInstances": []})
    rds.add_response(
        "describe_account_attributes",
        {"AccountQuotas": [{"AccountQuotaName": "ManualSnapshots", "Used": 3, "Max": 100}]},
    )
    rds.add_response("describe_export_tasks", {"ExportTasks": []})
    store.put(KEY, json.dumps({"next": "examine", "point": {"id": "p1"}}).encode())
    beats = [
        Beat(sequence=number, beat_at=moment, done_at=moment, digest="0" * 64)
        for number, moment in enumerate([NOW - timedelta(minutes=2), NOW - timedelta(minutes=1)])
    ]
    for beat in beats:
        store.put(ledger.witness_key("shop", beat), b"")
    own = exchange.gather(cell, NOW)
    assert (own.busy, own.ledger, own.drills) == (frozenset({"p1"}), {"shop": beats[-1]}, {})
