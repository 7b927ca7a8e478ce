"""What a request may say of an instance: which settings there are, their defaults, and what is refused."""

import re
from typing import Any

from pgdrill.lab.rds import parameter_groups, subnet_groups
from pgdrill.lab.rds.records import Configuration
from pgdrill.lab.rds.state import State
from pgdrill.lab.rds.wire import RdsError, Request

DEFAULT_SECURITY_GROUP = "sg-default"
# Request names whose value is shown under another name.
RENAMED = {
    "EnableIAMDatabaseAuthentication": "IAMDatabaseAuthenticationEnabled",
    "EnablePerformanceInsights": "PerformanceInsightsEnabled",
    "EnableCloudwatchLogsExports": "EnabledCloudwatchLogsExports",
}
# What AWS serves and the lab does not; silently ignored, it would look as if it worked.
UNSERVED = (
    "ManageMasterUserPassword", "RotateMasterUserPassword", "NewDBInstanceIdentifier", "DBPortNumber",
    "DBClusterIdentifier", "DBClusterSnapshotIdentifier", "TagSpecifications",
)  # fmt: skip
RESERVED = frozenset({"rdsadmin", "admin", "rds_superuser", "rdsrepladmin", "postgresql", "root"})


def configured(request: Request) -> dict[str, Any]:
    """Return the settings of an instance that the request names, under the names of Configuration.

    Raises:
        RdsError: it asks for what the lab does not serve.
    """
    for name in UNSERVED:
        if request.get(name):
            raise RdsError("InvalidParameterCombination", f"The lab does not serve the parameter {name}.")
    given = {RENAMED.get(name, name): value for name, value in request.items()}
    return {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in given.items()
        if name in Configuration.model_fields
    }


def defaults(state: State, region: str, request: Request) -> dict[str, Any]:
    """Return what an instance gets that the request does not name, where that depends on the surroundings.

    In the default VPC an instance is public unless the request says otherwise.
    """
    encrypted = request.get("StorageEncrypted", False)
    return {
        "AvailabilityZone": f"{region}a",
        "PubliclyAccessible": "DBSubnetGroupName" not in request,
        "DBParameterGroupName": f"default.{parameter_groups.family(state.binaries)}",
        "OptionGroupName": f"default:postgres-{state.binaries.major}",
        "VpcSecurityGroupIds": (DEFAULT_SECURITY_GROUP,),
        "KmsKeyId": f"arn:aws:kms:{region}:{state.account}:alias/aws/rds" if encrypted else None,
    }


def check(state: State, region: str, configuration: Configuration) -> None:
    """See that an instance can be as configured.

    Raises:
        RdsError: a value is out of its range, or what it names is not there.
    """
    if not re.fullmatch(r"db\.[a-z0-9-]+\.[a-z0-9]+", configuration.DBInstanceClass):
        raise RdsError("InvalidParameterValue", f"Invalid DB Instance class: {configuration.DBInstanceClass}")
    if not 0 <= configuration.BackupRetentionPeriod <= 35:
        raise RdsError(
            "InvalidParameterValue",
            f"Invalid backup retention period: {configuration.BackupRetentionPeriod}. Must be between 0 and 35.",
        )
    if not 20 <= configuration.AllocatedStorage <= 65536:
        raise RdsError(
            "InvalidParameterValue",
            f"Invalid storage size for engine name postgres and storage type {configuration.StorageType}:"
            f" {configuration.AllocatedStorage}",
        )
    if not re.fullmatch(
        r"([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d", configuration.PreferredBackupWindow
    ):
        raise RdsError(
            "InvalidParameterValue", f"Invalid backup window format: {configuration.PreferredBackupWindow}"
        )
    _check_groups(state, region, configuration)


def _check_groups(state: State, region: str, configuration: Configuration) -> None:
    """See that what an instance is to be attached to is there.

    Security groups belong to EC2: only the form of their ids is checked.

    Raises:
        RdsError: a group is not there, of another engine, or not of its form.
    """
    subnet_groups.find(state, region, configuration.DBSubnetGroupName)
    group = parameter_groups.find(state, region, configuration.DBParameterGroupName)
    if group.family != parameter_groups.family(state.binaries):
        raise RdsError(
            "InvalidParameterCombination",
            f"The parameter group {group.identifier} with DBParameterGroupFamily {group.family} can't be used"
            f" for this instance. Use a parameter group with DBParameterGroupFamily {parameter_groups.family(state.binaries)}.",
        )
    wrong = [name for name in configuration.VpcSecurityGroupIds if not re.fullmatch(r"sg-[0-9a-z]+", name)]
    if wrong:
        raise RdsError("InvalidParameterValue", f"Invalid security group , groupId= {wrong[0]}, groupName=.")


def check_master(user: str) -> None:
    """See that the master user may have this name.

    Raises:
        RdsError: it may not.
    """
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,62}", user):
        raise RdsError(
            "InvalidParameterValue", f"The parameter MasterUsername is not a valid identifier: {user}"
        )
    if user.lower() in RESERVED or user.startswith("pg_"):
        raise RdsError(
            "InvalidParameterValue",
            f"MasterUsername {user} cannot be used as it is a reserved word used by the engine",
        )


def check_password(password: str) -> None:
    """Source: RDS API reference, ModifyDBInstance, MasterUserPassword.

    Raises:
        RdsError: RDS would not take it.
    """
    if not 8 <= len(password) <= 128:
        raise RdsError(
            "InvalidParameterValue",
            "The parameter MasterUserPassword is not a valid password because it is"
            f" {'shorter than 8' if len(password) < 8 else 'longer than 128'} characters.",
        )
    if not re.fullmatch(r"[!-~]+", password) or re.search(r'[/@"]', password):
        raise RdsError(
            "InvalidParameterValue",
            "The parameter MasterUserPassword is not a valid password. Only printable ASCII characters besides"
            " '/', '@', '\"', ' ' may be used.",
        )


def check_new(state: State, region: str, identifier: str) -> None:
    """See that there is room for another instance, and that its name is free.

    Raises:
        RdsError: it is not.
    """
    if state.instances.get(region, identifier):
        raise RdsError("DBInstanceAlreadyExists", "DB instance already exists")
    if len(state.instances.all(region)) >= state.settings.instances:
        raise RdsError(
            "InstanceQuotaExceeded",
            f"DB Instance quota exceeded: cannot create more than {state.settings.instances} DB instances",
        )


def engine_version(state: State, wanted: str | None) -> str:
    """Return the one version that there is, for it, its major version, or nothing given."""
    version = state.binaries.version
    if wanted not in (None, version, str(state.binaries.major)):
        raise RdsError("InvalidParameterCombination", f"Cannot find version {wanted} for postgres")
    return version
