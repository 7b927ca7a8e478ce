"""What RDS tells of automated backups: of instances that are, of deleted ones, and of another region's, replicated here.

Of what is replicated the lab keeps the record: it is listed, retained once its source is gone, and deleted. To
restore from it is refused.

Source: RDS User Guide, "Replicating automated backups to another AWS Region".
"""

from collections.abc import Callable

from pgdrill.lab.rds import backups, keys, listing
from pgdrill.lab.rds.records import Instance, Replicated
from pgdrill.lab.rds.state import State
from pgdrill.lab.rds.wire import RdsError, Request, Result


def describe(state: State, region: str, request: Request) -> Result:
    """DescribeDBInstanceAutomatedBackups."""
    found = [shown(state, instance) for instance in state.instances.all(region) if instance.backed_up]
    found += [shown(state, retained.source) for retained in state.retained.all(region)]
    found += [_replicated(state, replicated) for replicated in state.replicated.all(region)]
    for name in ("DbiResourceId", "DBInstanceIdentifier", "DBInstanceAutomatedBackupsArn"):
        if wanted := request.get(name):
            found = [one for one in found if one[name].lower() == wanted.lower()]
    if not found and (request.get("DbiResourceId") or request.get("DBInstanceAutomatedBackupsArn")):
        raise _not_found(request)
    filters: dict[str, Callable[[Result], str]] = {
        "status": lambda one: str(one["Status"]),
        "db-instance-id": lambda one: str(one["DBInstanceIdentifier"]),
        "dbi-resource-id": lambda one: str(one["DbiResourceId"]),
    }
    chosen = listing.filtered(request, found, filters)
    return listing.page(request, "DBInstanceAutomatedBackups", chosen, lambda one: one)


def delete(state: State, region: str, request: Request) -> Result:
    """DeleteDBInstanceAutomatedBackup: of a deleted instance or an ended replication, all of it."""
    resource_id, arn = request.get("DbiResourceId"), request.get("DBInstanceAutomatedBackupsArn")
    if replicated := find(state, region, resource_id, arn):
        if _status(state, replicated) == "replicating":
            raise RdsError(
                "InvalidDBInstanceAutomatedBackupState",
                "The automated backup can't be deleted because it is being replicated.",
            )
        state.replicated.remove(replicated)
        return {"DBInstanceAutomatedBackup": _replicated(state, replicated) | {"Status": "deleting"}}
    retained = backups.find_retained(state, region, resource_id, arn)
    if retained is None:
        if any(
            instance.resource_id.lower() == str(resource_id).lower()
            for instance in state.instances.all(region)
        ):
            raise RdsError(
                "InvalidDBInstanceAutomatedBackupState",
                "The automated backup can't be deleted because its DB instance exists.",
            )
        raise _not_found(request)
    answer = shown(state, retained.source) | {"Status": "deleting"}
    backups.drop(state, retained.source)
    state.retained.remove(retained)
    return {"DBInstanceAutomatedBackup": answer}


def replicate(state: State, region: str, request: Request) -> Result:
    """StartDBInstanceAutomatedBackupsReplication, which is asked for in the region that they go to."""
    source = _source(state, region, request)
    if not source.backed_up or source.status != "available":
        raise RdsError(
            "InvalidDBInstanceState",
            f"DB instance {source.identifier} has no automated backups to replicate.",
        )
    key = request.get("KmsKeyId")
    if source.configuration.StorageEncrypted and not key:
        raise RdsError("InvalidParameterValue", "Must specify KMS key for encrypted automated backups.")
    keys.check(state, region, key)
    there = state.replicated.get(region, source.resource_id)
    if there and not there.stopped:
        raise RdsError(
            "InvalidDBInstanceState", f"Automated backups of {source.identifier} are replicated already."
        )
    replicated = Replicated(
        region=region,
        identifier=source.resource_id,
        tags=listing.given_tags(request),
        source=source,
        kms_key=key,
        retention=request.get("BackupRetentionPeriod", 7),
    )
    return {"DBInstanceAutomatedBackup": _replicated(state, state.replicated.put(replicated))}


