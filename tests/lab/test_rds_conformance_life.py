"""The lab's RDS over an instance's life: settings, stops, its end and what is kept of it, faults, and the lab's own end."""

import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from pgdrill.errors import Busy, NotRunnable
from pgdrill.lab.postgres import Binaries
from pgdrill.lab.rds.service import LabSettings
from pgdrill.lab.tls import Authority
from tests.lab.rds_api import DR, HOME, PASSWORD, Api, refused, served

SETTINGS = LabSettings(archive_every=0.2, manual_snapshots=3, instances=4, copies_in_flight=1)


@pytest.fixture(scope="module")
def api(ground: Path, binaries: Binaries, authority: Authority) -> Iterator[Api]:
    with served(ground, binaries, authority, SETTINGS) as api:
        yield api


@pytest.fixture(scope="module")
def plain(api: Api) -> Any:
    """An instance without automated backups."""
    api.create("plain")
    return api.until("plain")[0]


@pytest.fixture(scope="module")
def taken(api: Api, plain: Any) -> Any:
    """A manual snapshot of it."""
    api.client().create_db_snapshot(DBSnapshotIdentifier="taken", DBInstanceIdentifier="plain")
    snapshot, _ = api.until_snapshot("taken")
    api.until("plain")
    return snapshot


@pytest.fixture(autouse=True)
def _no_faults_left(api: Api) -> Iterator[None]:
    yield
    api.faults.clear()


# -------------------------------------------------------------------- settings


def test_without_automated_backups_there_is_no_point_in_time(api: Api, plain: Any) -> None:
    assert "LatestRestorableTime" not in plain
    assert api.client().describe_db_instance_automated_backups()["DBInstanceAutomatedBackups"] == []
    with refused("PointInTimeRestoreNotEnabled"):
        api.client().restore_db_instance_to_point_in_time(
            SourceDBInstanceIdentifier="plain",
            TargetDBInstanceIdentifier="copy",
            UseLatestRestorableTime=True,
        )


def test_what_is_not_asked_at_once_is_pending_and_what_is_applies(api: Api, plain: Any) -> None:
    client = api.client()
    asked = client.modify_db_instance(
        DBInstanceIdentifier="plain", DBInstanceClass="db.t3.large", CopyTagsToSnapshot=True
    )["DBInstance"]
    assert asked["PendingModifiedValues"] == {"DBInstanceClass": "db.t3.large"}
    api.faults.set({"stuck": [{"identifier": "plain", "status": "modifying"}]})
    client.modify_db_instance(
        DBInstanceIdentifier="plain", DBInstanceClass="db.t3.small", ApplyImmediately=True
    )
    api.until("plain", "modifying")
    api.faults.clear()
    changed, _ = api.until("plain")
    assert (changed["DBInstanceClass"], changed["CopyTagsToSnapshot"]) == ("db.t3.small", True)
    assert changed["PendingModifiedValues"] == {}


def test_a_change_waits_for_what_is_under_way_and_ends_with_its_instance(api: Api) -> None:
    client = api.client()
    api.create("busy")
    api.until("busy")
    api.faults.set({"latency": {"modify": 60, "snapshot": 60}})
    client.modify_db_instance(DBInstanceIdentifier="busy", MasterUserPassword="a-new-password-1")
    client.create_db_snapshot(DBSnapshotIdentifier="busy", DBInstanceIdentifier="busy")
    api.faults.set({"latency": {"snapshot": 60}})
    time.sleep(0.2)
    assert api.instance("busy")["DBInstanceStatus"] == "backing-up"
    api.faults.clear()
    api.until_snapshot("busy")
    api.until_told("0016", "busy")
    busy, _ = api.until("busy")
    assert api.sql(busy, "SELECT 1", password="a-new-password-1") == [(1,)]
    api.faults.set({"latency": {"modify": 60, "delete": 60}})
    client.modify_db_instance(DBInstanceIdentifier="busy", MasterUserPassword="a-new-password-2")
    client.delete_db_instance(DBInstanceIdentifier="busy", SkipFinalSnapshot=True)
    api.faults.set({"latency": {"delete": 60}})
    time.sleep(0.2)
    assert api.instance("busy")["DBInstanceStatus"] == "deleting"
    api.faults.clear()
    api.until_gone("busy")
    client.delete_db_snapshot(DBSnapshotIdentifier="busy")


