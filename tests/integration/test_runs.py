"""A point is taken and drilled by starting the deployed machines; the other cell hears of it and copies it."""

import json
from datetime import UTC, datetime

import pytest

from tests.integration.deployed import Cell, execute, until


@pytest.fixture(scope="module")
def due_at() -> str:
    return datetime.now(UTC).replace(minute=0, second=0, microsecond=0).strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.fixture(scope="module")
def point(primary: Cell, due_at: str) -> str:
    """A point that the take machine has taken; return its identifier."""
    for machine, given in (
        ("Beat", {"due_at": due_at}),
        ("Take", {"due_at": due_at, "database": "shop"}),
        ("Beat", {"due_at": due_at}),
    ):
        done = execute(primary, machine, given)
        assert done["status"] == "SUCCEEDED", done
    snapshots = primary.client("rds").describe_db_snapshots(SnapshotType="manual")["DBSnapshots"]
    (taken,) = (one for one in snapshots if one["DBInstanceIdentifier"] in primary["DatabaseInstances"])
    assert taken["Status"] == "available"
    return str(taken["DBSnapshotIdentifier"])


def test_a_point_is_tagged_encrypted_and_sealed(primary: Cell, point: str) -> None:
    (snapshot,) = primary.client("rds").describe_db_snapshots(DBSnapshotIdentifier=point)["DBSnapshots"]
    tags = {tag["Key"]: tag["Value"] for tag in snapshot["TagList"]}
    assert tags.keys() >= {"Environment", "Owner", "CostCenter", "ManagedBy"}
    assert snapshot["Encrypted"]
    assert snapshot["KmsKeyId"] == primary["StorageKeyArn"]
    assert any(point in key for key in keys(primary, "seals/"))


def test_the_other_cell_copies_it_under_its_own_key(dr: Cell, point: str) -> None:
    def copied() -> list[str]:
        found = dr.client("rds").describe_db_snapshots(SnapshotType="manual")["DBSnapshots"]
        return [
            one["KmsKeyId"]
            for one in found
            if one["DBSnapshotIdentifier"] == point and one["Status"] == "available"
        ]

    until(lambda: bool(copied()))
    assert copied() == [dr["StorageKeyArn"]]


def test_a_drill_leaves_signed_evidence_and_nothing_else(primary: Cell, point: str, due_at: str) -> None:
    done = execute(primary, "Drill", {"due_at": due_at, "database": "shop", "wanted": point})
    assert done["status"] == "SUCCEEDED", done
    drill = json.loads(done["output"])["drill"]["id"]
    written = keys(primary, f"evidence/shop/{primary.region}/{drill}/")
    record = f"evidence/shop/{primary.region}/{drill}/evidence.json"
    assert record in written
    assert f"evidence/shop/{primary.region}/{drill}/evidence.signature.json" in written
    body = primary.client("s3").get_object(Bucket=primary["EvidenceBucket"], Key=record)["Body"].read()
    evidence = json.loads(body)
    assert (evidence["verdict"], evidence["point"]["id"]) == ("passed", point), evidence["verdict_reason"]
    instances = primary.client("rds").describe_db_instances()["DBInstances"]
    assert [
        one["DBInstanceIdentifier"] for one in instances if "-drill-" in one["DBInstanceIdentifier"]
    ] == []


def keys(cell: Cell, prefix: str) -> list[str]:
    found = cell.pages("s3", "list_objects_v2", "Contents", Bucket=cell["EvidenceBucket"], Prefix=prefix)
    return [one["Key"] for one in found]
