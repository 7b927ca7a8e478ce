from datetime import UTC, datetime
from typing import Any

import pytest

from pgdrill.aws.snapshots import Asked, Mark, Quota, Snapshot, Snapshots
from pgdrill.errors import NotOurs, NotRunnable, Unavailable
from pgdrill.model import PointKind
from tests.unit.clients import REGION, scripted

NOW = datetime(2026, 11, 22, 6, tzinfo=UTC)
MARK = Mark(suffix="lab", database="shop", resource="db-1", slot="2026-11-22T06Z")
ID = "pgdrill-lab-shop-2026-11-22t06z"
ARN = f"arn:aws:rds:{REGION}:000000000000:snapshot:{ID}"


def listed(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def described(tags: dict[str, str] | None = None, **changes: Any) -> dict[str, Any]:
    entry = {
        "DBSnapshotIdentifier": ID,
        "DBSnapshotArn": ARN,
        "DBInstanceIdentifier": "shop-production",
        "DbiResourceId": "db-of-this-region",
        "SnapshotType": "manual",
        "Status": "available",
        "SnapshotCreateTime": NOW.replace(hour=8),
        "OriginalSnapshotCreateTime": NOW,
        "EngineVersion": "15.18",
        "AllocatedStorage": 20,
        "Encrypted": True,
        "KmsKeyId": "k",
        "TagList": listed(MARK.tags() if tags is None else tags),
    }
    return {"DBSnapshots": [entry | changes]}


def read(tags: dict[str, str] | None = None, **changes: Any) -> Snapshot:
    client, script = scripted("rds")
    script.add_response("describe_db_snapshots", described(tags, **changes))
    found = Snapshots(client).find(ID)
    assert found is not None
    return found


def test_a_copy_is_as_old_as_its_original_not_as_itself() -> None:
    copy = read(SourceDBSnapshotIdentifier="arn:aws:rds:ap-southeast-1:0:snapshot:x").point()
    assert (copy.kind, copy.recovers_to, copy.usable_at) == (PointKind.COPY, NOW, NOW.replace(hour=8))
    assert copy.created_at == NOW


def test_the_time_of_the_data_is_better_than_the_time_of_the_snapshot() -> None:
    point = read(SnapshotDatabaseTime=NOW.replace(minute=1)).point()
    assert (point.kind, point.recovers_to) == (PointKind.SNAPSHOT, NOW.replace(minute=1))


def test_the_source_is_the_one_of_the_tag_since_a_copy_may_have_another_id() -> None:
    assert read().resource == "db-1"
    assert read({}).resource == "db-of-this-region"


@pytest.mark.parametrize(
    ("status", "usable", "lost", "under_way"),
    [
        ("available", True, False, False),
        ("creating", False, False, True),
        ("pending", False, False, True),
        ("copying", False, False, True),
        ("a-status-of-tomorrow", False, False, True),
        ("failed", False, True, False),
        ("deleting", False, True, False),
    ],
)
def test_a_snapshot_is_usable_lost_or_under_way(
    status: str, *, usable: bool, lost: bool, under_way: bool
) -> None:
    found = read(Status=status)
    assert (found.usable, found.lost, found.under_way) == (usable, lost, under_way)
    if not usable:
        with pytest.raises(ValueError, match=f"snapshot {ID} is {status}"):
            found.point()


def test_ours_are_those_with_prefix_and_tags_and_of_this_suffix() -> None:
    client, script = scripted("rds")
    other = Mark(suffix="prod", database="shop", resource="db-1")
    entries = [
        *described()["DBSnapshots"],
        *described(other.tags(), DBSnapshotIdentifier="pgdrill-prod-shop-1")["DBSnapshots"],
        *described(DBSnapshotIdentifier="mine-own")["DBSnapshots"],
        *described(SnapshotType="automated")["DBSnapshots"],
    ]
    script.add_response("describe_db_snapshots", {"DBSnapshots": entries}, {"SnapshotType": "manual"})
    assert [snapshot.id for snapshot in Snapshots(client).ours("lab")] == [ID]


@pytest.mark.parametrize(
    "missing", ["ManagedBy", "PgDrillRole", "PgDrillSuffix", "PgDrillDatabase", "PgDrillResource"]
)
def test_nothing_that_lacks_a_part_of_the_mark_is_ever_deleted(missing: str) -> None:
    client, script = scripted("rds")
    chosen = read()
    script.add_response(
        "describe_db_snapshots", described({k: v for k, v in MARK.tags().items() if k != missing})
    )
    with pytest.raises(NotOurs) as refused:
        Snapshots(client).delete(chosen)
    assert refused.value.message == (
        f"snapshot {ID!r} is not the one of pgdrill's that was to be deleted; it is left alone"
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"SnapshotCreateTime": NOW.replace(hour=9)},
        {"DBSnapshotArn": "arn:aws:rds:ap-northeast-1:0:snapshot:x"},
        {"TagList": listed(MARK.tags() | {"PgDrillResource": "db-2"})},
        {"TagList": listed(MARK.tags() | {"PgDrillSuffix": "prod"})},
    ],
)
def test_what_is_another_by_now_is_not_deleted(changes: dict[str, Any]) -> None:
    client, script = scripted("rds")
    chosen = read()
    script.add_response("describe_db_snapshots", described(**changes))
    with pytest.raises(NotOurs):
        Snapshots(client).delete(chosen)