def test_an_instance_whose_storage_grows_is_optimized_and_usable_meanwhile(api: Api, plain: Any) -> None:
    client = api.client()
    api.faults.set({"stuck": [{"identifier": "plain", "status": "storage-optimization"}]})
    client.modify_db_instance(DBInstanceIdentifier="plain", AllocatedStorage=30, ApplyImmediately=True)
    grown, _ = api.until("plain", "storage-optimization")
    assert grown["AllocatedStorage"] == 30
    assert api.sql(grown, "SELECT 1") == [(1,)]
    api.faults.clear()
    api.until("plain")


@pytest.mark.parametrize(
    ("change", "code", "match"),
    [
        ({"AllocatedStorage": 31}, "InvalidParameterCombination", "grow by at least 10 percent"),
        ({"BackupRetentionPeriod": 36}, "InvalidParameterValue", "Must be between 0 and 35"),
        ({"MasterUserPassword": "with space"}, "InvalidParameterValue", "not a valid password"),
        ({"EngineVersion": "9.6"}, "InvalidParameterCombination", "Cannot find version 9.6"),
        ({"DBParameterGroupName": "untuned"}, "DBParameterGroupNotFound", "untuned"),
    ],
)
def test_an_impossible_change_is_refused(
    api: Api, plain: Any, change: dict[str, Any], code: str, match: str
) -> None:
    with refused(code, status=404 if code.endswith("NotFound") else 400, match=match):
        api.client().modify_db_instance(DBInstanceIdentifier="plain", **change)


def test_a_parameter_group_takes_effect_by_a_reboot(api: Api, plain: Any, binaries: Binaries) -> None:
    client = api.client()
    client.create_db_parameter_group(
        DBParameterGroupName="tuned", DBParameterGroupFamily=f"postgres{binaries.major}", Description="tuned"
    )
    client.modify_db_parameter_group(
        DBParameterGroupName="tuned",
        Parameters=[{"ParameterName": "work_mem", "ParameterValue": "5120", "ApplyMethod": "pending-reboot"}],
    )
    client.modify_db_instance(
        DBInstanceIdentifier="plain", DBParameterGroupName="tuned", ApplyImmediately=True
    )
    deadline = time.monotonic() + 10
    waits = [{"DBParameterGroupName": "tuned", "ParameterApplyStatus": "pending-reboot"}]
    while api.instance("plain")["DBParameterGroups"] != waits:
        assert time.monotonic() < deadline
    api.until("plain")
    assert api.sql(plain, "SHOW work_mem") == [("4MB",)]
    assert (
        client.reboot_db_instance(DBInstanceIdentifier="plain")["DBInstance"]["DBInstanceStatus"]
        == "rebooting"
    )
    rebooted, _ = api.until("plain")
    assert rebooted["DBParameterGroups"][0]["ParameterApplyStatus"] == "in-sync"
    assert api.sql(rebooted, "SHOW work_mem") == [("5MB",)]
    api.until_told("0006", "plain")
    [changed] = client.describe_db_parameters(DBParameterGroupName="tuned", Source="user")["Parameters"]
    assert (changed["ParameterName"], changed["ParameterValue"]) == ("work_mem", "5120")
    with refused("InvalidDBParameterGroupState", match="still members"):
        client.delete_db_parameter_group(DBParameterGroupName="tuned")


@pytest.mark.parametrize(
    ("parameter", "code", "match"),
    [
        ({"ParameterName": "no_such", "ParameterValue": "1"}, "InvalidParameterValue", "no_such"),
        (
            {"ParameterName": "work_mem", "ParameterValue": "much"},
            "InvalidParameterValue",
            "allowed values are: 64-",
        ),
        (
            {"ParameterName": "autovacuum", "ParameterValue": "maybe"},
            "InvalidParameterValue",
            "maybe for: autovacuum",
        ),
        (
            {
                "ParameterName": "max_locks_per_transaction",
                "ParameterValue": "99",
                "ApplyMethod": "immediate",
            },
            "InvalidParameterCombination",
            "static parameter",
        ),
    ],
)
def test_an_impossible_parameter_is_refused(
    api: Api, binaries: Binaries, parameter: dict[str, str], code: str, match: str
) -> None:
    client = api.client(DR)
    client.create_db_parameter_group(
        DBParameterGroupName="other", DBParameterGroupFamily=f"postgres{binaries.major}", Description="other"
    )
    with refused(code, match=match):
        client.modify_db_parameter_group(
            DBParameterGroupName="other",
            Parameters=[parameter],  # type: ignore[list-item]  # a wrong one on purpose
        )
    client.delete_db_parameter_group(DBParameterGroupName="other")
    with refused("DBParameterGroupNotFound", status=404):
        client.describe_db_parameters(DBParameterGroupName="other")


