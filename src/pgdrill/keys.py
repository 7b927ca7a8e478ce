"""The only module that calls KMS: derives a drill's password, so that nothing has to store one; looks at keys."""

import base64
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from pgdrill.errors import NotRunnable, Unavailable

if TYPE_CHECKING:
    from mypy_boto3_kms import KMSClient


class Keys:
    def __init__(self, client: "KMSClient", mac_key: str) -> None:
        self._client = client
        self._mac_key = mac_key

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

    def customer_managed(self, key: str) -> bool:
        """Tell whether a key is one of the account's own, not one that AWS manages for a service.

        Raises:
            NotRunnable: the key is not there, or this role may not describe it.
            Unavailable: KMS did not answer.
        """
        if ":alias/aws/" in key or key.startswith("alias/aws/"):
            return False
        try:
            described = self._client.describe_key(KeyId=key)["KeyMetadata"]
        except ClientError as error:
            raise NotRunnable(
                f"key {key!r} cannot be looked at: {error.response['Error']['Code']}",
                hint="check that it exists and that this role may call DescribeKey on it",
            ) from error
        except BotoCoreError as error:
            raise Unavailable(
                f"key {key!r} cannot be looked at: {type(error).__name__}",
                hint="check that KMS is reachable from here: its endpoint, AWS_ENDPOINT_URL, credentials",
            ) from error
        return described.get("KeyManager") == "CUSTOMER"
