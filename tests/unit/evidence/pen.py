"""A signing key for tests that talk to nothing."""

from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

REGION = "ap-southeast-1"


class Pen:
    """A signing key that is at hand; otherwise what KMS is."""

    def __init__(self, name: str) -> None:
        self.arn = f"arn:aws:kms:{REGION}:000000000000:key/{name}"
        self.private = ec.generate_private_key(ec.SECP256R1())
        self.asked = 0

    def sign(self, digest: bytes) -> tuple[str, bytes]:
        return self.arn, self.private.sign(digest, ec.ECDSA(utils.Prehashed(SHA256())))

    def public_key(self) -> str:
        self.asked += 1
        return (
            self.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        )
