"""The customer-managed keys of a cell, and who may use each. Policies are plain functions, for tests and docs.

`storage` encrypts databases, snapshots, exports, buckets, the bus, logs, functions' environments and state machines;
`messages` topics and queues, since whoever tells that a key is unusable must not need that key; `mac` derives drills'
passwords; `signing` signs evidence. No policy has a `*` principal.
"""

from typing import Any

import pulumi
import pulumi_aws as aws

from naming import Names
from settings import Settings
from tagging import tags

Policy = dict[str, Any]

# Who derives passwords and who signs. No policy of IAM can give that to anybody else.
DERIVE = ("unlock", "examine", "confront")
SIGN = ("judge", "destroy")
WAITING_DAYS = 7  # the least that KMS allows
WAITING_DAYS_PROTECTED = 30  # the most
# What the account's administrators need of a key whose use its own policy decides. No grants, and no use.
ADMINISTER = (
    "kms:CancelKeyDeletion", "kms:CreateAlias", "kms:DeleteAlias", "kms:DescribeKey", "kms:DisableKey",
    "kms:EnableKey", "kms:GetKeyPolicy", "kms:GetKeyRotationStatus", "kms:GetPublicKey", "kms:ListGrants",
    "kms:ListKeyPolicies", "kms:ListResourceTags", "kms:PutKeyPolicy", "kms:ScheduleKeyDeletion",
    "kms:TagResource", "kms:UntagResource", "kms:UpdateAlias", "kms:UpdateKeyDescription",
)  # fmt: skip
ENCRYPT = ("kms:Decrypt", "kms:GenerateDataKey*")


