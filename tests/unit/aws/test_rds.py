from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from pgdrill.aws.rds import Instance, Rds, lease_of, restore_call
from pgdrill.errors import Broken, Busy, DrillError, NotOurs, NotRunnable, Unavailable
from pgdrill.model import Lease, PointKind, Recovered, RecoveryPoint, Shape
from tests.unit.clients import REGION, scripted
from tests.unit.plans import plan

NOW = datetime(2026, 11, 22, 6, tzinfo=UTC)
LEASE = Lease(instance="pgdrill-lab-drill-shop", drill="d1", database="shop", expires_at=NOW)
SHAPE = Shape(instance_class="db.t3.medium")
POINT = RecoveryPoint(
    id="pgdrill-lab-shop-1",
    kind=PointKind.SNAPSHOT,
    region=REGION,
    source="shop-production",
    recovers_to=NOW,
    engine_version="15.18",
    storage_gb=20,
    encrypted=True,
    kms_key="k",
)


def described(tags: dict[str, str], identifier: str = LEASE.instance, **changes: Any) -> dict[str, Any]:
    instance = {
        "DBInstanceIdentifier": identifier,
        "DBInstanceArn": f"arn:aws:rds:{REGION}:000000000000:db:{identifier}",
        "DBInstanceStatus": "available",
        "DbiResourceId": "db-1",
        "DBInstanceClass": "db.t3.medium",
        "EngineVersion": "15.18",
        "AllocatedStorage": 20,
        "MultiAZ": False,
        "MasterUsername": "master",
        "Endpoint": {"Address": "127.0.0.1", "Port": 5432},
        "PubliclyAccessible": False,
        "StorageEncrypted": True,
        "BackupRetentionPeriod": 0,
        "DeletionProtection": False,
        "TagList": [{"Key": key, "Value": value} for key, value in tags.items()],
    }
    return {"DBInstances": [instance | changes]}


Change = Callable[[Rds], object]
CHANGES: list[Change] = [
    lambda rds: rds.delete(LEASE),
    lambda rds: rds.set_password(LEASE, "secret-of-the-drill"),
]


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize(
    "missing", ["ManagedBy", "PgDrillRole", "PgDrillDrill", "PgDrillDatabase", "PgDrillExpires"]
)
def test_nothing_that_lacks_a_part_of_the_lease_is_ever_changed(change: Change, missing: str) -> None:
    client, script = scripted("rds")
    tags = {key: value for key, value in LEASE.tags().items() if key != missing}
    script.add_response("describe_db_instances", described(tags))
    with pytest.raises(NotOurs) as refused:
        change(Rds(client))
    assert refused.value.message == (
        "instance 'pgdrill-lab-drill-shop' carries no lease of pgdrill's; it is left alone"
    )
    assert refused.value.hint == (
        "somebody used the name of pgdrill's temporary instance; rename or delete it by hand"
    )


@pytest.mark.parametrize("change", CHANGES)
def test_an_instance_under_another_lease_is_left_alone(change: Change) -> None:
    client, script = scripted("rds")
    script.add_response("describe_db_instances", described(LEASE.tags() | {"PgDrillDrill": "d2"}))
    with pytest.raises(Busy) as refused:
        change(Rds(client))
    assert (
        refused.value.message
        == "database 'shop' is being drilled by d2 until 2026-11-22T06:00:00Z at the latest"
    )
    assert refused.value.hint == "wait for it, or, if it is dead, end it with: pgdrill drill reap --drill d2"


def test_production_with_every_tag_of_a_lease_is_still_not_ours() -> None:
    answer = described(LEASE.tags(), identifier="shop-production")
    client, script = scripted("rds")
    script.add_response("describe_db_instances", answer)
    instance = Rds(client).instance("shop-production")
    assert instance is not None
    assert lease_of(instance) is None


def test_a_lease_is_read_back_from_the_tags_it_made() -> None:
    client, script = scripted("rds")
    script.add_response("describe_db_instances", described(LEASE.tags()))
    instance = Rds(client).instance(LEASE.instance)
    assert instance is not None
    assert lease_of(instance) == LEASE


