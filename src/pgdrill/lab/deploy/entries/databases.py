"""RDS: instances, where they are put, and what of them is replicated."""

import time
from typing import Any

from botocore.exceptions import ClientError

from pgdrill.errors import Broken
from pgdrill.lab.deploy.aws import Aws
from pgdrill.lab.deploy.entry import Entry, Made, Outputs, Wanted, as_tags, retag
from pgdrill.model import JSON

PATIENCE = 120.0
PAUSE = 0.1


def _retag(wanted: Wanted, made: Made) -> None:
    added, gone = retag(wanted, made)
    arn = {"ResourceName": made.outputs["arn"]}
    if added:
        wanted.call("rds", "add_tags_to_resource", arn, Tags=as_tags(added))
    if gone:
        wanted.call("rds", "remove_tags_from_resource", arn, TagKeys=gone)


# ------------------------------------------------------------------------------------------------- groups


def _create_subnets(wanted: Wanted) -> tuple[str, Outputs]:
    given = wanted.some("subnetIds", name="DBSubnetGroupName", description="DBSubnetGroupDescription")
    group = wanted.call("rds", "create_db_subnet_group", given, Tags=wanted.tags())["DBSubnetGroup"]
    return group["DBSubnetGroupName"], {
        "arn": group["DBSubnetGroupArn"],
        "name": group["DBSubnetGroupName"],
        "vpcId": group["VpcId"],
    }


def _delete_subnets(aws: Aws, made: Made) -> None:
    aws.client("rds").delete_db_subnet_group(DBSubnetGroupName=made.id)


def _inside_subnets(aws: Aws, made: Made) -> list[str]:
    pages = aws.client("rds").get_paginator("describe_db_instances").paginate()
    found = [instance for page in pages for instance in page["DBInstances"]]
    return [
        one["DBInstanceIdentifier"] for one in found if one["DBSubnetGroup"]["DBSubnetGroupName"] == made.id
    ]


def _create_parameters(wanted: Wanted) -> tuple[str, Outputs]:
    wanted.later("skipDestroy")
    given = wanted.some("description", name="DBParameterGroupName", family="DBParameterGroupFamily")
    group = wanted.call("rds", "create_db_parameter_group", given, Tags=wanted.tags())["DBParameterGroup"]
    _set_parameters(wanted, group["DBParameterGroupName"])
    return group["DBParameterGroupName"], {
        "arn": group["DBParameterGroupArn"],
        "name": group["DBParameterGroupName"],
    }


def _set_parameters(wanted: Wanted, group: str) -> None:
    parameters = [
        {
            "ParameterName": one["name"],
            "ParameterValue": one["value"],
            "ApplyMethod": one.get("applyMethod", "immediate"),
        }
        for one in wanted.take("parameters") or []
    ]
    for begin in range(0, len(parameters), 20):  # as many as RDS takes at a time
        wanted.call(
            "rds",
            "modify_db_parameter_group",
            DBParameterGroupName=group,
            Parameters=parameters[begin : begin + 20],
        )


def _update_parameters(wanted: Wanted, made: Made) -> Outputs:
    new = {one["name"] for one in wanted.inputs.get("parameters") or []}
    gone = [one for one in made.inputs.get("parameters") or [] if one["name"] not in new]
    _set_parameters(wanted, made.id)
    if gone:
        reset = [
            {"ParameterName": one["name"], "ApplyMethod": one.get("applyMethod", "immediate")} for one in gone
        ]
        wanted.call("rds", "reset_db_parameter_group", DBParameterGroupName=made.id, Parameters=reset)
    _retag(wanted, made)
    wanted.later("description", "name", "family", "skipDestroy")
    return {}


def _delete_parameters(aws: Aws, made: Made) -> None:
    aws.client("rds").delete_db_parameter_group(DBParameterGroupName=made.id)


# ------------------------------------------------------------------------------------------------- instances

