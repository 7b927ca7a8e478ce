"""The lab's RDS as a whole: hands each action to its function, and keeps the work going behind them.

The only door of this package: the emulator calls `handle`, the lab's own door the rest.
"""

import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pgdrill.errors import Busy, NotRunnable
from pgdrill.lab import base_backup, tls
from pgdrill.lab.clock import LabClock
from pgdrill.lab.faults import Faults
from pgdrill.lab.postgres import Binaries
from pgdrill.lab.rds import (
    account,
    authorization,
    automated_backups,
    backups,
    changes,
    copies,
    events,
    exports,
    instances,
    lifecycle,
    parameter_groups,
    restores,
    snapshots,
    subnet_groups,
    tags,
    wire,
)
from pgdrill.lab.rds.neighbours import Neighbours, Nobody
from pgdrill.lab.rds.quotas import Quotas
from pgdrill.lab.rds.records import Instance
from pgdrill.lab.rds.state import LabSettings, State
from pgdrill.lab.rds.wire import RdsError, Request, Response, Result

__all__ = ["LabSettings", "Rds"]

log = logging.getLogger(__name__)

Operation = Callable[[State, str, Request], Result]

OPERATIONS: dict[str, Operation] = {
    "AddTagsToResource": tags.add,
    "CancelExportTask": exports.cancel,
    "CopyDBSnapshot": copies.create,
    "CreateDBInstance": instances.create,
    "CreateDBParameterGroup": parameter_groups.create,
    "CreateDBSnapshot": snapshots.create,
    "CreateDBSubnetGroup": subnet_groups.create,
    "DeleteDBInstance": instances.delete,
    "DeleteDBInstanceAutomatedBackup": automated_backups.delete,
    "DeleteDBParameterGroup": parameter_groups.delete,
    "DeleteDBSnapshot": snapshots.delete,
    "DeleteDBSubnetGroup": subnet_groups.delete,
    "DescribeAccountAttributes": account.attributes,
    "DescribeDBEngineVersions": account.engine_versions,
    "DescribeDBInstanceAutomatedBackups": automated_backups.describe,
    "DescribeDBInstances": instances.describe,
    "DescribeDBParameterGroups": parameter_groups.describe,
    "DescribeDBParameters": parameter_groups.describe_parameters,
    "DescribeDBSnapshots": snapshots.describe,
    "DescribeDBSubnetGroups": subnet_groups.describe,
    "DescribeEvents": events.describe,
    "DescribeExportTasks": exports.describe,
    "ListTagsForResource": tags.listed,
    "ModifyDBInstance": changes.modify,
    "ModifyDBParameterGroup": parameter_groups.modify,
    "ModifyDBSubnetGroup": subnet_groups.modify,
    "RebootDBInstance": changes.reboot,
    "RemoveTagsFromResource": tags.remove,
    "RestoreDBInstanceFromDBSnapshot": restores.from_snapshot,
    "RestoreDBInstanceToPointInTime": restores.to_point_in_time,
    "StartDBInstance": changes.start,
    "StartDBInstanceAutomatedBackupsReplication": automated_backups.replicate,
    "StartExportTask": exports.start,
    "StopDBInstance": changes.stop,
    "StopDBInstanceAutomatedBackupsReplication": automated_backups.stop,
}


