"""What happens to an instance that is there: settings and password change, it reboots, stops, starts."""

import logging
from collections.abc import Callable
from typing import Any

import psycopg

from pgdrill.errors import Broken
from pgdrill.lab.rds import backups, configure, listing, snapshots
from pgdrill.lab.rds.events import tell
from pgdrill.lab.rds.instances import bring_up, serve, shown
from pgdrill.lab.rds.records import Instance, Snapshot
from pgdrill.lab.rds.state import USABLE, State
from pgdrill.lab.rds.wire import RdsError, Request, Result

log = logging.getLogger(__name__)

# Source: RDS API reference, ModifyDBInstance: what waits for the maintenance window unless ApplyImmediately.
DEFERRED = frozenset(
    {
        "DBInstanceClass", "AllocatedStorage", "StorageType", "Iops", "StorageThroughput", "MultiAZ",
        "EngineVersion", "LicenseModel", "IAMDatabaseAuthenticationEnabled", "DedicatedLogVolume",
    }
)  # fmt: skip


def modify(state: State, region: str, request: Request) -> Result:
    """ModifyDBInstance. The password takes effect soon in any case, the deferred only when asked now."""
    instance = state.instance(region, request["DBInstanceIdentifier"])
    if instance.status not in USABLE:
        raise RdsError(
            "InvalidDBInstanceState", f"Database instance {instance.identifier} is not in available state."
        )
    now = request.get("ApplyImmediately", False)
    password = request.get("MasterUserPassword")
    if password is not None:
        configure.check_password(password)
    wanted = _changes(state, instance, request)
    later = {} if now else {name: value for name, value in wanted.items() if _waits(instance, name, value)}
    at_once = {name: value for name, value in wanted.items() if name not in later}
    pending = instance.pending | later | ({"MasterUserPassword": "****"} if password is not None else {})
    shown_now = state.update(instance, pending=pending)
    if at_once or password is not None:
        state.run(_modify, instance, at_once, password)
    return {"DBInstance": shown(state, shown_now)}


def _changes(state: State, instance: Instance, request: Request) -> dict[str, Any]:
    """Return the settings that would differ, after they were found possible."""
    old = instance.configuration
    given = configure.configured(request)
    wanted = old.model_copy(update=given)
    configure.check(state, instance.region, wanted)
    if wanted.AllocatedStorage < old.AllocatedStorage:
        raise RdsError(
            "InvalidParameterCombination",
            f"Invalid storage size: {wanted.AllocatedStorage}. Cannot be less than the current {old.AllocatedStorage}",
        )
    if old.AllocatedStorage < wanted.AllocatedStorage < old.AllocatedStorage * 1.1:
        raise RdsError(
            "InvalidParameterCombination",
            "Invalid max storage size: storage must grow by at least 10 percent.",
        )
    if "EngineVersion" in given:
        configure.engine_version(state, given["EngineVersion"])
        del given["EngineVersion"]
    return {name: value for name, value in given.items() if value != getattr(old, name)}


def _waits(instance: Instance, name: str, value: object) -> bool:
    """Tell whether a change waits for the maintenance window; turning backups on or off does, as it is an outage."""
    if name == "BackupRetentionPeriod":
        return (value == 0) == instance.backed_up
    return name in DEFERRED


def _modify(state: State, instance: Instance, changes: dict[str, Any], password: str | None) -> None:
    state.delay("modify")
    state.take_turn(instance, "modifying" if changes else "resetting-master-credentials")
    if changes:
        _apply(state, instance, changes)
    if password is not None:
        _reset_password(state, instance, password)
    if changes and not instance.backed_up and state.current(instance).backed_up:
        tell(state, state.enter(instance, "backing-up"), "0032")
        backups.take(state, state.current(instance))
    if "AllocatedStorage" in changes:
        state.enter(instance, "storage-optimization")
        state.hold(instance)
        state.take_turn(instance, "available")
    else:
        state.enter(instance, "available")


def _apply(state: State, instance: Instance, changes: dict[str, Any]) -> None:
    instance = state.current(instance)
    configuration = instance.configuration.model_copy(update=changes)
    pending = {name: value for name, value in instance.pending.items() if name not in changes}
    # A group that is newly attached takes effect by a reboot. Source: RDS User Guide, "Working with parameter groups".
    waits = "DBParameterGroupName" in changes
    state.update(
        instance,
        configuration=configuration,
        pending=pending,
        parameters="pending-reboot" if waits else instance.parameters,
    )
    if instance.backed_up and configuration.BackupRetentionPeriod == 0:
        tell(state, instance, "0028")
        for snapshot in backups.automated(state, instance):
            snapshots.forget(state, snapshot)
        state.update(instance, latest_restorable=None)


def _reset_password(state: State, instance: Instance, password: str) -> None:
    instance = state.enter(instance, "resetting-master-credentials")
    try:
        state.cluster(instance).set_password(instance.configuration.MasterUsername, password)
    except (Broken, psycopg.Error) as error:
        log.warning("%s: password not set: %s", instance.identifier, type(error).__name__)
        tell(state, instance, "0067")
    else:
        tell(state, instance, "0016")
    state.hold(instance)
    pending = {name: value for name, value in instance.pending.items() if name != "MasterUserPassword"}
    state.update(instance, pending=pending)


def reboot(state: State, region: str, request: Request) -> Result:
    """RebootDBInstance: also applies what waits in the parameter group."""
    instance = state.instance(region, request["DBInstanceIdentifier"])
    return _from_to(state, instance, ("available", "rebooting"), _reboot)


def _reboot(state: State, instance: Instance) -> None:
    state.delay("reboot")
    state.cluster(instance).stop()
    if bring_up(state, instance, lambda _: serve(state, instance), otherwise="incompatible-parameters"):
        tell(state, instance, "0006")
        state.enter(instance, "available")


def stop(state: State, region: str, request: Request) -> Result:
    """StopDBInstance, with a snapshot first when one is named."""
    instance = state.instance(region, request["DBInstanceIdentifier"])
    snapshot = None
    if "DBSnapshotIdentifier" in request and instance.status == "available":
        name = listing.identifier(request, "DBSnapshotIdentifier", longest=255)
        snapshot = snapshots.begin(state, instance, name, snapshots.MANUAL, {})
    return _from_to(state, instance, ("available", "stopping"), _stop, snapshot)


def _stop(state: State, instance: Instance, snapshot: Snapshot | None) -> None:
    state.delay("stop")
    if snapshot:
        snapshots.fill(state, snapshot)
    if instance.backed_up:
        backups.archive(state, instance)
    state.cluster(instance).stop()
    tell(state, state.enter(instance, "stopped"), "0087")


def start(state: State, region: str, request: Request) -> Result:
    """StartDBInstance."""
    instance = state.instance(region, request["DBInstanceIdentifier"])
    return _from_to(state, instance, ("stopped", "starting"), _start)


def _start(state: State, instance: Instance) -> None:
    state.delay("start")
    if bring_up(state, instance, lambda _: serve(state, instance), otherwise="incompatible-parameters"):
        tell(state, instance, "0088")
        state.enter(instance, "available")


def _from_to(
    state: State, instance: Instance, statuses: tuple[str, str], job: Callable[..., None], *more: Any
) -> Result:
    before, between = statuses
    if instance.status != before:
        raise RdsError("InvalidDBInstanceState", f"Instance {instance.identifier} is not in {before} state.")
    instance = state.update(instance, status=between)
    state.run(job, instance, *more)
    return {"DBInstance": shown(state, instance)}