class Keys(pulumi.ComponentResource):
    """Four keys with an alias each; the attributes are their ARNs."""

    storage: pulumi.Output[str]
    messages: pulumi.Output[str]
    mac: pulumi.Output[str]
    signing: pulumi.Output[str]

    def __init__(
        self, name: str, settings: Settings, names: Names, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("pgdrill:ground:Keys", name, None, opts)
        self._settings, self._names = settings, names
        operators = settings.operators
        self.storage = self._key(
            name, "storage", "encrypts databases, snapshots and all that is kept of them", storage_policy(names),
            # KMS rotates neither HMAC nor asymmetric keys; this one and the next it does, every year.
            enable_key_rotation=True,
        )  # fmt: skip
        self.messages = self._key(
            name, "messages", "encrypts what is told, and what could not be delivered", messages_policy(names),
            enable_key_rotation=True,
        )  # fmt: skip
        self.mac = self._key(
            name, "mac", "derives the passwords of temporary instances", mac_policy(names, operators),
            customer_master_key_spec="HMAC_256", key_usage="GENERATE_VERIFY_MAC",
        )  # fmt: skip
        self.signing = self._key(
            name, "signing", "signs evidence", signing_policy(names, operators),
            customer_master_key_spec="ECC_NIST_P256", key_usage="SIGN_VERIFY",
        )  # fmt: skip
        self.register_outputs(
            {"storage": self.storage, "messages": self.messages, "mac": self.mac, "signing": self.signing}
        )

    def _key(self, name: str, thing: str, purpose: str, policy: Policy, **kind: Any) -> pulumi.Output[str]:
        key = aws.kms.Key(
            f"{name}-{thing}",
            description=f"{self._names.thing(thing)}: {purpose}",
            policy=pulumi.Output.json_dumps(policy),
            deletion_window_in_days=WAITING_DAYS_PROTECTED if self._settings.protect else WAITING_DAYS,
            region=self._names.region,
            tags=tags(self._settings, self._names.thing(thing)),
            opts=pulumi.ResourceOptions(parent=self),
            **kind,
        )
        aws.kms.Alias(
            f"{name}-{thing}",
            name=self._names.alias(thing),
            target_key_id=key.key_id,
            region=self._names.region,
            opts=pulumi.ResourceOptions(parent=self),
        )
        return key.arn


def storage_policy(names: Names) -> Policy:
    """Whom the account's own policies allow, and the services that use the key in their own name.

    RDS, S3, Lambda, Step Functions, Scheduler and Secrets Manager use it in the name of a role of the account, or by
    a grant that such a role made, so nothing is said of them here.

    Sources: CloudWatch Logs, "Encrypt log data using KMS"; EventBridge, "Encrypting event buses"; Step Functions,
    "Data at rest encryption", for delivery.logs.
    """
    logs = [
        names.arn("logs", f"log-group:{group}")
        for group in (
            names.function_logs("*"),
            names.machine_logs("*"),
            names.flow_logs("*"),
            names.database_logs(names.thing("production-*")),
        )
    ]
    return _policy(
        _statement("AccountDecides", {"AWS": names.root}, "kms:*"),
        _statement(
            "Logs",
            {"Service": f"logs.{names.region}.amazonaws.com"},
            ["kms:Encrypt*", "kms:Decrypt*", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:Describe*"],
            {"ArnLike": {"kms:EncryptionContext:aws:logs:arn": logs}},
        ),
        _statement(
            "MachineLogs",
            {"Service": "delivery.logs.amazonaws.com"},
            "kms:Decrypt",
            _from_here(names) | {"ArnLike": {"aws:SourceArn": names.arn("logs", "*")}},
        ),
        _statement("Events", {"Service": "events.amazonaws.com"}, ["kms:DescribeKey", *ENCRYPT]),
    )


def messages_policy(names: Names) -> Policy:
    """Whom the account's own policies allow, and the services that publish to topics and send to queues.

    Sources: SNS, "Key management" (a key policy for EventBridge takes no source conditions; the topic's policy has
    them); SQS, "Key management".
    """
    return _policy(
        _statement("AccountDecides", {"AWS": names.root}, "kms:*"),
        _statement("Alarms", {"Service": "cloudwatch.amazonaws.com"}, list(ENCRYPT), _from_here(names)),
        _statement("Events", {"Service": "events.amazonaws.com"}, list(ENCRYPT)),
        # What a topic delivers to an encrypted queue; from which topic, the queue's policy says.
        _statement("Deliveries", {"Service": "sns.amazonaws.com"}, list(ENCRYPT)),
    )


def mac_policy(names: Names, operators: tuple[str, ...]) -> Policy:
    return _policy(
        _statement("Administer", {"AWS": names.root}, list(ADMINISTER)),
        _used("Derive", names, "kms:GenerateMac", DERIVE, operators),
    )


def signing_policy(names: Names, operators: tuple[str, ...]) -> Policy:
    return _policy(
        _statement("Administer", {"AWS": names.root}, list(ADMINISTER)),
        _statement("Verify", {"AWS": names.root}, "kms:Verify"),
        _used("Sign", names, "kms:Sign", SIGN, operators),
    )


def _from_here(names: Names) -> Policy:
    return {"StringEquals": {"aws:SourceAccount": names.account}}


def _used(
    sid: str, names: Names, action: str, functions: tuple[str, ...], operators: tuple[str, ...]
) -> Policy:
    """Allow an action to named roles. As principals they would have to be there first, and they come after the key."""
    roles = [*(names.role_arn(function) for function in functions), *operators]
    return _statement(sid, {"AWS": names.root}, action, {"ArnEquals": {"aws:PrincipalArn": roles}})


def _statement(
    sid: str, principal: dict[str, str], action: str | list[str], condition: Policy | None = None
) -> Policy:
    # In a key's policy `*` is the key itself.
    statement = {"Sid": sid, "Effect": "Allow", "Principal": principal, "Action": action, "Resource": "*"}
    return statement | ({"Condition": condition} if condition else {})


def _policy(*statements: Policy) -> Policy:
    return {"Version": "2012-10-17", "Statement": list(statements)}
