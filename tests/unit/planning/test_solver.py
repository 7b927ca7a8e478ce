from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from pgdrill.aws.rds import Rds
from pgdrill.aws.snapshots import Mark, Quota, Snapshots
from pgdrill.cell import Cell
from pgdrill.plan import Plan
from pgdrill.planning import solver
from pgdrill.planning.obstacle import DatabaseFacts, Facts, Obstacle, RegionFacts, Severity
from tests.unit.clients import scripted
from tests.unit.instances import instance
from tests.unit.plans import SMALL, plan

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
SHOP: dict[str, Any] = SMALL["database"][0]
ARCHIVE = {"archive_bucket": "archive", "export_role": "arn:aws:iam::1:role/export"}


def whole(**changes: Any) -> Plan:
    """Return a plan that nothing stands in the way of, once the quota is raised."""
    return plan(**{"primary": SMALL["primary"] | ARCHIVE} | changes)


def facts(engine: str | None = "available", dr_engine: str | None = "available", **changes: Any) -> Facts:
    found = DatabaseFacts(instance=instance(**changes), engine=engine, dr_engine=dr_engine)
    return _facts(found)


def _facts(found: DatabaseFacts) -> Facts:
    region = RegionFacts(quota=Quota(used=0, limit=200), points=())
    return Facts(primary=region, dr=region, databases={"shop": found})


def told(found: tuple[Obstacle, ...]) -> list[tuple[str, str]]:
    return [(obstacle.severity.value, obstacle.key) for obstacle in found]


def test_nothing_stands_in_the_way_of_a_plan_that_fits_what_is_there() -> None:
    assert solver.solve(whole(), NOW, facts()) == ()


def test_errors_come_first_and_what_is_unknown_last() -> None:
    found = solver.solve(whole(cost={"ceiling": 1}), NOW)
    assert [obstacle.severity for obstacle in found] == [
        Severity.ERROR,
        Severity.WARNING,
        Severity.WARNING,
        Severity.UNKNOWN,
    ]


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"storage_gb": 100}, [("warning", "database.storage_gb")]),
        ({"instance_class": "db.t3.small"}, [("warning", "database.instance_class")]),
        ({"multi_az": False}, [("warning", "database.multi_az")]),
        ({"encrypted": False}, [("error", "database.instance")]),
        ({"retention_days": 6}, [("error", "points.pitr")]),
        ({"retention_days": 8}, []),
        ({"engine": "deprecated"}, [("warning", "database.instance")]),
        ({"dr_engine": "deprecated"}, [("warning", "database.instance")]),
        ({"dr_engine": None}, [("error", "database.instance")]),
        ({"backup_window": "00:45-01:15"}, [("error", "points.offset")]),
    ],
)
def test_what_is_there_is_held_against_the_plan(
    changes: dict[str, Any], found: list[tuple[str, str]]
) -> None:
    assert told(solver.solve(whole(), NOW, facts(**changes))) == found


def test_an_engine_version_that_the_dr_region_has_not_is_named() -> None:
    (found,) = solver.solve(whole(), NOW, facts(dr_engine=None))
    assert found.what == ("PostgreSQL 15.18 is not there in ap-northeast-1: nothing of it restores there")


def test_an_instance_that_is_not_there_must_be_one_that_the_stack_makes() -> None:
    missing = _facts(DatabaseFacts(instance=None))
    (found,) = solver.solve(whole(), NOW, missing)
    assert (found.severity, found.key, found.value, found.what) == (
        Severity.ERROR,
        "database.instance",
        "shop-production",
        "there is no such instance in ap-southeast-1",
    )
    assert solver.solve(whole(database=[SHOP | {"origin": "created"}]), NOW, missing) == ()


def test_time_and_cost_are_reckoned_with_the_size_that_is_there() -> None:
    found = solver.solve(whole(cost={"ceiling": 5000}), NOW, facts(storage_gb=1500))
    assert ("error", "objectives.rto") in told(found)
    assert ("error", "objectives.rto") not in told(solver.solve(whole(), NOW, facts()))


def cell(of: Plan, used: int, name: str, slot: str | None) -> Cell:
    """Return a cell whose RDS answers from a script: snapshots, one of them ours, the quota, no instance."""
    client, script = scripted("rds")
    mark = Mark(suffix="lab", database="shop", resource="db-1", slot=slot)
    tags = [{"Key": key, "Value": value} for key, value in mark.tags().items()]
    snapshots = [
        {
            "DBSnapshotIdentifier": identifier,
            "DBInstanceIdentifier": "shop-production",
            "DbiResourceId": "db-1",
            "DBSnapshotArn": f"arn:{identifier}",
            "Status": "available",
            "SnapshotType": "manual",
            "SnapshotCreateTime": NOW,
            "EngineVersion": "15.18",
            "AllocatedStorage": 20,
            "Encrypted": True,
            "TagList": tagged,
        }
        for identifier, tagged in ((name, tags), ("somebody-elses", []))
    ]
    script.add_response("describe_db_snapshots", {"DBSnapshots": snapshots})
    quota = {"AccountQuotaName": "ManualSnapshots", "Used": used, "Max": 100}
    script.add_response("describe_account_attributes", {"AccountQuotas": [quota]})
    script.add_client_error("describe_db_instances", "DBInstanceNotFound")
    return replace(Cell.open(of), rds=Rds(client), snapshots=Snapshots(client))


def test_looking_counts_what_pgdrill_made_and_what_others_did(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    of = whole()
    slotted = cell(of, 7, "pgdrill-lab-shop-2026-11-22t07z", "2026-11-22T07Z")
    by_hand = cell(of, 3, "pgdrill-lab-shop-20261122t061500z", None)
    seen = solver.look(slotted, by_hand, NOW)
    assert (seen.primary.quota.used, seen.primary.quota.limit) == (7, 100)
    assert seen.primary.points == (datetime(2026, 11, 22, 7, tzinfo=UTC),)
    assert seen.dr.points == (NOW,)
    assert seen.databases["shop"].instance is None
