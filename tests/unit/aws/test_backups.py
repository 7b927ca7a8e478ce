"""What outlived a temporary instance is deleted, and no other automated backup, whatever became of it meanwhile."""

from typing import Any

import pytest

from pgdrill.aws.backups import Backup, Backups
from pgdrill.errors import NotOurs, Unavailable
from tests.unit.clients import REGION, scripted

ARN = f"arn:aws:rds:{REGION}:000000000000:auto-backup:ab-1"
TEMPORARY = "pgdrill-lab-drill-shop"
BACKUP = Backup(
    arn=ARN,
    source=TEMPORARY,
    resource="db-1",
    status="retained",
    engine_version="15.18",
    storage_gb=20,
    encrypted=True,
)


def described(**changes: Any) -> dict[str, Any]:
    entry = {
        "DBInstanceAutomatedBackupsArn": ARN,
        "DBInstanceIdentifier": TEMPORARY,
        "DbiResourceId": "db-1",
        "Status": "retained",
        "EngineVersion": "15.18",
        "AllocatedStorage": 20,
        "Encrypted": True,
    }
    return {"DBInstanceAutomatedBackups": [entry | changes]}


def test_only_what_outlived_its_instance_is_listed() -> None:
    client, script = scripted("rds")
    entries = (
        described()["DBInstanceAutomatedBackups"] + described(Status="active")["DBInstanceAutomatedBackups"]
    )
    script.add_response("describe_db_instance_automated_backups", {"DBInstanceAutomatedBackups": entries})
    assert Backups(client).retained() == [BACKUP]


def test_it_is_asked_for_once_and_gone_when_rds_says_so() -> None:
    client, script = scripted("rds")
    wanted = {"DBInstanceAutomatedBackupsArn": ARN}
    script.add_response("describe_db_instance_automated_backups", described(), wanted)
    script.add_response("delete_db_instance_automated_backup", {}, wanted)
    script.add_response("describe_db_instance_automated_backups", described(Status="deleting"), wanted)
    script.add_client_error("describe_db_instance_automated_backups", "DBInstanceAutomatedBackupNotFound")
    backups = Backups(client)
    assert [backups.delete(BACKUP, TEMPORARY) for _ in range(3)] == [False, False, True]
    script.assert_no_pending_responses()


@pytest.mark.parametrize(
    ("changes", "temporary"),
    [
        ({"Status": "active"}, TEMPORARY),
        ({"DBInstanceIdentifier": "shop-production"}, TEMPORARY),
        ({"DbiResourceId": "db-2"}, TEMPORARY),
        ({}, "pgdrill-lab-drill-other"),
    ],
)
def test_what_is_not_the_one_that_was_chosen_is_left_alone(changes: dict[str, str], temporary: str) -> None:
    client, script = scripted("rds")
    script.add_response("describe_db_instance_automated_backups", described(**changes))
    with pytest.raises(NotOurs) as refused:
        Backups(client).delete(BACKUP, temporary)
    source = changes.get("DBInstanceIdentifier", TEMPORARY)
    status = changes.get("Status", "retained")
    assert refused.value.message == f"automated backup {ARN!r} of {source!r} is {status!r}; it is left alone"
    assert refused.value.hint == f"only what outlived {temporary!r} is deleted; see it in RDS"


def test_a_refusal_that_may_pass_is_told_as_such() -> None:
    client, script = scripted("rds")
    script.add_client_error("describe_db_instance_automated_backups", "ThrottlingException", "Rate exceeded")
    with pytest.raises(Unavailable) as refused:
        Backups(client).retained()
    assert refused.value.message == (
        f"cannot list the automated backups of {REGION!r}: ThrottlingException: Rate exceeded"
    )