class Rds:
    """`publish` gets (region, entry) in the shape of an entry of PutEvents; `vpc_of` gets (region, subnet)."""

    ACTIONS = tuple(OPERATIONS)

    def __init__(
        self,
        directory: Path,
        binaries: Binaries,
        authority: tls.Authority,
        faults: Faults,
        *,
        account: str,
        publish: Callable[[str, dict[str, Any]], None],
        default_region: str,
        settings: LabSettings | None = None,
        vpc_of: Callable[[str, str], str | None] = lambda _region, _subnet: None,
        neighbours: Neighbours | None = None,
        clock: LabClock | None = None,
    ) -> None:
        self._default_region = default_region
        self._state = State(
            directory,
            binaries,
            authority,
            faults,
            account=account,
            publish=publish,
            vpc_of=vpc_of,
            neighbours=neighbours or Nobody(),
            settings=settings or LabSettings(),
            clock=clock or LabClock(),
        )

    @property
    def clock(self) -> LabClock:
        return self._state.clock

    @property
    def quotas(self) -> Quotas:
        return self._state.quotas

    def handle(self, region: str, action: str, params: dict[str, list[str]]) -> Response:
        """Answer one request of the AWS API."""
        try:
            return wire.success(action, self._answer(region or self._default_region, action, params))
        except RdsError as error:
            return wire.failure(error)
        except Exception:
            log.exception("%s failed", action)
            return wire.failure(RdsError("InternalFailure", "An internal error has occurred.", status=500))

    def _answer(self, region: str, action: str, params: dict[str, list[str]]) -> Result:
        state = self._state
        if failure := state.faults.failure(action):
            raise RdsError(failure.code, failure.message, status=failure.status)
        operation = OPERATIONS.get(action)
        if operation is None:
            raise RdsError("InvalidAction", f"Could not find operation {action} for version 2014-10-31")
        request = wire.parse(action, params)
        with state.lock:
            return operation(state, region, request)

    def needs(
        self, region: str, action: str, params: dict[str, list[str]]
    ) -> list[authorization.Need] | None:
        """Return what the caller of a request must be allowed; None for a request that will be refused anyway."""
        if action not in authorization.RESOURCES:
            return None
        try:
            request = wire.parse(action, params)
        except RdsError:
            return None
        with self._state.lock:
            return authorization.needs(self._state, region or self._default_region, action, request)

    def load(self) -> None:
        """Take up the work: what was kept, or nothing yet. Returns when the kept servers run again."""
        self._state.directory.mkdir(parents=True, exist_ok=True)
        lifecycle.load(self._state)
        self._state.run(events.publish_for_ever)
        self._state.run(backups.keep_up)

    def close(self, *, keep: bool) -> None:
        """End all work and all servers. What is kept comes back with the next `load`."""
        lifecycle.close(self._state)
        if not keep:
            shutil.rmtree(self._state.directory, ignore_errors=True)

    # ---------------------------------------------------------------- the lab's own door

    def back_up(self, region: str, instance_identifier: str) -> str:
        """Take the daily automated snapshot now, in the background, and return the instance's identifier.

        Raises:
            NotRunnable: no such instance, or it has no automated backups.
            Busy: it is not available.
        """
        instance = self._instance(region, instance_identifier)
        if not instance.backed_up:
            raise NotRunnable(
                f"instance {instance.identifier!r} has no automated backups: its retention period is 0",
                hint="set BackupRetentionPeriod with ModifyDBInstance",
            )
        if not backups.take_now(self._state, instance):
            raise Busy(
                f"instance {instance.identifier!r} is {instance.status}, not available",
                hint="wait until it is, as RDS does",
            )
        return instance.identifier

    def snapshot_directory(self, region: str, identifier: str) -> Path:
        """Return the base backup of a snapshot, as it lies on disk; its files are its own from then on.

        Raises:
            NotRunnable: no such snapshot, or it is not complete.
        """
        with self._state.lock:
            snapshot = self._state.snapshots.get(region, identifier.lower())
        if snapshot is None or snapshot.status != "available":
            raise NotRunnable(
                f"no available snapshot {identifier!r} in {region}", hint="list them with: pgdrill lab status"
            )
        base = self._state.base(snapshot)
        base_backup.unshare(base)
        return base

    def archive_directory(self, region: str, instance_identifier: str) -> Path:
        """Return where an instance's write-ahead log is archived.

        Raises:
            NotRunnable: no such instance.
        """
        return self._state.archive(self._instance(region, instance_identifier))

    def _instance(self, region: str, identifier: str) -> Instance:
        with self._state.lock:
            instance = self._state.instances.get(region, identifier.lower())
        if instance is None:
            raise NotRunnable(
                f"no instance {identifier!r} in {region}", hint="list them with: pgdrill lab status"
            )
        return instance
