"""What a topic's policy, and that of the key it is encrypted with, let a service of AWS do.

Looks into the emulator's SNS and KMS, as its own services do; where the lab does not enforce policies, everything may.

Source: SNS Developer Guide, "Key management": a topic with an AWS managed key takes nothing from services, and a
service says which account and which of its resources it uses a key for; EventBridge alone does not.
"""

from ministack import app
from ministack.core import iam_evaluator
from ministack.core.responses import get_account_id, get_region
from ministack.services import kms, sns

NEEDED = ("kms:GenerateDataKey", "kms:Decrypt")


def refusal(topic: str, service: str, source: str) -> str | None:
    """Return why a service may not publish to a topic for `source`, an ARN; None where it may."""
    found = sns._topic_by_arn_any_scope(topic)  # noqa: SLF001 # as its own services do
    if found is None:
        return f"Topic does not exist: {topic}"
    if not app.AUTH:
        return None
    if not sns.topic_policy_allows(topic, service, source, get_account_id()):
        return f"{service} is not authorized to perform: SNS:Publish on resource: {topic}"
    key = found.get("attributes", {}).get("KmsMasterKeyId")
    return _key_refusal(key, service, source) if key else None


def _key_refusal(name: str, service: str, source: str) -> str | None:
    key = kms._resolve_key(name)  # type: ignore[no-untyped-call] # noqa: SLF001 # as its own services do
    if name.endswith("alias/aws/sns") or key is None:
        return f"{service} is not authorized to use the key {name}"
    for action in NEEDED:
        context = iam_evaluator.EvalContext(
            principal_arn="*",
            principal_type="Service",
            principal_account="",
            action=action,
            resource_arn=key["Arn"],
            region=get_region(),
            service_context={"aws:sourceaccount": get_account_id(), "aws:sourcearn": source},
        )
        decision = iam_evaluator.evaluate_resource_policy(key.get("Policy") or "", context, service=service)
        if decision.decision != "Allow":
            return f"{service} is not authorized to perform: {action} on resource: {key['Arn']}"
    return None
