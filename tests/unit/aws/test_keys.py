import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgdrill.aws.keys import Key, Keys
from pgdrill.errors import NotRunnable, Unavailable
from tests.unit.clients import scripted


@given(st.binary(min_size=32, max_size=32))
def test_a_password_obeys_the_rules_of_rds(mac: bytes) -> None:
    client, script = scripted("kms")
    script.add_response("generate_mac", {"Mac": mac})
    password = Keys(client, "alias/mac").password("pgdrill-lab-drill-shop", "nonce")
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", password)


def test_a_password_is_derived_from_instance_and_nonce() -> None:
    client, script = scripted("kms")
    script.add_response(
        "generate_mac",
        {"Mac": b"\x00" * 32},
        {
            "KeyId": "alias/mac",
            "MacAlgorithm": "HMAC_SHA_256",
            "Message": b"pgdrill drill password v1|pgdrill-lab-drill-shop|nonce",
        },
    )
    Keys(client, "alias/mac").password("pgdrill-lab-drill-shop", "nonce")
    script.assert_no_pending_responses()


def test_a_key_that_may_not_be_used_is_named() -> None:
    client, script = scripted("kms")
    script.add_client_error("generate_mac", "DisabledException")
    with pytest.raises(Unavailable) as refused:
        Keys(client, "alias/mac").password("i", "n")
    assert refused.value.message == (
        "cannot derive the drill's password with key 'alias/mac': DisabledException"
    )
    assert refused.value.hint == (
        "check mac_key in the plan: an enabled HMAC_256 key that this role may call GenerateMac on"
    )


@pytest.mark.parametrize(("manager", "ours"), [("CUSTOMER", True), ("AWS", False)])
def test_a_key_is_the_accounts_own_or_awss(manager: str, *, ours: bool) -> None:
    client, script = scripted("kms")
    described = {"KeyId": "k", "Arn": "arn:aws:kms:r:0:key/k", "KeyManager": manager}
    script.add_response("describe_key", {"KeyMetadata": described}, {"KeyId": "arn:aws:kms:r:0:key/k"})
    assert Keys(client, "alias/mac").customer_managed("arn:aws:kms:r:0:key/k") is ours


@pytest.mark.parametrize("key", ["alias/aws/rds", "arn:aws:kms:ap-southeast-1:0:alias/aws/rds"])
def test_the_alias_of_an_aws_key_needs_no_look(key: str) -> None:
    client, _ = scripted("kms")
    assert Keys(client, "alias/mac").customer_managed(key) is False


def test_a_key_that_may_not_be_looked_at_is_said() -> None:
    client, script = scripted("kms")
    script.add_client_error("describe_key", "AccessDeniedException")
    with pytest.raises(NotRunnable) as refused:
        Keys(client, "alias/mac").customer_managed("k")
    assert refused.value.message == "key 'k' cannot be used: AccessDeniedException"


def test_a_key_that_is_not_there_is_a_state_and_one_that_nobody_lets_us_ask_about_is_none() -> None:
    client, script = scripted("kms")
    script.add_client_error("describe_key", "NotFoundException")
    script.add_client_error("describe_key", "AccessDeniedException")
    script.add_client_error("describe_key", "ThrottlingException")
    keys = Keys(client, "alias/mac")
    assert keys.state("k") == "not there"
    with pytest.raises(NotRunnable, match=r"^key 'k' cannot be used: AccessDeniedException$"):
        keys.state("k")
    with pytest.raises(Unavailable, match=r"^key 'k' cannot be used: ThrottlingException$"):
        keys.state("k")


