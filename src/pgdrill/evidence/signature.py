"""The signature that lies beside a record: whose key says that these are its bytes. Pure; no I/O.

What is signed is the SHA-256 of the record's bytes, by ECDSA on P-256, so that `openssl dgst -sha256 -verify` can
check it too. Checking is verification.py's, which no function needs.
"""

import base64
import binascii
from typing import Literal, Protocol

from pydantic import ValidationError

from pgdrill.evidence.record import Sha256, sha256
from pgdrill.model import Model


class Signer(Protocol):
    """A signing key, which never leaves the service that has it."""

    def sign(self, digest: bytes) -> tuple[str, bytes]:
        """Return the ARN of the key and the signature of a SHA-256, in DER."""

    def public_key(self) -> str:
        """Return the public half, as PEM."""


class Signature(Model):
    """`key` is the ARN of the key, for people; `sha256` what was signed; `signature` its DER, in base64."""

    schema_version: Literal["1"] = "1"
    algorithm: Literal["ECDSA_SHA_256"] = "ECDSA_SHA_256"
    key: str
    sha256: Sha256
    signature: str

    def der(self) -> bytes:
        """Return the signature itself.

        Raises:
            ValueError: it is not base64.
        """
        try:
            return base64.b64decode(self.signature, validate=True)
        except binascii.Error as error:
            raise ValueError("not base64") from error


def sign(signer: Signer, body: bytes) -> Signature:
    """Sign the bytes of a record."""
    digest = sha256(body)
    key, signature = signer.sign(bytes.fromhex(digest))
    return Signature(key=key, sha256=digest, signature=base64.b64encode(signature).decode())


def read(body: bytes) -> Signature | None:
    """Return the signature, None where the bytes are none."""
    try:
        return Signature.model_validate_json(body)
    except ValidationError:
        return None
