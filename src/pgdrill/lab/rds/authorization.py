"""What a request to RDS must be allowed to do: every resource that it names, source and target, with its keys.

Reads requests and records alone. Whether it is allowed, the emulator's policy evaluation decides.

Source: Service Authorization Reference, "Actions, resources, and condition keys for Amazon RDS".
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from pgdrill.lab.rds import backups, configure
from pgdrill.lab.rds.records import Configuration, Instance, Record, Retained, Snapshot
from pgdrill.lab.rds.state import State
from pgdrill.lab.rds.wire import Request

# Which parameters of an action name resources, by kind. A kind that makes nothing of a name left out is not asked for.
_GROUPS = (("og", "OptionGroupName"), ("pg", "DBParameterGroupName"), ("subgrp", "DBSubnetGroupName"))
_INSTANCE = (("db", "DBInstanceIdentifier"),)
_SNAPSHOT = (("snapshot", "DBSnapshotIdentifier"),)
_PARAMETER_GROUP = (("pg", "DBParameterGroupName"),)
_SUBNET_GROUP = (("subgrp", "DBSubnetGroupName"),)
_SUBSCRIPTION = (("es", "SubscriptionName"),)
_TAGGED = (("", "ResourceName"),)
_BACKUP = (("auto-backup", "DBInstanceAutomatedBackupsArn"), ("auto-backup", "DbiResourceId"))
_RESTORED = (
    ("db", "SourceDBInstanceIdentifier"), ("db", "SourceDbiResourceId"), ("db", "TargetDBInstanceIdentifier"),
    ("auto-backup", "SourceDBInstanceAutomatedBackupsArn"),
)  # fmt: skip
_COPIED = (
    ("snapshot", "SourceDBSnapshotIdentifier"), ("snapshot", "TargetDBSnapshotIdentifier"),
    ("og", "OptionGroupName"),
)  # fmt: skip
RESOURCES: dict[str, tuple[tuple[str, str], ...]] = {
    "AddTagsToResource": _TAGGED,
    "CancelExportTask": (),
    "CopyDBSnapshot": _COPIED,
    "CreateDBInstance": (*_INSTANCE, *_GROUPS),
    "CreateDBParameterGroup": _PARAMETER_GROUP,
    "CreateDBSnapshot": (*_INSTANCE, *_SNAPSHOT),
    "CreateDBSubnetGroup": _SUBNET_GROUP,
    "CreateEventSubscription": _SUBSCRIPTION,
    "DeleteDBInstance": _INSTANCE,
    "DeleteDBInstanceAutomatedBackup": _BACKUP,
    "DeleteDBParameterGroup": _PARAMETER_GROUP,
    "DeleteDBSnapshot": _SNAPSHOT,
    "DeleteDBSubnetGroup": _SUBNET_GROUP,
    "DeleteEventSubscription": _SUBSCRIPTION,
    "DescribeAccountAttributes": (),
    "DescribeDBEngineVersions": (),
    "DescribeDBInstanceAutomatedBackups": (),
    "DescribeDBInstances": _INSTANCE,
    "DescribeDBParameterGroups": _PARAMETER_GROUP,
    "DescribeDBParameters": _PARAMETER_GROUP,
    "DescribeDBSnapshotAttributes": _SNAPSHOT,
    "DescribeDBSnapshots": (*_INSTANCE, *_SNAPSHOT),
    "DescribeDBSubnetGroups": _SUBNET_GROUP,
    "DescribeEventSubscriptions": _SUBSCRIPTION,
    "DescribeEvents": (),
    "DescribeExportTasks": (),
    "ListTagsForResource": _TAGGED,
    "ModifyDBInstance": (*_INSTANCE, *_GROUPS),
    "ModifyDBParameterGroup": _PARAMETER_GROUP,
    "ModifyDBSnapshotAttribute": _SNAPSHOT,
    "ModifyDBSubnetGroup": _SUBNET_GROUP,
    "ModifyEventSubscription": _SUBSCRIPTION,
    "RebootDBInstance": _INSTANCE,
    "RemoveTagsFromResource": _TAGGED,
    "RestoreDBInstanceFromDBSnapshot": (*_INSTANCE, *_SNAPSHOT, *_GROUPS),
    "RestoreDBInstanceToPointInTime": (*_RESTORED, *_GROUPS),
    "StartDBInstance": _INSTANCE,
    "StartDBInstanceAutomatedBackupsReplication": (("db", "SourceDBInstanceArn"),),
    "StartExportTask": (("snapshot", "SourceArn"),),
    "StopDBInstance": _INSTANCE,
    "StopDBInstanceAutomatedBackupsReplication": (("db", "SourceDBInstanceArn"),),
}
# What an instance is made with is asked for as well where the request leaves it to RDS's defaults.
MAKE_INSTANCES = frozenset(
    {"CreateDBInstance", "RestoreDBInstanceFromDBSnapshot", "RestoreDBInstanceToPointInTime"}
)
# A list is asked for on `*` of its kind, so that a statement about one resource does not allow it.
LISTS = {
    "DescribeDBInstances": "db",
    "DescribeDBSnapshots": "snapshot",
    "DescribeDBParameterGroups": "pg",
    "DescribeDBSubnetGroups": "subgrp",
    "DescribeEventSubscriptions": "es",
}
# What a request makes takes the request's tags, which is an action of its own.
MADE = {
    "CopyDBSnapshot": ("snapshot", "TargetDBSnapshotIdentifier"),
    "CreateDBInstance": ("db", "DBInstanceIdentifier"),
    "CreateDBParameterGroup": ("pg", "DBParameterGroupName"),
    "CreateDBSnapshot": ("snapshot", "DBSnapshotIdentifier"),
    "CreateDBSubnetGroup": ("subgrp", "DBSubnetGroupName"),
    "CreateEventSubscription": ("es", "SubscriptionName"),
    "RestoreDBInstanceFromDBSnapshot": ("db", "DBInstanceIdentifier"),
    "RestoreDBInstanceToPointInTime": ("db", "TargetDBInstanceIdentifier"),
}
# Condition keys of a whole request.
REQUEST_KEYS = {
    "BackupTarget": "rds:BackupTarget",
    "ManageMasterUserPassword": "rds:ManageMasterUserPassword",
    "PubliclyAccessible": "rds:PubliclyAccessible",
}
# Condition keys of an instance.
INSTANCE_KEYS = {
    "DBInstanceClass": "rds:DatabaseClass",
    "DBName": "rds:DatabaseName",
    "Engine": "rds:DatabaseEngine",
    "Iops": "rds:Piops",
    "MultiAZ": "rds:MultiAz",
    "StorageEncrypted": "rds:StorageEncrypted",
    "AllocatedStorage": "rds:StorageSize",
}
# Whether a service of AWS asks in the caller's name.
VIA_A_SERVICE = "aws:ViaAWSService"
TAG_KEYS = {"db": "db", "snapshot": "snapshot", "pg": "pg", "subgrp": "subgrp", "es": "es"}


@dataclass(frozen=True)
class Need:
    """One thing that must be allowed: an action on a resource, in a region, with condition keys besides tags."""

    action: str
    resource: str
    region: str
    keys: dict[str, Any] = field(default_factory=dict)


def needs(state: State, region: str, action: str, request: Request) -> list[Need]:
    """Return all that the caller must be allowed; the caller of this holds the lock."""
    about = {key: _text(request[name]) for name, key in REQUEST_KEYS.items() if name in request}
    tags = {f"rds:req-tag/{tag['Key']}": tag.get("Value", "") for tag in request.get("Tags", [])}
    keys = about | tags
    found = [
        Need(f"rds:{action}", arn, region, keys | _resource_keys(state, arn, request))
        for arn in _resources(state, region, action, request)
    ]
    if tags and action in MADE:
        kind, name = MADE[action]
        arn = _arn(state, region, kind, request[name])
        found.append(
            Need("rds:AddTagsToResource", arn, region, tags | {"rds:TagsFromRequest": "true"}),
        )
    if action == "StartExportTask":
        passed = {"iam:PassedToService": "export.rds.amazonaws.com"}
        found.append(Need("iam:PassRole", request["IamRoleArn"], region, passed))
    return [*found, *_elsewhere(region, action, request), *_key_needs(state, region, action, request)]


def _elsewhere(region: str, action: str, request: Request) -> Iterator[Need]:
    """Yield what RDS asks the source's region for in the caller's name, so that `aws:RequestedRegion` is that region.

    Source: RDS User Guide, "Requesting a cross-Region DB snapshot copy".
    """
    if action == "CopyDBSnapshot":
        source = request["SourceDBSnapshotIdentifier"]
        if source.startswith("arn:") and (there := source.split(":")[3]) != region:
            yield Need(f"rds:{action}", source, there, {VIA_A_SERVICE: "true"})


def _resources(state: State, region: str, action: str, request: Request) -> list[str]:
    """Return the ARNs that the action is evaluated on, at least `*`."""
    given = request
    if action in MAKE_INSTANCES:
        defaults = configure.defaults(state, region, request)
        groups = {name: defaults.get(name, "default") for _, name in _GROUPS}
        given = groups | request
    named = [_arn(state, region, kind, given[name]) for kind, name in RESOURCES[action] if given.get(name)]
    kind = LISTS.get(action)
    if kind and not any(arn.split(":")[5] == kind for arn in named):
        named.append(f"arn:aws:rds:{region}:{state.account}:{kind}:*")
    return list(dict.fromkeys(named)) or ["*"]


def _arn(state: State, region: str, kind: str, name: str) -> str:
    if name.startswith("arn:"):
        return name
    if name.startswith("db-") and kind in {"db", "auto-backup"}:
        for source in _sources(state, region):
            if source.resource_id.lower() == name.lower():
                return backups.arn(state, source) if kind == "auto-backup" else state.arn("db", source)
    return f"arn:aws:rds:{region}:{state.account}:{kind}:{name.lower()}"


def _sources(state: State, region: str) -> Iterator[Instance]:
    """Yield what automated backups are of: instances, and deleted ones whose backups are retained."""
    yield from state.instances.all(region)
    for retained in state.retained.all(region):
        yield retained.source


def _resource_keys(state: State, arn: str, request: Request) -> dict[str, Any]:
    """Return a resource's tags and, for an instance, its properties; those of one being made are the request's."""
    if arn == "*":
        return {}
    kind = arn.split(":")[5]
    record = find(state, arn)
    keys = {} if record is None else _tag_keys(kind, record)
    if kind == "db":
        # What is made has no properties but the request's, and what those of its source are that it inherits.
        source = record or _source(state, arn.split(":")[3], request)
        keys |= _instance_keys(_configuration(source), request if record is None else {})
    return keys


def _tag_keys(kind: str, record: Record) -> dict[str, Any]:
    name = TAG_KEYS.get(kind)
    keys = {f"aws:ResourceTag/{key}": value for key, value in record.tags.items()}
    return keys | {f"rds:{name}-tag/{key}": value for key, value in record.tags.items() if name}


def _instance_keys(configuration: Configuration | None, request: Request) -> dict[str, Any]:
    inherited = configuration.model_dump() if configuration else {}
    values = {name: request.get(name, inherited.get(name)) for name in INSTANCE_KEYS}
    return {INSTANCE_KEYS[name]: _text(value) for name, value in values.items() if value is not None}


def _configuration(record: Record | None) -> Configuration | None:
    if isinstance(record, Snapshot | Retained):
        return record.source.configuration
    return record.configuration if isinstance(record, Instance) else None


def find(state: State, arn: str) -> Record | None:
    """Return what an ARN names, in whichever region; None when it is not there."""
    region, kind, name = arn.split(":", 6)[3], *arn.split(":", 6)[5:]
    tables: dict[str, Any] = {
        "db": state.instances,
        "snapshot": state.snapshots,
        "subgrp": state.subnet_groups,
        "pg": state.parameter_groups,
    }
    found: Record | None = tables[kind].get(region, name.lower()) if kind in tables else None
    if kind == "auto-backup":
        return next((one for one in _sources(state, region) if backups.arn(state, one) == arn), None)
    return found


def _source(state: State, region: str, request: Request) -> Record | None:
    """Return what a restore or a copy is made from."""
    for kind, name in (*_SNAPSHOT, *_RESTORED, *_COPIED, ("snapshot", "SourceArn")):
        if "Target" not in name and request.get(name) and kind in {"db", "snapshot", "auto-backup"}:
            return find(state, _arn(state, region, kind, request[name]))
    return None


def _key_needs(state: State, region: str, action: str, request: Request) -> Iterable[Need]:
    """Yield what RDS does with keys in the caller's name: grants of what it will do with them itself.

    The key of a copy's source is used in the source's region.
    Source: RDS User Guide, "AWS KMS key management"; AWS KMS Developer Guide, "kms:ViaService".
    """
    used: set[tuple[str, str]] = set()
    if action in {"CreateDBInstance", "CopyDBSnapshot", "StartExportTask"} and request.get("KmsKeyId"):
        used.add((region, request["KmsKeyId"]))
    if action in {"RestoreDBInstanceFromDBSnapshot", "RestoreDBInstanceToPointInTime", "CopyDBSnapshot"}:
        source = _source(state, region, request)
        key = source.kms_key if isinstance(source, Snapshot) else None
        if isinstance(source, Instance):
            key = source.configuration.KmsKeyId
        if source is not None and key:
            used.add((source.region, key))
    for where, key in sorted(used):
        if key.endswith("alias/aws/rds"):
            continue  # the key's own policy lets everybody in the account use it through RDS
        keys = {"kms:ViaService": f"rds.{where}.amazonaws.com", "kms:CallerAccount": state.account}
        yield Need("kms:DescribeKey", key, where, keys)
        yield Need("kms:CreateGrant", key, where, keys | {"kms:GrantIsForAWSResource": "true"})


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
