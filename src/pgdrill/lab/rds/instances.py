"""Instances: each is a PostgreSQL cluster of its own on a free loopback port, and goes through RDS's states.

What a request asks is checked and recorded at once; the work is done by jobs.
"""

import logging
import re
import shutil
from collections.abc import Callable, Mapping

import psycopg

from pgdrill.errors import Broken
from pgdrill.lab.cluster import Cluster
from pgdrill.lab.rds import backups, configure, keys, listing, parameter_groups, snapshots, subnet_groups
from pgdrill.lab.rds.events import tell
from pgdrill.lab.rds.fresh import free_port, new_id
from pgdrill.lab.rds.records import Configuration, Instance, Retained, Snapshot
from pgdrill.lab.rds.state import State
from pgdrill.lab.rds.wire import RdsError, Request, Result

log = logging.getLogger(__name__)

# Only without a final snapshot is an instance deleted from these. Source: RDS API reference, DeleteDBInstance.
FAILED = frozenset(
    {
        "failed", "incompatible-restore", "incompatible-network", "incompatible-parameters", "restore-error",
        "insufficient-capacity", "storage-full", "inaccessible-encryption-credentials",
    }
)  # fmt: skip
DELETABLE = FAILED | {"available", "storage-optimization", "stopped"}


def create(state: State, region: str, request: Request) -> Result:
    """CreateDBInstance."""
    identifier = listing.identifier(request, "DBInstanceIdentifier")
    if request["Engine"] != "postgres":
        raise RdsError("InvalidParameterValue", f"Invalid DB engine: {request['Engine']}")
    for name in ("AllocatedStorage", "MasterUsername", "MasterUserPassword"):
        if name not in request:
            raise RdsError(
                "InvalidParameterValue", f"The parameter {name} must be provided and must not be blank."
            )
    user, password = request["MasterUsername"], request["MasterUserPassword"]
    configure.check_master(user)
    configure.check_password(password)
    if request.get("KmsKeyId") and not request.get("StorageEncrypted"):
        raise RdsError(
            "InvalidParameterCombination", "Cannot specify KmsKeyId unless StorageEncrypted is set to true."
        )
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,62}", request.get("DBName", "postgres")):
        raise RdsError("InvalidParameterValue", f"DBName must begin with a letter: {request['DBName']}")
    version = {"EngineVersion": configure.engine_version(state, request.get("EngineVersion"))}
    configuration = Configuration.model_validate(
        configure.defaults(state, region, request) | configure.configured(request) | version
    )
    configure.check(state, region, configuration)
    configure.check_new(state, region, identifier)
    keys.check(state, region, configuration.KmsKeyId)
    instance = new(state, region, identifier, configuration, listing.given_tags(request))
    state.run(_create, instance, password)
    return {"DBInstance": shown(state, instance)}


def new(
    state: State, region: str, identifier: str, configuration: Configuration, tags: dict[str, str]
) -> Instance:
    """Record an instance that is `creating`."""
    instance = Instance(
        region=region,
        identifier=identifier,
        tags=tags,
        resource_id=new_id("db-"),
        status="creating",
        configuration=configuration,
        created_at=state.moment(),
    )
    return state.instances.put(instance)


def _create(state: State, instance: Instance, password: str) -> None:
    state.delay("create")
    master = instance.configuration

    def make(cluster: Cluster) -> None:
        cluster.create(amcheck=state.settings.amcheck)
        serve(state, instance)
        cluster.create_master(master.MasterUsername, password, master.DBName)

    if bring_up(state, instance, make, otherwise="failed"):
        tell(state, instance, "0005")
        open_up(state, instance)


def bring_up(state: State, instance: Instance, make: Callable[[Cluster], None], *, otherwise: str) -> bool:
    """Make an instance's cluster; on failure, or where the faults say so, it ends in the status `otherwise`."""
    reason: object = "the lab's faults say so"
    status = state.faults.doom(instance.identifier)
    if status is None:
        try:
            make(state.cluster(instance))
        except (Broken, OSError, psycopg.Error) as error:
            status, reason = otherwise, error
    if status:
        log.warning("%s put into %s: %s", instance.identifier, status, reason)
        tell(state, state.enter(instance, status), "0031", status=status)
    return status is None


def open_up(state: State, instance: Instance) -> None:
    """Make a new instance available, after its first backup where it is to have backups."""
    if instance.backed_up:
        state.enter(instance, "backing-up")
        backups.take(state, state.current(instance))
    state.enter(instance, "available")


def serve(state: State, instance: Instance, preload: Mapping[str, str] | None = None) -> None:
    """Start the instance's server with its parameter group's settings; `preload` goes into its environment."""
    instance = state.current(instance)
    port = free_port(instance.port)
    state.cluster(instance).start(
        port,
        parameter_groups.settings(state, instance),
        certificate=state.authority.server,
        preload=preload,
    )
    state.update(instance, port=port, parameters="in-sync")


