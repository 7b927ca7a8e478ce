"""Whether the evidence of a database is all there, in order, as it was written. Pure.

Each record holds its number and the digest of the one before, in the order in which they were written, which need not
be that in which drills began; each teardown holds its drill's digest again.
Limit: whoever may write to the store can drop the newest drills, which comparison.py looks for. That the whole chain
was written anew shows in the signatures beside it, which verification.py checks; against both stands Object Lock, which
belongs to the deployment.
"""

from collections.abc import Iterator, Sequence
from enum import StrEnum
from itertools import groupby
from typing import NamedTuple

from pydantic import ValidationError

from pgdrill.evidence.record import Evidence, canonical, sha256
from pgdrill.model import Model


class Kind(StrEnum):
    UNREADABLE = "unreadable"
    ALTERED = "altered"
    DROPPED = "dropped"
    REORDERED = "reordered"
    FORKED = "forked"
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
    """Return every break, by number; none where `records` are one whole chain.

    Their order is that of their numbers: a recovery that was judged while a drill was under way comes before that drill.
    """
    read = [(stored, _read(stored.body)) for stored in records]
    breaks = [
        Break(drill=stored.drill, kind=Kind.UNREADABLE, what="is not evidence in canonical form")
        for stored, evidence in read
        if evidence is None
    ]
    # Each may be one of those that are missing between two others.
    unreadable = len(breaks)
    told = [(stored, evidence) for stored, evidence in read if evidence]
    last, before = 0, list[Stored]()
    for number, group in groupby(sorted(told, key=_number), _number):
        same = list(group)
        missing = number - last - 1
        lost, unreadable = max(0, missing - unreadable), max(0, unreadable - missing)
        for stored, evidence in same:
            breaks.extend(_own(stored, evidence))
        if lost:
            breaks.append(_dropped(same[0], last, lost))
        elif before and not missing:
            breaks.extend(_joints(before, same))
        breaks.extend(_forks(same))
        last, before = number, [stored for stored, _ in same]
    return list(dict.fromkeys(breaks))


def next_link(records: Sequence[bytes]) -> Link:
    """Return the place after the last of `records`, which come in the order of their drills.

    The last is the one with the highest number, since that was written last. A damaged one is counted, not repaired: it
    has the number of its place among them.
    """
    if not records:
        return Link(1, None)
    read = [_read(body) for body in records]
    number, last = max(
        (evidence.number if evidence else place, place) for place, evidence in enumerate(read, 1)
    )
    return Link(number + 1, sha256(records[last - 1]))


def place_of(record: bytes | None) -> Link | None:
    """Return the place that a record says it has; None where there is none, or it cannot be read."""
    evidence = _read(record) if record is not None else None
    return Link(evidence.number, evidence.previous_sha256) if evidence else None


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


def _number(told: tuple[Stored, Evidence]) -> int:
    return told[1].number


def _dropped(told: tuple[Stored, Evidence], last: int, lost: int) -> Break:
    stored, evidence = told
    what = f"is number {evidence.number} and comes after number {last}; {lost} between are missing"
    return Break(drill=stored.drill, kind=Kind.DROPPED, what=what)


def _joints(before: Sequence[Stored], same: Sequence[tuple[Stored, Evidence]]) -> Iterator[Break]:
    """Yield what records of one number show of the one before, whose digest they hold; more than one is a fork."""
    digests = {sha256(stored.body): stored for stored in before}
    for stored, evidence in same:
        if evidence.previous_sha256 not in digests:
            digest, other = next(iter(digests.items()))
            yield Break(
                drill=other.drill,
                kind=Kind.ALTERED,
                what=f"has SHA-256 {digest}, drill {stored.drill} after it says {evidence.previous_sha256}",
            )


def _forks(same: Sequence[tuple[Stored, Evidence]]) -> Iterator[Break]:
    """Yield each record that has the number of another: of one that was judged at the same moment, or is put in beside."""
    (first, whose), *others = same
    for stored, evidence in others:
        if stored.body == first.body:
            kind, what = (
                Kind.REORDERED,
                f"holds the very record of drill {first.drill}, number {evidence.number}",
            )
        elif evidence.previous_sha256 == whose.previous_sha256:
            kind, what = (
                Kind.FORKED,
                f"is number {evidence.number} after the same record as drill {first.drill}",
            )
        else:
            kind, what = Kind.REORDERED, f"is number {evidence.number}, as drill {first.drill} is"
        yield Break(drill=stored.drill, kind=kind, what=what)