def test_subnet_groups_are_made_changed_and_deleted(api: Api) -> None:
    client = api.client()
    made = client.create_db_subnet_group(
        DBSubnetGroupName="Drill", DBSubnetGroupDescription="drills", SubnetIds=["subnet-a1", "subnet-b2"]
    )["DBSubnetGroup"]
    assert (made["DBSubnetGroupName"], made["SubnetGroupStatus"]) == ("drill", "Complete")
    with refused("DBSubnetGroupAlreadyExists"):
        client.create_db_subnet_group(
            DBSubnetGroupName="drill", DBSubnetGroupDescription="again", SubnetIds=["subnet-a1", "subnet-b2"]
        )
    with refused("DBSubnetGroupDoesNotCoverEnoughAZs"):
        client.modify_db_subnet_group(DBSubnetGroupName="drill", SubnetIds=["subnet-a1"])
    with refused("InvalidSubnet", "Invalid subnet: vpc-1"):
        client.modify_db_subnet_group(DBSubnetGroupName="drill", SubnetIds=["vpc-1", "subnet-a1"])
    changed = client.modify_db_subnet_group(DBSubnetGroupName="drill", SubnetIds=["subnet-c3", "subnet-b2"])
    assert [subnet["SubnetIdentifier"] for subnet in changed["DBSubnetGroup"]["Subnets"]] == [
        "subnet-c3",
        "subnet-b2",
    ]
    client.delete_db_subnet_group(DBSubnetGroupName="drill")
    with refused("DBSubnetGroupNotFoundFault", status=404):
        client.describe_db_subnet_groups(DBSubnetGroupName="drill")


def test_a_stopped_instance_answers_nobody_until_it_is_started(api: Api, plain: Any) -> None:
    client = api.client()
    with refused("InvalidDBInstanceState"):
        client.start_db_instance(DBInstanceIdentifier="plain")
    assert (
        client.stop_db_instance(DBInstanceIdentifier="plain")["DBInstance"]["DBInstanceStatus"] == "stopping"
    )
    stopped, _ = api.until("plain", "stopped")
    with pytest.raises(psycopg.OperationalError, match="Connection refused"):
        api.sql(stopped, "SELECT 1")
    with refused("InvalidDBInstanceState"):
        client.create_db_snapshot(DBSnapshotIdentifier="never", DBInstanceIdentifier="plain")
    client.start_db_instance(DBInstanceIdentifier="plain")
    started, _ = api.until("plain")
    assert api.sql(started, "SELECT 1") == [(1,)]
    api.until_told("0087", "plain")
    api.until_told("0088", "plain")


# -------------------------------------------------------------------- the end of an instance