def delete(state: State, region: str, request: Request) -> Result:
    """DeleteDBInstance."""
    instance = state.instance(region, request["DBInstanceIdentifier"])
    skips, final = request.get("SkipFinalSnapshot", False), request.get("FinalDBSnapshotIdentifier")
    if skips and final:
        raise RdsError(
            "InvalidParameterCombination",
            "FinalDBSnapshotIdentifier cannot be specified when deleting a database with SkipFinalSnapshot.",
        )
    if not skips and not final:
        raise RdsError(
            "InvalidParameterCombination",
            "FinalDBSnapshotIdentifier is required unless SkipFinalSnapshot is specified.",
        )
    if instance.configuration.DeletionProtection:
        raise RdsError(
            "InvalidParameterCombination",
            "Cannot delete protected DB Instance, please disable deletion protection and try again.",
        )
    if instance.status == "deleting":
        raise RdsError("InvalidDBInstanceState", f"Instance {instance.identifier} is already being deleted.")
    if instance.status not in DELETABLE or (final and instance.status in FAILED | {"stopped"}):
        raise RdsError(
            "InvalidDBInstanceState",
            f"Instance {instance.identifier} is currently {instance.status} - it cannot be deleted"
            f"{' with a final snapshot' if instance.status in DELETABLE else ''}.",
        )
    snapshot = None
    if final:
        name = listing.identifier(request, "FinalDBSnapshotIdentifier", longest=255)
        keys.check(state, region, instance.configuration.KmsKeyId)
        snapshot = snapshots.begin(state, instance, name, snapshots.MANUAL, {})
    instance = state.update(instance, status="deleting")
    state.run(_delete, instance, snapshot, request.get("DeleteAutomatedBackups", True))
    return {"DBInstance": shown(state, instance)}


def _delete(state: State, instance: Instance, snapshot: Snapshot | None, drops_backups: bool) -> None:
    if snapshot:
        snapshots.fill(state, snapshot)
    retains = instance.backed_up and not drops_backups
    cluster = state.cluster(instance)
    if retains and cluster.running:
        backups.archive(state, instance)
    state.delay("delete")
    cluster.stop(immediate=True)
    state.hold(instance)
    if retains:
        shutil.rmtree(cluster.data, ignore_errors=True)
    else:
        backups.drop(state, instance)
    with state.lock:
        instance = state.current(instance)
        if retains:
            state.retained.put(
                Retained(region=instance.region, identifier=instance.resource_id, source=instance)
            )
        state.instances.remove(instance)
    tell(state, instance, "0003")


def describe(state: State, region: str, request: Request) -> Result:
    """DescribeDBInstances."""
    name = request.get("DBInstanceIdentifier")
    chosen = listing.filtered(
        request,
        [state.instance(region, name)] if name else state.instances.all(region),
        {
            "db-cluster-id": lambda _: "",
            "db-instance-id": lambda instance: instance.identifier,
            "dbi-resource-id": lambda instance: instance.resource_id,
            "domain": lambda _: "",
            "engine": lambda instance: instance.configuration.Engine,
        },
    )
    return listing.page(request, "DBInstances", chosen, lambda instance: shown(state, instance))


def shown(state: State, instance: Instance) -> Result:
    """Return the instance in boto3's shape. The endpoint appears once there is one."""
    configuration = instance.configuration
    restorable = backups.window(state, instance)
    grouped = {"DBSubnetGroupName", "DBParameterGroupName", "OptionGroupName", "VpcSecurityGroupIds"}
    endpoint = {"Address": "127.0.0.1", "Port": instance.port, "HostedZoneId": "Z2G0U3KFCY8NZ5"}
    network = subnet_groups.find(state, instance.region, configuration.DBSubnetGroupName)
    return configuration.model_dump(exclude=grouped) | {
        "DBInstanceIdentifier": instance.identifier,
        "DBInstanceArn": state.arn("db", instance),
        "DbiResourceId": instance.resource_id,
        "DBInstanceStatus": instance.status,
        "DbInstancePort": 0,
        "Endpoint": endpoint if instance.port else None,
        "InstanceCreateTime": instance.created_at if instance.port else None,
        "LatestRestorableTime": restorable[1] if restorable and instance.backed_up else None,
        "PendingModifiedValues": instance.pending,
        "DBSecurityGroups": [],
        "VpcSecurityGroups": [
            {"VpcSecurityGroupId": group, "Status": "active"} for group in configuration.VpcSecurityGroupIds
        ],
        "DBParameterGroups": [
            {
                "DBParameterGroupName": configuration.DBParameterGroupName,
                "ParameterApplyStatus": instance.parameters,
            }
        ],
        "OptionGroupMemberships": [{"OptionGroupName": configuration.OptionGroupName, "Status": "in-sync"}],
        "DBSubnetGroup": subnet_groups.shown(state, network),
        "TagList": listing.shown_tags(instance.tags),
        "ReadReplicaDBInstanceIdentifiers": [],
        "DomainMemberships": [],
        "AssociatedRoles": [],
        "CustomerOwnedIpEnabled": False,
        "ActivityStreamStatus": "stopped",
    }
