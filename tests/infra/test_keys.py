"""Keys are the customer's, rotate where KMS can, and each is used by whom its policy names and nobody else."""

import json
from fnmatch import fnmatchcase
from typing import Any

import pytest

from keys import ADMINISTER, DERIVE, SIGN, mac_policy, messages_policy, signing_policy, storage_policy
from naming import Names
from tests.infra.program import ACCOUNT, REGIONS, Run

NAMES = Names("test", REGIONS[0], ACCOUNT)
OPERATOR = f"arn:aws:iam::{ACCOUNT}:role/dba"
POLICIES = {
    "storage": storage_policy(NAMES),
    "messages": messages_policy(NAMES),
    "mac": mac_policy(NAMES, (OPERATOR,)),
    "signing": signing_policy(NAMES, (OPERATOR,)),
}
# What KMS grants that makes or reads with a key, or lets others do so.
USES = {
    "kms:Encrypt", "kms:Decrypt", "kms:ReEncryptTo", "kms:GenerateDataKey", "kms:GenerateMac", "kms:VerifyMac",
    "kms:Sign", "kms:CreateGrant",
}  # fmt: skip


def statement(policy: dict[str, Any], sid: str) -> dict[str, Any]:
    (found,) = (one for one in policy["Statement"] if one["Sid"] == sid)
    return dict(found)


def test_each_cell_has_four_keys_with_an_alias_each(ground: Run) -> None:
    keys = {one.name: one for one in ground.of("aws:kms/key:Key")}
    assert set(keys) == {f"{cell}-{key}" for cell in ("primary", "dr") for key in POLICIES}
    aliases = {
        one.inputs["name"]: one.inputs["targetKeyId"] for one in ground.of("aws:kms/alias:Alias", REGIONS[1])
    }
    assert aliases == {f"alias/pgdrill-test-{key}": f"key-dr-{key}" for key in POLICIES}


def test_what_kms_can_rotate_is_rotated(ground: Run) -> None:
    for key in ground.of("aws:kms/key:Key"):
        spec = key.inputs.get("customerMasterKeySpec", "SYMMETRIC_DEFAULT")
        assert key.inputs.get("enableKeyRotation", False) is (spec == "SYMMETRIC_DEFAULT")
    kinds = {
        one.name: (one.inputs.get("customerMasterKeySpec"), one.inputs.get("keyUsage"))
        for one in ground.of("aws:kms/key:Key", REGIONS[0])
    }
    assert kinds == {
        "primary-storage": (None, None),
        "primary-messages": (None, None),
        "primary-mac": ("HMAC_256", "GENERATE_VERIFY_MAC"),
        "primary-signing": ("ECC_NIST_P256", "SIGN_VERIFY"),
    }


@pytest.mark.parametrize(("run", "days"), [("ground", 7), ("protected", 30)])
def test_a_key_can_be_saved_for_days_after_it_was_deleted(
    run: str, days: int, request: pytest.FixtureRequest
) -> None:
    found: Run = request.getfixturevalue(run)
    assert {one.inputs["deletionWindowInDays"] for one in found.of("aws:kms/key:Key")} == {days}


@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
def test_no_policy_has_everybody_as_principal(policy: dict[str, Any]) -> None:
    for one in policy["Statement"]:
        assert one["Effect"] == "Allow"
        assert set(one["Principal"]) in ({"AWS"}, {"Service"})
        assert "*" not in json.dumps(one["Principal"])


@pytest.mark.parametrize("kind", ["mac", "signing"])
def test_administrators_cannot_use_what_passwords_and_signatures_come_from(kind: str) -> None:
    administer = statement(POLICIES[kind], "Administer")
    assert administer["Principal"] == {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}
    assert set(administer["Action"]) & USES == set()
    # An administrator could still change the policy, which CloudTrail tells of; without that no key could be kept.
    assert "kms:PutKeyPolicy" in ADMINISTER


@pytest.mark.parametrize(
    ("kind", "sid", "action", "functions"),
    [("mac", "Derive", "kms:GenerateMac", DERIVE), ("signing", "Sign", "kms:Sign", SIGN)],
)
def test_a_key_is_used_by_named_roles_alone(
    kind: str, sid: str, action: str, functions: tuple[str, ...]
) -> None:
    using = [one for one in POLICIES[kind]["Statement"] if set(_listed(one["Action"])) & (USES | {"kms:*"})]
    assert using == [statement(POLICIES[kind], sid)]
    (one,) = using
    assert one["Action"] == action
    roles = [f"arn:aws:iam::{ACCOUNT}:role/pgdrill-test-{name}-{REGIONS[0]}" for name in functions]
    assert one["Condition"] == {"ArnEquals": {"aws:PrincipalArn": [*roles, OPERATOR]}}