def test_what_was_chosen_is_deleted_and_what_is_gone_needs_nothing() -> None:
    client, script = scripted("rds")
    chosen = read()
    script.add_response("describe_db_snapshots", described())
    script.add_response("delete_db_snapshot", {}, {"DBSnapshotIdentifier": ID})
    assert Snapshots(client).delete(chosen) is True
    script.add_client_error("describe_db_snapshots", "DBSnapshotNotFound")
    assert Snapshots(client).delete(chosen) is False
    script.assert_no_pending_responses()


def test_taking_the_same_snapshot_twice_makes_one() -> None:
    client, script = scripted("rds")
    script.add_response(
        "create_db_snapshot",
        {},
        {
            "DBInstanceIdentifier": "shop-production",
            "DBSnapshotIdentifier": ID,
            "Tags": listed(dict(sorted(MARK.tags().items()))),
        },
    )
    assert Snapshots(client).take("shop-production", ID, MARK.tags()) is True
    script.add_client_error("create_db_snapshot", "DBSnapshotAlreadyExists")
    script.add_response("describe_db_snapshots", described())
    assert Snapshots(client).take("shop-production", ID, MARK.tags()) is False
    script.assert_no_pending_responses()


def test_somebody_elses_snapshot_is_not_taken_for_ours() -> None:
    client, script = scripted("rds")
    script.add_client_error("create_db_snapshot", "DBSnapshotAlreadyExists")
    script.add_response("describe_db_snapshots", described({}))
    with pytest.raises(NotOurs) as refused:
        Snapshots(client).take("shop-production", ID, MARK.tags())
    assert refused.value.message == f"snapshot {ID!r} exists and pgdrill did not make it"


def copy(client: Any) -> Asked:
    return Snapshots(client).copy(ARN, ID, "alias/storage", MARK.tags())


def test_a_copy_is_asked_for_with_key_and_tags_of_its_own_and_never_copies_tags() -> None:
    client, script = scripted("rds")
    seen: list[dict[str, Any]] = []
    client.meta.events.register(
        "provide-client-params.rds.CopyDBSnapshot", lambda params, **_: seen.append(dict(params))
    )
    script.add_response("copy_db_snapshot", {})
    assert copy(client) is Asked.BEGUN
    assert seen == [
        {
            "SourceDBSnapshotIdentifier": ARN,
            "TargetDBSnapshotIdentifier": ID,
            "KmsKeyId": "alias/storage",
            "CopyTags": False,
            "Tags": listed(dict(sorted(MARK.tags().items()))),
            "SourceRegion": REGION,
        }
    ]


def test_a_copy_that_is_there_already_is_not_begun_again() -> None:
    client, script = scripted("rds")
    script.add_client_error("copy_db_snapshot", "DBSnapshotAlreadyExists")
    script.add_response("describe_db_snapshots", described(Status="pending"))
    assert copy(client) is Asked.THERE


def test_a_copy_of_what_was_deleted_meanwhile_is_no_error() -> None:
    client, script = scripted("rds")
    script.add_client_error("copy_db_snapshot", "DBSnapshotNotFound")
    assert copy(client) is Asked.NO_SOURCE


def test_the_limit_of_copies_in_flight_is_told_from_the_quota_that_has_the_same_code() -> None:
    client, script = scripted("rds")
    flying = "Cannot copy more than 20 snapshots across regions simultaneously"
    script.add_client_error("copy_db_snapshot", "SnapshotQuotaExceeded", flying)
    with pytest.raises(Unavailable) as later:
        copy(client)
    assert later.value.message == f"snapshot {ID!r} cannot be copied yet: {flying}"
    script.add_client_error(
        "copy_db_snapshot", "SnapshotQuotaExceeded", "Cannot create more than 100 manual snapshots"
    )
    with pytest.raises(NotRunnable) as full:
        copy(client)
    assert full.value.hint == "make room, or raise the quota L-272F1212 in this region: pgdrill point retain"


def test_the_quota_is_that_of_manual_snapshots() -> None:
    client, script = scripted("rds")
    quotas = [
        {"AccountQuotaName": "DBInstances", "Used": 1, "Max": 40},
        {"AccountQuotaName": "ManualSnapshots", "Used": 98, "Max": 100},
    ]
    script.add_response("describe_account_attributes", {"AccountQuotas": quotas})
    quota = Snapshots(client).quota()
    assert (quota, quota.free) == (Quota(used=98, limit=100), 2)
    script.add_response("describe_account_attributes", {"AccountQuotas": []})
    with pytest.raises(Unavailable) as untold:
        Snapshots(client).quota()
    assert untold.value.message == f"RDS in {REGION} did not tell its quota of manual snapshots"