def stop(state: State, region: str, request: Request) -> Result:
    """StopDBInstanceAutomatedBackupsReplication: what is there stays, retained."""
    source = _source(state, region, request)
    there = state.replicated.get(region, source.resource_id)
    if there is None or there.stopped:
        raise RdsError(
            "InvalidDBInstanceState", f"Automated backups of {source.identifier} are not replicated."
        )
    stopped = state.replicated.put(there.model_copy(update={"stopped": True}))
    return {"DBInstanceAutomatedBackup": _replicated(state, stopped)}


def shown(state: State, source: Instance) -> Result:
    configuration = source.configuration
    restorable = backups.window(state, source)
    status = "active" if backups.bases(state, source) else "creating"
    return {
        "Status": "retained" if state.retained.get(source.region, source.resource_id) else status,
        "DBInstanceArn": state.arn("db", source),
        "DbiResourceId": source.resource_id,
        "DBInstanceIdentifier": source.identifier,
        "Region": source.region,
        "RestoreWindow": dict(zip(("EarliestTime", "LatestTime"), restorable, strict=True)) if restorable else {},
        "Port": source.port,
        "InstanceCreateTime": source.created_at,
        "Encrypted": configuration.StorageEncrypted,
        "DBInstanceAutomatedBackupsArn": backups.arn(state, source),
        "TagList": listing.shown_tags(source.tags),
        **{
            name: getattr(configuration, name)
            for name in (
                "AllocatedStorage", "AvailabilityZone", "MasterUsername", "Engine", "EngineVersion", "LicenseModel",
                "Iops", "StorageThroughput", "StorageType", "OptionGroupName", "KmsKeyId", "BackupRetentionPeriod",
                "PreferredBackupWindow", "BackupTarget", "DedicatedLogVolume", "IAMDatabaseAuthenticationEnabled",
            )
        },
    }  # fmt: skip


def _replicated(state: State, replicated: Replicated) -> Result:
    """Show what is replicated as it is here; `Region` is the one that it comes from."""
    source = state.instances.get(replicated.source.region, replicated.source.identifier)
    alive = source if source and source.resource_id == replicated.identifier else replicated.source
    return shown(state, alive) | {
        "Status": _status(state, replicated),
        "DBInstanceAutomatedBackupsArn": _arn(state, replicated),
        "KmsKeyId": replicated.kms_key,
        "BackupRetentionPeriod": replicated.retention,
        "TagList": listing.shown_tags(replicated.tags),
    }


def _status(state: State, replicated: Replicated) -> str:
    source = state.instances.get(replicated.source.region, replicated.source.identifier)
    gone = source is None or source.resource_id != replicated.identifier
    return "retained" if gone or replicated.stopped else "replicating"


def _arn(state: State, replicated: Replicated) -> str:
    return backups.arn(state, replicated.source.model_copy(update={"region": replicated.region}))


def find(state: State, region: str, resource_id: str | None, arn: str | None) -> Replicated | None:
    """Return what is replicated to a region, by the source's resource id or by its ARN there."""
    for replicated in state.replicated.all(region):
        if arn == _arn(state, replicated) or str(resource_id).lower() == replicated.identifier.lower():
            return replicated
    return None


def _source(state: State, region: str, request: Request) -> Instance:
    arn = str(request["SourceDBInstanceArn"])
    parts = arn.split(":", 6)
    if len(parts) != 7 or parts[5] != "db" or parts[3] == region:
        raise RdsError("InvalidParameterValue", f"{arn} is not the ARN of a DB instance in another region.")
    return state.instance(parts[3], parts[6])


def _not_found(request: Request) -> RdsError:
    name = request.get("DbiResourceId") or request.get("DBInstanceAutomatedBackupsArn")
    return RdsError("DBInstanceAutomatedBackupNotFound", f"DB instance automated backup {name} not found.")
