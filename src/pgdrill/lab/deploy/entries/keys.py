"""KMS: keys and their aliases."""

from pgdrill.lab.deploy.aws import Aws
from pgdrill.lab.deploy.entry import Entry, Made, Outputs, Wanted, as_tags, retag

_FIXED = frozenset({"keyUsage", "multiRegion", "customerMasterKeySpec", "isEnabled"})
WINDOW = 30  # days that KMS waits unless told


def _create_key(wanted: Wanted) -> tuple[str, Outputs]:
    days = wanted.take("rotationPeriodInDays")
    rotated = wanted.take("enableKeyRotation")
    enabled = wanted.take("isEnabled", True)
    wanted.later("deletionWindowInDays")
    given = wanted.some(
        "description",
        "keyUsage",
        "policy",
        "multiRegion",
        "bypassPolicyLockoutSafetyCheck",
        customerMasterKeySpec="KeySpec",
    )
    key = wanted.call("kms", "create_key", given, Tags=wanted.tags("TagKey", "TagValue"))["KeyMetadata"]
    if rotated:
        _rotate(wanted, key["KeyId"], days)
    if not enabled:
        wanted.call("kms", "disable_key", KeyId=key["KeyId"])
    return key["KeyId"], {"arn": key["Arn"], "keyId": key["KeyId"]}


def _rotate(wanted: Wanted, key: str, days: float | None) -> None:
    wanted.call("kms", "enable_key_rotation", KeyId=key, RotationPeriodInDays=days)


def _update_key(wanted: Wanted, made: Made) -> Outputs:
    key = {"KeyId": made.id}
    days, rotated = wanted.take("rotationPeriodInDays"), wanted.take("enableKeyRotation")
    if rotated:
        _rotate(wanted, made.id, days)
    elif wanted.changed("enableKeyRotation"):
        wanted.call("kms", "disable_key_rotation", key)
    if wanted.changed("policy"):
        wanted.call("kms", "put_key_policy", key, PolicyName="default", Policy=wanted.inputs["policy"])
    if wanted.changed("description"):
        wanted.call("kms", "update_key_description", key, Description=wanted.inputs.get("description", ""))
    added, gone = retag(wanted, made)
    if added:
        wanted.call("kms", "tag_resource", key, Tags=as_tags(added, "TagKey", "TagValue"))
    if gone:
        wanted.call("kms", "untag_resource", key, TagKeys=gone)
    wanted.later("policy", "description", "deletionWindowInDays", "bypassPolicyLockoutSafetyCheck", *_FIXED)
    return {}


def _delete_key(aws: Aws, made: Made) -> None:
    days = int(made.inputs.get("deletionWindowInDays", WINDOW))
    aws.client("kms").schedule_key_deletion(KeyId=made.id, PendingWindowInDays=days)


def _create_alias(wanted: Wanted) -> tuple[str, Outputs]:
    given = wanted.some(name="AliasName", targetKeyId="TargetKeyId")
    wanted.call("kms", "create_alias", given)
    return given["AliasName"], _alias(wanted, given["AliasName"])


def _update_alias(wanted: Wanted, made: Made) -> Outputs:
    wanted.call("kms", "update_alias", wanted.some(name="AliasName", targetKeyId="TargetKeyId"))
    return _alias(wanted, made.id)


def _alias(wanted: Wanted, name: str) -> Outputs:
    key = wanted.call("kms", "describe_key", KeyId=name)["KeyMetadata"]
    return {"arn": key["Arn"].rpartition(":")[0] + f":{name}", "targetKeyArn": key["Arn"]}


def _delete_alias(aws: Aws, made: Made) -> None:
    aws.client("kms").delete_alias(AliasName=made.id)


ENTRIES = (
    Entry("aws:kms/key:Key", _create_key, _delete_key, _update_key, _FIXED, named=False),
    Entry("aws:kms/alias:Alias", _create_alias, _delete_alias, _update_alias, frozenset({"name"})),
)
