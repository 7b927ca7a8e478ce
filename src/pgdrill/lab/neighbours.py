"""The emulator's S3, IAM and KMS as the lab's RDS sees them; looks into their stores, as its own services do.

An export is written through the emulator's front door under the export role, so its policies hold where the lab
enforces policies.
"""

import secrets
from typing import Any

from ministack.core.responses import request_scope
from ministack.services import kms, s3, sts

from pgdrill.lab import clients
from pgdrill.lab.bends import roles


class Emulated:
    """Implements `pgdrill.lab.rds.neighbours.Neighbours`."""

    def __init__(self, account: str, region: str) -> None:
        self._account = account
        self._region = region

    def bucket_region(self, bucket: str) -> str | None:
        with request_scope(self._account, self._region):
            return s3.bucket_region(bucket)

    def trusts(self, role: str, service: str, source: str) -> bool | None:
        with request_scope(self._account, self._region):
            return roles.trusts(role, service, source)

    def key_usable(self, region: str, key: str) -> bool:
        with request_scope(self._account, region):
            found = kms._resolve_key(key)  # type: ignore[no-untyped-call] # noqa: SLF001 # as its own services do
        return found is not None and found["KeyState"] == "Enabled"

    def s3(self, region: str, role: str) -> Any:
        key, secret, token = (secrets.token_hex(10) for _ in range(3))
        name = role.rsplit("/", 1)[-1]
        session = {
            "Arn": f"arn:aws:sts::{self._account}:assumed-role/{name}/rds-export",
            "UserId": f"{name}:rds-export",
            "SecretAccessKey": secret,
            "SessionToken": token,
            "AccountId": self._account,
            "PrincipalType": "AssumedRole",
        }
        sts.register_session(f"ASIA{key.upper()[:16]}", session)
        return clients.client("s3", region, f"ASIA{key.upper()[:16]}", secret, token)
