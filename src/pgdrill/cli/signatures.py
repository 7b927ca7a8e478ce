"""Which keys a person trusts to have signed evidence: those of files, or those that KMS has for the plan."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

from pgdrill.cell import Cell
from pgdrill.errors import NotRunnable, PlanError, Unavailable
from pgdrill.evidence.verification import PublicKey, Verifier, public_key
from pgdrill.plan import Plan


def trusting(files: Sequence[Path]) -> Verifier:
    """Trust the keys of these files, for whichever region.

    Raises:
        NotRunnable: one is not there, or not such a key.
    """
    keys = [_read(path) for path in files]
    return Verifier(lambda _: keys)


def trusting_kms(plan: Plan) -> Verifier | None:
    """Trust the keys that KMS has for the plan, each for its region alone; None where the plan names none.

    A region is not asked before evidence of it is to be verified.
    """
    places = {place.region: place for place in (plan.primary, plan.dr)}

    @cache
    def keys_of(region: str) -> list[PublicKey] | None:
        place = places.get(region)
        if place is None:
            raise NotRunnable(
                f"there is evidence of {region}, which is no region of the plan",
                hint="give the key that signed it: --public-key FILE",
            )
        if not place.signing_key:
            return None
        source = f"what KMS has as key {place.signing_key!r} in {region}"
        try:
            pem = Cell.open(plan, place).keys.public_key()
        except Unavailable as error:
            raise Unavailable(
                f"{error.message} in {region}",
                hint="once KMS answers, ask again; or give the key as it was written down: --public-key FILE",
            ) from error
        return [public_key(pem.encode(), source)]

    return Verifier(keys_of) if any(place.signing_key for place in places.values()) else None


def plans_key(cell: Cell) -> str:
    """Return the public half of the cell's signing key, as PEM.

    Raises:
        PlanError: the plan names none.
    """
    if not cell.signer:
        raise PlanError(
            f"the plan names no signing key in {cell.place.region}",
            hint="set signing_key of this region in the plan: a KMS key of the kind ECC_NIST_P256",
        )
    return cell.signer.public_key()


def _read(path: Path) -> PublicKey:
    try:
        return public_key(path.read_bytes(), f"file {str(path)!r}")
    except OSError as error:
        raise NotRunnable(
            f"the public key cannot be read: {error}", hint="write one with: pgdrill evidence public-key"
        ) from error
