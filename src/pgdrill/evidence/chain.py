"""Whether the evidence of a database is all there, in order, as it was written. Pure.

Each record holds its number and the digest of the one before; each teardown holds its drill's digest again.
Limit: whoever may write to the store can drop the newest drills. That the whole chain was written anew shows in the
signatures beside it, which verification.py checks; against both stands Object Lock, which belongs to the deployment.
"""

from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import NamedTuple

from pydantic import ValidationError

from pgdrill.evidence.record import Evidence, canonical, sha256
from pgdrill.model import Model


class Kind(StrEnum):
    UNREADABLE = "unreadable"
    ALTERED = "altered"
    DROPPED = "dropped"
    REORDERED = "reordered"
    UNSIGNED = "unsigned"
    FORGED = "forged"


class Fault(NamedTuple):
    """What is wrong with one record, without saying which."""

    kind: Kind
    what: str


class Break(Model):
    """Where a chain does not hold: at which drill, how, and what shows it."""

    drill: str
    kind: Kind
    what: str


class Stored(NamedTuple):
    """A record as it lies in the store, under the key of `drill`; `witness` is the digest in its teardown.

    `home` is the database and the region that it lies under.
    """

    drill: str
    body: bytes
    witness: str | None = None
    home: tuple[str, str] | None = None


class Link(NamedTuple):
    """A drill's place in the chain of its database."""

    number: int
    previous_sha256: str | None


def verify_chain(records: Sequence[Stored]) -> list[Break]:
    """Return every break, oldest first; none where `records`, oldest first, are one whole chain."""
    read = [(stored, _read(stored.body)) for stored in records]
    numbers = {evidence.number for _, evidence in read if evidence}
    breaks: list[Break] = []
    before: tuple[Stored, Evidence] | None = None
    complete = True
    for stored, evidence in read:
        if evidence is None:
            breaks.append(
                Break(drill=stored.drill, kind=Kind.UNREADABLE, what="is not evidence in canonical form")
            )
            complete = False
            continue
        breaks.extend(_own(stored, evidence))
        if complete:
            breaks.extend(_joint(before, evidence, numbers))
        before, complete = (stored, evidence), True
    return list(dict.fromkeys(breaks))


def next_link(last: bytes | None, count: int) -> Link:
    """Return the place after the last of `count` records. A damaged one is counted, not repaired."""
    if last is None:
        return Link(1, None)
    evidence = _read(last)
    return Link((evidence.number if evidence else count) + 1, sha256(last))


def _read(body: bytes) -> Evidence | None:
    try:
        evidence = Evidence.model_validate_json(body)
    except ValidationError:
        return None
    return evidence if canonical(evidence) == body else None


def _own(stored: Stored, evidence: Evidence) -> Iterator[Break]:
    """Yield what a record shows by itself."""
    if evidence.drill != stored.drill:
        yield Break(
            drill=stored.drill, kind=Kind.REORDERED, what=f"holds the evidence of drill {evidence.drill}"
        )
    if stored.home not in {None, (evidence.database, evidence.point.region)}:
        yield Break(
            drill=stored.drill,
            kind=Kind.REORDERED,
            what=f"holds evidence of database {evidence.database} in {evidence.point.region}",
        )
    digest = sha256(stored.body)
    if stored.witness not in {None, digest}:
        yield Break(
            drill=stored.drill,
            kind=Kind.ALTERED,
            what=f"has SHA-256 {digest}, its teardown says {stored.witness}",
        )


def _joint(before: tuple[Stored, Evidence] | None, evidence: Evidence, numbers: set[int]) -> Iterator[Break]:
    """Yield what a record and the one before show together."""
    last = before[1].number if before else 0
    if evidence.number != last + 1:
        missing = set(range(last + 1, evidence.number)) - numbers
        yield Break(
            drill=evidence.drill,
            kind=Kind.DROPPED if missing else Kind.REORDERED,
            what=f"is number {evidence.number} and comes after number {last}"
            + (f"; {len(missing)} between are missing" if missing else ""),
        )
    elif before and evidence.previous_sha256 != sha256(before[0].body):
        yield Break(
            drill=before[0].drill,
            kind=Kind.ALTERED,
            what=f"has SHA-256 {sha256(before[0].body)}, drill {evidence.drill} after it says"
            f" {evidence.previous_sha256}",
        )