# What a new instance and a changed one both take.
_CHANGEABLE = {
    "allocatedStorage": "AllocatedStorage",
    "allowMajorVersionUpgrade": "AllowMajorVersionUpgrade",
    "autoMinorVersionUpgrade": "AutoMinorVersionUpgrade",
    "backupRetentionPeriod": "BackupRetentionPeriod",
    "backupWindow": "PreferredBackupWindow",
    "caCertIdentifier": "CACertificateIdentifier",
    "copyTagsToSnapshot": "CopyTagsToSnapshot",
    "deletionProtection": "DeletionProtection",
    "engineVersion": "EngineVersion",
    "instanceClass": "DBInstanceClass",
    "iops": "Iops",
    "maintenanceWindow": "PreferredMaintenanceWindow",
    "maxAllocatedStorage": "MaxAllocatedStorage",
    "multiAz": "MultiAZ",
    "networkType": "NetworkType",
    "parameterGroupName": "DBParameterGroupName",
    "passwordWo": "MasterUserPassword",
    "performanceInsightsEnabled": "EnablePerformanceInsights",
    "performanceInsightsKmsKeyId": "PerformanceInsightsKMSKeyId",
    "performanceInsightsRetentionPeriod": "PerformanceInsightsRetentionPeriod",
    "port": "Port",
    "publiclyAccessible": "PubliclyAccessible",
    "storageThroughput": "StorageThroughput",
    "storageType": "StorageType",
    "vpcSecurityGroupIds": "VpcSecurityGroupIds",
    "monitoringInterval": "MonitoringInterval",
    "monitoringRoleArn": "MonitoringRoleArn",
    "iamDatabaseAuthenticationEnabled": "EnableIAMDatabaseAuthentication",
}
_FIXED = {
    "availabilityZone": "AvailabilityZone",
    "dbName": "DBName",
    "dbSubnetGroupName": "DBSubnetGroupName",
    "engine": "Engine",
    "engineLifecycleSupport": "EngineLifecycleSupport",
    "identifier": "DBInstanceIdentifier",
    "kmsKeyId": "KmsKeyId",
    "storageEncrypted": "StorageEncrypted",
    "username": "MasterUsername",
}
# Of use to Pulumi alone, or when the instance is deleted.
_LATER = (
    "applyImmediately",
    "deleteAutomatedBackups",
    "finalSnapshotIdentifier",
    "passwordWoVersion",
    "skipFinalSnapshot",
)


def _create_instance(wanted: Wanted) -> tuple[str, Outputs]:
    wanted.later(*_LATER)
    given = wanted.some(**_CHANGEABLE, **_FIXED, enabledCloudwatchLogsExports="EnableCloudwatchLogsExports")
    name = given["DBInstanceIdentifier"]
    wanted.call("rds", "create_db_instance", given, Tags=wanted.tags())
    return name, _await(wanted.aws, name)


def _await(aws: Aws, name: str) -> Outputs:
    """Wait until an instance is available, and return what it is."""
    end = time.monotonic() + PATIENCE
    while True:
        found = aws.client("rds").describe_db_instances(DBInstanceIdentifier=name)["DBInstances"][0]
        if found["DBInstanceStatus"] == "available" and not found.get("PendingModifiedValues"):
            return _instance(found)
        if time.monotonic() > end:
            raise Broken(
                f"instance {name!r} is {found['DBInstanceStatus']!r} after {PATIENCE:.0f} s",
                hint="read daemon.log in the lab's directory",
            )
        time.sleep(PAUSE)


def _instance(found: JSON) -> Outputs:
    endpoint = found["Endpoint"]
    return {
        "arn": found["DBInstanceArn"],
        "address": endpoint["Address"],
        "port": endpoint["Port"],
        "endpoint": f"{endpoint['Address']}:{endpoint['Port']}",
        "hostedZoneId": endpoint.get("HostedZoneId"),
        "resourceId": found["DbiResourceId"],
        "status": found["DBInstanceStatus"],
        "engineVersionActual": found["EngineVersion"],
        "identifier": found["DBInstanceIdentifier"],
        "kmsKeyId": found.get("KmsKeyId"),
        "multiAz": found["MultiAZ"],
        "caCertIdentifier": found.get("CACertificateIdentifier"),
    }


