"""The only module that deletes automated backups: those that outlived a temporary instance, and no other.

RDS keeps them under the name of an instance that is gone. A drill's instance has none unless somebody gave it
a retention. Nothing here waits or polls; the caller does.
"""

from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from pgdrill.errors import NotOurs
from pgdrill.model import Model
from pgdrill.refusal import code, translated, unreachable

if TYPE_CHECKING:
    from mypy_boto3_rds import RDSClient

RETAINED = "retained"


class Backup(Model):
    """Automated backups of one instance, all of them. `retained` once their instance is gone."""

    arn: str
    source: str
    resource: str
    status: str


class Backups:
    def __init__(self, client: "RDSClient") -> None:
        self._client = client
        self.region = client.meta.region_name

    def retained(self) -> list[Backup]:
        """Return all in this region that outlived their instance."""
        try:
            pages = list(self._client.get_paginator("describe_db_instance_automated_backups").paginate())
        except ClientError as error:
            raise translated("list the automated backups of", self.region, error) from error
        except BotoCoreError as error:
            raise unreachable("list the automated backups of", self.region, error) from error
        found = [_backup(entry) for page in pages for entry in page["DBInstanceAutomatedBackups"]]
        return [backup for backup in found if backup.status == RETAINED]

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
        if now != backup or now.source != temporary:
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
    return Backup(
        arn=entry["DBInstanceAutomatedBackupsArn"],
        source=entry["DBInstanceIdentifier"],
        resource=entry["DbiResourceId"],
        status=entry["Status"],
    )
