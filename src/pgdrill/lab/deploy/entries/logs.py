"""CloudWatch Logs: groups, and who may write to them."""

from pgdrill.lab.deploy.aws import Aws
from pgdrill.lab.deploy.entry import Entry, Made, Outputs, Wanted, retag


def _create_group(wanted: Wanted) -> tuple[str, Outputs]:
    days = wanted.take("retentionInDays")
    wanted.later("skipDestroy")
    given = wanted.some("kmsKeyId", "logGroupClass", name="logGroupName")
    tags = wanted.take("tags") or {}
    name = given["logGroupName"]
    wanted.call("logs", "create_log_group", given, tags=tags)
    if days:
        wanted.call("logs", "put_retention_policy", logGroupName=name, retentionInDays=days)
    found = wanted.call("logs", "describe_log_groups", logGroupNamePrefix=name)["logGroups"]
    arn = next(group["arn"] for group in found if group["logGroupName"] == name)
    return name, {"arn": arn.removesuffix(":*"), "name": name}


def _update_group(wanted: Wanted, made: Made) -> Outputs:
    name = {"logGroupName": made.id}
    if days := wanted.take("retentionInDays"):
        wanted.call("logs", "put_retention_policy", name, retentionInDays=days)
    else:
        wanted.call("logs", "delete_retention_policy", name)
    key = wanted.take("kmsKeyId")
    if wanted.changed("kmsKeyId"):
        if key:
            wanted.call("logs", "associate_kms_key", name, kmsKeyId=key)
        else:
            wanted.call("logs", "disassociate_kms_key", name)
    added, gone = retag(wanted, made)
    arn = {"resourceArn": made.outputs["arn"]}
    if added:
        wanted.call("logs", "tag_resource", arn, tags=added)
    if gone:
        wanted.call("logs", "untag_resource", arn, tagKeys=gone)
    wanted.later("name", "logGroupClass", "skipDestroy")
    return {}


def _delete_group(aws: Aws, made: Made) -> None:
    aws.client("logs").delete_log_group(logGroupName=made.id)


def _put_policy(wanted: Wanted) -> tuple[str, Outputs]:
    given = wanted.some("policyName", "policyDocument")
    wanted.call("logs", "put_resource_policy", given)
    return str(given["policyName"]), {}


def _update_policy(wanted: Wanted, _: Made) -> Outputs:
    return _put_policy(wanted)[1]


def _delete_policy(aws: Aws, made: Made) -> None:
    aws.client("logs").delete_resource_policy(policyName=made.id)


ENTRIES = (
    Entry(
        "aws:cloudwatch/logGroup:LogGroup",
        _create_group,
        _delete_group,
        _update_group,
        frozenset({"name", "logGroupClass"}),
    ),
    Entry(
        "aws:cloudwatch/logResourcePolicy:LogResourcePolicy",
        _put_policy,
        _delete_policy,
        _update_policy,
        frozenset({"policyName"}),
    ),
)
