"""The lab's RDS with keys that are not enabled: nothing is made, copied or restored with one, and all of it with one that is."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pgdrill.lab.postgres import Binaries
from pgdrill.lab.tls import Authority
from tests.lab.labs import until
from tests.lab.rds_api import ACCOUNT, DR, DR_KEY, HOME, KEY, Api, refused, served, unusable

MANAGED = f"arn:aws:kms:{HOME}:{ACCOUNT}:alias/aws/rds"


@pytest.fixture(scope="module")
def api(ground: Path, binaries: Binaries, authority: Authority) -> Iterator[Api]:
    with served(ground, binaries, authority) as api:
        api.create("shop", StorageEncrypted=True, KmsKeyId=KEY)
        api.until("shop")
        api.client().create_db_snapshot(DBSnapshotIdentifier="taken", DBInstanceIdentifier="shop")
        api.until_snapshot("taken")
        api.until("shop")
        yield api


@pytest.fixture(autouse=True)
def _every_key_enabled(api: Api) -> Iterator[None]:
    yield
    api.keys.disabled.clear()


def copy(api: Api, name: str, region: str, **more: Any) -> None:
    api.client(region).copy_db_snapshot(
        SourceDBSnapshotIdentifier=f"arn:aws:rds:{HOME}:{ACCOUNT}:snapshot:taken",
        TargetDBSnapshotIdentifier=name,
        SourceRegion=HOME,
        **more,
    )


@pytest.mark.parametrize("disabled", [KEY, DR_KEY])
def test_a_copy_takes_the_key_of_its_source_and_its_own(api: Api, disabled: str) -> None:
    api.keys.disabled.add(disabled)
    with refused("KMSKeyNotAccessibleFault", unusable(disabled)):
        copy(api, "copy", DR, KmsKeyId=DR_KEY)
    with refused("DBSnapshotNotFound", status=404):
        api.snapshot("copy", DR)
    api.keys.disabled.clear()
    copy(api, "copy", DR, KmsKeyId=DR_KEY)
    api.until_snapshot("copy", region=DR)
    api.client(DR).delete_db_snapshot(DBSnapshotIdentifier="copy")


def test_a_copy_in_its_own_region_takes_the_key_of_its_source(api: Api) -> None:
    api.keys.disabled.add(KEY)
    with refused("KMSKeyNotAccessibleFault", unusable(KEY)):
        copy(api, "twin", HOME)
    api.keys.disabled.clear()
    copy(api, "twin", HOME)
    api.until_snapshot("twin")


def test_no_snapshot_is_taken_of_an_instance_whose_key_is_disabled(api: Api) -> None:
    def take() -> None:
        api.client().create_db_snapshot(DBSnapshotIdentifier="later", DBInstanceIdentifier="shop")

    api.keys.disabled.add(KEY)
    with refused(
        "InvalidDBInstanceState",
        "Cannot create a snapshot because the database instance shop is not currently in the available state.",
    ):
        take()
    with refused("KMSKeyNotAccessibleFault", unusable(KEY)):
        api.client().delete_db_instance(DBInstanceIdentifier="shop", FinalDBSnapshotIdentifier="last")
    api.keys.disabled.clear()
    take()
    api.until_snapshot("later")
    api.until("shop")


def test_a_daily_snapshot_fails_while_the_key_is_disabled(api: Api) -> None:
    api.client().modify_db_instance(
        DBInstanceIdentifier="shop", BackupRetentionPeriod=1, ApplyImmediately=True
    )

    def taken() -> list[str]:
        found = api.client().describe_db_snapshots(DBInstanceIdentifier="shop", SnapshotType="automated")
        return [each["Status"] for each in found["DBSnapshots"]]

    until(lambda: taken() == ["available"])
    api.until("shop")
    api.keys.disabled.add(KEY)
    api.rds.back_up(HOME, "shop")
    until(lambda: taken() == ["available", "failed"])
    api.until("shop")
    api.keys.disabled.clear()
    api.rds.back_up(HOME, "shop")
    until(lambda: taken() == ["available", "available"])


def test_an_instance_is_made_and_restored_with_an_enabled_key_alone(api: Api) -> None:
    encrypted = {"StorageEncrypted": True, "KmsKeyId": KEY}
    api.keys.disabled.add(KEY)
    with refused("KMSKeyNotAccessibleFault", unusable(KEY)):
        api.create("second", **encrypted)
    with refused("KMSKeyNotAccessibleFault", unusable(KEY)):
        api.client().restore_db_instance_from_db_snapshot(
            DBInstanceIdentifier="second", DBSnapshotIdentifier="taken"
        )
    with refused("KMSKeyNotAccessibleFault", unusable(DR_KEY)):
        api.create("second", **encrypted | {"KmsKeyId": DR_KEY})
    api.keys.disabled.clear()
    api.create("second", **encrypted)
    api.until("second")


def test_the_key_that_aws_manages_is_always_enabled(api: Api) -> None:
    api.keys.disabled.add(MANAGED)
    made = api.create("managed", StorageEncrypted=True)
    assert made["KmsKeyId"] == MANAGED
    api.until("managed")