def test_a_key_is_told_with_its_state_kind_and_owner() -> None:
    client, script = scripted("kms")
    arn = "arn:aws:kms:ap-southeast-1:000000000000:key/k"
    described = {
        "KeyId": "k",
        "Arn": arn,
        "KeyState": "PendingDeletion",
        "KeySpec": "SYMMETRIC_DEFAULT",
        "KeyUsage": "ENCRYPT_DECRYPT",
        "KeyManager": "CUSTOMER",
    }
    script.add_response("describe_key", {"KeyMetadata": described}, {"KeyId": "alias/storage"})
    assert Keys(client, "alias/mac").describe("alias/storage") == Key(
        arn=arn,
        state="PendingDeletion",
        kind="SYMMETRIC_DEFAULT",
        usage="ENCRYPT_DECRYPT",
        customer_managed=True,
    )


def test_whether_a_password_may_be_derived_is_asked_without_deriving_one() -> None:
    client, script = scripted("kms")
    asked = {"KeyId": "alias/mac", "MacAlgorithm": "HMAC_SHA_256", "Message": b"doctor", "DryRun": True}
    script.add_client_error("generate_mac", "DryRunOperationException", expected_params=asked)
    Keys(client, "alias/mac").may_derive()
    script.add_client_error("generate_mac", "AccessDeniedException")
    with pytest.raises(NotRunnable) as refused:
        Keys(client, "alias/mac").may_derive()
    assert refused.value.message == "key 'alias/mac' cannot be used: AccessDeniedException"
    assert refused.value.hint == (
        "check that it exists, is enabled, and that this role may call GenerateMac on it"
    )


def test_a_kms_that_is_busy_may_answer_later() -> None:
    client, script = scripted("kms")
    script.add_client_error("describe_key", "ThrottlingException")
    with pytest.raises(Unavailable, match="key 'k' cannot be used: ThrottlingException"):
        Keys(client, "alias/mac").describe("k")


def test_a_service_that_is_down_says_nothing_of_the_key() -> None:
    client, script = scripted("kms")
    script.add_client_error("describe_key", "503", http_status_code=503)
    with pytest.raises(Unavailable, match="key 'alias/storage' cannot be used: 503"):
        Keys(client, "alias/mac").describe("alias/storage")


ARN = "arn:aws:kms:ap-southeast-1:000000000000:key/k"


def test_a_digest_is_signed_as_one_and_the_key_told_by_its_arn() -> None:
    client, script = scripted("kms")
    asked = {
        "KeyId": "alias/signing",
        "Message": b"\x01" * 32,
        "MessageType": "DIGEST",
        "SigningAlgorithm": "ECDSA_SHA_256",
    }
    script.add_response("sign", {"KeyId": ARN, "Signature": b"der"}, asked)
    assert Keys(client, "alias/mac", "alias/signing").sign(b"\x01" * 32) == (ARN, b"der")


def test_a_public_key_is_told_as_pem() -> None:
    client, script = scripted("kms")
    script.add_response("get_public_key", {"PublicKey": bytes(91)}, {"KeyId": "alias/signing"})
    told = Keys(client, "alias/mac", "alias/signing").public_key()
    # 91 bytes, as those of a key on P-256, are 122 characters of base64, filled up to 124.
    assert told == f"-----BEGIN PUBLIC KEY-----\n{64 * 'A'}\n{58 * 'A'}==\n-----END PUBLIC KEY-----\n"


@pytest.mark.parametrize(
    ("call", "action", "does"),
    [
        ("sign", "Sign", lambda keys: keys.sign(bytes(32))),
        ("get_public_key", "GetPublicKey", lambda keys: keys.public_key()),
    ],
)
def test_a_signing_key_that_may_not_be_used_is_named(
    call: str, action: str, does: Callable[[Keys], object]
) -> None:
    client, script = scripted("kms")
    keys = Keys(client, "alias/mac", "alias/signing")
    script.add_client_error(call, "DisabledException")
    with pytest.raises(NotRunnable) as refused:
        does(keys)
    assert refused.value.message == "key 'alias/signing' cannot be used: DisabledException"
    assert refused.value.hint == (
        f"check that it exists, is enabled, and that this role may call {action} on it"
    )
    script.add_client_error(call, "ThrottlingException")
    with pytest.raises(Unavailable, match="key 'alias/signing' cannot be used: ThrottlingException"):
        does(keys)
