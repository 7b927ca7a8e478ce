"""The only module that calls KMS: derives a drill's password, so that nothing has to store one; signs; looks at keys."""

import base64
import textwrap
from typing import TYPE_CHECKING, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from pgdrill.aws.refusal import down
from pgdrill.errors import DrillError, NotRunnable, Unavailable
from pgdrill.model import Model

if TYPE_CHECKING:
    from mypy_boto3_kms import KMSClient


_LATER = frozenset({"ThrottlingException", "KMSInternalException", "DependencyTimeoutException"})


class Key(Model):
    """`state` is `Enabled` for one that works; `kind` `HMAC_256` or `SYMMETRIC_DEFAULT`, `usage` what it is for."""

    arn: str
    state: str
    kind: str
    usage: str
    customer_managed: bool


class Signed(NamedTuple):
    """`key` is the ARN of the key that signed, whatever it was called by; `signature` is in DER."""

    key: str
    signature: bytes


class Keys:
    """`signing_key` may be left out where nothing is signed."""

    def __init__(self, client: "KMSClient", mac_key: str, signing_key: str = "") -> None:
        self._client = client
        self._mac_key = mac_key
        self._signing_key = signing_key

    def password(self, instance: str, nonce: str) -> str:
        """Derive the password of a temporary instance; the same arguments give the same one.

        43 characters of A-Z a-z 0-9 - _, which RDS accepts (8 to 128, without / " @ and space).

        Raises:
            Unavailable: KMS refused or did not answer.
        """
        message = f"pgdrill drill password v1|{instance}|{nonce}".encode()
        try:
            mac = self._client.generate_mac(
                KeyId=self._mac_key, MacAlgorithm="HMAC_SHA_256", Message=message
            )["Mac"]
        except (ClientError, BotoCoreError) as error:
            code = error.response["Error"]["Code"] if isinstance(error, ClientError) else type(error).__name__
            raise Unavailable(
                f"cannot derive the drill's password with key {self._mac_key!r}: {code}",
                hint="check mac_key in the plan: an enabled HMAC_256 key that this role may call GenerateMac on",
            ) from error
        return base64.urlsafe_b64encode(mac).decode().rstrip("=")

    def may_derive(self) -> None:
        """See that a password could be derived, without deriving one.

        Raises:
            NotRunnable: not with this key, or not by this role.
            Unavailable: KMS did not answer.
        """
        try:
            self._client.generate_mac(
                KeyId=self._mac_key, MacAlgorithm="HMAC_SHA_256", Message=b"doctor", DryRun=True
            )
        except (ClientError, BotoCoreError) as error:
            if "DryRunOperation" not in _code(error):
                raise _refused(self._mac_key, "GenerateMac", error) from error

    def sign(self, digest: bytes) -> Signed:
        """Sign a SHA-256 with the signing key.

        Raises:
            NotRunnable: not with this key, or not by this role.
            Unavailable: KMS did not answer.
        """
        try:
            made = self._client.sign(
                KeyId=self._signing_key,
                Message=digest,
                MessageType="DIGEST",
                SigningAlgorithm="ECDSA_SHA_256",
            )
        except (ClientError, BotoCoreError) as error:
            raise _refused(self._signing_key, "Sign", error) from error
        return Signed(made["KeyId"], made["Signature"])

    def public_key(self) -> str:
        """Return the public half of the signing key, as PEM.

        Raises:
            NotRunnable: there is no such key, or this role may not have its public half.
            Unavailable: KMS did not answer.
        """
        try:
            der = self._client.get_public_key(KeyId=self._signing_key)["PublicKey"]
        except (ClientError, BotoCoreError) as error:
            raise _refused(self._signing_key, "GetPublicKey", error) from error
        lines = textwrap.wrap(base64.b64encode(der).decode(), 64)
        return "\n".join(["-----BEGIN PUBLIC KEY-----", *lines, "-----END PUBLIC KEY-----", ""])

    def describe(self, key: str) -> Key:
        """Return what KMS says of a key: an id, an ARN or an alias.

        Raises:
            NotRunnable: the key is not there, or this role may not describe it.
            Unavailable: KMS did not answer.
        """
        try:
            found = self._client.describe_key(KeyId=key)["KeyMetadata"]
        except (ClientError, BotoCoreError) as error:
            raise _refused(key, "DescribeKey", error) from error
        return Key(
            arn=found["Arn"],
            state=found.get("KeyState", ""),
            kind=found.get("KeySpec", ""),
            usage=found.get("KeyUsage", ""),
            customer_managed=found.get("KeyManager") == "CUSTOMER",
        )

    def state(self, key: str) -> str:
        """Return a key's state: `Enabled` for one that works, `not there` where KMS knows of none.

        Raises:
            NotRunnable: this role may not describe it.
            Unavailable: KMS did not answer.
        """
        try:
            return self.describe(key).state
        except NotRunnable as error:
            if error.__cause__ is not None and _code(error.__cause__) == "NotFoundException":
                return "not there"
            raise

    def customer_managed(self, key: str) -> bool:
        """Tell whether a key is one of the account's own, not one that AWS manages for a service."""
        if ":alias/aws/" in key or key.startswith("alias/aws/"):
            return False
        return self.describe(key).customer_managed


def _code(error: BaseException) -> str:
    return str(error.response["Error"]["Code"]) if isinstance(error, ClientError) else type(error).__name__


def _refused(key: str, action: str, error: Exception) -> DrillError:
    if isinstance(error, ClientError) and _code(error) not in _LATER and not down(error):
        return NotRunnable(
            f"key {key!r} cannot be used: {_code(error)}",
            hint=f"check that it exists, is enabled, and that this role may call {action} on it",
        )
    return Unavailable(
        f"key {key!r} cannot be used: {_code(error)}",
        hint="check that KMS is reachable from here: its endpoint, AWS_ENDPOINT_URL, credentials",
    )
