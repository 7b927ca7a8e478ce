"""The emulator asks nobody for the key of an object or a secret; AWS asks the caller, through S3 or Secrets Manager.

Reading takes `kms:Decrypt` and writing an object `kms:GenerateDataKey`, on the customer-managed key of the bucket or
the secret, with `kms:ViaService`.

Source: S3 User Guide, "Using server-side encryption with AWS KMS keys"; Secrets Manager User Guide, "Secret
encryption and decryption"; KMS Developer Guide, "kms:ViaService".
"""

from typing import Any
from xml.etree import ElementTree as ET

from ministack.core import iam_evaluator
from ministack.core.responses import get_account_id, request_scope
from ministack.services import kms, s3, secretsmanager

from pgdrill.lab.bends.graft import Function, graft
from pgdrill.lab.rds.service import Rds

KEY_ACTIONS = {
    "s3:GetObject": "kms:Decrypt",
    "s3:GetObjectVersion": "kms:Decrypt",
    "s3:PutObject": "kms:GenerateDataKey",
    "secretsmanager:GetSecretValue": "kms:Decrypt",
}


def apply(_: Rds) -> None:
    graft(
        iam_evaluator,
        "enforce(access_key_id, iam_action, service, region, resource_arn, service_context)",
        _and_the_key,
    )


def _and_the_key(original: Function) -> Function:
    def enforce(  # noqa: PLR0917 # the emulator's own parameters
        access_key_id: str,
        iam_action: str,
        service: str,
        region: str,
        resource_arn: str = "*",
        service_context: dict[str, Any] | None = None,
    ) -> Any:
        denied = original(
            access_key_id,
            iam_action,
            service,
            region,
            resource_arn=resource_arn,
            service_context=service_context,
        )
        action = KEY_ACTIONS.get(iam_action)
        found = _key(service, resource_arn, region) if action and not denied else None
        if found is None:
            return denied
        key, where = found
        keys = {"kms:ViaService": f"{service}.{where}.amazonaws.com", "kms:CallerAccount": get_account_id()}
        with request_scope(get_account_id(), where):
            return original(access_key_id, action, "kms", where, resource_arn=key, service_context=keys)

    return enforce


def _key(service: str, resource: str, region: str) -> tuple[str, str] | None:
    """Return the ARN of the customer-managed key of a bucket or secret, and its region; None where there is none."""
    if service == "s3":
        bucket = resource.removeprefix("arn:aws:s3:::").partition("/")[0]
        key, where = _bucket_key(bucket), s3.bucket_region(bucket) or region
    else:
        _, secret = secretsmanager._resolve(resource)  # type: ignore[no-untyped-call] # noqa: SLF001 # as its own services do
        key, where = (secret or {}).get("KmsKeyId"), region
    if not key or key.rpartition(":")[2].startswith("alias/aws/"):
        return None
    with request_scope(get_account_id(), where):
        found = kms._resolve_key(key)  # type: ignore[no-untyped-call] # noqa: SLF001
    return (found["Arn"], where) if found else None


def _bucket_key(bucket: str) -> str | None:
    configuration = s3._bucket_encryption.get(bucket)  # type: ignore[no-untyped-call] # noqa: SLF001
    if not configuration:
        return None
    named = (one.text for one in ET.fromstring(configuration).iter() if one.tag.endswith("KMSMasterKeyID"))  # noqa: S314 # what the emulator took
    return next(named, None)
