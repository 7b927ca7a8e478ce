"""Whether a record is signed with a key that one trusts. For people: no function has `cryptography`, or needs it.

The key comes from KMS, or from a file that was written when all was well; never from where the evidence lies, since
whoever can write there could put another one.
"""

from collections.abc import Callable, Sequence

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from pgdrill.errors import NotRunnable
from pgdrill.evidence.chain import Fault, Kind
from pgdrill.evidence.record import sha256
from pgdrill.evidence.signature import Signature, read

PublicKey = ec.EllipticCurvePublicKey
_DIGEST = ec.ECDSA(utils.Prehashed(SHA256()))


def public_key(pem: bytes, source: str) -> PublicKey:
    """Read a public key; `source` names where it is from.

    Raises:
        NotRunnable: it is none, or of another kind than those that sign evidence.
    """
    try:
        key = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise NotRunnable(
            f"{source} is not a public key in PEM", hint="write one with: pgdrill evidence public-key"
        ) from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise NotRunnable(
            f"{source} is not a key on the curve P-256",
            hint="evidence is signed with KMS keys of the kind ECC_NIST_P256",
        )
    return key


class Verifier:
    """Judges records by the keys that are trusted for their region; None stands for a region that signs nothing."""

    def __init__(self, keys_of: Callable[[str], Sequence[PublicKey] | None]) -> None:
        self._keys_of = keys_of

    def checks(self, region: str) -> bool:
        return self._keys_of(region) is not None

    def fault(self, region: str, body: bytes, signed: bytes | None) -> Fault | None:
        """Return what is wrong with the signature of a record, None where it holds."""
        keys = self._keys_of(region)
        if keys is None:
            return None
        if signed is None:
            return Fault(Kind.UNSIGNED, "is not signed")
        signature = read(signed)
        if signature is None:
            return Fault(Kind.FORGED, "has a signature that cannot be read")
        digest = sha256(body)
        if signature.sha256 != digest:
            return Fault(Kind.ALTERED, f"has SHA-256 {digest}, its signature says {signature.sha256}")
        if not any(_holds(key, signature) for key in keys):
            return Fault(
                Kind.FORGED,
                f"is not signed with a key that is trusted here; its signature names {signature.key}",
            )
        return None


def _holds(key: PublicKey, signature: Signature) -> bool:
    try:
        key.verify(signature.der(), bytes.fromhex(signature.sha256), _DIGEST)
    except (InvalidSignature, ValueError):
        return False
    return True