def _update_instance(wanted: Wanted, made: Made) -> Outputs:
    wanted.later(*_LATER, *_FIXED)
    given = wanted.some(**_CHANGEABLE)
    kept = {
        member for prop, member in _CHANGEABLE.items() if prop in made.inputs and not wanted.changed(prop)
    }
    if not wanted.changed("passwordWoVersion"):
        kept.add("MasterUserPassword")
    given = {member: value for member, value in given.items() if member not in kept}
    logs = set(wanted.take("enabledCloudwatchLogsExports") or ())
    before = set(made.inputs.get("enabledCloudwatchLogsExports") or ())
    if logs != before:
        given["CloudwatchLogsExportConfiguration"] = {
            "EnableLogTypes": sorted(logs - before),
            "DisableLogTypes": sorted(before - logs),
        }
    if "Port" in given:
        given["DBPortNumber"] = given.pop("Port")
    if given:
        wanted.call("rds", "modify_db_instance", given, DBInstanceIdentifier=made.id, ApplyImmediately=True)
    _retag(wanted, made)
    return _await(wanted.aws, made.id)


def _delete_instance(aws: Aws, made: Made) -> None:
    rds = aws.client("rds")
    asked: dict[str, Any] = {
        "DBInstanceIdentifier": made.id,
        "SkipFinalSnapshot": bool(made.inputs.get("skipFinalSnapshot")),
        "DeleteAutomatedBackups": bool(made.inputs.get("deleteAutomatedBackups", True)),
    }
    if made.inputs.get("finalSnapshotIdentifier"):
        asked["FinalDBSnapshotIdentifier"] = made.inputs["finalSnapshotIdentifier"]
    rds.delete_db_instance(**asked)
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        try:
            rds.describe_db_instances(DBInstanceIdentifier=made.id)
        except ClientError as error:
            if error.response["Error"]["Code"] == "DBInstanceNotFound":
                return
            raise
        time.sleep(PAUSE)
    raise Broken(f"instance {made.id!r} is not gone after {PATIENCE:.0f} s", hint="see: pgdrill lab status")


# ------------------------------------------------------------------------------------------------- replication


def _replicate(wanted: Wanted) -> tuple[str, Outputs]:
    given = wanted.some(
        "kmsKeyId", retentionPeriod="BackupRetentionPeriod", sourceDbInstanceArn="SourceDBInstanceArn"
    )
    answer = wanted.call("rds", "start_db_instance_automated_backups_replication", given)
    arn = answer["DBInstanceAutomatedBackup"]["DBInstanceAutomatedBackupsArn"]
    return arn, {}


def _stop_replicating(aws: Aws, made: Made) -> None:
    aws.client("rds").stop_db_instance_automated_backups_replication(
        SourceDBInstanceArn=made.inputs["sourceDbInstanceArn"]
    )


def _update_subnets(wanted: Wanted, made: Made) -> Outputs:
    given = wanted.some("subnetIds", description="DBSubnetGroupDescription")
    wanted.call("rds", "modify_db_subnet_group", given, DBSubnetGroupName=made.id)
    _retag(wanted, made)
    wanted.later("name")
    return {}


ENTRIES = (
    Entry(
        "aws:rds/subnetGroup:SubnetGroup",
        _create_subnets,
        _delete_subnets,
        _update_subnets,
        frozenset({"name"}),
        inside=_inside_subnets,
    ),
    Entry(
        "aws:rds/parameterGroup:ParameterGroup",
        _create_parameters,
        _delete_parameters,
        _update_parameters,
        frozenset({"description", "name", "family"}),
    ),
    Entry(
        "aws:rds/instance:Instance",
        _create_instance,
        _delete_instance,
        _update_instance,
        frozenset(_FIXED),
    ),
    Entry(
        "aws:rds/instanceAutomatedBackupsReplication:InstanceAutomatedBackupsReplication",
        _replicate,
        _stop_replicating,
    ),
)