def test_what_is_ours_is_deleted_without_a_last_snapshot_and_asked_for_until_it_is_gone() -> None:
    client, script = scripted("rds")
    script.add_response("describe_db_instances", described(LEASE.tags()))
    script.add_response(
        "delete_db_instance",
        {},
        {"DBInstanceIdentifier": LEASE.instance, "SkipFinalSnapshot": True, "DeleteAutomatedBackups": True},
    )
    script.add_response("describe_db_instances", described(LEASE.tags(), DBInstanceStatus="deleting"))
    script.add_client_error("describe_db_instances", "DBInstanceNotFound", http_status_code=404)
    rds = Rds(client)
    assert [rds.delete(LEASE), rds.delete(LEASE), rds.delete(LEASE)] == [False, False, True]
    script.assert_no_pending_responses()


def test_a_restore_names_every_parameter_that_isolates() -> None:
    client, script = scripted("rds")
    tags = plan().tags.model_dump() | LEASE.tags()
    script.add_response(
        "restore_db_instance_from_db_snapshot",
        {},
        {
            "DBSnapshotIdentifier": POINT.id,
            "DBInstanceIdentifier": LEASE.instance,
            "DBInstanceClass": "db.t3.medium",
            "DBSubnetGroupName": "drill-subnets",
            "VpcSecurityGroupIds": ["sg-1"],
            "DBParameterGroupName": "drill-parameters",
            "PubliclyAccessible": False,
            "MultiAZ": False,
            "DeletionProtection": False,
            "AutoMinorVersionUpgrade": False,
            "CopyTagsToSnapshot": False,
            "BackupRetentionPeriod": 0,
            "EnableIAMDatabaseAuthentication": False,
            "EngineLifecycleSupport": "open-source-rds-extended-support-disabled",
            "Tags": [{"Key": key, "Value": value} for key, value in sorted(tags.items())],
        },
    )
    Rds(client).restore(POINT, LEASE, plan().primary.place, SHAPE, plan().tags.model_dump())
    script.assert_no_pending_responses()


def test_a_restore_that_was_heard_before_is_adopted() -> None:
    client, script = scripted("rds")
    script.add_client_error("restore_db_instance_from_db_snapshot", "DBInstanceAlreadyExists")
    script.add_response("describe_db_instances", described(LEASE.tags()))
    Rds(client).restore(POINT, LEASE, plan().primary.place, SHAPE, {})
    script.assert_no_pending_responses()


def test_an_instance_of_that_name_without_a_lease_is_not_adopted() -> None:
    client, script = scripted("rds")
    script.add_client_error("restore_db_instance_from_db_snapshot", "DBInstanceAlreadyExists")
    script.add_response("describe_db_instances", described({"Environment": "production"}))
    with pytest.raises(NotOurs):
        Rds(client).restore(POINT, LEASE, plan().primary.place, SHAPE, {})


@pytest.mark.parametrize(
    ("code", "kind", "hint"),
    [
        ("ThrottlingException", Unavailable, "RDS may accept the same call later; it is retried"),
        ("InsufficientDBInstanceCapacity", Unavailable, "RDS may accept the same call later; it is retried"),
        (
            "AccessDenied",
            NotRunnable,
            "the role lacks a permission; docs/permissions.md lists what each step calls",
        ),
        (
            "InstanceQuotaExceeded",
            NotRunnable,
            "delete instances that are not needed or raise the quota of DB instances in this region",
        ),
        ("InvalidParameterValue", NotRunnable, "see the RDS API reference for this error code"),
    ],
)
def test_a_refused_restore_names_point_instance_and_code(
    code: str, kind: type[DrillError], hint: str
) -> None:
    client, script = scripted("rds")
    script.add_client_error("restore_db_instance_from_db_snapshot", code, "because")
    with pytest.raises(kind) as refused:
        Rds(client).restore(POINT, LEASE, plan().primary.place, SHAPE, {})
    assert (
        refused.value.message
        == f"cannot restore 'pgdrill-lab-shop-1' as 'pgdrill-lab-drill-shop': {code}: because"
    )
    assert refused.value.hint == hint