def test_deletion_follows_rdss_rules(api: Api, plain: Any) -> None:
    client = api.client()
    with refused(
        "InvalidParameterCombination",
        "FinalDBSnapshotIdentifier is required unless SkipFinalSnapshot is specified.",
    ):
        client.delete_db_instance(DBInstanceIdentifier="plain")
    with refused("InvalidParameterCombination", match="cannot be specified when"):
        client.delete_db_instance(
            DBInstanceIdentifier="plain", SkipFinalSnapshot=True, FinalDBSnapshotIdentifier="last"
        )
    with refused("DBInstanceNotFound", status=404):
        client.delete_db_instance(DBInstanceIdentifier="nobody", SkipFinalSnapshot=True)
    api.create("short", DeletionProtection=True)
    with refused("InvalidParameterCombination", match="Cannot delete protected DB Instance"):
        client.delete_db_instance(DBInstanceIdentifier="short", SkipFinalSnapshot=True)
    api.until("short")
    client.modify_db_instance(DBInstanceIdentifier="short", DeletionProtection=False)
    deadline = time.monotonic() + 10
    while api.instance("short")["DeletionProtection"]:
        assert time.monotonic() < deadline
    short, _ = api.until("short")
    api.faults.set({"latency": {"delete": 60}})
    client.delete_db_instance(DBInstanceIdentifier="short", FinalDBSnapshotIdentifier="last")
    with refused("InvalidDBInstanceState", "Instance short is already being deleted."):
        client.delete_db_instance(DBInstanceIdentifier="short", SkipFinalSnapshot=True)
    api.faults.clear()
    api.until_gone("short")
    assert api.snapshot("last")["DbiResourceId"] == short["DbiResourceId"]
    client.delete_db_snapshot(DBSnapshotIdentifier="last")


def test_a_creating_instance_is_not_deleted(api: Api) -> None:
    api.faults.set({"latency": {"create": 60}})
    api.create("young")
    with refused("InvalidDBInstanceState", match="currently creating"):
        api.client().delete_db_instance(DBInstanceIdentifier="young", SkipFinalSnapshot=True)
    api.faults.clear()
    api.until("young")
    api.client().delete_db_instance(DBInstanceIdentifier="young", SkipFinalSnapshot=True)
    api.until_gone("young")


def test_retained_backups_outlive_their_instance_and_restore_it(api: Api) -> None:
    client = api.client()
    api.create("kept", BackupRetentionPeriod=1)
    kept, _ = api.until("kept")
    api.sql(kept, "CREATE TABLE last_words (word text)", "INSERT INTO last_words VALUES ('goodbye')")
    api.faults.set({"latency": {"delete": 60}})
    client.delete_db_instance(
        DBInstanceIdentifier="kept", SkipFinalSnapshot=True, DeleteAutomatedBackups=False
    )
    with refused("InvalidDBInstanceAutomatedBackupState"):
        client.delete_db_instance_automated_backup(DbiResourceId=kept["DbiResourceId"])
    api.faults.clear()
    api.until_gone("kept")
    [backup] = client.describe_db_instance_automated_backups(
        Filters=[{"Name": "status", "Values": ["retained"]}]
    )["DBInstanceAutomatedBackups"]
    assert backup["DbiResourceId"] == kept["DbiResourceId"]
    client.restore_db_instance_to_point_in_time(
        SourceDBInstanceAutomatedBackupsArn=backup["DBInstanceAutomatedBackupsArn"],
        TargetDBInstanceIdentifier="again",
        UseLatestRestorableTime=True,
        BackupRetentionPeriod=0,
    )
    again, _ = api.until("again")
    assert api.sql(again, "SELECT word FROM last_words") == [("goodbye",)]
    client.delete_db_instance(DBInstanceIdentifier="again", SkipFinalSnapshot=True)
    client.delete_db_instance_automated_backup(DbiResourceId=kept["DbiResourceId"])
    assert client.describe_db_instance_automated_backups()["DBInstanceAutomatedBackups"] == []
    assert client.describe_db_snapshots(SnapshotType="automated")["DBSnapshots"] == []
    with refused("DBInstanceAutomatedBackupNotFound", status=404):
        client.delete_db_instance_automated_backup(DbiResourceId=kept["DbiResourceId"])
    api.until_gone("again")


def test_a_new_instance_of_an_old_name_is_another_one(api: Api) -> None:
    ids = []
    for _ in range(2):
        api.create("phoenix")
        ids.append(api.until("phoenix")[0]["DbiResourceId"])
        api.client().delete_db_instance(DBInstanceIdentifier="phoenix", SkipFinalSnapshot=True)
        api.until_gone("phoenix")
    assert ids[0] != ids[1]


# -------------------------------------------------------------------- quotas and faults


