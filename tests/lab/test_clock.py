"""A lab whose clock is moved takes, keeps and restores as if the time had passed, and its functions see that time."""

import time
from datetime import UTC, datetime, timedelta

import pytest

from pgdrill.errors import NotRunnable
from pgdrill.lab.lab import Lab
from tests.lab.functions import deploy, invoke
from tests.lab.labs import PASSWORD, await_snapshot, await_status, begin, connect, instance, until

SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)
TOLD = """
import time
import boto3
def handler(event, context):
    boto3.client("s3").list_buckets()
    return time.time(), context.get_remaining_time_in_millis()
"""


@pytest.fixture(scope="module")
def shop(lab: Lab) -> str:
    lab.door.hold_schedules()
    begin(lab, "shop")
    await_status(lab, "shop")
    lab.client("rds").modify_db_instance(
        DBInstanceIdentifier="shop", BackupRetentionPeriod=7, ApplyImmediately=True
    )
    until(lambda: bool(instance(lab, "shop").get("LatestRestorableTime")))
    await_status(lab, "shop")
    return "shop"


def write(lab: Lab, name: str, what: str) -> datetime:
    """Write one row, and return when by the lab's clock, once that can be restored to."""
    with connect(lab, name) as session:
        session.execute("CREATE TABLE IF NOT EXISTS said (what text)")
        session.execute("INSERT INTO said VALUES (%s)", [what])
        row = session.execute("SELECT clock_timestamp()").fetchone()
    assert row is not None
    return row[0].astimezone(UTC)  # type: ignore[no-any-return] # a timestamp with time zone


def restore(lab: Lab, name: str, target: datetime) -> list[str]:
    """Restore to a time of the lab's, and return what had been said by then."""
    rds = lab.client("rds")
    rds.restore_db_instance_to_point_in_time(
        SourceDBInstanceIdentifier="shop", TargetDBInstanceIdentifier=name, RestoreTime=target
    )
    await_status(lab, name)
    rds.modify_db_instance(DBInstanceIdentifier=name, MasterUserPassword=PASSWORD, ApplyImmediately=True)
    until(lambda: not instance(lab, name).get("PendingModifiedValues"))
    with connect(lab, name) as session:
        return [row[0] for row in session.execute("SELECT what FROM said ORDER BY what")]


def test_snapshots_and_restores_live_in_the_moved_time(lab: Lab, shop: str) -> None:
    first = write(lab, shop, "1")
    time.sleep(1.1)
    now = lab.door.move_clock(DAY)
    assert abs(now - datetime.now(UTC) - DAY) < 5 * SECOND
    second = write(lab, shop, "2") + DAY
    rds = lab.client("rds")
    rds.create_db_snapshot(DBInstanceIdentifier=shop, DBSnapshotIdentifier="moved")
    await_snapshot(lab, "moved")
    (found,) = rds.describe_db_snapshots(DBSnapshotIdentifier="moved")["DBSnapshots"]
    for name in ("SnapshotCreateTime", "OriginalSnapshotCreateTime", "SnapshotDatabaseTime"):
        assert now - SECOND <= found[name] <= now + timedelta(minutes=1), name
    write(lab, shop, "3")
    await_status(lab, shop)
    until(lambda: instance(lab, shop)["LatestRestorableTime"] > second + SECOND)
    assert restore(lab, "then", first + SECOND) == ["1"]
    assert restore(lab, "passed-over", first + DAY / 2) == ["1"]
    assert restore(lab, "now", second + timedelta(milliseconds=100)) == ["1", "2"]


def test_a_function_lives_in_it_too_and_its_requests_are_signed_in_the_real_one(lab: Lab) -> None:
    deploy(lab, "tells", TOLD, Timeout=20)
    lab.door.move_clock(2 * DAY)
    for _ in range(2):  # cold and warm
        told, remaining = invoke(lab, "tells")
        assert abs(told - time.time() - 2 * DAY.total_seconds()) < 10
        assert 10_000 < remaining <= 20_000
    lab.door.move_clock(3 * DAY)
    assert abs(invoke(lab, "tells")[0] - time.time() - 3 * DAY.total_seconds()) < 10


def test_the_clock_does_not_go_back(lab: Lab) -> None:
    lab.door.move_clock(4 * DAY)
    with pytest.raises(NotRunnable) as raised:
        lab.door.move_clock(3 * DAY)
    assert raised.value.message == (
        "the lab's clock cannot go back: it is 345600 s ahead, and 259200 s are asked for"
    )
