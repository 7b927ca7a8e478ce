"""What knows of evidence besides its own chain: the states of drills, and the bucket of the other cell. Writes nothing.

A chain whose newest records are gone is a whole chain still; that they were there shows in these two.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from pydantic import BaseModel, ValidationError

from pgdrill.evidence import audit
from pgdrill.evidence.archive import EVIDENCE, TEARDOWN, Source
from pgdrill.evidence.audit import Place
from pgdrill.evidence.chain import Break, Fault, Kind
from pgdrill.evidence.record import sha256

_WORD = {EVIDENCE: "record", TEARDOWN: "teardown"}


class Missing(NamedTuple):
    """Records of a region that are not in the bucket of the other one: on their way there, or deleted there."""

    region: str
    bucket: str
    records: int


class Compared(NamedTuple):
    breaks: list[Break]
    missing: list[Missing]


class _Point(BaseModel):
    region: str


class _State(BaseModel):
    """As much of a drill's state as matters here: another version of pgdrill may have written the rest."""

    evidence_sha256: str = ""
    point: _Point | None = None


def compare(stores: Mapping[str, Source], database: str) -> Compared:
    """Hold the evidence of a database against the states of its drills, and the stores against each other.

    `stores` are by region. What a region wrote lies in its own bucket first, and in the other's some time later: so what
    is there and not at home has been deleted, and what is at home and not there may be on its way.
    """
    stated = {place: digest for store in stores.values() for place, digest in _stated(store, database)}
    found = {place for store in stores.values() for place in audit.places(store, database)}
    breaks: list[Break] = []
    missing: Counter[tuple[str, str]] = Counter()
    for place in sorted(found | stated.keys()):
        for document in _WORD:
            there = _digests(stores, place.of(document))
            told = stated.get(place) if document == EVIDENCE else None
            faults = [*_gone(place, document, stores, there, told), *_differing(document, there, told)]
            breaks += [Break(drill=place.drill, kind=kind, what=what) for kind, what in faults]
            if document == EVIDENCE and place.region in there:
                missing.update((place.region, region) for region in stores if region not in there)
    return Compared(breaks, [Missing(*between, records) for between, records in sorted(missing.items())])


def _stated(store: Source, database: str) -> Iterator[tuple[Place, str]]:
    """Yield the digest of each record that the state of its drill says was written."""
    for key in store.keys(f"drills/{database}/"):
        if not key.endswith("/drill.json"):
            continue
        try:
            state = _State.model_validate_json(store.get(key) or b"")
        except ValidationError:
            continue
        if state.evidence_sha256 and state.point:
            yield Place(database, state.point.region, key.split("/")[2]), state.evidence_sha256


def _digests(stores: Mapping[str, Source], key: str) -> dict[str, str]:
    bodies = {region: store.get(key) for region, store in stores.items()}
    return {region: sha256(body) for region, body in bodies.items() if body is not None}


def _gone(
    place: Place, document: str, stores: Mapping[str, Source], there: Mapping[str, str], told: str | None
) -> Iterator[Fault]:
    if not there and told:
        yield Fault(Kind.DROPPED, f"is gone; the drill's state says that it was written, with SHA-256 {told}")
    elif there and place.region in stores.keys() - there.keys():
        yield Fault(
            Kind.DROPPED,
            f"has no {_WORD[document]} in the bucket in {place.region}, where it was written; it is in that in"
            f" {', '.join(there)}",
        )


def _differing(document: str, there: Mapping[str, str], told: str | None) -> Iterator[Fault]:
    if told:
        for digest in sorted(set(there.values()) - {told}):
            yield Fault(Kind.ALTERED, f"has SHA-256 {digest}, the drill's state says {told}")
    elif len(set(there.values())) > 1:
        seen = " and ".join(f"{digest} in {region}" for region, digest in sorted(there.items()))
        yield Fault(Kind.ALTERED, f"has a {_WORD[document]} with SHA-256 {seen}")