def test_no_more_manual_snapshots_than_the_quota(api: Api, taken: Any) -> None:
    client = api.client()
    for name in ("second", "third"):
        client.copy_db_snapshot(SourceDBSnapshotIdentifier="taken", TargetDBSnapshotIdentifier=name)
        api.until_snapshot(name)
    with refused("SnapshotQuotaExceeded", "Cannot create more than 3 manual snapshots"):
        client.create_db_snapshot(DBSnapshotIdentifier="fourth", DBInstanceIdentifier="plain")
    with refused("SnapshotQuotaExceeded", "Cannot create more than 3 manual snapshots"):
        client.copy_db_snapshot(SourceDBSnapshotIdentifier="taken", TargetDBSnapshotIdentifier="fourth")
    with refused("SnapshotQuotaExceeded", "Cannot create more than 3 manual snapshots"):
        client.delete_db_instance(DBInstanceIdentifier="plain", FinalDBSnapshotIdentifier="fourth")
    for name in ("second", "third"):
        client.delete_db_snapshot(DBSnapshotIdentifier=name)


def test_no_more_copies_in_flight_than_the_quota_with_the_same_code(api: Api, taken: Any) -> None:
    api.faults.set({"latency": {"copy": 60}})
    copy = {"SourceDBSnapshotIdentifier": taken["DBSnapshotArn"], "SourceRegion": HOME}
    api.client(DR).copy_db_snapshot(TargetDBSnapshotIdentifier="first", **copy)
    with refused("SnapshotQuotaExceeded", "Cannot copy more than 1 snapshots across regions simultaneously"):
        api.client(DR).copy_db_snapshot(TargetDBSnapshotIdentifier="second", **copy)
    api.client(DR).delete_db_snapshot(DBSnapshotIdentifier="first")
    api.until_told("0061", "first", DR)


def test_no_more_instances_than_the_quota(api: Api, plain: Any, taken: Any) -> None:
    client = api.client()
    api.faults.set({"doomed": [{"identifier": "quota-*", "status": "failed"}]})
    names = ["quota-1", "quota-2", "quota-3"]
    for name in names:
        client.restore_db_instance_from_db_snapshot(DBInstanceIdentifier=name, DBSnapshotIdentifier="taken")
    with refused("InstanceQuotaExceeded", match="more than 4"):
        client.restore_db_instance_from_db_snapshot(DBInstanceIdentifier="four", DBSnapshotIdentifier="taken")
    with refused("InstanceQuotaExceeded", match="more than 4"):
        api.create("four")
    for name in names:
        api.until(name, "failed")
        client.delete_db_instance(DBInstanceIdentifier=name, SkipFinalSnapshot=True)
        api.until_gone(name)


def test_the_next_calls_fail_as_the_faults_say(api: Api, plain: Any) -> None:
    api.faults.set(
        {"failures": [{"action": "DescribeDBInstances"}, {"action": "Create*", "code": "X", "status": 503}]}
    )
    with refused("ThrottlingException", "Rate exceeded"):
        api.client().describe_db_instances()
    with refused("X", status=503):
        api.create("never")
    assert api.instance("plain")["DBInstanceStatus"] == "available"


@pytest.mark.parametrize("status", ["incompatible-restore", "storage-full", "insufficient-capacity"])
def test_a_doomed_restore_ends_as_the_faults_say_and_is_deleted_without_a_snapshot(
    api: Api, taken: Any, status: str
) -> None:
    client = api.client()
    api.faults.set({"doomed": [{"identifier": "doomed", "status": status}]})
    client.restore_db_instance_from_db_snapshot(DBInstanceIdentifier="doomed", DBSnapshotIdentifier="taken")
    doomed, _ = api.until("doomed", status)
    assert "Endpoint" not in doomed
    api.until_told("0031", "doomed")
    with refused("InvalidDBInstanceState", match="with a final snapshot"):
        client.delete_db_instance(DBInstanceIdentifier="doomed", FinalDBSnapshotIdentifier="last")
    client.delete_db_instance(DBInstanceIdentifier="doomed", SkipFinalSnapshot=True)
    api.until_gone("doomed")


