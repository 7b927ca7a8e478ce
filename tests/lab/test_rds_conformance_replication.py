"""Automated backups that are replicated to another region: listed there, retained once that ends, and deleted."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pgdrill.lab.postgres import Binaries
from pgdrill.lab.tls import Authority
from tests.lab.rds_api import ACCOUNT, DR, DR_KEY, HOME, KEY, Api, refused, served, unusable

SOURCE = f"arn:aws:rds:{HOME}:{ACCOUNT}:db:shop"


@pytest.fixture(scope="module")
def api(ground: Path, binaries: Binaries, authority: Authority) -> Iterator[Api]:
    with served(ground, binaries, authority) as api:
        api.create("shop", BackupRetentionPeriod=7, StorageEncrypted=True, KmsKeyId=KEY)
        api.create("plain")
        api.until("shop")
        api.until("plain")
        yield api


def there(api: Api) -> list[Any]:
    return api.client(DR).describe_db_instance_automated_backups()["DBInstanceAutomatedBackups"]


def test_it_is_asked_for_in_the_other_region_with_a_key_of_that_region(api: Api) -> None:
    start = api.client(DR).start_db_instance_automated_backups_replication
    with refused("InvalidParameterValue", "Must specify KMS key for encrypted automated backups."):
        start(SourceDBInstanceArn=SOURCE)
    with refused("KMSKeyNotAccessibleFault", unusable(KEY)):
        start(SourceDBInstanceArn=SOURCE, KmsKeyId=KEY)
    with refused("InvalidParameterValue", f"{SOURCE} is not the ARN of a DB instance in another region."):
        api.client().start_db_instance_automated_backups_replication(SourceDBInstanceArn=SOURCE, KmsKeyId=KEY)
    with refused("InvalidDBInstanceState", "DB instance plain has no automated backups to replicate."):
        start(SourceDBInstanceArn=SOURCE.replace("shop", "plain"))
    with refused("DBInstanceNotFound", status=404):
        start(SourceDBInstanceArn=SOURCE.replace("shop", "nobody"))
    assert there(api) == []


def test_what_is_replicated_is_listed_over_there_and_retained_once_that_ends(api: Api) -> None:
    client = api.client(DR)
    started = client.start_db_instance_automated_backups_replication(
        SourceDBInstanceArn=SOURCE, KmsKeyId=DR_KEY, BackupRetentionPeriod=7
    )["DBInstanceAutomatedBackup"]
    (home,) = api.client().describe_db_instance_automated_backups()["DBInstanceAutomatedBackups"]
    (listed,) = there(api)
    assert listed["DBInstanceAutomatedBackupsArn"] == started["DBInstanceAutomatedBackupsArn"]
    assert listed["DBInstanceAutomatedBackupsArn"].split(":")[3] == DR
    assert listed["DBInstanceArn"] == SOURCE
    assert (listed["Status"], listed["Region"], listed["KmsKeyId"]) == ("replicating", HOME, DR_KEY)
    assert (listed["DbiResourceId"], listed["BackupRetentionPeriod"]) == (home["DbiResourceId"], 7)
    with refused("InvalidDBInstanceState", "Automated backups of shop are replicated already."):
        client.start_db_instance_automated_backups_replication(SourceDBInstanceArn=SOURCE, KmsKeyId=DR_KEY)
    with refused("InvalidDBInstanceAutomatedBackupState"):
        client.delete_db_instance_automated_backup(
            DBInstanceAutomatedBackupsArn=listed["DBInstanceAutomatedBackupsArn"]
        )
    with refused("InvalidRestoreFault", match="restores nothing from it"):
        client.restore_db_instance_to_point_in_time(
            SourceDBInstanceAutomatedBackupsArn=listed["DBInstanceAutomatedBackupsArn"],
            TargetDBInstanceIdentifier="again",
            UseLatestRestorableTime=True,
        )

    client.stop_db_instance_automated_backups_replication(SourceDBInstanceArn=SOURCE)
    assert [backup["Status"] for backup in there(api)] == ["retained"]
    with refused("InvalidDBInstanceState", "Automated backups of shop are not replicated."):
        client.stop_db_instance_automated_backups_replication(SourceDBInstanceArn=SOURCE)
    client.delete_db_instance_automated_backup(
        DBInstanceAutomatedBackupsArn=listed["DBInstanceAutomatedBackupsArn"]
    )
    assert there(api) == []
    (untouched,) = api.client().describe_db_instance_automated_backups()["DBInstanceAutomatedBackups"]
    assert (untouched["Status"], untouched["KmsKeyId"]) == ("active", KEY)


def test_what_is_replicated_is_retained_when_its_source_is_deleted(api: Api) -> None:
    api.client(DR).start_db_instance_automated_backups_replication(
        SourceDBInstanceArn=SOURCE, KmsKeyId=DR_KEY
    )
    api.client().delete_db_instance(DBInstanceIdentifier="shop", SkipFinalSnapshot=True)
    api.until_gone("shop")
    assert [(backup["DBInstanceIdentifier"], backup["Status"]) for backup in there(api)] == [
        ("shop", "retained")
    ]
