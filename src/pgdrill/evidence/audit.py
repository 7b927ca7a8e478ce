"""Goes through the evidence in a store, or in a copy of it, and tells what is not as it was written. Writes nothing."""

from collections.abc import Iterator
from itertools import groupby
from typing import NamedTuple, Protocol

from pydantic import ValidationError

from pgdrill.evidence.archive import EVIDENCE, ROOT, TEARDOWN, Source, beside
from pgdrill.evidence.chain import Break, Fault, Kind, Stored, verify_chain
from pgdrill.evidence.record import Teardown


class Verifier(Protocol):
    def fault(self, region: str, body: bytes, signed: bytes | None) -> Fault | None:
        """Return what is wrong with the signature of a record, None where it holds or none is due."""


class Place(NamedTuple):
    """Where the records of a drill lie."""

    database: str
    region: str
    drill: str

    def of(self, document: str) -> str:
        return f"{ROOT}/{self.database}/{self.region}/{self.drill}/{document}"


# A drill of which only the record is gone is one as well.
_KEPT = (EVIDENCE, beside(EVIDENCE), TEARDOWN)


def databases(source: Source) -> list[str]:
    """Return the databases of which there is evidence, or what is left of it, in name order."""
    return sorted({place.database for place in _places(source, f"{ROOT}/")})


def places(source: Source, database: str) -> list[Place]:
    """Return where the records of a database lie, or lay, one region after the other."""
    return sorted(_places(source, f"{ROOT}/{database}/"))


def _places(source: Source, prefix: str) -> set[Place]:
    keys = (key.split("/") for key in source.keys(prefix))
    return {
        Place(*parts[1:4]) for parts in keys if len(parts) == len(Place._fields) + 2 and parts[4] in _KEPT
    }


def broken(source: Source, database: str, verifier: Verifier | None = None) -> list[Break]:
    """Return every break in the chains of a database, one region after the other; `verifier` checks signatures too."""
    return [
        found
        for _, chain in groupby(places(source, database), lambda place: place.region)
        for found in _broken(source, list(chain), verifier)
    ]


def _broken(source: Source, chain: list[Place], verifier: Verifier | None) -> list[Break]:
    stored, breaks = [], []
    for place in chain:
        body, torn_down = source.get(place.of(EVIDENCE)), source.get(place.of(TEARDOWN))
        if body is not None:
            stored.append(Stored(place.drill, body, _witness(torn_down), (place.database, place.region)))
        faults = [*_faults(source, place, verifier)]
        breaks += [Break(drill=place.drill, kind=kind, what=what) for kind, what in faults]
    return sorted([*verify_chain(stored), *breaks], key=lambda found: found.drill)


def _witness(torn_down: bytes | None) -> str | None:
    """Return the digest of the record that its teardown holds."""
    try:
        return Teardown.model_validate_json(torn_down).evidence_sha256 if torn_down is not None else None
    except ValidationError:
        return "nothing that can be read"


def _faults(source: Source, place: Place, verifier: Verifier | None) -> Iterator[Fault]:
    """Yield what is gone of a drill, and what is wrong with the signatures of its two records."""
    body, signed = source.get(place.of(EVIDENCE)), source.get(beside(place.of(EVIDENCE)))
    if body is None:
        yield Fault(Kind.DROPPED, "is gone; its signature or its teardown is there")
    elif verifier and (fault := verifier.fault(place.region, body, signed)):
        yield fault
    body, signed = source.get(place.of(TEARDOWN)), source.get(beside(place.of(TEARDOWN)))
    if body is None and signed is not None:
        yield Fault(Kind.DROPPED, "has no teardown any more; the signature of one is there")
    elif body is not None and verifier and (fault := verifier.fault(place.region, body, signed)):
        yield Fault(fault.kind, f"has a teardown that {fault.what}")
