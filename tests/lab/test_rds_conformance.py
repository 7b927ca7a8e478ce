"""The lab's RDS answers an unmodified boto3 as AWS does: each action, its refusals, its states.

One production instance is there for the whole file; what a test adds to it, it does not take away.
"""

import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from pgdrill.lab.postgres import Binaries
from pgdrill.lab.tls import Authority
from tests.lab.rds_api import ACCOUNT, DR, DR_KEY, HOME, KEY, TAGS, Api, refused, served

GROUPS: dict[str, Any] = {
    "DBSubnetGroupName": "private",
    "DBParameterGroupName": "tuned",
    "VpcSecurityGroupIds": ["sg-0123456789abcdef0"],
}


@pytest.fixture(scope="module")
def api(ground: Path, binaries: Binaries, authority: Authority) -> Iterator[Api]:
    with served(ground, binaries, authority) as api:
        client = api.client()
        client.create_db_subnet_group(
            DBSubnetGroupName="private",
            DBSubnetGroupDescription="no way out",
            SubnetIds=["subnet-1", "subnet-2"],
        )
        client.create_db_parameter_group(
            DBParameterGroupName="tuned",
            DBParameterGroupFamily=f"postgres{binaries.major}",
            Description="tuned",
        )
        yield api


@pytest.fixture(scope="module")
def production(api: Api) -> Any:
    """An instance with automated backups, encrypted, tagged, with rows."""
    api.faults.set({"latency": {"snapshot": 0.3}})
    created = api.create(
        "production",
        BackupRetentionPeriod=7,
        StorageEncrypted=True,
        KmsKeyId=KEY,
        CopyTagsToSnapshot=True,
        Tags=TAGS,
        **GROUPS,
    )
    assert created["DBInstanceStatus"] == "creating"
    assert "Endpoint" not in created
    instance, statuses = api.until("production")
    assert statuses == ["creating", "backing-up", "available"]
    api.sql(
        instance,
        "CREATE TABLE orders (id int PRIMARY KEY)",
        "INSERT INTO orders SELECT generate_series(1, 100)",
    )
    return instance


@pytest.fixture(scope="module")
def snapshot(api: Api, production: Any) -> Any:
    """A manual snapshot with 100 orders; production has more afterwards."""
    api.client().create_db_snapshot(DBSnapshotIdentifier="before", DBInstanceIdentifier="production")
    taken, _ = api.until_snapshot("before")
    api.until("production")
    api.sql(production, "INSERT INTO orders SELECT generate_series(101, 150)")
    return taken


# -------------------------------------------------------------------- create, describe


def test_a_new_instance_is_described_as_rds_does(production: Any, binaries: Binaries) -> None:
    assert production["DBInstanceArn"] == f"arn:aws:rds:{HOME}:{ACCOUNT}:db:production"
    assert re.fullmatch(r"db-[A-Z2-7]{26}", production["DbiResourceId"])
    assert production["Endpoint"]["Address"] == "127.0.0.1"
    assert production["EngineVersion"] == binaries.version
    assert (production["StorageType"], production["AllocatedStorage"]) == ("gp3", 20)
    assert (production["StorageEncrypted"], production["KmsKeyId"]) == (True, KEY)
    assert (production["MultiAZ"], production["PubliclyAccessible"]) == (False, False)
    assert production["DBSubnetGroup"]["DBSubnetGroupName"] == "private"
    assert production["DBParameterGroups"] == [
        {"DBParameterGroupName": "tuned", "ParameterApplyStatus": "in-sync"}
    ]
    assert production["VpcSecurityGroups"] == [
        {"VpcSecurityGroupId": "sg-0123456789abcdef0", "Status": "active"}
    ]
    assert production["PendingModifiedValues"] == {}
    assert production["TagList"] == TAGS