def test_the_roles_that_may_derive_and_sign_are_those_that_the_keys_name(whole: Run) -> None:
    for policy, action in ((POLICIES["mac"], "kms:GenerateMac"), (POLICIES["signing"], "kms:Sign")):
        named = {
            arn.rsplit("/", 1)[1]
            for one in policy["Statement"]
            for arn in one.get("Condition", {}).get("ArnEquals", {}).get("aws:PrincipalArn", [])
        } - {"dba"}
        allowed = {
            one.inputs["role"]
            for one in whole.of("aws:iam/rolePolicy:RolePolicy")
            for stated in json.loads(one.inputs["policy"])["Statement"]
            if stated["Effect"] == "Allow" and action in _listed(stated["Action"])
        }
        assert {name for name in allowed if name.endswith(REGIONS[0])} == named


def test_services_use_the_storage_key_for_this_account_and_suffix() -> None:
    policy = POLICIES["storage"]
    logs = statement(policy, "Logs")
    assert logs["Principal"] == {"Service": f"logs.{REGIONS[0]}.amazonaws.com"}
    groups = logs["Condition"]["ArnLike"]["kms:EncryptionContext:aws:logs:arn"]
    assert groups
    assert all(f"{REGIONS[0]}:{ACCOUNT}:log-group:" in one and "pgdrill-test-" in one for one in groups)
    delivery = statement(policy, "MachineLogs")
    assert delivery["Condition"]["StringEquals"] == {"aws:SourceAccount": ACCOUNT}
    assert services(policy) == {
        f"logs.{REGIONS[0]}.amazonaws.com",
        "delivery.logs.amazonaws.com",
        "events.amazonaws.com",
    }


def test_who_tells_something_needs_the_key_for_messages_and_no_other(whole: Run) -> None:
    """An alarm that a key is unusable would never be delivered, were its topic encrypted under that key."""
    assert services(POLICIES["messages"]) == {
        "cloudwatch.amazonaws.com",
        "events.amazonaws.com",
        "sns.amazonaws.com",
    }
    # SNS refuses what EventBridge sends when the key's policy has a condition on its source.
    assert "Condition" not in statement(POLICIES["messages"], "Events")
    assert statement(POLICIES["messages"], "Alarms")["Condition"] == {
        "StringEquals": {"aws:SourceAccount": ACCOUNT}
    }
    for kind, many in (("aws:sns/topic:Topic", 2), ("aws:sqs/queue:Queue", 2)):
        for cell, region in zip(("primary", "dr"), REGIONS, strict=True):
            key = whole.one("aws:kms/key:Key", f"{cell}-messages").outputs["arn"]
            assert [one.inputs["kmsMasterKeyId"] for one in whole.of(kind, region)] == [key] * many


def test_whoever_sends_to_an_encrypted_queue_may_use_its_key(whole: Run) -> None:
    """A role does by its own policy; a service only by the key's, and what it cannot encrypt is lost in silence."""
    senders = {
        statement["Principal"]["Service"]
        for one in whole.of("aws:sqs/queuePolicy:QueuePolicy")
        for statement in json.loads(one.inputs["policy"])["Statement"]
        if statement["Effect"] == "Allow"
    }
    assert senders == {"events.amazonaws.com", "sns.amazonaws.com"}
    for service in senders:
        (using,) = (
            one for one in POLICIES["messages"]["Statement"] if one["Principal"] == {"Service": service}
        )
        assert {"kms:Decrypt", "kms:GenerateDataKey*"} <= set(using["Action"])


def test_every_log_group_is_one_that_the_key_is_for(whole: Run) -> None:
    groups = whole.of("aws:cloudwatch/logGroup:LogGroup", REGIONS[0])
    patterns = statement(POLICIES["storage"], "Logs")["Condition"]["ArnLike"][
        "kms:EncryptionContext:aws:logs:arn"
    ]
    assert len(groups) > 20
    assert [
        name
        for name in (one.inputs["name"] for one in groups)
        if not any(
            fnmatchcase(f"arn:aws:logs:{REGIONS[0]}:{ACCOUNT}:log-group:{name}", one) for one in patterns
        )
    ] == []
    assert {one.inputs["kmsKeyId"] for one in groups} == {
        f"arn:aws:kms:{REGIONS[0]}:{ACCOUNT}:key/key-primary-storage"
    }


def services(policy: dict[str, Any]) -> set[str]:
    return {one["Principal"]["Service"] for one in policy["Statement"] if "Service" in one["Principal"]}


def _listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value
