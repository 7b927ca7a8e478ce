"""Answers to the program's questions about what is there already, by asking the emulator.

A function that nothing here answers is an error.
"""

from collections.abc import Callable
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from pgdrill.errors import Broken, NotRunnable
from pgdrill.lab.deploy.aws import Aws, Clients
from pgdrill.model import JSON

Answer = Callable[[Aws, dict[str, Any]], dict[str, Any]]


class Answers:
    """Called with a function's token and arguments."""

    def __init__(self, clients: Clients, home: str) -> None:
        self._clients = clients
        self._home = home

    def __call__(self, token: str, given: JSON) -> JSON:
        """Answer.

        Raises:
            NotRunnable: the lab does not know the function, or an argument of it.
            Broken: the emulator refused.
        """
        answer = BY_TOKEN.get(token)
        if answer is None:
            raise NotRunnable(
                f"the lab does not answer {token}", hint="teach it in src/pgdrill/lab/deploy/invokes.py"
            )
        left = {name: value for name, value in given.items() if value is not None}
        region = left.pop("region", None) or self._home
        try:
            answered = answer(Aws(self._clients, region), left)
        except (ClientError, BotoCoreError) as error:
            raise Broken(f"{token} was refused: {error}", hint="see what it was asked for") from error
        if left:
            raise NotRunnable(
                f"the lab does not know argument {next(iter(left))!r} of {token}",
                hint="teach it in src/pgdrill/lab/deploy/invokes.py",
            )
        return {"id": token, "region": region, **given, **answered}


def _caller_identity(aws: Aws, _: JSON) -> JSON:
    found = aws.client("sts").get_caller_identity()
    return {"accountId": found["Account"], "arn": found["Arn"], "userId": found["UserId"]}


def _region(aws: Aws, _: JSON) -> JSON:
    return {"name": aws.region, "region": aws.region, "id": aws.region, "description": aws.region}


def _partition(_aws: Aws, _: JSON) -> JSON:
    return {"partition": "aws", "dnsSuffix": "amazonaws.com", "reverseDnsPrefix": "com.amazonaws"}


def _zones(aws: Aws, given: JSON) -> JSON:
    state, excluded = given.pop("state", None), given.pop("excludeZoneIds", ())
    filters = [{"Name": one["name"], "Values": one["values"]} for one in given.pop("filters", ())]
    zones = aws.client("ec2").describe_availability_zones(Filters=filters)["AvailabilityZones"]
    kept = [zone for zone in zones if state in {None, zone["State"]} and zone["ZoneId"] not in excluded]
    return {"names": [zone["ZoneName"] for zone in kept], "zoneIds": [zone["ZoneId"] for zone in kept]}


def _secret(aws: Aws, given: JSON) -> JSON:
    name = given.pop("arn", None) or given.pop("name")
    found = aws.client("secretsmanager").describe_secret(SecretId=name)
    return {
        "arn": found["ARN"],
        "name": found["Name"],
        "kmsKeyId": found.get("KmsKeyId", ""),
        "id": found["ARN"],
    }


def _secret_version(aws: Aws, given: JSON) -> JSON:
    asked = {"SecretId": given.pop("secretId")}
    if stage := given.pop("versionStage", None):
        asked["VersionStage"] = stage
    found = aws.client("secretsmanager").get_secret_value(**asked)
    return {
        "arn": found["ARN"],
        "secretString": found["SecretString"],
        "versionId": found["VersionId"],
        "versionStages": found["VersionStages"],
    }


def _instance(aws: Aws, given: JSON) -> JSON:
    name = given.pop("dbInstanceIdentifier")
    found = aws.client("rds").describe_db_instances(DBInstanceIdentifier=name)["DBInstances"][0]
    endpoint = found.get("Endpoint", {})
    return {
        "id": name,
        "dbInstanceArn": found["DBInstanceArn"],
        "dbInstanceClass": found["DBInstanceClass"],
        "address": endpoint.get("Address"),
        "port": endpoint.get("Port"),
        "endpoint": f"{endpoint.get('Address')}:{endpoint.get('Port')}",
        "engine": found["Engine"],
        "engineVersion": found["EngineVersion"],
        "resourceId": found["DbiResourceId"],
        "kmsKeyId": found.get("KmsKeyId"),
        "storageEncrypted": found["StorageEncrypted"],
        "dbParameterGroups": [one["DBParameterGroupName"] for one in found.get("DBParameterGroups", [])],
        "dbSubnetGroup": found.get("DBSubnetGroup", {}).get("DBSubnetGroupName"),
        "vpcSecurityGroups": [group["VpcSecurityGroupId"] for group in found.get("VpcSecurityGroups", [])],
        "multiAz": found["MultiAZ"],
        "backupRetentionPeriod": found["BackupRetentionPeriod"],
        "masterUsername": found["MasterUsername"],
        "dbName": found.get("DBName"),
    }


def _key(aws: Aws, given: JSON) -> JSON:
    found = aws.client("kms").describe_key(KeyId=given.pop("keyId"))["KeyMetadata"]
    return {"id": found["KeyId"], "arn": found["Arn"], "keyManager": found["KeyManager"]}


def _prefix_list(aws: Aws, given: JSON) -> JSON:
    name = given.pop("name")
    filters: Any = [{"Name": "prefix-list-name", "Values": [name]}]
    found = aws.client("ec2").describe_prefix_lists(Filters=filters)["PrefixLists"][0]
    return {"id": found["PrefixListId"], "name": name, "cidrBlocks": found["Cidrs"]}


def _quota(aws: Aws, given: JSON) -> JSON:
    """The provider looks at the default too, and tells it where nothing was ever granted; the emulator has both."""
    which = {"ServiceCode": given.pop("serviceCode"), "QuotaCode": given.pop("quotaCode")}
    default = aws.client("service-quotas").get_aws_default_service_quota(**which)["Quota"]
    there = aws.client("service-quotas").get_service_quota(**which)["Quota"]
    return {
        "id": there["QuotaArn"],
        "arn": there["QuotaArn"],
        "adjustable": there["Adjustable"],
        "quotaName": there["QuotaName"],
        "serviceName": there["ServiceName"],
        "defaultValue": default["Value"],
        "value": there["Value"],
    }


BY_TOKEN: dict[str, Answer] = {
    "aws:index/getCallerIdentity:getCallerIdentity": _caller_identity,
    "aws:index/getRegion:getRegion": _region,
    "aws:index/getPartition:getPartition": _partition,
    "aws:index/getAvailabilityZones:getAvailabilityZones": _zones,
    "aws:secretsmanager/getSecret:getSecret": _secret,
    "aws:secretsmanager/getSecretVersion:getSecretVersion": _secret_version,
    "aws:rds/getInstance:getInstance": _instance,
    "aws:kms/getKey:getKey": _key,
    "aws:ec2/getPrefixList:getPrefixList": _prefix_list,
    "aws:servicequotas/getServiceQuota:getServiceQuota": _quota,
}