MARK = Recovered(instance="pgdrill-lab-recovered-shop-202611220600", drill="d1", database="shop")


def test_a_recovered_instance_is_restored_as_production_and_carries_no_lease() -> None:
    client, script = scripted("rds")
    shape = Shape(instance_class="db.t3.small", multi_az=True, retention_days=7, deletion_protection=True)
    sent: dict[str, Any] = {}
    client.meta.events.register("provide-client-params.rds.*", lambda params, **_: sent.update(params))
    script.add_response("restore_db_instance_from_db_snapshot", {})
    Rds(client).restore(POINT, MARK, plan().primary.place, shape, {})
    assert {key: sent[key] for key in ("MultiAZ", "DeletionProtection", "BackupRetentionPeriod")} == {
        "MultiAZ": True,
        "DeletionProtection": True,
        "BackupRetentionPeriod": 7,
    }
    tags = {tag["Key"]: tag["Value"] for tag in sent["Tags"]}
    script.add_response("describe_db_instances", described(tags, identifier=MARK.instance))
    instance = Rds(client).instance(MARK.instance)
    assert instance is not None
    assert lease_of(instance) is None


def test_a_recovered_instance_of_another_recovery_is_left_alone() -> None:
    client, script = scripted("rds")
    tags = MARK.tags() | {"PgDrillDrill": "d2"}
    script.add_response("describe_db_instances", described(tags, identifier=MARK.instance))
    with pytest.raises(NotOurs) as refused:
        Rds(client).set_password(MARK, "secret-of-the-drill")
    assert refused.value.message == (
        "instance 'pgdrill-lab-recovered-shop-202611220600' was not recovered by d1; it is left alone"
    )


def test_a_region_that_answers_503_may_answer_later() -> None:
    client, script = scripted("rds")
    script.add_client_error("describe_db_instances", "503", "Service Unavailable", http_status_code=503)
    with pytest.raises(Unavailable) as refused:
        Rds(client).instance("shop-production")
    assert refused.value.message == "cannot describe 'shop-production': 503: Service Unavailable"


def test_a_password_is_not_set_on_what_is_gone() -> None:
    client, script = scripted("rds")
    script.add_client_error("describe_db_instances", "DBInstanceNotFound", http_status_code=404)
    with pytest.raises(Broken) as refused:
        Rds(client).set_password(LEASE, "secret-of-the-drill")
    assert refused.value.message == ("instance 'pgdrill-lab-drill-shop' is gone before its drill ended")


def test_only_leases_of_this_suffix_are_reaped() -> None:
    client, script = scripted("rds")
    mine = described(LEASE.tags())["DBInstances"]
    other = described(LEASE.tags(), identifier="pgdrill-prod-drill-shop")["DBInstances"]
    # Of suffix `lab-drill`, whose names begin as those of suffix `lab` do.
    longer = described(LEASE.tags(), identifier="pgdrill-lab-drill-drill-shop")["DBInstances"]
    production = described(LEASE.tags(), identifier="shop-production")["DBInstances"]
    script.add_response("describe_db_instances", {"DBInstances": mine + other + longer + production})
    found: list[tuple[Instance, Lease]] = Rds(client).leased("lab")
    assert [lease.instance for _, lease in found] == ["pgdrill-lab-drill-shop"]


@pytest.mark.parametrize(
    ("found", "status"),
    [
        ([{"EngineVersion": "15.9", "Status": "deprecated"}], "deprecated"),
        ([{"EngineVersion": "15.9", "Status": "available"}], "available"),
        ([], None),
    ],
)
def test_the_status_of_an_engine_version_is_that_of_its_region(
    found: list[dict[str, str]], status: str | None
) -> None:
    client, script = scripted("rds")
    asked = {"Engine": "postgres", "EngineVersion": "15.9", "IncludeAll": True}
    script.add_response("describe_db_engine_versions", {"DBEngineVersions": found}, asked)
    assert Rds(client).engine_status("15.9") == status