def test_a_snapshot_may_be_deleted_while_it_is_restored(api: Api, taken: Any) -> None:
    client = api.client()
    client.copy_db_snapshot(SourceDBSnapshotIdentifier="taken", TargetDBSnapshotIdentifier="brief")
    api.until_snapshot("brief")
    files = api.rds.snapshot_directory(HOME, "brief")
    api.faults.set({"latency": {"restore": 60}})
    client.restore_db_instance_from_db_snapshot(
        DBInstanceIdentifier="orphan", DBSnapshotIdentifier="brief", BackupRetentionPeriod=0
    )
    client.delete_db_snapshot(DBSnapshotIdentifier="brief")
    with refused("DBSnapshotNotFound", status=404):
        api.snapshot("brief")
    api.faults.clear()
    orphan, _ = api.until("orphan")
    assert api.sql(orphan, "SELECT 1") == [(1,)]
    deadline = time.monotonic() + 10
    while files.exists():
        assert time.monotonic() < deadline
    client.delete_db_instance(DBInstanceIdentifier="orphan", SkipFinalSnapshot=True)
    api.until_gone("orphan")


def test_a_failed_snapshot_is_told_by_nothing_but_its_status(api: Api, plain: Any) -> None:
    api.faults.set({"doomed": [{"identifier": "broken", "status": "failed"}]})
    api.client().create_db_snapshot(DBSnapshotIdentifier="broken", DBInstanceIdentifier="plain")
    api.until_snapshot("broken", "failed")
    api.until("plain")
    assert [event for _, event, name in api.published if name == "broken"] == ["RDS-EVENT-0040"]
    with refused("InvalidDBSnapshotState"):
        api.client().restore_db_instance_from_db_snapshot(
            DBInstanceIdentifier="copy", DBSnapshotIdentifier="broken"
        )
    api.client().delete_db_snapshot(DBSnapshotIdentifier="broken")


def test_a_stuck_instance_stays_until_the_fault_is_cleared(api: Api, taken: Any) -> None:
    client = api.client()
    api.faults.set({"stuck": [{"identifier": "st*", "status": "creating"}]})
    client.restore_db_instance_from_db_snapshot(
        DBInstanceIdentifier="stuck", DBSnapshotIdentifier="taken", BackupRetentionPeriod=0
    )
    deadline = time.monotonic() + 20
    while "Endpoint" not in api.instance("stuck"):
        assert time.monotonic() < deadline
    time.sleep(0.2)
    assert api.instance("stuck")["DBInstanceStatus"] == "creating"
    api.faults.clear()
    api.until("stuck")
    client.delete_db_instance(DBInstanceIdentifier="stuck", SkipFinalSnapshot=True)
    api.until_gone("stuck")


@pytest.mark.skipif(sys.platform != "linux", reason="the library is preloaded, which only Linux does")
def test_the_first_read_of_a_restored_table_is_slow_and_the_next_is_not(api: Api, plain: Any) -> None:
    client = api.client()
    api.until("plain")
    api.sql(
        plain,
        "CREATE TABLE large (filler text)",
        "ALTER TABLE large ALTER filler SET STORAGE PLAIN",
        "INSERT INTO large SELECT repeat('x', 1900) FROM generate_series(1, 4 * 640)",
    )
    client.create_db_snapshot(DBSnapshotIdentifier="large", DBInstanceIdentifier="plain")
    api.until_snapshot("large")
    api.until("plain")
    api.faults.set({"slow_first_read": 20_000})
    client.restore_db_instance_from_db_snapshot(DBInstanceIdentifier="lazy", DBSnapshotIdentifier="large")
    lazy, _ = api.until("lazy")
    seconds = []
    for _ in range(2):
        began = time.monotonic()
        assert api.sql(lazy, "SET max_parallel_workers_per_gather = 0", "SELECT count(*) FROM large") == [
            (2560,)
        ]
        seconds.append(time.monotonic() - began)
    # 640 pages of 8 kB are ten blocks of 512 kB.
    assert seconds[0] > 0.2
    assert seconds[1] < seconds[0] / 2
    client.delete_db_instance(DBInstanceIdentifier="lazy", SkipFinalSnapshot=True)
    client.delete_db_snapshot(DBSnapshotIdentifier="large")
    api.until_gone("lazy")


