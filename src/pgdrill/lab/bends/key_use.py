"""The emulator asks nobody for the key of an object, secret, queue or topic; AWS asks the caller, through the service.

Reading takes `kms:Decrypt`, writing an object `kms:GenerateDataKey`, sending a message both, on the customer-managed
key of the bucket, secret, queue or topic, with `kms:ViaService`.

Source: S3 User Guide, "Using server-side encryption with AWS KMS keys"; Secrets Manager User Guide, "Secret
encryption and decryption"; SQS and SNS Developer Guides, "Key management"; KMS Developer Guide, "kms:ViaService".
"""

from typing import Any
from xml.etree import ElementTree as ET

from ministack.core.responses import get_account_id, request_scope
from ministack.services import kms, s3, secretsmanager, sns, sqs

from pgdrill.lab.bends import evaluation, roles
from pgdrill.lab.bends.evaluation import Ask, Asked
from pgdrill.lab.rds.service import Rds

SENDS = ("kms:GenerateDataKey", "kms:Decrypt")
KEY_ACTIONS = {
    "s3:GetObject": ("kms:Decrypt",),
    "s3:GetObjectVersion": ("kms:Decrypt",),
    "s3:PutObject": ("kms:GenerateDataKey",),
    "secretsmanager:GetSecretValue": ("kms:Decrypt",),
    "sns:Publish": SENDS,
    "sqs:ReceiveMessage": ("kms:Decrypt",),
    "sqs:SendMessage": SENDS,
}


def apply(_: Rds) -> None:
    evaluation.around(_and_the_key)


def _and_the_key(ask: Ask, asked: Asked) -> Any:
    refused, actions = ask(asked), KEY_ACTIONS.get(asked.action, ())
    found = _key(asked.service, asked.resource, asked.region) if actions and not refused else None
    if found is None:
        return refused
    key, where = found
    keys = {
        "kms:ViaService": f"{asked.service}.{where}.amazonaws.com",
        "kms:CallerAccount": get_account_id(),
    }
    needs = (Asked(asked.access_key, action, "kms", where, key, keys) for action in actions)
    return evaluation.first_refusal(ask, needs)


def _key(service: str, resource: str, region: str) -> tuple[str, str] | None:
    """Return the ARN of the customer-managed key of what is asked for, and its region; None where there is none."""
    if service == "s3":
        bucket = resource.removeprefix("arn:aws:s3:::").partition("/")[0]
        key, where = _bucket_key(bucket), s3.bucket_region(bucket) or region
    else:
        key, where = message_key(service, resource) or _secret_key(service, resource), region
    return _customer_managed(key, where)


def bucket_key(bucket: str, region: str) -> str | None:
    """Return the ARN of a bucket's customer-managed key; None where it has none."""
    found = _customer_managed(_bucket_key(bucket), region)
    return found[0] if found else None


def has_bucket_key(bucket: str) -> bool:
    """Tell whether what a bucket holds is encrypted under a key of the bucket's, made of its customer-managed one."""
    return "true" in _encryption(bucket, "BucketKeyEnabled")


def message_key(service: str, resource: str) -> str | None:
    """Return the key of a queue or topic, as it was given; None where it has none."""
    found: Any = None
    if service == "sqs":
        found = sqs._queue_by_arn(resource)  # noqa: SLF001 # as its own services do
    elif service == "sns":
        found = sns._topic_by_arn_any_scope(resource)  # noqa: SLF001
    return (found or {}).get("attributes", {}).get("KmsMasterKeyId") or None


def check_service(service: str, resource: str, *, source: str, named: bool = True) -> None:
    """See that the key of a queue or topic, if it has one, lets a service use it in its own name.

    `source` and `named` are as in `roles.check_service`.

    Raises:
        NotAllowed: it does not, or cannot be used by anybody, or is AWS's own, whose policy names no service.
    """
    key = message_key(resource.split(":")[2], resource)
    if key is None:
        return
    found = kms._resolve_key(key)  # type: ignore[no-untyped-call] # noqa: SLF001
    if found is None or found["KeyState"] != "Enabled" or ":alias/aws/" in f":{key}":
        raise roles.NotAllowed(f"{service} is not authorized to use the key {key}")
    policy = kms.key_policy_for_arn(found["Arn"])
    for use in SENDS:
        roles.check_service(
            service,
            use,
            found["Arn"],
            source=source,
            policy=policy[0] if policy else None,
            named=named,
        )


def _secret_key(service: str, resource: str) -> str | None:
    if service != "secretsmanager":
        return None
    _, secret = secretsmanager._resolve(resource)  # type: ignore[no-untyped-call] # noqa: SLF001
    return (secret or {}).get("KmsKeyId")


def _customer_managed(key: str | None, where: str) -> tuple[str, str] | None:
    if not key or key.rpartition(":")[2].startswith("alias/aws/"):
        return None
    with request_scope(get_account_id(), where):
        found = kms._resolve_key(key)  # type: ignore[no-untyped-call] # noqa: SLF001
    return (found["Arn"], where) if found else None


def _bucket_key(bucket: str) -> str | None:
    return next(iter(_encryption(bucket, "KMSMasterKeyID")), None)


def _encryption(bucket: str, member: str) -> list[str]:
    """Return what the rules of a bucket's default encryption say of a member."""
    configuration = s3._bucket_encryption.get(bucket)  # type: ignore[no-untyped-call] # noqa: SLF001
    if not configuration:
        return []
    rules = ET.fromstring(configuration).iter()  # noqa: S314 # what the emulator took
    return [one.text or "" for one in rules if one.tag.endswith(member)]