def test_the_windows_of_an_instance_are_read() -> None:
    client, script = scripted("rds")
    windows = {
        "PreferredBackupWindow": "18:00-18:30",
        "PreferredMaintenanceWindow": "sun:19:30-sun:20:00",
    }
    script.add_response("describe_db_instances", described({}, **windows))
    instance = Rds(client).instance("shop-production")
    assert instance is not None
    assert (instance.backup_window, instance.maintenance_window) == ("18:00-18:30", "sun:19:30-sun:20:00")


@pytest.mark.parametrize(
    ("arn", "source"),
    [
        (None, {"SourceDBInstanceIdentifier": "shop-production"}),
        ("arn:aws:rds:r:0:auto-backup:ab-1", {"SourceDbiResourceId": "db-1"}),
    ],
    ids=["of an instance", "of what outlived it"],
)
def test_a_moment_is_asked_for_where_its_backups_are(arn: str | None, source: dict[str, str]) -> None:
    moment = POINT.model_copy(update={"kind": PointKind.PITR, "arn": arn, "resource": "db-1"})
    place = plan().primary.place
    method, parameters = restore_call(moment, LEASE, place, SHAPE, {})
    assert method == "restore_db_instance_to_point_in_time"
    assert {key: value for key, value in parameters.items() if key.startswith("Source")} == source
    assert parameters["RestoreTime"] == NOW


# What `restore_call` says that it leaves to RDS.
LEFT = {
    "Engine", "Port", "AllocatedStorage", "MaxAllocatedStorage", "StorageType", "Iops", "StorageThroughput",
    "DedicatedLogVolume", "OptionGroupName", "CACertificateIdentifier", "NetworkType", "AvailabilityZone",
    "EnableCloudwatchLogsExports", "PreferredBackupWindow",
}  # fmt: skip
# Of other engines, RDS Custom, Outposts, directories, and other ways to say what is said.
ELSEWHERE = {
    "AdditionalStorageVolumes", "BackupTarget", "CustomIamInstanceProfile", "DBClusterSnapshotIdentifier", "DBName",
    "Domain", "DomainAuthSecretArn", "DomainDnsIps", "DomainFqdn", "DomainIAMRoleName", "DomainOu",
    "EnableCustomerOwnedIp", "LicenseModel", "ManageMasterUserPassword", "MasterUserSecretKmsKeyId",
    "ProcessorFeatures", "UseDefaultProcessorFeatures", "SourceDBInstanceAutomatedBackupsArn", "SourceDbiResourceId",
    "TagSpecifications", "TdeCredentialArn", "TdeCredentialPassword", "UseLatestRestorableTime",
}  # fmt: skip


@pytest.mark.parametrize("kind", [PointKind.SNAPSHOT, PointKind.PITR])
def test_a_restore_names_all_that_rds_could_fill_in_but_for_what_it_says(kind: PointKind) -> None:
    point = POINT.model_copy(update={"kind": kind})
    method, parameters = restore_call(point, LEASE, plan().primary.place, SHAPE, {})
    client, _ = scripted("rds")
    operation = client.meta.method_to_api_mapping[method]
    members = set(client.meta.service_model.operation_model(operation).input_shape.members)
    assert members - set(parameters) - ELSEWHERE == members & LEFT
    assert set(parameters) <= members


def test_the_window_of_an_earlier_instance_of_the_same_name_is_not_its_own() -> None:
    client, script = scripted("rds")
    early, late = NOW.replace(hour=1), NOW.replace(hour=2)
    entries = [
        {"Status": status, "RestoreWindow": {"EarliestTime": early, "LatestTime": latest}}
        for status, latest in (("retained", NOW), ("active", late))
    ]
    script.add_response("describe_db_instance_automated_backups", {"DBInstanceAutomatedBackups": entries})
    assert Rds(client).window("shop-production") == (early, late)
