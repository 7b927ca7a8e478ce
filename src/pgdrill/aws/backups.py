"""Automated backups that outlived their instance: production's can be recovered, a temporary one's are deleted.

RDS keeps them under the name of an instance that is gone. A drill's instance has none unless somebody gave it
a retention. Nothing here waits or polls; the caller does.
"""

from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from pgdrill.aws.refusal import code, translated, unreachable
from pgdrill.errors import NotOurs
from pgdrill.model import Model, Moment

if TYPE_CHECKING:
    from mypy_boto3_rds import RDSClient

RETAINED = "retained"


class Backup(Model):
    """Automated backups of one instance, all of them. `retained` once their instance is gone.

    `window` is what PITR can reach, None where there is no complete backup.
    """

    arn: str
    source: str
    resource: str
    status: str
    window: tuple[Moment, Moment] | None = None
    engine_version: str
    storage_gb: int
    encrypted: bool
    kms_key: str | None = None


class Backups:
    def __init__(self, client: "RDSClient") -> None:
        self._client = client
        self.region = client.meta.region_name

    def retained(self) -> list[Backup]:
        """Return all in this region that outlived their instance."""
        return [backup for backup in self._list() if backup.status == RETAINED]

    def of(self, source: str) -> list[Backup]:
        """Return those of the instance of that name, and of earlier instances of that name."""
        return self._list(DBInstanceIdentifier=source)

    def delete(self, backup: Backup, temporary: str) -> bool:
        """Ask for the deletion of what outlived the instance `temporary`; return True once it is gone.

        Raises:
            NotOurs: it is no longer what was chosen: its instance is there, or had another name.
        """
        now = self._find(backup)
        if now is None:
            return True
        if now.status == "deleting":
            return False
        chosen = (backup.resource, RETAINED, temporary)
        if (now.resource, now.status, now.source) != chosen:
            raise NotOurs(
                f"automated backup {backup.arn!r} of {now.source!r} is {now.status!r}; it is left alone",
                hint=f"only what outlived {temporary!r} is deleted; see it in RDS",
            )
        try:
            self._client.delete_db_instance_automated_backup(DBInstanceAutomatedBackupsArn=backup.arn)
        except ClientError as error:
            if code(error) != "DBInstanceAutomatedBackupNotFound":
                raise translated("delete automated backup", backup.arn, error) from error
        except BotoCoreError as error:
            raise unreachable("delete automated backup", backup.arn, error) from error
        return False

    def _list(self, **chosen: Any) -> list[Backup]:
        what = chosen.get("DBInstanceIdentifier", self.region)
        paginator = self._client.get_paginator("describe_db_instance_automated_backups")
        try:
            pages = list(paginator.paginate(**chosen))
        except ClientError as error:
            raise translated("list the automated backups of", what, error) from error
        except BotoCoreError as error:
            raise unreachable("list the automated backups of", what, error) from error
        return [_backup(entry) for page in pages for entry in page["DBInstanceAutomatedBackups"]]

    def _find(self, backup: Backup) -> Backup | None:
        try:
            answer = self._client.describe_db_instance_automated_backups(
                DBInstanceAutomatedBackupsArn=backup.arn
            )
        except ClientError as error:
            if code(error) == "DBInstanceAutomatedBackupNotFound":
                return None
            raise translated("describe automated backup", backup.arn, error) from error
        except BotoCoreError as error:
            raise unreachable("describe automated backup", backup.arn, error) from error
        return next((_backup(entry) for entry in answer["DBInstanceAutomatedBackups"]), None)


def _backup(entry: Any) -> Backup:
    window = entry.get("RestoreWindow", {})
    return Backup(
        window=(window["EarliestTime"], window["LatestTime"]) if "LatestTime" in window else None,
        engine_version=entry["EngineVersion"],
        storage_gb=entry["AllocatedStorage"],
        encrypted=entry["Encrypted"],
        kms_key=entry.get("KmsKeyId"),
        arn=entry["DBInstanceAutomatedBackupsArn"],
        source=entry["DBInstanceIdentifier"],
        resource=entry["DbiResourceId"],
        status=entry["Status"],
    )