def test_only_encrypted_connections_of_the_master_user_are_let_in(api: Api, production: Any) -> None:
    assert api.sql(production, "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()") == [(True,)]
    assert api.sql(production, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user") == [(False,)]
    with pytest.raises(psycopg.OperationalError, match="no encryption"):
        api.sql(production, "SELECT 1", sslmode="disable")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        api.sql(production, "SELECT 1", password="another-password")


def test_data_checksums_are_on_and_ssl_is_forced(api: Api, production: Any) -> None:
    assert api.sql(production, "SHOW data_checksums") == [("on",)]
    assert api.sql(production, "SHOW rds.force_ssl") == [("1",)]


CREATE_REFUSALS = [
    ({"DBInstanceIdentifier": "1st"}, "InvalidParameterValue", None),
    ({"DBInstanceIdentifier": "production"}, "DBInstanceAlreadyExists", "DB instance already exists"),
    ({"DBInstanceClass": "t3.medium"}, "InvalidParameterValue", "Invalid DB Instance class: t3.medium"),
    ({"Engine": "oracle"}, "InvalidParameterValue", "Invalid DB engine: oracle"),
    ({"EngineVersion": "9.6"}, "InvalidParameterCombination", "Cannot find version 9.6 for postgres"),
    (
        {"AllocatedStorage": 5},
        "InvalidParameterValue",
        "Invalid storage size for engine name postgres and storage type gp3: 5",
    ),
    (
        {"BackupRetentionPeriod": 36},
        "InvalidParameterValue",
        "Invalid backup retention period: 36. Must be between 0 and 35.",
    ),
    ({"MasterUserPassword": "short"}, "InvalidParameterValue", None),
    ({"MasterUsername": "rdsadmin"}, "InvalidParameterValue", None),
    (
        {"KmsKeyId": KEY},
        "InvalidParameterCombination",
        "Cannot specify KmsKeyId unless StorageEncrypted is set to true.",
    ),
    ({"VpcSecurityGroupIds": ["default"]}, "InvalidParameterValue", None),
    (
        {"PreferredBackupWindow": "at night"},
        "InvalidParameterValue",
        "Invalid backup window format: at night",
    ),
    (
        {"ManageMasterUserPassword": True},
        "InvalidParameterCombination",
        "The lab does not serve the parameter ManageMasterUserPassword.",
    ),
    ({"Tags": [{"Key": "aws:x", "Value": "y"}]}, "InvalidParameterValue", None),
]


@pytest.mark.parametrize(("change", "code", "message"), CREATE_REFUSALS)
def test_an_impossible_instance_is_refused(
    api: Api, production: Any, change: dict[str, Any], code: str, message: str | None
) -> None:
    with refused(code, message):
        api.create(**({"identifier": change.pop("DBInstanceIdentifier", "other")} | change))
    assert [
        entry["DBInstanceIdentifier"] for entry in api.client().describe_db_instances()["DBInstances"]
    ] == ["production"]


def test_groups_that_are_not_there_are_refused(api: Api) -> None:
    with refused("DBSubnetGroupNotFoundFault", "DB subnet group 'nowhere' does not exist.", 404):
        api.create("other", DBSubnetGroupName="nowhere")
    with refused("DBParameterGroupNotFound", "DBParameterGroup not found: untuned", 404):
        api.create("other", DBParameterGroupName="untuned")


def test_instances_are_found_by_identifier_arn_and_filter(api: Api, production: Any) -> None:
    client = api.client()

    def found(**request: Any) -> list[str]:
        return [
            entry["DBInstanceIdentifier"] for entry in client.describe_db_instances(**request)["DBInstances"]
        ]

    def by(name: str, value: str) -> list[str]:
        return found(Filters=[{"Name": name, "Values": [value]}])

    assert found(DBInstanceIdentifier="PRODUCTION") == ["production"]
    assert found(DBInstanceIdentifier=production["DBInstanceArn"]) == ["production"]
    assert by("dbi-resource-id", production["DbiResourceId"]) == ["production"]
    assert "production" in by("engine", "postgres")
    assert by("engine", "mysql") == by("db-cluster-id", "any") == []
    assert api.client(DR).describe_db_instances()["DBInstances"] == []
    with refused("DBInstanceNotFound", "DBInstance nobody not found.", 404):
        found(DBInstanceIdentifier="nobody")
    with refused("InvalidParameterValue", "Unrecognized filter name: colour"):
        by("colour", "red")


def test_long_lists_come_in_pages(api: Api, binaries: Binaries) -> None:
    pages = (
        api.client()
        .get_paginator("describe_db_parameters")
        .paginate(
            DBParameterGroupName=f"default.postgres{binaries.major}", PaginationConfig={"PageSize": 100}
        )
    )
    names = [parameter["ParameterName"] for page in pages for parameter in page["Parameters"]]
    assert len(names) == len(set(names)) > 300
    assert {"work_mem", "rds.force_ssl"} < set(names)


# -------------------------------------------------------------------- snapshots


def test_a_snapshot_says_what_is_in_it_and_when_it_was(api: Api, production: Any, snapshot: Any) -> None:
    assert (snapshot["SnapshotType"], snapshot["PercentProgress"]) == ("manual", 100)
    assert (snapshot["Encrypted"], snapshot["KmsKeyId"]) == (True, KEY)
    assert snapshot["DbiResourceId"] == production["DbiResourceId"]
    assert snapshot["EngineVersion"] == production["EngineVersion"]
    assert snapshot["OriginalSnapshotCreateTime"] == snapshot["SnapshotCreateTime"]
    assert (
        timedelta()
        <= snapshot["SnapshotCreateTime"] - snapshot["SnapshotDatabaseTime"]
        < timedelta(seconds=20)
    )
    assert snapshot["FullSnapshotSizeInBytes"] > 20 * 2**20
    assert snapshot["TagList"] == TAGS


def test_an_instance_is_backing_up_while_it_is_taken_and_takes_no_second(api: Api, snapshot: Any) -> None:
    client = api.client()
    api.faults.set({"latency": {"snapshot": 60}})
    begun = client.create_db_snapshot(
        DBSnapshotIdentifier="slow", DBInstanceIdentifier="production", Tags=[{"Key": "Slot", "Value": "06Z"}]
    )["DBSnapshot"]
    assert (begun["Status"], begun["PercentProgress"]) == ("creating", 0)
    assert "SnapshotCreateTime" not in begun
    assert api.instance("production")["DBInstanceStatus"] == "backing-up"
    with refused(
        "InvalidDBInstanceState",
        "Cannot create a snapshot because the database instance production is not currently in the available state.",
    ):
        client.create_db_snapshot(DBSnapshotIdentifier="second", DBInstanceIdentifier="production")
    with refused("InvalidDBInstanceState"):
        client.delete_db_instance(DBInstanceIdentifier="production", SkipFinalSnapshot=True)
    with refused("InvalidDBSnapshotState"):
        client.delete_db_snapshot(DBSnapshotIdentifier="slow")
    api.faults.clear()
    taken, _ = api.until_snapshot("slow")
    assert taken["TagList"] == [{"Key": "Slot", "Value": "06Z"}]
    api.until("production")
    api.until_told("0040", "slow")
    api.until_told("0042", "slow")
    assert client.delete_db_snapshot(DBSnapshotIdentifier="slow")["DBSnapshot"]["Status"] == "deleted"
    api.until_told("0041", "slow")
    with refused("DBSnapshotNotFound", "DBSnapshot slow not found.", 404):
        api.snapshot("slow")


def test_a_second_snapshot_of_a_name_is_refused(api: Api, snapshot: Any) -> None:
    with refused(
        "DBSnapshotAlreadyExists",
        "Cannot create the snapshot because a snapshot with the identifier before already exists.",
    ):
        api.client().create_db_snapshot(DBSnapshotIdentifier="Before", DBInstanceIdentifier="production")


def test_the_automated_snapshot_is_named_by_its_minute_and_not_deleted(api: Api, production: Any) -> None:
    client = api.client()
    [automated] = client.describe_db_snapshots(SnapshotType="automated")["DBSnapshots"]
    name = automated["DBSnapshotIdentifier"]
    assert re.fullmatch(r"rds:production-\d{4}-\d\d-\d\d-\d\d-\d\d", name)
    with refused("InvalidDBSnapshotState"):
        client.delete_db_snapshot(DBSnapshotIdentifier=name)
    with refused("DBSnapshotNotFound", status=404):
        api.snapshot(name)
    assert api.snapshot(name, SnapshotType="automated")["SnapshotType"] == "automated"
    for event in ("0090", "0091"):
        api.until_told(event, name)
    for event in ("0005", "0001", "0002"):
        api.until_told(event, "production")


def test_snapshots_are_found_by_instance_type_and_filter(api: Api, production: Any, snapshot: Any) -> None:
    def found(**request: Any) -> set[str]:
        listed = api.client().describe_db_snapshots(**request)["DBSnapshots"]
        return {entry["DBSnapshotIdentifier"] for entry in listed}

    assert "before" in found(DBInstanceIdentifier="production")
    assert found(DBInstanceIdentifier="nobody") == set()
    assert found(SnapshotType="manual") == {"before"}
    assert found(SnapshotType="shared") == set()
    assert "before" in found(DbiResourceId=production["DbiResourceId"])
    assert found(Filters=[{"Name": "db-snapshot-id", "Values": ["before"]}]) == {"before"}


# -------------------------------------------------------------------- restore from a snapshot


def test_a_restore_that_names_nothing_gets_what_nobody_wants(
    api: Api, production: Any, snapshot: Any, binaries: Binaries
) -> None:
    client = api.client()
    api.faults.set({"latency": {"snapshot": 0.3}})
    client.restore_db_instance_from_db_snapshot(DBInstanceIdentifier="trap", DBSnapshotIdentifier="before")
    trap, statuses = api.until("trap")
    api.faults.clear()
    assert statuses[-2:] == ["backing-up", "available"]
    assert trap["TagList"] == TAGS
    assert trap["BackupRetentionPeriod"] == 7
    assert trap["PubliclyAccessible"] is True
    assert trap["DBSubnetGroup"]["DBSubnetGroupName"] == "default"
    assert trap["DBParameterGroups"][0]["DBParameterGroupName"] == f"default.postgres{binaries.major}"
    assert trap["VpcSecurityGroups"][0]["VpcSecurityGroupId"] == "sg-default"
    assert (trap["StorageEncrypted"], trap["KmsKeyId"]) == (True, KEY)
    assert trap["DbiResourceId"] != production["DbiResourceId"]
    assert api.sql(trap, "SELECT count(*), max(id) FROM orders") == [(100, 100)]
    api.until_told("0043", "before")
    with refused("DBInstanceAlreadyExists", "DB instance already exists"):
        client.restore_db_instance_from_db_snapshot(
            DBInstanceIdentifier="trap", DBSnapshotIdentifier="before"
        )
    client.delete_db_instance(DBInstanceIdentifier="trap", SkipFinalSnapshot=True)
    api.until_gone("trap")


def test_a_restore_gets_what_it_names_and_a_new_password_in_a_while(api: Api, snapshot: Any) -> None:
    client = api.client()
    client.restore_db_instance_from_db_snapshot(
        DBInstanceIdentifier="copy",
        DBSnapshotIdentifier=snapshot["DBSnapshotArn"],
        DBInstanceClass="db.t3.small",
        BackupRetentionPeriod=0,
        PubliclyAccessible=False,
        Tags=[{"Key": "Role", "Value": "drill"}],
        **GROUPS,
    )
    copy, statuses = api.until("copy")
    assert "backing-up" not in statuses
    assert copy["TagList"] == [{"Key": "Role", "Value": "drill"}]
    assert (copy["DBInstanceClass"], copy["BackupRetentionPeriod"]) == ("db.t3.small", 0)
    assert copy["DBSubnetGroup"]["DBSubnetGroupName"] == "private"
    assert "LatestRestorableTime" not in copy

    api.faults.set({"latency": {"modify": 60}})
    asked = client.modify_db_instance(DBInstanceIdentifier="copy", MasterUserPassword="a-new-password-1")
    assert asked["DBInstance"]["PendingModifiedValues"] == {"MasterUserPassword": "****"}
    assert asked["DBInstance"]["DBInstanceStatus"] == "available"
    stuck = [{"identifier": "copy", "status": "resetting-master-credentials"}]
    api.faults.set({"latency": {}, "stuck": stuck})
    changing, _ = api.until("copy", "resetting-master-credentials")
    assert changing["PendingModifiedValues"] == {"MasterUserPassword": "****"}
    api.faults.clear()
    changed, _ = api.until("copy")
    assert changed["PendingModifiedValues"] == {}
    assert api.sql(changed, "SELECT count(*) FROM orders", password="a-new-password-1") == [(100,)]
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        api.sql(changed, "SELECT 1")
    api.until_told("0016", "copy")
    client.delete_db_instance(DBInstanceIdentifier="copy", SkipFinalSnapshot=True)
    api.until_gone("copy")
    api.until_told("0003", "copy")


@pytest.mark.parametrize(
    ("change", "code", "status"),
    [
        ({"DBSnapshotIdentifier": "nothing"}, "DBSnapshotNotFound", 404),
        ({"DBInstanceIdentifier": "pro--duction"}, "InvalidParameterValue", 400),
        ({"DBInstanceClass": "large"}, "InvalidParameterValue", 400),
        ({"DBSubnetGroupName": "nowhere"}, "DBSubnetGroupNotFoundFault", 404),
        ({"DBParameterGroupName": "untuned"}, "DBParameterGroupNotFound", 404),
        ({"BackupRetentionPeriod": 40}, "InvalidParameterValue", 400),
        ({"AllocatedStorage": 10_000_000}, "InvalidParameterValue", 400),
    ],
)
def test_an_impossible_restore_is_refused(
    api: Api, snapshot: Any, change: dict[str, Any], code: str, status: int
) -> None:
    parameters: dict[str, Any] = {"DBInstanceIdentifier": "copy", "DBSnapshotIdentifier": "before"}
    with refused(code, status=status):
        api.client().restore_db_instance_from_db_snapshot(**(parameters | change))


# -------------------------------------------------------------------- restore to a point in time


def test_a_point_in_time_restore_has_all_before_and_nothing_after(api: Api, production: Any) -> None:
    api.sql(production, "CREATE TABLE beats (id int)", "INSERT INTO beats VALUES (1)")
    time.sleep(0.01)
    between = datetime.now(UTC)
    time.sleep(0.01)
    api.sql(production, "INSERT INTO beats VALUES (2)")
    after = datetime.now(UTC)
    api.until_restorable("production", after)
    for name, target, beats in (
        ("then", {"RestoreTime": between}, [(1,)]),
        ("latest", {"UseLatestRestorableTime": True}, [(1,), (2,)]),
    ):
        api.client().restore_db_instance_to_point_in_time(
            SourceDBInstanceIdentifier="production",
            TargetDBInstanceIdentifier=name,
            BackupRetentionPeriod=0,
            **target,
        )
        restored, statuses = api.until(name)
        assert "backing-up" not in statuses
        assert restored["TagList"] == TAGS
        assert api.sql(restored, "SELECT id FROM beats ORDER BY id") == beats
        assert api.sql(restored, "SELECT pg_is_in_recovery()") == [(False,)]
        api.until_told("0019", name)
        api.client().delete_db_instance(DBInstanceIdentifier=name, SkipFinalSnapshot=True)


def test_the_restorable_window_is_told_and_kept(api: Api, production: Any) -> None:
    client = api.client()
    [backup] = client.describe_db_instance_automated_backups(DBInstanceIdentifier="production")[
        "DBInstanceAutomatedBackups"
    ]
    assert (backup["Status"], backup["DbiResourceId"]) == ("active", production["DbiResourceId"])
    [automated] = client.describe_db_snapshots(SnapshotType="automated")["DBSnapshots"]
    assert backup["RestoreWindow"]["EarliestTime"] == automated["SnapshotCreateTime"]
    for moment, what in (
        (datetime.now(UTC) + timedelta(minutes=5), "to a time later than"),
        (backup["RestoreWindow"]["EarliestTime"] - timedelta(seconds=1), "to a time earlier than"),
    ):
        with refused("InvalidParameterValue", match=what):
            client.restore_db_instance_to_point_in_time(
                SourceDBInstanceIdentifier="production", TargetDBInstanceIdentifier="copy", RestoreTime=moment
            )


@pytest.mark.parametrize(
    ("target", "code", "status"),
    [
        ({"SourceDBInstanceIdentifier": "production"}, "InvalidParameterCombination", 400),
        (
            {
                "SourceDBInstanceIdentifier": "production",
                "UseLatestRestorableTime": True,
                "RestoreTime": datetime(2026, 1, 1, tzinfo=UTC),
            },
            "InvalidParameterCombination",
            400,
        ),
        ({"UseLatestRestorableTime": True}, "InvalidParameterCombination", 400),
        (
            {"SourceDBInstanceIdentifier": "nobody", "UseLatestRestorableTime": True},
            "DBInstanceNotFound",
            404,
        ),
        ({"SourceDbiResourceId": "db-NONE", "UseLatestRestorableTime": True}, "DBInstanceNotFound", 404),
        (
            {
                "SourceDBInstanceAutomatedBackupsArn": f"arn:aws:rds:{HOME}:{ACCOUNT}:auto-backup:ab-none",
                "UseLatestRestorableTime": True,
            },
            "DBInstanceAutomatedBackupNotFound",
            404,
        ),
    ],
)
def test_an_impossible_point_in_time_is_refused(
    api: Api, production: Any, target: dict[str, Any], code: str, status: int
) -> None:
    with refused(code, status=status):
        api.client().restore_db_instance_to_point_in_time(TargetDBInstanceIdentifier="copy", **target)


# -------------------------------------------------------------------- copies


def test_a_copy_in_another_region_is_a_snapshot_of_its_own_with_the_old_times(
    api: Api, snapshot: Any
) -> None:
    client = api.client(DR)
    with refused(
        "InvalidParameterValue", "Must specify new KMS key for cross region encrypted snapshot copy."
    ):
        _copy(api, snapshot)
    with refused("KMSKeyNotAccessibleFault"):
        _copy(api, snapshot, KmsKeyId=KEY)
    begun = _copy(api, snapshot, KmsKeyId=DR_KEY, Tags=[{"Key": "Owner", "Value": "dr"}])
    assert begun["Status"] == "pending"
    copy, _ = api.until_snapshot("copy", region=DR)
    assert copy["DBSnapshotArn"] == f"arn:aws:rds:{DR}:{ACCOUNT}:snapshot:copy"
    assert copy["SourceDBSnapshotIdentifier"] == snapshot["DBSnapshotArn"]
    assert copy["SourceRegion"] == HOME
    assert copy["KmsKeyId"] == DR_KEY
    assert copy["TagList"] == [{"Key": "Owner", "Value": "dr"}]
    assert copy["OriginalSnapshotCreateTime"] == snapshot["SnapshotCreateTime"]
    assert copy["SnapshotDatabaseTime"] == snapshot["SnapshotDatabaseTime"]
    assert copy["SnapshotCreateTime"] > snapshot["SnapshotCreateTime"]
    api.until_told("0059", "copy", DR)
    api.until_told("0060", "copy", DR)
    with refused("DBSnapshotAlreadyExists"):
        _copy(api, snapshot, KmsKeyId=DR_KEY)
    ours, theirs = (
        api.rds.snapshot_directory(region, name) for region, name in ((HOME, "before"), (DR, "copy"))
    )
    same = [
        (ours / name).read_bytes() == (theirs / name).read_bytes() for name in ("PG_VERSION", "backup_label")
    ]
    assert same == [True, True]
    assert not (ours / "PG_VERSION").samefile(theirs / "PG_VERSION")
    client.restore_db_instance_from_db_snapshot(
        DBInstanceIdentifier="there", DBSnapshotIdentifier="copy", BackupRetentionPeriod=0
    )
    there, _ = api.until("there", region=DR)
    assert there["KmsKeyId"] == DR_KEY
    assert api.sql(there, "SELECT count(*) FROM orders") == [(100,)]
    with refused("DBSnapshotNotFound", status=404):
        client.restore_db_instance_from_db_snapshot(
            DBInstanceIdentifier="here", DBSnapshotIdentifier=snapshot["DBSnapshotArn"]
        )
    client.delete_db_instance(DBInstanceIdentifier="there", SkipFinalSnapshot=True)
    client.delete_db_snapshot(DBSnapshotIdentifier="copy")


def test_copies_of_one_instance_wait_for_each_other_and_end_with_their_source(
    api: Api, production: Any
) -> None:
    api.until("production")
    client = api.client(DR)
    api.client().create_db_snapshot(DBSnapshotIdentifier="source", DBInstanceIdentifier="production")
    source, _ = api.until_snapshot("source")
    api.faults.set({"latency": {"copy": 60}})
    for name in ("first", "second"):
        _copy(api, source, name, KmsKeyId=DR_KEY)
    api.until_snapshot("first", "creating", DR)
    time.sleep(0.1)
    assert api.snapshot("second", DR)["Status"] == "pending"
    api.client().delete_db_snapshot(DBSnapshotIdentifier="source")
    api.faults.clear()
    for name in ("first", "second"):
        api.until_snapshot(name, "failed", DR)
        api.until_told("0061", name, DR)
        client.delete_db_snapshot(DBSnapshotIdentifier=name)
    api.until("production")


def test_a_copy_in_its_own_region_may_take_the_tags_along(api: Api, snapshot: Any) -> None:
    copied = api.client().copy_db_snapshot(
        SourceDBSnapshotIdentifier="before", TargetDBSnapshotIdentifier="twin", CopyTags=True
    )["DBSnapshot"]
    assert copied["TagList"] == TAGS
    twin, _ = api.until_snapshot("twin")
    assert twin["KmsKeyId"] == KEY
    assert "SourceRegion" not in twin
    api.until_told("0197", "twin")
    api.client().delete_db_snapshot(DBSnapshotIdentifier="twin")


def test_what_is_not_there_is_not_copied(api: Api) -> None:
    with refused("DBSnapshotNotFound", "DBSnapshot nothing not found.", 404):
        api.client().copy_db_snapshot(SourceDBSnapshotIdentifier="nothing", TargetDBSnapshotIdentifier="x")


def _copy(api: Api, source: Any, name: str = "copy", **more: Any) -> Any:
    return api.client(DR).copy_db_snapshot(
        SourceDBSnapshotIdentifier=source["DBSnapshotArn"],
        TargetDBSnapshotIdentifier=name,
        SourceRegion=HOME,
        **more,
    )["DBSnapshot"]


# -------------------------------------------------------------------- tags, quotas, versions, events


def test_tags_are_listed_added_and_removed(api: Api, snapshot: Any) -> None:
    client, arn = api.client(), snapshot["DBSnapshotArn"]
    client.add_tags_to_resource(ResourceName=arn, Tags=[{"Key": "Proved", "Value": "yes"}])
    assert {"Key": "Proved", "Value": "yes"} in client.list_tags_for_resource(ResourceName=arn)["TagList"]
    client.remove_tags_from_resource(ResourceName=arn, TagKeys=["Proved"])
    assert client.list_tags_for_resource(ResourceName=arn)["TagList"] == TAGS
    with refused("DBInstanceNotFound", status=404):
        client.list_tags_for_resource(ResourceName=f"arn:aws:rds:{HOME}:{ACCOUNT}:db:nobody")
    with refused("InvalidParameterValue", "Invalid resource name: shop"):
        client.list_tags_for_resource(ResourceName="shop")


def test_quotas_are_told_with_their_use(api: Api, snapshot: Any) -> None:
    quotas = {
        quota["AccountQuotaName"]: (quota["Used"], quota["Max"])
        for quota in api.client().describe_account_attributes()["AccountQuotas"]
    }
    assert quotas["ManualSnapshots"] == (1, 100)
    assert quotas["DBInstances"] == (1, 40)


def test_the_engine_version_is_the_servers_own(api: Api, production: Any, binaries: Binaries) -> None:
    [version] = api.client().describe_db_engine_versions(Engine="postgres", EngineVersion=binaries.version)[
        "DBEngineVersions"
    ]
    assert version["DBParameterGroupFamily"] == f"postgres{binaries.major}"
    assert api.sql(production, "SHOW server_version")[0][0].startswith(version["EngineVersion"])
    assert api.client().describe_db_engine_versions(Engine="mysql")["DBEngineVersions"] == []


def test_events_are_described(api: Api, snapshot: Any) -> None:
    told = api.client().describe_events(SourceIdentifier="before", SourceType="db-snapshot")["Events"]
    assert [event["Message"] for event in told][:2] == ["Creating manual snapshot", "Manual snapshot created"]
    assert told[0]["SourceArn"] == snapshot["DBSnapshotArn"]


def test_an_action_that_the_lab_does_not_serve_is_refused(api: Api) -> None:
    with refused("InvalidAction"):
        api.client().describe_db_clusters()