def test_a_snapshot_without_its_control_file_does_not_restore(api: Api, taken: Any) -> None:
    client = api.client()
    client.copy_db_snapshot(SourceDBSnapshotIdentifier="taken", TargetDBSnapshotIdentifier="damaged")
    api.until_snapshot("damaged")
    (api.rds.snapshot_directory(HOME, "damaged") / "global" / "pg_control").unlink()
    client.restore_db_instance_from_db_snapshot(DBInstanceIdentifier="copy", DBSnapshotIdentifier="damaged")
    api.until("copy", "restore-error")
    client.delete_db_instance(DBInstanceIdentifier="copy", SkipFinalSnapshot=True)
    client.delete_db_snapshot(DBSnapshotIdentifier="damaged")
    api.until_gone("copy")


# -------------------------------------------------------------------- archive, and the lab's own end


@pytest.fixture(scope="module")
def archived(api: Api) -> Any:
    """An instance with automated backups, left to the last tests."""
    api.create("archived", BackupRetentionPeriod=1)
    archived, _ = api.until("archived")
    api.sql(archived, "CREATE TABLE beats (id int)")
    return archived


def test_a_backup_is_taken_now_when_the_lab_is_asked(api: Api, archived: Any) -> None:
    api.faults.set({"latency": {"snapshot": 60}})
    assert api.rds.back_up(HOME, "archived") == "archived"
    with pytest.raises(Busy) as busy:
        api.rds.back_up(HOME, "archived")
    assert busy.value.message == "instance 'archived' is backing-up, not available"
    api.faults.clear()
    api.until("archived")
    assert len(api.client().describe_db_snapshots(SnapshotType="automated")["DBSnapshots"]) == 2
    with pytest.raises(NotRunnable) as impossible:
        api.rds.back_up(HOME, "plain")
    assert impossible.value.message == "instance 'plain' has no automated backups: its retention period is 0"


def test_an_automated_backup_that_fails_is_told_by_nothing(api: Api, archived: Any) -> None:
    client = api.client()
    finished = api.published.count((HOME, "RDS-EVENT-0002", "archived"))
    api.faults.set({"doomed": [{"identifier": "rds:archived-*", "status": "failed"}]})
    api.rds.back_up(HOME, "archived")
    api.until("archived")
    listed = client.describe_db_snapshots(DBInstanceIdentifier="archived", SnapshotType="automated")[
        "DBSnapshots"
    ]
    [failed] = [entry["DBSnapshotIdentifier"] for entry in listed if entry["Status"] == "failed"]
    api.faults.clear()
    api.rds.back_up(HOME, "archived")
    api.until("archived")
    api.until_told("0090", failed)
    assert (HOME, "RDS-EVENT-0091", failed) not in api.published
    deadline = time.monotonic() + 10
    while api.published.count((HOME, "RDS-EVENT-0002", "archived")) < finished + 1:
        assert time.monotonic() < deadline
    assert api.published.count((HOME, "RDS-EVENT-0002", "archived")) == finished + 1
    listed = client.describe_db_snapshots(DBInstanceIdentifier="archived", SnapshotType="automated")[
        "DBSnapshots"
    ]
    assert {entry["Status"] for entry in listed} == {"available"}


def test_backups_past_their_retention_go_with_the_log_that_only_they_needed(api: Api, archived: Any) -> None:
    state, archive = api.rds._state, api.rds.archive_directory(HOME, "archived")
    listed = api.client().describe_db_snapshots(DBInstanceIdentifier="archived", SnapshotType="automated")
    for entry in listed["DBSnapshots"]:
        snapshot = state.snapshot(HOME, entry["DBSnapshotIdentifier"])
        state.update_snapshot(snapshot, created_at=snapshot.created_at - timedelta(days=2))
    before = {path.name for path in archive.iterdir()}
    api.rds.back_up(HOME, "archived")
    api.until("archived")
    left = api.client().describe_db_snapshots(DBInstanceIdentifier="archived", SnapshotType="automated")
    [newest] = left["DBSnapshots"]
    assert newest["DBSnapshotIdentifier"] not in {
        entry["DBSnapshotIdentifier"] for entry in listed["DBSnapshots"]
    }
    assert not before & {path.name for path in archive.iterdir() if len(path.name) == 24}
    [backup] = api.client().describe_db_instance_automated_backups(DBInstanceIdentifier="archived")[
        "DBInstanceAutomatedBackups"
    ]
    assert backup["RestoreWindow"]["EarliestTime"] == newest["SnapshotCreateTime"]


def test_turning_backups_on_takes_the_first_and_off_drops_all(api: Api, plain: Any) -> None:
    client = api.client()
    for retention, event in ((1, "0032"), (0, "0028")):
        client.modify_db_instance(
            DBInstanceIdentifier="plain", BackupRetentionPeriod=retention, ApplyImmediately=True
        )
        api.until_told(event, "plain")
        instance, _ = api.until("plain")
        automated = client.describe_db_snapshots(DBInstanceIdentifier="plain", SnapshotType="automated")
        assert (instance["BackupRetentionPeriod"], len(automated["DBSnapshots"])) == (retention, retention)


def test_a_hole_in_the_archive_makes_the_restore_incompatible(api: Api, archived: Any) -> None:
    client = api.client()
    base = api.rds.archive_directory(HOME, "archived")
    before = datetime.now(UTC)
    for _ in range(3):
        api.sql(archived, "INSERT INTO beats VALUES (1)")
        api.until_restorable("archived", datetime.now(UTC))
    segments = sorted(path for path in base.iterdir() if path.stat().st_mtime > before.timestamp())
    segments[1].unlink()
    client.restore_db_instance_to_point_in_time(
        SourceDBInstanceIdentifier="archived",
        TargetDBInstanceIdentifier="holey",
        UseLatestRestorableTime=True,
    )
    api.until("holey", "incompatible-restore")
    client.delete_db_instance(DBInstanceIdentifier="holey", SkipFinalSnapshot=True)
    api.until_gone("holey")


def test_what_there_was_is_there_again_after_the_labs_end(
    ground: Path, binaries: Binaries, authority: Authority
) -> None:
    with served(ground, binaries, authority, SETTINGS) as first:
        first.create("shop", BackupRetentionPeriod=1, Tags=[{"Key": "Owner", "Value": "shop"}])
        shop, _ = first.until("shop")
        first.sql(shop, "CREATE TABLE orders (id int)", "INSERT INTO orders VALUES (1)")
        first.client().create_db_snapshot(DBSnapshotIdentifier="kept", DBInstanceIdentifier="shop")
        kept, _ = first.until_snapshot("kept")
        first.until("shop")
        first.create("stopped")
        first.until("stopped")
        first.client().stop_db_instance(DBInstanceIdentifier="stopped")
        first.until("stopped", "stopped")
        first.faults.set({"latency": {"restore": 60}})
        first.client().restore_db_instance_from_db_snapshot(
            DBInstanceIdentifier="half", DBSnapshotIdentifier="kept"
        )
        first.rds.close(keep=True)
        assert not [path for path in _written(first.directory) if PASSWORD.encode() in path.read_bytes()]
        left_over = first.directory / "snapshots" / "snap-OF-NOBODY" / "data"
        left_over.mkdir(parents=True)
        with Api(first.directory, binaries, authority, SETTINGS) as second:
            again = second.instance("shop")
            assert again["DBInstanceStatus"] == "available"
            assert again["DbiResourceId"] == shop["DbiResourceId"]
            assert again["TagList"] == shop["TagList"]
            assert second.snapshot("kept") == kept
            assert second.sql(again, "SELECT id FROM orders") == [(1,)]
            assert second.instance("stopped")["DBInstanceStatus"] == "stopped"
            assert second.instance("half")["DBInstanceStatus"] == "failed"
            assert not left_over.parent.exists()
            second.until_restorable("shop", datetime.now(UTC))
            told = second.client().describe_events(SourceIdentifier="shop", SourceType="db-instance")[
                "Events"
            ]
            assert told[0]["Message"] == "DB instance created"


def test_a_lab_that_is_not_kept_leaves_nothing(
    ground: Path, binaries: Binaries, authority: Authority
) -> None:
    with served(ground, binaries, authority, SETTINGS) as api:
        api.create("shop")
        shop, _ = api.until("shop")
        api.rds.close(keep=False)
        assert not api.directory.exists()
        with pytest.raises(psycopg.OperationalError, match="Connection refused"):
            api.sql(shop, "SELECT 1")


def _written(directory: Path) -> list[Path]:
    """Return what the lab itself writes: records, configuration, logs."""
    return [path for path in directory.rglob("*") if path.suffix in {".json", ".jsonl", ".conf", ".log"}]
